//! Cells: what a span costs in them, what they take in memory and on disk, how long a start with 28 days of them is, and RED read from them.
//!
//! The shop's traffic goes through decoder and engine twice: once at the pace of the bench corpus, as what a busy server holds, and once in
//! bursts over 28 days, as what a long run leaves. Nothing is stored but cells.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use daytwo_collector::decode;
use daytwo_query::measure::{CellEntry, CellFilter, CellKey, SliCells, TraceRecord, cell_entries, measure_trace};
use daytwo_query::trace::{ResourceCache, TraceSpan, Weight, extract_spans, stitch};
use daytwo_query::{Clock, Correlator, EngineConfig, EngineTables, QueryConfig, QueryEngine, TimeWindow, UnixNanos};
use daytwo_storage::{SpanBatch, Store, TraceId};
use daytwo_traffic::{Corpus, CorpusConfig, ExportRequest, Model, ModelConfig, cpu};
use tokio_util::sync::CancellationToken;

use crate::fill::{self, CorpusClock};
use crate::{Failed, line, ratio, repeated};

const SECOND: u64 = 1_000_000_000;
const HOUR: u64 = 3_600 * SECOND;
const DAY: u64 = 24 * HOUR;

/// Slots of five minutes in 28 days.
const SLOTS: u64 = 28 * 288;

/// Spans of a trace of the corpus, about.
const TRACE_SPANS: u64 = 21;

/// Spans whose cells are added with nothing around it.
const FOLDED: u64 = 400_000;

/// The parts of the run, in their order.
pub(crate) const PARTS: [&str; 4] = ["fold", "busy", "long", "services"];

/// Runs all parts, or one.
pub(crate) async fn run(spans: u64, dir: &Path, only: Option<&str>, out: &mut impl Write) -> Result<(), Failed> {
    let dir = dir.join("cells");
    if dir.exists() {
        std::fs::remove_dir_all(&dir)?;
    }
    std::fs::create_dir_all(&dir)?;
    for part in PARTS.into_iter().filter(|part| only.is_none_or(|only| only == *part)) {
        let used = cpu::own();
        match part {
            "fold" => fold(out)?,
            "busy" => busy(spans, &dir.join("busy"), out).await?,
            "long" => long(spans, &dir.join("long"), out).await?,
            _ => services(out)?,
        }
        writeln!(out, "({part} took {:.0} CPU s)", cpu::own().saturating_sub(used).as_secs_f64())?;
    }
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}

/// Bytes of memory that the process has.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0).saturating_mul(4_096)
}

fn mib(bytes: u64) -> f64 {
    ratio(bytes, 1 << 20)
}

fn decoded(request: ExportRequest, received: u64) -> Result<SpanBatch, Failed> {
    let received = UnixNanos(i64::try_from(received)?);
    Ok(decode::protobuf(&request.body, received, &decode::Limits::default())?.batch)
}

/// CPU seconds for each million of spans.
fn per_million(cost: Duration, spans: u64) -> f64 {
    cost.as_secs_f64() * 1e6 / ratio(spans, 1)
}

/// What adding to cells costs by itself.
fn fold(out: &mut impl Write) -> Result<(), Failed> {
    let model = Model::new(ModelConfig::default());
    let config = CorpusConfig::default();
    let made = cpu::of_thread();
    let requests = requests_of(Corpus::new(&model, config).limited_to(FOLDED / TRACE_SPANS));
    let made = cpu::of_thread().saturating_sub(made);
    let mut cache = ResourceCache::default();
    let mut spans: Vec<TraceSpan> = Vec::new();
    for request in requests {
        spans.extend(extract_spans(decoded(request, config.start_unix_nano)?.record_batch(), &mut cache)?);
    }
    spans.sort_by_key(|span| span.trace_id);
    let traces = spans.chunk_by(|left, right| left.trace_id == right.trace_id);
    let mut measured: Vec<(TraceRecord, Vec<CellEntry>)> = Vec::new();
    for trace in traces {
        let trace = stitch(trace.to_vec());
        let Some(record) = measure_trace(&trace) else { continue };
        let entries = cell_entries(&trace, &record).collect();
        measured.push((record, entries));
    }
    let entries: Vec<&CellEntry> = measured.iter().flat_map(|(_, entries)| entries).collect();
    let count = entries.len() as u64;
    let mut cells = SliCells::new(20_000, usize::MAX);
    let before = cpu::of_thread();
    // Ten times, an instant later each, so that a tick of the clock is small against it.
    for round in 0..10 {
        for entry in &entries {
            let at = UnixNanos(entry.at.0.saturating_add(round * 20_000_000_000));
            cells.add(&CellEntry { at, ..(*entry).clone() });
        }
    }
    let cost = cpu::of_thread().saturating_sub(before);
    writeln!(
        out,
        "cells alone: {:.3} CPU s per 1 M spans ({} of them ten times; to make them {:.2}, the yardstick)",
        per_million(cost, count * 10),
        count,
        per_million(made, count),
    )?;
    drop(cells);
    by_journey(&measured, out)
}

/// The part of a journey's name that tells it apart.
type NameOf = fn(&str) -> &str;

/// What cells take for each journey apart, and what they would take otherwise. The traces come ten a second.
fn by_journey(measured: &[(TraceRecord, Vec<CellEntry>)], out: &mut impl Write) -> Result<(), Failed> {
    let start = measured.iter().flat_map(|(_, entries)| entries).map(|entry| entry.at.0).min().unwrap_or(0);
    let ways: [(&str, NameOf); 3] = [
        ("not told apart", |_| ""),
        ("by root operation", |journey| journey.split(" > ").next().unwrap_or_default()),
        ("by root operation and first call", |journey| journey),
    ];
    for (name, journey_of) in ways {
        let mut journeys = BTreeSet::new();
        let mut entries = Vec::new();
        for (record, own) in measured {
            let journey: Arc<str> = journey_of(&record.journey).into();
            for entry in own {
                let at = UnixNanos(start + (entry.at.0 - start) * 100);
                let key = CellKey { journey: Arc::clone(&journey), ..entry.key.clone() };
                entries.push(CellEntry { at, key, ..entry.clone() });
            }
            journeys.insert(journey);
        }
        let mut cells = SliCells::new(usize::MAX, usize::MAX);
        let before = cpu::of_thread();
        entries.iter().for_each(|entry| cells.add(entry));
        let cost = cpu::of_thread().saturating_sub(before);
        let (fine, fine_bytes) = (cells.len() as u64, cells.bytes() as u64);
        cells.maintain(UnixNanos(start + i64::try_from(6 * HOUR)?), Duration::from_secs(28 * 86_400));
        writeln!(
            out,
            "journeys {name} ({}): {} series; {fine} cells of 10 s, {:.1} MiB; {} of five minutes, {:.1} MiB; {:.3} CPU s per 1 M spans",
            journeys.len(),
            cells.keys(&CellFilter::ALL).len(),
            mib(fine_bytes),
            cells.len(),
            mib(cells.bytes() as u64),
            per_million(cost, entries.len() as u64),
        )?;
    }
    Ok(())
}

/// An engine and what feeds it.
struct Rig {
    clock: Arc<CorpusClock>,
    store: Arc<Store>,
    engine: Arc<Correlator>,
}

impl Rig {
    async fn open(dir: &Path) -> Result<Self, Failed> {
        std::fs::create_dir_all(dir)?;
        let clock = Arc::new(CorpusClock::default());
        let store = fill::open(dir, &clock).await?;
        let engine = engine(&clock, &store)?;
        Ok(Self { clock, store, engine })
    }

    /// SQL over an empty store and this engine's tables.
    fn sql(&self, dir: &Path) -> Result<Arc<QueryEngine>, Failed> {
        let config = QueryConfig { spill_dir: dir.join("spill"), ..QueryConfig::default() };
        let tables = Arc::clone(&self.engine) as Arc<dyn EngineTables>;
        Ok(QueryEngine::new(config, Arc::clone(&self.store), Arc::clone(&self.clock) as Arc<dyn Clock>, tables)?)
    }
}

/// An engine that keeps its cells in the store's folder.
fn engine(clock: &Arc<CorpusClock>, store: &Store) -> Result<Arc<Correlator>, Failed> {
    let engine = Correlator::new(EngineConfig::default(), Arc::clone(clock) as Arc<dyn Clock>);
    engine.keep_history_in(store.document("budgets.json", 1 << 28), store.document_folder("cells", 1 << 28))?;
    Ok(engine)
}

/// The corpus as it comes: what the engine costs whole, and RED over what it holds.
async fn busy(spans: u64, dir: &Path, out: &mut impl Write) -> Result<(), Failed> {
    let rig = Rig::open(dir).await?;
    let config = CorpusConfig::default();
    let (mut sent, mut made, mut cost, mut now) = (0, Duration::ZERO, Duration::ZERO, config.start_unix_nano);
    let model = Model::new(ModelConfig::default());
    let mut corpus = Corpus::new(&model, config);
    while sent < spans {
        let before = cpu::of_thread();
        let requests: Vec<ExportRequest> = corpus.by_ref().take(40).collect();
        let between = cpu::of_thread();
        made += between.saturating_sub(before);
        let mut batches = Vec::new();
        for request in requests {
            sent += request.spans as u64;
            batches.push(decoded(request, now)?);
        }
        now = config.start_unix_nano + corpus.traces() * 1_000_000;
        rig.clock.set(now);
        let before = cpu::of_thread();
        batches.iter().for_each(|batch| rig.engine.observe(batch));
        rig.engine.tick();
        cost += cpu::of_thread().saturating_sub(before);
    }
    rig.clock.set(now + 120 * SECOND);
    rig.engine.tick();
    let status = rig.engine.status();
    writeln!(
        out,
        "engine whole, {sent} spans in {:.0} s of traffic: {:.2} CPU s per 1 M spans ({:.2} to make them); {} cells of {:.0} bytes",
        ratio(now - config.start_unix_nano, SECOND),
        per_million(cost, sent),
        per_million(made, sent),
        status.cells,
        ratio(status.cell_bytes, status.cells),
    )?;
    head(out)?;
    red(&rig, dir, now + 120 * SECOND, &[("all of it", DAY)], out).await?;
    rig.store.close().await?;
    Ok(())
}

/// As many spans in bursts over 28 days: a start with their cells, and RED over parts of them.
async fn long(spans: u64, dir: &Path, out: &mut impl Write) -> Result<(), Failed> {
    let rig = Rig::open(dir).await?;
    let model = Model::new(ModelConfig::default());
    let (start, each) = (CorpusConfig::default().start_unix_nano, (spans / TRACE_SPANS / SLOTS).max(1));
    let before = resident();
    for slot in 0..SLOTS {
        let at = start + slot * 300 * SECOND;
        let config = CorpusConfig { start_unix_nano: at, first_trace: slot * each, ..CorpusConfig::default() };
        rig.clock.set(at + SECOND);
        for request in requests_of(Corpus::new(&model, config).limited_to(each)) {
            rig.engine.observe(&decoded(request, at + SECOND)?);
        }
        for later in [10, 100] {
            rig.clock.set(at + later * SECOND);
            rig.engine.tick();
        }
    }
    let end = start + SLOTS * 300 * SECOND;
    let status = rig.engine.status();
    writeln!(
        out,
        "28 days, {} spans: {} cells of {:.0} bytes, {:.1} MiB counted, {} dropped for want of room; the process grew by {:.1} MiB",
        SLOTS * each * TRACE_SPANS,
        status.cells,
        ratio(status.cell_bytes, status.cells),
        mib(status.cell_bytes),
        status.dropped_cells,
        mib(resident().saturating_sub(before)),
    )?;
    written(&rig).await?;
    let (files, bytes) = on_disk(&dir.join("data/cells"))?;
    writeln!(out, "on disk: {files} files, {:.1} MiB", mib(bytes))?;
    let (started, used) = (Instant::now(), cpu::of_thread());
    let again =
        Rig { clock: Arc::clone(&rig.clock), store: Arc::clone(&rig.store), engine: engine(&rig.clock, &rig.store)? };
    again.engine.tick();
    let status = again.engine.status();
    writeln!(
        out,
        "start with them: {:.2} s ({:.2} CPU s) for {} cells, {:.1} MiB counted; hours that find no room stay on disk",
        started.elapsed().as_secs_f64(),
        cpu::of_thread().saturating_sub(used).as_secs_f64(),
        status.cells,
        mib(status.cell_bytes),
    )?;
    drop(rig.engine);
    head(out)?;
    red(&again, dir, end, &[("1 h", HOUR), ("24 h", DAY), ("28 days", 28 * DAY)], out).await?;
    rig.store.close().await?;
    Ok(())
}

/// Lets the engine write its cells down, as at the end of a server.
async fn written(rig: &Rig) -> Result<(), Failed> {
    let cancel = CancellationToken::new();
    let running = tokio::spawn(Arc::clone(&rig.engine).run(Arc::clone(&rig.store), cancel.clone()));
    while rig.engine.status().rebuilds == 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    cancel.cancel();
    running.await?;
    Ok(())
}

fn on_disk(folder: &Path) -> Result<(u64, u64), Failed> {
    let (mut files, mut bytes) = (0, 0);
    for file in std::fs::read_dir(folder)? {
        files += 1;
        bytes += file?.metadata()?.len();
    }
    Ok((files, bytes))
}

fn head(out: &mut impl Write) -> Result<(), Failed> {
    writeln!(out, "{:<44} {:>10} {:>10} {:>10}", "RED from cells", "p50 ms", "p99 ms", "max ms")?;
    Ok(())
}

/// RED over the last so long, by the board's way and by SQL.
async fn red(rig: &Rig, dir: &Path, now: u64, lengths: &[(&str, u64)], out: &mut impl Write) -> Result<(), Failed> {
    let sql = rig.sql(dir)?;
    let at = |instant: u64| i64::try_from(instant).unwrap_or(i64::MAX);
    for (name, length) in lengths {
        let from = at(now.saturating_sub(*length));
        let window = TimeWindow { from: UnixNanos(from), to: UnixNanos(at(now)) };
        let times = repeated(|| async { Ok(rig.engine.services(window, None)) }).await?;
        line(out, &format!("{name}: services, as the board asks"), &times)?;
        let times = repeated(|| async { Ok(rig.engine.operations("checkout", window, None)) }).await?;
        line(out, &format!("{name}: operations of one service, alike"), &times)?;
        let cases = [
            ("services and operations, SQL", "kind IN (2, 5)"),
            ("one service, SQL", "kind IN (2, 5) AND service = 'checkout'"),
        ];
        for (what, wanted) in cases {
            let statement = statement(from, wanted);
            let ask = || async { sql.sql(&statement).await?.collect().await.map_err(Failed::from) };
            let times = repeated(ask).await?;
            line(out, &format!("{name}: {what}"), &times)?;
        }
    }
    Ok(())
}

fn statement(from: i64, wanted: &str) -> String {
    format!(
        "SELECT service, operation, calls, failed, hdr_quantile(h, 0.5) AS p50, hdr_quantile(h, 0.95) AS p95, hdr_quantile(h, 0.99) AS p99 \
         FROM (SELECT service, operation, sum(spans_adjusted) AS calls, sum(errors_adjusted) AS failed, hdr_merge(latency) AS h \
         FROM slis WHERE window_start_unix_nano >= {from} AND {wanted} GROUP BY service, operation) ORDER BY service, operation"
    )
}

/// A thousand services with an answering and a calling operation each, thirty spans of either in each five minutes of six hours.
fn services(out: &mut impl Write) -> Result<(), Failed> {
    const SERVICES: u64 = 1_000;
    const SLOTS: u64 = 72;
    let before = resident();
    let mut cells = SliCells::new(20_000, usize::MAX);
    let keys: Vec<CellKey> = (0..SERVICES * 2).map(key).collect();
    let start = CorpusConfig::default().start_unix_nano;
    let mut random = 1_u64;
    for slot in 0..SLOTS {
        for key in &keys {
            for span in 0..30 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                cells.add(&entry(key, start + slot * 300 * SECOND + span * 10 * SECOND, random >> 33)?);
            }
        }
        let now = start + (slot * 300 + 3 * 3_600) * SECOND;
        cells.maintain(UnixNanos(i64::try_from(now)?), Duration::from_secs(28 * 86_400));
    }
    cells.maintain(UnixNanos(i64::try_from(start + 12 * HOUR)?), Duration::from_secs(28 * 86_400));
    let (count, bytes) = (cells.len() as u64, cells.bytes() as u64);
    let grown = resident().saturating_sub(before);
    writeln!(
        out,
        "1,000 services with two keys each, six hours: {count} cells, {:.1} MiB counted ({:.0} bytes a cell), the process grew by {:.1} MiB; a day is {:.0} MiB",
        mib(bytes),
        ratio(bytes, count),
        mib(grown),
        mib(bytes) * 4.0,
    )?;
    Ok(())
}

fn key(number: u64) -> CellKey {
    CellKey {
        environment: "prod".into(),
        service: format!("service-{}", number / 2).into(),
        version: "1.4.2".into(),
        operation: if number.is_multiple_of(2) { "GET /things/{id}" } else { "store.v1.Store/Read" }.into(),
        kind: if number.is_multiple_of(2) { 2 } else { 3 },
        peer: if number.is_multiple_of(2) { "" } else { "store" }.into(),
        journey: "gateway:GET /things/{id} > store:store.v1.Store/Read".into(),
    }
}

/// A span around some milliseconds, over an octave and a half.
fn entry(key: &CellKey, at: u64, random: u64) -> Result<CellEntry, Failed> {
    let duration = i64::try_from(5_000_000 + random % 9_000_000)?;
    let calls = key.kind == 3;
    Ok(CellEntry {
        key: key.clone(),
        at: UnixNanos(i64::try_from(at)?),
        duration_ns: duration,
        self_ns: Some(duration / 3),
        gap_ns: calls.then_some(duration / 9),
        error: random.is_multiple_of(97),
        own_error: random.is_multiple_of(97),
        weight: Weight::default(),
        trace_id: TraceId::from_bytes(&(u128::from(random) + 1).to_be_bytes())?,
    })
}

/// All requests of a limited corpus.
fn requests_of(mut corpus: Corpus<'_>) -> Vec<ExportRequest> {
    let mut requests: Vec<ExportRequest> = corpus.by_ref().collect();
    requests.extend(corpus.finish());
    requests
}

//! What questions cost over stored spans: a trace by id, the newest traces of a search, the names of everything, RED by
//! service over all spans; and what it cost to store them, and what files and indexes take.
//!
//! `cargo bench --bench query -- --spans 10000000 --dir /tmp/daytwo-bench-query` fills the folder once (bench corpus, through
//! the decoder and the store, and one span apart in its middle) and reuses it; `--spans 100000000` works alike, given 5 GB
//! and time. Every figure is of warm files: each question is asked once before it counts.
//!
//! `--cells` asks the correlation engine instead: what cells cost and take, and RED from them (`cells.rs`); with `--only long` one part of it.
//!
//! The ceiling of RED is the same two columns through the Parquet reader into one histogram, with nothing around it: no
//! grouping, no plan, no snapshot.

mod cells;
mod fill;
mod sizes;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use daytwo_query::{NoEngineTables, QueryConfig, QueryEngine, TraceSearch};
use daytwo_storage::TraceId;
use daytwo_storage::schema::col;
use fill::NEEDLE;
use hdrhistogram::Histogram;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Lookups of each kind that are measured.
const LOOKUPS: usize = 2_000;

/// How often the longer questions are asked.
const REPEATS: usize = 15;

/// RED by service over every span.
const RED: &str = "SELECT service_name, spans, errors, hdr_quantile(h, 0.5) AS p50, hdr_quantile(h, 0.95) AS p95, \
    hdr_quantile(h, 0.99) AS p99 FROM (SELECT service_name, count(*) AS spans, \
    count(*) FILTER (WHERE status_code = 2) AS errors, hdr_histogram(duration_time_unix_nano) AS h \
    FROM spans GROUP BY service_name) ORDER BY service_name";

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let options = Options::from_args()?;
    let mut out = std::io::stdout().lock();
    if options.cells {
        return cells::run(options.spans, &options.dir, options.only.as_deref(), &mut out).await;
    }
    let clock = Arc::new(fill::CorpusClock::default());
    let store = fill::open(&options.dir, &clock).await?;
    fill::fill(&store, &clock, options.spans, &mut out).await?;
    let config =
        QueryConfig { spill_dir: options.dir.join("spill"), file_cache_bytes: 256 << 20, ..QueryConfig::default() };
    let engine = QueryEngine::new(config, Arc::clone(&store), clock, Arc::new(NoEngineTables))?;
    let status = store.status();
    let (spans, files, bytes) = (status.file_rows, status.files, status.file_bytes);
    writeln!(out, "{spans} spans in {files} files, {:.2} bytes each", ratio(bytes, spans))?;
    sizes::indexes(&store, &mut out)?;
    sizes::columns(&store, &mut out)?;
    writeln!(out, "{:<44} {:>10} {:>10} {:>10}", "question", "p50 ms", "p99 ms", "max ms")?;
    let known = sample_ids(&engine).await?;
    lookups(&engine, "trace by id, stored", &known, &mut out).await?;
    let unknown: Vec<TraceId> =
        (1..=LOOKUPS as u128).filter_map(|n| id_of(n.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C))).collect();
    lookups(&engine, "trace by id, unknown", &unknown, &mut out).await?;
    searches(&engine, &mut out).await?;
    let names = repeated(|| async { engine.catalogue().await.map_err(Failed::from) }).await?;
    line(&mut out, "services, operations, attribute keys", &names)?;
    let red = repeated(|| async { engine.sql(RED).await?.collect().await.map_err(Failed::from) }).await?;
    line(&mut out, "RED by service, all spans", &red)?;
    let paths: Vec<PathBuf> =
        store.snapshot().files.iter().map(|file| store.snapshot().table_dir.join(&file.path)).collect();
    let ceiling = repeated(|| ceiling(paths.clone())).await?;
    line(&mut out, "ceiling: two columns into one histogram", &ceiling)?;
    writeln!(
        out,
        "RED takes {:.2} x the ceiling",
        quantile(&red, 50).as_secs_f64() / quantile(&ceiling, 50).as_secs_f64()
    )?;
    store.close().await?;
    Ok(())
}

struct Options {
    spans: u64,
    dir: PathBuf,
    /// Cells instead of stored spans.
    cells: bool,
    /// One part of [`cells::PARTS`] instead of all.
    only: Option<String>,
}

impl Options {
    fn from_args() -> Result<Self, Failed> {
        let dir = std::env::temp_dir().join("daytwo-bench-query");
        let mut options = Self { spans: 10_000_000, dir, cells: false, only: None };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--spans" => options.spans = args.next().ok_or("--spans takes a number")?.parse()?,
                "--dir" => options.dir = args.next().ok_or("--dir takes a folder")?.into(),
                "--cells" => options.cells = true,
                "--only" => {
                    let part = args.next().filter(|part| cells::PARTS.contains(&part.as_str()));
                    options.only = Some(part.ok_or_else(|| format!("--only takes one of {:?}", cells::PARTS))?);
                }
                // Cargo's own.
                "--bench" => {}
                other => {
                    return Err(format!("unknown option {other}; there are --spans, --dir, --cells and --only").into());
                }
            }
        }
        Ok(options)
    }
}

fn id_of(number: u128) -> Option<TraceId> {
    TraceId::from_bytes(&number.to_be_bytes()).ok()
}

/// Ids from all over the store, in an order that jumps between files.
async fn sample_ids(engine: &Arc<QueryEngine>) -> Result<Vec<TraceId>, Failed> {
    let sql = "SELECT trace_id FROM spans WHERE parent_span_id IS NULL AND start_time_unix_nano % 101 = 7 LIMIT 200000";
    let mut ids = Vec::new();
    for batch in engine.sql(sql).await?.collect().await? {
        ids.extend(batch.column(0).as_binary::<i32>().iter().flatten().filter_map(|id| TraceId::from_bytes(id).ok()));
    }
    if ids.is_empty() {
        return Err("no trace has a root; the corpus is not what it should be".into());
    }
    Ok((0..LOOKUPS).filter_map(|n| ids.get(n.wrapping_mul(7_919) % ids.len()).copied()).collect())
}

async fn lookups(engine: &QueryEngine, name: &str, ids: &[TraceId], out: &mut impl Write) -> Result<(), Failed> {
    for &id in ids {
        engine.trace_spans(id).await?;
    }
    let mut times = Vec::new();
    let (mut files, mut index, mut data) = (0, 0, 0);
    for &id in ids {
        let started = Instant::now();
        let found = engine.trace_spans(id).await?;
        times.push(started.elapsed());
        files += found.stats.files_scanned;
        index += found.stats.index_bytes;
        data += found.stats.data_bytes;
    }
    line(out, name, &times)?;
    let each = |sum: u64| ratio(sum, ids.len() as u64);
    writeln!(
        out,
        "  on average {:.1} files, {:.0} index bytes, {:.0} data bytes",
        each(files),
        each(index),
        each(data)
    )?;
    Ok(())
}

async fn searches(engine: &Arc<QueryEngine>, out: &mut impl Write) -> Result<(), Failed> {
    let newest = TraceSearch { limit: 20, ..TraceSearch::default() };
    let having =
        |key: &str, value: &str| TraceSearch { attributes: vec![(key.to_owned(), value.to_owned())], ..newest.clone() };
    let services = engine.sql("SELECT service_name FROM spans LIMIT 1").await?.collect().await?;
    let service = services.first().map(|batch| batch.column(0).as_string::<i32>().value(0).to_owned());
    let narrow =
        TraceSearch { service: service.clone(), status: Some(2), min_duration_ns: Some(1_000_000), ..newest.clone() };
    let slowest = TraceSearch { service: service.clone(), min_duration_ns: Some(3_600_000_000_000), ..newest.clone() };
    let questions = [
        ("newest 20 by service, status, duration", narrow),
        ("newest 20 by service, a duration none has", slowest),
        (
            "newest 20 by an operation that is not stored",
            TraceSearch { operation: Some("nowhere".into()), ..newest.clone() },
        ),
        ("attribute of one span of all", having(NEEDLE.0, NEEDLE.1)),
        ("attribute of no span", having(NEEDLE.0, "elsewhere")),
        ("attribute of no span, a key that many have", having("messaging.kafka.message.key", "nowhere")),
        ("attribute of many spans (own column)", having("http.response.status_code", "200")),
        ("attribute of many spans (map)", having("network.transport", "tcp")),
        ("attribute of few spans (map)", having("http.request.resend_count", "1")),
        ("resource attribute", having("telemetry.sdk.language", "go")),
        ("newest 20 traces", newest.clone()),
    ];
    for (name, search) in questions {
        let times = repeated(|| async { engine.search(search.clone()).await.map_err(Failed::from) }).await?;
        line(out, name, &times)?;
        let found = engine.search(search).await?;
        let (traces, stats) = (found.traces.len(), found.stats);
        writeln!(
            out,
            "  {traces} traces from {} files, {} index bytes, {} data bytes",
            stats.files_scanned, stats.index_bytes, stats.data_bytes
        )?;
    }
    Ok(())
}

/// The same columns, read on every core, into one histogram.
async fn ceiling(paths: Vec<PathBuf>) -> Result<u64, Failed> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let shares = (0..cores).map(|core| {
        let mine: Vec<PathBuf> = paths.iter().skip(core).step_by(cores).cloned().collect();
        tokio::task::spawn_blocking(move || one_histogram(&mine))
    });
    let mut all: Option<Histogram<u64>> = None;
    for share in shares.collect::<Vec<_>>() {
        let histogram = share.await??;
        match &mut all {
            Some(all) => all.add(histogram)?,
            None => all = Some(histogram),
        }
    }
    Ok(all.map_or(0, |histogram| histogram.value_at_quantile(0.99)))
}

fn one_histogram(paths: &[PathBuf]) -> Result<Histogram<u64>, Failed> {
    let mut histogram = Histogram::new(2)?;
    for path in paths {
        let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(path)?)?;
        let columns = [col::SERVICE_NAME, col::STATUS_CODE, col::DURATION];
        let mask = ProjectionMask::columns(reader.parquet_schema(), columns);
        for batch in reader.with_projection(mask).with_batch_size(8_192).build()? {
            let batch = batch?;
            let durations = batch.column_by_name(col::DURATION).ok_or("no durations")?;
            for &duration in durations.as_primitive::<Int64Type>().values() {
                histogram.record(u64::try_from(duration).unwrap_or(0))?;
            }
        }
    }
    Ok(histogram)
}

/// Times of a question asked [`REPEATS`] times, after once that does not count.
async fn repeated<T, F: Future<Output = Result<T, Failed>>>(ask: impl Fn() -> F) -> Result<Vec<Duration>, Failed> {
    ask().await?;
    let mut times = Vec::new();
    for _ in 0..REPEATS {
        let started = Instant::now();
        ask().await?;
        times.push(started.elapsed());
    }
    Ok(times)
}

fn quantile(times: &[Duration], percent: usize) -> Duration {
    let sorted: BTreeMap<(Duration, usize), ()> = times.iter().enumerate().map(|(n, &time)| ((time, n), ())).collect();
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.keys().nth(rank - 1).map_or(Duration::ZERO, |(time, _)| *time)
}

fn line(out: &mut impl Write, name: &str, times: &[Duration]) -> Result<(), Failed> {
    let ms = |percent| quantile(times, percent).as_secs_f64() * 1_000.0;
    writeln!(out, "{name:<44} {:>10.2} {:>10.2} {:>10.2}", ms(50), ms(99), ms(100))?;
    Ok(())
}

fn ratio(a: u64, b: u64) -> f64 {
    a as f64 / b.max(1) as f64
}

//! Spans that come up to two hours late, in any order: what is measured is what the complete traces say.

mod kept;
mod oracle;
mod plan;

use daytwo_storage::testing::{SeededReplay, by_hand};
use daytwo_storage::{Document, DocumentFolder, Frame, PayloadCompression, PayloadFormat, Store};
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tempfile::TempDir;

use super::*;
use crate::correlator::late::LateReader;
use crate::measure::{CellKey, CellValue, Slot};
use oracle::{Cells, Seen, cells_of, forget_left, traces};

const EVER: TimeWindow = TimeWindow { from: UnixNanos(0), to: UnixNanos(i64::MAX) };
const SECOND: i64 = 1_000 * MS;
const HOUR: i64 = 3_600 * SECOND;

/// A store, and an engine over it that a test drives by hand.
struct Bench {
    clock: Arc<ManualClock>,
    store: Arc<Store>,
    engine: Arc<Correlator>,
    reader: LateReader,
    config: EngineConfig,
    requests: u64,
    /// The last to go: the store writes into it.
    folder: TempDir,
}

impl Bench {
    async fn new(config: EngineConfig) -> Self {
        let (folder, clock) = (TempDir::new().unwrap(), Arc::new(ManualClock::at(UnixNanos(START))));
        let settings = by_hand(folder.path().join("data"));
        let store = Store::open(settings, Arc::clone(&clock) as Arc<dyn Clock>, Arc::new(SeededReplay)).await.unwrap();
        let engine = started(&config, &clock, &store, &folder);
        let reader = LateReader::new(config.late_window, config.late_spans_max, Some(Arc::clone(&store)));
        Self { clock, store, engine, reader, config, requests: 0, folder }
    }

    /// Stores spans and shows them to the engine.
    async fn send(&mut self, spans: &[Sent]) {
        self.requests += 1;
        let now = self.clock.now();
        let frame = Frame {
            payload: self.requests.to_be_bytes().to_vec().into(),
            format: PayloadFormat::Protobuf,
            compression: PayloadCompression::None,
            request_hash: u128::from(self.requests),
            received: now,
            rejected: Vec::new(),
        };
        let spans = batch(now.0, spans);
        self.store.append(frame, spans.clone()).await.unwrap();
        self.engine.observe(&spans);
    }

    fn pass(&self, nanos: i64) {
        self.clock.advance(Duration::from_nanos(nanos.try_into().unwrap()));
        self.engine.tick();
    }

    /// Reads traces again, as many as the follower does at once; whether there were any.
    fn read_again(&self) -> bool {
        let snapshot = self.store.snapshot();
        let wanted = self.engine.state().take_waiting();
        let any = !wanted.is_empty();
        let found = self.reader.read(&snapshot, wanted);
        self.engine.state().put_together(found, self.clock.now());
        any
    }

    /// A process that ends, without a word or after it has written everything down, and one that starts.
    fn restart(&mut self, in_order: bool) {
        if in_order {
            self.engine.save(true);
        }
        self.engine = started(&self.config, &self.clock, &self.store, &self.folder);
    }

    /// Lets everything be measured and rolled up.
    fn settle(&self) {
        self.pass(20 * SECOND);
        while self.read_again() {}
        self.pass(5 * HOUR);
    }

    fn cells(&self) -> Cells {
        let state = self.engine.state();
        let seen =
            |(key, slot, cell): (&CellKey, Slot, &CellValue)| ((key.clone(), slot.from_unix_nano), Seen::of(cell));
        state.cells.iter(EVER, |_| true).map(seen).collect()
    }

    /// Spans, and of how many the self time is known.
    fn counted(&self) -> (u64, u64) {
        let state = self.engine.state();
        let cells = || state.cells.iter(EVER, |_| true).map(|(.., cell)| cell);
        (cells().map(|cell| cell.calls).sum(), cells().map(|cell| cell.own.count()).sum())
    }
}

/// An engine that has taken up what is kept and read what is stored.
fn started(config: &EngineConfig, clock: &Arc<ManualClock>, store: &Store, folder: &TempDir) -> Arc<Correlator> {
    let engine = Correlator::new(config.clone(), Arc::clone(clock) as Arc<dyn Clock>);
    let budgets = Document::in_folder(folder.path(), "budgets.json", 1 << 20);
    engine.keep_history_in(budgets, DocumentFolder::in_folder(folder.path(), "cells", 1 << 20)).unwrap();
    engine.load(&store.snapshot());
    engine
}

fn config() -> EngineConfig {
    EngineConfig { late_at_once: 7, ..EngineConfig::default() }
}

/// Delivers the spans of traces, each with its own delay of up to two hours; now and then the store flushes, the engine is slow to read, or
/// the process starts anew. What was measured at the end, and what the engine says of itself.
async fn delivered(seed: u64, traces: &[Vec<Sent>]) -> (Bench, StdRng) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut bench = Bench::new(config()).await;
    let mut arrivals: Vec<(i64, Sent)> = Vec::new();
    for span in traces.iter().flatten() {
        // A third comes at once, the rest at whole minutes, so that several of a trace come together.
        let delay = if random.random_ratio(1, 3) { 0 } else { random.random_range(0..=120) * 60 * SECOND };
        arrivals.push((span.start.div_euclid(SECOND) * SECOND + SECOND + delay, span.clone()));
    }
    arrivals.sort_by_key(|(at, span)| (*at, span.trace, span.id));
    for together in arrivals.chunk_by(|one, other| one.0 == other.0) {
        let now = bench.clock.now().0;
        bench.pass(together[0].0 - now);
        let spans: Vec<Sent> = together.iter().map(|(_, span)| span.clone()).collect();
        bench.send(&spans).await;
        match random.random_range(0..30) {
            0 | 1 => bench.store.flush().await.unwrap(),
            2 if random.random_ratio(1, 3) => bench.restart(random.random()),
            3 => bench.engine.save(false),
            4..=12 => {}
            _ => drop(bench.read_again()),
        }
    }
    (bench, random)
}

const SLO: &str = "apiVersion: openslo/v1
kind: SLO
metadata: {name: shop-ok}
spec:
  indicator:
    spec:
      ratioMetric:
        good: {metricSource: {type: daytwo, spec: {signal: availability, service: shop}}}
        total: {metricSource: {type: daytwo, spec: {service: shop}}}
  timeWindow: [{duration: 28d, isRolling: true}]
  objectives: [{target: 0.9}]
";

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, ..ProptestConfig::default() })]

    /// Scenario: random traces whose spans come in any order, each up to two hours late, to a store that flushes and an engine that is
    /// slow to read, writes its cells down and is restarted, in order or without a word, now and then.
    /// Guarantees: cells are exactly those of a naive model over the complete traces, each in its journey, own errors, self times, gaps, weights and exemplars included; so are the
    /// records of traces, and nothing was measured as a fragment.
    #[test]
    fn any_order_of_delivery_gives_the_cells_of_complete_traces(seed: u64) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let traces = traces(&mut StdRng::seed_from_u64(seed), 25);
            let (bench, _) = delivered(seed, &traces).await;
            bench.settle();
            let (mut measured, mut expected) = (bench.cells(), cells_of(&traces));
            forget_left(&traces, &mut measured);
            forget_left(&traces, &mut expected);
            assert!(expected.values().any(|cell| cell.has_exemplars()));
            for (cell, value) in &expected {
                assert_eq!(measured.get(cell), Some(value), "{cell:?}");
            }
            assert_eq!(measured.len(), expected.len());
            let status = bench.engine.status();
            assert_eq!((status.fragment_spans, status.waiting_traces), (0, 0));
            assert_eq!(status.recent_traces, traces.len() as u64);
        });
    }
}

/// Scenario: the children of a call come two hours before its root, and others an hour after it; half of the traces wait in the buffer, half
/// in a file.
/// Guarantees: the objective counts each call once, at the time of its start; traces are read again and nothing waits for ever.
#[tokio::test]
async fn a_root_two_hours_late_takes_its_place() {
    let mut bench = Bench::new(config()).await;
    bench.engine.set_slos(&[SloFile { name: "a.yaml".to_owned(), text: SLO.to_owned() }]);
    let traces: Vec<Vec<Sent>> = (1..=40).map(|trace| call(trace, "p1", START, 20 * MS)).collect();
    let part = |at: usize| traces.iter().map(|spans| spans[at].clone()).collect::<Vec<_>>();
    bench.send(&part(1)).await;
    bench.pass(10 * SECOND);
    bench.pass(HOUR);
    bench.send(&part(2)[..20]).await;
    bench.store.flush().await.unwrap();
    bench.pass(10 * SECOND);
    while bench.read_again() {}
    bench.pass(HOUR - 60 * SECOND);
    bench.send(&part(0)).await;
    bench.send(&part(2)[20..]).await;
    bench.pass(20 * SECOND);
    while bench.read_again() {}
    let slo = bench.engine.slos(None).slos.remove(0);
    assert_eq!((slo.good, slo.bad), (40, 0));
    let pay = bench.engine.operations("pay", TimeWindow { from: UnixNanos(START), to: UnixNanos(START + HOUR) }, None);
    assert_eq!(pay[0].calls, 40);
    let shop = bench.engine.operations("shop", bench_window(), None);
    let of = |kind: &str| shop.iter().find(|row| row.kind == kind).and_then(|row| row.self_p50_ms).unwrap();
    assert!((of("CLIENT") - 2.0).abs() < 0.1, "{}", of("CLIENT"));
    assert!((of("SERVER") - 4.0).abs() < 0.1, "{}", of("SERVER"));
    let status = bench.engine.status();
    assert_eq!((status.recent_traces, status.fragment_spans, status.waiting_traces), (40, 0, 0));
    // Twenty were put together twice: for the answer, and for the root.
    assert_eq!(status.read_again_traces, 60);
}

fn bench_window() -> TimeWindow {
    TimeWindow { from: UnixNanos(START), to: UnixNanos(START + HOUR) }
}

/// Scenario: one late span each to more old traces than may wait; then one more each to all of them.
/// Guarantees: as many as may wait are put together; the others are counted as fragments, now and later, and every span counts once.
#[tokio::test]
async fn more_late_traces_than_may_wait_are_fragments() {
    let mut bench = Bench::new(EngineConfig { late_waiting_max: 30, ..config() }).await;
    let traces: Vec<Vec<Sent>> = (1..=100).map(|trace| call(trace, "p1", START, 20 * MS)).collect();
    for at in [1, 2, 0] {
        bench.send(&traces.iter().map(|spans| spans[at].clone()).collect::<Vec<_>>()).await;
        bench.pass(10 * SECOND);
        assert!(bench.engine.status().waiting_traces <= 30);
        while bench.read_again() {}
        bench.pass(600 * SECOND);
    }
    let status = bench.engine.status();
    assert_eq!((status.read_again_traces, status.fragment_spans), (60, 140));
    bench.settle();
    assert_eq!(bench.counted(), (300, 300 - 140));
}

/// Scenario: spans four hours late; a trace with more spans than are read; a trace of which nothing is stored any more.
/// Guarantees: the first two are fragments, counted; the third is measured as what is left of it; every span counts once.
#[tokio::test]
async fn what_cannot_be_put_together_is_a_fragment() {
    let mut bench = Bench::new(EngineConfig { late_spans_max: 50, ..config() }).await;
    let old = call(1, "p1", START, 20 * MS);
    bench.send(&old[..1]).await;
    let wide: Vec<Sent> = (1..=60).map(|id| Sent { id, ..server(2, "shop", "s1", START, MS) }).collect();
    bench.send(&wide).await;
    bench.pass(600 * SECOND);
    bench.pass(600 * SECOND);
    bench.send(&[Sent { id: 61, ..wide[0].clone() }]).await;
    bench.pass(10 * SECOND);
    while bench.read_again() {}
    let status = bench.engine.status();
    assert_eq!((status.read_again_traces, status.fragment_spans), (0, 1));
    // Kept known by a span in between, it is older than its window when the last one comes.
    bench.pass(2 * HOUR);
    bench.send(&old[1..2]).await;
    bench.pass(10 * SECOND);
    while bench.read_again() {}
    assert_eq!(bench.engine.status().read_again_traces, 1);
    bench.pass(2 * HOUR);
    bench.send(&old[2..]).await;
    bench.pass(10 * SECOND);
    while bench.read_again() {}
    let status = bench.engine.status();
    assert_eq!((status.read_again_traces, status.fragment_spans), (1, 2));
    bench.settle();
    assert_eq!(bench.counted(), (64, 62));
}

/// Scenario: a span that comes twenty minutes late to an engine that follows the store by itself.
/// Guarantees: without anybody's help its trace is read again and measured whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_follower_reads_traces_again() {
    let mut bench = Bench::new(config()).await;
    let engine = Correlator::new(config(), Arc::clone(&bench.clock) as Arc<dyn Clock>);
    let cancel = tokio_util::sync::CancellationToken::new();
    let running = tokio::spawn(Arc::clone(&engine).run(Arc::clone(&bench.store), cancel.clone()));
    let eventually = async |what: &str, holds: &dyn Fn(&EngineStatus) -> bool| {
        for _ in 0..1_200 {
            if holds(&engine.status()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("not in time: {what}: {:?}", engine.status());
    };
    eventually("the store is read", &|status| status.rebuilds == 1 && !status.lagging).await;
    let spans = call(1, "p1", START, 20 * MS);
    bench.send(&spans[..2]).await;
    eventually("spans arrive", &|status| status.observed_spans == 2).await;
    bench.clock.advance(Duration::from_secs(10));
    eventually("the trace closes", &|status| status.open_traces == 0 && status.closed_traces == 1).await;
    bench.clock.advance(Duration::from_secs(1_200));
    eventually("the trace is let go", &|status| status.open_spans == 0).await;
    bench.send(&spans[2..]).await;
    eventually("the late span arrives", &|status| status.observed_spans == 3).await;
    bench.clock.advance(Duration::from_secs(10));
    eventually("the trace is read again", &|status| status.read_again_traces == 1 && status.open_spans == 3).await;
    let shop = engine.operations("shop", bench_window(), None);
    let client = shop.iter().find(|row| row.kind == "CLIENT").and_then(|row| row.self_p50_ms).unwrap();
    assert!((client - 2.0).abs() < 0.1, "{client}");
    assert_eq!(engine.status().fragment_spans, 0);
    cancel.cancel();
    running.await.unwrap();
    bench.store.close().await.unwrap();
}

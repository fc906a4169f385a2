//! Cells that are kept, of this form and of the one before journeys, and stored spans that are measured again over the same hours: every span
//! counts once.

use std::collections::{BTreeMap, BTreeSet};

use super::oracle::journey_of;
use super::*;
use crate::measure::{LogHistogram, in_second_form};

/// Service, operation, kind and five minutes.
type Place = (String, String, i32, i64);

fn slot(at: i64) -> i64 {
    at.div_euclid(300 * SECOND) * 300 * SECOND
}

/// Durations by place, in whatever journey and answered by whomever.
fn expected(traces: &[Vec<Sent>]) -> BTreeMap<Place, LogHistogram<u64>> {
    let mut places: BTreeMap<Place, LogHistogram<u64>> = BTreeMap::new();
    for span in traces.iter().flatten() {
        let place = (span.service.to_owned(), span.name.clone(), span.kind, slot(span.start));
        places.entry(place).or_insert_with(coarse).record_many(span.duration, 1);
    }
    places
}

fn coarse() -> LogHistogram<u64> {
    let mut histogram = LogHistogram::default();
    histogram.downscale(6);
    histogram
}

fn measured(bench: &Bench) -> BTreeMap<Place, LogHistogram<u64>> {
    let mut places: BTreeMap<Place, LogHistogram<u64>> = BTreeMap::new();
    for (key, at, cell) in bench.engine.state().cells.iter(EVER, |_| true) {
        assert_eq!(cell.calls, cell.total.count());
        let place = (key.service.to_string(), key.operation.to_string(), key.kind, slot(at.from_unix_nano));
        places.entry(place).or_insert_with(coarse).merge(&cell.total.times(1));
    }
    places
}

fn journeys(bench: &Bench) -> BTreeSet<String> {
    bench.engine.state().cells.iter(EVER, |_| true).map(|(key, ..)| key.journey.to_string()).collect()
}

impl Bench {
    /// As [`Bench::restart`], in order, by a version that knew no journeys: it wrote its cells in the form of then.
    fn restart_from_before_journeys(&mut self) {
        self.engine.save(true);
        for file in std::fs::read_dir(self.folder.path().join("cells")).unwrap() {
            let path = file.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            if bytes.starts_with(b"DTCELLS3") {
                std::fs::write(&path, in_second_form(&bytes)).unwrap();
            }
        }
        self.restart(false);
    }
}

/// Scenario: three hours of traces, kept by a version without journeys; then one starts that knows them, and reads all stored spans again,
/// or those of the last hour.
/// Guarantees: every span counts once; what was read again is in its journey, older cells are of the journey that is not known.
#[tokio::test]
async fn an_upgrade_counts_no_span_twice() {
    for hours in [24, 1] {
        let rebuild_window = Duration::from_secs(hours * 3_600);
        let mut bench = Bench::new(EngineConfig { rebuild_window, ..config() }).await;
        let mut all = Vec::new();
        for minute in 0..180 {
            let trace = call(minute + 1, "p1", bench.clock.now().0, 20 * MS);
            bench.send(&trace).await;
            all.push(trace);
            bench.pass(60 * SECOND);
            bench.store.flush().await.unwrap();
        }
        bench.restart_from_before_journeys();
        assert_eq!(measured(&bench), expected(&all), "{hours}");
        let named = "shop:GET / > pay:POST /pay".to_owned();
        let unknown = if hours == 24 { None } else { Some(String::new()) };
        assert_eq!(journeys(&bench), unknown.into_iter().chain([named]).collect(), "{hours}");
        bench.settle();
        assert_eq!(measured(&bench), expected(&all), "{hours}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    /// Scenario: random traces over two hours, their spans up to two hours late; an engine that reads one hour again at a start, restarted in
    /// order now and then, sometimes by an upgrade from a version without journeys.
    /// Guarantees: over all journeys and answers every duration is there once, in its operation and its five minutes.
    #[test]
    fn kept_and_recounted_cells_hold_every_span_once(seed: u64) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut random = StdRng::seed_from_u64(seed);
            let mut traces = traces(&mut random, 25);
            let mut bench = Bench::new(EngineConfig { rebuild_window: Duration::from_secs(3_600), ..config() }).await;
            let mut arrivals: Vec<(i64, Sent)> = Vec::new();
            for trace in &mut traces {
                let later = random.random_range(0..120) * 60 * SECOND;
                for span in trace {
                    span.start += later;
                    let delay = if random.random_ratio(1, 3) { 0 } else { random.random_range(0..=120) * 60 * SECOND };
                    arrivals.push((span.start.div_euclid(SECOND) * SECOND + SECOND + delay, span.clone()));
                }
            }
            arrivals.sort_by_key(|(at, span)| (*at, span.trace, span.id));
            for together in arrivals.chunk_by(|one, other| one.0 == other.0) {
                let now = bench.clock.now().0;
                bench.pass((together[0].0 - now).max(0));
                bench.send(&together.iter().map(|(_, span)| span.clone()).collect::<Vec<_>>()).await;
                // What is still open when a process ends is measured by the next one only if that reads it again.
                match random.random_range(0..24) {
                    0 => bench.store.flush().await.unwrap(),
                    1 => bench.engine.save(false),
                    2 => {
                        bench.pass(20 * SECOND);
                        while bench.read_again() {}
                        if random.random() { bench.restart(true) } else { bench.restart_from_before_journeys() }
                    }
                    3..=8 => {}
                    _ => drop(bench.read_again()),
                }
            }
            bench.settle();
            assert_eq!(measured(&bench), expected(&traces));
        });
    }
}

/// Scenario: a hundred traces, each begun by a name of its own, whose calls come half an hour before their roots; then a restart, in order or
/// without a word, and the answers.
/// Guarantees: sixty-four journeys have a name, before and after; the others are counted and together; every span counts once.
#[tokio::test]
async fn journeys_beyond_the_limit_are_together() {
    for in_order in [true, false] {
        let mut bench = Bench::new(config()).await;
        let mut traces: Vec<Vec<Sent>> = (1..=100).map(|trace| call(trace, "p1", START, 20 * MS)).collect();
        for (number, trace) in traces.iter_mut().enumerate() {
            trace[0].name = format!("GET /{number}");
        }
        let part = |at: usize| traces.iter().map(|spans| spans[at].clone()).collect::<Vec<_>>();
        bench.send(&part(1)).await;
        bench.pass(1_800 * SECOND);
        assert_eq!(journeys(&bench), [String::new()].into());
        bench.send(&part(0)).await;
        bench.pass(20 * SECOND);
        while bench.read_again() {}
        let named = journeys(&bench);
        assert_eq!((named.len(), named.contains("~other")), (65, true));
        assert!(bench.engine.status().overflowed_journeys >= 36);
        bench.restart(in_order);
        assert_eq!((journeys(&bench), bench.counted().0), (named, 200));
        bench.send(&part(2)).await;
        bench.pass(20 * SECOND);
        while bench.read_again() {}
        let whole: BTreeSet<String> =
            traces.iter().map(|trace| journey_of(trace)).chain(["~other".to_owned()]).collect();
        let now = journeys(&bench);
        assert_eq!((now.len(), now.is_subset(&whole)), (65, true), "{now:?}");
        bench.settle();
        assert_eq!(bench.counted(), (300, 300));
        assert_eq!(measured(&bench), expected(&traces));
        // Names of yesterday that no cell has are free.
        bench.pass(29 * 24 * HOUR);
        let later = call(101, "p1", bench.clock.now().0, 20 * MS);
        bench.send(&later).await;
        bench.pass(20 * SECOND);
        assert_eq!(journeys(&bench), [journey_of(&later)].into());
    }
}

//! For how many traces a release is planned: the same for any delivery, after a restart and from files, and what it is when the traffic before
//! the release is no longer all there.

use arrow::array::RecordBatch;

use super::*;
use crate::correlator::late::Measured;

/// The first whole minute after the start.
const MINUTE_0: i64 = START - START.rem_euclid(MINUTE) + MINUTE;
const MINUTE: i64 = 60 * SECOND;

/// A quarter of the bake time is one minute: of a release in the third minute from [`MINUTE_0`] on, the first one counts.
fn minute_config() -> EngineConfig {
    let mut config = config();
    config.verdict.bake = Duration::from_secs(240);
    config
}

/// A trace of one span of `pay`.
fn payment(trace: u64, version: &'static str, start: i64, random: &mut StdRng) -> Sent {
    let slower = if version == "p2" { 2 } else { 1 };
    server(trace, "pay", version, start, slower * random.random_range(20_000..30_000) * MS / 1_000)
}

/// So many traces of p1 in the minute that counts, some in the minute after it, and one of either version a second in the third.
fn a_release_after(counted: i64, random: &mut StdRng) -> Vec<Sent> {
    let spread = |traces: i64, minute: i64| {
        (0..traces).map(move |number| ("p1", MINUTE_0 + minute * MINUTE + number * MINUTE / traces))
    };
    let beside = (0..60).flat_map(|second| {
        let at = MINUTE_0 + 2 * MINUTE + second * SECOND;
        [("p1", at + SECOND / 4), ("p2", at + SECOND / 2)]
    });
    let starts: Vec<(&'static str, i64)> = spread(counted, 0).chain(spread(50, 1)).chain(beside).collect();
    (1..).zip(starts).map(|(trace, (version, start))| payment(trace, version, start, random)).collect()
}

impl Bench {
    /// Sends traces that begin in the same ten seconds together, at the end of them or so much later.
    async fn deliver(&mut self, spans: &[Sent], delay: impl Fn(usize) -> i64, mut then: impl AsyncFnMut(&mut Self)) {
        let due = |(place, span): (usize, &Sent)| {
            (span.start.div_euclid(10 * SECOND) * 10 * SECOND + 10 * SECOND + delay(place), span.clone())
        };
        let mut arrivals: Vec<(i64, Sent)> = spans.iter().enumerate().map(due).collect();
        arrivals.sort_by_key(|(at, span)| (*at, span.trace));
        for together in arrivals.chunk_by(|one, other| one.0 == other.0) {
            self.pass((together[0].0 - self.clock.now().0).max(0));
            self.send(&together.iter().map(|(_, span)| span.clone()).collect::<Vec<_>>()).await;
            then(self).await;
        }
    }

    /// Everything that was decided, at some instant.
    fn verdicts_at(&self, instant: i64) -> RecordBatch {
        self.pass(instant - self.clock.now().0);
        self.engine.table(EngineTable::Verdicts).unwrap()
    }

    fn planned(&self) -> u64 {
        self.engine.verdict("pay", "p2", Some("prod")).unwrap().planned_traces
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3, ..ProptestConfig::default() })]

    /// Scenario: 2,100 traces of p1 before a release, delivered as they come; and again in another order, a third of p1's up to two hours late and all
    /// others up to four minutes, by a store that flushes and an engine that is restarted now and then; then a restart that reads files only.
    /// Guarantees: planned for 2,000 each time, and the same verdicts, byte for byte, at the same instant.
    #[test]
    fn any_delivery_gives_the_same_plan_and_verdicts(seed: u64) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut random = StdRng::seed_from_u64(seed);
            let traces = a_release_after(2_100, &mut random);
            let instant = MINUTE_0 + 3 * HOUR;
            let mut plain = Bench::new(minute_config()).await;
            plain.deliver(&traces, |_| 0, async |_| ()).await;
            let expected = plain.verdicts_at(instant);
            assert_eq!((plain.planned(), expected.num_rows()), (2_000, 2));
            let mut delay = |(place, span): (usize, &Sent)| {
                // The first trace of a version that comes minutes late makes its arrival later: a clock is believed for five minutes.
                let late = place > 0 && span.version == "p1" && random.random_ratio(1, 3);
                random.random_range(0..if late { 120 } else { 4 }) * MINUTE
            };
            let delays: Vec<i64> = traces.iter().enumerate().map(&mut delay).collect();
            let mut other = Bench::new(minute_config()).await;
            other.deliver(&traces, |place| delays[place], async |bench| match random.random_range(0..40) {
                0 => bench.store.flush().await.unwrap(),
                1 => bench.restart(random.random()),
                _ => drop(bench.read_again()),
            }).await;
            assert_eq!(other.verdicts_at(instant), expected);
            other.store.flush().await.unwrap();
            other.restart(true);
            assert!(other.store.snapshot().buffered.is_empty());
            assert_eq!(other.engine.table(EngineTable::Verdicts).unwrap(), expected);
        });
    }
}

/// Scenario: 1,999 traces of p1 in the minute that counts, and a release that is being judged; then one more trace of the minute between, and one of
/// the minute that counts, each ten minutes late.
/// Guarantees: the first is nothing to the plan, which is 1,000; the second moves it by its one step, as if it had come in time.
#[tokio::test]
async fn a_late_trace_moves_the_plan_only_across_a_step() {
    let mut random = StdRng::seed_from_u64(5);
    let traces = a_release_after(1_999, &mut random);
    let mut bench = Bench::new(minute_config()).await;
    bench.deliver(&traces, |_| 0, async |_| ()).await;
    bench.pass(10 * SECOND);
    assert_eq!(bench.planned(), 1_000);
    bench.pass(600 * SECOND);
    for (trace, minute, planned) in [(9_001, 1, 1_000), (9_002, 0, 2_000)] {
        bench.send(&[payment(trace, "p1", MINUTE_0 + minute * MINUTE + 1, &mut random)]).await;
        bench.pass(10 * SECOND);
        assert_eq!(bench.planned(), planned);
        bench.restart(false);
        assert_eq!(bench.planned(), planned);
    }
}

/// Scenario: a release planned for 2,000 traces; 31 minutes later a start that reads half an hour again, which leaves out the minute that counts. It lies in a
/// file of its own, or in one that is read for what else it holds.
/// Guarantees: planned for 2,000 before; after the start for 1,000, however the spans lie in files, and the same verdicts for both.
#[tokio::test]
async fn what_is_not_read_again_is_no_part_of_the_plan() {
    let mut decided = Vec::new();
    for apart in [true, false] {
        let traces = a_release_after(2_100, &mut StdRng::seed_from_u64(5));
        let mut bench =
            Bench::new(EngineConfig { rebuild_window: Duration::from_secs(1_800), ..minute_config() }).await;
        bench
            .deliver(
                &traces,
                |_| 0,
                async |bench| {
                    if apart && bench.clock.now().0 == MINUTE_0 + MINUTE {
                        bench.store.flush().await.unwrap();
                    }
                },
            )
            .await;
        bench.store.flush().await.unwrap();
        bench.verdicts_at(MINUTE_0 + 31 * MINUTE);
        assert_eq!((bench.planned(), bench.store.snapshot().files.len()), (2_000, if apart { 2 } else { 1 }));
        bench.restart(true);
        assert_eq!(bench.planned(), 1_000);
        decided.push(bench.engine.verdict("pay", "p2", Some("prod")).unwrap());
    }
    assert_eq!(decided[0], decided[1]);
}

/// Scenario: a version whose release is older than the engine keeps minutes, and that still serves beside the old one.
/// Guarantees: the plan stays as it was when the minutes that count are forgotten.
#[tokio::test]
async fn forgotten_minutes_leave_the_plan_as_it_was() {
    let mut random = StdRng::seed_from_u64(5);
    let traces = a_release_after(2_100, &mut random);
    let mut bench = Bench::new(EngineConfig { retention: Duration::from_secs(3_600), ..minute_config() }).await;
    bench.deliver(&traces, |_| 0, async |_| ()).await;
    let later = (0..60).map(|number| {
        let version = if number % 2 == 0 { "p1" } else { "p2" };
        payment(8_000 + number, version, MINUTE_0 + 50 * MINUTE + i64::try_from(number).unwrap() * SECOND, &mut random)
    });
    let later: Vec<Sent> = later.collect();
    bench.deliver(&later, |_| 0, async |_| ()).await;
    for minute in [55, 60, 61, 70] {
        bench.verdicts_at(MINUTE_0 + minute * MINUTE);
        assert_eq!(bench.planned(), 2_000, "minute {minute}");
    }
}

/// Scenario: a start that reads a day; one that reads half an hour; one that left out files of the hour that it is in.
/// Guarantees: traces are all there from the day's and the half hour's beginning on; of the last one from the start on, and not only from the next hour on.
#[test]
fn traces_are_all_there_from_the_read_or_the_start_on() {
    let now = START;
    let reach = |received_from, started_from| Measured { received_from, started_from, followed_from: now }.whole_from();
    assert_eq!(reach(i64::MIN, now - 24 * HOUR), now - 24 * HOUR);
    assert_eq!(reach(i64::MIN, now - HOUR / 2), now - HOUR / 2);
    assert_eq!(reach(now - 3 * HOUR, now - 24 * HOUR), now - 3 * HOUR);
    assert_eq!(reach(now + HOUR / 2, now - 24 * HOUR), now);
}

/// Scenario: 2,100 traces of p1 and a release; the first trace of p2 is a call whose answer, by a clock that is eight minutes behind, comes half a
/// minute before the call itself. Then a restart that reads everything again.
/// Guarantees: p2 was first seen when the call began, so that both engines are planned by the same minutes, and say the same of it.
#[tokio::test]
async fn a_first_span_whose_clock_is_behind_moves_no_plan() {
    let mut random = StdRng::seed_from_u64(5);
    let mut traces = a_release_after(2_100, &mut random);
    let first = traces.iter().position(|span| span.version == "p2").unwrap();
    let gone = traces.remove(first);
    let at = gone.start;
    let mut call = call(90_001, "p2", at, 20 * MS);
    let answer = Sent { start: at - 8 * MINUTE, ..call.pop().unwrap() };
    let mut bench = Bench::new(minute_config()).await;
    let (before, after): (Vec<Sent>, Vec<Sent>) = traces.into_iter().partition(|span| span.start < at);
    bench.deliver(&before, |_| 0, async |_| ()).await;
    bench.pass((at - bench.clock.now().0).max(0));
    bench.send(&[answer]).await;
    bench.pass(30 * SECOND);
    bench.send(&call).await;
    bench.deliver(&after, |_| 0, async |_| ()).await;
    let decided = bench.verdicts_at(MINUTE_0 + 30 * MINUTE);
    assert_eq!((bench.planned(), decided.num_rows()), (2_000, 2));
    bench.store.flush().await.unwrap();
    bench.restart(true);
    assert_eq!(bench.engine.table(EngineTable::Verdicts).unwrap(), decided);
}

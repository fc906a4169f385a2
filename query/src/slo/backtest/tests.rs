//! Against a naive model: every call in a list, every window counted from the beginning.

use daytwo_storage::TraceId;

use super::*;
use crate::measure::{CellEntry, CellKey};

const S: i64 = 1_000_000_000;
const START: i64 = 1_700_000_000 * S;

#[derive(Clone, Copy)]
struct Call {
    at: i64,
    ns: i64,
    failed: bool,
}

/// Four hours of two calls a second: a bad quarter of an hour in the second hour, a bad minute in the third.
fn calls() -> Vec<Call> {
    let call = |number: i64| {
        let at = START + number * S / 2;
        let minute = (at - START) / (60 * S);
        let bad = (70..85).contains(&minute) && number % 3 == 0 || minute == 150 && number % 2 == 0;
        Call { at, ns: if number % 50 == 0 { 900_000_000 } else { 20_000_000 }, failed: bad }
    };
    (0..4 * 7_200).map(call).collect()
}

fn cells(calls: &[Call]) -> SliCells {
    let mut cells = SliCells::new(100, 64 << 20);
    for call in calls {
        for (service, kind) in [("pay", kind::SERVER), ("pay", kind::CLIENT), ("cart", kind::SERVER)] {
            cells.add(&CellEntry {
                key: CellKey {
                    environment: "prod".into(),
                    service: service.into(),
                    version: "v1".into(),
                    operation: "POST /pay".into(),
                    kind,
                    peer: "".into(),
                    journey: "".into(),
                },
                at: UnixNanos(call.at),
                duration_ns: call.ns,
                self_ns: None,
                gap_ns: None,
                error: call.failed,
                own_error: call.failed,
                weight: Weight::default(),
                trace_id: TraceId::from_bytes(&[1; 16]).unwrap(),
            });
        }
    }
    cells
}

fn trial(kind: ObjectiveKind, target: f64) -> ObjectiveTrial {
    let calls = Calls { service: "pay".into(), operation: None, environment: Some("prod".into()), kind, journey: None };
    ObjectiveTrial { calls, target, window: Duration::from_secs(30 * 86_400) }
}

fn range() -> TimeWindow {
    TimeWindow { from: UnixNanos(START), to: UnixNanos(START + 4 * 3_600 * S) }
}

/// The rule as the workbook has it, over the list of calls; slots are looked at whole, ten seconds for windows up to two hours, else five minutes.
fn naive(calls: &[Call], is_bad: impl Fn(&Call) -> bool, target: f64, step: i64) -> (u64, u64, Vec<i64>) {
    let rate = |at: i64, length: i64| {
        let width = if length <= 7_200 { 10 * S } else { 300 * S };
        let from = (at - 1 - length * S).max(at - 1 - 30 * 86_400 * S).div_euclid(width) * width;
        let inside = || calls.iter().filter(|call| call.at >= from && call.at < at);
        let (bad, all) = (inside().filter(|call| is_bad(call)).count(), inside().count());
        (bad as f64 / all.max(1) as f64 / (1.0 - target), bad)
    };
    // The lower end of the one-sided Clopper-Pearson interval at 1 % must be above the budget's rate.
    let believable = |at: i64, length: i64| {
        let (rate, bad) = rate(at, length);
        let all = bad as f64 / (rate * (1.0 - target));
        statrs::function::beta::inv_beta_reg(bad as f64, all - bad as f64 + 1.0, 0.01) > 1.0 - target
    };
    let pairs = [
        (true, 14.4, 3_600, 300),
        (true, 6.0, 21_600, 1_800),
        (false, 3.0, 86_400, 7_200),
        (false, 1.0, 259_200, 21_600),
    ];
    let (mut counts, mut begins, mut firing) = ([0, 0], Vec::new(), [false; 4]);
    let mut at = START + step;
    while at <= START + 4 * 3_600 * S {
        for (number, (page, threshold, long, short)) in pairs.into_iter().enumerate() {
            let ((long_rate, bad), (short_rate, _)) = (rate(at, long), rate(at, short));
            let now = long_rate > threshold && short_rate > threshold && bad >= 5 && believable(at, long);
            if now && !firing[number] {
                counts[usize::from(!page)] += 1;
                begins.push(at);
            }
            firing[number] = now;
        }
        at += step;
    }
    (counts[0], counts[1], begins)
}

/// Scenario: four hours with a bad quarter of an hour and a bad minute, tried with three targets.
/// Guarantees: events, share and budget are those of the list of calls; the alerts, and when each would have begun, are those of the naive rule.
#[test]
fn alerts_are_those_of_the_naive_rule() {
    let calls = calls();
    let cells = cells(&calls);
    for target in [0.9, 0.99, 0.999] {
        let found = objective(&cells, &trial(ObjectiveKind::Availability, target), range());
        let bad = calls.iter().filter(|call| call.failed).count() as u64;
        assert_eq!((found.good, found.bad, found.bad_uncertain), (calls.len() as u64 - bad, bad, 0));
        let share = bad as f64 / calls.len() as f64;
        assert!((found.sli.unwrap() - (1.0 - share)).abs() < 1e-12);
        assert!((found.budget_left.unwrap() - (1.0 - share / (1.0 - target))).abs() < 1e-9);
        assert_eq!(found.step_s, 10);
        let (pages, tickets, begins) = naive(&calls, |call| call.failed, target, 10 * S);
        assert_eq!((found.pages, found.tickets), (pages, tickets), "{target}");
        assert_eq!(found.firings.iter().map(|firing| firing.from_unix_nano).collect::<Vec<_>>(), begins, "{target}");
    }
}

/// Scenario: thresholds below and above what slow calls take, one in fifty of which takes 900 ms, and some of those failed.
/// Guarantees: slow calls are counted exactly when the threshold is not in their bucket; how many may be counted twice is at most those that are
/// both; a stricter threshold never gives more good calls.
#[test]
fn thresholds_are_read_off_histograms() {
    let calls = calls();
    let cells = cells(&calls);
    let of =
        |ms: i64| objective(&cells, &trial(ObjectiveKind::Latency { threshold_ns: ms * 1_000_000 }, 0.99), range());
    let count = |wanted: &dyn Fn(&Call) -> bool| calls.iter().filter(|call| wanted(call)).count() as u64;
    let (failed, slow) = (count(&|call| call.failed), count(&|call| call.ns > 100_000_000));
    let (loose, middle, strict) = (of(2_000), of(100), of(1));
    assert_eq!((loose.bad, loose.bad_uncertain), (failed, 0));
    assert_eq!(middle.bad, failed + slow);
    let both = count(&|call| call.failed && call.ns > 100_000_000);
    assert!(
        middle.bad_uncertain >= both
            && middle.bad - middle.bad_uncertain <= count(&|call| call.failed || call.ns > 100_000_000)
    );
    assert_eq!((strict.good, strict.bad), (0, calls.len() as u64));
    assert_eq!(strict.firings.len(), 4, "everything burns");
    assert!(strict.firings.iter().all(|firing| firing.to_unix_nano.is_none()));
}

/// Scenario: a year asked of four hours of cells; another service; an empty stretch.
/// Guarantees: looks stay bounded, and without calls nothing is claimed.
#[test]
fn work_is_bounded_and_nothing_is_no_data() {
    let cells = cells(&calls());
    let year = TimeWindow { from: UnixNanos(START - 365 * 86_400 * S), to: range().to };
    let found = objective(&cells, &trial(ObjectiveKind::Availability, 0.99), year);
    assert!(found.step_s >= 365 * 86_400 / LOOKS_MAX && found.bad > 0);
    let nobody = ObjectiveTrial {
        calls: Calls { service: "nobody".into(), ..trial(ObjectiveKind::Availability, 0.99).calls },
        ..trial(ObjectiveKind::Availability, 0.99)
    };
    let found = objective(&cells, &nobody, range());
    assert_eq!(
        (found.good, found.bad, found.sli, found.budget_left, found.pages + found.tickets),
        (0, 0, None, None, 0)
    );
    assert_eq!(found.first_unix_nano, None);
}

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::slo::budget::Event;
use crate::slo::{Alerting, Calls, Member, ObjectiveKind, Window};
use crate::trace::Weight;

const SECOND: i64 = 1_000_000_000;
const NOW: UnixNanos = UnixNanos(1_700_000_000 * SECOND);

fn objective(weights: &[f64]) -> Objective {
    let member = |weight: &f64| Member {
        name: format!("m{weight}"),
        calls: Calls {
            service: "s".into(),
            operation: None,
            environment: None,
            kind: ObjectiveKind::Availability,
            journey: None,
        },
        target: 0.9,
        weight: *weight,
    };
    Objective {
        id: "o".to_owned(),
        name: "o".to_owned(),
        display_name: "o".to_owned(),
        service: "s".into(),
        members: weights.iter().map(member).collect(),
        target: 0.9,
        window: Window::Rolling(Duration::from_secs(7 * 86_400)),
        window_text: "7d".to_owned(),
        alerting: Alerting::Pairs,
        file: String::new(),
        yaml: String::new(),
    }
}

fn counter(events: &[(i64, bool)]) -> SloCounter {
    let (operation, version): (Arc<str>, Arc<str>) = ("GET /".into(), "v1".into());
    let mut counter = SloCounter::default();
    for (at, good) in events {
        let event = Event {
            at: UnixNanos(*at),
            good: *good,
            operation: &operation,
            version: &version,
            trace_id: None,
            weight: Weight::default(),
        };
        counter.change(&event, true);
    }
    counter
}

/// Scenario: three members with weights 3, 1 and 2, of which the last has no event.
/// Guarantees: the error ratio is the weighted average of those that have events; the parts add up to it; a member alone is its own ratio.
#[test]
fn members_weigh_in() {
    let events = |good, bad| Events { good, bad, ..Events::default() };
    let tally: Tally = [(events(90, 10), 3.0), (events(1, 1), 1.0), (events(0, 0), 2.0)].into_iter().collect();
    let naive = (3.0 * 0.1 + 1.0 * 0.5) / 4.0;
    assert!((tally.error().unwrap() - naive).abs() < 1e-12);
    let parts = tally.parts();
    assert!((parts[0].unwrap() - 0.075).abs() < 1e-12 && (parts[1].unwrap() - 0.125).abs() < 1e-12, "{parts:?}");
    assert_eq!(parts[2], None);
    assert_eq!(tally.sum(), events(91, 11));
    assert!(tally.rate_low(0.9) < tally.rate(0.9).unwrap());
    let one: Tally = [(events(90, 10), 7.0)].into_iter().collect();
    assert!((one.error().unwrap() - 0.1).abs() < 1e-12);
    let none: Tally = [(events(0, 0), 1.0)].into_iter().collect();
    assert_eq!((none.error(), none.rate_low(0.9)), (None, 0.0));
}

/// The least rate at now and at each end of a slot of the last `after`, event by event.
fn naive(members: &[(Vec<(i64, bool)>, f64)], width: i64, lookback: i64, after: i64) -> Option<f64> {
    let floor = |at: i64| at.div_euclid(width) * width;
    let ends = (0..).map(|step| floor(NOW.0) - step * width).take_while(|end| *end > NOW.0 - after).map(|end| end - 1);
    let rate = |to: i64| {
        let (mut sum, mut weights) = (0.0, 0.0);
        for (events, weight) in members {
            let seen = events.iter().filter(|(at, _)| floor(*at) >= floor(to - lookback) && floor(*at) <= to);
            let (all, bad) = (seen.clone().count(), seen.filter(|(_, good)| !good).count());
            if all > 0 {
                sum += weight * f64::from(u32::try_from(bad).unwrap()) / f64::from(u32::try_from(all).unwrap());
                weights += weight;
            }
        }
        (weights > 0.0).then(|| sum / weights / 0.1)
    };
    let rates: Option<Vec<f64>> = std::iter::once(NOW.0).chain(ends).map(rate).collect();
    rates?.into_iter().reduce(f64::min)
}

/// Scenario: two members with pseudo-random events over three hours, and conditions short enough for slots of 10 s and long enough for those of 5 min;
/// some look where there was nothing.
/// Guarantees: the least rate of a condition is that of a naive count, and unknown where an instant has no event.
#[test]
fn the_least_rate_is_that_of_a_naive_count() {
    let mut seed = 7_u64;
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from((seed >> 33) % below).unwrap()
    };
    let mut events = |count: usize, bad_of_ten: i64| -> Vec<(i64, bool)> {
        (0..count).map(|_| (NOW.0 - random(10_800) * SECOND, random(10) >= bad_of_ten)).collect()
    };
    let members = [(events(400, 3), 3.0), (events(60, 6), 1.0)];
    let counters: Vec<SloCounter> = members.iter().map(|(events, _)| counter(events)).collect();
    let objective = objective(&[3.0, 1.0]);
    let view = View::new(&objective, &counters, NOW);
    for (lookback, after) in [(60, 0), (600, 300), (3_600, 1_800), (10, 600), (3_600, 5_400), (7_200, 3_600)] {
        let width = if lookback + after <= 7_200 { 10 } else { 300 };
        let expected = naive(&members, width * SECOND, lookback * SECOND, after * SECOND);
        let seconds = |number: i64| Duration::from_secs(u64::try_from(number).unwrap());
        let found = view.least_rate(seconds(lookback), seconds(after));
        match (found, expected) {
            (Some(found), Some(expected)) => assert!((found - expected).abs() < 1e-9, "{lookback} {after}"),
            (found, expected) => assert_eq!(found, expected, "{lookback} {after}"),
        }
    }
    assert_eq!(view.least_rate(Duration::from_secs(3_600), Duration::from_secs(14_400)), None);
}

/// Scenario: events of five minutes over 100 days.
/// Guarantees: what is older than 90 days is joined by the hour, in a slot that had events; no count is lost, of a window that begins within an hour
/// neither.
#[test]
fn old_slots_are_joined() {
    let five = 300 * SECOND;
    let begin = NOW.0.div_euclid(3_600 * SECOND) * 3_600 * SECOND - 100 * 24 * 3_600 * SECOND + 2 * five;
    let events: Vec<(i64, bool)> = (0..28_000).map(|step| (begin + step * five, step % 10 != 0)).collect();
    let mut counter = counter(&events);
    let before = counter.between(UnixNanos(begin), NOW);
    counter.maintain(NOW, Duration::from_secs(367 * 86_400));
    assert_eq!(counter.between(UnixNanos(begin), NOW), before);
    let hour = |at: i64| at.div_euclid(3_600 * SECOND) * 3_600 * SECOND;
    let until = hour(NOW.0 - 90 * 24 * 3_600 * SECOND);
    let expected: BTreeSet<i64> = events.iter().map(|(at, _)| if *at < until { hour(*at) } else { *at }).collect();
    assert_eq!(counter.steps(UnixNanos(0), NOW).count(), expected.len());
    assert_eq!(counter.steps(UnixNanos(0), NOW).next().map(|(start, _)| start), Some(begin));
}

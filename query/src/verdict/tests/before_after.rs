//! What is said when only the past of the old version is left.

use std::sync::Arc;

use super::super::{Class, Rung, State, Verdict, VerdictConfig, judge};
use super::shop::{Effect, NOTHING, SECOND, START, Shop, cohorts_for, filled, now, verdict_of};
use crate::measure::{TraceRecord, measure_trace};
use crate::trace::{SpanResource, stitch};

/// Scenario: all traffic moves at once to a version 60 % slower, then to one that is equal.
/// Guarantees: before/after is said; frontend, which stood still, confirms the first; the second is not blamed.
#[test]
fn before_and_after_says_so() {
    let slow = verdict_of(6, Effect { charge_factor: 1.6, canary: None, ..NOTHING }, 40, 90);
    assert_eq!(slow.baseline.rung, Rung::C);
    assert!(matches!(slow.state, State::Fail | State::Warn), "{slow:#?}");
    assert!(slow.reason.contains("before/after"), "{}", slow.reason);
    let equal = verdict_of(6, Effect { canary: None, ..NOTHING }, 40, 90);
    assert!(matches!(equal.state, State::Pass | State::Continue), "{equal:#?}");
}

fn moved_at_once(effect: &Effect, old: u64, new: u64) -> Verdict {
    let mut shop = Shop::new(10);
    let spread = |count: u64, from: i64| {
        (0..count).map(move |number| START + from + i64::try_from(number * 60_000 / count).unwrap() * SECOND / 1_000)
    };
    let before = spread(old, 0).map(|at| (at, "v1"));
    let after = spread(new, 60 * SECOND).map(|at| (at, "v2"));
    let records: Vec<TraceRecord> = (0..)
        .zip(before.chain(after))
        .map(|(number, (at, version))| {
            let effect = if version == "v2" { effect } else { &NOTHING };
            measure_trace(&stitch(shop.trace(number, at, version, effect))).unwrap()
        })
        .collect();
    let config = VerdictConfig::default();
    judge(&filled(&records, &config), now(60), &config)
}

/// Scenario: all traffic moves at once to a version three times slower; the old one had 80 traces in a single minute.
/// Guarantees: without a second block of its past its ordinary variation is unknown, which is no FAIL but a WARN.
#[test]
fn unknown_variation_is_no_proof() {
    let verdict = moved_at_once(&Effect { charge_factor: 3.0, ..NOTHING }, 80, 2_000);
    assert_eq!((verdict.state, verdict.baseline.rung), (State::Warn, Rung::C), "{}", verdict.reason);
    assert!(verdict.reason.contains("too few traces"), "{}", verdict.reason);
}

/// Scenario: all traffic moves at once to a version that fails in a fifth of its traces; with few traces, then with many.
/// Guarantees: WARN until the callers' own errors are shown to be steady, then FAIL.
#[test]
fn errors_before_and_after_need_steady_controls() {
    let failing = Effect { error_share: 0.2, ..NOTHING };
    let few = moved_at_once(&failing, 150, 150);
    assert_eq!((few.state, few.class), (State::Warn, Some(Class::Own)), "{}", few.reason);
    assert!(few.reason.contains("errors are not shown to be steady"), "{}", few.reason);
    assert_eq!(moved_at_once(&failing, 2_000, 2_000).state, State::Fail);
}

/// Scenario: all traffic moves at once to a version three times slower; the callers, the ledger below and it are judged.
/// Guarantees: it is the first suspect in every verdict, and the callers, whose requests take longer, are not blamed.
#[test]
fn before_and_after_the_first_suspect_is_the_culprit() {
    let config = VerdictConfig::default();
    let records = Shop::new(22).records(&Effect { charge_factor: 3.0, canary: None, ..NOTHING }, 40, 90);
    for service in ["payment", "frontend", "ledger"] {
        let mut cohorts = cohorts_for(service, &config);
        for record in &records {
            let mut record = record.clone();
            let version = if record.start >= now(0) { "v2" } else { "v1" };
            for resource in record.resources.iter_mut().filter(|resource| *resource.service == *service) {
                *resource = Arc::new(SpanResource { version: version.into(), ..(**resource).clone() });
            }
            cohorts.add(&record);
        }
        let verdict = judge(&cohorts, now(90), &config);
        assert_eq!(verdict.suspects[0].service, "payment", "{service}: {:?}", verdict.suspects);
        assert_eq!(service == "payment", matches!(verdict.state, State::Fail | State::Warn), "{}", verdict.reason);
    }
}

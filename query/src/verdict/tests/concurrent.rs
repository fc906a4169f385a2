//! What is said with concurrent traffic of both versions.

use std::sync::Arc;

use super::super::{Class, FindingNode, Rung, Signal, State, VerdictConfig, judge};
use super::shop::{Effect, NOTHING, SECOND, START, Shop, filled, now, verdict_of};
use crate::measure::{TraceRecord, measure_trace};
use crate::trace::{SpanResource, stitch};

/// Scenario: the new version's charge takes 60 % longer by itself; half the traffic, 20 traces a second each, one minute.
/// Guarantees: FAIL, OWN, the right operation first, the ratio within its interval, the caller INHERITED and nobody else.
#[test]
fn a_slow_operation_fails_as_its_own() {
    for seed in 0..5 {
        let verdict = verdict_of(seed, Effect { charge_factor: 1.6, ..NOTHING }, 40, 60);
        assert_eq!((verdict.state, verdict.class), (State::Fail, Some(Class::Own)), "{verdict:#?}");
        let worst = &verdict.findings[0];
        assert_eq!((worst.operation.as_deref(), worst.node), (Some("POST /charge"), FindingNode::SelfTime));
        assert!(worst.ratio_low.unwrap() < 1.6 && 1.6 < worst.ratio_high.unwrap(), "{}", worst.why);
        let affected: Vec<_> = verdict.affected.iter().map(|row| (row.service.as_str(), row.class)).collect();
        assert_eq!(affected, [("frontend", Some(Class::Inherited))]);
        assert_eq!(verdict.baseline.rung, Rung::B);
        assert!(verdict.headline.contains("POST /charge"), "{}", verdict.headline);
        assert!(
            verdict
                .findings
                .iter()
                .all(|row| row.state != State::Fail || row.operation.as_deref() != Some("GET /cards"))
        );
    }
}

/// Scenario: the way to the new version takes 3 ms longer; its own spans do not.
/// Guarantees: FAIL, EDGE, charged to payment with frontend as the peer.
#[test]
fn a_slow_way_fails_as_an_edge() {
    let verdict = verdict_of(1, Effect { gap_ms: 3.0, ..NOTHING }, 40, 60);
    assert_eq!((verdict.state, verdict.class), (State::Fail, Some(Class::Edge)), "{verdict:#?}");
    assert_eq!(
        (verdict.findings[0].service.as_str(), verdict.findings[0].peer.as_deref()),
        ("payment", Some("frontend"))
    );
}

/// Scenario: the new version fails in 8 % of its traces instead of 0.2 %.
/// Guarantees: FAIL, OWN, by errors.
#[test]
fn more_errors_fail() {
    let verdict = verdict_of(2, Effect { error_share: 0.08, ..NOTHING }, 40, 60);
    assert_eq!((verdict.state, verdict.class), (State::Fail, Some(Class::Own)), "{verdict:#?}");
    assert_eq!(verdict.findings[0].signal, Signal::Errors);
}

/// Scenario: the new version calls the ledger four times instead of once.
/// Guarantees: FAIL, INDUCED, with the calls per trace.
#[test]
fn more_calls_fail_as_induced() {
    let verdict = verdict_of(3, Effect { ledger_calls: 4, ..NOTHING }, 40, 60);
    assert_eq!(verdict.state, State::Fail, "{verdict:#?}");
    assert!(verdict.structure.iter().any(|change| change.callee == "ledger" && change.calls_per_trace_after > 3.9));
    assert!(matches!(verdict.class, Some(Class::Induced | Class::Edge)), "{:?}", verdict.class);
}

/// Scenario: a tenth of the checkouts through the new version take eight times as long; the median does not move.
/// Guarantees: FAIL, by the tail.
#[test]
fn a_slow_tenth_fails() {
    let mut shop = Shop::new(21);
    let records: Vec<TraceRecord> = (0..4_000_u64)
        .map(|number| {
            let at = START + 60 * SECOND + i64::try_from(number).unwrap() * SECOND / 40;
            let new = number % 2 == 1;
            let factor = if new && number % 20 == 1 { 8.0 } else { 1.0 };
            let effect = Effect { charge_factor: factor, checkout_share: 1.0, ..NOTHING };
            let version = if new { "v2" } else { "v1" };
            measure_trace(&stitch(shop.trace(number, at, version, &effect))).unwrap()
        })
        .collect();
    let config = VerdictConfig::default();
    let verdict = judge(&filled(&records, &config), now(160), &config);
    assert_eq!((verdict.state, verdict.class), (State::Fail, Some(Class::Own)), "{}", verdict.headline);
    let (before, after) = verdict.findings[0].before_ms.zip(verdict.findings[0].after_ms).unwrap();
    assert!(after.p50 < 1.2 * before.p50 && after.p95 > 2.0 * before.p95, "{before:?} {after:?}");
}

/// Scenario: a version three times slower on one operation, and an equal one, with 25 traces on either side.
/// Guarantees: FAIL; a rank test of so few is not approximate where it matters (see [`rank_test`]).
#[test]
fn a_gross_slowdown_shows_in_twenty_traces() {
    let all_checkouts = |factor| {
        let mut shop = Shop::new(4);
        let effect = Effect { charge_factor: factor, checkout_share: 1.0, ..NOTHING };
        let old = Effect { charge_factor: 1.0, ..effect };
        let records: Vec<TraceRecord> = (0..50_u64)
            .map(|number| {
                let at = START + 60 * SECOND + i64::try_from(number).unwrap() * SECOND;
                let (version, effect) = if number % 2 == 0 { ("v1", &old) } else { ("v2", &effect) };
                measure_trace(&stitch(shop.trace(number, at, version, effect))).unwrap()
            })
            .collect();
        let config = VerdictConfig::default();
        judge(&filled(&records, &config), now(60), &config)
    };
    assert_eq!(all_checkouts(3.0).state, State::Fail);
    assert_ne!(all_checkouts(1.0).state, State::Fail);
}

/// Scenario: the ledger below fails in a tenth of the traces through the new version, and payment's requests with it.
/// Guarantees: no PASS although payment never fails by itself; a finding says so, as WARN and INDUCED.
#[test]
fn broken_callees_do_not_pass() {
    let mut shop = Shop::new(12);
    let records: Vec<TraceRecord> = (0..6_000_u64)
        .map(|number| {
            let at = START + 60 * SECOND + i64::try_from(number).unwrap() * SECOND / 60;
            let version = if number % 2 == 0 { "v1" } else { "v2" };
            let mut spans = shop.trace(number, at, version, &Effect { error_share: 0.0, ..NOTHING });
            let broken = number % 20 == 1;
            spans
                .iter_mut()
                .filter(|span| broken && &*span.resource.service != "frontend")
                .for_each(|span| span.status = 2);
            measure_trace(&stitch(spans)).unwrap()
        })
        .collect();
    let config = VerdictConfig::default();
    let verdict = judge(&filled(&records, &config), now(100), &config);
    assert_eq!(verdict.state, State::Continue, "{}", verdict.headline);
    assert!(verdict.reason.contains("failed requests"), "{}", verdict.reason);
    let found = verdict.findings.iter().find(|row| row.class == Some(Class::Induced)).unwrap();
    assert_eq!((found.state, found.signal, found.node), (State::Warn, Signal::Errors, FindingNode::Total));
}

/// Scenario: a canary whose traces also go through another version of the ledger, and the way to it takes 3 ms longer.
/// Guarantees: CONFOUNDED with the ledger's name, not FAIL.
#[test]
fn two_versions_that_moved_together_are_confounded() {
    let mut records = Shop::new(24).records(&Effect { gap_ms: 3.0, ..NOTHING }, 40, 60);
    for record in &mut records {
        let new = record.version_of("payment", "prod").is_some_and(|version| &**version == "v2");
        for resource in record.resources.iter_mut().filter(|resource| &*resource.service == "ledger" && new) {
            *resource = Arc::new(SpanResource { version: "l2".into(), ..(**resource).clone() });
        }
    }
    let config = VerdictConfig::default();
    let verdict = judge(&filled(&records, &config), now(60), &config);
    assert_eq!((verdict.state, verdict.class), (State::Confounded, Some(Class::Edge)), "{}", verdict.reason);
    assert!(verdict.reason.contains("ledger"), "{}", verdict.reason);
}

//! A seeded shop of four services: frontend calls checkout and account pages, both call payment, checkout also
//! calls cart. Payment is released as a canary, or at once; what the new version does is the test's choice.

use std::sync::Arc;
use std::time::Duration;

use daytwo_storage::{SpanId, TraceId, UnixNanos};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::*;
use crate::measure::{TraceRecord, measure_trace};
use crate::trace::{SpanResource, TraceSpan, Weight, kind, stitch};

const SECOND: i64 = 1_000_000_000;
const START: i64 = 1_700_000_000 * SECOND;
const MS: f64 = 1e6;

/// What the new version of payment does differently.
#[derive(Debug, Clone, Copy)]
struct Effect {
    charge_factor: f64,
    gap_ms: f64,
    error_share: f64,
    /// Share of checkouts among its traces (the old version's is one half).
    checkout_share: f64,
    /// Calls it makes to the ledger.
    ledger_calls: usize,
    /// Share of traffic; `None` moves all traffic over at once.
    canary: Option<f64>,
}

const NOTHING: Effect = Effect {
    charge_factor: 1.0,
    gap_ms: 0.0,
    error_share: 0.002,
    checkout_share: 0.5,
    ledger_calls: 1,
    canary: Some(0.5),
};

struct Shop {
    random: StdRng,
    next_id: u64,
}

impl Shop {
    fn new(seed: u64) -> Self {
        Self { random: StdRng::seed_from_u64(seed), next_id: 1 }
    }

    fn time(&mut self, median_ms: f64, sigma: f64) -> f64 {
        let normal: f64 = (0..12).map(|_| self.random.random::<f64>()).sum::<f64>() - 6.0;
        median_ms * MS * (sigma * normal).exp()
    }

    #[expect(clippy::too_many_arguments, clippy::cast_possible_truncation, reason = "a row of a span table")]
    fn span(
        &mut self,
        trace: u64,
        parent: Option<u64>,
        service: (&str, &str),
        operation: &str,
        kind: i32,
        start: f64,
        length: f64,
    ) -> TraceSpan {
        self.next_id += 1;
        let mut id = [1_u8; 16];
        id[8..].copy_from_slice(&trace.to_be_bytes());
        TraceSpan {
            trace_id: TraceId::from_bytes(&id).unwrap(),
            span_id: SpanId::from_bytes(&self.next_id.to_be_bytes()).unwrap(),
            parent_span_id: parent.map(|parent| SpanId::from_bytes(&parent.to_be_bytes()).unwrap()),
            resource: Arc::new(SpanResource {
                service: service.0.into(),
                version: service.1.into(),
                environment: "prod".into(),
                instance: "".into(),
                traits: Arc::from([]),
            }),
            operation: operation.into(),
            kind,
            start_ns: start as i64,
            duration_ns: length as i64,
            status: 0,
            has_events: false,
            has_links: false,
            received_ns: start as i64,
            weight: Weight::default(),
            flags: None,
        }
    }

    /// One trace at `at`, through payment `version` with the given effect.
    fn trace(&mut self, number: u64, at: i64, version: &str, effect: &Effect) -> Vec<TraceSpan> {
        let checkout = self.random.random::<f64>() < effect.checkout_share;
        let charge =
            self.time(if checkout { 20.0 } else { 6.0 }, 0.3) * if checkout { effect.charge_factor } else { 1.0 };
        let ledger: Vec<f64> = (0..effect.ledger_calls).map(|_| self.time(3.0, 0.3)).collect();
        let payment = charge + ledger.iter().sum::<f64>() + ledger.len() as f64 * 0.4 * MS;
        let gap = self.time(0.8, 0.3) + effect.gap_ms * MS;
        let middle = self.time(5.0, 0.3);
        let front = self.time(4.0, 0.3);
        let failed = self.random.random::<f64>() < effect.error_share;
        let (root_name, operation) =
            if checkout { ("POST /checkout", "POST /charge") } else { ("GET /account", "GET /cards") };
        let at = at as f64;
        let call = payment + gap;
        let root = self.span(number, None, ("frontend", "f1"), root_name, kind::SERVER, at, front + middle + call);
        let root_id = self.next_id;
        let inner = self.span(number, Some(root_id), ("frontend", "f1"), "prepare", 1, at + front / 2.0, middle + call);
        let inner_id = self.next_id;
        let client = self.span(
            number,
            Some(inner_id),
            ("frontend", "f1"),
            "call payment",
            kind::CLIENT,
            at + front / 2.0 + middle / 2.0,
            call,
        );
        let client_id = self.next_id;
        let start = at + front / 2.0 + middle / 2.0 + gap / 2.0;
        let mut server =
            self.span(number, Some(client_id), ("payment", version), operation, kind::SERVER, start, payment);
        server.status = if failed { 2 } else { 0 };
        let server_id = self.next_id;
        let mut spans = vec![root, inner, client, server];
        let mut next = start + charge / 2.0;
        for time in ledger {
            spans.push(self.span(
                number,
                Some(server_id),
                ("payment", version),
                "call ledger",
                kind::CLIENT,
                next,
                time + 0.4 * MS,
            ));
            let ledger_client = self.next_id;
            spans.push(self.span(
                number,
                Some(ledger_client),
                ("ledger", "l1"),
                "append",
                kind::SERVER,
                next + 0.2 * MS,
                time,
            ));
            next += time + 0.4 * MS;
        }
        spans
    }

    /// A minute of the old version, then `seconds` with the new one, so many traces a second.
    fn records(&mut self, effect: &Effect, per_second: u64, seconds: u64) -> Vec<TraceRecord> {
        let mut records = Vec::new();
        for number in 0..(60 + seconds) * per_second {
            let at = START + i64::try_from(number).unwrap() * SECOND / i64::try_from(per_second).unwrap();
            let after = at >= START + 60 * SECOND;
            let new = after && effect.canary.is_none_or(|share| self.random.random::<f64>() < share);
            let spans = if new { self.trace(number, at, "v2", effect) } else { self.trace(number, at, "v1", &NOTHING) };
            records.push(measure_trace(&stitch(spans)).unwrap().0);
        }
        records
    }
}

fn cohorts_for(service: &str, config: &VerdictConfig) -> Cohorts {
    let key = CohortKey {
        environment: "prod".into(),
        service: service.into(),
        flag: None,
        candidate: "v2".into(),
        baseline: Some("v1".into()),
        first_seen: UnixNanos(START + 60 * SECOND),
    };
    Cohorts::new(key, config.lookback, config.bake)
}

fn filled<'a>(records: impl IntoIterator<Item = &'a TraceRecord>, config: &VerdictConfig) -> Cohorts {
    let mut cohorts = cohorts_for("payment", config);
    records.into_iter().for_each(|record| cohorts.add(record));
    cohorts
}

fn now(seconds: u64) -> UnixNanos {
    UnixNanos(START).saturating_add(Duration::from_secs(60 + seconds))
}

fn verdict_of(seed: u64, effect: Effect, per_second: u64, seconds: u64) -> Verdict {
    let config = VerdictConfig::default();
    let records = Shop::new(seed).records(&effect, per_second, seconds);
    judge(&filled(&records, &config), now(seconds), &config)
}

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

/// Scenario: the new version gets nine checkouts in ten instead of one in two, and nothing else changes.
/// Guarantees: not FAIL, although its mean is much higher (Simpson).
#[test]
fn another_mix_is_not_a_regression() {
    for seed in 0..20 {
        let verdict = verdict_of(seed, Effect { checkout_share: 0.9, ..NOTHING }, 40, 60);
        assert!(!matches!(verdict.state, State::Fail | State::Warn | State::Inherited), "{seed}: {}", verdict.headline);
    }
}

/// Scenario: a slow version with a handful of traces, and a good one with a handful.
/// Guarantees: CONTINUE with what is needed, never PASS or FAIL; INCONCLUSIVE when the bake time has ended.
#[test]
fn too_little_data_decides_nothing() {
    for factor in [1.0, 3.0] {
        let effect = Effect { charge_factor: factor, ..NOTHING };
        let verdict = verdict_of(4, effect, 2, 6);
        assert_eq!(verdict.state, State::Continue, "{verdict:#?}");
        assert!(verdict.traces_needed.is_some_and(|traces| traces > 0) && verdict.seconds_needed.is_some());
        let config = VerdictConfig::default();
        let records = Shop::new(4).records(&effect, 2, 6);
        assert_eq!(judge(&filled(&records, &config), now(4_000), &config).state, State::Inconclusive);
    }
}

/// Scenario: no difference and plenty of traces.
/// Guarantees: PASS, with an MDE.
#[test]
fn an_equal_version_passes() {
    let verdict = verdict_of(5, NOTHING, 60, 120);
    assert_eq!(verdict.state, State::Pass, "{verdict:#?}");
    assert!(verdict.mde_ratio.unwrap() < 1.2 && verdict.coverage > 0.99);
}

/// Scenario: no difference; checkouts are one trace in eight, some 250 of the new version; 50 % slower would do.
/// Guarantees: errors are bounded for the whole service and not for checkouts (250 without a failure bound 1.5 %): no PASS.
#[test]
fn errors_are_bounded_on_every_journey() {
    let equal = Effect { error_share: 0.0, checkout_share: 0.125, ..NOTHING };
    let records = (0..2_000_u64 * 2).map(|number| {
        let at = START + 60 * SECOND + i64::try_from(number).unwrap() * SECOND / 40;
        (number, at, if number % 2 == 0 { "v1" } else { "v2" })
    });
    let mut shop = Shop::new(9);
    let records: Vec<TraceRecord> = records
        .map(|(number, at, version)| measure_trace(&stitch(shop.trace(number, at, version, &equal))).unwrap().0)
        .collect();
    let config = VerdictConfig { margin: 0.5, ..VerdictConfig::default() };
    let verdict = judge(&filled(&records, &config), now(100), &config);
    assert_eq!(verdict.state, State::Continue, "{verdict:#?}");
    assert!(verdict.reason.contains("errors on the journey frontend:POST /checkout"), "{}", verdict.reason);
    assert!(verdict.traces_needed.unwrap() > 500, "{:?}", verdict.traces_needed);
}

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
            measure_trace(&stitch(spans)).unwrap().0
        })
        .collect();
    let config = VerdictConfig::default();
    let verdict = judge(&filled(&records, &config), now(100), &config);
    assert_eq!(verdict.state, State::Continue, "{}", verdict.headline);
    assert!(verdict.reason.contains("failed requests"), "{}", verdict.reason);
    let found = verdict.findings.iter().find(|row| row.class == Some(Class::Induced)).unwrap();
    assert_eq!((found.state, found.signal, found.node), (State::Warn, Signal::Errors, FindingNode::Total));
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
            measure_trace(&stitch(shop.trace(number, at, version, effect))).unwrap().0
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

/// Scenario: a service that runs its only version.
/// Guarantees: NO_DATA, not PASS.
#[test]
fn a_first_version_is_not_judged() {
    let config = VerdictConfig::default();
    let mut cohorts = cohorts_for("payment", &config);
    cohorts.key.baseline = None;
    Shop::new(7).records(&NOTHING, 40, 30).iter().for_each(|record| cohorts.add(record));
    assert_eq!(judge(&cohorts, now(30), &config).state, State::NoData);
}

/// Scenario: 200 deployments without any effect, each looked at every 10 s for a minute.
/// Guarantees: none of them ever FAILs (the rule allows one in two hundred).
#[test]
fn no_effect_never_fails() {
    let config = VerdictConfig::default();
    let mut false_alarms = Vec::new();
    for seed in 0..200 {
        let records = Shop::new(1_000 + seed).records(&NOTHING, 10, 60);
        let mut cohorts = cohorts_for("payment", &config);
        let mut rest = records.iter().peekable();
        for look in 1..=6 {
            while let Some(record) = rest.next_if(|record| record.start < now(look * 10)) {
                cohorts.add(record);
            }
            let verdict = judge(&cohorts, now(look * 10), &config);
            if matches!(verdict.state, State::Fail | State::Warn | State::Inherited) {
                false_alarms.push((seed, look, verdict.headline));
            }
        }
    }
    assert!(false_alarms.is_empty(), "{} of 1200 looks: {false_alarms:?}", false_alarms.len());
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
                measure_trace(&stitch(shop.trace(number, at, version, effect))).unwrap().0
            })
            .collect();
        let config = VerdictConfig::default();
        judge(&filled(&records, &config), now(60), &config)
    };
    assert_eq!(all_checkouts(3.0).state, State::Fail);
    assert_ne!(all_checkouts(1.0).state, State::Fail);
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
            measure_trace(&stitch(shop.trace(number, at, version, &effect))).unwrap().0
        })
        .collect();
    let config = VerdictConfig::default();
    let verdict = judge(&filled(&records, &config), now(160), &config);
    assert_eq!((verdict.state, verdict.class), (State::Fail, Some(Class::Own)), "{}", verdict.headline);
    let (before, after) = verdict.findings[0].before_ms.zip(verdict.findings[0].after_ms).unwrap();
    assert!(after.p50 < 1.2 * before.p50 && after.p95 > 2.0 * before.p95, "{before:?} {after:?}");
}

/// Scenario: an identical version is ramped from 5 % to 50 % just when load makes everything half as slow again.
/// Guarantees: the two halves are not held against each other; without blocks of time the new version would look slower.
#[test]
fn a_ramp_while_load_changes_is_no_regression() {
    let mut shop = Shop::new(23);
    let records: Vec<TraceRecord> = (0..12_000_u64)
        .map(|number| {
            let at = START + 60 * SECOND + i64::try_from(number).unwrap() * SECOND / 20;
            let busy = number >= 6_000;
            let version = if shop.random.random::<f64>() < if busy { 0.5 } else { 0.05 } { "v2" } else { "v1" };
            let effect = Effect { charge_factor: if busy { 1.5 } else { 1.0 }, checkout_share: 1.0, ..NOTHING };
            measure_trace(&stitch(shop.trace(number, at, version, &effect))).unwrap().0
        })
        .collect();
    let config = VerdictConfig::default();
    let verdict = judge(&filled(&records, &config), now(600), &config);
    assert_eq!(verdict.baseline.rung, Rung::B);
    assert!(!matches!(verdict.state, State::Fail | State::Warn), "{}", verdict.headline);
    let own = verdict.findings.iter().find(|row| row.operation.as_deref() == Some("POST /charge")).unwrap();
    assert!(own.ratio.unwrap() < 1.05 && own.strata >= 2, "{own:?}");
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

/// Scenario: a canary with a trace every ten seconds, of the old and of the new version by turns and of both once a minute; for four minutes of the
/// old one alone.
/// Guarantees: all of it is concurrent but those four minutes, and the end, where the old one may be gone.
#[test]
fn a_slow_trickle_is_concurrent() {
    let mut shop = Shop::new(3);
    let (mut records, mut concurrent) = (Vec::new(), [0_u64; 2]);
    for slot in 0..111_i64 {
        let versions: &[&str] = match slot {
            61..84 => &["v1"],
            _ if slot % 6 == 0 => &["v1", "v2"],
            _ if slot % 2 == 0 => &["v1"],
            _ => &["v2"],
        };
        for version in versions {
            let spans = shop.trace(records.len() as u64, START + (60 + slot * 10) * SECOND, version, &NOTHING);
            records.push(measure_trace(&stitch(spans)).unwrap().0);
            concurrent[usize::from(*version == "v2")] += u64::from(!(61..84).contains(&slot) && slot <= 108);
        }
    }
    let config = VerdictConfig::default();
    let verdict = judge(&filled(&records, &config), now(1_110), &config);
    assert_eq!((verdict.baseline.rung, [verdict.baseline.traces, verdict.candidate.traces]), (Rung::B, concurrent));
}

/// Scenario: an open verdict and a decided one whose deployments are no longer followed.
/// Guarantees: the open one ends as INCONCLUSIVE and says why, the other stays.
#[test]
fn what_is_given_up_says_so() {
    let open = verdict_of(4, NOTHING, 2, 6).given_up(32);
    assert_eq!(open.state, State::Inconclusive);
    assert!(open.reason.starts_with("no longer judged: 32 newer releases are"), "{}", open.reason);
    let decided = verdict_of(1, Effect { gap_ms: 3.0, ..NOTHING }, 40, 60);
    assert_eq!(decided.given_up(32), decided);
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    /// Scenario: the same traces in another order, some of them added, taken out and added again.
    /// Guarantees: the same verdict, number for number.
    #[test]
    fn order_and_corrections_do_not_matter(seed in 0_u64..1_000, shuffle in any::<u64>()) {
        let config = VerdictConfig::default();
        let records = Shop::new(seed).records(&Effect { charge_factor: 1.2, ..NOTHING }, 10, 40);
        let expected = judge(&filled(&records, &config), now(40), &config);
        let mut order: Vec<&TraceRecord> = records.iter().collect();
        order.sort_by_key(|record| {
            let bytes: [u8; 8] = record.trace_id.as_bytes()[8..].try_into().unwrap();
            u64::from_be_bytes(bytes).wrapping_mul(shuffle | 1)
        });
        let mut cohorts = filled(order.iter().copied(), &config);
        for record in order.iter().take(50) {
            cohorts.remove(record);
            cohorts.add(record);
        }
        let got = judge(&cohorts, now(40), &config);
        prop_assert_eq!(format!("{got:?}"), format!("{expected:?}"));
    }
}

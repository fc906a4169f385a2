//! Splits of simulated traffic: as declared, not as declared, moved in steps, moved without a word, sampled, called again.

use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::super::{CohortKey, VerdictConfig};
use super::*;
use crate::measure::{Entry, TraceRecord, measure_trace};
use crate::trace::testing::{client, server};
use crate::trace::{SpanResource, Weight, stitch};
use daytwo_storage::TraceId;

const SECOND: i64 = 1_000_000_000;
const START: i64 = 1_700_000_000 * SECOND;

fn process(version: &str) -> Arc<SpanResource> {
    Arc::new(SpanResource {
        service: "pay".into(),
        version: version.into(),
        environment: "prod".into(),
        instance: "".into(),
        traits: Arc::from([]),
    })
}

/// A trace through one version of `pay`, as light as the tally allows.
fn record(number: u64, at: i64, version: &str) -> TraceRecord {
    let mut id = [5_u8; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    TraceRecord {
        trace_id: TraceId::from_bytes(&id).unwrap(),
        start: UnixNanos(at),
        received: UnixNanos(at),
        duration_ns: 1,
        journey: "j".into(),
        resources: vec![process(version)],
        nodes: Vec::new(),
        flags: Vec::new(),
        weight: Weight::default(),
        entries: Box::default(),
    }
}

/// Twenty traces a second; the share of v2 in each second is what `share` says.
fn traffic(seed: u64, seconds: i64, share: impl Fn(i64) -> f64) -> Vec<TraceRecord> {
    let mut random = StdRng::seed_from_u64(seed);
    let trace = |number: i64| {
        let second = number / 20;
        let version = if random.random::<f64>() < share(second) { "v2" } else { "v1" };
        record(number.unsigned_abs(), START + number * SECOND / 20, version)
    };
    (0..seconds * 20).map(trace).collect()
}

/// Shares declared so many seconds after the start.
fn steps(declared: &[(i64, Option<f64>)]) -> Vec<WeightStep> {
    let step = |(at, share): &(i64, Option<f64>)| WeightStep {
        at: UnixNanos(START + at * SECOND),
        share: share.and_then(TrafficShare::of),
        asker: None,
    };
    declared.iter().map(step).collect()
}

fn cohorts<'a>(records: impl IntoIterator<Item = &'a TraceRecord>, declared: &[(i64, Option<f64>)]) -> Cohorts {
    let key = CohortKey {
        environment: "prod".into(),
        service: "pay".into(),
        flag: None,
        candidate: "v2".into(),
        baseline: Some("v1".into()),
        first_seen: UnixNanos(START),
    };
    let rule = VerdictConfig::default();
    let mut cohorts = Cohorts::new(key, rule.lookback, rule.bake);
    cohorts.set_weights(steps(declared));
    records.into_iter().for_each(|record| cohorts.add(record));
    cohorts
}

fn found(records: &[TraceRecord], declared: &[(i64, Option<f64>)]) -> Vec<Split> {
    splits(&cohorts(records, declared))
}

/// Scenario: a tenth is declared and 38 of 100 come, for five minutes.
/// Guarantees: one window from a minute after the start to a minute before the end, whose numbers are those of a count by hand; it is skewed,
/// and says so in the words of the board.
#[test]
fn a_share_that_was_not_declared_is_found() {
    let records = traffic(1, 300, |_| 0.38);
    let found = found(&records, &[(-100, Some(0.1))]);
    let [split] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((split.from_unix_nano, split.to_unix_nano), (START + 60 * SECOND, START + 240 * SECOND));
    let inside = |record: &&TraceRecord| (split.from_unix_nano..split.to_unix_nano).contains(&record.start.0);
    let of = |version: &str| {
        records.iter().filter(inside).filter(|record| *record.resources[0].version == *version).count() as u64
    };
    assert_eq!((split.traces, split.elsewhere, split.mixed), (of("v2"), of("v1"), 0));
    assert!((split.effective - 3_600.0).abs() < 1e-6 && split.skewed && split.p_value < 1e-12, "{split:?}");
    let seen = split.share.unwrap();
    #[expect(clippy::cast_precision_loss, reason = "a small count")]
    let counted = of("v2") as f64 / 3_600.0;
    assert!((seen - counted).abs() < 1e-12);
    let words = split.reason();
    assert!(words.starts_with("traffic split 3") && words.ends_with("compared cohorts are not alike"), "{words}");
    assert!(words.contains(" % where 10 % was declared: "), "{words}");
    assert_eq!(worst(&found), Some(split));
}

/// Scenario: 300 canaries that get the tenth that was declared, each looked at every 10 s for ten minutes; without a declaration; one declared
/// as 33 % that gets a third of 800,000 traces.
/// Guarantees: none is ever skewed; nothing is tested that was not declared; rounding is no skew.
#[test]
fn a_share_as_declared_is_never_skewed() {
    let mut skewed = 0;
    for seed in 0..300 {
        let records = traffic(seed, 600, |_| 0.1);
        let all = cohorts(&records, &[(0, Some(0.1))]);
        let alarmed = (1..=60).any(|look| worst(&splits(&all.until(UnixNanos(START + look * 10 * SECOND)))).is_some());
        skewed += u32::from(alarmed);
    }
    assert_eq!(skewed, 0);
    assert_eq!(found(&traffic(1, 300, |_| 0.38), &[]), []);
    let mut third = cohorts(&[], &[(0, Some(0.33))]);
    for number in 0..800_000_u64 {
        let slot = START + i64::try_from(number % 61).unwrap() * 10 * SECOND + 100 * SECOND;
        let side = if number % 3 == 0 { Side::Candidate } else { Side::Elsewhere };
        third.tally.change(slot, None, side, Weight::default(), true);
    }
    let rounded = splits(&third);
    assert!(rounded[0].p_value < 0.001 && !rounded[0].skewed, "{rounded:?}");
}

/// Scenario: 10 % and then 50 %, the second brought about 20 s after it is declared; the same traffic with the second step not declared; then
/// one that was declared twice in the same words.
/// Guarantees: two windows that fit; without the declaration one that does not; a repetition begins no window.
#[test]
fn each_step_begins_a_window() {
    let share = |second: i64| if second < 320 { 0.1 } else { 0.5 };
    let records = traffic(2, 700, share);
    let stepped = found(&records, &[(0, Some(0.1)), (300, Some(0.5))]);
    let windows: Vec<_> =
        stepped.iter().map(|split| (split.declared, split.from_unix_nano, split.to_unix_nano)).collect();
    let at = |second: i64| START + second * SECOND;
    assert_eq!(windows, [(0.1, at(60), at(270)), (0.5, at(360), at(640))]);
    assert!(worst(&stepped).is_none(), "{stepped:?}");
    let silent = found(&records, &[(0, Some(0.1))]);
    assert_eq!((silent.len(), silent[0].skewed), (1, true));
    assert_eq!(found(&records, &[(0, Some(0.1)), (300, None)]).len(), 1);
    assert!(!found(&records, &[(0, Some(0.1)), (300, None)])[0].skewed);
    assert_eq!(found(&records, &[(0, Some(1.0))]), [], "all of it leaves nothing to compare");
}

/// Scenario: a tenth for five minutes; then all traffic goes back, or on, within a minute and without a word; one that goes back within its first
/// minute. And a version that gets everything from its first minute on, though a tenth was declared.
/// Guarantees: what was moved by hand is no skew; what never was as declared is.
#[test]
fn a_promotion_without_a_word_is_no_skew() {
    let after = |end: f64| {
        move |second: i64| {
            if second < 300 {
                0.1
            } else if second < 340 {
                0.5
            } else {
                end
            }
        }
    };
    for end in [0.0, 1.0] {
        let splits = found(&traffic(3, 900, after(end)), &[(0, Some(0.1))]);
        assert!(splits.len() == 1 && !splits[0].skewed, "{splits:?}");
    }
    let short = |second: i64| if second < 50 { 0.1 } else { 0.0 };
    assert_eq!(found(&traffic(3, 900, short), &[(0, Some(0.1))]), []);
    let all = found(&traffic(4, 200, |_| 1.0), &[(0, Some(0.1))]);
    assert_eq!((all[0].share, all[0].skewed, all[0].elsewhere), (Some(1.0), true, 0));
}

/// Scenario: 20 % of the traces reach v2 first; a call that v2 fails is tried again on v1 or v2, and one trace in three calls ten times.
/// Guarantees: a trace counts once, where its first call went: no skew, though four spans in ten are v2's. The same when only the spans of v1 are
/// sampled, one in eight.
#[test]
fn a_trace_counts_once_where_it_went_first() {
    let mut random = StdRng::seed_from_u64(5);
    let mut records = Vec::new();
    for number in 0..6_000_i64 {
        let at = START + number * SECOND / 20;
        let mut draw = |chance: f64| random.random::<f64>() < chance;
        let first = draw(0.2);
        let mut spans = vec![server(1, None, "shop", "GET /", at, SECOND), client(2, Some(1), "shop", "call", at, 900)];
        let mut call = |id: u64, new: bool| {
            let mut span = server(id, Some(2), "pay", "charge", at + i64::try_from(id).unwrap() * 10, 5);
            span.resource = process(if new { "v2" } else { "v1" });
            spans.push(span);
        };
        call(10, first);
        if first {
            call(11, draw(0.5));
        }
        if draw(0.3) {
            (20..30).for_each(|id| call(id, draw(0.5)));
        }
        spans.reverse();
        let mut bytes = [5_u8; 16];
        bytes[8..].copy_from_slice(&number.to_be_bytes());
        spans.iter_mut().for_each(|span| span.trace_id = TraceId::from_bytes(&bytes).unwrap());
        records.push(measure_trace(&stitch(spans)).unwrap());
    }
    let [split] = found(&records, &[(0, Some(0.2))]).try_into().unwrap();
    assert_eq!(split.traces + split.elsewhere, 20 * (300 - 120));
    assert!(!split.skewed && (split.share.unwrap() - 0.2).abs() < 0.03, "{split:?}");

    let eighth = Weight::of("ot=th:e");
    let sampled = |record: &&TraceRecord| {
        let (version, _) = record.entered("pay", "prod").unwrap();
        &**version == "v2" || record.trace_id.as_bytes()[15].is_multiple_of(8)
    };
    let mut thinned: Vec<TraceRecord> = records.iter().filter(sampled).cloned().collect();
    for record in &mut thinned {
        let (version, _) = record.entered("pay", "prod").unwrap();
        let weight = if &**version == "v2" { Weight::default() } else { eighth };
        record.entries = [Entry { resource: process(version), weight }].into();
    }
    let [split] = found(&thinned, &[(0, Some(0.2))]).try_into().unwrap();
    assert!(!split.skewed && (split.share.unwrap() - 0.2).abs() < 0.05, "{split:?}");
    assert!(split.effective < 3_600.0 / 2.0, "sampled traces say less: {split:?}");
}

/// Scenario: a flag's variants with one of ten declared, but only for the traces that `shop` asks for; `web` hands them out by halves.
/// Guarantees: the window is of `shop`'s traces, and is not skewed; declared for all who ask, it is.
#[test]
fn weights_may_be_of_one_asking_service() {
    let rule = VerdictConfig::default();
    let key = CohortKey { flag: Some("f".into()), service: "".into(), ..cohorts(&[], &[]).key().clone() };
    let mut cohorts = Cohorts::new(key, rule.lookback, rule.bake);
    let mut random = StdRng::seed_from_u64(6);
    for number in 0..20_000_i64 {
        let (asker, share) = if number % 2 == 0 { ("shop", 0.1) } else { ("web", 0.5) };
        let side = if random.random::<f64>() < share { Side::Candidate } else { Side::Elsewhere };
        let slot = START + number / 200 * 10 * SECOND;
        cohorts.tally.change(slot, Some(asker.into()), side, Weight::default(), true);
    }
    let mut step = steps(&[(0, Some(0.1))]);
    cohorts.set_weights(step.clone());
    assert!(splits(&cohorts)[0].skewed);
    step[0].asker = Some("shop".into());
    cohorts.set_weights(step);
    let splits = splits(&cohorts);
    assert_eq!((splits[0].asker.as_deref(), splits[0].skewed), (Some("shop"), false), "{splits:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// Scenario: the same traces in another order, some of them added, taken out and added again.
    /// Guarantees: the same splits, number for number.
    #[test]
    fn order_and_corrections_do_not_matter(seed in 0_u64..1_000, shuffle in any::<u64>()) {
        let records = traffic(seed, 400, |second| if second < 200 { 0.1 } else { 0.3 });
        let declared = [(0, Some(0.1)), (200, Some(0.5))];
        let mut order: Vec<&TraceRecord> = records.iter().collect();
        order.sort_by_key(|record| {
            let bytes: [u8; 8] = record.trace_id.as_bytes()[8..].try_into().unwrap();
            u64::from_be_bytes(bytes).wrapping_mul(shuffle | 1)
        });
        let mut shuffled = cohorts(order.iter().copied(), &declared);
        for record in order.iter().take(500) {
            shuffled.remove(record);
            shuffled.add(record);
        }
        prop_assert_eq!(format!("{:?}", splits(&shuffled)), format!("{:?}", found(&records, &declared)));
    }
}

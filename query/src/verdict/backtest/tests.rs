//! Against a naive model: at every look a fresh pair of cohorts, filled with the traces that had begun.

use std::collections::BTreeMap;
use std::time::Duration;

use daytwo_storage::testing::{TestSpan, batch_of};

use super::*;
use crate::measure::{TraceRecord, measure_trace};
use crate::trace::{ResourceCache, TraceSpan, extract_spans, stitch};
use crate::verdict::CohortKey;

const S: i64 = 1_000_000_000;
/// No whole slot: looks stand on slots all the same.
const START: i64 = 1_700_000_003 * S;

/// Ten traces of `shop` and `pay` a second for three minutes; from the second minute on every other one is through `pay` v2, slower by `more` ms.
fn records(more: u64) -> Vec<TraceRecord> {
    let mut traces: BTreeMap<u64, Vec<TraceSpan>> = BTreeMap::new();
    let mut cache = ResourceCache::default();
    for trace in 0..1_800_u64 {
        let start = u64::try_from(START).unwrap() - 60_000_000_000 + trace * 100_000_000;
        let new = trace >= 600 && trace.is_multiple_of(2);
        let work = (20_000 + (trace * 7_919) % 1_000 * 5 + if new { more * 1_000 } else { 0 }) * 1_000;
        let span = |id: u64| TestSpan::new(u128::from(trace) + 1, id);
        let root = span(1).service("shop").version("s1").name("GET /").at(start).lasting(work + 4_000_000);
        let pay = span(2).parent(1).service("pay").version(if new { "v2" } else { "v1" }).name("POST /pay");
        let batch =
            batch_of(UnixNanos(i64::try_from(start).unwrap()), &[root, pay.at(start + 1_000_000).lasting(work)]);
        traces.entry(trace).or_default().extend(extract_spans(batch.record_batch(), &mut cache).unwrap());
    }
    traces.into_values().map(|spans| measure_trace(&stitch(spans)).unwrap()).collect()
}

fn cohorts<'a>(records: impl Iterator<Item = &'a TraceRecord>, rule: &VerdictConfig) -> Cohorts {
    let key = CohortKey {
        environment: "".into(),
        service: "pay".into(),
        flag: None,
        candidate: "v2".into(),
        baseline: Some("v1".into()),
        first_seen: UnixNanos(START),
    };
    let mut cohorts = Cohorts::new(key, rule.lookback, rule.bake);
    records.for_each(|record| cohorts.add(record));
    cohorts
}

fn rules() -> [VerdictConfig; 3] {
    let rule = VerdictConfig::default();
    [
        rule.clone(),
        VerdictConfig { alpha: 1e-6, ..rule.clone() },
        VerdictConfig { material: 1.0, margin: 3.0, excess_floor: Duration::from_millis(30), ..rule },
    ]
}

/// Scenario: a release that is slower by a tenth, and one that is not, with the default rule, one that wants far more evidence, and one for which
/// the slowdown does not matter.
/// Guarantees: state, class, sentence and the first FAIL and PASS are those of cohorts that never saw a later trace; more evidence takes longer; what
/// does not matter never fails.
#[test]
fn a_replay_is_what_would_have_been_said() {
    let rules = rules();
    for more in [2, 0] {
        let records = records(more);
        let whole = cohorts(records.iter(), &rules[0]);
        let now = UnixNanos(START + 3_600 * S);
        let found = replay(&whole, now, &rules);
        for (rule, outcome) in rules.iter().zip(&found) {
            let (mut failed, mut passed, mut last) = (None, None, None);
            let first = START.div_euclid(10 * S) * 10 * S;
            for look in 1..=13 {
                let at = first + look * 10 * S;
                let known = cohorts(records.iter().filter(|record| record.start.0 < at), rule);
                let verdict = judge(&known, UnixNanos(at), rule);
                let after = Some(u64::try_from((at - START) / S).unwrap());
                failed = failed.or(after.filter(|_| verdict.state == State::Fail));
                passed = passed.or(after.filter(|_| verdict.state == State::Pass));
                last = Some(verdict);
            }
            let last = last.unwrap();
            let expected = GateOutcome {
                failed_after_s: failed,
                passed_after_s: passed,
                state: last.state,
                class: last.class,
                headline: last.headline,
            };
            assert_eq!(*outcome, expected, "{more} ms, alpha {}", rule.alpha);
        }
        let failed: Vec<Option<u64>> = found.iter().map(|outcome| outcome.failed_after_s).collect();
        if more > 0 {
            assert!(failed[0].is_some() && failed[1] > failed[0] && failed[2].is_none(), "{failed:?}");
        } else {
            assert_eq!(failed, [None; 3]);
        }
    }
}

/// Scenario: a version that was judged for an hour, and one without a single trace.
/// Guarantees: at most sixty looks and the last at the end; nothing to look at gives one answer without a claim.
#[test]
fn looks_are_bounded() {
    let rule = VerdictConfig::default();
    let records = records(0);
    let late: Vec<TraceRecord> = (0..360_i64)
        .map(|number| {
            let start = UnixNanos(START + number * 10 * S);
            TraceRecord { start, ..records[usize::try_from(number % 300).unwrap() * 2 + 600].clone() }
        })
        .collect();
    let cohorts_of = cohorts(late.iter(), &rule);
    let looks = looks(&cohorts_of, UnixNanos(START + 7_200 * S));
    assert!(looks.len() <= usize::try_from(LOOKS_MAX).unwrap() + 1 && looks.len() > 50, "{}", looks.len());
    assert!(looks.windows(2).all(|pair| pair[0] < pair[1]));
    assert_eq!(looks.last().unwrap().0, START.div_euclid(10 * S) * 10 * S + 3_600 * S);
    let nothing = replay(&cohorts(std::iter::empty(), &rule), UnixNanos(START), std::slice::from_ref(&rule));
    assert_eq!((nothing.len(), nothing[0].failed_after_s, nothing[0].passed_after_s), (1, None, None));
}

//! Naive rivals on the same traces: what a ranking of services by raw span durations would have said.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use daytwo_query::trace::TraceSpan;

/// Service and operation.
type Operation = (Arc<str>, Arc<str>);
type Durations = BTreeMap<Arc<str>, Vec<f64>>;
type Windows<'a> = [&'a [(i64, Vec<TraceSpan>)]; 2];

/// The rivals: by difference of p95, by its ratio, by Mann-Whitney on raw durations, and TraceRCA as RCAEval has it.
pub(crate) const NAMES: [&str; 4] = ["p95 difference", "p95 ratio", "Mann-Whitney, raw", "TraceRCA"];

/// Services by suspicion, most first, of every rival.
pub(crate) fn rankings(windows: Windows<'_>) -> [Vec<Arc<str>>; 4] {
    let [before, after] = windows.map(durations);
    let each = |score: &dyn Fn(&[f64], &[f64]) -> f64| -> Vec<Arc<str>> {
        let both = before.iter().filter_map(|(service, old)| Some((service, score(old, after.get(service)?))));
        ranked(both.map(|(service, score)| (Arc::clone(service), score)).collect())
    };
    [
        each(&|old, new| p95(new) - p95(old)),
        each(&|old, new| p95(new) / p95(old).max(1.0)),
        each(&mann_whitney_z),
        ranked(trace_rca(windows)),
    ]
}

fn ranked(mut scores: Vec<(Arc<str>, f64)>) -> Vec<Arc<str>> {
    scores.sort_by(|left, right| right.1.total_cmp(&left.1).then_with(|| left.0.cmp(&right.0)));
    scores.into_iter().map(|(service, _)| service).collect()
}

#[expect(clippy::cast_precision_loss, reason = "durations of hours at most")]
fn durations(traces: &[(i64, Vec<TraceSpan>)]) -> Durations {
    let mut found = Durations::new();
    for span in traces.iter().flat_map(|(_, spans)| spans) {
        found.entry(Arc::clone(&span.resource.service)).or_default().push(span.duration_ns as f64);
    }
    found.values_mut().for_each(|list| list.sort_by(f64::total_cmp));
    found
}

fn p95(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len().saturating_sub(1) * 95 / 100).copied().unwrap_or(0.0)
}

#[expect(clippy::cast_precision_loss, reason = "counts of spans")]
fn mann_whitney_z(before: &[f64], after: &[f64]) -> f64 {
    let (n, m) = (before.len() as f64, after.len() as f64);
    let wins: f64 = after
        .iter()
        .map(|value| {
            let less = before.partition_point(|other| other < value);
            let equal = before.partition_point(|other| other <= value) - less;
            less as f64 + 0.5 * equal as f64
        })
        .sum();
    (wins - n * m / 2.0) / (n * m * (n + m + 1.0) / 12.0).sqrt().max(1.0)
}

/// Mean and standard deviation of every operation before.
#[expect(clippy::cast_precision_loss, reason = "counts of spans")]
fn normal(traces: &[(i64, Vec<TraceSpan>)]) -> BTreeMap<Operation, (f64, f64)> {
    let mut sums: BTreeMap<Operation, (f64, f64, f64)> = BTreeMap::new();
    for span in traces.iter().flat_map(|(_, spans)| spans) {
        let key = (Arc::clone(&span.resource.service), Arc::clone(&span.operation));
        let sum = sums.entry(key).or_default();
        let value = span.duration_ns as f64;
        *sum = (sum.0 + 1.0, sum.1 + value, sum.2 + value * value);
    }
    let moments = |(count, sum, squares): (f64, f64, f64)| {
        let mean = sum / count;
        (mean, (squares / count - mean * mean).max(0.0).sqrt())
    };
    sums.into_iter().map(|(key, sum)| (key, moments(sum))).collect()
}

/// A trace is abnormal when a span takes three standard deviations more than its operation did; services are ranked by the
/// Jaccard index of support and confidence.
#[expect(clippy::cast_precision_loss, reason = "counts of traces")]
fn trace_rca([before, after]: Windows<'_>) -> Vec<(Arc<str>, f64)> {
    let normal = normal(before);
    let slow = |span: &TraceSpan| {
        let key = (Arc::clone(&span.resource.service), Arc::clone(&span.operation));
        normal.get(&key).is_some_and(|(mean, deviation)| span.duration_ns as f64 > mean + 3.0 * deviation)
    };
    let (mut abnormal, mut with): (f64, BTreeMap<Arc<str>, (f64, f64)>) = (0.0, BTreeMap::new());
    for (_, spans) in after {
        let odd: BTreeSet<&Arc<str>> =
            spans.iter().filter(|span| slow(span)).map(|span| &span.resource.service).collect();
        abnormal += f64::from(u8::from(!odd.is_empty()));
        for service in spans.iter().map(|span| &span.resource.service).collect::<BTreeSet<_>>() {
            let counts = with.entry(Arc::clone(service)).or_default();
            counts.0 += 1.0;
            counts.1 += f64::from(u8::from(odd.contains(service)));
        }
    }
    let score = |(all, odd): (f64, f64)| {
        let (support, confidence) = (odd / abnormal.max(1.0), odd / all);
        if support + confidence > 0.0 { 2.0 * support * confidence / (support + confidence) } else { 0.0 }
    };
    with.into_iter().map(|(service, counts)| (service, score(counts))).collect()
}

//! Random traces, and what a naive model says of them when they are complete.

use std::collections::BTreeMap;

use super::*;
use crate::measure::{CellKey, CellValue, LogHistogram};

/// Cells by key and start.
pub(super) type Cells = BTreeMap<(CellKey, i64), CellValue>;

const SERVICES: [(&str, &str); 4] = [("shop", "s1"), ("pay", "p1"), ("cart", "c1"), ("mail", "m1")];
const SLOT: i64 = 300 * SECOND;

/// Trees of calls on a grid of milliseconds: each span's children lie within it, calls are answered within them.
pub(super) fn traces(random: &mut StdRng, count: u64) -> Vec<Vec<Sent>> {
    (1..=count)
        .map(|trace| {
            let start = START + random.random_range(0..600) * SECOND + random.random_range(0..1_000) * MS;
            let duration = random.random_range(40..400) * MS;
            let mut spans = Vec::new();
            grow(random, trace, None, 0, (start, duration), &mut spans);
            spans
        })
        .collect()
}

/// A SERVER span of a service and what it does: work of its own, and calls of other services.
fn grow(
    random: &mut StdRng,
    trace: u64,
    parent: Option<u64>,
    service: usize,
    (start, duration): (i64, i64),
    spans: &mut Vec<Sent>,
) {
    let mut add = |random: &mut StdRng, parent, service: usize, kind, start, duration| {
        let (name, version) = SERVICES[service];
        let id = spans.len() as u64 + 1;
        let operation = format!("op {}", random.random_range(0..2));
        let error = random.random_ratio(1, 4);
        spans.push(Sent { id, parent, kind, error, name: operation, ..server(trace, name, version, start, duration) });
        id
    };
    let id = add(random, parent, service, 2, start, duration);
    let mut calls = Vec::new();
    for _ in 0..random.random_range(0..3) {
        let (from, length) = within(random, start, duration);
        if service + 1 < SERVICES.len() && random.random_ratio(2, 3) {
            let client = add(random, Some(id), service, 3, from, length);
            if random.random_ratio(3, 4) {
                calls.push((client, within(random, from, length)));
            }
        } else {
            add(random, Some(id), service, 1, from, length);
        }
    }
    for (client, place) in calls {
        grow(random, trace, Some(client), service + 1, place, spans);
    }
}

/// A part of a stretch of time, in whole milliseconds.
fn within(random: &mut StdRng, start: i64, duration: i64) -> (i64, i64) {
    let length = duration / MS;
    let from = random.random_range(0..=length);
    (start + from * MS, random.random_range(0..=length - from) * MS)
}

/// What a span did itself, a millisecond at a time; of a call that was answered, what its answer does not take.
fn own_time(span: &Sent, children: &[&Sent]) -> i64 {
    if let [answer] = children
        && span.kind == 3
    {
        return span.duration - answer.duration;
    }
    let covered = |at: i64| children.iter().any(|child| (child.start..child.start + child.duration).contains(&at));
    let own = (0..span.duration / MS).filter(|at| !covered(span.start + at * MS)).count();
    i64::try_from(own).unwrap() * MS
}

/// The cells of five minutes of complete traces.
pub(super) fn cells_of(traces: &[Vec<Sent>]) -> Cells {
    let mut lists: BTreeMap<(CellKey, i64), Vec<Known<'_>>> = BTreeMap::new();
    for trace in traces {
        for span in trace {
            let children: Vec<&Sent> = trace.iter().filter(|child| child.parent == Some(span.id)).collect();
            let own_error = span.error && !children.iter().any(|child| child.error);
            let at = (key(span), span.start.div_euclid(SLOT) * SLOT);
            lists.entry(at).or_default().push((span, own_time(span, &children), own_error));
        }
    }
    lists.into_iter().map(|(at, spans)| (at, cell(&spans))).collect()
}

fn key(span: &Sent) -> CellKey {
    CellKey {
        environment: "prod".into(),
        service: span.service.into(),
        version: span.version.into(),
        operation: span.name.as_str().into(),
        kind: span.kind,
    }
}

/// A span, its own time, and whether its error is its own.
type Known<'a> = (&'a Sent, i64, bool);

fn cell(spans: &[Known<'_>]) -> CellValue {
    let count = |holds: &dyn Fn(&Known<'_>) -> bool| spans.iter().filter(|span| holds(span)).count() as u64;
    CellValue {
        calls: spans.len() as u64,
        errors: count(&|(span, ..)| span.error),
        own_errors: count(&|(_, _, own_error)| *own_error),
        total: histogram(spans.iter().map(|(span, ..)| span.duration)),
        own: histogram(spans.iter().map(|(_, own, _)| *own)),
    }
}

fn histogram(values: impl Iterator<Item = i64>) -> LogHistogram {
    let mut histogram = LogHistogram::default();
    histogram.downscale(6);
    values.for_each(|value| histogram.record(value));
    histogram
}

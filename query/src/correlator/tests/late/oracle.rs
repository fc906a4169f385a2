//! Random traces, and what a naive model says of them when they are complete.

use std::collections::BTreeMap;

use super::*;
use crate::measure::{CellKey, CellValue, Exemplar, LogHistogram};

/// Cells by key and start.
pub(super) type Cells = BTreeMap<(CellKey, i64), Seen>;

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
        let state = ["", "", "ot=th:8", "ot=th:c;rv:d29d6a7215ced0", "ot=th:nonsense"][random.random_range(0..5)];
        let span = server(trace, name, version, start, duration);
        spans.push(Sent { id, parent, kind, error, state, name: operation, ..span });
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

/// A span, its own time, and whether its error is its own.
type Known<'a> = (&'a Sent, i64, bool);

/// The cells of five minutes of complete traces.
pub(super) fn cells_of(traces: &[Vec<Sent>]) -> Cells {
    let mut lists: BTreeMap<(CellKey, i64), Vec<Known<'_>>> = BTreeMap::new();
    for trace in traces {
        let journey = journey_of(trace);
        for span in trace {
            let children: Vec<&Sent> = trace.iter().filter(|child| child.parent == Some(span.id)).collect();
            let own_error = span.error && !children.iter().any(|child| child.error);
            let answer = children.first().filter(|_| span.kind == 3).map_or("", |answer| answer.service);
            let at = (key(span, answer, &journey), span.start.div_euclid(SLOT) * SLOT);
            lists.entry(at).or_default().push((span, own_time(span, &children), own_error));
        }
    }
    lists.into_iter().map(|(at, spans)| (at.clone(), cell(&at.0, &spans))).collect()
}

/// The root, and the first of the spans of other services.
pub(super) fn journey_of(trace: &[Sent]) -> String {
    let name = |span: &Sent| format!("{}:{}", span.service, span.name);
    let root = trace.iter().find(|span| span.parent.is_none()).unwrap();
    let elsewhere = trace.iter().filter(|span| span.service != root.service);
    match elsewhere.min_by_key(|span| (span.start, span.id)) {
        Some(first) => format!("{} > {}", name(root), name(first)),
        None => name(root),
    }
}

fn key(span: &Sent, peer: &str, journey: &str) -> CellKey {
    CellKey {
        environment: "prod".into(),
        service: span.service.into(),
        version: span.version.into(),
        operation: span.name.as_str().into(),
        kind: span.kind,
        peer: peer.into(),
        journey: journey.into(),
    }
}

/// For how many spans one with this state stands.
fn weight(state: &str) -> u64 {
    match state {
        "ot=th:8" => 2,
        "ot=th:c;rv:d29d6a7215ced0" => 4,
        _ => 1,
    }
}

fn cell(key: &CellKey, spans: &[Known<'_>]) -> Seen {
    let answered = !key.peer.is_empty();
    let failed: Vec<Known<'_>> = spans.iter().filter(|(span, ..)| span.error).copied().collect();
    let own_failed: Vec<Known<'_>> = failed.iter().filter(|(.., own)| *own).copied().collect();
    let lists = [spans, &failed, &own_failed];
    Seen {
        counts: lists.map(|list| list.len() as u64),
        adjusted: lists.map(|list| list.iter().map(|(span, ..)| weight(span.state) as f64).sum()),
        total: histogram(spans, |(span, ..)| span.duration),
        own: histogram(spans, |(_, own, _)| *own),
        gap: histogram(if answered { spans } else { &[] }, |(_, own, _)| *own),
        slowest: exemplars(spans),
        failed: exemplars(&failed),
    }
}

fn histogram(spans: &[Known<'_>], of: impl Fn(&Known<'_>) -> i64) -> LogHistogram<u64> {
    let mut histogram = LogHistogram::default();
    histogram.downscale(6);
    let all =
        spans.iter().flat_map(|known| std::iter::repeat_n(of(known), usize::try_from(weight(known.0.state)).unwrap()));
    all.for_each(|value| histogram.record_many(value, 1 << 16));
    histogram
}

/// The two longest of each trace's longest spans.
fn exemplars(spans: &[Known<'_>]) -> Vec<(i64, u64)> {
    let mut longest: BTreeMap<u64, i64> = BTreeMap::new();
    for (span, ..) in spans {
        let known = longest.entry(span.trace).or_default();
        *known = (*known).max(span.duration);
    }
    let mut longest: Vec<(i64, u64)> = longest.into_iter().map(|(trace, duration)| (duration, trace)).collect();
    longest.sort_by(|one, other| other.cmp(one));
    longest.truncate(2);
    longest
}

/// Forgets the exemplars of cells that spans may have left: calls that were not answered yet, and spans of traces whose first call was to
/// come. What was there before them nobody knows then.
pub(super) fn forget_left(traces: &[Vec<Sent>], cells: &mut Cells) {
    let known: Vec<(String, &Vec<Sent>)> = traces.iter().map(|trace| (journey_of(trace), trace)).collect();
    for ((key, at), seen) in cells {
        let is_here = |span: &Sent| {
            let own = (span.service, span.version, span.name.as_str(), span.kind, span.start.div_euclid(SLOT) * SLOT);
            own == (&*key.service, &*key.version, &*key.operation, key.kind, *at)
        };
        let has_left = |(journey, trace): &&(String, &Vec<Sent>)| {
            **journey != *key.journey && may_have_been(trace, &key.journey) && trace.iter().any(is_here)
        };
        if key.kind == 3 && key.peer.is_empty() || known.iter().any(|one| has_left(&one)) {
            (seen.slowest, seen.failed) = (Vec::new(), Vec::new());
        }
    }
}

/// Whether a part of a trace has this journey.
fn may_have_been(trace: &[Sent], journey: &str) -> bool {
    let root = trace.iter().find(|span| span.parent.is_none()).unwrap();
    let parts = trace.iter().filter(|span| span.service != root.service);
    let mut journeys = parts.map(|span| journey_of(&[root.clone(), span.clone()]));
    journeys.any(|part| part == journey) || journey_of(std::slice::from_ref(root)) == journey
}

/// What there is to see of a cell.
#[derive(Debug, PartialEq)]
pub(super) struct Seen {
    counts: [u64; 3],
    adjusted: [f64; 3],
    total: LogHistogram<u64>,
    own: LogHistogram<u64>,
    gap: LogHistogram<u64>,
    slowest: Vec<(i64, u64)>,
    failed: Vec<(i64, u64)>,
}

impl Seen {
    /// Whether there are traces to compare.
    pub(super) fn has_exemplars(&self) -> bool {
        !self.slowest.is_empty()
    }

    pub(super) fn of(cell: &CellValue) -> Self {
        let coarse = |mut histogram: LogHistogram<u64>| {
            histogram.downscale(6);
            histogram
        };
        let traces = |exemplars: &mut dyn Iterator<Item = &Exemplar>| {
            let trace = |exemplar: &Exemplar| {
                let number = exemplar.trace_id.as_bytes()[8..].try_into().map(u64::from_be_bytes).unwrap();
                (exemplar.duration_ns, number)
            };
            exemplars.map(trace).collect()
        };
        let (mut slowest, mut failed) = cell.exemplars();
        Self {
            counts: [cell.calls, cell.errors, cell.own_errors],
            adjusted: [cell.adjusted_calls(), cell.adjusted_errors(), cell.adjusted_own_errors()],
            total: coarse(cell.weighed_total()),
            own: coarse(cell.weighed_own()),
            gap: coarse(cell.weighed_gap()),
            slowest: traces(&mut slowest),
            failed: traces(&mut failed),
        }
    }
}

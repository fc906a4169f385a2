//! Self time and edge gap: how long a span worked itself, and how long a call was on its way.
//!
//! Children are clipped to their parent. Work that the parent does not wait for (consumers, children of producers,
//! children that start after it ended) covers nothing. Between a client span and the server span it waited for,
//! only durations are compared, so clocks that disagree change nothing.

use super::{StitchedTrace, kind};

/// What a row tells its parent.
struct Cover {
    parent: usize,
    start: i64,
    end: i64,
    answer: bool,
    duration: i64,
}

/// Fills `self_ns`, `gap_ns` and `own_error` of every row.
pub(super) fn fill(trace: &mut StitchedTrace) {
    let mut covers: Vec<Cover> = (0..trace.spans.len()).filter_map(|row| cover(trace, row)).collect();
    covers.sort_by_key(|cover| (cover.parent, cover.start, cover.end));
    for group in covers.chunk_by(|left, right| left.parent == right.parent) {
        fill_parent(trace, group);
    }
    for row in 0..trace.spans.len() {
        let Some(child) = trace.spans.get(row).filter(|child| child.span.is_error()) else { continue };
        if let Some(parent) = child.parent.and_then(|parent| trace.spans.get_mut(parent)) {
            parent.own_error = false;
        }
    }
}

fn fill_parent(trace: &mut StitchedTrace, covers: &[Cover]) {
    let Some(parent) = covers.first().and_then(|cover| trace.spans.get_mut(cover.parent)) else { return };
    let duration = parent.span.duration_ns;
    let answers = covers.iter().filter(|cover| cover.answer).count();
    let covered = match covers {
        // One awaited answer: durations only.
        [only] if only.answer => only.duration.min(duration),
        _ => union(covers),
    };
    parent.self_ns = duration.saturating_sub(covered).max(0);
    if answers > 0 {
        parent.gap_ns = Some(parent.self_ns);
    }
}

/// The part of its parent that a row covers, if the parent waits for it.
fn cover(trace: &StitchedTrace, row: usize) -> Option<Cover> {
    let child = trace.spans.get(row)?;
    let index = child.parent?;
    let parent = trace.spans.get(index)?;
    if child.span.kind == kind::CONSUMER || parent.span.kind == kind::PRODUCER {
        return None;
    }
    let answer = parent.span.kind == kind::CLIENT
        && child.span.kind == kind::SERVER
        && parent.span.resource.service != child.span.resource.service;
    let start = child.adjusted_start_ns.max(parent.adjusted_start_ns);
    let end = child.adjusted_end_ns().min(parent.adjusted_end_ns());
    (answer || start < end).then_some(Cover { parent: index, start, end, answer, duration: child.span.duration_ns })
}

/// Length of the union of intervals sorted by start.
fn union(covers: &[Cover]) -> i64 {
    let mut total = 0_i64;
    let mut reached = i64::MIN;
    for cover in covers {
        let start = cover.start.max(reached);
        if cover.end > start {
            total = total.saturating_add(cover.end.saturating_sub(start));
            reached = cover.end;
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use crate::trace::testing::{client, server, span};
    use crate::trace::{TraceSpan, kind, stitch};

    fn self_of(spans: Vec<TraceSpan>, operation: &str) -> (i64, Option<i64>) {
        let trace = stitch(spans);
        let row = trace.spans.iter().find(|row| &*row.span.operation == operation).unwrap();
        (row.self_ns, row.gap_ns)
    }

    /// Scenario: children that overlap, stick out on either side, lie outside, or are not waited for.
    /// Guarantees: self time is what no awaited child covers.
    #[test]
    fn self_time_is_what_children_leave() {
        let root = || server(1, None, "a", "root", 100, 100);
        let with = |children: &[(i64, i64)]| {
            let mut spans = vec![root()];
            for (at, (start, duration)) in (2_u64..).zip(children) {
                spans.push(span(at, Some(1), "a", &format!("c{at}"), 1, *start, *duration));
            }
            self_of(spans, "root").0
        };
        assert_eq!(with(&[]), 100);
        assert_eq!(with(&[(110, 20), (120, 20)]), 70, "overlapping");
        assert_eq!(with(&[(110, 50), (120, 10)]), 50, "nested");
        assert_eq!(with(&[(190, 50)]), 90, "clipped at the end");
        assert_eq!(with(&[(300, 50)]), 100, "after the parent");
        let consumer = span(2, Some(1), "b", "consume", kind::CONSUMER, 110, 80);
        assert_eq!(self_of(vec![root(), consumer], "root").0, 100);
    }

    /// Scenario: a call to a server whose clock is right, 50 ms early or 50 ms late, and one that is slower than its caller.
    /// Guarantees: the gap is the difference of the durations, and never negative.
    #[test]
    fn the_gap_knows_durations_only() {
        for offset in [0, -50_000_000, 50_000_000] {
            let spans = vec![
                client(1, None, "a", "call", 1_000_000, 500),
                server(2, Some(1), "b", "answer", 1_000_100 + offset, 300),
            ];
            assert_eq!(self_of(spans, "call"), (200, Some(200)), "offset {offset}");
        }
        let spans = vec![client(1, None, "a", "call", 0, 100), server(2, Some(1), "b", "answer", 0, 300)];
        assert_eq!(self_of(spans, "call"), (0, Some(0)));
    }

    /// Scenario: an error at the bottom that rises through its callers.
    /// Guarantees: only the bottom one counts as its own.
    #[test]
    fn an_error_belongs_to_where_it_began() {
        let mut spans = vec![
            server(1, None, "a", "root", 0, 100),
            client(2, Some(1), "a", "call", 10, 80),
            server(3, Some(2), "b", "answer", 20, 60),
        ];
        spans.iter_mut().for_each(|span| span.status = 2);
        let trace = stitch(spans);
        let own: Vec<_> = trace.spans.iter().map(|row| row.own_error).collect();
        assert_eq!(own, [false, false, true]);
    }
}

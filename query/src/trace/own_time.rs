//! Own time: self time less the time in which the same request had a call to another service under way.
//!
//! Frameworks put the span that waits beside the call it waits for, not above it; by the tree alone the wait is self time, and a
//! slow callee would be charged to its caller. While a call is under way its request waits for it, whichever span says so.
//! Calls and waiting spans belong to one process here, so one clock; what no span of the caller covers is taken from the answer.

use super::{StitchedSpan, StitchedTrace, kind};

/// Disjoint intervals, ascending, and the length of all that lie before each.
#[derive(Debug, Default)]
pub(super) struct Intervals {
    spans: Vec<(i64, i64)>,
    before: Vec<i64>,
}

impl Intervals {
    /// The union of intervals in any order.
    pub(super) fn union(mut given: Vec<(i64, i64)>) -> Self {
        given.retain(|(start, end)| start < end);
        given.sort_unstable();
        let mut union = Self::default();
        for (start, end) in given {
            match union.spans.last_mut() {
                Some(last) if start <= last.1 => last.1 = last.1.max(end),
                _ => union.spans.push((start, end)),
            }
        }
        let mut sum = 0_i64;
        for (start, end) in &union.spans {
            union.before.push(sum);
            sum = sum.saturating_add(end.saturating_sub(*start));
        }
        union
    }

    /// Length of what lies before an instant.
    fn until(&self, at: i64) -> i64 {
        let Some(last) = self.spans.partition_point(|(start, _)| *start < at).checked_sub(1) else { return 0 };
        let (Some((start, end)), Some(before)) = (self.spans.get(last), self.before.get(last)) else { return 0 };
        before.saturating_add(at.min(*end).saturating_sub(*start))
    }

    /// Length of what lies within an interval.
    fn within(&self, start: i64, end: i64) -> i64 {
        if start < end { self.until(end).saturating_sub(self.until(start)) } else { 0 }
    }
}

/// Row of the span by which its service was entered, for every row.
fn entries(trace: &StitchedTrace) -> Vec<usize> {
    let mut entries: Vec<usize> = Vec::with_capacity(trace.spans.len());
    for (row, span) in trace.spans.iter().enumerate() {
        let inherited = span.parent.filter(|parent| !is_entry(trace.spans.get(*parent), span));
        entries.push(inherited.and_then(|parent| entries.get(parent)).copied().unwrap_or(row));
    }
    entries
}

/// Whether a row is where its service is entered.
pub(super) fn is_entry(parent: Option<&StitchedSpan>, row: &StitchedSpan) -> bool {
    matches!(row.span.kind, kind::SERVER | kind::CONSUMER)
        || parent.is_none_or(|parent| parent.span.resource.service != row.span.resource.service)
}

/// The call that a row stands for: the row that waits, and when.
fn call(trace: &StitchedTrace, row: &StitchedSpan, index: usize) -> Option<(usize, i64, i64)> {
    if row.gap_ns.is_some() || (row.span.kind == kind::CLIENT && row.subtree_end == index.saturating_add(1)) {
        return Some((index, row.adjusted_start_ns, row.adjusted_end_ns()));
    }
    let waiting = row.parent?;
    let parent = trace.spans.get(waiting)?;
    let remote = parent.span.resource.service != row.span.resource.service;
    let awaited = row.span.kind != kind::CONSUMER && parent.span.kind != kind::PRODUCER && parent.gap_ns.is_none();
    let end = row.adjusted_end_ns().min(parent.adjusted_end_ns());
    (remote && awaited).then_some((waiting, row.adjusted_start_ns.max(parent.adjusted_start_ns), end))
}

/// Fills `own_ns` of every row; `self_ns` and `gap_ns` are known.
pub(super) fn fill(trace: &mut StitchedTrace) {
    let entries = entries(trace);
    let mut calls: Vec<Vec<(i64, i64)>> = vec![Vec::new(); trace.spans.len()];
    let mut children: Vec<Vec<(i64, i64)>> = vec![Vec::new(); trace.spans.len()];
    for (index, row) in trace.spans.iter().enumerate() {
        if let Some((waiting, start, end)) = call(trace, row, index)
            && let Some(list) = entries.get(waiting).and_then(|entry| calls.get_mut(*entry))
        {
            list.push((start, end));
        }
        if let Some(parent) = row.parent
            && let (Some(list), Some(above)) = (children.get_mut(parent), trace.spans.get(parent))
        {
            let start = row.adjusted_start_ns.max(above.adjusted_start_ns);
            list.push((start, row.adjusted_end_ns().min(above.adjusted_end_ns())));
        }
    }
    let calls: Vec<Intervals> = calls.into_iter().map(Intervals::union).collect();
    for ((row, children), entry) in trace.spans.iter_mut().zip(children).zip(entries) {
        let Some(calls) = calls.get(entry) else { continue };
        let covered: i64 = Intervals::union(children).spans.iter().map(|(start, end)| calls.within(*start, *end)).sum();
        let waiting = calls.within(row.adjusted_start_ns, row.adjusted_end_ns()).saturating_sub(covered);
        row.own_ns = if is_call(row) { 0 } else { row.self_ns.saturating_sub(waiting.max(0)).max(0) };
    }
}

/// Whether a row is the caller's side of an answered call: all its self time is the gap.
fn is_call(row: &StitchedSpan) -> bool {
    row.gap_ns.is_some()
}

#[cfg(test)]
mod tests {
    use crate::trace::testing::{client, server, span};
    use crate::trace::{TraceSpan, stitch};

    fn own_of(spans: Vec<TraceSpan>, operation: &str) -> i64 {
        let trace = stitch(spans);
        trace.spans.iter().find(|row| &*row.span.operation == operation).unwrap().own_ns
    }

    /// Scenario: a handler's span beside the call it waits for: 100 long, the call from 10 to 90 of it.
    /// Guarantees: 20 of it are its own, and as much when the answer is slower.
    #[test]
    fn a_wait_beside_the_call_is_no_own_time() {
        for answer in [60, 600] {
            let spans = vec![
                server(1, None, "gateway", "root", 0, answer + 60),
                span(2, Some(1), "gateway", "handle", 1, 10, answer + 40),
                client(3, Some(1), "gateway", "call", 20, answer + 20),
                server(4, Some(3), "shop", "answer", 30, answer),
            ];
            assert_eq!(own_of(spans.clone(), "handle"), 20);
            assert_eq!(own_of(spans, "root"), 20);
        }
    }

    /// Scenario: work under the root, a call below it, and an answer without a client span.
    /// Guarantees: own time is what the tree says when calls lie below those who wait.
    #[test]
    fn a_proper_tree_is_left_alone() {
        let spans = vec![
            server(1, None, "a", "root", 0, 100),
            span(2, Some(1), "a", "work", 1, 10, 80),
            client(3, Some(2), "a", "call", 20, 40),
            server(4, Some(3), "b", "answer", 25, 30),
            server(5, Some(2), "c", "direct", 65, 20),
        ];
        for (operation, own) in [("root", 20), ("work", 20), ("call", 0), ("answer", 30), ("direct", 20)] {
            assert_eq!(own_of(spans.clone(), operation), own, "{operation}");
        }
    }

    /// Scenario: a message to a consumer that works for long after.
    /// Guarantees: nobody waits for it.
    #[test]
    fn messages_are_not_waited_for() {
        let spans = vec![
            server(1, None, "a", "root", 0, 100),
            span(2, Some(1), "a", "send", 4, 10, 10),
            span(3, Some(2), "b", "consume", 5, 15, 500),
        ];
        assert_eq!(own_of(spans.clone(), "root"), 90);
        assert_eq!(own_of(spans, "consume"), 500);
    }
}

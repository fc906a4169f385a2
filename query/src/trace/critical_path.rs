//! The critical path: the chain of spans whose end the root waited for.
//!
//! From the end of a span backwards: the child that finishes last is on the path, then the last one that had
//! finished before that child started, and so on; between them the span itself is. A child is clipped to its parent.
//! Children that overlap by no more than a hundredth count as one after the other: timers are not that exact.

use super::{StitchedTrace, kind};

/// An overlap of one part in so many is taken for noise.
const OVERLAP_PART: i64 = 100;

/// A stretch of time that one row spends on the critical path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CriticalSegment {
    /// Row of the stitched trace.
    pub row: usize,
    /// Start, nanoseconds since the Unix epoch, clock skew taken out.
    pub start_ns: i64,
    /// End.
    pub end_ns: i64,
}

/// The critical path of the trace's first root, in order of time.
pub fn critical_path(trace: &StitchedTrace) -> Vec<CriticalSegment> {
    trace.roots.first().map_or_else(Vec::new, |root| path_from(trace, *root))
}

/// The critical path of any row. Its times add up to the row's duration.
pub(crate) fn path_from(trace: &StitchedTrace, root: usize) -> Vec<CriticalSegment> {
    let mut segments = Vec::new();
    let Some(span) = trace.spans.get(root) else { return segments };
    let mut stack = vec![(root, span.adjusted_start_ns, span.adjusted_end_ns())];
    while let Some((row, start, end)) = stack.pop() {
        walk_back(trace, row, start, end, &mut segments, &mut stack);
    }
    segments.sort_by_key(|segment| (segment.start_ns, segment.end_ns, segment.row));
    segments
}

/// Splits `[start, end)` of a row into its own stretches and the windows of the children on the path.
fn walk_back(
    trace: &StitchedTrace,
    row: usize,
    start: i64,
    end: i64,
    segments: &mut Vec<CriticalSegment>,
    stack: &mut Vec<(usize, i64, i64)>,
) {
    let mut reached = end;
    for (child_end, child_start, child) in awaited_children(trace, row, start, end) {
        let overlap = child_end.saturating_sub(reached);
        if overlap > child_end.saturating_sub(child_start) / OVERLAP_PART {
            continue;
        }
        let child_end = child_end.min(reached);
        if child_end < reached {
            segments.push(CriticalSegment { row, start_ns: child_end, end_ns: reached });
        }
        stack.push((child, child_start, child_end));
        reached = child_start;
    }
    if start < reached {
        segments.push(CriticalSegment { row, start_ns: start, end_ns: reached });
    }
}

/// Children that the row waits for, clipped to its window, the last to finish first.
fn awaited_children(trace: &StitchedTrace, row: usize, start: i64, end: i64) -> Vec<(i64, i64, usize)> {
    let waits = trace.spans.get(row).is_some_and(|parent| parent.span.kind != kind::PRODUCER);
    let clipped = |child: usize| {
        let span = trace.spans.get(child).filter(|span| waits && span.span.kind != kind::CONSUMER)?;
        let window = (span.adjusted_end_ns().min(end), span.adjusted_start_ns.max(start), child);
        (window.1 < window.0).then_some(window)
    };
    let mut children: Vec<_> = trace.children(row).filter_map(clipped).collect();
    children.sort_by(|left, right| right.cmp(left));
    children
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::testing::{server, span};
    use crate::trace::{TraceSpan, stitch};
    use std::collections::BTreeMap;

    fn path_times(spans: Vec<TraceSpan>) -> BTreeMap<String, i64> {
        let trace = stitch(spans);
        let mut times = BTreeMap::new();
        for segment in critical_path(&trace) {
            *times.entry(trace.spans[segment.row].span.operation.to_string()).or_default() +=
                segment.end_ns - segment.start_ns;
        }
        times
    }

    fn expect(spans: Vec<TraceSpan>, expected: &[(&str, i64)]) {
        let expected: BTreeMap<_, _> = expected.iter().map(|(name, time)| ((*name).to_owned(), *time)).collect();
        assert_eq!(path_times(spans), expected);
    }

    /// Scenario: one span; calls in sequence; two at once; one that outlives its parent; one inside another.
    /// Guarantees: exclusive times on the path as worked out by hand; they add up to the root's duration.
    #[test]
    fn times_on_the_path() {
        let root = || server(1, None, "a", "root", 0, 100);
        let child =
            |id: u64, parent: u64, name: &str, start, duration| span(id, Some(parent), "b", name, 1, start, duration);
        expect(vec![root()], &[("root", 100)]);
        expect(vec![root(), child(2, 1, "x", 10, 20), child(3, 1, "y", 40, 30)], &[("root", 50), ("x", 20), ("y", 30)]);
        // x and y run at once and y ends later, so x is not waited for.
        expect(vec![root(), child(2, 1, "x", 10, 40), child(3, 1, "y", 20, 60)], &[("root", 40), ("y", 60)]);
        let long = server(1, None, "a", "root", 0, 1_000);
        expect(
            vec![long, child(2, 1, "x", 0, 400), child(3, 1, "y", 398, 300)],
            &[("root", 302), ("x", 398), ("y", 300)],
        );
        expect(vec![root(), child(2, 1, "x", 60, 90)], &[("root", 60), ("x", 40)]);
        expect(vec![root(), child(2, 1, "x", 10, 80), child(3, 2, "y", 20, 30)], &[("root", 20), ("x", 50), ("y", 30)]);
    }

    /// Scenario: a chain 100,000 deep.
    /// Guarantees: no recursion; the innermost span has its share.
    #[test]
    fn depth_needs_no_stack() {
        let deep: Vec<_> = (1..=100_000_u64)
            .map(|id| span(id, (id > 1).then(|| id - 1), "a", &format!("{}", id % 2), 1, 0, 200_000))
            .collect();
        assert_eq!(path_times(deep).values().sum::<i64>(), 200_000);
    }
}

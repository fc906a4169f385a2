//! Putting spans in order: duplicates out, parents found, circles opened, clocks compared, depth-first rows.
//!
//! The result depends on the set of spans only. Every pass is a loop over rows: a trace a million deep needs no
//! more stack than a flat one.

use std::cmp::Ordering;

use daytwo_storage::SpanId;

use super::{Anomaly, AnomalyKind, StitchedSpan, StitchedTrace, TraceSpan, kind, own_time, self_time};
use crate::hash::HashMap;

/// More spans than this are left out of a trace, the latest first.
pub(super) const SPANS_MAX: usize = 200_000;
/// More anomalies than this are not listed; rows keep their marks.
const ANOMALIES_MAX: usize = 1_000;

/// Puts the spans of one trace together.
pub fn stitch(spans: Vec<TraceSpan>) -> StitchedTrace {
    let given = spans.len();
    let mut spans = distinct(spans);
    let duplicates_dropped = given - spans.len();
    let truncated = spans.len().saturating_sub(SPANS_MAX);
    spans.truncate(SPANS_MAX);
    let mut forest = Forest::link(&spans);
    forest.open_cycles(&spans);
    let mut trace = forest.rows(spans);
    trace.duplicates_dropped = duplicates_dropped;
    trace.anomalies.extend(oddities(&trace, &forest, truncated));
    align_clocks(&mut trace);
    trace.anomalies.truncate(ANOMALIES_MAX);
    self_time::fill(&mut trace);
    own_time::fill(&mut trace);
    trace
}

/// A total order on what a span says; only the time of reception is left out.
fn by_content(left: &TraceSpan, right: &TraceSpan) -> Ordering {
    left.start_ns
        .cmp(&right.start_ns)
        .then_with(|| left.span_id.cmp(&right.span_id))
        .then_with(|| right.duration_ns.cmp(&left.duration_ns))
        .then_with(|| left.kind.cmp(&right.kind))
        .then_with(|| left.operation.cmp(&right.operation))
        .then_with(|| left.parent_span_id.cmp(&right.parent_span_id))
        .then_with(|| left.status.cmp(&right.status))
        .then_with(|| left.resource.cmp(&right.resource))
        .then_with(|| (left.has_events, left.has_links).cmp(&(right.has_events, right.has_links)))
        .then_with(|| left.weight.cmp(&right.weight))
        .then_with(|| left.flags.cmp(&right.flags))
        .then_with(|| left.trace_id.cmp(&right.trace_id))
}

/// Orders spans so that one that was read from the store is equal to itself as it was received.
pub(crate) fn same_span(left: &TraceSpan, right: &TraceSpan) -> Ordering {
    let key = |span: &TraceSpan| {
        (span.span_id, span.start_ns, span.duration_ns, span.received_ns, span.kind, span.status, span.parent_span_id)
    };
    key(left).cmp(&key(right)).then_with(|| left.operation.cmp(&right.operation))
}

/// The spans by start, each content once, with its earliest reception.
fn distinct(mut spans: Vec<TraceSpan>) -> Vec<TraceSpan> {
    spans.sort_by(|left, right| by_content(left, right).then_with(|| left.received_ns.cmp(&right.received_ns)));
    spans.dedup_by(|later, earlier| by_content(later, earlier) == Ordering::Equal);
    spans
}

/// Parents by index into the spans as sorted.
struct Forest {
    parents: Vec<Option<usize>>,
    missing: Vec<bool>,
    reopened: Vec<SpanId>,
    doubled: Vec<SpanId>,
}

impl Forest {
    fn link(spans: &[TraceSpan]) -> Self {
        let mut first_of: HashMap<SpanId, usize> = HashMap::with_capacity_and_hasher(spans.len(), Default::default());
        let mut doubled = Vec::new();
        for (index, span) in spans.iter().enumerate() {
            if *first_of.entry(span.span_id).or_insert(index) != index {
                doubled.push(span.span_id);
            }
        }
        let parent_of = |(index, span): (usize, &TraceSpan)| {
            let parent = span.parent_span_id.and_then(|parent| first_of.get(&parent)).copied();
            parent.filter(|parent| *parent != index)
        };
        let parents: Vec<_> = spans.iter().enumerate().map(parent_of).collect();
        let lost = |(span, parent): (&TraceSpan, &Option<usize>)| {
            parent.is_none() && span.parent_span_id.is_some_and(|named| named != span.span_id)
        };
        let missing = spans.iter().zip(&parents).map(lost).collect();
        Self { parents, missing, reopened: Vec::new(), doubled }
    }

    /// Walks from every span towards its root; a walk that meets itself has found a circle.
    fn open_cycles(&mut self, spans: &[TraceSpan]) {
        let mut walk_of = vec![0_usize; spans.len()];
        for start in 0..spans.len() {
            let walk = start + 1;
            let mut at = Some(start);
            while let Some(index) = at {
                match walk_of.get_mut(index) {
                    Some(seen) if *seen == 0 => *seen = walk,
                    Some(seen) if *seen == walk => {
                        self.open_cycle(index, spans);
                        break;
                    }
                    _ => break,
                }
                at = self.parents.get(index).copied().flatten();
            }
        }
    }

    /// Makes the earliest span of the circle a root: indices are in order of start.
    fn open_cycle(&mut self, member: usize, spans: &[TraceSpan]) {
        let mut earliest = member;
        let mut at = self.parents.get(member).copied().flatten();
        while let Some(index) = at.filter(|index| *index != member) {
            earliest = earliest.min(index);
            at = self.parents.get(index).copied().flatten();
        }
        if let (Some(parent), Some(span)) = (self.parents.get_mut(earliest), spans.get(earliest)) {
            *parent = None;
            self.reopened.push(span.span_id);
        }
    }

    /// Children of every span as one list, and where each span's part of it starts.
    fn children(&self) -> (Vec<usize>, Vec<usize>) {
        let mut starts = vec![0_usize; self.parents.len() + 1];
        for parent in self.parents.iter().flatten() {
            if let Some(count) = starts.get_mut(parent + 1) {
                *count += 1;
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let mut next = starts.clone();
        let mut children = vec![0_usize; sum];
        for (index, parent) in self.parents.iter().enumerate() {
            if let Some(at) = parent.and_then(|parent| next.get_mut(parent)) {
                if let Some(slot) = children.get_mut(*at) {
                    *slot = index;
                }
                *at += 1;
            }
        }
        (children, starts)
    }

    /// The spans in depth-first order.
    fn rows(&self, spans: Vec<TraceSpan>) -> StitchedTrace {
        let (children, starts) = self.children();
        let mut spans: Vec<Option<TraceSpan>> = spans.into_iter().map(Some).collect();
        let mut trace = StitchedTrace { spans: Vec::with_capacity(spans.len()), ..StitchedTrace::default() };
        let roots = self.parents.iter().enumerate().filter(|(_, parent)| parent.is_none()).map(|(index, _)| index);
        // (span, row of its parent); the last pushed comes next.
        let mut stack: Vec<(usize, Option<usize>)> = roots.rev().map(|index| (index, None)).collect();
        while let Some((index, parent)) = stack.pop() {
            let Some(span) = spans.get_mut(index).and_then(Option::take) else { continue };
            let row = trace.spans.len();
            if parent.is_none() {
                trace.roots.push(row);
            }
            let depth = parent.and_then(|parent| trace.spans.get(parent)).map_or(0, |parent| parent.depth + 1);
            trace.spans.push(StitchedSpan {
                adjusted_start_ns: span.start_ns,
                self_ns: span.duration_ns,
                own_ns: span.duration_ns,
                gap_ns: None,
                own_error: span.is_error(),
                missing_parent: self.missing.get(index).copied().unwrap_or(false),
                subtree_end: row + 1,
                span,
                parent,
                depth,
            });
            let own = starts.get(index).zip(starts.get(index + 1)).and_then(|(from, to)| children.get(*from..*to));
            stack.extend(own.unwrap_or_default().iter().rev().map(|child| (*child, Some(row))));
        }
        close_subtrees(&mut trace.spans);
        trace
    }
}

fn close_subtrees(rows: &mut [StitchedSpan]) {
    for row in (0..rows.len()).rev() {
        let Some((parent, end)) = rows.get(row).map(|span| (span.parent, span.subtree_end)) else { continue };
        if let Some(parent) = parent.and_then(|parent| rows.get_mut(parent)) {
            parent.subtree_end = parent.subtree_end.max(end);
        }
    }
}

fn oddities(trace: &StitchedTrace, forest: &Forest, truncated: usize) -> Vec<Anomaly> {
    let about =
        |kind, span_id: SpanId, message: &str| Anomaly { kind, span_id: Some(span_id), message: message.into() };
    let mut found = Vec::new();
    if truncated > 0 {
        let message = format!("{truncated} spans beyond the first {SPANS_MAX} are left out");
        found.push(Anomaly { kind: AnomalyKind::Truncated, span_id: None, message });
    }
    let real_roots = trace.spans.iter().filter(|row| row.parent.is_none() && !row.missing_parent).count();
    if real_roots > 1 {
        let message = format!("{real_roots} spans have no parent");
        found.push(Anomaly { kind: AnomalyKind::SeveralRoots, span_id: None, message });
    }
    let missing = trace.spans.iter().filter(|row| row.missing_parent);
    found.extend(
        missing.map(|row| about(AnomalyKind::MissingParent, row.span.span_id, "the parent span is not stored")),
    );
    let reopened = forest.reopened.iter();
    found.extend(reopened.map(|id| about(AnomalyKind::Cycle, *id, "spans name each other as ancestors; cut here")));
    let doubled = forest.doubled.iter();
    found.extend(doubled.map(|id| about(AnomalyKind::Duplicate, *id, "two different spans share this id")));
    found
}

/// Two spans of one process share a clock.
fn same_clock(left: &TraceSpan, right: &TraceSpan) -> bool {
    left.resource.service == right.resource.service && left.resource.instance == right.resource.instance
}

/// Moves the spans of processes whose clock cannot be right, parents before children.
fn align_clocks(trace: &mut StitchedTrace) {
    for index in 0..trace.spans.len() {
        let (before, rest) = trace.spans.split_at_mut(index);
        let Some(row) = rest.first_mut() else { continue };
        let Some(parent) = row.parent.and_then(|parent| before.get(parent)) else { continue };
        if same_clock(&parent.span, &row.span) {
            let offset = parent.adjusted_start_ns.saturating_sub(parent.span.start_ns);
            row.adjusted_start_ns = row.span.start_ns.saturating_add(offset);
        } else if let Some(start) = corrected_start(parent, &row.span) {
            row.adjusted_start_ns = start;
            let offset = start.saturating_sub(row.span.start_ns);
            let message = format!("clock is off by {:.3} ms against the caller's", offset.unsigned_abs() as f64 / 1e6);
            trace.anomalies.push(Anomaly { kind: AnomalyKind::ClockSkew, span_id: Some(row.span.span_id), message });
        }
    }
}

/// Where a remote child must have started, if what it says contradicts its parent: it starts before it was
/// called, or ends after a caller that waits for it.
fn corrected_start(parent: &StitchedSpan, child: &TraceSpan) -> Option<i64> {
    let awaited = parent.span.kind == kind::CLIENT && child.kind == kind::SERVER;
    let early = child.start_ns < parent.adjusted_start_ns;
    let late = awaited && child.end_ns() > parent.adjusted_end_ns();
    if !early && !late {
        return None;
    }
    let room = parent.span.duration_ns.saturating_sub(child.duration_ns).max(0);
    let lead = if awaited { room / 2 } else { 0 };
    let start = parent.adjusted_start_ns.saturating_add(lead);
    (start != child.start_ns).then_some(start)
}

#[cfg(test)]
mod tests;

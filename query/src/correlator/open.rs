//! Traces that are still open, and those just closed that a late span may open again.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::time::Duration;

use daytwo_storage::{TraceId, UnixNanos};

use crate::trace::TraceSpan;

/// One trace's spans so far.
#[derive(Debug, Default)]
struct Held {
    spans: Vec<TraceSpan>,
    /// How many of the spans had been measured when it was last closed.
    measured: usize,
    /// When it is due to be closed, or forgotten.
    due: UnixNanos,
    /// Spans of a trace that had been forgotten.
    fragment: bool,
}

/// A trace to measure: all its spans, and how many of them had been measured before.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) spans: Vec<TraceSpan>,
    pub(super) measured_before: usize,
    pub(super) fragment: bool,
}

/// Open and lingering traces, in bounded memory.
#[derive(Debug)]
pub(super) struct OpenTraces {
    held: HashMap<TraceId, Held>,
    due: BTreeSet<(UnixNanos, TraceId)>,
    forgotten: HashSet<TraceId>,
    forgotten_order: VecDeque<TraceId>,
    spans: usize,
    spans_max: usize,
    forgotten_max: usize,
    idle: Duration,
    linger: Duration,
    pub(super) late_spans: u64,
    pub(super) fragment_spans: u64,
    pub(super) evicted: u64,
}

impl OpenTraces {
    pub(super) fn new(idle: Duration, linger: Duration, spans_max: usize, forgotten_max: usize) -> Self {
        Self {
            held: HashMap::new(),
            due: BTreeSet::new(),
            forgotten: HashSet::new(),
            forgotten_order: VecDeque::new(),
            spans: 0,
            spans_max,
            forgotten_max,
            idle,
            linger,
            late_spans: 0,
            fragment_spans: 0,
            evicted: 0,
        }
    }

    /// Adds a span to its trace, opening it (again) if need be.
    pub(super) fn add(&mut self, span: TraceSpan) {
        let id = span.trace_id;
        let due = UnixNanos(span.received_ns).saturating_add(self.idle);
        let fragment = !self.held.contains_key(&id) && self.forgotten.contains(&id);
        let held = self.held.entry(id).or_default();
        let late = fragment || held.fragment || (held.measured > 0 && held.measured == held.spans.len());
        self.late_spans = self.late_spans.saturating_add(u64::from(late));
        held.fragment |= fragment;
        self.fragment_spans = self.fragment_spans.saturating_add(u64::from(held.fragment));
        let reopened = held.measured > 0 && held.measured == held.spans.len();
        let due = if reopened || held.spans.is_empty() { due } else { held.due.max(due) };
        // Spans of one request are due together.
        if due != held.due || held.spans.is_empty() {
            self.due.remove(&(held.due, id));
            held.due = due;
            self.due.insert((due, id));
        }
        held.spans.push(span);
        self.spans = self.spans.saturating_add(1);
    }

    /// Traces to measure now: those quiet for long enough, and the oldest while too many spans are held.
    pub(super) fn close(&mut self, now: UnixNanos) -> Vec<Closed> {
        let mut closed = Vec::new();
        while let Some((due, id)) = self.due.first().copied() {
            let full = self.spans > self.spans_max;
            if due > now && !full {
                break;
            }
            self.due.remove(&(due, id));
            let Some(held) = self.held.get_mut(&id) else { continue };
            let dirty = held.spans.len() > held.measured;
            if dirty {
                closed.push(Closed {
                    spans: held.spans.clone(),
                    measured_before: held.measured,
                    fragment: held.fragment,
                });
                held.measured = held.spans.len();
                held.due = due.max(now).saturating_add(self.linger);
                self.due.insert((held.due, id));
                self.evicted = self.evicted.saturating_add(u64::from(due > now));
            }
            if !dirty || full || held.fragment {
                self.forget(id);
            }
        }
        closed
    }

    /// Traces with spans not yet measured, quiet or not. They stay held, so that a span still to come puts the whole trace in the place of
    /// what is measured now.
    pub(super) fn close_all(&mut self, now: UnixNanos) -> Vec<Closed> {
        let mut closed = Vec::new();
        let mut ids: Vec<TraceId> = self.held.keys().copied().collect();
        ids.sort();
        for id in ids {
            let Some(held) = self.held.get_mut(&id).filter(|held| held.spans.len() > held.measured) else { continue };
            closed.push(Closed { spans: held.spans.clone(), measured_before: held.measured, fragment: held.fragment });
            self.due.remove(&(held.due, id));
            held.measured = held.spans.len();
            held.due = held.due.max(now).saturating_add(self.linger);
            self.due.insert((held.due, id));
            if held.fragment {
                self.forget(id);
            }
        }
        closed
    }

    fn forget(&mut self, id: TraceId) {
        let Some(held) = self.held.remove(&id) else { return };
        self.due.remove(&(held.due, id));
        self.spans = self.spans.saturating_sub(held.spans.len());
        if self.forgotten.insert(id) {
            self.forgotten_order.push_back(id);
        }
        while self.forgotten_order.len() > self.forgotten_max {
            if let Some(oldest) = self.forgotten_order.pop_front() {
                self.forgotten.remove(&oldest);
            }
        }
    }

    /// Traces with spans not yet measured.
    pub(super) fn open(&self) -> usize {
        self.held.values().filter(|held| held.spans.len() > held.measured).count()
    }

    /// Spans held.
    pub(super) fn spans(&self) -> usize {
        self.spans
    }
}

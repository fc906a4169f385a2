//! Traces that are still open, those just closed that a late span may open again, and late spans whose trace has been let go.
//!
//! A late span of a trace that is no longer held waits until the whole trace was read again from the store ([`super::late`]); where that
//! cannot be, it is measured alone, as a fragment.

mod forgotten;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use daytwo_storage::{TraceId, UnixNanos};

use super::EngineConfig;
use crate::hash::{HashMap, HashSet};
use crate::trace::{TraceSpan, same_span};
use forgotten::Forgotten;

/// Traces of which something was measured as a fragment and that are therefore never put together again.
const BROKEN_MAX: usize = 200_000;
/// The part of the spans held that may wait to be read again.
const WAITING_PART: usize = 4;

/// What is known of a trace from before its first span that is held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Past {
    /// Nothing: it is new.
    #[default]
    None,
    /// It was held before, and more of it may be on the way.
    Known,
    /// It is quiet and waits to be read again.
    Waiting,
    /// It is being read again; so many of its spans were held when that began.
    Reading(usize),
    /// It cannot be put together: what comes of it is measured alone.
    Lost,
}

/// One trace's spans so far.
#[derive(Debug, Default)]
struct Held {
    spans: Vec<TraceSpan>,
    /// How many of the spans had been measured when it was last closed.
    measured: usize,
    /// When it is due to be closed, or forgotten.
    due: UnixNanos,
    past: Past,
}

/// A trace to measure: all its spans, and how many of them had been measured before.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) spans: Vec<TraceSpan>,
    pub(super) measured_before: usize,
    pub(super) fragment: bool,
}

/// A trace to read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) trace: TraceId,
    /// When the first of the spans that wait was received.
    pub(super) received: UnixNanos,
}

/// Open and lingering traces, in bounded memory.
#[derive(Debug)]
pub(super) struct OpenTraces {
    held: HashMap<TraceId, Held>,
    due: BTreeSet<(UnixNanos, TraceId)>,
    forgotten: Forgotten,
    broken: HashSet<TraceId>,
    broken_order: VecDeque<TraceId>,
    waiting: VecDeque<TraceId>,
    waiting_spans: usize,
    waiting_max: usize,
    spans: usize,
    spans_max: usize,
    idle: Duration,
    linger: Duration,
    /// Whether there is a store to read traces from again.
    pub(super) can_read: bool,
    pub(super) late_spans: u64,
    pub(super) fragment_spans: u64,
    pub(super) read_again: u64,
    pub(super) evicted: u64,
}

impl OpenTraces {
    pub(super) fn new(config: &EngineConfig) -> Self {
        Self {
            held: HashMap::default(),
            due: BTreeSet::new(),
            forgotten: Forgotten::new(config.closed_ids_max, config.late_window),
            broken: HashSet::default(),
            broken_order: VecDeque::new(),
            waiting: VecDeque::new(),
            waiting_spans: 0,
            waiting_max: config.late_waiting_max,
            spans: 0,
            spans_max: config.open_spans_max,
            idle: config.idle,
            linger: config.linger,
            can_read: false,
            late_spans: 0,
            fragment_spans: 0,
            read_again: 0,
            evicted: 0,
        }
    }

    /// Adds a span to its trace, opening it (again) if need be.
    pub(super) fn add(&mut self, span: TraceSpan) {
        let id = span.trace_id;
        let due = UnixNanos(span.received_ns).saturating_add(self.idle);
        let past = if self.held.contains_key(&id) { Past::None } else { self.past_of(id) };
        let held = self.held.entry(id).or_default();
        if past != Past::None {
            held.past = past;
        }
        let reopened = held.measured > 0 && held.measured == held.spans.len();
        let lost = held.past == Past::Lost;
        self.late_spans = self.late_spans.saturating_add(u64::from(reopened || lost));
        self.fragment_spans = self.fragment_spans.saturating_add(u64::from(lost));
        let due = if reopened || held.spans.is_empty() { due } else { held.due.max(due) };
        match held.past {
            Past::Waiting => self.waiting_spans = self.waiting_spans.saturating_add(1),
            Past::Reading(_) => {}
            // Spans of one request are due together.
            _ if due != held.due || held.spans.is_empty() => {
                self.due.remove(&(held.due, id));
                held.due = due;
                self.due.insert((due, id));
            }
            _ => {}
        }
        held.spans.push(span);
        self.spans = self.spans.saturating_add(1);
    }

    fn past_of(&self, id: TraceId) -> Past {
        if self.broken.contains(&id) {
            Past::Lost
        } else if !self.forgotten.may_hold(id) {
            Past::None
        } else if self.can_read {
            Past::Known
        } else {
            Past::Lost
        }
    }

    /// Traces to measure now: those quiet for long enough, and the oldest while too many spans are held.
    pub(super) fn close(&mut self, now: UnixNanos) -> Vec<Closed> {
        let mut closed = Vec::new();
        while let Some((due, id)) = self.due.first().copied() {
            let full = self.is_full();
            if due > now && !full {
                break;
            }
            self.due.remove(&(due, id));
            let Some(held) = self.held.get_mut(&id) else { continue };
            if held.past == Past::Known {
                self.wait(id);
                continue;
            }
            let dirty = held.spans.len() > held.measured;
            self.evicted = self.evicted.saturating_add(u64::from(dirty && due > now));
            if !dirty || full || held.past == Past::Lost {
                closed.extend(self.forget(id, now).filter(|_| dirty));
            } else {
                closed.push(held.close());
                held.due = due.max(now).saturating_add(self.linger);
                self.due.insert((held.due, id));
            }
        }
        closed.extend(self.give_up_surplus(now));
        closed
    }

    /// Traces with spans not yet measured, quiet or not. They stay held, so that a span still to come puts the whole trace in the place of
    /// what is measured now. Those that must be read again wait for it.
    pub(super) fn close_all(&mut self, now: UnixNanos) -> Vec<Closed> {
        let mut closed = Vec::new();
        let mut ids: Vec<TraceId> = self.held.keys().copied().collect();
        ids.sort();
        for id in ids {
            let Some(held) = self.held.get_mut(&id).filter(|held| held.spans.len() > held.measured) else { continue };
            match held.past {
                Past::Waiting | Past::Reading(_) => continue,
                Past::Known => {
                    self.due.remove(&(held.due, id));
                    self.wait(id);
                    continue;
                }
                Past::None | Past::Lost => {}
            }
            if held.past == Past::Lost {
                closed.extend(self.forget(id, now));
                continue;
            }
            closed.push(held.close());
            self.due.remove(&(held.due, id));
            held.due = held.due.max(now).saturating_add(self.linger);
            self.due.insert((held.due, id));
        }
        closed.extend(self.give_up_surplus(now));
        closed
    }

    /// Lets a trace wait to be read again.
    fn wait(&mut self, id: TraceId) {
        let Some(held) = self.held.get_mut(&id) else { return };
        held.past = Past::Waiting;
        self.waiting.push_back(id);
        self.waiting_spans = self.waiting_spans.saturating_add(held.spans.len());
    }

    /// Traces that wait and are too many: the last to come are measured as fragments, so that those before them are read.
    fn give_up_surplus(&mut self, now: UnixNanos) -> Vec<Closed> {
        let mut closed = Vec::new();
        while self.waiting.len() > self.waiting_max || self.waiting_spans > self.spans_max / WAITING_PART {
            let Some(id) = self.waiting.pop_back() else { break };
            self.waiting_spans = self.waiting_spans.saturating_sub(self.held_spans(id));
            closed.extend(self.give_up(id, now));
        }
        closed
    }

    fn held_spans(&self, id: TraceId) -> usize {
        self.held.get(&id).map_or(0, |held| held.spans.len())
    }

    /// Whether a trace waits to be read again.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The traces to read again next, at most so many. Each has to be brought back by [`OpenTraces::put_together`].
    pub(super) fn take_waiting(&mut self, traces_max: usize) -> Vec<Wanted> {
        let count = traces_max.min(self.waiting.len());
        let ids: Vec<TraceId> = self.waiting.drain(..count).collect();
        let mut wanted = Vec::with_capacity(count);
        for trace in ids {
            let Some(held) = self.held.get_mut(&trace) else { continue };
            held.past = Past::Reading(held.spans.len());
            self.waiting_spans = self.waiting_spans.saturating_sub(held.spans.len());
            let received = held.spans.iter().map(|span| span.received_ns).min().unwrap_or(0);
            wanted.push(Wanted { trace, received: UnixNanos(received) });
        }
        wanted
    }

    /// Lets traces wait again whose reading came to nothing.
    pub(super) fn wait_again(&mut self) {
        let reading = self.held.iter().filter(|(_, held)| matches!(held.past, Past::Reading(_)));
        let mut ids: Vec<TraceId> = reading.map(|(id, _)| *id).collect();
        ids.sort();
        ids.into_iter().for_each(|id| self.wait(id));
    }

    /// Takes the spans of a trace as they are stored, those that wait included, and gives the whole of it; a fragment when nothing could
    /// be read, or `is_known` says of a span that was measured that it was not.
    pub(super) fn put_together(
        &mut self,
        id: TraceId,
        stored: Option<Vec<TraceSpan>>,
        now: UnixNanos,
        is_known: impl Fn(&TraceSpan) -> bool,
    ) -> Option<Closed> {
        let held = self.held.get_mut(&id)?;
        let Past::Reading(known) = held.past else { return None };
        let before = stored.map(|stored| without(stored, held.spans.get(..known).unwrap_or_default()));
        let Some(mut spans) = before.filter(|before| before.iter().all(is_known)) else {
            return self.give_up(id, now);
        };
        let measured_before = spans.len();
        let late = if measured_before > 0 { held.spans.len() as u64 } else { 0 };
        self.late_spans = self.late_spans.saturating_add(late);
        self.read_again = self.read_again.saturating_add(u64::from(late > 0));
        self.spans = self.spans.saturating_add(measured_before);
        spans.append(&mut held.spans);
        held.spans = spans;
        held.past = Past::None;
        held.due = now.saturating_add(self.linger);
        self.due.insert((held.due, id));
        Some(Closed { measured_before, ..held.close() })
    }

    /// Measures what is held of a trace as a fragment, and so whatever else comes of it.
    fn give_up(&mut self, id: TraceId, now: UnixNanos) -> Option<Closed> {
        let held = self.held.get_mut(&id)?;
        held.past = Past::Lost;
        self.late_spans = self.late_spans.saturating_add(held.spans.len() as u64);
        self.fragment_spans = self.fragment_spans.saturating_add(held.spans.len() as u64);
        self.forget(id, now)
    }

    /// Lets a trace go; what was held of it is given, and not a copy, since it may be large.
    fn forget(&mut self, id: TraceId, now: UnixNanos) -> Option<Closed> {
        let held = self.held.remove(&id)?;
        self.due.remove(&(held.due, id));
        self.spans = self.spans.saturating_sub(held.spans.len());
        self.forgotten.insert(id, now);
        if held.past == Past::Lost && self.broken.insert(id) {
            self.broken_order.push_back(id);
        }
        while self.broken_order.len() > BROKEN_MAX {
            if let Some(oldest) = self.broken_order.pop_front() {
                self.broken.remove(&oldest);
            }
        }
        Some(Closed { measured_before: held.measured, fragment: held.past == Past::Lost, spans: held.spans })
    }

    /// Traces with spans not yet measured.
    pub(super) fn open(&self) -> usize {
        self.held.values().filter(|held| held.spans.len() > held.measured).count()
    }

    /// Whether more spans are held than may be.
    pub(super) fn is_full(&self) -> bool {
        self.spans > self.spans_max
    }

    /// Spans held.
    pub(super) fn spans(&self) -> usize {
        self.spans
    }

    /// Ids of closed traces that were forgotten early, so that a late span of theirs begins a trace of its own.
    pub(super) fn forgotten_early(&self) -> u64 {
        self.forgotten.dropped
    }
}

impl Held {
    /// What is to be measured; from here on it counts as measured.
    fn close(&mut self) -> Closed {
        let measured_before = std::mem::replace(&mut self.measured, self.spans.len());
        Closed { spans: self.spans.clone(), measured_before, fragment: self.past == Past::Lost }
    }
}

/// The stored spans less those that wait, each taken out as often as it waits.
fn without(mut stored: Vec<TraceSpan>, waiting: &[TraceSpan]) -> Vec<TraceSpan> {
    let mut waiting: Vec<&TraceSpan> = waiting.iter().collect();
    waiting.sort_by(|left, right| same_span(left, right));
    stored.sort_by(same_span);
    let mut waiting = waiting.into_iter().peekable();
    stored.retain(|span| {
        while waiting.next_if(|next| same_span(next, span).is_lt()).is_some() {}
        waiting.next_if(|next| same_span(next, span).is_eq()).is_none()
    });
    stored
}

//! [`SloCounter`]: exact good and bad events of one objective over time.

pub(crate) mod kept;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use daytwo_storage::{TraceId, UnixNanos};

use crate::measure::{COARSE, FINE, slot_start};

/// Fine slots are kept this long: enough for the 1 h burn rate at full resolution.
const FINE_KEPT: Duration = Duration::from_secs(2 * 3600);
/// Pairs of operation and version told apart; the rest is one pair.
const SHARES_MAX: usize = 512;
/// Bad traces remembered.
const BAD_TRACES_MAX: usize = 50;

/// Good and bad events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Events {
    pub(crate) good: u64,
    pub(crate) bad: u64,
}

impl Events {
    pub(crate) fn total(self) -> u64 {
        self.good.saturating_add(self.bad)
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.good = self.good.saturating_add(other.good);
        self.bad = self.bad.saturating_add(other.bad);
    }

    fn change(&mut self, good: bool, add: bool) {
        let count = if good { &mut self.good } else { &mut self.bad };
        *count = if add { count.saturating_add(1) } else { count.saturating_sub(1) };
    }
}

/// One event: a finished call.
#[derive(Debug, Clone)]
pub(crate) struct Event<'a> {
    pub(crate) at: UnixNanos,
    pub(crate) good: bool,
    pub(crate) operation: &'a Arc<str>,
    pub(crate) version: &'a Arc<str>,
    pub(crate) trace_id: Option<TraceId>,
}

/// Exact counters of one objective.
#[derive(Debug, Clone, Default)]
pub struct SloCounter {
    fine: BTreeMap<i64, Events>,
    coarse: BTreeMap<i64, Events>,
    shares: BTreeMap<(Arc<str>, Arc<str>), u64>,
    bad_traces: VecDeque<(UnixNanos, TraceId)>,
}

impl SloCounter {
    /// Adds an event (`add`) or takes out one that was added.
    pub(crate) fn change(&mut self, event: &Event<'_>, add: bool) {
        self.fine.entry(slot_start(event.at, FINE)).or_default().change(event.good, add);
        self.coarse.entry(slot_start(event.at, COARSE)).or_default().change(event.good, add);
        if !event.good {
            self.change_share(event, add);
            self.change_bad_trace(event, add);
        }
    }

    fn change_share(&mut self, event: &Event<'_>, add: bool) {
        let mut key = (Arc::clone(event.operation), Arc::clone(event.version));
        if !self.shares.contains_key(&key) && self.shares.len() >= SHARES_MAX {
            key = ("~other".into(), "".into());
        }
        let bad = self.shares.entry(key).or_default();
        *bad = if add { bad.saturating_add(1) } else { bad.saturating_sub(1) };
    }

    fn change_bad_trace(&mut self, event: &Event<'_>, add: bool) {
        let Some(trace_id) = event.trace_id else { return };
        self.bad_traces.retain(|(_, known)| *known != trace_id);
        if add {
            let later = self.bad_traces.partition_point(|(at, known)| (*at, *known) < (event.at, trace_id));
            self.bad_traces.insert(later, (event.at, trace_id));
            if self.bad_traces.len() > BAD_TRACES_MAX {
                self.bad_traces.pop_front();
            }
        }
    }

    /// Takes over another count of the same events. Neither counts an event twice, so of every slot the larger one is the
    /// more complete: the other's after this one fell behind, this one's where the other did not look far enough back.
    pub(crate) fn fill_from(&mut self, other: Self) {
        fill(&mut self.fine, other.fine);
        fill(&mut self.coarse, other.coarse);
        for (key, bad) in other.shares {
            if self.shares.len() < SHARES_MAX || self.shares.contains_key(&key) {
                let known = self.shares.entry(key).or_default();
                *known = bad.max(*known);
            }
        }
        self.bad_traces.extend(other.bad_traces);
        self.bad_traces.make_contiguous().sort_unstable();
        let mut seen = HashSet::new();
        self.bad_traces.retain(|(_, trace)| seen.insert(*trace));
        let surplus = self.bad_traces.len().saturating_sub(BAD_TRACES_MAX);
        self.bad_traces.drain(..surplus);
    }

    /// Drops what is older than the window.
    pub(crate) fn maintain(&mut self, now: UnixNanos, window: Duration) {
        self.fine = self.fine.split_off(&now.saturating_sub(FINE_KEPT).0);
        self.coarse = self.coarse.split_off(&slot_start(now.saturating_sub(window), COARSE));
    }

    /// Events of the last `length` before `now`; to 10 s for up to two hours, else to five minutes.
    pub(crate) fn last(&self, now: UnixNanos, length: Duration) -> Events {
        let (slots, width) = if length <= FINE_KEPT { (&self.fine, FINE) } else { (&self.coarse, COARSE) };
        sum(slots, slot_start(now.saturating_sub(length), width), now.0)
    }

    /// Events of five minutes from each start, ascending, up to `now`.
    pub(crate) fn steps(&self, from: UnixNanos, now: UnixNanos) -> impl Iterator<Item = (i64, Events)> + '_ {
        let from = slot_start(from, COARSE);
        self.coarse.range(from..now.0.max(from)).map(|(start, events)| (*start, *events))
    }

    /// Bad events by operation and version.
    pub(crate) fn shares(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>, u64)> {
        self.shares.iter().map(|((operation, version), bad)| (operation, version, *bad)).filter(|(.., bad)| *bad > 0)
    }

    /// Newest traces with a bad event, newest first.
    pub(crate) fn bad_traces(&self) -> Vec<TraceId> {
        self.bad_traces.iter().rev().map(|(_, trace)| *trace).collect()
    }
}

fn fill(slots: &mut BTreeMap<i64, Events>, others: BTreeMap<i64, Events>) {
    for (start, events) in others {
        let known = slots.entry(start).or_default();
        if events.total() >= known.total() {
            *known = events;
        }
    }
}

fn sum(slots: &BTreeMap<i64, Events>, from: i64, to: i64) -> Events {
    let mut all = Events::default();
    slots.range(from..=to.max(from)).for_each(|(_, events)| all.add(*events));
    all
}

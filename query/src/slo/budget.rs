//! [`SloCounter`]: exact good and bad events of one objective over time.

mod baseline;
pub(crate) mod kept;
pub(crate) mod parts;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use daytwo_storage::{TraceId, UnixNanos};

use crate::measure::{COARSE, FINE, slot_start};
use crate::slo::journey::{Outcome, Travelled};
use crate::trace::Weight;
use baseline::Baseline;
use parts::Parts;

/// Fine slots are kept this long: enough for the 1 h burn rate at full resolution.
const FINE_KEPT: Duration = Duration::from_secs(2 * 3600);
/// Five-minute slots are kept this long, the longest of rolling windows; beyond, hours.
const COARSE_KEPT: Duration = Duration::from_secs(90 * 86_400);
/// What five-minute slots are joined to.
const HOUR: Duration = Duration::from_secs(3_600);
/// Pairs of operation and version told apart; the rest is one pair.
const SHARES_MAX: usize = 512;
/// Bad traces remembered.
pub(crate) const BAD_TRACES_MAX: usize = 50;

/// Good and bad events as they came, and beside them what sampled ones stand for beyond themselves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Events {
    pub(crate) good: u64,
    pub(crate) bad: u64,
    /// Weights of good events less one for each, in the unit of [`Weight`].
    pub(crate) more_good: u64,
    /// The same of bad ones.
    pub(crate) more_bad: u64,
    /// Journeys of which too little was seen: neither good nor bad.
    pub(crate) unknown: u64,
    /// Their weights less one for each.
    pub(crate) more_unknown: u64,
}

impl Events {
    pub(crate) fn total(self) -> u64 {
        self.good.saturating_add(self.bad)
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.good = self.good.saturating_add(other.good);
        self.bad = self.bad.saturating_add(other.bad);
        self.more_good = self.more_good.saturating_add(other.more_good);
        self.more_bad = self.more_bad.saturating_add(other.more_bad);
        self.unknown = self.unknown.saturating_add(other.unknown);
        self.more_unknown = self.more_unknown.saturating_add(other.more_unknown);
    }

    fn less(self, other: Self) -> Self {
        Self {
            good: self.good.saturating_sub(other.good),
            bad: self.bad.saturating_sub(other.bad),
            more_good: self.more_good.saturating_sub(other.more_good),
            more_bad: self.more_bad.saturating_sub(other.more_bad),
            unknown: self.unknown.saturating_sub(other.unknown),
            more_unknown: self.more_unknown.saturating_sub(other.more_unknown),
        }
    }

    /// All events, those included of which too little was seen.
    fn seen(self) -> u64 {
        self.total().saturating_add(self.unknown)
    }

    /// What good, bad and unknown events stand for, in the unit of [`Weight`].
    pub(crate) fn weights(self) -> [u64; 3] {
        let weight = |count: u64, more: u64| count.saturating_mul(Weight::ONE).saturating_add(more);
        [weight(self.good, self.more_good), weight(self.bad, self.more_bad), weight(self.unknown, self.more_unknown)]
    }

    /// As many events, of which only those of `other` are bad.
    pub(crate) fn with_bad_of(self, other: Self) -> Self {
        let more = self.more_good.saturating_add(self.more_bad);
        Self {
            good: self.total().saturating_sub(other.bad),
            bad: other.bad,
            more_good: more.saturating_sub(other.more_bad),
            more_bad: other.more_bad,
            ..self
        }
    }

    /// Bad share of the events, each counted as often as it stands for; `None` without events.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    pub(crate) fn bad_share(self) -> Option<f64> {
        let weighed = |count: u64, more: u64| count as f64 + more as f64 / Weight::ONE as f64;
        let bad = weighed(self.bad, self.more_bad);
        (self.total() > 0).then(|| bad / weighed(self.total(), self.more_good.saturating_add(self.more_bad)))
    }

    fn change(&mut self, outcome: Outcome, weight: Weight, add: bool) {
        let (count, more) = match outcome {
            Outcome::Good => (&mut self.good, &mut self.more_good),
            Outcome::Bad => (&mut self.bad, &mut self.more_bad),
            Outcome::Unknown => (&mut self.unknown, &mut self.more_unknown),
        };
        for (sum, by) in [(count, 1), (more, weight.more())] {
            *sum = if add { sum.saturating_add(by) } else { sum.saturating_sub(by) };
        }
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
    pub(crate) weight: Weight,
}

/// Exact counters of one objective.
#[derive(Debug, Clone, Default)]
pub struct SloCounter {
    fine: BTreeMap<i64, Events>,
    coarse: BTreeMap<i64, Events>,
    shares: BTreeMap<(Arc<str>, Arc<str>), u64>,
    bad_traces: VecDeque<(UnixNanos, TraceId)>,
    /// Of journeys, by the slots of `fine`: who is charged.
    fine_parts: BTreeMap<i64, Parts>,
    /// The same by the slots of `coarse`.
    coarse_parts: BTreeMap<i64, Parts>,
    baseline: Baseline,
}

impl SloCounter {
    /// Adds an event (`add`) or takes out one that was added.
    pub(crate) fn change(&mut self, event: &Event<'_>, add: bool) {
        let outcome = if event.good { Outcome::Good } else { Outcome::Bad };
        self.fine.entry(slot_start(event.at, FINE)).or_default().change(outcome, event.weight, add);
        self.coarse.entry(slot_start(event.at, COARSE)).or_default().change(outcome, event.weight, add);
        if !event.good {
            self.change_share(event, add);
            self.change_bad_trace(event, add);
        }
    }

    /// Adds a journey, or takes out one that was added.
    pub(crate) fn change_journey(&mut self, journey: &Travelled<'_>, add: bool) {
        let &Travelled { at, weight, outcome, .. } = journey;
        let (fine, coarse) = (slot_start(at, FINE), slot_start(at, COARSE));
        self.fine.entry(fine).or_default().change(outcome, weight, add);
        self.coarse.entry(coarse).or_default().change(outcome, weight, add);
        self.baseline.change(journey, add);
        if outcome != Outcome::Bad {
            return;
        }
        let charges = parts::charges(journey, self.baseline.at(at).as_deref());
        let stands_for = Weight::ONE.saturating_add(weight.more());
        for (parts, start) in [(&mut self.fine_parts, fine), (&mut self.coarse_parts, coarse)] {
            let slot = parts.entry(start).or_default();
            slot.change(&charges, &journey.failed, stands_for, add);
            if slot.is_empty() {
                parts.remove(&start);
            }
        }
        let trace_id = Some(journey.trace_id);
        let event = Event { at, good: false, operation: journey.operation, version: journey.version, trace_id, weight };
        self.change_share(&event, add);
        self.change_bad_trace(&event, add);
    }

    /// Adds the events of a slot that begins then, however wide it is: windows see it whole or not at all.
    pub(crate) fn add_slot(&mut self, start: i64, events: Events) {
        self.fine.entry(start).or_default().add(events);
        self.coarse.entry(slot_start(UnixNanos(start), COARSE)).or_default().add(events);
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
        fill((&mut self.fine, &mut self.fine_parts), (other.fine, other.fine_parts));
        fill((&mut self.coarse, &mut self.coarse_parts), (other.coarse, other.coarse_parts));
        if self.baseline.is_empty() {
            self.baseline = other.baseline;
        }
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

    /// Drops what is older than the window, and joins what is very old.
    pub(crate) fn maintain(&mut self, now: UnixNanos, window: Duration) {
        let (fine, coarse) = (now.saturating_sub(FINE_KEPT).0, slot_start(now.saturating_sub(window), COARSE));
        self.fine = self.fine.split_off(&fine);
        self.fine_parts = self.fine_parts.split_off(&fine);
        self.coarse = self.coarse.split_off(&coarse);
        self.coarse_parts = self.coarse_parts.split_off(&coarse);
        self.join_old(slot_start(now.saturating_sub(COARSE_KEPT), HOUR));
    }

    /// Joins the slots of each hour before `until` in the first slot of the hour that has events: a window that begins with a slot still begins
    /// with it. Five minutes of a year would be three times as many slots.
    fn join_old(&mut self, until: i64) {
        let mut hours: BTreeMap<i64, i64> = BTreeMap::new();
        let old: Vec<i64> = self.coarse.range(..until).map(|(start, _)| *start).collect();
        for start in old {
            let first = *hours.entry(slot_start(UnixNanos(start), HOUR)).or_insert(start);
            if first != start {
                let events = self.coarse.remove(&start).unwrap_or_default();
                self.coarse.entry(first).or_default().add(events);
                if let Some(parts) = self.coarse_parts.remove(&start) {
                    self.coarse_parts.entry(first).or_default().add(&parts);
                }
            }
        }
    }

    /// Events from `from` to `now`; to 10 s for up to two hours, else to five minutes.
    pub(crate) fn between(&self, from: UnixNanos, now: UnixNanos) -> Events {
        let width = width(now.since(from));
        sum(self.slots(width), slot_start(from, width), now.0)
    }

    /// Who is charged for the bad journeys that [`SloCounter::between`] counts, and what they failed at.
    pub(crate) fn parts_between(&self, from: UnixNanos, now: UnixNanos) -> Parts {
        let width = width(now.since(from));
        let slots = if width == FINE { &self.fine_parts } else { &self.coarse_parts };
        let from = slot_start(from, width);
        let mut all = Parts::default();
        slots.range(from..=now.0.max(from)).for_each(|(_, parts)| all.add(parts));
        all
    }

    /// Running sums of the slots that cover so long before `now`, to the same widths.
    pub(crate) fn sums(&self, from: UnixNanos, now: UnixNanos) -> Sums {
        let width = width(now.since(from));
        let mut all = Events::default();
        let running = |(start, events): (&i64, &Events)| {
            all.add(*events);
            (*start, all)
        };
        let from = slot_start(from, width);
        Sums { width, sums: self.slots(width).range(from..=now.0.max(from)).map(running).collect() }
    }

    fn slots(&self, width: Duration) -> &BTreeMap<i64, Events> {
        if width == FINE { &self.fine } else { &self.coarse }
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

    /// Newest traces with a bad event, newest first, and when it happened.
    pub(crate) fn bad_traces(&self) -> impl Iterator<Item = (UnixNanos, TraceId)> + '_ {
        self.bad_traces.iter().rev().copied()
    }
}

/// Running sums over slots, to ask for many stretches of time.
#[derive(Debug)]
pub(crate) struct Sums {
    /// Width of the slots.
    pub(crate) width: Duration,
    sums: Vec<(i64, Events)>,
}

impl Sums {
    /// Events from the slot of `from` to `to`.
    pub(crate) fn between(&self, from: UnixNanos, to: UnixNanos) -> Events {
        let before = |end: i64| {
            let count = self.sums.partition_point(|(start, _)| *start < end);
            count.checked_sub(1).and_then(|last| self.sums.get(last)).map_or(Events::default(), |(_, sum)| *sum)
        };
        before(to.0.saturating_add(1)).less(before(slot_start(from, self.width)))
    }
}

/// Width of the slots that serve so long a stretch.
fn width(length: Duration) -> Duration {
    if length <= FINE_KEPT { FINE } else { COARSE }
}

/// Slots and what belongs to each: of either count's both or none.
fn fill(
    (slots, parts): (&mut BTreeMap<i64, Events>, &mut BTreeMap<i64, Parts>),
    (others, mut other_parts): (BTreeMap<i64, Events>, BTreeMap<i64, Parts>),
) {
    for (start, events) in others {
        let known = slots.entry(start).or_default();
        if events.seen() < known.seen() {
            continue;
        }
        *known = events;
        match other_parts.remove(&start) {
            Some(own) => drop(parts.insert(start, own)),
            None => drop(parts.remove(&start)),
        }
    }
}

fn sum(slots: &BTreeMap<i64, Events>, from: i64, to: i64) -> Events {
    let mut all = Events::default();
    slots.range(from..=to.max(from)).for_each(|(_, events)| all.add(*events));
    all
}

#[cfg(test)]
mod tests;

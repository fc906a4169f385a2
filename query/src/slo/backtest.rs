//! What an objective would have done over stored history: the events of its cells, and the alerts that would have fired.
//!
//! Calls come from cells, so history reaches as far as these are kept. How many calls took longer than a threshold is read off histograms
//! (within 1 % of the threshold); which of the slow calls also failed cells do not say, so a call may count twice as bad, and how many may is told.

use std::sync::Arc;
use std::time::Duration;

use daytwo_storage::UnixNanos;

use super::budget::Events;
use super::{Alerting, Calls, Member, Objective, ObjectiveKind, Severity, SloCounter, View, Window, burn};
use crate::measure::{CellKey, CellValue, LogHistogram, SliCells};
use crate::sli::TimeWindow;
use crate::trace::{Weight, kind};

/// Instants at which alerts are looked at, at most.
const LOOKS_MAX: u64 = 2_000;
/// Alerts are looked at every ten seconds, or as often as [`LOOKS_MAX`] allows.
const STEP: Duration = Duration::from_secs(10);
/// Firings that are listed of one objective, the first ones.
const FIRINGS_MAX: usize = 100;

/// An objective to try.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectiveTrial {
    /// Which calls count, and which of them are good.
    pub calls: Calls,
    /// Share of good calls that is promised, between 0 and 1.
    pub target: f64,
    /// The rolling window of the budget.
    pub window: Duration,
}

/// An alert that would have fired.
#[derive(Debug, Clone, PartialEq)]
pub struct Firing {
    /// Whom it would have woken.
    pub severity: Severity,
    /// Its long window.
    pub long: String,
    /// Its short window.
    pub short: String,
    /// When it would have begun.
    pub from_unix_nano: i64,
    /// When it would have ended; `None` when it still burnt at the end.
    pub to_unix_nano: Option<i64>,
}

/// What an objective would have done.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectiveOutcome {
    /// Calls that were good.
    pub good: u64,
    /// Calls that were bad.
    pub bad: u64,
    /// Of the bad ones, so many may be counted twice: they failed and were slow.
    pub bad_uncertain: u64,
    /// Share of good calls; `None` without calls.
    pub sli: Option<f64>,
    /// Budget left at the end: 1 untouched, 0 spent, negative overspent.
    pub budget_left: Option<f64>,
    /// How often someone would have been woken.
    pub pages: u64,
    /// How often a ticket would have been written.
    pub tickets: u64,
    /// Seconds during which any alert would have fired.
    pub firing_s: u64,
    /// The first of them.
    pub firings: Vec<Firing>,
    /// Seconds between looks: what lasted less may be missing.
    pub step_s: u64,
    /// First instant that any call was found at.
    pub first_unix_nano: Option<i64>,
}

/// Tries an objective over the cells of a stretch of time.
#[cfg(test)]
fn objective(cells: &SliCells, trial: &ObjectiveTrial, range: TimeWindow) -> ObjectiveOutcome {
    History::of(cells, trial, range).replay(trial, range)
}

/// The events of a cell: known once it is over.
#[derive(Debug, Clone, Copy)]
struct Slot {
    end: i64,
    start: i64,
    events: Events,
}

/// The events of an objective, out of the cells.
#[derive(Debug, Default)]
pub(crate) struct History {
    slots: Vec<Slot>,
    uncertain: Vec<(i64, u64)>,
    first: Option<i64>,
}

impl History {
    /// Those of a stretch of time and of the window before it.
    pub(crate) fn of(cells: &SliCells, trial: &ObjectiveTrial, range: TimeWindow) -> Self {
        let calls = &trial.calls;
        let wanted = |key: &CellKey| {
            matches!(key.kind, kind::SERVER | kind::CONSUMER)
                && calls.service == key.service
                && calls.operation.as_ref().is_none_or(|operation| *operation == key.operation)
                && calls.environment.as_ref().is_none_or(|environment| *environment == key.environment)
        };
        let with_window = TimeWindow { from: range.from.saturating_sub(trial.window), to: range.to };
        let mut history = Self::default();
        cells.iter(with_window, wanted).for_each(|(_, slot, value)| {
            history.take(slot.from_unix_nano, slot.width_ns, value, calls.kind);
        });
        history.slots.sort_unstable_by_key(|slot| (slot.end, slot.start));
        history
    }

    fn take(&mut self, start: i64, width: i64, value: &CellValue, kind: ObjectiveKind) {
        let slow = match kind {
            ObjectiveKind::Availability => 0,
            ObjectiveKind::Latency { threshold_ns } => beyond(&value.total, threshold_ns),
        };
        let bad = value.errors.saturating_add(slow).min(value.calls);
        self.uncertain.push((start, value.errors.min(slow)));
        self.first = Some(self.first.map_or(start, |first| first.min(start)));
        let events = Events { good: value.calls.saturating_sub(bad), bad, ..Events::default() };
        self.slots.push(Slot { end: start.saturating_add(width), start, events: weighed(events, value) });
    }

    /// Looks at it step by step.
    pub(crate) fn replay(self, trial: &ObjectiveTrial, range: TimeWindow) -> ObjectiveOutcome {
        let objective = synthetic(trial);
        let (mut counters, mut known) = ([SloCounter::default()], 0);
        let mut learn = |counters: &mut [SloCounter; 1], until: UnixNanos| {
            while let Some(slot) = self.slots.get(known).filter(|slot| slot.end <= until.0) {
                counters[0].add_slot(slot.start, slot.events);
                known = known.saturating_add(1);
            }
        };
        let span = range.to.since(range.from);
        let steps = u64::try_from(span.as_nanos() / STEP.as_nanos()).unwrap_or(u64::MAX).div_ceil(LOOKS_MAX).max(1);
        let step = STEP.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX));
        let mut fired = Fired::default();
        let mut at = range.from.saturating_add(step);
        while at <= range.to {
            learn(&mut counters, at);
            // A slot that begins at this instant has not been seen yet.
            let view = View::new(&objective, &counters, UnixNanos(at.0.saturating_sub(1)));
            fired.look(&view, at, step);
            at = at.saturating_add(step);
        }
        learn(&mut counters, range.to);
        let end = View::new(&objective, &counters, UnixNanos(range.to.0.saturating_sub(1)));
        let in_range = counters[0].between(range.from, UnixNanos(range.to.0.saturating_sub(1)));
        let uncertain = self.uncertain.iter().filter(|(start, _)| (range.from.0..range.to.0).contains(start));
        ObjectiveOutcome {
            good: in_range.good,
            bad: in_range.bad,
            bad_uncertain: uncertain.map(|(_, count)| *count).sum(),
            sli: in_range.bad_share().map(|bad| 1.0 - bad),
            budget_left: end.window().budget_left(trial.target),
            pages: fired.pages,
            tickets: fired.tickets,
            firing_s: fired.firing.as_secs(),
            firings: fired.firings,
            step_s: step.as_secs(),
            first_unix_nano: self.first,
        }
    }
}

/// What fired so far.
#[derive(Default)]
struct Fired {
    pages: u64,
    tickets: u64,
    firing: Duration,
    firings: Vec<Firing>,
    /// By place among the alerts: whether it fires, and where it is listed.
    now: Vec<Option<Option<usize>>>,
}

impl Fired {
    fn look(&mut self, view: &View<'_>, at: UnixNanos, step: Duration) {
        let alerts = burn::alerts(view);
        self.now.resize(alerts.len(), None);
        if alerts.iter().any(|alert| alert.firing) {
            self.firing = self.firing.saturating_add(step);
        }
        for (alert, state) in alerts.into_iter().zip(&mut self.now) {
            match (alert.firing, *state) {
                (true, None) => {
                    let count = if alert.severity == Severity::Page { &mut self.pages } else { &mut self.tickets };
                    *count = count.saturating_add(1);
                    let listed = (self.firings.len() < FIRINGS_MAX).then_some(self.firings.len());
                    if listed.is_some() {
                        self.firings.push(Firing {
                            severity: alert.severity,
                            long: alert.long,
                            short: alert.short,
                            from_unix_nano: at.0,
                            to_unix_nano: None,
                        });
                    }
                    *state = Some(listed);
                }
                (false, Some(listed)) => {
                    if let Some(firing) = listed.and_then(|place| self.firings.get_mut(place)) {
                        firing.to_unix_nano = Some(at.0);
                    }
                    *state = None;
                }
                _ => {}
            }
        }
    }
}

/// The objective as a file would declare it.
fn synthetic(trial: &ObjectiveTrial) -> Objective {
    let name = "back-test";
    let member = Member { name: name.to_owned(), calls: trial.calls.clone(), target: trial.target, weight: 1.0 };
    Objective {
        id: name.to_owned(),
        name: name.to_owned(),
        display_name: name.to_owned(),
        service: Arc::clone(&trial.calls.service),
        members: vec![member],
        target: trial.target,
        window: Window::Rolling(trial.window),
        window_text: burn::words(trial.window),
        alerting: Alerting::Pairs,
        file: String::new(),
        yaml: String::new(),
    }
}

/// Calls in buckets that lie beyond the threshold for the most part.
fn beyond(histogram: &LogHistogram, threshold_ns: i64) -> u64 {
    #[expect(clippy::cast_precision_loss, reason = "a threshold is far below 2^53 ns")]
    let threshold = threshold_ns.max(0) as f64;
    let middle = |bucket: i16| {
        let next = histogram.lower_bound(bucket.saturating_add(1));
        (histogram.lower_bound(bucket) * next).sqrt()
    };
    histogram
        .buckets()
        .iter()
        .filter(|(bucket, _)| middle(*bucket) > threshold)
        .map(|(_, count)| u64::from(*count))
        .sum()
}

/// Events with what sampled calls stand for beyond themselves, spread over good and bad ones as the cell has them.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "counts stay far below 2^53"
)]
fn weighed(events: Events, value: &CellValue) -> Events {
    let more = value.adjusted_calls() - value.calls as f64;
    if more <= 0.0 {
        return events;
    }
    let share = events.bad as f64 / value.calls.max(1) as f64;
    let unit = Weight::ONE as f64;
    Events { more_good: (more * (1.0 - share) * unit) as u64, more_bad: (more * share * unit) as u64, ..events }
}

#[cfg(test)]
mod tests;

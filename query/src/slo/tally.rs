//! Counts of an objective's members over a stretch of time, and what they make together.

use std::time::Duration;

use daytwo_storage::UnixNanos;
use statrs::function::beta::inv_beta_reg;

use super::Objective;
use super::budget::{Events, SloCounter};

/// Confidence level of the lower bound of an error ratio.
const LOW_TRAFFIC_ALPHA: f64 = 0.01;

/// Events of each member and its weight. The error ratio of several is the weighted average of theirs; a member without events has none and is left
/// out, so that silence neither helps nor harms.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally(Vec<(Events, f64)>);

impl Tally {
    /// All events, whatever their weight.
    pub(super) fn sum(&self) -> Events {
        let mut all = Events::default();
        self.0.iter().for_each(|(events, _)| all.add(*events));
        all
    }

    /// Weighted average over the members that have events; `None` when none has.
    fn average(&self, of: impl Fn(Events) -> f64) -> Option<f64> {
        let counted = || self.0.iter().filter(|(events, _)| events.total() > 0);
        let weight: f64 = counted().map(|(_, weight)| weight).sum();
        (weight > 0.0).then(|| counted().map(|(events, own)| own * of(*events)).sum::<f64>() / weight)
    }

    /// Share of bad events, each counted as often as it stands for.
    pub(super) fn error(&self) -> Option<f64> {
        self.average(|events| events.bad_share().unwrap_or(0.0))
    }

    /// What each member adds to [`Tally::error`].
    pub(super) fn parts(&self) -> Vec<Option<f64>> {
        let weight: f64 = self.0.iter().filter(|(events, _)| events.total() > 0).map(|(_, weight)| weight).sum();
        let part = |(events, own): &(Events, f64)| events.bad_share().map(|share| own * share / weight);
        self.0.iter().map(part).collect()
    }

    /// Budget-spending speed of these events; `None` without events.
    pub(super) fn rate(&self, target: f64) -> Option<f64> {
        self.error().map(|error| error / (1.0 - target))
    }

    /// Share of the budget that is left after these events.
    pub(super) fn budget_left(&self, target: f64) -> Option<f64> {
        self.rate(target).map(|rate| 1.0 - rate)
    }

    /// Lower end of the one-sided Clopper-Pearson interval of the burn rate, by the events that came and not by what they stand for; of several members the average of theirs, which is lower still.
    pub(super) fn rate_low(&self, target: f64) -> f64 {
        self.average(error_low).unwrap_or(0.0) / (1.0 - target)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn error_low(events: Events) -> f64 {
    if events.bad == 0 {
        return 0.0;
    }
    inv_beta_reg(events.bad as f64, events.good as f64 + 1.0, LOW_TRAFFIC_ALPHA)
}

impl FromIterator<(Events, f64)> for Tally {
    fn from_iter<I: IntoIterator<Item = (Events, f64)>>(members: I) -> Self {
        Self(members.into_iter().collect())
    }
}

/// An objective, its counters and the instant of the question.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    pub(super) objective: &'a Objective,
    /// Of each member.
    pub(super) counters: &'a [SloCounter],
    pub(super) now: UnixNanos,
    /// Begin of the window: nothing before it counts.
    pub(super) from: UnixNanos,
    /// When the budget starts anew, if ever.
    pub(super) to: Option<UnixNanos>,
}

impl<'a> View<'a> {
    pub(crate) fn new(objective: &'a Objective, counters: &'a [SloCounter], now: UnixNanos) -> Self {
        let bounds = objective.window.bounds(now);
        Self { objective, counters, now, from: bounds.from, to: bounds.to }
    }

    fn tally(&self, events: impl Fn(&SloCounter) -> Events) -> Tally {
        let weights = self.objective.members.iter().map(|member| member.weight);
        self.counters.iter().zip(weights).map(|(counter, weight)| (events(counter), weight)).collect()
    }

    /// Events of the last `length`, as far as they lie in the window.
    pub(super) fn last(&self, length: Duration) -> Tally {
        let from = self.now.saturating_sub(length).max(self.from);
        self.tally(|counter| counter.between(from, self.now))
    }

    /// Events of the window.
    pub(super) fn window(&self) -> Tally {
        self.tally(|counter| counter.between(self.from, self.now))
    }

    /// The least burn rate over `lookback` at any instant of the last `after`; `None` when there was one without events. Instants are now and the ends
    /// of the slots before it.
    pub(super) fn least_rate(&self, lookback: Duration, after: Duration) -> Option<f64> {
        let since = self.now.saturating_sub(after).max(self.from);
        let from = since.saturating_sub(lookback).max(self.from);
        let sums: Vec<_> = self.counters.iter().map(|counter| counter.sums(from, self.now)).collect();
        let weights = || self.objective.members.iter().map(|member| member.weight);
        let rate = |to: UnixNanos| {
            let from = to.saturating_sub(lookback).max(from);
            let tally: Tally =
                sums.iter().zip(weights()).map(|(sums, weight)| (sums.between(from, to), weight)).collect();
            tally.rate(self.objective.target)
        };
        let width = sums.first().map(|sums| sums.width)?;
        let mut least = rate(self.now)?;
        let mut end = UnixNanos(crate::measure::slot_start(self.now, width));
        while end > since {
            least = least.min(rate(UnixNanos(end.0.saturating_sub(1)))?);
            end = end.saturating_sub(width);
        }
        Some(least)
    }
}

#[cfg(test)]
mod tests;

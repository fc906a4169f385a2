//! Burn-rate arithmetic: how fast a budget is spent, and when that must wake someone.

use std::time::Duration;

use statrs::function::beta::inv_beta_reg;

use super::budget::{Events, SloCounter};
use super::{BurnAlert, BurnRate, Objective, Severity};
use daytwo_storage::UnixNanos;

/// Windows shown on the board.
pub(super) const SHOWN: [(&str, u64); 7] =
    [("5m", 300), ("30m", 1_800), ("1h", 3_600), ("2h", 7_200), ("6h", 21_600), ("1d", 86_400), ("3d", 259_200)];

/// Bad events below this never fire an alert: one unlucky call is no incident.
const BAD_MIN: u64 = 5;
/// Confidence level of the lower bound that a firing burn rate must have above 1.
const LOW_TRAFFIC_ALPHA: f64 = 0.01;

/// A pair for a 30-day window: severity, burn threshold, long and short window in seconds.
const PAIRS: [(Severity, f64, u64, u64); 3] = [
    (Severity::Page, 14.4, 3_600, 300),
    (Severity::Page, 6.0, 21_600, 1_800),
    (Severity::Ticket, 1.0, 259_200, 21_600),
];
/// The window that [`PAIRS`] is for: 14.4 spends 2 % of it in an hour.
const PAIRS_WINDOW_S: f64 = 30.0 * 86_400.0;
/// SLO windows at least this long use the pairs as they are; shorter ones scale the windows down.
const SCALE_BELOW_S: f64 = 28.0 * 86_400.0;

/// Budget-spending speed of these events; `None` without events.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub(super) fn rate(events: Events, target: f64) -> Option<f64> {
    (events.total() > 0).then(|| events.bad as f64 / events.total() as f64 / (1.0 - target))
}

/// Share of the budget that is left after these events.
pub(super) fn budget_left(events: Events, target: f64) -> Option<f64> {
    rate(events, target).map(|rate| 1.0 - rate)
}

/// Lower end of the one-sided Clopper-Pearson interval of the burn rate.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn rate_low(events: Events, target: f64) -> f64 {
    if events.bad == 0 {
        return 0.0;
    }
    let (bad, good) = (events.bad as f64, events.good as f64);
    inv_beta_reg(bad, good + 1.0, LOW_TRAFFIC_ALPHA) / (1.0 - target)
}

/// Burn rates over the windows on the board that are not longer than the objective's.
pub(super) fn rates(counter: &SloCounter, objective: &Objective, now: UnixNanos) -> Vec<BurnRate> {
    let rate_over = |(window, seconds): &(&'static str, u64)| {
        let events = counter.last(now, Duration::from_secs(*seconds).min(objective.window));
        BurnRate { window, rate: rate(events, objective.target) }
    };
    SHOWN.iter().map(rate_over).collect()
}

/// The pairs of windows, scaled to the objective's.
pub(super) fn alerts(counter: &SloCounter, objective: &Objective, now: UnixNanos) -> Vec<BurnAlert> {
    let length = objective.window.as_secs_f64();
    let scale = if length < SCALE_BELOW_S { length / PAIRS_WINDOW_S } else { 1.0 };
    let alert = |(severity, threshold, long, short): &(Severity, f64, u64, u64)| {
        let scaled = |seconds: u64| Duration::from_secs(seconds).mul_f64(scale).max(Duration::from_secs(10));
        let (long, short) = (scaled(*long), scaled(*short));
        let (long_events, short_events) = (counter.last(now, long), counter.last(now, short));
        BurnAlert {
            severity: *severity,
            long: words(long),
            short: words(short),
            threshold: *threshold,
            long_rate: rate(long_events, objective.target),
            short_rate: rate(short_events, objective.target),
            firing: fires(long_events, short_events, objective.target, *threshold),
        }
    };
    PAIRS.iter().map(alert).collect()
}

/// Both windows burn, and there are enough bad events to believe it.
fn fires(long: Events, short: Events, target: f64, threshold: f64) -> bool {
    let above = |events: Events| rate(events, target).is_some_and(|rate| rate > threshold);
    above(long) && above(short) && long.bad >= BAD_MIN && rate_low(long, target) > 1.0
}

/// Events an hour below which the fastest alert cannot fire: `bad_min / (threshold (1 - target))`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive count")]
pub(super) fn events_needed(target: f64) -> u64 {
    (5.0 / (14.4 * (1.0 - target))).ceil().min(1e15) as u64
}

/// A length in the largest unit that keeps it whole.
pub(super) fn words(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        _ if seconds >= 86_400 && seconds.is_multiple_of(86_400) => format!("{}d", seconds / 86_400),
        _ if seconds >= 3_600 && seconds.is_multiple_of(3_600) => format!("{}h", seconds / 3_600),
        _ if seconds >= 60 && seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        _ => format!("{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(good: u64, bad: u64) -> Events {
        Events { good, bad }
    }

    /// Scenario: known shares of bad events against known targets.
    /// Guarantees: burn is bad/total/(1-target), and no events give no number.
    #[test]
    fn burn_is_relative_to_the_budget() {
        assert_eq!(rate(events(0, 0), 0.999), None);
        assert!((rate(events(999, 1), 0.999).unwrap() - 1.0).abs() < 1e-9);
        assert!((rate(events(9_856, 144), 0.999).unwrap() - 14.4).abs() < 1e-9);
        assert!((budget_left(events(98, 2), 0.99).unwrap() + 1.0).abs() < 1e-9);
    }

    /// Scenario: burning pairs with plenty of events, with four bad ones, and with one window quiet.
    /// Guarantees: both windows and at least five bad events are needed.
    #[test]
    fn both_windows_and_enough_events_must_burn() {
        let (busy, quiet) = (events(900, 100), events(1_000, 0));
        assert!(fires(busy, busy, 0.999, 14.4));
        assert!(!fires(busy, quiet, 0.999, 14.4) && !fires(quiet, busy, 0.999, 14.4));
        assert!(!fires(events(6, 4), events(6, 4), 0.999, 14.4));
        assert!(!fires(busy, busy, 0.99, 14.4));
        assert!(!fires(events(0, 0), events(0, 0), 0.999, 1.0));
    }

    /// Scenario: 5 bad of 10: the share x at which 10 draws give 5 or more in one case of a hundred, by bisection.
    /// Guarantees: the lower bound is Clopper-Pearson's.
    #[test]
    fn the_lower_bound_is_clopper_pearsons() {
        assert!((rate_low(events(5, 5), 0.0) - 0.150_443).abs() < 1e-5, "{}", rate_low(events(5, 5), 0.0));
    }

    /// Scenario: 99.9 % and lengths in every unit.
    /// Guarantees: the numbers that the board prints.
    #[test]
    fn words_and_needs() {
        assert_eq!(events_needed(0.999), 348);
        let texts: Vec<_> = [5, 300, 7_200, 259_200].map(|seconds| words(Duration::from_secs(seconds))).into();
        assert_eq!(texts, ["5s", "5m", "2h", "3d"]);
    }
}

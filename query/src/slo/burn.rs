//! When the speed at which a budget is spent must wake someone.

use std::time::Duration;

use super::tally::{Tally, View};
use super::{Alerting, BurnAlert, BurnCondition, BurnRate, Severity};

/// Windows shown on the board.
pub(super) const SHOWN: [(&str, u64); 7] =
    [("5m", 300), ("30m", 1_800), ("1h", 3_600), ("2h", 7_200), ("6h", 21_600), ("1d", 86_400), ("3d", 259_200)];

/// Bad events below this never fire an alert: one unlucky call is no incident.
const BAD_MIN: u64 = 5;

/// A pair for a 30-day window: severity, burn threshold, long and short window in seconds.
const PAIRS: [(Severity, f64, u64, u64); 4] = [
    (Severity::Page, 14.4, 3_600, 300),
    (Severity::Page, 6.0, 21_600, 1_800),
    (Severity::Ticket, 3.0, 86_400, 7_200),
    (Severity::Ticket, 1.0, 259_200, 21_600),
];
/// The window that [`PAIRS`] is for: 14.4 spends 2 % of it in an hour.
const PAIRS_WINDOW_S: f64 = 30.0 * 86_400.0;
/// SLO windows at least this long use the pairs as they are; shorter ones scale the windows down.
const SCALE_BELOW_S: f64 = 28.0 * 86_400.0;

/// Burn rates over the windows on the board, as far as they lie in the objective's.
pub(super) fn rates(view: &View<'_>) -> Vec<BurnRate> {
    let rate_over = |(window, seconds): &(&'static str, u64)| {
        let rate = view.last(Duration::from_secs(*seconds)).rate(view.objective.target);
        BurnRate { window, rate }
    };
    SHOWN.iter().map(rate_over).collect()
}

/// What may fire: the objective's own conditions, or else the pairs of windows scaled to its window.
pub(super) fn alerts(view: &View<'_>) -> Vec<BurnAlert> {
    match &view.objective.alerting {
        Alerting::Pairs => PAIRS.iter().map(|pair| pair_alert(view, *pair)).collect(),
        Alerting::Conditions(conditions) => {
            conditions.iter().map(|condition| condition_alert(view, condition)).collect()
        }
    }
}

fn pair_alert(view: &View<'_>, (severity, threshold, long, short): (Severity, f64, u64, u64)) -> BurnAlert {
    let (length, target) = (view.objective.window.usual().as_secs_f64(), view.objective.target);
    let scale = if length < SCALE_BELOW_S { length / PAIRS_WINDOW_S } else { 1.0 };
    let scaled = |seconds: u64| Duration::from_secs(seconds).mul_f64(scale).max(Duration::from_secs(10));
    let (long, short) = (scaled(long), scaled(short));
    let (long_events, short_events) = (view.last(long), view.last(short));
    BurnAlert {
        policy: None,
        severity,
        long: words(long),
        short: words(short),
        threshold,
        long_rate: long_events.rate(target),
        short_rate: short_events.rate(target),
        firing: fires(&long_events, &short_events, target, threshold),
    }
}

/// A condition fires while its rate was too much at every instant for as long as it says.
fn condition_alert(view: &View<'_>, condition: &BurnCondition) -> BurnAlert {
    let target = view.objective.target;
    let events = view.last(condition.lookback);
    let least = view.least_rate(condition.lookback, condition.after);
    let too_much = |rate: f64| rate > condition.threshold || (condition.inclusive && rate >= condition.threshold);
    BurnAlert {
        policy: Some(condition.policy.clone()),
        severity: condition.severity,
        long: words(condition.lookback),
        short: words(condition.after),
        threshold: condition.threshold,
        long_rate: events.rate(target),
        short_rate: least,
        firing: least.is_some_and(too_much) && believable(&events, target, condition.threshold.min(1.0)),
    }
}

/// Both windows burn, and there are enough bad events to believe it.
fn fires(long: &Tally, short: &Tally, target: f64, threshold: f64) -> bool {
    let above = |events: &Tally| events.rate(target).is_some_and(|rate| rate > threshold);
    above(long) && above(short) && believable(long, target, 1.0)
}

/// Enough bad events, and a burn rate that is above `least` with confidence.
fn believable(events: &Tally, target: f64, least: f64) -> bool {
    events.sum().bad >= BAD_MIN && events.rate_low(target) > least
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
    use crate::slo::budget::Events;

    fn events(good: u64, bad: u64) -> Tally {
        [(Events { good, bad, ..Events::default() }, 1.0)].into_iter().collect()
    }

    /// Scenario: known shares of bad events against known targets.
    /// Guarantees: burn is bad/total/(1-target), and no events give no number.
    #[test]
    fn burn_is_relative_to_the_budget() {
        assert_eq!(events(0, 0).rate(0.999), None);
        assert!((events(999, 1).rate(0.999).unwrap() - 1.0).abs() < 1e-9);
        assert!((events(9_856, 144).rate(0.999).unwrap() - 14.4).abs() < 1e-9);
        assert!((events(98, 2).budget_left(0.99).unwrap() + 1.0).abs() < 1e-9);
    }

    /// Scenario: burning pairs with plenty of events, with four bad ones, and with one window quiet.
    /// Guarantees: both windows and at least five bad events are needed.
    #[test]
    fn both_windows_and_enough_events_must_burn() {
        let (busy, quiet) = (&events(900, 100), &events(1_000, 0));
        assert!(fires(busy, busy, 0.999, 14.4));
        assert!(!fires(busy, quiet, 0.999, 14.4) && !fires(quiet, busy, 0.999, 14.4));
        assert!(!fires(&events(6, 4), &events(6, 4), 0.999, 14.4));
        assert!(!fires(busy, busy, 0.99, 14.4));
        assert!(!fires(&events(0, 0), &events(0, 0), 0.999, 1.0));
    }

    /// Scenario: 5 bad of 10: the share x at which 10 draws give 5 or more in one case of a hundred, by bisection.
    /// Guarantees: the lower bound is Clopper-Pearson's.
    #[test]
    fn the_lower_bound_is_clopper_pearsons() {
        assert!((events(5, 5).rate_low(0.0) - 0.150_443).abs() < 1e-5, "{}", events(5, 5).rate_low(0.0));
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

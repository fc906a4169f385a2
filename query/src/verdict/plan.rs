//! For how many traces of each cohort the test is sharpest.
//!
//! The guarantee needs a tuning that is the same at every look and does not follow what is compared. How many traces of the old version began
//! before the candidate came is known before the candidate's first value is, and says nothing of how long any trace took (ADR 0032). It is a sum
//! over the stored traces, so it is the same in any order and partition, and after a restart that reads them again.

use std::time::Duration;

use daytwo_storage::UnixNanos;

use super::{Cohorts, VerdictConfig};
use crate::measure::slot_start;

/// Tuned for no fewer: where there is less traffic, none before, or none that is still known.
pub(super) const PLANNED_MIN: u64 = 1_000;
/// At most so many times twice [`PLANNED_MIN`], which is 256,000: the largest of the published sizes is 195,678, for 5 % in a tenth of the traces.
const DOUBLINGS_MAX: u32 = 8;
/// The old version's traffic is looked at for this part of the bake time, ...
const PART_OF_BAKE: u32 = 4;
/// ... and no longer than this, so that a release whose traffic a restart reads again mostly has its plan again. A canary with half of the
/// traffic has as many traces in each cohort after half of the bake time, one with a twentieth after all of it: the test is sharp from a
/// hundredth of the plan to ten times it.
const WINDOW_MAX: Duration = Duration::from_secs(3_600);
/// Traffic is counted by the minute, and the last one before the candidate's is left out: its spans are still coming in when the candidate
/// is looked at for the first time.
const MINUTE: Duration = Duration::from_secs(60);

/// The whole minutes in which the old version's traces are counted: start, and past the end, a minute before the candidate's first one.
pub fn prior_window(first_seen: UnixNanos, config: &VerdictConfig) -> (i64, i64) {
    let end = UnixNanos(slot_start(first_seen, MINUTE)).saturating_sub(MINUTE);
    let length = (config.bake / PART_OF_BAKE).min(WINDOW_MAX);
    (slot_start(end.saturating_sub(length), MINUTE), end.0)
}

/// Traces of each cohort that a deployment is planned for after so many of the old version: in steps of two, so that a trace that comes late
/// hardly ever moves it.
pub(super) fn planned_after(prior: u64) -> u64 {
    let doublings = (prior / PLANNED_MIN).max(1).ilog2();
    PLANNED_MIN << doublings.min(DOUBLINGS_MAX)
}

impl Cohorts {
    /// Traces of each cohort that the test is tuned for: as configured, else by the old version's traffic before.
    pub(super) fn planned_traces(&self, config: &VerdictConfig) -> u64 {
        config.planned_traces.unwrap_or_else(|| planned_after(self.prior_traces))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: no traffic before, little, a step less one, a step, much, and all there can be.
    /// Guarantees: 1,000 times the powers of two up to 256,000, never more than there was traffic beyond the floor.
    #[test]
    fn the_plan_is_a_step_of_the_traffic_before() {
        let known = [
            (0, 1_000),
            (999, 1_000),
            (1_000, 1_000),
            (1_999, 1_000),
            (2_000, 2_000),
            (3_999, 2_000),
            (42_039, 32_000),
            (153_834, 128_000),
            (255_999, 128_000),
            (256_000, 256_000),
            (u64::MAX, 256_000),
        ];
        for (prior, planned) in known {
            assert_eq!(planned_after(prior), planned, "{prior}");
        }
    }

    /// Scenario: a candidate first seen at the beginning, in the middle and at the end of a minute, with bake times from ten seconds to 28 days;
    /// the beginning and the end of time.
    /// Guarantees: a quarter of the bake time in whole minutes, one at least and an hour at most, that end a whole minute before the candidate's
    /// first; nothing overflows.
    #[test]
    fn the_window_ends_a_minute_before_the_candidates_first() {
        let minute = 60_000_000_000;
        let window = |first_seen, bake| {
            let config = VerdictConfig { bake: Duration::from_secs(bake), ..VerdictConfig::default() };
            prior_window(UnixNanos(first_seen), &config)
        };
        for (bake, minutes) in [(10, 1), (240, 1), (300, 2), (3_600, 15), (14_400, 60), (28 * 86_400, 60)] {
            for into in [0, 1, minute / 2, minute - 1] {
                let expected = ((99 - minutes) * minute, 99 * minute);
                assert_eq!(window(100 * minute + into, bake), expected, "{bake} s, {into} ns into the minute");
            }
        }
        for edge in [i64::MIN, i64::MAX] {
            let (from, to) = window(edge, 3_600);
            assert!(from <= to);
        }
    }

    /// Scenario: a configured number below the floor, above the ceiling and between, whatever came before.
    /// Guarantees: it stands.
    #[test]
    fn a_configured_number_stands() {
        let key = crate::verdict::CohortKey {
            environment: "".into(),
            service: "pay".into(),
            flag: None,
            candidate: "v2".into(),
            baseline: Some("v1".into()),
            first_seen: UnixNanos(0),
        };
        let plain = VerdictConfig::default();
        let mut cohorts = Cohorts::new(key, plain.lookback, plain.bake);
        assert_eq!(cohorts.planned_traces(&plain), 1_000);
        cohorts.set_prior_traces(5_000);
        assert_eq!(cohorts.planned_traces(&plain), 4_000);
        for planned in [300, 3_000, 1_000_000] {
            let config = VerdictConfig { planned_traces: Some(planned), ..plain.clone() };
            assert_eq!(cohorts.planned_traces(&config), planned);
        }
    }
}

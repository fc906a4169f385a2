//! How much the traces so far would have shown, and how many more are needed.

use super::super::cohort::{AFTER, BEFORE};
use super::super::errors::traces_to_bound;
use super::super::node_test::{INTERVAL_ALPHA, LOCATION_WEIGHT};
use super::super::sequential::{critical_z, normal_quantile};
use super::Case;

/// Chance of detection that the minimum detectable effect stands for.
const POWER: f64 = 0.8;

impl Case<'_> {
    /// Smallest ratio that would have been found, with the chance of [`POWER`].
    pub(super) fn mde_ratio(&self) -> Option<f64> {
        let test = &self.gate.service()?.test;
        let level = self.gate.level(self.config) * LOCATION_WEIGHT;
        let critical = critical_z(test.information.max(1.0), self.tuning, level);
        let found = ((critical + normal_quantile(POWER)) * test.ln_error).exp();
        // What is found must be material too, and a true ratio at the limit looks material only half of the time.
        let ratio = found.max((1.0 + self.config.material) * (normal_quantile(POWER) * test.ln_error).exp());
        Some(ratio).filter(|ratio| ratio.is_finite())
    }

    /// Traces of the new version still needed for PASS if nothing is wrong.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "clamped counts"
    )]
    pub(super) fn traces_needed(&self) -> u64 {
        let have = self.traces[AFTER];
        let least = self.config.traces_min.saturating_sub(have.min(self.traces[BEFORE]));
        let Some(service) = self.gate.service() else {
            return least.max(self.config.traces_min.saturating_sub(have)).max(1);
        };
        let test = &service.test;
        let critical = critical_z(test.information.max(1.0), self.tuning, INTERVAL_ALPHA / 2.0);
        let wanted = (1.0 + self.config.margin).ln() / (critical + normal_quantile(POWER));
        let latency = (have as f64 * (test.ln_error / wanted).powi(2)).min(1e9) as u64;
        let smallest = self.gated().iter().map(|(_, cells)| cells[AFTER].traces).min().unwrap_or(have).max(1);
        let share = (smallest as f64 / have.max(1) as f64).clamp(1e-3, 1.0);
        let errors = (traces_to_bound(self.config.error_margin) / share).min(1e9) as u64;
        latency.max(errors).saturating_sub(have).max(least).max(1)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "clamped counts"
    )]
    pub(super) fn seconds_needed(&self, traces: u64) -> Option<u64> {
        let rate = self.traces[AFTER] as f64 / self.comparison.candidate_seconds();
        (rate > 0.0).then(|| (traces as f64 / rate).ceil().min(1e12) as u64)
    }
}

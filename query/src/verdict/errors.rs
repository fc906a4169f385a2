//! Errors: does the new version fail more often?
//!
//! Given how many traces of a journey failed, each one falls to the new version with the chance of its share of the
//! traffic, unless it fails more often. The e-value is a mixture of likelihood ratios over how much more: exact for few
//! errors, anytime-valid, and additive over journeys.

use statrs::function::beta::inv_beta_reg;

use super::sequential::ln_mean;

/// Traces and failed traces of one journey.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ErrorCounts {
    pub(super) traces_before: u64,
    pub(super) failed_before: u64,
    pub(super) traces_after: u64,
    pub(super) failed_after: u64,
}

/// What the journeys say together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ErrorTest {
    pub(super) before: f64,
    pub(super) after: f64,
    pub(super) z: f64,
    pub(super) ln_e: f64,
    /// Upper end of the candidate's share, less the lower end of the baseline's share.
    pub(super) rise_high: f64,
    pub(super) traces_before: u64,
    pub(super) traces_after: u64,
    pub(super) strata: u64,
}

/// How many times more often the mixture supposes that the new version fails, and each supposition's weight.
const ODDS: [(f64, f64); 7] =
    [(1.5, 0.25), (2.0, 0.25), (3.0, 0.2), (5.0, 0.1), (10.0, 0.1), (30.0, 0.05), (100.0, 0.05)];
/// The bound of the rise is wrong at most this often; either end has half of it.
const BOUND_ALPHA: f64 = 0.05;

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn real(count: u64) -> f64 {
    count as f64
}

/// Tests the journeys together; `None` when there are no traces on a side.
pub(super) fn test(strata: &[ErrorCounts]) -> Option<ErrorTest> {
    let sum = |of: fn(&ErrorCounts) -> u64| strata.iter().map(of).sum::<u64>();
    let (traces_before, failed_before) = (sum(|one| one.traces_before), sum(|one| one.failed_before));
    let (traces_after, failed_after) = (sum(|one| one.traces_after), sum(|one| one.failed_after));
    if traces_before == 0 || traces_after == 0 {
        return None;
    }
    let (before, after) = (real(failed_before) / real(traces_before), real(failed_after) / real(traces_after));
    Some(ErrorTest {
        before,
        after,
        z: mantel_haenszel_z(strata),
        ln_e: ln_e_value(strata),
        rise_high: share_high(failed_after, traces_after) - share_low(failed_before, traces_before),
        traces_before,
        traces_after,
        strata: strata.len() as u64,
    })
}

/// Upper end of the one-sided Clopper-Pearson interval.
fn share_high(failed: u64, traces: u64) -> f64 {
    if failed >= traces {
        return 1.0;
    }
    inv_beta_reg(real(failed) + 1.0, real(traces - failed), 1.0 - BOUND_ALPHA / 2.0)
}

/// Lower end of the one-sided Clopper-Pearson interval.
fn share_low(failed: u64, traces: u64) -> f64 {
    if failed == 0 || failed > traces {
        return 0.0;
    }
    inv_beta_reg(real(failed), real(traces - failed) + 1.0, BOUND_ALPHA / 2.0)
}

/// Traces without any failure that bound the share by `limit`.
pub(super) fn traces_to_bound(limit: f64) -> f64 {
    (2.0 / BOUND_ALPHA).ln() / limit.max(1e-6)
}

fn mantel_haenszel_z(strata: &[ErrorCounts]) -> f64 {
    let (mut excess, mut variance) = (0.0, 0.0);
    for one in strata {
        let (n, m) = (real(one.traces_before), real(one.traces_after));
        let failed = real(one.failed_before.saturating_add(one.failed_after));
        let total = n + m;
        if total > 1.0 {
            excess += real(one.failed_after) - m * failed / total;
            variance += n * m * failed * (total - failed) / (total * total * (total - 1.0));
        }
    }
    if variance > 0.0 { excess / variance.sqrt() } else { 0.0 }
}

/// Natural logarithm of the e-value against "no journey fails more often".
pub(super) fn ln_e_value(strata: &[ErrorCounts]) -> f64 {
    let ln_ratio = |odds: f64| -> f64 {
        let of = |one: &ErrorCounts| {
            let share = real(one.traces_after) / real(one.traces_before.saturating_add(one.traces_after)).max(1.0);
            let more = 1.0 - share + odds * share;
            // share' = odds share / more; 1 - share' = (1 - share) / more.
            real(one.failed_after) * odds.ln() - real(one.failed_after.saturating_add(one.failed_before)) * more.ln()
        };
        strata.iter().filter(|one| one.traces_before > 0 && one.traces_after > 0).map(of).sum()
    };
    ln_mean(&ODDS.map(|(odds, weight)| (ln_ratio(odds), weight)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    fn counts(traces_before: u64, failed_before: u64, traces_after: u64, failed_after: u64) -> ErrorCounts {
        ErrorCounts { traces_before, failed_before, traces_after, failed_after }
    }

    /// Scenario: 1 % against 5 %, equal shares, and Simpson's paradox (each journey equal, the mix not).
    /// Guarantees: only the first is evidence. (No failure in 300: 1 - 0.025^(1/300) = 0.012221.)
    #[test]
    fn more_errors_are_evidence_and_mix_is_not() {
        let worse = test(&[counts(1_000, 10, 1_000, 50)]).unwrap();
        assert!(worse.ln_e > 200.0_f64.ln() && worse.z > 4.0, "{worse:?}");
        let same = test(&[counts(1_000, 10, 1_000, 11)]).unwrap();
        assert!(same.ln_e < 1.0 && same.z < 1.0, "{same:?}");
        let mixed = test(&[counts(900, 90, 100, 10), counts(100, 1, 900, 9)]).unwrap();
        assert!(mixed.z.abs() < 0.5 && mixed.ln_e < 1.0, "{mixed:?}");
        let clean = test(&[counts(300, 0, 300, 0)]).unwrap();
        assert!((clean.rise_high - 0.012_221).abs() < 1e-4 && clean.ln_e.abs() < 1e-9, "{clean:?}");
        assert!(test(&[counts(0, 0, 10, 1)]).is_none());
    }

    /// Scenario: the baseline had two failures in 50 traces by chance, the candidate 12 in 1,000; and equal, rare failures.
    /// Guarantees: a small baseline shows nothing (2 of 50 may stand for 0.49 %, 12 of 1,000 for 2.09 %); many traces do.
    #[test]
    fn the_baseline_is_uncertain_too() {
        let few = test(&[counts(50, 2, 1_000, 12)]).unwrap();
        assert!((few.rise_high - (0.020_87 - 0.004_88)).abs() < 2e-4, "{few:?}");
        let many = test(&[counts(5_000, 25, 5_000, 25)]).unwrap();
        assert!(many.rise_high > 0.003 && many.rise_high < 0.005, "{many:?}");
        assert!((share_low(10, 10) - 0.025_f64.powf(0.1)).abs() < 1e-9);
    }

    /// Scenario: 1,000 deployments with 0.5 % errors on both sides, looked at 40 times each.
    /// Guarantees: the share whose e-value ever reaches 1/alpha is under alpha.
    #[test]
    fn peeking_at_errors_stays_under_alpha() {
        let mut random = StdRng::seed_from_u64(11);
        let mut alarms = 0;
        for _ in 0..1_000 {
            let mut sum = counts(0, 0, 0, 0);
            let mut alarmed = false;
            for _ in 0..40 {
                for _ in 0..50 {
                    sum.traces_before += 1;
                    sum.traces_after += 1;
                    sum.failed_before += u64::from(random.random::<f64>() < 0.005);
                    sum.failed_after += u64::from(random.random::<f64>() < 0.005);
                }
                alarmed |= ln_e_value(&[sum]) >= 20.0_f64.ln();
            }
            alarms += u32::from(alarmed);
        }
        assert!(alarms <= 50, "{alarms} of 1000 at alpha 0.05");
    }
}

//! Looking as often as one likes: the one-sided normal-mixture e-process and the boundary that goes with it.
//!
//! With information `v` and standardised statistic `z`, the process is a non-negative supermartingale under the
//! null hypothesis, so the chance that it ever reaches `1/alpha` is at most `alpha` (Ville).

use statrs::function::erf::erfc;
use statrs::function::erf::erfc_inv;

/// Information of a rank test with `n` traces in each cohort: `12 n n / (2 n)`.
const INFORMATION_PER_TRACE: f64 = 6.0;

/// Parts of the planned traces at which one of the mixture's members is sharpest, and their weights: a service with fifty times
/// less traffic than planned for can be judged too. A weighted mean of e-processes is one.
const MEMBERS: [(f64, f64); 2] = [(0.03, 0.3), (0.4, 0.7)];

/// The mixture's tuning: each member is sharpest at twelve times its information. Fixed beforehand, it must not follow the data.
pub(super) type Tuning = [f64; MEMBERS.len()];

/// The tuning for a planned number of traces in each cohort.
pub(super) fn tuning(planned_traces: u64) -> Tuning {
    #[expect(clippy::cast_precision_loss, reason = "a configured count")]
    let planned = planned_traces.max(1) as f64;
    MEMBERS.map(|(part, _)| INFORMATION_PER_TRACE * planned * part / 12.0)
}

/// Logarithm of the weighted mean of values given by their logarithms; the weights sum to one.
pub(super) fn ln_mean(logs: &[(f64, f64)]) -> f64 {
    let largest = logs.iter().map(|(log, _)| *log).fold(f64::NEG_INFINITY, f64::max);
    if !largest.is_finite() {
        return largest;
    }
    largest + logs.iter().map(|(log, weight)| weight * (log - largest).exp()).sum::<f64>().ln()
}

/// Natural logarithm of the upper tail of the standard normal distribution at `-x`, i.e. of `Phi(x)`.
fn ln_phi(x: f64) -> f64 {
    if x > -30.0 {
        (0.5 * erfc(-x / std::f64::consts::SQRT_2)).max(f64::MIN_POSITIVE).ln()
    } else {
        // Mills ratio: the tail is too small for a double.
        -0.5 * x * x - (-x).ln() - 0.5 * (2.0 * std::f64::consts::PI).ln()
    }
}

/// Natural logarithm of the e-value.
pub(super) fn ln_e_value(z: f64, information: f64, tuning: Tuning) -> f64 {
    let members =
        tuning.iter().zip(MEMBERS).map(|(tuning, (_, weight))| (ln_e_of_one(z, information, *tuning), weight));
    ln_mean(&members.collect::<Vec<_>>())
}

/// The e-value of one member.
fn ln_e_of_one(z: f64, information: f64, tuning: f64) -> f64 {
    if information <= 0.0 || !z.is_finite() {
        return 0.0;
    }
    let sum = information + tuning;
    let score = z * information.sqrt();
    0.5 * (tuning / sum).ln() + score * score / (2.0 * sum) + std::f64::consts::LN_2 + ln_phi(score / sum.sqrt())
}

/// The z that the process must reach for its e-value to be `1/alpha`, to within a thousandth.
pub(super) fn critical_z(information: f64, tuning: Tuning, alpha: f64) -> f64 {
    let wanted = -alpha.max(1e-300).ln();
    let (mut low, mut high) = (0.0_f64, 8.0_f64);
    while ln_e_value(high, information, tuning) < wanted && high < 1e6 {
        high *= 2.0;
    }
    while high - low > 1e-3 {
        let middle = 0.5 * (low + high);
        if ln_e_value(middle, information, tuning) < wanted {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// Quantile of the standard normal distribution.
pub(super) fn normal_quantile(p: f64) -> f64 {
    -std::f64::consts::SQRT_2 * erfc_inv(2.0 * p)
}

/// Holm with weights: which of the hypotheses, given by p-value and weight, are rejected at `alpha` overall. Weights are fixed
/// beforehand; a hypothesis with twice the weight has twice the level.
pub(super) fn holm(hypotheses: &[(f64, f64)], alpha: f64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..hypotheses.len()).collect();
    let of = |at: usize| hypotheses.get(at).copied().unwrap_or((1.0, 0.0));
    let scaled = |at: usize| of(at).0 / of(at).1.max(f64::MIN_POSITIVE);
    order.sort_by(|left, right| scaled(*left).total_cmp(&scaled(*right)));
    let mut left: f64 = hypotheses.iter().map(|(_, weight)| weight).sum();
    let mut rejected = vec![false; hypotheses.len()];
    for at in order {
        if scaled(at) > alpha / left.max(f64::MIN_POSITIVE) {
            break;
        }
        left -= of(at).1;
        if let Some(slot) = rejected.get_mut(at) {
            *slot = true;
        }
    }
    rejected
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    /// Scenario: one member's boundary against the published closed form, the mixture's against it, and quantiles from tables.
    /// Guarantees: they agree; the mixture asks for at most a twentieth more at the planned size and for far less at a fiftieth.
    #[test]
    fn the_boundary_is_the_published_one() {
        for (information, alpha) in [(300.0_f64, 0.005_f64), (3_000.0, 0.001), (12_000.0, 0.05)] {
            let tuning = tuning(1_000);
            let ratio: f64 = tuning[1] / information;
            let closed = ((1.0 + ratio) * ((1.0_f64 + 1.0 / ratio).ln() + 2.0 * (1.0_f64 / (2.0 * alpha)).ln())).sqrt();
            let found = critical_z(information, [tuning[1]; 2], alpha);
            assert!((found - closed).abs() < 0.06 * closed, "{found} {closed}");
        }
        let alone = |information: f64| critical_z(information, [500.0; 2], 0.001);
        let mixed = |information: f64| critical_z(information, tuning(1_000), 0.001);
        assert!(mixed(6_000.0) < 1.05 * alone(6_000.0), "{} {}", mixed(6_000.0), alone(6_000.0));
        assert!(mixed(120.0) < 0.65 * alone(120.0), "{} {}", mixed(120.0), alone(120.0));
        assert!((normal_quantile(0.8) - 0.841_621).abs() < 1e-5);
        assert!((ln_phi(-40.0) - ln_phi(-29.999) + 350.0).abs() < 1.0);
    }

    /// Scenario: 2,000 random walks without any effect, each looked at 60 times.
    /// Guarantees: the share that ever alarms stays under alpha.
    #[test]
    fn peeking_stays_under_alpha() {
        let mut random = StdRng::seed_from_u64(7);
        let tuning = tuning(1_000);
        let mut alarms = 0;
        for _ in 0..2_000 {
            let (mut score, mut information) = (0.0_f64, 0.0_f64);
            let mut alarmed = false;
            for _ in 0..60 {
                let normal: f64 = (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0;
                score += normal * 600.0_f64.sqrt();
                information += 600.0;
                alarmed |= ln_e_value(score / information.sqrt(), information, tuning) >= 20.0_f64.ln();
            }
            alarms += i32::from(alarmed);
        }
        assert!(alarms <= 100, "{alarms} of 2000 at alpha 0.05");
    }

    /// Scenario: the example of Holm's procedure with four hypotheses; two with uneven weights, where 0.03 < 0.05 * 0.8 and then 0.03 < 0.05.
    /// Guarantees: rejection stops at the first that fails, and weight buys level.
    #[test]
    fn holm_stops_at_the_first_failure() {
        let even = [0.01, 0.04, 0.03, 0.005].map(|p| (p, 1.0));
        assert_eq!(holm(&even, 0.05), [true, false, false, true]);
        assert_eq!(holm(&[(0.03, 8.0), (0.03, 2.0)], 0.05), [true, true]);
        assert_eq!(holm(&[(0.03, 5.0), (0.03, 5.0)], 0.05), [false, false]);
        assert_eq!(holm(&[], 0.05), Vec::<bool>::new());
    }
}

//! Looking as often as one likes: the one-sided normal-mixture e-process and the boundary that goes with it.
//!
//! With information `v` and standardised statistic `z`, the process is a non-negative supermartingale under the
//! null hypothesis, so the chance that it ever reaches `1/alpha` is at most `alpha` (Ville).

use statrs::function::erf::erfc;
use statrs::function::erf::erfc_inv;

use super::plan::PLANNED_MIN;

/// Information of a rank test with `n` traces in each cohort: `12 n n / (2 n)`.
const INFORMATION_PER_TRACE: f64 = 6.0;

/// Parts of the planned traces at which one of the mixture's members is sharpest, and their weights: a service with fifty times
/// less traffic than planned for can be judged too. A mean of e-processes whose weights are fixed and sum to one is an e-process, so alpha
/// holds for the mixture as it does for each.
const MEMBERS: [(f64, f64); 2] = [(0.03, 0.3), (0.4, 0.7)];
/// Where more is planned than the least, the members for the least have this part of the weight: a small canary of a busy service has as
/// few traces as a small service. It costs the others 0.01 standard deviations (ADR 0032 has what more would).
const LEAST_WEIGHT: f64 = 0.05;

/// The mixture's tuning: a twelfth of the information at which each member is sharpest, and the members' weights, which sum to one. Fixed
/// beforehand, it must not follow the data.
pub(super) type Tuning = [(f64, f64); 2 * MEMBERS.len()];

/// The tuning for a planned number of traces in each cohort.
pub(super) fn tuning(planned_traces: u64) -> Tuning {
    let least_weight = if planned_traces > PLANNED_MIN { LEAST_WEIGHT } else { 0.0 };
    let [near, far] = members(planned_traces, 1.0 - least_weight);
    let [least_near, least_far] = members(PLANNED_MIN, least_weight);
    [near, far, least_near, least_far]
}

/// The members for a planned number of traces, with this weight together.
fn members(planned_traces: u64, together: f64) -> [(f64, f64); MEMBERS.len()] {
    #[expect(clippy::cast_precision_loss, reason = "a configured count")]
    let planned = planned_traces.max(1) as f64;
    MEMBERS.map(|(part, weight)| (INFORMATION_PER_TRACE * planned * part / 12.0, weight * together))
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
    let members = tuning.iter().filter(|(_, weight)| *weight > 0.0);
    let values = members.map(|(tuning, weight)| (ln_e_of_one(z, information, *tuning), *weight));
    ln_mean(&values.collect::<Vec<_>>())
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

    /// A single member.
    fn alone(tuning: f64) -> Tuning {
        [(tuning, 0.25); 4]
    }

    /// Scenario: one member's boundary against the published closed form, the mixture's against it, and quantiles from tables.
    /// Guarantees: they agree; the mixture asks for at most a twentieth more at the planned size and for far less at a fiftieth.
    #[test]
    fn the_boundary_is_the_published_one() {
        for (information, alpha) in [(300.0_f64, 0.005_f64), (3_000.0, 0.001), (12_000.0, 0.05)] {
            let far = tuning(1_000)[1].0;
            let ratio: f64 = far / information;
            let closed = ((1.0 + ratio) * ((1.0_f64 + 1.0 / ratio).ln() + 2.0 * (1.0_f64 / (2.0 * alpha)).ln())).sqrt();
            let found = critical_z(information, alone(far), alpha);
            assert!((found - closed).abs() < 0.06 * closed, "{found} {closed}");
        }
        let single = |information: f64| critical_z(information, alone(500.0), 0.001);
        let mixed = |information: f64| critical_z(information, tuning(1_000), 0.001);
        assert!(mixed(6_000.0) < 1.05 * single(6_000.0), "{} {}", mixed(6_000.0), single(6_000.0));
        assert!(mixed(120.0) < 0.65 * single(120.0), "{} {}", mixed(120.0), single(120.0));
        assert!((normal_quantile(0.8) - 0.841_621).abs() < 1e-5);
        assert!((ln_phi(-40.0) - ln_phi(-29.999) + 350.0).abs() < 1.0);
    }

    /// Scenario: every plan there can be, and configured ones beyond.
    /// Guarantees: the weights of its members sum to one, so that the mean of e-processes that they make is one.
    #[test]
    fn the_mixture_is_a_mean() {
        let plans = (0..9).map(|doublings| 1_000_u64 << doublings).chain([1, 300, 10_000_000]);
        for planned in plans {
            let weights: f64 = tuning(planned).iter().map(|(_, weight)| weight).sum();
            assert!((weights - 1.0).abs() < 1e-12, "{planned}: {weights}");
            assert!(tuning(planned).iter().all(|(information, _)| *information > 0.0));
        }
    }

    /// How many random walks without any effect alarm at 0.05 in any of 60 looks, after so many traces in each cohort each.
    fn alarms(walks: u32, planned: u64, traces_a_look: f64) -> u32 {
        let mut random = StdRng::seed_from_u64(7);
        let (tuning, step) = (tuning(planned), INFORMATION_PER_TRACE * traces_a_look);
        let mut alarms = 0;
        for _ in 0..walks {
            let (mut score, mut information) = (0.0_f64, 0.0_f64);
            let mut alarmed = false;
            for _ in 0..60 {
                let normal: f64 = (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0;
                score += normal * step.sqrt();
                information += step;
                alarmed |= ln_e_value(score / information.sqrt(), information, tuning) >= 20.0_f64.ln();
            }
            alarms += u32::from(alarmed);
        }
        alarms
    }

    /// Scenario: walks without any effect, planned for a small and for a busy service, with as much traffic as planned for and with far less and more.
    /// Guarantees: the share that ever alarms stays under alpha, whatever was planned.
    #[test]
    fn peeking_stays_under_alpha() {
        let tried = [
            (2_000, 1_000, 100.0),
            (500, 64_000, 50.0),
            (500, 64_000, 6_400.0),
            (500, 256_000, 2.0),
            (500, 256_000, 1e5),
        ];
        for (walks, planned, traces_a_look) in tried {
            let alarms = alarms(walks, planned, traces_a_look);
            assert!(
                20 * alarms <= walks,
                "{alarms} of {walks} at alpha 0.05, planned {planned}, {traces_a_look} a look"
            );
        }
    }

    /// Scenario: the plans that follow each other, at statistics and sizes of all kinds.
    /// Guarantees: twice the plan is at most the square root of two times the evidence, so that a late trace that moves the plan by a step
    /// between two looks, up or down, raises the false-alarm rate to 1.42 alpha at most.
    #[test]
    fn one_step_of_the_plan_is_little_more_evidence() {
        for planned in (0..8).map(|doublings| 1_000_u64 << doublings) {
            for traces in [5.0, 50.0, 500.0, 50_000.0, 5_000_000.0] {
                for z in [-3.0, 0.0, 2.0, 4.0, 6.0, 20.0] {
                    let at = |planned| ln_e_value(z, INFORMATION_PER_TRACE * traces, tuning(planned));
                    let more = at(2 * planned) - at(planned);
                    assert!(more <= 0.5 * std::f64::consts::LN_2 + 1e-9, "{planned} {traces} {z}: {more}");
                }
            }
        }
    }

    /// Scenario: the boundary at alpha 0.002 for a busy service at the size it is planned for, and after its first twenty traces a cohort.
    /// Guarantees: at the planned size it is as low as a small service's at its own; with twenty traces a gross slowdown can be shown.
    #[test]
    fn a_plan_is_sharp_at_its_size_and_not_blind_before() {
        let at = |traces: f64, planned| critical_z(INFORMATION_PER_TRACE * traces, tuning(planned), 0.002);
        for planned in [16_000_u64, 128_000] {
            #[expect(clippy::cast_precision_loss, reason = "a small count")]
            let size = planned as f64 / 2.0;
            assert!(at(size, planned) < at(500.0, 1_000) + 0.02, "{} {}", at(size, planned), at(500.0, 1_000));
            assert!(at(size, 1_000) > at(size, planned) + 0.2, "{}", at(size, 1_000));
            // The largest statistic there can be with twenty against twenty.
            assert!(at(20.0, planned) < (INFORMATION_PER_TRACE * 20.0).sqrt() / 2.0 - 0.4, "{}", at(20.0, planned));
        }
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

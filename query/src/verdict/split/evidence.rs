//! Evidence that a share is not the declared one, valid however often one looks.
//!
//! Under the null each trace goes to the candidate with the declared chance `p`. With `s` of `n` having gone there, a mixture over other
//! chances `q` of the likelihood ratio `(q/p)^s ((1-q)/(1-p))^(n-s)` is a non-negative martingale with mean one: the chance that it ever
//! reaches `1/alpha` is at most `alpha` (Ville), wherever one stops. A Beta mixture has a closed form in `s` and `n`, so the order of the
//! traces cannot matter.

use statrs::function::beta::ln_beta;

use super::super::sequential::ln_mean;
use super::tally::{Counts, Side};

/// Traces that a member of the mixture is worth, and its weight: few for a share that is grossly off, more for one that is a little.
const MEMBERS: [(f64, f64); 2] = [(5.0, 0.5), (200.0, 0.5)];

/// Natural logarithm of the e-value of `hits` among `all` under the chance `declared`, which is above 0 and below 1.
pub(super) fn ln_e_value(hits: f64, all: f64, declared: f64) -> f64 {
    let misses = (all - hits).max(0.0);
    let null = hits * declared.ln() + misses * (1.0 - declared).ln();
    let members = MEMBERS.map(|(traces, weight)| {
        let (a, b) = (traces * declared, traces * (1.0 - declared));
        (ln_beta(a + hits, b + misses) - ln_beta(a, b) - null, weight)
    });
    ln_mean(&members)
}

/// Traces that were counted, as the test takes them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sample {
    /// The share seen; with traces that met both variants counted wherever it is nearest to the declared one.
    pub(super) share: f64,
    /// The number of traces, each of weight one, that would say as much.
    pub(super) effective: f64,
}

impl Sample {
    /// What counts say of the share; `None` without a trace. `usual` are the counts of all time: a side without a trace in the window may be
    /// one that is sampled.
    ///
    /// A trace that stands for `w` others says about them what one of them would. The variance of the sum over either side is the mean
    /// weight of what it stands for times as large; under the null a side counts by the other's share.
    pub(super) fn of(counts: &Counts, usual: &Counts, declared: f64) -> Option<Self> {
        let sides = [Side::Candidate, Side::Elsewhere, Side::Mixed].map(|side| counts.of(side));
        let [candidate, elsewhere, mixed] = sides.map(|count| count.stands_for());
        let all = candidate + elsewhere + mixed;
        if all <= 0.0 {
            return None;
        }
        let spread = |side: Side| counts.of(side).spread().into_iter().chain(usual.of(side).spread()).reduce(f64::max);
        let [of_candidate, of_elsewhere, of_mixed] = [Side::Candidate, Side::Elsewhere, Side::Mixed].map(spread);
        let known = [of_candidate, of_elsewhere, of_mixed].into_iter().flatten().fold(1.0, f64::max);
        let inflation = (1.0 - declared) * of_candidate.unwrap_or(known) + declared * of_elsewhere.unwrap_or(known);
        let share = (declared * all).clamp(candidate, candidate + mixed) / all;
        Some(Self { share, effective: all / inflation.max(of_mixed.unwrap_or(1.0)).max(1.0) })
    }

    pub(super) fn ln_e(&self, declared: f64) -> f64 {
        ln_e_value(self.share * self.effective, self.effective, declared)
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    use super::*;
    use crate::trace::Weight;

    /// Runs without an effect, each looked at after every slot; the share of them that ever reach 1/alpha, at most `worst` of them in all.
    fn false_alarms(runs: u32, looks: u32, declared: f64, weights: [&str; 2], alpha: f64) -> u32 {
        let weights = weights.map(Weight::of);
        let chances = weights.map(|weight| f64::from(u32::try_from(Weight::ONE).unwrap()) / stands_for(weight));
        let mut alarms = 0;
        for run in 0..runs {
            let mut random = StdRng::seed_from_u64(u64::from(run) * 1_000 + u64::from(looks));
            let (mut counts, mut usual) = (Counts::default(), Counts::default());
            usual.change(Side::Candidate, weights[0], true);
            usual.change(Side::Elsewhere, weights[1], true);
            let alarmed = (0..looks).any(|_| {
                for _ in 0..40 {
                    let (side, at) =
                        if random.random::<f64>() < declared { (Side::Candidate, 0) } else { (Side::Elsewhere, 1) };
                    if random.random::<f64>() < chances[at] {
                        counts.change(side, weights[at], true);
                    }
                }
                Sample::of(&counts, &usual, declared).is_some_and(|sample| sample.ln_e(declared) >= -alpha.ln())
            });
            alarms += u32::from(alarmed);
        }
        alarms
    }

    #[expect(clippy::cast_precision_loss, reason = "a weight")]
    fn stands_for(weight: Weight) -> f64 {
        weight.units() as f64
    }

    /// How often the long runs are repeated: `DAYTWO_SPLIT_RUNS`, else few enough for every build.
    fn runs() -> u32 {
        option_env!("DAYTWO_SPLIT_RUNS").and_then(|text| text.parse().ok()).unwrap_or(400)
    }

    /// Scenario: canaries of a tenth, a half and a hundredth that get what was declared, looked at every ten seconds for an hour, at alpha 0.02.
    /// Guarantees: no more of them are ever called skewed than alpha allows.
    #[test]
    fn peeking_stays_under_alpha() {
        for declared in [0.1, 0.5, 0.01] {
            let alarms = false_alarms(runs(), 360, declared, ["", ""], 0.02);
            assert!(f64::from(alarms) <= 0.02 * f64::from(runs()), "{alarms} of {} at {declared}", runs());
        }
    }

    /// Scenario: the same where the candidate is sampled whole and the others one in eight, the other way round, and both one in eight.
    /// Guarantees: the shares are those before sampling, and the rate holds; counting spans as they came would call every one skewed.
    #[test]
    fn sampling_is_no_skew() {
        for weights in [["", "ot=th:e"], ["ot=th:e", ""], ["ot=th:e", "ot=th:e"]] {
            let alarms = false_alarms(runs(), 90, 0.2, weights, 0.02);
            assert!(f64::from(alarms) <= 0.02 * f64::from(runs()), "{alarms} of {} with {weights:?}", runs());
        }
    }

    /// Scenario: 38 of 100 traces where a tenth was declared, 12 of 100, 10,700 and 10,120 of 100,000; the e-value by summing the mixture over
    /// a fine grid.
    /// Guarantees: the closed form is that sum; the first and the third are found, the others are what chance does.
    #[test]
    fn the_closed_form_is_the_mixture() {
        let on_a_grid = |hits: f64, all: f64, p: f64| {
            let steps = 200_000_u32;
            let member = |traces: f64| {
                let (a, b) = (traces * p, traces * (1.0 - p));
                let density = |q: f64| (a - 1.0) * q.ln() + (b - 1.0) * (1.0 - q).ln() - ln_beta(a, b);
                let ratio = |q: f64| hits * (q / p).ln() + (all - hits) * ((1.0 - q) / (1.0 - p)).ln();
                let at = |step: u32| (f64::from(step) + 0.5) / f64::from(steps);
                (0..steps).map(|step| (density(at(step)) + ratio(at(step))).exp()).sum::<f64>() / f64::from(steps)
            };
            (0.5 * member(5.0) + 0.5 * member(200.0)).ln()
        };
        for (hits, all) in [(38.0, 100.0), (12.0, 100.0), (30.0, 200.0)] {
            let (found, expected) = (ln_e_value(hits, all, 0.1), on_a_grid(hits, all, 0.1));
            assert!((found - expected).abs() < 1e-3 * expected.abs().max(1.0), "{hits}: {found} {expected}");
        }
        let needed = 1_000.0_f64.ln();
        assert!(ln_e_value(38.0, 100.0, 0.1) > needed);
        assert!(ln_e_value(12.0, 100.0, 0.1) < needed);
        assert!(ln_e_value(10_700.0, 100_000.0, 0.1) > needed);
        assert!(ln_e_value(10_120.0, 100_000.0, 0.1) < needed);
        assert!(ln_e_value(0.0, 0.0, 0.1).abs() < 1e-9);
    }

    /// Scenario: 300 traces with one variant, 500 with the other, and 200 that met both, where half was declared.
    /// Guarantees: those may have met the first variant first, so there is no evidence; with 20 of them there is.
    #[test]
    fn traces_with_both_are_given_the_benefit_of_the_doubt() {
        let sample = |mixed: u32| {
            let mut counts = Counts::default();
            for (side, traces) in [(Side::Candidate, 300), (Side::Elsewhere, 500), (Side::Mixed, mixed)] {
                (0..traces).for_each(|_| counts.change(side, Weight::default(), true));
            }
            Sample::of(&counts, &Counts::default(), 0.5).unwrap()
        };
        assert!((sample(200).share - 0.5).abs() < 1e-9 && sample(200).ln_e(0.5) < 0.0);
        assert!((sample(20).share - 320.0 / 820.0).abs() < 1e-9 && sample(20).ln_e(0.5) > 1_000.0_f64.ln());
    }
}

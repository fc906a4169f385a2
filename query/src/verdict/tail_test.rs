//! The tail: do more of the new version's traces lie among the slowest tenth, or hundredth, of their journey?
//!
//! A slowdown of a tenth of the traces hardly moves the middle. Of each journey's slowest traces, both cohorts taken together,
//! each falls to the new version with the chance of its share of the traffic, unless its tail is heavier: the test of [`errors`],
//! with "slow" for "failed". Given both margins the count is hypergeometric, and the likelihood ratio is convex in it, so
//! the bound of the binomial holds (Hoeffding).

use super::errors::{self, ErrorCounts};
use super::rank_test::Stratum;
use crate::measure::LogHistogram;

/// What the journeys' tails say together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct TailTest {
    /// Evidence from the slowest tenth.
    pub(super) ln_e_tenth: f64,
    /// Evidence from the slowest hundredth.
    pub(super) ln_e_hundredth: f64,
    /// Evidence of both together.
    pub(super) ln_e: f64,
    /// Mean of the slowest tenth, after over before.
    pub(super) ratio: f64,
    /// Its milliseconds more.
    pub(super) excess_ms: f64,
}

/// Tests the journeys together.
pub(super) fn test(strata: &[Stratum<'_>]) -> TailTest {
    let ln_e_at = |q: f64| {
        let counts: Vec<ErrorCounts> = strata.iter().filter_map(|stratum| slow(*stratum, q)).collect();
        errors::ln_e_value(&counts)
    };
    let (ln_e_tenth, ln_e_hundredth) = (ln_e_at(0.9), ln_e_at(0.99));
    let (before, after) = means(strata);
    TailTest {
        ln_e_tenth,
        ln_e_hundredth,
        ln_e: super::sequential::ln_mean(&[(ln_e_tenth, 0.5), (ln_e_hundredth, 0.5)]),
        ratio: if before > 0.0 { after / before } else { 1.0 },
        excess_ms: after - before,
    }
}

/// Traces of a journey beyond the quantile of both cohorts together.
fn slow(stratum: Stratum<'_>, q: f64) -> Option<ErrorCounts> {
    let mut both = stratum.before.clone();
    both.merge(stratum.after);
    let limit = both.bucket_at(q)?;
    Some(ErrorCounts {
        traces_before: stratum.before.count(),
        failed_before: stratum.before.count_beyond(limit),
        traces_after: stratum.after.count(),
        failed_after: stratum.after.count_beyond(limit),
    })
}

/// Means of the slowest tenth of either cohort, less its last hundredth, weighted by the journeys' traces.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn means(strata: &[Stratum<'_>]) -> (f64, f64) {
    let (mut before, mut after, mut weights) = (0.0, 0.0, 0.0);
    for stratum in strata {
        let weight = (stratum.before.count() + stratum.after.count()) as f64;
        before += weight * slowest_ms(stratum.before);
        after += weight * slowest_ms(stratum.after);
        weights += weight;
    }
    if weights > 0.0 { (before / weights, after / weights) } else { (0.0, 0.0) }
}

fn slowest_ms(histogram: &LogHistogram) -> f64 {
    let steps = (91..=99_i32).map(|step| histogram.quantile_ms(f64::from(step) / 100.0).unwrap_or(0.0));
    steps.sum::<f64>() / 9.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(values: impl IntoIterator<Item = i64>) -> LogHistogram {
        let mut histogram = LogHistogram::default();
        values.into_iter().for_each(|value| histogram.record(value));
        histogram
    }

    /// Scenario: 1,000 traces from 10 to 20 ms each; in the second cohort one in ten takes twenty times as long; and two alike.
    /// Guarantees: the first pair's tail is evidence and its excess is that of the slow tenth; the second's is none.
    #[test]
    fn a_slow_tenth_shows() {
        let even = |number: i64| 10_000_000 + number * 10_000;
        let before = histogram((0..1_000).map(even));
        let after = histogram((0..1_000).map(|number| if number % 10 == 0 { even(number) * 20 } else { even(number) }));
        let got = test(&[Stratum { before: &before, after: &after }]);
        assert!(got.ln_e > 20.0 && got.ratio > 10.0 && got.excess_ms > 200.0, "{got:?}");
        let same = test(&[Stratum { before: &before, after: &before.clone() }]);
        assert!(same.ln_e < 0.0 && same.excess_ms.abs() < 1e-9, "{same:?}");
    }

    /// Scenario: values that are all the same, and none at all.
    /// Guarantees: nothing lies beyond, which is no evidence.
    #[test]
    fn no_tail_is_no_evidence() {
        for values in [vec![], vec![5; 100]] {
            let one = histogram(values);
            let got = test(&[Stratum { before: &one, after: &one }]);
            assert!(got.ln_e.abs() < 1e-9, "{got:?}");
        }
    }
}

//! The stratified rank test (van Elteren) on log bins, its ratio (Hodges-Lehmann) and interval by inversion.
//!
//! On a log grid a slowdown by a factor is a shift by bins, so "slower than 5 %?" is the same test with the
//! baseline shifted by nine bins of scale 7. Ranks are taken on scale 5, where ties cost nothing measurable.

use crate::measure::LogHistogram;

/// Bins of scale 7 per factor of two.
const BINS_PER_OCTAVE: f64 = 128.0;
/// Scale 7 to scale 5.
const RANK_CUT: i32 = 2;
/// Ratios beyond 2^8 either way are reported as that.
const SHIFT_MAX: i32 = 8 * 128;

/// The two cohorts of one journey.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stratum<'a> {
    pub(super) before: &'a LogHistogram,
    pub(super) after: &'a LogHistogram,
}

/// How often a candidate value exceeds a baseline value, less one half, and its variance without any effect.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct RankStatistic {
    pub(super) theta: f64,
    pub(super) variance: f64,
}

impl RankStatistic {
    /// In standard deviations; 0 when all values are the same.
    pub(super) fn z(self) -> f64 {
        if self.variance > 0.0 { self.theta / self.variance.sqrt() } else { 0.0 }
    }

    /// Inverse variance; 0 when all values are the same.
    pub(super) fn information(self) -> f64 {
        if self.variance > 0.0 { 1.0 / self.variance } else { 0.0 }
    }
}

/// Bins for a factor.
pub(super) fn shift_of(ratio: f64) -> i32 {
    #[expect(clippy::cast_possible_truncation, reason = "clamped")]
    let bins = (ratio.log2() * BINS_PER_OCTAVE).round().clamp(-1e6, 1e6) as i32;
    bins.clamp(-SHIFT_MAX, SHIFT_MAX)
}

fn ratio_of(shift: f64) -> f64 {
    (shift / BINS_PER_OCTAVE).exp2()
}

/// The statistic with the baseline made slower by `shift` bins of scale 7.
pub(super) fn statistic(strata: &[Stratum<'_>], shift: i32) -> RankStatistic {
    let (mut theta, mut variance, mut weights) = (0.0, 0.0, 0.0);
    for stratum in strata {
        let Some(one) = stratum_statistic(*stratum, shift) else { continue };
        theta += one.weight * one.theta;
        variance += one.weight * one.weight * one.variance;
        weights += one.weight;
    }
    if weights <= 0.0 {
        return RankStatistic { theta: 0.0, variance: 0.0 };
    }
    RankStatistic { theta: theta / weights, variance: variance / (weights * weights) }
}

struct Weighted {
    theta: f64,
    variance: f64,
    weight: f64,
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn stratum_statistic(stratum: Stratum<'_>, shift: i32) -> Option<Weighted> {
    let (n, m) = (stratum.before.count() as f64, stratum.after.count() as f64);
    if n < 1.0 || m < 1.0 {
        return None;
    }
    let total = n + m;
    // Pairs in which the candidate is larger, ties half; and the tie correction.
    let (mut wins, mut ties, mut below) = (0.0, 0.0, 0.0);
    for (before, after) in joined(stratum, shift) {
        let (before, after) = (before as f64, after as f64);
        wins += after * (below + 0.5 * before);
        below += before;
        let tied = before + after;
        ties += tied * tied * tied - tied;
    }
    let spread = total + 1.0 - ties / (total * (total - 1.0)).max(1.0);
    let weight = n * m / total;
    Some(Weighted { theta: wins / (n * m) - 0.5, variance: (spread / (12.0 * n * m)).max(0.0), weight })
}

/// Counts of both cohorts in every rank bin, lowest first; zeros are a bin of their own that no shift moves.
fn joined(stratum: Stratum<'_>, shift: i32) -> Vec<(u64, u64)> {
    let rank_bin = |bucket: i16, shift: i32| (i32::from(bucket) + shift) >> RANK_CUT;
    let mut before =
        stratum.before.buckets().iter().map(|(bucket, count)| (rank_bin(*bucket, shift), *count)).peekable();
    let mut after = stratum.after.buckets().iter().map(|(bucket, count)| (rank_bin(*bucket, 0), *count)).peekable();
    let mut bins = vec![(stratum.before.zeros(), stratum.after.zeros())];
    loop {
        let next = match (before.peek(), after.peek()) {
            (Some(left), Some(right)) => left.0.min(right.0),
            (Some(only), None) | (None, Some(only)) => only.0,
            (None, None) => return bins,
        };
        let mut bin = (0_u64, 0_u64);
        while let Some((_, count)) = before.next_if(|slot| slot.0 == next) {
            bin.0 = bin.0.saturating_add(u64::from(count));
        }
        while let Some((_, count)) = after.next_if(|slot| slot.0 == next) {
            bin.1 = bin.1.saturating_add(u64::from(count));
        }
        bins.push(bin);
    }
}

/// The ratio at which the test statistic, less `offset` standard deviations, changes its sign.
///
/// With `offset` 0 this is the Hodges-Lehmann ratio; with plus or minus the critical value an end of its interval.
pub(super) fn ratio_where(strata: &[Stratum<'_>], offset: f64) -> f64 {
    let above = |shift: i32| statistic(strata, shift).z() - offset;
    let (mut low, mut high) = (-SHIFT_MAX, SHIFT_MAX);
    if above(low) <= 0.0 {
        return ratio_of(f64::from(low));
    }
    if above(high) > 0.0 {
        return ratio_of(f64::from(high));
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if above(middle) > 0.0 { low = middle } else { high = middle }
    }
    let (over, under) = (above(low), above(high));
    let part = if over > under { over / (over - under) } else { 0.5 };
    ratio_of(f64::from(low) + part.clamp(0.0, 1.0))
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "test values are small")]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    fn histogram(values: &[i64]) -> LogHistogram {
        let mut histogram = LogHistogram::default();
        values.iter().for_each(|value| histogram.record(*value));
        histogram
    }

    /// Mann-Whitney by comparing every pair of raw values, without binning.
    fn naive_theta(before: &[i64], after: &[i64]) -> f64 {
        let score = |b: &i64, a: &i64| {
            if a > b {
                1.0
            } else if a == b {
                0.5
            } else {
                0.0
            }
        };
        let wins: f64 = before.iter().map(|b| after.iter().map(|a| score(b, a)).sum::<f64>()).sum();
        wins / (before.len() * after.len()) as f64 - 0.5
    }

    fn lognormal(random: &mut StdRng, median: f64, sigma: f64) -> i64 {
        let normal: f64 = (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0;
        (median * (sigma * normal).exp()) as i64
    }

    /// Scenario: seeded log-normal samples, binned against raw.
    /// Guarantees: theta and z differ from the brute-force ones by less than 0.05 standard deviations or so.
    #[test]
    fn bins_agree_with_raw_values() {
        let mut random = StdRng::seed_from_u64(3);
        for effect in [1.0, 1.05, 1.3] {
            let before: Vec<i64> = (0..400).map(|_| lognormal(&mut random, 5e6, 0.4)).collect();
            let after: Vec<i64> = (0..300).map(|_| lognormal(&mut random, 5e6 * effect, 0.4)).collect();
            let (left, right) = (histogram(&before), histogram(&after));
            let got = statistic(&[Stratum { before: &left, after: &right }], 0);
            let raw = naive_theta(&before, &after);
            let raw_z = raw / (701.0_f64 / (12.0 * 400.0 * 300.0)).sqrt();
            assert!((got.z() - raw_z).abs() < 0.05, "{} {raw_z}", got.z());
        }
    }

    /// Scenario: b = 1,1,2,4,8 and c = 2,2,4,8,8,16, worked by hand: U = 2.5 + 2.5 + 3.5 + 4.5 + 4.5 + 5 = 22.5, ties
    /// 2,3,2,3 give 60, variance 30/12 (12 - 60/110) = 28.636, z = 7.5/5.351 = 1.4015.
    /// Guarantees: the tie-corrected statistic is that.
    #[test]
    fn ties_are_corrected() {
        let (before, after) = (histogram(&[1, 1, 2, 4, 8]), histogram(&[2, 2, 4, 8, 8, 16]));
        let got = statistic(&[Stratum { before: &before, after: &after }], 0);
        assert!(((got.theta + 0.5) * 30.0 - 22.5).abs() < 1e-9);
        assert!((got.z() - 1.4015).abs() < 1e-3, "{}", got.z());
    }

    /// Scenario: a slowdown by known factors.
    /// Guarantees: the estimate is within noise, the interval holds the truth, and shifting by the truth kills z.
    #[test]
    fn the_ratio_is_the_factor() {
        let mut random = StdRng::seed_from_u64(5);
        for factor in [0.5, 1.0, 1.6, 4.0] {
            let before: Vec<i64> = (0..2_000).map(|_| lognormal(&mut random, 2e6, 0.3)).collect();
            let after: Vec<i64> = (0..2_000).map(|_| lognormal(&mut random, 2e6 * factor, 0.3)).collect();
            let (left, right) = (histogram(&before), histogram(&after));
            let strata = [Stratum { before: &left, after: &right }];
            let ratio = ratio_where(&strata, 0.0);
            assert!((ratio / factor).ln().abs() < 0.04, "{ratio} {factor}");
            assert!(ratio_where(&strata, 4.0) < factor && factor < ratio_where(&strata, -4.0));
            assert!(statistic(&strata, shift_of(factor)).z().abs() < 4.0);
        }
    }

    /// Number of ways to each value of U for `n` against `m` distinct values, by counting.
    fn ways(n: usize, m: usize) -> Vec<f64> {
        let mut table = vec![vec![vec![1.0_f64]; m + 1]; n + 1];
        for i in 1..=n {
            for j in 1..=m {
                let mut counts = vec![0.0; i * j + 1];
                // The largest value is a candidate's, above all `i` of the baseline, or a baseline's.
                table[i][j - 1].iter().enumerate().for_each(|(u, ways)| counts[u + i] += ways);
                table[i - 1][j].iter().enumerate().for_each(|(u, ways)| counts[u] += ways);
                table[i][j] = counts;
            }
        }
        table[n][m].clone()
    }

    /// Scenario: every order of few values, each as likely as any other, by exact counting.
    /// Guarantees: the mean e-value is at most one whatever was planned, so that the bound holds exactly without any normal approximation.
    #[test]
    fn few_traces_are_exact_enough() {
        use crate::verdict::sequential::{ln_e_value, tuning};
        for (n, m) in [(10, 10), (10, 40), (40, 10), (15, 41), (25, 25)] {
            let ways = ways(n, m);
            let all: f64 = ways.iter().sum();
            let (pairs, total) = ((n * m) as f64, (n + m) as f64);
            let variance = (total + 1.0) / (12.0 * pairs);
            for (planned, largest) in [(1_000, 50.0), (16_000, 3.0), (256_000, 2.0)] {
                let z = |u: usize| (u as f64 / pairs - 0.5) / variance.sqrt();
                let value = |u: usize| ln_e_value(z(u), 1.0 / variance, tuning(planned)).exp();
                let mean: f64 = ways.iter().enumerate().map(|(u, ways)| ways / all * value(u)).sum();
                let found = value(n * m);
                assert!(mean <= 1.0 && found > largest, "{n} {m} {planned}: mean {mean}, largest {found}");
            }
        }
    }

    /// Scenario: forty hours of equal versions, four traces each every ten seconds, looked at each time; planned for 4,000, 64,000 and 256,000.
    /// Guarantees: at an alpha of a twentieth at most two hours of forty ever alarm, whatever was planned.
    #[test]
    fn an_hour_of_looks_stays_under_alpha_whatever_was_planned() {
        use crate::verdict::sequential::{ln_e_value, tuning};
        let plans = [4_000, 64_000, 256_000];
        let mut random = StdRng::seed_from_u64(19);
        let mut alarms = [0; 3];
        for _ in 0..40 {
            let (mut before, mut after) = (LogHistogram::default(), LogHistogram::default());
            let mut alarmed = [false; 3];
            for _ in 0..360 {
                (0..4).for_each(|_| before.record(lognormal(&mut random, 5e6, 0.4)));
                (0..4).for_each(|_| after.record(lognormal(&mut random, 5e6, 0.4)));
                let found = statistic(&[Stratum { before: &before, after: &after }], 0);
                for (alarmed, planned) in alarmed.iter_mut().zip(plans) {
                    *alarmed |= ln_e_value(found.z(), found.information(), tuning(planned)) >= 20.0_f64.ln();
                }
            }
            alarms.iter_mut().zip(alarmed).for_each(|(sum, alarmed)| *sum += i32::from(alarmed));
        }
        assert!(alarms.iter().all(|alarms| *alarms <= 2), "{alarms:?} of 40 at alpha 0.05");
    }

    /// Scenario: values that are all the same, all zero, or none.
    /// Guarantees: no evidence, no division by zero.
    #[test]
    fn no_spread_is_no_evidence() {
        for values in [vec![], vec![0; 60], vec![7; 60]] {
            let same = histogram(&values);
            let got = statistic(&[Stratum { before: &same, after: &same }], 0);
            assert_eq!((got.z(), got.theta), (0.0, 0.0));
        }
    }
}

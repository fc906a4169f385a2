//! Everything the numbers say about one node of the call tree.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::VerdictConfig;
use super::cohort::{AFTER, ARMS, BEFORE, NodeCell};
use super::errors::{self, ErrorCounts, ErrorTest};
use super::rank_test::{self, Stratum};
use super::record::QuantilesMs;
use super::sequential::{critical_z, ln_e_value, tuning};
use crate::measure::LogHistogram;

/// Confidence level of the intervals that are shown, and of the bound that PASS needs.
pub(super) const INTERVAL_ALPHA: f64 = 0.05;

/// One node, before and after.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct NodeTest {
    pub(super) traces: [u64; ARMS],
    pub(super) strata: u64,
    pub(super) before: Option<QuantilesMs>,
    pub(super) after: Option<QuantilesMs>,
    pub(super) ratio: f64,
    pub(super) low: f64,
    pub(super) high: f64,
    /// Milliseconds more per trace that has the node.
    pub(super) excess_ms: f64,
    /// Typical milliseconds of the baseline.
    pub(super) typical_ms: f64,
    /// Against "no change".
    pub(super) z: f64,
    /// Against "at most the material ratio".
    pub(super) ln_e: f64,
    pub(super) information: f64,
    /// Standard error of the logarithm of the ratio.
    pub(super) ln_error: f64,
    pub(super) errors: Option<ErrorTest>,
}

impl NodeTest {
    /// The anytime-valid p-value of the latency.
    pub(super) fn p(&self) -> f64 {
        p_of(self.ln_e)
    }

    /// Whether the slowdown is large enough to matter.
    pub(super) fn is_material(&self, config: &VerdictConfig, floor_ms: f64) -> bool {
        self.ratio > 1.0 + config.material && self.excess_ms > floor_ms
    }

    /// Whether the node is shown to be no slower than the margin, or too small to matter at any ratio it may have.
    pub(super) fn is_harmless(&self, config: &VerdictConfig, floor_ms: f64) -> bool {
        self.high < 1.0 + config.margin || self.typical_ms * (self.high - 1.0) < floor_ms
    }
}

pub(super) fn p_of(ln_e: f64) -> f64 {
    (-ln_e).exp().min(1.0)
}

/// Tests one node over the journeys that have enough traces of it on both sides; `None` without such a journey.
pub(super) fn test(journeys: &BTreeMap<Arc<str>, [NodeCell; ARMS]>, config: &VerdictConfig) -> Option<NodeTest> {
    let enough = |cells: &&[NodeCell; ARMS]| cells.iter().all(|cell| cell.traces >= config.stratum_min);
    let used: Vec<&[NodeCell; ARMS]> = journeys.values().filter(enough).collect();
    if used.is_empty() {
        return None;
    }
    let strata: Vec<Stratum<'_>> =
        used.iter().map(|cells| Stratum { before: &cells[BEFORE].ns, after: &cells[AFTER].ns }).collect();
    let plain = rank_test::statistic(&strata, 0);
    let shifted = rank_test::statistic(&strata, rank_test::shift_of(1.0 + config.material));
    let tuning = tuning(config.planned_traces);
    let information = plain.information().max(shifted.information());
    let critical = critical_z(information.max(1.0), tuning, INTERVAL_ALPHA / 2.0);
    let (ratio, low, high) = interval(&strata, plain.variance, critical);
    let all = |arm: usize| merged(used.iter().filter_map(|cells| cells.get(arm)).map(|cell| &cell.ns));
    let (before, after) = (all(BEFORE), all(AFTER));
    let (excess_ms, typical_ms) = excess(&strata);
    Some(NodeTest {
        traces: [before.count(), after.count()],
        strata: used.len() as u64,
        before: quantiles(&before),
        after: quantiles(&after),
        ratio,
        low,
        high,
        excess_ms,
        typical_ms,
        z: plain.z(),
        ln_e: ln_e_value(shifted.z(), shifted.information(), tuning),
        information,
        ln_error: ((high / low).ln() / (2.0 * critical)).max(1e-6),
        errors: errors::test(&used.iter().map(|cells| error_counts(cells, |cell| cell.own_failed)).collect::<Vec<_>>()),
    })
}

/// The ratio and its interval; exactly 1 when all values are the same.
fn interval(strata: &[Stratum<'_>], variance: f64, critical: f64) -> (f64, f64, f64) {
    if variance <= 0.0 {
        return (1.0, 1.0, 1.0);
    }
    let at = |offset: f64| rank_test::ratio_where(strata, offset);
    (at(0.0), at(critical), at(-critical))
}

/// Traces and failures of one journey.
pub(super) fn error_counts(cells: &[NodeCell; ARMS], failed: fn(&NodeCell) -> u64) -> ErrorCounts {
    ErrorCounts {
        traces_before: cells[BEFORE].traces,
        failed_before: failed(&cells[BEFORE]),
        traces_after: cells[AFTER].traces,
        failed_after: failed(&cells[AFTER]),
    }
}

fn merged<'a>(histograms: impl Iterator<Item = &'a LogHistogram>) -> LogHistogram {
    let mut sum = LogHistogram::default();
    histograms.for_each(|histogram| sum.merge(histogram));
    sum
}

fn quantiles(histogram: &LogHistogram) -> Option<QuantilesMs> {
    Some(QuantilesMs {
        p50: histogram.quantile_ms(0.5)?,
        p95: histogram.quantile_ms(0.95)?,
        p99: histogram.quantile_ms(0.99)?,
    })
}

/// Mean difference of the middle nine tenths, weighted by the journeys' traces, and the baseline's mean.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn excess(strata: &[Stratum<'_>]) -> (f64, f64) {
    let (mut difference, mut typical, mut weights) = (0.0, 0.0, 0.0);
    for stratum in strata {
        let weight = (stratum.before.count() + stratum.after.count()) as f64;
        let (before, after) = (trimmed_mean_ms(stratum.before), trimmed_mean_ms(stratum.after));
        difference += weight * (after - before);
        typical += weight * before;
        weights += weight;
    }
    if weights > 0.0 { (difference / weights, typical / weights) } else { (0.0, 0.0) }
}

fn trimmed_mean_ms(histogram: &LogHistogram) -> f64 {
    let steps = (1..=19_i32).map(|step| histogram.quantile_ms(f64::from(step) / 20.0).unwrap_or(0.0));
    steps.sum::<f64>() / 19.0
}

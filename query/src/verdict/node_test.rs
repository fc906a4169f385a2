//! Everything the numbers say about one node of the call tree.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::VerdictConfig;
use super::cohort::{AFTER, ARMS, BEFORE, NodeCell};
use super::errors::{self, ErrorCounts, ErrorTest};
use super::floors::Floors;
use super::rank_test::{self, Stratum};
use super::record::QuantilesMs;
use super::sequential::{Tuning, critical_z, ln_e_value, ln_mean};
use super::tail_test::{self, TailTest};
use crate::measure::LogHistogram;

/// Confidence level of the intervals that are shown, and of the bound that PASS needs.
pub(super) const INTERVAL_ALPHA: f64 = 0.05;

/// Calls into a node may rise by this share before its time is compared call by call.
const CALLS_TOLERANCE: f64 = 0.1;
/// Weight of the location test's evidence in a node's.
pub(super) const LOCATION_WEIGHT: f64 = 0.9;
/// Evidence of the location test and of the two tail tests counts with these weights; they sum to one.
const WEIGHTS: [f64; 3] = [LOCATION_WEIGHT, 0.05, 0.05];

/// Cells of one node by journey.
pub(super) type Journeys = BTreeMap<Arc<str>, [NodeCell; ARMS]>;

/// What a node is measured against.
#[derive(Debug, Clone, Copy)]
pub(super) struct Yardstick<'a> {
    pub(super) config: &'a VerdictConfig,
    pub(super) floors: &'a Floors,
    /// For how much information the tests are sharpest.
    pub(super) tuning: Tuning,
    /// A journey with fewer traces in either cohort is not compared.
    pub(super) stratum_min: u64,
}

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
    /// Milliseconds more per trace that has the node, less what more calls into it explain.
    pub(super) excess_ms: f64,
    /// Typical milliseconds of the baseline.
    pub(super) typical_ms: f64,
    /// Excess below this is not material.
    pub(super) floor_ms: f64,
    /// How many times more calls into the node there are in a trace, when they rose beyond the tolerance; else 1.
    pub(super) calls_ratio: f64,
    /// Against "no change beyond the calls".
    pub(super) z: f64,
    /// Evidence of the location and the tails together.
    pub(super) ln_e: f64,
    pub(super) information: f64,
    /// Standard error of the logarithm of the ratio.
    pub(super) ln_error: f64,
    /// The slowest tenth.
    pub(super) tail: TailTest,
    pub(super) errors: Option<ErrorTest>,
}

impl NodeTest {
    /// The anytime-valid p-value of the latency.
    pub(super) fn p(&self) -> f64 {
        p_of(self.ln_e)
    }

    /// Whether the slowdown is large enough to matter: of the middle, or of a tail that has its own evidence.
    pub(super) fn is_material(&self, config: &VerdictConfig) -> bool {
        let middle = self.ratio > (1.0 + config.material) * self.calls_ratio && self.excess_ms > self.floor_ms;
        let tail = &self.tail;
        let shown = self.calls_ratio <= 1.0 && p_of(tail.ln_e) <= config.alpha;
        middle || (shown && tail.ratio > 1.0 + config.material && tail.excess_ms > self.floor_ms)
    }

    /// Whether the node is shown to be no slower than the margin, or too small to matter at any ratio it may have.
    pub(super) fn is_harmless(&self, config: &VerdictConfig) -> bool {
        self.high < 1.0 + config.margin || self.typical_ms * (self.high - 1.0) < self.floor_ms
    }

    /// Whether the node has any spread at all: one that is always zero, as the operation of a client span, is no hypothesis.
    pub(super) fn varies(&self) -> bool {
        self.information > 0.0
    }
}

pub(super) fn p_of(ln_e: f64) -> f64 {
    (-ln_e).exp().min(1.0)
}

/// Tests one node over the journeys that have enough traces of it on both sides; `None` without such a journey.
///
/// `entries` are the cells that count the calls into the node.
pub(super) fn test(journeys: &Journeys, entries: Option<&Journeys>, yardstick: Yardstick<'_>) -> Option<NodeTest> {
    let enough = |cells: &[NodeCell; ARMS]| cells.iter().all(|cell| cell.traces >= yardstick.stratum_min);
    let used: Vec<(&Arc<str>, &[NodeCell; ARMS])> = journeys.iter().filter(|(_, cells)| enough(cells)).collect();
    if used.is_empty() {
        return None;
    }
    let strata: Vec<Stratum<'_>> =
        used.iter().map(|(_, cells)| Stratum { before: &cells[BEFORE].ns, after: &cells[AFTER].ns }).collect();
    let calls_ratio = entries.map_or(1.0, |entries| calls_ratio(&used, entries));
    let plain = rank_test::statistic(&strata, 0);
    let against = rank_test::statistic(&strata, rank_test::shift_of(calls_ratio));
    let tuning = yardstick.tuning;
    let critical = critical_z(plain.information().max(1.0), tuning, INTERVAL_ALPHA / 2.0);
    let (ratio, low, high) = interval(&strata, plain.variance, critical);
    let all = |arm: usize| merged(used.iter().filter_map(|(_, cells)| cells.get(arm)).map(|cell| &cell.ns));
    let (before, after) = (all(BEFORE), all(AFTER));
    let (difference, typical_ms) = excess(&strata);
    let tail = tail_test::test(&strata);
    let location = ln_e_value(against.z(), against.information(), tuning);
    let parts = [(location, WEIGHTS[0]), (tail.ln_e_tenth, WEIGHTS[1]), (tail.ln_e_hundredth, WEIGHTS[2])];
    let errors: Vec<ErrorCounts> = used.iter().map(|(_, cells)| error_counts(cells, |cell| cell.own_failed)).collect();
    Some(NodeTest {
        traces: [before.count(), after.count()],
        strata: used.len() as u64,
        before: quantiles(&before),
        after: quantiles(&after),
        ratio,
        low,
        high,
        excess_ms: difference - (calls_ratio - 1.0) * typical_ms,
        typical_ms,
        floor_ms: floor_ms(&used, yardstick.floors),
        calls_ratio,
        z: against.z(),
        ln_e: if calls_ratio > 1.0 { location } else { ln_mean(&parts) },
        information: plain.information(),
        ln_error: ((high / low).ln() / (2.0 * critical)).max(1e-6),
        tail,
        errors: errors::test(&errors),
    })
}

/// Calls into the node in a trace, after over before, weighted as the journeys are; 1 up to the tolerance.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn calls_ratio(used: &[(&Arc<str>, &[NodeCell; ARMS])], entries: &Journeys) -> f64 {
    let (mut before, mut after) = (0.0, 0.0);
    for cells in used.iter().filter_map(|(journey, _)| entries.get(*journey)) {
        let [n, m] = [cells[BEFORE].traces as f64, cells[AFTER].traces as f64];
        if n > 0.0 && m > 0.0 {
            let weight = n * m / (n + m);
            before += weight * cells[BEFORE].calls as f64 / n;
            after += weight * cells[AFTER].calls as f64 / m;
        }
    }
    let ratio = if before > 0.0 { after / before } else { 1.0 };
    if ratio > 1.0 + CALLS_TOLERANCE { ratio } else { 1.0 }
}

/// The journeys' floors, weighted by the traces that have the node.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn floor_ms(used: &[(&Arc<str>, &[NodeCell; ARMS])], floors: &Floors) -> f64 {
    let weight = |cells: &[NodeCell; ARMS]| (cells[BEFORE].traces + cells[AFTER].traces) as f64;
    let sum: f64 = used.iter().map(|(_, cells)| weight(cells)).sum();
    used.iter().map(|(journey, cells)| floors.ms(journey) * weight(cells)).sum::<f64>() / sum.max(1.0)
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

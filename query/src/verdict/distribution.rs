//! The two cohorts' latency side by side, for a chart.

use std::sync::Arc;

use super::VerdictConfig;
use super::baseline::{Comparison, tabulate};
use super::cohort::{AFTER, BEFORE, Cohorts};
use super::record::QuantilesMs;
use crate::correlator::{Distribution, DistributionBin};
use crate::measure::{LogHistogram, NodeKey};

/// Scale of the chart's bins: 19 % wide.
const SCALE: u32 = 2;

/// Self time per trace of an operation, or of the whole service; `None` when no trace has it.
pub fn distribution(cohorts: &Cohorts, operation: Option<&str>, config: &VerdictConfig) -> Option<Distribution> {
    let service = Arc::clone(&cohorts.key.service);
    let node = match operation {
        Some(operation) => NodeKey::Operation { service, operation: operation.into() },
        None => NodeKey::Service { service },
    };
    let table = tabulate(cohorts, &Comparison::choose(cohorts, config));
    let journeys = table.get(&node)?;
    let merged = |arm: usize| {
        let mut sum = LogHistogram::default();
        journeys.values().filter_map(|cells| cells.get(arm)).for_each(|cell| sum.merge(&cell.ns));
        sum
    };
    let (before, after) = (merged(BEFORE), merged(AFTER));
    Some(Distribution {
        operation: operation.map(str::to_owned),
        bins: bins(before.clone(), after.clone()),
        before: quantiles(&before),
        after: quantiles(&after),
    })
}

fn quantiles(histogram: &LogHistogram) -> Option<QuantilesMs> {
    let at = |q: f64| histogram.quantile_ms(q);
    Some(QuantilesMs { p50: at(0.5)?, p95: at(0.95)?, p99: at(0.99)? })
}

fn bins(mut before: LogHistogram, mut after: LogHistogram) -> Vec<DistributionBin> {
    before.downscale(SCALE);
    after.downscale(SCALE);
    let lowest = before.buckets().iter().chain(after.buckets()).map(|slot| slot.0).min();
    let highest = before.buckets().iter().chain(after.buckets()).map(|slot| slot.0).max();
    let (Some(lowest), Some(highest)) = (lowest, highest) else { return Vec::new() };
    let share = |histogram: &LogHistogram, bucket: i16| {
        let found = histogram.buckets().binary_search_by_key(&bucket, |slot| slot.0).ok();
        let count = found.and_then(|at| histogram.buckets().get(at)).map_or(0, |slot| slot.1);
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
        let all = histogram.count().max(1) as f64;
        f64::from(count) / all
    };
    let bin = |bucket: i16| DistributionBin {
        low_ms: before.lower_bound(bucket) / 1e6,
        high_ms: before.lower_bound(bucket.saturating_add(1)) / 1e6,
        before: share(&before, bucket),
        after: share(&after, bucket),
    };
    (lowest..=highest).map(bin).collect()
}

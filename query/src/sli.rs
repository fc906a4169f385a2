//! Service-level indicators: rate, errors and latency of services and operations, from cells.
//!
//! Quantiles come from log-scale histograms with at most 1 % relative error and are never averaged.

use crate::measure::{CellKey, CellValue, LogHistogram, SliCells};
use crate::trace::kind;
use daytwo_storage::UnixNanos;
use std::collections::{BTreeMap, BTreeSet};

/// Times from (inclusive) to (exclusive).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeWindow {
    /// First instant.
    pub from: UnixNanos,
    /// First instant after.
    pub to: UnixNanos,
}

/// What a service answered (its SERVER and CONSUMER spans).
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceSli {
    /// Service name.
    pub service: String,
    /// Environment, empty when missing.
    pub environment: String,
    /// Calls per second over the window; a sampled call counts as often as it stands for.
    pub rate_per_s: f64,
    /// Failed share of the calls, weighed like these; `None` without calls.
    pub errors_fraction: Option<f64>,
    /// Median, `None` without calls.
    pub p50_ms: Option<f64>,
    /// 95th percentile.
    pub p95_ms: Option<f64>,
    /// 99th percentile.
    pub p99_ms: Option<f64>,
    /// Calls as they came.
    pub spans: u64,
    /// Distinct operations.
    pub operations: u64,
    /// Versions seen, sorted; a missing version is left out.
    pub versions: Vec<String>,
    /// Start of the newest cell with a call.
    pub last_seen_unix_nano: i64,
}

/// One operation of a service.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationSli {
    /// Span name.
    pub operation: String,
    /// OTLP kind name.
    pub kind: &'static str,
    /// Spans as they came.
    pub calls: u64,
    /// Spans per second over the window; a sampled one counts as often as it stands for.
    pub rate_per_s: f64,
    /// Failed share.
    pub errors_fraction: Option<f64>,
    /// Median duration.
    pub p50_ms: Option<f64>,
    /// 95th percentile.
    pub p95_ms: Option<f64>,
    /// 99th percentile.
    pub p99_ms: Option<f64>,
    /// Median self time.
    pub self_p50_ms: Option<f64>,
    /// 95th percentile of self time.
    pub self_p95_ms: Option<f64>,
}

/// One row of the SQL table `slis`: a cell of a service's operation.
#[derive(Debug, Clone, PartialEq)]
pub struct SliRow {
    /// Start of the cell.
    pub from_unix_nano: i64,
    /// Width of the cell.
    pub width_ns: i64,
    /// What the cell is about.
    pub key: CellKey,
    /// Spans.
    pub calls: u64,
    /// Failed spans.
    pub errors: u64,
    /// Failed spans without a failed child.
    pub own_errors: u64,
    /// Duration quantiles.
    pub p50_ms: Option<f64>,
    /// 95th percentile.
    pub p95_ms: Option<f64>,
    /// 99th percentile.
    pub p99_ms: Option<f64>,
    /// Median self time.
    pub self_p50_ms: Option<f64>,
    /// 95th percentile of self time.
    pub self_p95_ms: Option<f64>,
}

fn seconds(window: TimeWindow) -> f64 {
    window.to.since(window.from).as_secs_f64().max(1e-9)
}

fn errors_fraction(value: &CellValue) -> Option<f64> {
    (value.calls > 0).then(|| value.adjusted_errors() / value.adjusted_calls())
}

fn rate(value: &CellValue, window: TimeWindow) -> f64 {
    value.adjusted_calls() / seconds(window)
}

/// Quantiles of nanoseconds in milliseconds.
fn quantiles_ms<const N: usize>(values: &LogHistogram<u64>, quantiles: [f64; N]) -> [Option<f64>; N] {
    quantiles.map(|quantile| values.quantile_ms(quantile))
}

fn matches(environment: Option<&str>, key: &CellKey) -> bool {
    environment.is_none_or(|wanted| *wanted == *key.environment)
}

/// Every service with a cell in the window, by name and environment.
pub fn services(cells: &SliCells, window: TimeWindow, environment: Option<&str>) -> Vec<ServiceSli> {
    #[derive(Default)]
    struct Sum {
        value: CellValue,
        operations: BTreeSet<String>,
        versions: BTreeSet<String>,
        last: i64,
    }
    let mut sums: BTreeMap<(String, String), Sum> = BTreeMap::new();
    for (key, slot, value) in cells.iter(window, |key| matches(environment, key)) {
        let sum = sums.entry((key.service.to_string(), key.environment.to_string())).or_default();
        if !key.version.is_empty() {
            sum.versions.insert(key.version.to_string());
        }
        sum.last = sum.last.max(slot.from_unix_nano);
        if matches!(key.kind, kind::SERVER | kind::CONSUMER) {
            sum.operations.insert(key.operation.to_string());
            sum.value.merge(value);
        }
    }
    let row = |((service, environment), sum): ((String, String), Sum)| {
        let [p50_ms, p95_ms, p99_ms] = quantiles_ms(&sum.value.weighed_total(), [0.5, 0.95, 0.99]);
        ServiceSli {
            service,
            environment,
            rate_per_s: rate(&sum.value, window),
            errors_fraction: errors_fraction(&sum.value),
            p50_ms,
            p95_ms,
            p99_ms,
            spans: sum.value.calls,
            operations: sum.operations.len() as u64,
            versions: sum.versions.into_iter().collect(),
            last_seen_unix_nano: sum.last,
        }
    };
    sums.into_iter().map(row).collect()
}

/// Every operation of a service with a cell in the window, by name and kind.
pub fn operations(cells: &SliCells, window: TimeWindow, service: &str, environment: Option<&str>) -> Vec<OperationSli> {
    let mut sums: BTreeMap<(String, i32), CellValue> = BTreeMap::new();
    let wanted = |key: &CellKey| *key.service == *service && matches(environment, key);
    for (key, _, value) in cells.iter(window, wanted) {
        sums.entry((key.operation.to_string(), key.kind)).or_default().merge(value);
    }
    let row = |((operation, kind), value): ((String, i32), CellValue)| {
        let [p50_ms, p95_ms, p99_ms] = quantiles_ms(&value.weighed_total(), [0.5, 0.95, 0.99]);
        let [self_p50_ms, self_p95_ms] = quantiles_ms(&value.weighed_own(), [0.5, 0.95]);
        OperationSli {
            operation,
            kind: kind::name(kind),
            calls: value.calls,
            rate_per_s: rate(&value, window),
            errors_fraction: errors_fraction(&value),
            p50_ms,
            p95_ms,
            p99_ms,
            self_p50_ms,
            self_p95_ms,
        }
    };
    sums.into_iter().map(row).collect()
}

/// The cells of the window as rows, for SQL.
pub fn rows(cells: &SliCells, window: TimeWindow) -> Vec<SliRow> {
    let row = |(key, slot, value): (&CellKey, crate::measure::Slot, &CellValue)| SliRow {
        from_unix_nano: slot.from_unix_nano,
        width_ns: slot.width_ns,
        key: key.clone(),
        calls: value.calls,
        errors: value.errors,
        own_errors: value.own_errors,
        p50_ms: value.total.quantile_ms(0.5),
        p95_ms: value.total.quantile_ms(0.95),
        p99_ms: value.total.quantile_ms(0.99),
        self_p50_ms: value.own.quantile_ms(0.5),
        self_p95_ms: value.own.quantile_ms(0.95),
    };
    cells.iter(window, |_| true).map(row).collect()
}

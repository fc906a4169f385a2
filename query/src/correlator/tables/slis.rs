//! Cells as rows of `slis`: only those columns are made that somebody asked for.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Int32Array, RecordBatch, RecordBatchOptions};
use serde_json::{Value, json};

use super::{held, numbers, reals, some_numbers, whole};
use crate::correlator::Correlator;
use crate::measure::{CellFilter, CellKey, CellValue, Exemplar, LogHistogram, Slot};
use crate::tables::slis_schema;
use crate::trace::Weight;
use crate::{QueryError, Result, hdr_v2};

/// Significant digits of the histograms handed out: 0.1 %, finer than the cells themselves.
const HDR_DIGITS: u32 = 3;

/// What of a cell its columns need: taken under the engine's lock, made into columns after it.
struct CellRow<'k> {
    slot: Slot,
    key: &'k CellKey,
    counts: [u64; 3],
    adjusted: [f64; 3],
    latency: LogHistogram<u64>,
    self_time: LogHistogram<u64>,
    edge_gap: Option<LogHistogram<u64>>,
    exemplars: String,
}

/// Which parts of cells some columns need.
#[derive(Debug, Clone, Copy, Default)]
struct Parts {
    latency: bool,
    self_time: bool,
    edge_gap: bool,
    exemplars: bool,
}

impl Parts {
    fn of<'c>(columns: impl Iterator<Item = &'c str>) -> Self {
        let mut parts = Self::default();
        for column in columns {
            match column {
                "latency" | "p50_ns" | "p95_ns" | "p99_ns" => parts.latency = true,
                "self_time" | "self_p50_ns" | "self_p95_ns" => parts.self_time = true,
                "edge_gap" | "edge_gap_p50_ns" | "edge_gap_p95_ns" => parts.edge_gap = true,
                "exemplars" => parts.exemplars = true,
                _ => {}
            }
        }
        parts
    }

    fn take<'k>(self, key: &'k CellKey, slot: Slot, value: &CellValue) -> CellRow<'k> {
        CellRow {
            slot,
            key,
            counts: [value.calls, value.errors, value.own_errors],
            adjusted: [value.adjusted_calls(), value.adjusted_errors(), value.adjusted_own_errors()],
            latency: if self.latency { value.weighed_total() } else { LogHistogram::default() },
            self_time: if self.self_time { value.weighed_own() } else { LogHistogram::default() },
            edge_gap: value.gap().filter(|_| self.edge_gap).map(|_| value.weighed_gap()),
            exemplars: if self.exemplars { exemplars_json(value) } else { String::new() },
        }
    }
}

impl Correlator {
    /// Every cell in every column, by start and key.
    pub(super) fn all_cells(&self) -> Result<RecordBatch> {
        let keys: Vec<CellKey> = self.state().cells.keys(&CellFilter::ALL).into_iter().map(|(key, _)| key).collect();
        let columns: Vec<usize> = (0..slis_schema().fields().len()).collect();
        self.cell_rows(&keys, &CellFilter::ALL, &columns)
    }

    pub(super) fn cell_rows(&self, keys: &[CellKey], wanted: &CellFilter, columns: &[usize]) -> Result<RecordBatch> {
        let schema = Arc::new(slis_schema().project(columns)?);
        let parts = Parts::of(schema.fields().iter().map(|field| field.name().as_str()));
        let mut rows: Vec<CellRow<'_>> = {
            let state = self.state();
            let of = |key| state.cells.cells_of(key, wanted).map(move |(slot, value)| parts.take(key, slot, value));
            keys.iter().flat_map(of).collect()
        };
        rows.sort_by_key(|row| row.slot.from_unix_nano);
        let made: Result<Vec<ArrayRef>> = schema.fields().iter().map(|field| column(field.name(), &rows)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        RecordBatch::try_new_with_options(schema, made?, &options).map_err(QueryError::from)
    }
}

/// The histogram in HDR V2 form, each bucket at its middle, weights as whole numbers of spans.
fn hdr(histogram: &LogHistogram<u64>) -> Vec<u8> {
    let spans = |weight: u64| weight.saturating_add(Weight::ONE / 2) / Weight::ONE;
    let middles = histogram.middles();
    let at_middle = |(bucket, weight): &(i16, u64)| {
        let middle = usize::try_from(*bucket).ok().and_then(|bucket| middles.get(bucket)).copied();
        (middle.unwrap_or(u64::MAX), spans(*weight))
    };
    let zeros = std::iter::once((0, spans(histogram.zeros())));
    let mut bytes = Vec::new();
    hdr_v2::write(HDR_DIGITS, zeros.chain(histogram.buckets().iter().map(at_middle)), &mut bytes);
    bytes
}

fn exemplars_json(value: &CellValue) -> String {
    let (slowest, failed) = value.exemplars();
    let list = |exemplar: &Exemplar, why: &str| {
        json!({
            "trace_id": exemplar.trace_id.to_string(),
            "duration_ns": exemplar.duration_ns.to_string(),
            "why": why,
        })
    };
    let slowest = slowest.map(|exemplar| list(exemplar, "slow"));
    Value::Array(slowest.chain(failed.map(|exemplar| list(exemplar, "failed"))).collect()).to_string()
}

fn width_s(row: &CellRow<'_>) -> i64 {
    row.slot.width_ns / 1_000_000_000
}

#[expect(clippy::cast_precision_loss, reason = "a width of minutes")]
fn rate(row: &CellRow<'_>) -> f64 {
    row.adjusted.first().copied().unwrap_or(0.0) / width_s(row).max(1) as f64
}

/// A quantile of what a histogram holds, in whole nanoseconds.
fn at(histogram: &LogHistogram<u64>, q: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "nanoseconds below 2^63")]
    histogram.quantile(q).map(|ns| ns.round() as i64)
}

/// One column of `slis`, by its name.
fn column(name: &str, rows: &[CellRow<'_>]) -> Result<ArrayRef> {
    let count = |at: usize| numbers(rows, move |row| whole(row.counts.get(at).copied().unwrap_or(0)));
    let adjusted = |at: usize| reals(rows, move |row| row.adjusted.get(at).copied().unwrap_or(0.0));
    let latency = |q: f64| some_numbers(rows, move |row| at(&row.latency, q));
    let own = |q: f64| some_numbers(rows, move |row| at(&row.self_time, q));
    let gap = |q: f64| some_numbers(rows, move |row| row.edge_gap.as_ref().and_then(|gap| at(gap, q)));
    Ok(match name {
        "window_start_unix_nano" => numbers(rows, |row| row.slot.from_unix_nano),
        "window_s" => numbers(rows, width_s),
        "environment" => held(rows, |row| &row.key.environment),
        "service" => held(rows, |row| &row.key.service),
        "version" => held(rows, |row| &row.key.version),
        "operation" => held(rows, |row| &row.key.operation),
        "kind" => Arc::new(Int32Array::from_iter_values(rows.iter().map(|row| row.key.kind))),
        "spans" => count(0),
        "errors" => count(1),
        "own_errors" => count(2),
        "rate_per_s" => reals(rows, rate),
        "latency" => Arc::new(BinaryArray::from_iter_values(rows.iter().map(|row| hdr(&row.latency)))),
        "self_time" => Arc::new(BinaryArray::from_iter_values(rows.iter().map(|row| hdr(&row.self_time)))),
        "p50_ns" => latency(0.5),
        "p95_ns" => latency(0.95),
        "p99_ns" => latency(0.99),
        "self_p50_ns" => own(0.5),
        "self_p95_ns" => own(0.95),
        "peer" => held(rows, |row| &row.key.peer),
        "edge_gap" => Arc::new(BinaryArray::from_iter(rows.iter().map(|row| row.edge_gap.as_ref().map(hdr)))),
        "edge_gap_p50_ns" => gap(0.5),
        "edge_gap_p95_ns" => gap(0.95),
        "spans_adjusted" => adjusted(0),
        "errors_adjusted" => adjusted(1),
        "own_errors_adjusted" => adjusted(2),
        "exemplars" => held(rows, |row| &row.exemplars),
        "journey" => held(rows, |row| &row.key.journey),
        other => return Err(QueryError::internal(format!("cells have no column {other}"))),
    })
}

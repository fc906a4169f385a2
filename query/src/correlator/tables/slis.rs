//! Cells as rows of `slis`.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Int32Array};
use daytwo_storage::UnixNanos;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer, V2Serializer};
use serde_json::{Value, json};

use super::{numbers, reals, some_numbers, texts, whole};
use crate::correlator::Correlator;
use crate::measure::{CellKey, CellValue, Exemplar, LogHistogram, Slot};
use crate::trace::Weight;
use crate::{QueryError, Result, TimeWindow};

/// Significant digits of the histograms handed out: 0.1 %, finer than the cells themselves.
const HDR_DIGITS: u8 = 3;

/// A cell as a row: its histograms already in HDR V2 form.
struct CellRow {
    slot: Slot,
    key: CellKey,
    counts: [u64; 3],
    adjusted: [f64; 3],
    latency: Vec<u8>,
    self_time: Vec<u8>,
    edge_gap: Option<Vec<u8>>,
    quantiles: [Option<i64>; 7],
    exemplars: String,
}

impl Correlator {
    pub(super) fn sli_columns(&self) -> Result<Vec<ArrayRef>> {
        let ever = TimeWindow { from: UnixNanos(0), to: UnixNanos(i64::MAX) };
        let mut cells: Vec<(CellKey, Slot, CellValue)> = {
            let state = self.state();
            state.cells.iter(ever).map(|(key, slot, value)| (key.clone(), slot, value.clone())).collect()
        };
        cells.sort_by(|left, right| (left.1.from_unix_nano, &left.0).cmp(&(right.1.from_unix_nano, &right.0)));
        let mut serializer = V2Serializer::new();
        let rows: Vec<CellRow> =
            cells.into_iter().map(|cell| cell_row(cell, &mut serializer)).collect::<Result<_>>()?;
        Ok(cell_columns(&rows))
    }
}

fn cell_row((key, slot, value): (CellKey, Slot, CellValue), serializer: &mut V2Serializer) -> Result<CellRow> {
    #[expect(clippy::cast_possible_truncation, reason = "nanoseconds below 2^63")]
    let at = |histogram: &LogHistogram<u64>, q: f64| histogram.quantile(q).map(|ns| ns.round() as i64);
    let (latency, own, gap) = (value.weighed_total(), value.weighed_own(), value.weighed_gap());
    Ok(CellRow {
        quantiles: [
            at(&latency, 0.5),
            at(&latency, 0.95),
            at(&latency, 0.99),
            at(&own, 0.5),
            at(&own, 0.95),
            at(&gap, 0.5),
            at(&gap, 0.95),
        ],
        latency: hdr(&latency, serializer)?,
        self_time: hdr(&own, serializer)?,
        edge_gap: value.gap().map(|_| hdr(&gap, serializer)).transpose()?,
        exemplars: exemplars_json(&value),
        slot,
        key,
        counts: [value.calls, value.errors, value.own_errors],
        adjusted: [value.adjusted_calls(), value.adjusted_errors(), value.adjusted_own_errors()],
    })
}

/// The histogram in HDR V2 form, each bucket at its middle, weights as whole numbers of spans.
fn hdr(histogram: &LogHistogram<u64>, serializer: &mut V2Serializer) -> Result<Vec<u8>> {
    let failed = |error: &dyn std::fmt::Display| QueryError::internal(format!("cannot hand out a histogram: {error}"));
    let spans = |weight: u64| weight.saturating_add(Weight::ONE / 2) / Weight::ONE;
    let mut counters = Histogram::<u64>::new_with_bounds(1, 2, HDR_DIGITS).map_err(|error| failed(&error))?;
    counters.auto(true);
    counters.record_n(0, spans(histogram.zeros())).map_err(|error| failed(&error))?;
    for (bucket, weight) in histogram.buckets() {
        let middle = (histogram.lower_bound(*bucket) * histogram.lower_bound(bucket.saturating_add(1))).sqrt();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive nanoseconds below 2^64")]
        let value = middle.round() as u64;
        counters.record_n(value, spans(*weight)).map_err(|error| failed(&error))?;
    }
    let mut bytes = Vec::new();
    serializer.serialize(&counters, &mut bytes).map_err(|error| failed(&error))?;
    Ok(bytes)
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

fn cell_columns(rows: &[CellRow]) -> Vec<ArrayRef> {
    let quantile = |at: usize| some_numbers(rows, move |row| row.quantiles.get(at).copied().flatten());
    let count = |at: usize| numbers(rows, move |row| whole(row.counts.get(at).copied().unwrap_or(0)));
    let adjusted = |at: usize| reals(rows, move |row| row.adjusted.get(at).copied().unwrap_or(0.0));
    let width_s = |row: &CellRow| row.slot.width_ns / 1_000_000_000;
    #[expect(clippy::cast_precision_loss, reason = "a width of minutes")]
    let rate = |row: &CellRow| row.adjusted.first().copied().unwrap_or(0.0) / width_s(row).max(1) as f64;
    vec![
        numbers(rows, |row| row.slot.from_unix_nano),
        numbers(rows, width_s),
        texts(rows, |row| row.key.environment.to_string()),
        texts(rows, |row| row.key.service.to_string()),
        texts(rows, |row| row.key.version.to_string()),
        texts(rows, |row| row.key.operation.to_string()),
        Arc::new(Int32Array::from_iter_values(rows.iter().map(|row| row.key.kind))),
        count(0),
        count(1),
        count(2),
        reals(rows, rate),
        Arc::new(BinaryArray::from_iter_values(rows.iter().map(|row| &row.latency))),
        Arc::new(BinaryArray::from_iter_values(rows.iter().map(|row| &row.self_time))),
        quantile(0),
        quantile(1),
        quantile(2),
        quantile(3),
        quantile(4),
        texts(rows, |row| row.key.peer.to_string()),
        Arc::new(BinaryArray::from_iter(rows.iter().map(|row| row.edge_gap.as_ref()))),
        quantile(5),
        quantile(6),
        adjusted(0),
        adjusted(1),
        adjusted(2),
        texts(rows, |row| row.exemplars.clone()),
    ]
}

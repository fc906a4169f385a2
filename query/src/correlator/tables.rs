//! The engine's tables for SQL: the same facts as the HTTP API's, as rows.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
};
use arrow::datatypes::SchemaRef;
use daytwo_storage::UnixNanos;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer, V2Serializer};
use serde_json::{Value, json};

use super::Correlator;
use crate::deployment::{Deployment, DeploymentFilter, Note};
use crate::measure::{CellKey, CellValue, LogHistogram, Slot};
use crate::slo::{Severity, SloReport};
use crate::verdict::{Finding, QuantilesMs, Verdict};
use crate::{EngineTable, EngineTables, QueryError, Result, TimeWindow};

/// Significant digits of the histograms handed out: 0.1 %, finer than the cells themselves.
const HDR_DIGITS: u8 = 3;

impl EngineTables for Correlator {
    fn table(&self, table: EngineTable) -> Result<RecordBatch> {
        let columns = match table {
            EngineTable::Slis => self.sli_columns()?,
            EngineTable::Slos => slo_columns(&self.slos(None).slos),
            EngineTable::Deployments => self.deployment_columns(),
            EngineTable::Verdicts => verdict_columns(&self.verdicts()),
        };
        fit(table.schema(), columns)
    }
}

/// The columns under the table's schema; each must have the type that stands there.
fn fit(schema: SchemaRef, columns: Vec<ArrayRef>) -> Result<RecordBatch> {
    RecordBatch::try_new(schema, columns).map_err(QueryError::from)
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn texts<T>(rows: &[T], of: impl Fn(&T) -> String) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(rows.iter().map(of)))
}

fn some_texts<T>(rows: &[T], of: impl Fn(&T) -> Option<String>) -> ArrayRef {
    Arc::new(StringArray::from_iter(rows.iter().map(of)))
}

fn numbers<T>(rows: &[T], of: impl Fn(&T) -> i64) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(rows.iter().map(of)))
}

fn some_numbers<T>(rows: &[T], of: impl Fn(&T) -> Option<i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter(rows.iter().map(of)))
}

fn reals<T>(rows: &[T], of: impl Fn(&T) -> f64) -> ArrayRef {
    Arc::new(Float64Array::from_iter_values(rows.iter().map(of)))
}

fn some_reals<T>(rows: &[T], of: impl Fn(&T) -> Option<f64>) -> ArrayRef {
    Arc::new(Float64Array::from_iter(rows.iter().map(of)))
}

/// A cell as a row: its histograms already in HDR V2 form.
struct CellRow {
    slot: Slot,
    key: CellKey,
    spans: u64,
    errors: u64,
    own_errors: u64,
    latency: Vec<u8>,
    self_time: Vec<u8>,
    quantiles: [Option<i64>; 5],
}

impl Correlator {
    fn sli_columns(&self) -> Result<Vec<ArrayRef>> {
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

    fn deployment_columns(&self) -> Vec<ArrayRef> {
        let rows = self.deployments(&DeploymentFilter::default());
        vec![
            texts(&rows, |row| row.service.clone()),
            texts(&rows, |row| row.environment.clone()),
            texts(&rows, |row| row.version.clone()),
            some_texts(&rows, |row| row.previous_version.clone()),
            numbers(&rows, |row| row.first_seen_unix_nano),
            numbers(&rows, |row| row.last_seen_unix_nano),
            some_reals(&rows, |row| row.share),
            texts(&rows, |row| row.kind.name().to_owned()),
            texts(&rows, |row| row.state.name().to_owned()),
            some_texts(&rows, |row| row.class.map(|class| class.name().to_owned())),
            texts(&rows, |row| row.headline.clone()),
            numbers(&rows, |row| whole(row.regressed_operations)),
            numbers(&rows, |row| whole(row.inherited_services)),
            some_reals(&rows, |row| row.rate_change),
            some_reals(&rows, |row| row.p95_change),
            some_reals(&rows, |row| row.errors_change),
            texts(&rows, identity_json),
            texts(&rows, notes_json),
            some_numbers(&rows, |row| row.declared.as_ref().map(|declared| declared.at.0)),
        ]
    }
}

fn cell_row((key, slot, value): (CellKey, Slot, CellValue), serializer: &mut V2Serializer) -> Result<CellRow> {
    #[expect(clippy::cast_possible_truncation, reason = "nanoseconds below 2^63")]
    let at = |histogram: &LogHistogram, q: f64| histogram.quantile(q).map(|ns| ns.round() as i64);
    Ok(CellRow {
        quantiles: [
            at(&value.total, 0.5),
            at(&value.total, 0.95),
            at(&value.total, 0.99),
            at(&value.own, 0.5),
            at(&value.own, 0.95),
        ],
        latency: hdr(&value.total, serializer)?,
        self_time: hdr(&value.own, serializer)?,
        slot,
        key,
        spans: value.calls,
        errors: value.errors,
        own_errors: value.own_errors,
    })
}

/// The histogram in HDR V2 form, each bucket at its middle.
fn hdr(histogram: &LogHistogram, serializer: &mut V2Serializer) -> Result<Vec<u8>> {
    let failed = |error: &dyn std::fmt::Display| QueryError::internal(format!("cannot hand out a histogram: {error}"));
    let mut counters = Histogram::<u64>::new_with_bounds(1, 2, HDR_DIGITS).map_err(|error| failed(&error))?;
    counters.auto(true);
    counters.record_n(0, histogram.zeros()).map_err(|error| failed(&error))?;
    for (bucket, count) in histogram.buckets() {
        let middle = (histogram.lower_bound(*bucket) * histogram.lower_bound(bucket.saturating_add(1))).sqrt();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive nanoseconds below 2^64")]
        let value = middle.round() as u64;
        counters.record_n(value, u64::from(*count)).map_err(|error| failed(&error))?;
    }
    let mut bytes = Vec::new();
    serializer.serialize(&counters, &mut bytes).map_err(|error| failed(&error))?;
    Ok(bytes)
}

fn cell_columns(rows: &[CellRow]) -> Vec<ArrayRef> {
    let quantile = |at: usize| some_numbers(rows, move |row| row.quantiles.get(at).copied().flatten());
    let width_s = |row: &CellRow| row.slot.width_ns / 1_000_000_000;
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    let rate = |row: &CellRow| row.spans as f64 / width_s(row).max(1) as f64;
    vec![
        numbers(rows, |row| row.slot.from_unix_nano),
        numbers(rows, width_s),
        texts(rows, |row| row.key.environment.to_string()),
        texts(rows, |row| row.key.service.to_string()),
        texts(rows, |row| row.key.version.to_string()),
        texts(rows, |row| row.key.operation.to_string()),
        Arc::new(Int32Array::from_iter_values(rows.iter().map(|row| row.key.kind))),
        numbers(rows, |row| whole(row.spans)),
        numbers(rows, |row| whole(row.errors)),
        numbers(rows, |row| whole(row.own_errors)),
        reals(rows, rate),
        Arc::new(BinaryArray::from_iter_values(rows.iter().map(|row| &row.latency))),
        Arc::new(BinaryArray::from_iter_values(rows.iter().map(|row| &row.self_time))),
        quantile(0),
        quantile(1),
        quantile(2),
        quantile(3),
        quantile(4),
    ]
}

fn slo_columns(rows: &[SloReport]) -> Vec<ArrayRef> {
    let burn = |window: &'static str| {
        some_reals(rows, move |row| row.burn.iter().find(|burn| burn.window == window).and_then(|burn| burn.rate))
    };
    let firing = |severity: Severity| -> ArrayRef {
        let fires = |row: &SloReport| row.alerts.iter().any(|alert| alert.firing && alert.severity == severity);
        Arc::new(BooleanArray::from_iter(rows.iter().map(|row| Some(fires(row)))))
    };
    vec![
        texts(rows, |row| row.id.clone()),
        texts(rows, |row| row.name.clone()),
        texts(rows, |row| row.display_name.clone()),
        texts(rows, |row| row.service.clone()),
        texts(rows, |row| row.kind.to_owned()),
        texts(rows, |row| row.objective.clone()),
        reals(rows, |row| row.target),
        texts(rows, |row| row.window.clone()),
        some_reals(rows, |row| row.sli),
        numbers(rows, |row| whole(row.good)),
        numbers(rows, |row| whole(row.bad)),
        numbers(rows, |row| whole(row.total)),
        some_reals(rows, |row| row.budget_left),
        some_reals(rows, |row| row.exhausted_in_s),
        burn("5m"),
        burn("30m"),
        burn("1h"),
        burn("6h"),
        burn("3d"),
        firing(Severity::Page),
        firing(Severity::Ticket),
        texts(rows, |row| row.state.name().to_owned()),
        some_texts(rows, |row| row.state_reason.clone()),
    ]
}

fn verdict_columns(rows: &[Arc<Verdict>]) -> Vec<ArrayRef> {
    let findings = |list: &[Finding]| Value::Array(list.iter().map(finding_json).collect()).to_string();
    #[expect(clippy::cast_precision_loss, reason = "seconds for show")]
    let seconds = |row: &Arc<Verdict>| row.seconds_needed.map(|seconds| seconds as f64);
    let mut columns = outcome_columns(rows);
    columns.extend([
        reals(rows, |row| row.alpha),
        reals(rows, |row| row.material_ratio),
        some_reals(rows, |row| row.mde_ratio),
        some_numbers(rows, |row| row.traces_needed.map(whole)),
        some_reals(rows, seconds),
        some_reals(rows, |row| Some(row.coverage)),
        texts(rows, |row| findings(&row.findings)),
        texts(rows, |row| findings(&row.affected)),
        texts(rows, suspects_json),
        texts(rows, structure_json),
        texts(rows, exemplars_json),
        texts(rows, |row| json!(row.confounders).to_string()),
        some_texts(rows, |row| Some(row.what_would_change.clone())),
        texts(rows, |row| row.sql.clone()),
        texts(rows, parity_json),
    ]);
    columns
}

fn outcome_columns(rows: &[Arc<Verdict>]) -> Vec<ArrayRef> {
    vec![
        texts(rows, |row| row.service.clone()),
        texts(rows, |row| row.environment.clone()),
        texts(rows, |row| row.candidate.version.clone()),
        texts(rows, |row| row.state.name().to_owned()),
        some_texts(rows, |row| row.class.map(|class| class.name().to_owned())),
        texts(rows, |row| row.headline.clone()),
        texts(rows, |row| row.reason.clone()),
        numbers(rows, |row| row.judged_at_unix_nano),
        numbers(rows, |row| whole(row.looks)),
        texts(rows, |row| row.baseline.rung.name().to_owned()),
        some_texts(rows, |row| row.baseline.version.clone()),
        texts(rows, |row| row.baseline.rung.meaning().to_owned()),
        numbers(rows, |row| row.baseline.from_unix_nano),
        numbers(rows, |row| row.baseline.to_unix_nano),
        numbers(rows, |row| whole(row.baseline.traces)),
        numbers(rows, |row| row.candidate.from_unix_nano),
        numbers(rows, |row| row.candidate.to_unix_nano),
        numbers(rows, |row| whole(row.candidate.traces)),
    ]
}

fn quantiles_json(quantiles: Option<QuantilesMs>) -> Value {
    quantiles.map_or(Value::Null, |ms| json!({"p50": ms.p50, "p95": ms.p95, "p99": ms.p99}))
}

/// A finding in the form of `docs/http-api.md`.
fn finding_json(finding: &Finding) -> Value {
    json!({
        "node": finding.node.name(),
        "service": finding.service,
        "operation": finding.operation,
        "peer": finding.peer,
        "class": finding.class.map(|class| class.name()),
        "state": finding.state.name(),
        "signal": finding.signal.name(),
        "traces_before": finding.traces_before,
        "traces_after": finding.traces_after,
        "before_ms": quantiles_json(finding.before_ms),
        "after_ms": quantiles_json(finding.after_ms),
        "ratio": finding.ratio,
        "ratio_low": finding.ratio_low,
        "ratio_high": finding.ratio_high,
        "excess_ms": finding.excess_ms,
        "errors_before": finding.errors_before,
        "errors_after": finding.errors_after,
        "z": finding.z,
        "e_value": finding.e_value,
        "p_value": finding.p_value,
        "strata": finding.strata,
        "own_share": finding.own_share,
        "why": finding.why,
    })
}

fn suspects_json(verdict: &Arc<Verdict>) -> String {
    let rows = verdict.suspects.iter().map(|suspect| {
        json!({
            "service": suspect.service,
            "score_ms": suspect.score_ms,
            "share": suspect.share,
            "own_ms": suspect.own_ms,
            "edge_ms": suspect.edge_ms,
            "calls_ms": suspect.calls_ms,
        })
    });
    Value::Array(rows.collect()).to_string()
}

fn identity_json(row: &Deployment) -> String {
    let identity = &row.identity;
    json!({
        "revisions": identity.revisions,
        "image_digests": identity.image_digests,
        "image_tags": identity.image_tags,
        "pod_template_hashes": identity.pod_template_hashes,
    })
    .to_string()
}

fn notes_json(row: &Deployment) -> String {
    let note = |note: &Note| json!({"kind": note.kind.name(), "at_unix_nano": note.at_unix_nano.to_string(), "text": note.text});
    Value::Array(row.notes.iter().map(note).collect()).to_string()
}

fn parity_json(verdict: &Arc<Verdict>) -> String {
    let rows = verdict.parity.iter().map(|row| {
        let values =
            row.values.iter().map(|value| json!({"value": value.value, "before": value.before, "after": value.after}));
        json!({
            "service": row.service,
            "attribute": row.attribute,
            "state": row.state.name(),
            "distance": row.distance,
            "values": values.collect::<Vec<_>>(),
        })
    });
    Value::Array(rows.collect()).to_string()
}

fn structure_json(verdict: &Arc<Verdict>) -> String {
    let rows = verdict.structure.iter().map(|change| {
        json!({
            "caller": change.caller,
            "callee": change.callee,
            "calls_per_trace_before": change.calls_per_trace_before,
            "calls_per_trace_after": change.calls_per_trace_after,
        })
    });
    Value::Array(rows.collect()).to_string()
}

fn exemplars_json(verdict: &Arc<Verdict>) -> String {
    let rows = verdict.exemplars.iter().map(|exemplar| {
        json!({
            "trace_id": exemplar.trace_id.to_string(),
            "role": exemplar.role.name(),
            "duration_ms": exemplar.duration_ms,
            "node_ms": exemplar.node_ms,
            "start_unix_nano": exemplar.start_unix_nano.to_string(),
        })
    });
    Value::Array(rows.collect()).to_string()
}

//! The engine's tables for SQL: the same facts as the HTTP API's, as rows.

mod flags;
mod slis;

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use serde_json::{Value, json};

use super::Correlator;
use crate::deployment::{Deployment, DeploymentFilter, Note};
use crate::measure::{CellFilter, CellKey};
use crate::slo::{Severity, SloReport};
use crate::verdict::{Finding, QuantilesMs, Verdict};
use crate::{EngineTable, EngineTables, QueryError, Result};

impl EngineTables for Correlator {
    fn table(&self, table: EngineTable) -> Result<RecordBatch> {
        let columns = match table {
            EngineTable::Slis => return self.all_cells(),
            EngineTable::Slos => slo_columns(&self.slos(None).slos),
            EngineTable::Deployments => self.deployment_columns(),
            EngineTable::Verdicts => verdict_columns(&self.verdicts()),
            EngineTable::Flags => flags::columns(&self.flags(None)),
        };
        fit(table.schema(), columns)
    }

    fn cell_keys(&self, wanted: &CellFilter) -> Result<Vec<(CellKey, usize)>> {
        Ok(self.state().cells.keys(wanted))
    }

    fn cells(&self, keys: &[CellKey], wanted: &CellFilter, columns: &[usize]) -> Result<RecordBatch> {
        self.cell_rows(keys, wanted, columns)
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

/// Texts that the rows hold.
fn held<'r, T>(rows: &'r [T], of: impl Fn(&'r T) -> &'r str) -> ArrayRef {
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

impl Correlator {
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
        numbers(rows, |row| whole(row.planned_traces)),
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

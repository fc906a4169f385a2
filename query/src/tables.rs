//! The tables that the correlation engine fills: their columns, written once, and the seam they come through.
//!
//! Times are `BIGINT` nanoseconds since the Unix epoch, like those of `spans`. `latency`, `self_time` and `edge_gap` hold
//! histograms in HDR V2 form, which `hdr_merge` and `hdr_quantile` read.

use std::sync::{Arc, LazyLock};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::Result;
use crate::measure::{CellFilter, CellKey};

/// A table that the correlation engine fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EngineTable {
    /// Service level indicators: one row a window, service, version, operation, kind, peer and journey.
    Slis,
    /// Objectives with their budgets.
    Slos,
    /// Versions that were seen, each with its state.
    Deployments,
    /// One row a judged deployment, with the numbers that the judgement rests on.
    Verdicts,
    /// One row a variant of a feature flag that is compared with the flag's control.
    Flags,
}

impl EngineTable {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Slis, Self::Slos, Self::Deployments, Self::Verdicts, Self::Flags];

    /// Name in SQL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Slis => "slis",
            Self::Slos => "slos",
            Self::Deployments => "deployments",
            Self::Verdicts => "verdicts",
            Self::Flags => "flags",
        }
    }

    /// Columns in SQL.
    pub fn schema(self) -> SchemaRef {
        match self {
            Self::Slis => slis_schema(),
            Self::Slos => slos_schema(),
            Self::Deployments => deployments_schema(),
            Self::Verdicts => verdicts_schema(),
            Self::Flags => flags_schema(),
        }
    }
}

/// Gives the current rows of the engine's tables. The correlator implements it.
pub trait EngineTables: Send + Sync {
    /// The rows of `table` now, in the columns of [`EngineTable::schema`].
    ///
    /// # Errors
    /// What kept the rows from being gathered; the query that asked fails with it.
    fn table(&self, table: EngineTable) -> Result<RecordBatch>;

    /// Keys of the cells that `wanted` takes, in order, and how many cells each has.
    ///
    /// # Errors
    /// As [`EngineTables::table`].
    fn cell_keys(&self, wanted: &CellFilter) -> Result<Vec<(CellKey, usize)>>;

    /// The cells of some keys that `wanted` takes, as rows of `slis`: these columns of it, in this order. Each key's are those of one instant.
    ///
    /// # Errors
    /// As [`EngineTables::table`].
    fn cells(&self, keys: &[CellKey], wanted: &CellFilter, columns: &[usize]) -> Result<RecordBatch>;
}

/// Tables without rows, for a data folder that is read while no engine runs.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoEngineTables;

impl EngineTables for NoEngineTables {
    fn table(&self, table: EngineTable) -> Result<RecordBatch> {
        Ok(RecordBatch::new_empty(table.schema()))
    }

    fn cell_keys(&self, _wanted: &CellFilter) -> Result<Vec<(CellKey, usize)>> {
        Ok(Vec::new())
    }

    fn cells(&self, _keys: &[CellKey], _wanted: &CellFilter, columns: &[usize]) -> Result<RecordBatch> {
        Ok(RecordBatch::new_empty(Arc::new(slis_schema().project(columns)?)))
    }
}

fn must(name: &str, kind: DataType) -> Field {
    Field::new(name, kind, false)
}

fn may(name: &str, kind: DataType) -> Field {
    Field::new(name, kind, true)
}

fn once(cell: &'static LazyLock<SchemaRef>) -> SchemaRef {
    Arc::clone(cell)
}

/// Columns of `slis`.
pub fn slis_schema() -> SchemaRef {
    use DataType::{Binary, Float64, Int32, Int64, Utf8};
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        Arc::new(Schema::new(vec![
            must("window_start_unix_nano", Int64),
            must("window_s", Int64),
            must("environment", Utf8),
            must("service", Utf8),
            must("version", Utf8),
            must("operation", Utf8),
            // OTLP span kind: 2 server, 5 consumer, ….
            must("kind", Int32),
            must("spans", Int64),
            must("errors", Int64),
            // Errors that no callee explains.
            must("own_errors", Int64),
            must("rate_per_s", Float64),
            must("latency", Binary),
            must("self_time", Binary),
            may("p50_ns", Int64),
            may("p95_ns", Int64),
            may("p99_ns", Int64),
            may("self_p50_ns", Int64),
            may("self_p95_ns", Int64),
            // Who answered a call; empty when nobody did, and for other kinds.
            must("peer", Utf8),
            // Client less server duration of answered calls.
            may("edge_gap", Binary),
            may("edge_gap_p50_ns", Int64),
            may("edge_gap_p95_ns", Int64),
            // Sampled spans as often as they stand for; histograms and quantiles count like this, too.
            must("spans_adjusted", Float64),
            must("errors_adjusted", Float64),
            must("own_errors_adjusted", Float64),
            // JSON text: the slowest traces, and the slowest that failed.
            must("exemplars", Utf8),
            // Root service and operation, and the first call into another service; empty while the root is missing and for fragments.
            must("journey", Utf8),
        ]))
    });
    once(&SCHEMA)
}

/// Columns of `slos`.
pub fn slos_schema() -> SchemaRef {
    use DataType::{Boolean, Float64, Int64, Utf8};
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        Arc::new(Schema::new(vec![
            must("id", Utf8),
            must("name", Utf8),
            must("display_name", Utf8),
            must("service", Utf8),
            must("kind", Utf8),
            must("objective", Utf8),
            must("target", Float64),
            must("window", Utf8),
            may("sli", Float64),
            must("good", Int64),
            must("bad", Int64),
            must("total", Int64),
            may("budget_left", Float64),
            may("exhausted_in_s", Float64),
            may("burn_5m", Float64),
            may("burn_30m", Float64),
            may("burn_1h", Float64),
            may("burn_6h", Float64),
            may("burn_3d", Float64),
            must("page_firing", Boolean),
            must("ticket_firing", Boolean),
            must("state", Utf8),
            may("state_reason", Utf8),
        ]))
    });
    once(&SCHEMA)
}

/// Columns of `deployments`. `identity` and `notes` are JSON text in the form of `docs/http-api.md`.
pub fn deployments_schema() -> SchemaRef {
    use DataType::{Float64, Int64, Utf8};
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        Arc::new(Schema::new(vec![
            must("service", Utf8),
            must("environment", Utf8),
            must("version", Utf8),
            may("previous_version", Utf8),
            must("first_seen_unix_nano", Int64),
            must("last_seen_unix_nano", Int64),
            may("share", Float64),
            must("kind", Utf8),
            must("state", Utf8),
            may("class", Utf8),
            must("headline", Utf8),
            must("regressed_operations", Int64),
            must("inherited_services", Int64),
            may("rate_change", Float64),
            may("p95_change", Float64),
            may("errors_change", Float64),
            must("identity", Utf8),
            must("notes", Utf8),
            may("declared_at_unix_nano", Int64),
        ]))
    });
    once(&SCHEMA)
}

/// Columns of `verdicts`. `findings`, `affected`, `suspects`, `structure`, `exemplars`, `confounders` and `parity` are JSON text in
/// the form of `docs/http-api.md`.
pub fn verdicts_schema() -> SchemaRef {
    use DataType::{Float64, Int64, Utf8};
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        Arc::new(Schema::new(vec![
            must("service", Utf8),
            must("environment", Utf8),
            must("version", Utf8),
            must("state", Utf8),
            may("class", Utf8),
            must("headline", Utf8),
            must("reason", Utf8),
            must("judged_at_unix_nano", Int64),
            must("looks", Int64),
            must("baseline_rung", Utf8),
            may("baseline_version", Utf8),
            must("baseline_meaning", Utf8),
            must("baseline_from_unix_nano", Int64),
            must("baseline_to_unix_nano", Int64),
            must("baseline_traces", Int64),
            must("candidate_from_unix_nano", Int64),
            must("candidate_to_unix_nano", Int64),
            must("candidate_traces", Int64),
            must("alpha", Float64),
            must("material_ratio", Float64),
            may("mde_ratio", Float64),
            may("traces_needed", Int64),
            may("seconds_needed", Float64),
            may("coverage", Float64),
            must("findings", Utf8),
            must("affected", Utf8),
            must("suspects", Utf8),
            must("structure", Utf8),
            must("exemplars", Utf8),
            must("confounders", Utf8),
            may("what_would_change", Utf8),
            must("sql", Utf8),
            must("parity", Utf8),
            must("planned_traces", Int64),
        ]))
    });
    once(&SCHEMA)
}

/// Columns of `flags`. `services`, `changes`, `reasons` and `confounders` are JSON text in the form of `docs/http-api.md`.
pub fn flags_schema() -> SchemaRef {
    use DataType::{Boolean, Float64, Int64, Utf8};
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        Arc::new(Schema::new(vec![
            must("environment", Utf8),
            must("flag", Utf8),
            must("variant", Utf8),
            must("control", Utf8),
            // name, oldest or largest.
            must("control_rule", Utf8),
            // randomised or observational.
            must("assignment", Utf8),
            must("traces", Int64),
            must("control_traces", Int64),
            // Traces that saw several variants; not judged.
            must("mixed_traces", Int64),
            may("share", Float64),
            must("first_seen_unix_nano", Int64),
            must("last_seen_unix_nano", Int64),
            must("judged_from_unix_nano", Int64),
            must("judged_at_unix_nano", Int64),
            must("state", Utf8),
            may("class", Utf8),
            must("headline", Utf8),
            must("reason", Utf8),
            // Of the flag among all flags, e-BH at 0.05.
            must("flag_e_value", Float64),
            must("flag_discovery", Boolean),
            must("services", Utf8),
            must("confounders", Utf8),
            must("reasons", Utf8),
            must("changes", Utf8),
        ]))
    });
    once(&SCHEMA)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: every engine table, asked of a folder where no engine runs.
    /// Guarantees: it answers with its own columns and no row, so that SQL over it is valid.
    #[test]
    fn tables_without_an_engine_are_empty() {
        for table in EngineTable::ALL {
            let rows = NoEngineTables.table(table).unwrap();
            assert_eq!((rows.num_rows(), rows.schema()), (0, table.schema()), "{}", table.name());
        }
    }
}

//! The tables that are questions over `spans`: `traces` and `edges`. Their SQL is their definition.

use std::sync::Arc;

use datafusion::catalog::default_table_source::provider_as_source;
use datafusion::error::Result;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{LogicalPlan, TableSource};
use datafusion::sql::planner::{ContextProvider, SqlToRel};

use crate::span_table::SpanTable;

/// One row a trace, put together from all its stored spans.
///
/// `root_*` are those of the span without a parent (the earliest of several), null while it has not arrived. `services`
/// counts the distinct services. `orphans` counts spans whose parent is not stored. `duration_ns` spans first start to
/// last end.
const TRACES: &str = "
SELECT t.trace_id,
       t.root_service, t.root_operation,
       t.start_time_unix_nano,
       t.end_time_unix_nano - t.start_time_unix_nano AS duration_ns,
       t.spans, t.errors, t.services,
       coalesce(o.orphans, 0) AS orphans
FROM (SELECT trace_id,
             first_value(service_name ORDER BY start_time_unix_nano)
               FILTER (WHERE parent_span_id IS NULL) AS root_service,
             first_value(name ORDER BY start_time_unix_nano)
               FILTER (WHERE parent_span_id IS NULL) AS root_operation,
             min(start_time_unix_nano) AS start_time_unix_nano,
             max(start_time_unix_nano + duration_time_unix_nano) AS end_time_unix_nano,
             count(*) AS spans,
             count(*) FILTER (WHERE status_code = 2) AS errors,
             count(DISTINCT service_name) AS services
      FROM spans GROUP BY trace_id) t
LEFT JOIN (SELECT c.trace_id, count(*) AS orphans
           FROM spans c LEFT ANTI JOIN spans p ON c.trace_id = p.trace_id AND c.parent_span_id = p.span_id
           WHERE c.parent_span_id IS NOT NULL GROUP BY c.trace_id) o
  ON t.trace_id = o.trace_id";

/// One row a pair of services and environment: spans whose parent span belongs to another service.
///
/// `latency` is the histogram of the callee's durations, `caller_latency` that of the calling spans, both HDR V2, for
/// `hdr_quantile` and `hdr_merge`.
const EDGES: &str = "
SELECT p.service_name AS caller, c.service_name AS callee,
       coalesce(c.deployment_environment_name, '') AS environment,
       count(*) AS calls,
       count(*) FILTER (WHERE c.status_code = 2) AS errors,
       min(c.start_time_unix_nano) AS first_start_time_unix_nano,
       max(c.start_time_unix_nano) AS last_start_time_unix_nano,
       hdr_histogram(c.duration_time_unix_nano) AS latency,
       hdr_histogram(p.duration_time_unix_nano) AS caller_latency
FROM spans c JOIN spans p ON c.trace_id = p.trace_id AND c.parent_span_id = p.span_id
WHERE c.service_name <> p.service_name
GROUP BY p.service_name, c.service_name, coalesce(c.deployment_environment_name, '')";

/// The plan of the view called `name`, over `spans`; `None` when there is no such view.
pub(crate) fn plan(name: &str, session: &SessionState, spans: &Arc<SpanTable>) -> Result<Option<LogicalPlan>> {
    let text = match name {
        "traces" => TRACES,
        "edges" => EDGES,
        _ => return Ok(None),
    };
    let dialect = session.config_options().sql_parser.dialect;
    let statement = session.sql_to_statement(text, &dialect)?;
    let context = OverSpans { session, spans: provider_as_source(Arc::clone(spans) as _) };
    SqlToRel::new(&context).statement_to_plan(statement).map(Some)
}

/// A planning context in which `spans` is the only table.
struct OverSpans<'a> {
    session: &'a SessionState,
    spans: Arc<dyn TableSource>,
}

impl ContextProvider for OverSpans<'_> {
    fn get_table_source(&self, name: datafusion::common::TableReference) -> Result<Arc<dyn TableSource>> {
        if name.table() == "spans" {
            return Ok(Arc::clone(&self.spans));
        }
        Err(datafusion::error::DataFusionError::Plan(format!("a view names the table {name}")))
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<datafusion::logical_expr::ScalarUDF>> {
        self.session.scalar_functions().get(name).cloned()
    }

    fn get_higher_order_meta(&self, _name: &str) -> Option<Arc<datafusion::logical_expr::HigherOrderUDF>> {
        None
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<datafusion::logical_expr::AggregateUDF>> {
        self.session.aggregate_functions().get(name).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<datafusion::logical_expr::WindowUDF>> {
        self.session.window_functions().get(name).cloned()
    }

    fn get_variable_type(&self, _names: &[String]) -> Option<arrow::datatypes::DataType> {
        None
    }

    fn get_expr_planners(&self) -> &[Arc<dyn datafusion::logical_expr::planner::ExprPlanner>] {
        self.session.expr_planners()
    }

    fn options(&self) -> &datafusion::config::ConfigOptions {
        self.session.config_options()
    }

    fn udf_names(&self) -> Vec<String> {
        self.session.scalar_functions().keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.session.aggregate_functions().keys().cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        self.session.window_functions().keys().cloned().collect()
    }
}

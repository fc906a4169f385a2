//! Traces: search, one trace as columns, one span in full.

mod columns;
pub(crate) mod search;
pub(crate) mod span;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use daytwo_query::trace::Anomaly as Oddity;
use daytwo_query::{LookupStats, QueryError, TraceAnswer, TraceId};
use http::header;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Freshness, nanos_of};
use crate::error::{ApiError, ApiResult, Problem};
use crate::extract::Segments;
use crate::state::AppState;
use columns::{Columns, PathSegment};
pub(super) use search::{TraceSummary, summaries};

/// Routes of this resource.
pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/api/v1/traces", get(search::traces))
        .route("/api/v1/traces/{trace_id}", get(trace))
        .route("/api/v1/traces/{trace_id}/spans/{span_id}", get(span::span))
}

/// One trace; row `i` of every column is one span, in depth-first order.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Trace {
    #[serde(flatten)]
    freshness: Freshness,
    trace_id: String,
    start_unix_nano: String,
    duration_ns: String,
    spans: u64,
    services: Vec<String>,
    operations: Vec<String>,
    anomalies: Vec<Anomaly>,
    columns: Columns,
    critical_path: Vec<PathSegment>,
    stats: Scan,
}

/// What is odd about a trace; it is shown all the same.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Anomaly {
    /// `missing_parent`, `several_roots`, `cycle`, `duplicate`, `clock_skew` or `truncated`.
    kind: &'static str,
    span_id: Option<String>,
    message: String,
}

impl From<&Oddity> for Anomaly {
    fn from(oddity: &Oddity) -> Self {
        let span_id = oddity.span_id.map(|id| id.to_string());
        Self { kind: oddity.kind.name(), span_id, message: oddity.message.clone() }
    }
}

/// What an answer cost.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Scan {
    files_total: u64,
    files_scanned: u64,
    /// Bytes read from the files' indexes.
    index_bytes: u64,
    /// Bytes read from data files, as they are stored.
    data_bytes: u64,
    elapsed_ms: f64,
}

impl From<LookupStats> for Scan {
    fn from(stats: LookupStats) -> Self {
        Self {
            files_total: stats.files_total,
            files_scanned: stats.files_scanned,
            index_bytes: stats.index_bytes,
            data_bytes: stats.data_bytes,
            elapsed_ms: stats.elapsed_ms,
        }
    }
}

/// One trace, put together, as columns.
#[utoipa::path(get, path = "/api/v1/traces/{trace_id}", tag = "data",
    params(("trace_id" = String, Path, description = "32 hexadecimal digits")), responses(
    (status = 200, description = "The trace", body = Trace),
    (status = 400, description = "Not a trace id", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "No span of it is stored", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn trace(State(state): State<AppState>, Segments(text): Segments<String>) -> ApiResult<Response> {
    let trace_id = trace_id(&text)?;
    let as_of = state.queries.as_of();
    let found = state.queries.stitched_trace(trace_id).await?;
    if found.trace.spans.is_empty() {
        return Err(ApiError::not_found("no span of that trace is stored"));
    }
    let limit = state.queries.config().trace_spans_max;
    // 50,000 rows are megabytes of JSON: written beside the threads that answer others.
    let written = tokio::task::spawn_blocking(move || {
        let freshness = Freshness::new(as_of, found.partial.clone());
        serde_json::to_vec(&body(trace_id, &found, freshness, limit))
    });
    let bytes = written.await.map_err(ApiError::internal)?.map_err(ApiError::internal)?;
    Ok(([(header::CONTENT_TYPE, "application/json")], bytes).into_response())
}

fn body(trace_id: TraceId, found: &TraceAnswer, freshness: Freshness, limit: usize) -> Trace {
    let table = columns::table(&found.trace);
    let mut anomalies: Vec<Anomaly> = found.trace.anomalies.iter().map(Anomaly::from).collect();
    if found.truncated {
        let message = format!("the trace has more than {limit} spans; the rest is not shown");
        anomalies.push(Anomaly { kind: "truncated", span_id: None, message });
    }
    let owned = |names: &[std::sync::Arc<str>]| names.iter().map(|name| name.to_string()).collect();
    Trace {
        freshness,
        trace_id: trace_id.to_string(),
        start_unix_nano: nanos_of(table.start_ns),
        duration_ns: table.end_ns.saturating_sub(table.start_ns).to_string(),
        spans: found.trace.spans.len() as u64,
        services: owned(&table.services),
        operations: owned(&table.operations),
        anomalies,
        critical_path: columns::path(&found.critical_path, table.start_ns),
        columns: table.columns,
        stats: found.stats.into(),
    }
}

fn trace_id(text: &str) -> ApiResult<TraceId> {
    TraceId::from_hex(text).map_err(|_| ApiError::bad_request("a trace id is 32 hexadecimal digits, not all zero"))
}

/// Maps every failure of the query engine; no wildcard, so that a new one is decided here.
impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        match &error {
            QueryError::Refused { .. } | QueryError::Invalid { .. } => Self::bad_request(error.to_string()),
            QueryError::TooLarge { .. } | QueryError::OutOfMemory { .. } => Self::too_large(error.to_string()),
            QueryError::Timeout { .. } => Self::timeout(error.to_string()),
            QueryError::Overloaded { .. } => Self::overloaded(error.to_string()),
            QueryError::Damaged { .. }
            | QueryError::Storage(_)
            | QueryError::Io { .. }
            | QueryError::Internal { .. } => Self::internal(error),
        }
    }
}

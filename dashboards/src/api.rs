//! `/api/v1` and the endpoints for machines beside it. One file per resource: its routes, handlers and DTOs.

pub(crate) mod alerts;
pub(crate) mod backtest;
pub(crate) mod deployments;
pub(crate) mod flags;
pub(crate) mod gates;
pub(crate) mod health;
pub(crate) mod metrics;
pub(crate) mod names;
pub(crate) mod services;
pub(crate) mod slos;
pub(crate) mod sql;
pub(crate) mod status;
pub(crate) mod suggest;
pub(crate) mod traces;

use axum::Router;
use daytwo_query::UnixNanos;
use http::{Method, StatusCode, Uri};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::state::AppState;

/// All routes of the API.
pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .merge(status::routes())
        .merge(services::routes())
        .merge(slos::routes())
        .merge(deployments::routes())
        .merge(backtest::routes())
        .merge(flags::routes())
        .merge(gates::routes())
        .merge(alerts::routes())
        .merge(traces::routes())
        .merge(sql::routes())
        .merge(suggest::routes())
        .merge(names::routes())
        .merge(health::routes())
        .merge(metrics::routes())
        .merge(crate::openapi::routes())
        .method_not_allowed_fallback(wrong_method)
}

async fn wrong_method(method: Method, uri: Uri) -> ApiError {
    ApiError::refused(StatusCode::METHOD_NOT_ALLOWED, format!("{} does not answer {method}", uri.path()))
}

/// How fresh and how whole an answer is; part of every list and detail.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Freshness {
    /// Spans accepted until then are in the answer; nanoseconds since the Unix epoch.
    #[schema(example = "1763848800000000000")]
    pub(crate) as_of_unix_nano: String,
    /// What is missing from the answer, in sentences; empty when it is complete.
    pub(crate) partial: Vec<String>,
}

impl Freshness {
    fn new(as_of: UnixNanos, partial: Vec<String>) -> Self {
        Self { as_of_unix_nano: nanos(as_of), partial }
    }

    /// How fresh answers of the correlation engine are.
    fn of_correlator(state: &AppState) -> Self {
        let behind = state.correlator.status().lagging;
        let partial =
            behind.then(|| "the correlation engine still reads stored spans; numbers grow until it is done".to_owned());
        Self::new(state.correlator.as_of(), partial.into_iter().collect())
    }
}

/// A 64-bit instant as the text that JavaScript can hold.
fn nanos(instant: UnixNanos) -> String {
    instant.0.to_string()
}

/// As [`nanos`], of a plain number.
fn nanos_of(instant: i64) -> String {
    instant.to_string()
}

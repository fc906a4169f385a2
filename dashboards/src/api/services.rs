//! Services and their operations: what each answers, how fast and how well.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use daytwo_query::{OperationSli, ServiceSli, UnixNanos};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Freshness, nanos};
use crate::error::{ApiResult, Problem};
use crate::extract::{Params, Segments};
use crate::state::AppState;
use crate::time::RangeParams;

/// Routes of this resource.
pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/api/v1/services", get(services))
        .route("/api/v1/services/{service}/operations", get(operations))
}

/// The services seen.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Services {
    #[serde(flatten)]
    freshness: Freshness,
    services: Vec<Service>,
}

/// One service in one environment, over SERVER and CONSUMER spans.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Service {
    service: String,
    /// Empty when the service names none.
    environment: String,
    rate_per_s: f64,
    /// 0..1.
    errors_fraction: Option<f64>,
    /// Quantiles carry at most 1 % relative error.
    p50_ms: Option<f64>,
    p95_ms: Option<f64>,
    p99_ms: Option<f64>,
    spans: u64,
    operations: u64,
    versions: Vec<String>,
    last_seen_unix_nano: String,
}

/// The operations of a service.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Operations {
    #[serde(flatten)]
    freshness: Freshness,
    service: String,
    operations: Vec<Operation>,
}

/// One operation of one kind.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Operation {
    operation: String,
    /// `SERVER`, `CLIENT`, …
    kind: String,
    calls: u64,
    rate_per_s: f64,
    errors_fraction: Option<f64>,
    p50_ms: Option<f64>,
    p95_ms: Option<f64>,
    p99_ms: Option<f64>,
    /// Time in the operation itself, without what it waits for.
    self_p50_ms: Option<f64>,
    self_p95_ms: Option<f64>,
}

impl From<ServiceSli> for Service {
    fn from(sli: ServiceSli) -> Self {
        Self {
            service: sli.service,
            environment: sli.environment,
            rate_per_s: sli.rate_per_s,
            errors_fraction: sli.errors_fraction,
            p50_ms: sli.p50_ms,
            p95_ms: sli.p95_ms,
            p99_ms: sli.p99_ms,
            spans: sli.spans,
            operations: sli.operations,
            versions: sli.versions,
            last_seen_unix_nano: nanos(UnixNanos(sli.last_seen_unix_nano)),
        }
    }
}

impl From<OperationSli> for Operation {
    fn from(sli: OperationSli) -> Self {
        Self {
            operation: sli.operation,
            kind: sli.kind.to_owned(),
            calls: sli.calls,
            rate_per_s: sli.rate_per_s,
            errors_fraction: sli.errors_fraction,
            p50_ms: sli.p50_ms,
            p95_ms: sli.p95_ms,
            p99_ms: sli.p99_ms,
            self_p50_ms: sli.self_p50_ms,
            self_p95_ms: sli.self_p95_ms,
        }
    }
}

/// The services seen in the range.
#[utoipa::path(get, path = "/api/v1/services", tag = "board", params(RangeParams), responses(
    (status = 200, description = "The services", body = Services),
    (status = "4XX", description = "Why not", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn services(
    State(state): State<AppState>,
    Params(params): Params<RangeParams>,
) -> ApiResult<Json<Services>> {
    let window = params.range(state.clock.as_ref())?.window();
    let slis = state.correlator.services(window, params.env.as_deref());
    let services = slis.into_iter().map(Service::from).collect();
    Ok(Json(Services { freshness: Freshness::of_correlator(&state), services }))
}

/// The operations of a service in the range.
#[utoipa::path(get, path = "/api/v1/services/{service}/operations", tag = "board",
    params(("service" = String, Path, description = "`service.name`"), RangeParams), responses(
    (status = 200, description = "Its operations", body = Operations),
    (status = "4XX", description = "Why not", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn operations(
    State(state): State<AppState>,
    Segments(service): Segments<String>,
    Params(params): Params<RangeParams>,
) -> ApiResult<Json<Operations>> {
    let window = params.range(state.clock.as_ref())?.window();
    let slis = state.correlator.operations(&service, window, params.env.as_deref());
    let operations = slis.into_iter().map(Operation::from).collect();
    Ok(Json(Operations { freshness: Freshness::of_correlator(&state), service, operations }))
}

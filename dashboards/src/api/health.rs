//! For probes: does the process live, and are requests served.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;

use crate::state::AppState;

/// Routes of this resource.
pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz))
}

/// Whether the process lives.
#[utoipa::path(get, path = "/healthz", tag = "machines", responses((status = 200, description = "The process lives", body = String)))]
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether requests are served.
#[utoipa::path(get, path = "/readyz", tag = "machines", responses(
    (status = 200, description = "Requests are served", body = String),
    (status = 503, description = "Starting or stopping", body = String)))]
pub(crate) async fn readyz(State(state): State<AppState>) -> Response {
    if state.readiness.get() {
        "ready\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready: starting or stopping\n").into_response()
    }
}

//! The OpenAPI document, built from the handlers and DTOs. `dashboards/openapi.json` is its checked-in form; a test holds the two equal,
//! so that a change of the API is a visible difference.

use axum::routing::get;
use axum::{Json, Router};
use utoipa::OpenApi;

use crate::api;
use crate::state::AppState;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Daytwo",
        description = "Spans in, verdict out. Times in answers are nanoseconds since the Unix epoch as decimal strings; \
                       durations are milliseconds unless the name says otherwise; an unknown number is null.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(
        api::status::status,
        api::services::services,
        api::services::operations,
        api::slos::slos,
        api::slos::slo,
        api::deployments::deployments,
        api::deployments::deployment,
        api::deployments::verdict,
        api::deployments::declare::declare,
        api::backtest::objective,
        api::backtest::gate,
        api::flags::flags,
        api::flags::flag,
        api::flags::declare::declare,
        api::gates::argo::argo,
        api::gates::argo::argo_post,
        api::gates::flagger::rollout,
        api::gates::flagger::promotion,
        api::gates::flagger::rollback,
        api::gates::kayenta::judge,
        api::deployments::distribution::distribution,
        api::alerts::alerts,
        api::suggest::suggest,
        api::names::names,
        api::traces::search::traces,
        api::traces::trace,
        api::traces::span::span,
        api::sql::sql,
        api::health::healthz,
        api::health::readyz,
        api::metrics::metrics
    ),
    tags(
        (name = "board", description = "What the board shows"),
        (name = "data", description = "Spans and SQL"),
        (name = "machines", description = "Probes, metrics, deployments and weights declared by pipelines"),
        (name = "gates", description = "Contracts of tools that roll releases out")
    )
)]
struct Document;

/// The document as pretty JSON, ending in a line break.
///
/// # Errors
/// Never in practice: the document is made of strings and maps.
pub fn document() -> Result<String, serde_json::Error> {
    Ok(Document::openapi().to_pretty_json()? + "\n")
}

/// Route of the document.
pub(crate) fn routes() -> Router<AppState> {
    Router::new().route("/api/v1/openapi.json", get(async || Json(Document::openapi())))
}

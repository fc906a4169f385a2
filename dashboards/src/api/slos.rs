//! Objectives: budgets, burn rates and what spent them.

#![expect(unused_qualifications, reason = "the expansion of `utoipa::path` names the parameters' type in full")]

mod dto;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Freshness;
use super::traces::summaries;
use crate::error::{ApiError, ApiResult, Problem};
use crate::extract::{Params, Segments};
use crate::state::AppState;
use dto::{SloDetail, Slos};

/// Routes of this resource.
pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/api/v1/slos", get(slos)).route("/api/v1/slos/{id}", get(slo))
}

/// Which objectives are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SloParams {
    /// `deployment.environment.name`; absent means all.
    env: Option<String>,
}

/// All objectives, the worst budget first.
#[utoipa::path(get, path = "/api/v1/slos", tag = "board", params(SloParams), responses(
    (status = 200, description = "The objectives", body = Slos)))]
pub(crate) async fn slos(State(state): State<AppState>, Params(params): Params<SloParams>) -> ApiResult<Json<Slos>> {
    let board = state.correlator.slos(params.env.as_deref());
    Ok(Json(Slos {
        freshness: Freshness::of_correlator(&state),
        slos: board.slos.into_iter().map(Into::into).collect(),
        problems: board.problems.into_iter().map(Into::into).collect(),
        notes: board.notes.into_iter().map(Into::into).collect(),
    }))
}

/// One objective: how it went over time, and who spent the budget.
#[utoipa::path(get, path = "/api/v1/slos/{id}", tag = "board", params(("id" = String, Path, description = "The objective")), responses(
    (status = 200, description = "The objective", body = SloDetail),
    (status = 404, description = "There is no such objective", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn slo(State(state): State<AppState>, Segments(id): Segments<String>) -> ApiResult<Json<SloDetail>> {
    let detail =
        state.correlator.slo_detail(&id).ok_or_else(|| ApiError::not_found("there is no objective of that id"))?;
    Ok(Json(SloDetail {
        freshness: Freshness::of_correlator(&state),
        slo: detail.slo.into(),
        yaml: detail.yaml,
        series: detail.series.into_iter().map(Into::into).collect(),
        by_operation: detail.by_operation.into_iter().map(Into::into).collect(),
        by_service: detail.by_service.into_iter().map(Into::into).collect(),
        bad_traces: summaries(&state, &detail.bad_traces).await?,
        sql: detail.sql,
    }))
}

//! Feature flags: who sees which variant, and what a variant does to the services of the traces that see it.

#![expect(unused_qualifications, reason = "the expansion of `utoipa::path` names the parameters' type in full")]

pub(crate) mod declare;
mod dto;

use axum::extract::{DefaultBodyLimit, State};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Freshness;
use crate::error::{ApiError, ApiResult, Problem};
use crate::extract::{Params, Segments};
use crate::state::AppState;
use dto::{FlagDetail, Flags};

/// Routes of this resource.
pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/api/v1/flags", get(flags).post(declare::declare))
        .route("/api/v1/flags/{key}", get(flag))
        .layer(DefaultBodyLimit::max(declare::BODY_BYTES_MAX))
}

/// Which flags are asked for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FlagParams {
    /// `deployment.environment.name` of the service that asked for the flag; absent means all.
    env: Option<String>,
}

/// Feature flags, the worst first.
#[utoipa::path(get, path = "/api/v1/flags", tag = "board", params(FlagParams), responses(
    (status = 200, description = "The flags", body = Flags)))]
pub(crate) async fn flags(State(state): State<AppState>, Params(params): Params<FlagParams>) -> ApiResult<Json<Flags>> {
    let flags = state.correlator.flags(params.env.as_deref()).into_iter().map(Into::into).collect();
    Ok(Json(Flags { freshness: Freshness::of_correlator(&state), flags }))
}

/// One flag with the judgement of every service by its variants; of several environments the one where it does worst.
#[utoipa::path(get, path = "/api/v1/flags/{key}", tag = "board",
    params(("key" = String, Path), ("env" = Option<String>, Query)), responses(
    (status = 200, description = "The flag", body = FlagDetail),
    (status = 404, description = "Not seen", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn flag(
    State(state): State<AppState>,
    Segments(key): Segments<String>,
    Params(params): Params<FlagParams>,
) -> ApiResult<Json<FlagDetail>> {
    let found = state.correlator.flags(params.env.as_deref()).into_iter().find(|flag| flag.key == key);
    let flag = found.ok_or_else(|| ApiError::not_found("no trace saw a flag of that key"))?;
    Ok(Json(FlagDetail::new(Freshness::of_correlator(&state), flag)))
}

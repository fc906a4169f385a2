//! Releases and their verdicts: for the board, and for gates in pipelines.

#![expect(unused_qualifications, reason = "the expansion of `utoipa::path` names the parameters' type in full")]

mod cdevents;
pub(crate) mod declare;
pub(crate) mod distribution;
pub(super) mod dto;

use axum::extract::{DefaultBodyLimit, State};
use axum::routing::get;
use axum::{Json, Router};
use daytwo_query::verdict::State as Judged;
use daytwo_query::{Deployment as Found, DeploymentFilter};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Freshness;
use crate::error::{ApiError, ApiResult, Problem};
use crate::extract::{Params, Segments};
use crate::state::AppState;
use dto::{Deployment, DeploymentDetail, Deployments, GateResult, Verdict, VerdictAnswer};

/// Routes of this resource.
pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/api/v1/deployments", get(deployments).post(declare::declare))
        .route("/api/v1/deployments/{service}/{version}", get(deployment))
        .route("/api/v1/deployments/{service}/{version}/verdict", get(verdict))
        .route("/api/v1/deployments/{service}/{version}/distribution", get(distribution::distribution))
        .layer(DefaultBodyLimit::max(declare::BODY_BYTES_MAX))
}

/// How far back a release's share of the traffic is shown.
const SHARES_OF: std::time::Duration = std::time::Duration::from_secs(6 * 3600);

/// Which releases are asked for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeploymentParams {
    /// `deployment.environment.name`; absent means all.
    env: Option<String>,
    /// `service.name`; absent means all. For the list only.
    service: Option<String>,
}

/// Releases, the newest first.
#[utoipa::path(get, path = "/api/v1/deployments", tag = "board", params(DeploymentParams), responses(
    (status = 200, description = "The releases", body = Deployments)))]
pub(crate) async fn deployments(
    State(state): State<AppState>,
    Params(params): Params<DeploymentParams>,
) -> ApiResult<Json<Deployments>> {
    let filter = DeploymentFilter { service: params.service, environment: params.env };
    let deployments = state.correlator.deployments(&filter).into_iter().map(Deployment::from).collect();
    Ok(Json(Deployments { freshness: Freshness::of_correlator(&state), deployments }))
}

/// One release and its judgement.
#[utoipa::path(get, path = "/api/v1/deployments/{service}/{version}", tag = "board",
    params(("service" = String, Path), ("version" = String, Path), ("env" = Option<String>, Query)), responses(
    (status = 200, description = "The release", body = DeploymentDetail),
    (status = 404, description = "Not seen", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn deployment(
    State(state): State<AppState>,
    Segments((service, version)): Segments<(String, String)>,
    Params(params): Params<DeploymentParams>,
) -> ApiResult<Json<DeploymentDetail>> {
    let found = find(&state, &service, &version, params.env)?;
    let verdict = judgement(&state, &found)?;
    let from = state.clock.now().saturating_sub(SHARES_OF);
    let shares = state.correlator.shares(&found.service, &found.version, &found.environment, from);
    Ok(Json(DeploymentDetail {
        freshness: Freshness::of_correlator(&state),
        deployment: found.into(),
        share_series: shares.into_iter().map(Into::into).collect(),
        verdict,
    }))
}

/// The judgement alone, for gates: `$.result.verdict` is `pass`, `fail`, `continue` or `inconclusive`.
#[utoipa::path(get, path = "/api/v1/deployments/{service}/{version}/verdict", tag = "board",
    params(("service" = String, Path), ("version" = String, Path), ("env" = Option<String>, Query)), responses(
    (status = 200, description = "The verdict", body = VerdictAnswer),
    (status = 404, description = "Not seen", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn verdict(
    State(state): State<AppState>,
    Segments((service, version)): Segments<(String, String)>,
    Params(params): Params<DeploymentParams>,
) -> ApiResult<Json<VerdictAnswer>> {
    let found = find(&state, &service, &version, params.env)?;
    let verdict = judgement(&state, &found)?;
    Ok(Json(VerdictAnswer { freshness: Freshness::of_correlator(&state), result: gate(found.state), verdict }))
}

/// The release of that version, in the environment asked for or else the one it came to last.
fn find(state: &AppState, service: &str, version: &str, env: Option<String>) -> ApiResult<Found> {
    let filter = DeploymentFilter { service: Some(service.to_owned()), environment: env };
    let newest_first = state.correlator.deployments(&filter);
    let found = newest_first.into_iter().find(|deployment| deployment.version == version);
    found.ok_or_else(|| ApiError::not_found("no span of that service and version was seen"))
}

fn judgement(state: &AppState, found: &Found) -> ApiResult<Verdict> {
    let verdict = state.correlator.verdict(&found.service, &found.version, Some(&found.environment));
    verdict
        .map(|verdict| Verdict::from(verdict.as_ref()))
        .ok_or_else(|| ApiError::not_found("that release was not judged"))
}

/// What a gate does: pass only on shown non-inferiority, fail only on shown harm; a release that only inherits a slowdown is
/// not to blame, but was not shown to be good either.
fn gate(state: Judged) -> GateResult {
    GateResult { verdict: gate_word(state), ok: state == Judged::Pass }
}

/// The state in the words of gates.
pub(super) fn gate_word(state: Judged) -> &'static str {
    match state {
        Judged::Pass => "pass",
        Judged::Fail => "fail",
        Judged::Continue => "continue",
        Judged::Warn
        | Judged::Inconclusive
        | Judged::Inherited
        | Judged::Skewed
        | Judged::Confounded
        | Judged::Noisy
        | Judged::NoData => "inconclusive",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: each state that a judgement may have.
    /// Guarantees: a gate opens for PASS and nothing else, and only FAIL is called a failure.
    #[test]
    fn only_pass_opens_the_gate() {
        for (state, verdict) in [
            (Judged::Pass, "pass"),
            (Judged::Fail, "fail"),
            (Judged::Warn, "inconclusive"),
            (Judged::Continue, "continue"),
            (Judged::Inconclusive, "inconclusive"),
            (Judged::Inherited, "inconclusive"),
            (Judged::Skewed, "inconclusive"),
            (Judged::Confounded, "inconclusive"),
            (Judged::Noisy, "inconclusive"),
            (Judged::NoData, "inconclusive"),
        ] {
            let result = gate(state);
            assert_eq!((result.verdict, result.ok), (verdict, verdict == "pass"));
        }
    }
}

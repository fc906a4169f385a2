//! Flagger: webhooks whose status decides. 200 lets the canary go on; 403, as Flagger's own gates answer, holds it; for a `rollback` hook 200
//! rolls it back. Flagger copies the body of a refusal into its events, so that is where the explanation stands.

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use bytes::Bytes;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Asked, Ruling};
use crate::error::{ApiResult, Problem};
use crate::fields::{Fields, Problems, json};
use crate::state::AppState;

/// What Flagger sends; describes what is read.
#[derive(Debug, ToSchema)]
#[expect(
    dead_code,
    reason = "the body is read field by field, so that all that is wrong is named; this is its description"
)]
pub(crate) struct FlaggerRequest {
    /// Name of the canary: the service, unless `metadata.service` says another.
    name: String,
    namespace: Option<String>,
    phase: Option<String>,
    metadata: Option<FlaggerMetadata>,
}

/// What the canary's specification says beside; other keys are left alone.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes what is read")]
pub(crate) struct FlaggerMetadata {
    /// `service.name`.
    service: Option<String>,
    /// `deployment.environment.name`; absent means the one it came to last.
    env: Option<String>,
    /// `service.version`. Without any name, the release that shares the traffic with another now.
    version: Option<String>,
    revision: Option<String>,
    image: Option<String>,
    pod_template_hash: Option<String>,
}

/// Why the canary goes on, waits or goes back.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FlaggerAnswer {
    /// `pass`, `fail`, `continue` or `inconclusive`.
    verdict: &'static str,
    /// The state behind it, as in a verdict.
    state: &'static str,
    /// The version that was judged.
    version: Option<String>,
    headline: String,
}

type Answer = ApiResult<(StatusCode, Json<FlaggerAnswer>)>;

/// For hooks of type `rollout` and `pre-rollout`: goes on unless the release is shown to be bad.
#[utoipa::path(post, path = "/api/v1/gates/flagger/rollout", tag = "gates", request_body = FlaggerRequest, responses(
    (status = 200, description = "Go on", body = FlaggerAnswer), (status = 403, description = "The release failed", body = FlaggerAnswer),
    (status = 400, description = "The question is not understood", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn rollout(State(state): State<AppState>, body: Result<Bytes, BytesRejection>) -> Answer {
    decide(&state, body, |word| word != "fail")
}

/// For hooks of type `confirm-promotion`: goes on once the release is shown to be no worse.
#[utoipa::path(post, path = "/api/v1/gates/flagger/promotion", tag = "gates", request_body = FlaggerRequest, responses(
    (status = 200, description = "Promote", body = FlaggerAnswer), (status = 403, description = "Not yet, or never", body = FlaggerAnswer),
    (status = 400, description = "The question is not understood", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn promotion(State(state): State<AppState>, body: Result<Bytes, BytesRejection>) -> Answer {
    decide(&state, body, |word| word == "pass")
}

/// For hooks of type `rollback`: 200, which rolls back, once the release is shown to be bad.
#[utoipa::path(post, path = "/api/v1/gates/flagger/rollback", tag = "gates", request_body = FlaggerRequest, responses(
    (status = 200, description = "Roll back", body = FlaggerAnswer), (status = 403, description = "No reason to", body = FlaggerAnswer),
    (status = 400, description = "The question is not understood", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn rollback(State(state): State<AppState>, body: Result<Bytes, BytesRejection>) -> Answer {
    decide(&state, body, |word| word == "fail")
}

fn decide(state: &AppState, body: Result<Bytes, BytesRejection>, opens: impl Fn(&str) -> bool) -> Answer {
    let body = json(body)?;
    let mut problems = Problems::default();
    let fields = Fields::of(&body, &mut problems);
    let metadata = fields.object("metadata", &mut problems);
    let name = fields.required("name", &mut problems);
    let asked = Asked {
        service: metadata.text("service", &mut problems).unwrap_or(name),
        environment: metadata.text("env", &mut problems),
        names: Asked::names(&metadata, &mut problems),
    };
    let ruling = Ruling::on(state, &problems.or(asked)?);
    let status = if opens(ruling.word) { StatusCode::OK } else { StatusCode::FORBIDDEN };
    let answer = FlaggerAnswer {
        verdict: ruling.word,
        state: ruling.state,
        version: ruling.release.map(|release| release.version),
        headline: ruling.headline,
    };
    Ok((status, Json(answer)))
}

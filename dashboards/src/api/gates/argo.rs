//! Argo Rollouts: a metric of the `web` provider reads `{$.result}` of an answer that is always 200 while the question is understood.

#![expect(unused_qualifications, reason = "the expansion of `utoipa::path` names the parameters' type in full")]

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use bytes::Bytes;
use daytwo_query::{VersionNames, verdict};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::Freshness;
use super::{Asked, Ruling};
use crate::error::{ApiError, ApiResult, Problem};
use crate::extract::Params;
use crate::fields::{Fields, Problems, json};
use crate::state::AppState;

/// Which release is asked about.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ArgoParams {
    /// `service.name`.
    service: String,
    /// `deployment.environment.name`; absent means the one it came to last.
    env: Option<String>,
    /// `service.version`. Without any name, the release that shares the traffic with another now.
    version: Option<String>,
    /// The pod template's hash, as in `podTemplateHashValue: Latest`.
    pod_template_hash: Option<String>,
    /// The revision in version control.
    revision: Option<String>,
    /// The container image.
    image: Option<String>,
}

/// Which release is asked about, as a body; describes what is read.
#[derive(Debug, ToSchema)]
#[expect(
    dead_code,
    reason = "the body is read field by field, so that all that is wrong is named; this is its description"
)]
pub(crate) struct ArgoRequest {
    /// `service.name`.
    service: String,
    /// `deployment.environment.name`; absent means the one it came to last.
    env: Option<String>,
    /// The release. Without it, the one that shares the traffic with another now.
    candidate: Option<ArgoVersion>,
    /// What it must have been compared with; if it was something else the verdict is `inconclusive`.
    baseline: Option<ArgoVersion>,
}

/// What a version is called by.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes what is read")]
pub(crate) struct ArgoVersion {
    version: Option<String>,
    pod_template_hash: Option<String>,
    revision: Option<String>,
    image: Option<String>,
}

/// The answer to a measurement.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ArgoAnswer {
    #[serde(flatten)]
    freshness: Freshness,
    result: ArgoResult,
}

/// What `successCondition` and `failureCondition` look at.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ArgoResult {
    /// `pass`, `fail`, `continue` (not decided yet, or not seen yet) or `inconclusive`.
    verdict: &'static str,
    /// Whether it is `pass`.
    ok: bool,
    /// How much of the evidence that `fail` needs is there, 0 to 1.
    risk: f64,
    /// The smallest p-value of all findings, valid however often one looks.
    p_any: Option<f64>,
    /// The state behind it, as in a verdict.
    state: &'static str,
    class: Option<&'static str>,
    /// The version that was judged.
    version: Option<String>,
    headline: String,
}

/// The verdict on a release for a `web` metric: `result.verdict == "pass"`, `result.verdict == "fail"`.
#[utoipa::path(get, path = "/api/v1/gates/argo", tag = "gates", params(ArgoParams), responses(
    (status = 200, description = "The verdict; also when nothing was seen yet", body = ArgoAnswer),
    (status = 400, description = "The question is not understood", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn argo(
    State(state): State<AppState>,
    Params(params): Params<ArgoParams>,
) -> ApiResult<Json<ArgoAnswer>> {
    if params.service.is_empty() {
        return Err(ApiError::bad_request("service must not be empty"));
    }
    // Arguments that are not set arrive as empty texts.
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let asked = Asked {
        service: params.service,
        environment: given(params.env),
        names: VersionNames {
            version: given(params.version),
            revision: given(params.revision),
            image: given(params.image),
            pod_template_hash: given(params.pod_template_hash),
        },
    };
    Ok(Json(answer(&state, &Ruling::on(&state, &asked))))
}

/// The same for a metric with `method: POST` or `PUT` and a JSON `body`.
#[utoipa::path(post, path = "/api/v1/gates/argo", tag = "gates", request_body = ArgoRequest, responses(
    (status = 200, description = "The verdict; also when nothing was seen yet", body = ArgoAnswer),
    (status = "4XX", description = "The question is not understood", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn argo_post(
    State(state): State<AppState>,
    body: Result<Bytes, BytesRejection>,
) -> ApiResult<Json<ArgoAnswer>> {
    let body = json(body)?;
    let mut problems = Problems::default();
    let fields = Fields::of(&body, &mut problems);
    fields.only(&["service", "env", "candidate", "baseline"], &mut problems);
    let [candidate, baseline] = ["candidate", "baseline"].map(|name| {
        let object = fields.object(name, &mut problems);
        object.only(&["version", "pod_template_hash", "revision", "image"], &mut problems);
        Asked::names(&object, &mut problems)
    });
    let asked = Asked {
        service: fields.required("service", &mut problems),
        environment: fields.text("env", &mut problems),
        names: candidate,
    };
    let (asked, baseline) = problems.or((asked, baseline))?;
    let mut ruling = Ruling::on(&state, &asked);
    if !baseline.is_empty() && ruling.release.is_some() && !was_compared_with(&state, &ruling, &baseline) {
        let other = ruling.verdict.as_ref().and_then(|verdict| verdict.baseline.version.clone());
        let other = other.unwrap_or_else(|| "nothing".to_owned());
        ruling.headline = format!("it was compared with {other}, not with {}: {}", baseline.text(), ruling.headline);
        ruling.word = "inconclusive";
    }
    Ok(Json(answer(&state, &ruling)))
}

/// Whether the version that the release was compared with is called so.
fn was_compared_with(state: &AppState, ruling: &Ruling, names: &VersionNames) -> bool {
    let compared = ruling.verdict.as_ref().and_then(|verdict| verdict.baseline.version.clone());
    let (Some(compared), Some(release)) = (compared, &ruling.release) else { return false };
    let filter = daytwo_query::DeploymentFilter {
        service: Some(release.service.clone()),
        environment: Some(release.environment.clone()),
    };
    let mut rows = state.correlator.deployments(&filter).into_iter();
    let known_by = rows.find(|row| row.version == compared).map(|row| row.identity).unwrap_or_default();
    names.meet(&compared, &known_by)
}

fn answer(state: &AppState, ruling: &Ruling) -> ArgoAnswer {
    ArgoAnswer {
        freshness: Freshness::of_correlator(state),
        result: ArgoResult {
            verdict: ruling.word,
            ok: ruling.word == "pass",
            risk: ruling.evidence(),
            p_any: ruling.p_any(),
            state: ruling.state,
            class: ruling.release.as_ref().and_then(|release| release.class).map(verdict::Class::name),
            version: ruling.release.as_ref().map(|release| release.version.clone()),
            headline: ruling.headline.clone(),
        },
    }
}

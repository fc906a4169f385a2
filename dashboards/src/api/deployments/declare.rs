//! Deployments declared by who does them: our own body, or a CDEvents event in either content mode of CloudEvents.

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use bytes::Bytes;
use daytwo_query::{Declaration, DeclaredKind, QueryError, TrafficShare, UnixNanos, VersionNames, WeightStep};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::super::nanos;
use super::cdevents;
use crate::error::{ApiError, ApiResult, Problem};
use crate::fields::{Fields, Problems, json};
use crate::state::AppState;

/// Bytes of a request's body.
pub(super) const BODY_BYTES_MAX: usize = 64 << 10;

/// A deployment may be declared this much ahead of our clock.
const AHEAD_MAX: std::time::Duration = std::time::Duration::from_secs(3600);

/// Fields of our own body.
const FIELDS: [&str; 12] = [
    "id",
    "service",
    "environment",
    "version",
    "revision",
    "image",
    "pod_template_hash",
    "at",
    "kind",
    "actor",
    "url",
    "weight",
];

/// A deployment to declare; describes what is read.
#[derive(Debug, ToSchema)]
#[expect(
    dead_code,
    reason = "the body is read field by field, so that all that is wrong is named; this is its description"
)]
pub(crate) struct DeploymentRequest {
    /// Names the declaration, so that it can be sent again; by default its service, environment, version and time.
    id: Option<String>,
    /// `service.name`.
    service: String,
    /// `deployment.environment.name`; absent when spans have none.
    environment: Option<String>,
    /// `service.version`. This, the revision, the image or the pod template's hash must be there.
    version: Option<String>,
    /// The revision in version control, whole or its first seven characters or more.
    revision: Option<String>,
    /// The container image: `shop/cart:1.2`, `shop/cart@sha256:…` or `sha256:…`.
    image: Option<String>,
    /// Suffix of the ReplicaSet's name.
    pod_template_hash: Option<String>,
    /// When it was done, RFC 3339; now when absent.
    at: Option<String>,
    /// `deployed` (the default), `upgraded` or `rolled_back`.
    kind: Option<String>,
    /// Who did it.
    actor: Option<String>,
    /// Where to read more; http or https.
    url: Option<String>,
    /// The share of the service's traffic that is meant for this version from `at` on, 0 to 1. Sent again, with its time, as a canary steps up.
    weight: Option<f64>,
}

/// What was declared of a deployment.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Declared {
    id: String,
    service: String,
    environment: String,
    /// The version that it goes by: as declared, or `revision:…`, `image:…`, `template:…`.
    version: String,
    revision: Option<String>,
    image: Option<String>,
    pod_template_hash: Option<String>,
    at_unix_nano: String,
    /// `deployed`, `upgraded` or `rolled_back`.
    kind: &'static str,
    actor: Option<String>,
    url: Option<String>,
    /// The share of the traffic that is meant for it, if that was said.
    weight: Option<f64>,
    /// Every weight that was declared under this id, oldest first; null ended one.
    weights: Vec<Step>,
}

/// A weight and since when.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Step {
    at_unix_nano: String,
    weight: Option<f64>,
}

impl From<Declaration> for Declared {
    fn from(declaration: Declaration) -> Self {
        let step =
            |step: WeightStep| Step { at_unix_nano: nanos(step.at), weight: step.share.map(TrafficShare::share) };
        Self {
            weight: declaration.weight.map(TrafficShare::share),
            weights: declaration.steps().into_iter().map(step).collect(),
            version: declaration.version_text(),
            id: declaration.id,
            service: declaration.service,
            environment: declaration.environment,
            revision: declaration.names.revision,
            image: declaration.names.image,
            pod_template_hash: declaration.names.pod_template_hash,
            at_unix_nano: nanos(declaration.at),
            kind: declaration.kind.name(),
            actor: declaration.actor,
            url: declaration.url,
        }
    }
}

/// What was taken.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeclaredAnswer {
    declared: Declared,
    /// Whether one of the same id was there, whose place it took.
    replaced: bool,
}

/// Declares a deployment: in our own form, or as a CDEvents event `service.deployed`, `service.upgraded` or `service.rolledback`. It is on
/// disk when this answers, and one with the deployment that spans show.
#[utoipa::path(post, path = "/api/v1/deployments", tag = "machines", request_body(content(
        (DeploymentRequest = "application/json"), (Value = "application/cloudevents+json"), (Value = "application/cdevents+json"))),
    responses(
    (status = 201, description = "Taken", body = DeclaredAnswer),
    (status = 200, description = "Taken in the place of an earlier one of the same id", body = DeclaredAnswer),
    (status = "4XX", description = "Why not", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", description = "Why not", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn declare(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> ApiResult<(StatusCode, Json<DeclaredAnswer>)> {
    let body = json(body)?;
    let now = state.clock.now();
    let declaration = match cdevents::event_in(&headers, &body)? {
        Some(event) => cdevents::declaration(&headers, event, now)?,
        None => own(&body, now)?,
    };
    let correlator = std::sync::Arc::clone(&state.correlator);
    let taken = tokio::task::spawn_blocking(move || correlator.declare(declaration)).await;
    let (declaration, replaced) = taken.map_err(ApiError::internal)?.map_err(refused)?;
    let status = if replaced { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(DeclaredAnswer { declared: declaration.into(), replaced })))
}

/// What the disk refuses may be taken later.
fn refused(error: QueryError) -> ApiError {
    tracing::warn!(%error, "a declared deployment is not taken");
    ApiError::overloaded("the deployment cannot be kept now, for the disk takes no writes; send it again later")
}

/// Our own body.
fn own(body: &Value, now: UnixNanos) -> ApiResult<Declaration> {
    let mut problems = Problems::default();
    let fields = Fields::of(body, &mut problems);
    fields.only(&FIELDS, &mut problems);
    let service = fields.required("service", &mut problems);
    let environment = fields.text("environment", &mut problems).unwrap_or_default();
    let names = VersionNames {
        version: fields.text("version", &mut problems),
        revision: fields.text("revision", &mut problems),
        image: fields.text("image", &mut problems),
        pod_template_hash: fields.text("pod_template_hash", &mut problems),
    };
    let named = ["version", "revision", "image", "pod_template_hash"].iter().any(|name| fields.has(name));
    if !named {
        problems.add("version", "is missing; without it, revision, image or pod_template_hash must be there");
    } else if names.text().is_empty() && names.image.is_some() {
        problems.add("image", "has neither a digest nor a tag but latest, so it names no version");
    }
    let kind = kind(&fields, &mut problems);
    let at = fields.instant("at", &mut problems).unwrap_or(now);
    check_time("at", at, now, &mut problems);
    let url = fields.text("url", &mut problems);
    check_url("url", url.as_deref(), &mut problems);
    let id = fields.text("id", &mut problems);
    let declaration = Declaration {
        id: id.unwrap_or_else(|| format!("{service}/{environment}/{}/{}", names.text(), at.0)),
        service,
        environment,
        names,
        at,
        kind,
        actor: fields.text("actor", &mut problems),
        url,
        weight: fields.share("weight", &mut problems),
        earlier: Vec::new(),
    };
    problems.or(declaration)
}

fn kind(fields: &Fields<'_>, problems: &mut Problems) -> DeclaredKind {
    match fields.text("kind", problems).as_deref() {
        None | Some("deployed") => DeclaredKind::Deployed,
        Some("upgraded") => DeclaredKind::Upgraded,
        Some("rolled_back") => DeclaredKind::RolledBack,
        Some(_) => {
            problems.add("kind", "must be deployed, upgraded or rolled_back");
            DeclaredKind::Deployed
        }
    }
}

/// A time far ahead would stand at the top of the list until it comes.
pub(crate) fn check_time(field: &str, at: UnixNanos, now: UnixNanos, problems: &mut Problems) {
    if at > now.saturating_add(AHEAD_MAX) {
        problems.add(field, "lies more than an hour in the future");
    }
}

/// The board makes a link of it.
fn check_url(field: &str, url: Option<&str>, problems: &mut Problems) {
    if url.is_some_and(|url| !url.starts_with("https://") && !url.starts_with("http://")) {
        problems.add(field, "must begin with https:// or http://");
    }
}

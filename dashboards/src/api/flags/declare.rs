//! Weights of a flag's variants, declared by who sets them.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use bytes::Bytes;
use daytwo_query::{FlagDeclaration, QueryError, TrafficShare, UnixNanos};
use http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::super::deployments::declare::check_time;
use super::super::nanos_of;
use crate::error::{ApiError, ApiResult, Problem};
use crate::fields::{Fields, Problems, json};
use crate::state::AppState;

/// Bytes of a request's body.
pub(super) const BODY_BYTES_MAX: usize = 64 << 10;
/// Variants of one flag, as many as the engine follows.
const VARIANTS_MAX: usize = 16;
/// Bytes of a variant's name, as the engine reads them.
const NAME_BYTES_MAX: usize = 256;
/// Weights are rounded by who writes them: three times 0.3334 is all of the traffic.
const ROUNDING: f64 = 0.001;
/// Fields of the body.
const FIELDS: [&str; 7] = ["id", "key", "environment", "service", "at", "variants", "new_variants"];

/// Weights to declare; describes what is read.
#[derive(Debug, ToSchema)]
#[expect(
    dead_code,
    reason = "the body is read field by field, so that all that is wrong is named; this is its description"
)]
pub(crate) struct FlagRequest {
    /// Names the declaration, so that it can be sent again; by default its flag, environment, service and time.
    id: Option<String>,
    /// `feature_flag.key`.
    key: String,
    /// `deployment.environment.name` of the service that asks; absent means every environment.
    environment: Option<String>,
    /// `service.name` of the service that asks; absent means all.
    service: Option<String>,
    /// Since when, RFC 3339; now when absent.
    at: Option<String>,
    /// Weight of each variant, 0 to 1 and at most 1 in all; what is left goes to none of them. At most 16.
    variants: BTreeMap<String, f64>,
    /// Whether variants may be named that no trace has seen yet, of a flag that traces have seen; false when absent.
    new_variants: Option<bool>,
}

/// Weights that were declared.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeclaredFlag {
    id: String,
    key: String,
    environment: Option<String>,
    service: Option<String>,
    at_unix_nano: String,
    variants: BTreeMap<String, f64>,
}

impl From<FlagDeclaration> for DeclaredFlag {
    fn from(declaration: FlagDeclaration) -> Self {
        let variants = declaration.variants.into_iter().map(|(name, weight)| (name, weight.share())).collect();
        Self {
            id: declaration.id,
            key: declaration.key,
            environment: declaration.environment,
            service: declaration.service,
            at_unix_nano: nanos_of(declaration.at_unix_nano),
            variants,
        }
    }
}

/// What was taken.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeclaredFlagAnswer {
    declared: DeclaredFlag,
    /// Whether one of the same id was there, whose place it took.
    replaced: bool,
}

/// Declares how traffic is meant to be split between the variants of a flag, from now on or since `at`: where it is not, nothing is claimed about
/// them. It is on disk when this answers.
#[utoipa::path(post, path = "/api/v1/flags", tag = "machines", request_body = FlagRequest, responses(
    (status = 201, description = "Taken", body = DeclaredFlagAnswer),
    (status = 200, description = "Taken in the place of an earlier one of the same id", body = DeclaredFlagAnswer),
    (status = "4XX", description = "Why not", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", description = "Why not", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn declare(
    State(state): State<AppState>,
    body: Result<Bytes, BytesRejection>,
) -> ApiResult<(StatusCode, Json<DeclaredFlagAnswer>)> {
    let body = json(body)?;
    let (declaration, new_variants) = read(&body, state.clock.now())?;
    if !new_variants {
        check_variants(&state, &declaration)?;
    }
    let (correlator, taken) = (std::sync::Arc::clone(&state.correlator), declaration.clone());
    let replaced = tokio::task::spawn_blocking(move || correlator.declare_flag(taken)).await;
    let replaced = replaced.map_err(ApiError::internal)?.map_err(refused)?;
    let status = if replaced { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(DeclaredFlagAnswer { declared: declaration.into(), replaced })))
}

/// What the disk refuses may be taken later.
fn refused(error: QueryError) -> ApiError {
    tracing::warn!(%error, "declared weights of a flag are not taken");
    ApiError::overloaded("the weights cannot be kept now, for the disk takes no writes; send them again later")
}

fn read(body: &Value, now: UnixNanos) -> ApiResult<(FlagDeclaration, bool)> {
    let mut problems = Problems::default();
    let fields = Fields::of(body, &mut problems);
    fields.only(&FIELDS, &mut problems);
    let key = fields.required("key", &mut problems);
    let (environment, service) = (fields.text("environment", &mut problems), fields.text("service", &mut problems));
    let at = fields.instant("at", &mut problems).unwrap_or(now);
    check_time("at", at, now, &mut problems);
    let variants = weights(&fields, &mut problems);
    let new_variants = fields.flag("new_variants", &mut problems).unwrap_or(false);
    let of = |name: &Option<String>| name.clone().unwrap_or_else(|| "*".to_owned());
    let id = fields.text("id", &mut problems);
    let id = id.unwrap_or_else(|| format!("{key}/{}/{}/{}", of(&environment), of(&service), at.0));
    let declaration = FlagDeclaration { id, key, environment, service, at_unix_nano: at.0, variants };
    problems.or((declaration, new_variants))
}

/// The weights, each and all of them within what there is.
fn weights(fields: &Fields<'_>, problems: &mut Problems) -> BTreeMap<String, TrafficShare> {
    if !fields.has("variants") {
        problems.add("variants", "is missing: the weight of each variant, as in {\"on\": 0.1, \"off\": 0.9}");
        return BTreeMap::new();
    }
    let variants = fields.object("variants", problems);
    let names = variants.names();
    if !(2..=VARIANTS_MAX).contains(&names.len()) {
        problems.add("variants", format!("must name 2 to {VARIANTS_MAX} variants, the control among them"));
        return BTreeMap::new();
    }
    let named = |name: &str| !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.chars().any(char::is_control);
    if !names.iter().all(|name| named(name)) {
        problems.add("variants", "has a name that is empty, longer than 256 bytes or has control characters");
        return BTreeMap::new();
    }
    let weight = |name: &&str| Some(((*name).to_owned(), variants.share(name, problems)?));
    let weights: BTreeMap<String, TrafficShare> = names.iter().filter_map(weight).collect();
    let sum: f64 = weights.values().map(|weight| weight.share()).sum();
    if sum > 1.0 + ROUNDING {
        problems.add("variants", format!("are {sum:.3} in all, more than there is"));
    }
    weights
}

/// A name that no trace has seen is more often a slip than a new variant, and a slip is never tested.
fn check_variants(state: &AppState, declaration: &FlagDeclaration) -> ApiResult<()> {
    let flags = state.correlator.flags(declaration.environment.as_deref());
    let variants = flags.iter().filter(|flag| flag.key == declaration.key).flat_map(|flag| &flag.variants);
    let seen: BTreeSet<&str> = variants.map(|variant| variant.variant.as_str()).collect();
    let mut problems = Problems::default();
    if !seen.is_empty() {
        let list = seen.iter().copied().collect::<Vec<_>>().join(", ");
        for name in declaration.variants.keys().filter(|name| !seen.contains(name.as_str())) {
            let rule = format!(
                "was not seen in any trace; there are {list}. Send new_variants: true for one that is about to come"
            );
            problems.add(format!("variants.{name}"), rule);
        }
    }
    problems.or(())
}

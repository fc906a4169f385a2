//! How long an operation took before and after a release.

#![expect(unused_qualifications, reason = "the expansion of `utoipa::path` names the parameters' type in full")]

use axum::Json;
use axum::extract::State;
use daytwo_query as query;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::Freshness;
use super::dto::Quantiles;
use crate::error::{ApiError, ApiResult, Problem};
use crate::extract::{Params, Segments};
use crate::state::AppState;

/// Which distribution is asked for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DistributionParams {
    /// `deployment.environment.name`; absent means the one it came to last.
    env: Option<String>,
    /// The operation; absent means the whole service.
    operation: Option<String>,
}

/// Self time of an operation, before and after.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Distribution {
    #[serde(flatten)]
    freshness: Freshness,
    /// Empty for the whole service.
    operation: String,
    unit: &'static str,
    /// Log-spaced, ascending.
    bins: Vec<Bin>,
    quantiles: BeforeAfter,
}

/// Shares of each cohort in a range of time.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Bin {
    low_ms: f64,
    high_ms: f64,
    before: f64,
    after: f64,
}

/// Quantiles of both cohorts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BeforeAfter {
    before: Option<Quantiles>,
    after: Option<Quantiles>,
}

impl From<query::DistributionBin> for Bin {
    fn from(bin: query::DistributionBin) -> Self {
        Self { low_ms: bin.low_ms, high_ms: bin.high_ms, before: bin.before, after: bin.after }
    }
}

/// How long an operation took before and after a release.
#[utoipa::path(get, path = "/api/v1/deployments/{service}/{version}/distribution", tag = "board",
    params(("service" = String, Path), ("version" = String, Path), DistributionParams), responses(
    (status = 200, description = "The distribution", body = Distribution),
    (status = 404, description = "Not seen", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn distribution(
    State(state): State<AppState>,
    Segments((service, version)): Segments<(String, String)>,
    Params(params): Params<DistributionParams>,
) -> ApiResult<Json<Distribution>> {
    let operation = params.operation.as_deref().filter(|operation| !operation.is_empty());
    let found = state.correlator.distribution(&service, &version, operation, params.env.as_deref());
    let found = found.ok_or_else(|| ApiError::not_found("no distribution of that release and operation is held"))?;
    Ok(Json(Distribution {
        freshness: Freshness::of_correlator(&state),
        operation: found.operation.unwrap_or_default(),
        unit: "ms",
        bins: found.bins.into_iter().map(Bin::from).collect(),
        quantiles: BeforeAfter { before: found.before.map(Quantiles::from), after: found.after.map(Quantiles::from) },
    }))
}

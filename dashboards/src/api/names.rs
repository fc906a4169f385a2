//! The names in everything stored, however old: what a search can be completed with.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use daytwo_query::Names;
use serde::Serialize;
use utoipa::ToSchema;

use super::Freshness;
use crate::error::{ApiError, ApiResult, Problem};
use crate::state::AppState;

/// Routes of this resource.
pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/api/v1/names", get(names))
}

/// The names in everything stored, with the spans that have them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StoredNames {
    #[serde(flatten)]
    freshness: Freshness,
    services: Vec<StoredService>,
    environments: Vec<StoredName>,
    /// Keys of span attributes.
    span_attributes: Vec<StoredName>,
    /// Keys of resource attributes.
    resource_attributes: Vec<StoredName>,
    /// Whether there are more names of some kind than are listed.
    truncated: bool,
}

/// A service and what it does.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct StoredService {
    service: String,
    spans: u64,
    operations: Vec<StoredOperation>,
    versions: Vec<StoredName>,
}

/// An operation of a service.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StoredOperation {
    operation: String,
    /// OTLP span kind.
    kind: i32,
    spans: u64,
}

/// A name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StoredName {
    name: String,
    spans: u64,
}

/// Services, operations, versions, environments and attribute keys of everything stored.
#[utoipa::path(get, path = "/api/v1/names", tag = "data", responses(
    (status = 200, description = "The names", body = StoredNames),
    (status = "5XX", description = "Why not", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn names(State(state): State<AppState>) -> ApiResult<Json<StoredNames>> {
    let as_of = state.queries.as_of();
    let names = state.queries.catalogue().await.map_err(ApiError::from)?;
    let freshness = Freshness::new(as_of, names.partial.clone());
    Ok(Json(StoredNames::of(freshness, names)))
}

impl StoredNames {
    fn of(freshness: Freshness, names: Names) -> Self {
        let all = names.catalogue;
        let truncated = all.operations.overflow
            || all.versions.overflow
            || all.environments.overflow
            || all.span_keys.overflow
            || all.resource_keys.overflow;
        let mut services: BTreeMap<String, StoredService> = BTreeMap::new();
        for (name, spans) in all.operations.counts {
            let service = services.entry(name.service).or_default();
            service.spans = service.spans.saturating_add(spans);
            service.operations.push(StoredOperation { operation: name.operation, kind: name.kind, spans });
        }
        for (name, spans) in all.versions.counts {
            services.entry(name.service).or_default().versions.push(StoredName { name: name.version, spans });
        }
        let named = services.into_iter().map(|(service, stored)| StoredService { service, ..stored });
        Self {
            freshness,
            services: named.collect(),
            environments: listed(all.environments.counts),
            span_attributes: listed(all.span_keys.counts),
            resource_attributes: listed(all.resource_keys.counts),
            truncated,
        }
    }
}

fn listed(counts: BTreeMap<String, u64>) -> Vec<StoredName> {
    counts.into_iter().map(|(name, spans)| StoredName { name, spans }).collect()
}

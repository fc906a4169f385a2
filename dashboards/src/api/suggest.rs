//! The jump box: names that begin with, or hold, what was typed.

#![expect(unused_qualifications, reason = "the expansion of `utoipa::path` names the parameters' type in full")]

use std::collections::HashSet;
use std::time::Duration;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use daytwo_query::{DeploymentFilter, Names, TimeWindow, TraceId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::error::{ApiError, ApiResult};
use crate::extract::Params;
use crate::link::encoded;
use crate::state::AppState;

/// Suggestions given at most.
const SUGGESTIONS_MAX: usize = 20;

/// Names are those of the last day.
const RECENT: Duration = Duration::from_secs(86_400);

/// Routes of this resource.
pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/api/v1/suggest", get(suggest))
}

/// What was typed.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SuggestParams {
    /// Part of a service's, operation's or version's name, or a trace id.
    #[serde(default)]
    q: String,
}

/// Places to go, the best first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Suggestions {
    suggestions: Vec<Suggestion>,
}

/// A place to go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Suggestion {
    kind: Kind,
    text: String,
    /// Path of its page.
    href: String,
}

/// What a suggestion leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// A trace.
    Trace,
    /// A service.
    Service,
    /// A release.
    Deployment,
    /// An operation.
    Operation,
}

/// Places whose name holds what was typed.
#[utoipa::path(get, path = "/api/v1/suggest", tag = "board", params(SuggestParams), responses(
    (status = 200, description = "At most 20 places", body = Suggestions)))]
pub(crate) async fn suggest(
    State(state): State<AppState>,
    Params(params): Params<SuggestParams>,
) -> ApiResult<Json<Suggestions>> {
    let typed = params.q.trim().to_lowercase();
    let mut suggestions: Vec<Suggestion> = TraceId::from_hex(&typed).ok().map(trace).into_iter().collect();
    if suggestions.is_empty() {
        let mut all = names(&state);
        add_stored(&mut all, state.queries.catalogue().await.map_err(ApiError::from)?);
        suggestions = ranked(all, &typed);
    }
    Ok(Json(Suggestions { suggestions }))
}

fn trace(id: TraceId) -> Suggestion {
    Suggestion { kind: Kind::Trace, text: id.to_string(), href: format!("/traces/{id}") }
}

/// Every name that there is to suggest.
fn names(state: &AppState) -> Vec<Suggestion> {
    let now = state.clock.now();
    let window = TimeWindow { from: now.saturating_sub(RECENT), to: now };
    let mut services: Vec<String> =
        state.correlator.services(window, None).into_iter().map(|service| service.service).collect();
    services.dedup();
    let mut names = Vec::new();
    for service in services {
        let page = page(&service);
        for operation in state.correlator.operations(&service, window, None) {
            let text = format!("{service} {}", operation.operation);
            names.push(Suggestion { kind: Kind::Operation, text, href: page.clone() });
        }
        names.push(Suggestion { kind: Kind::Service, text: service, href: page });
    }
    for release in state.correlator.deployments(&DeploymentFilter::default()) {
        let href = format!("/deployments/{}/{}", encoded(&release.service), encoded(&release.version));
        names.push(Suggestion {
            kind: Kind::Deployment,
            text: format!("{} {}", release.service, release.version),
            href,
        });
    }
    names
}

/// Adds services and operations that are stored and have had no traffic lately.
fn add_stored(all: &mut Vec<Suggestion>, stored: Names) {
    let mut known: HashSet<(Kind, String)> = all.iter().map(|name| (name.kind, name.text.clone())).collect();
    for name in stored.catalogue.operations.counts.into_keys() {
        let href = page(&name.service);
        let operation = format!("{} {}", name.service, name.operation);
        for (kind, text) in [(Kind::Operation, operation), (Kind::Service, name.service)] {
            if known.insert((kind, text.clone())) {
                all.push(Suggestion { kind, text, href: href.clone() });
            }
        }
    }
}

fn page(service: &str) -> String {
    format!("/services/{}", encoded(service))
}

/// Those that hold `typed`: names that begin with it first, then by kind and name.
fn ranked(names: Vec<Suggestion>, typed: &str) -> Vec<Suggestion> {
    let mut found: Vec<(bool, Suggestion)> = names
        .into_iter()
        .map(|name| (name.text.to_lowercase(), name))
        .filter(|(text, _)| text.contains(typed))
        .map(|(text, name)| (!text.starts_with(typed), name))
        .collect();
    found.sort_by(|left, right| (left.0, left.1.kind, &left.1.text).cmp(&(right.0, right.1.kind, &right.1.text)));
    found.dedup_by(|left, right| left.1 == right.1);
    found.into_iter().map(|(_, name)| name).take(SUGGESTIONS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(kind: Kind, text: &str) -> Suggestion {
        Suggestion { kind, text: text.to_owned(), href: String::new() }
    }

    /// Scenario: services, operations and releases, of which some begin with, some hold, and some lack what was typed.
    /// Guarantees: beginnings come first, then services before releases before operations; doubles stand once.
    #[test]
    fn beginnings_come_first() {
        let names = vec![
            name(Kind::Operation, "cart POST /pay"),
            name(Kind::Service, "payment"),
            name(Kind::Deployment, "payment v2"),
            name(Kind::Service, "prepay"),
            name(Kind::Service, "payment"),
            name(Kind::Service, "email"),
        ];
        let found: Vec<String> = ranked(names, "pay").into_iter().map(|one| one.text).collect();
        assert_eq!(found, ["payment", "payment v2", "prepay", "cart POST /pay"]);
        assert_eq!(ranked(vec![name(Kind::Service, "x"); 3], "").len(), 1);
    }
}

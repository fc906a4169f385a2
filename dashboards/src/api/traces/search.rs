//! Finding traces.

#![expect(unused_qualifications, reason = "the expansion of `utoipa::path` names the parameters' type in full")]

use axum::Json;
use axum::extract::State;
use daytwo_query::{self as query, SEARCH_LIMIT_MAX, TraceId, TraceSearch, UnixNanos};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::super::{Freshness, nanos_of};
use super::Scan;
use crate::error::{ApiError, ApiResult, Problem};
use crate::extract::Params;
use crate::state::AppState;
use crate::time::{excerpt, range};

/// Traces given when the client does not say how many.
const LIMIT_DEFAULT: usize = 20;

/// Traces that match, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Traces {
    #[serde(flatten)]
    freshness: Freshness,
    traces: Vec<TraceSummary>,
    limit: u64,
    /// Whether more match than are given.
    truncated: bool,
    stats: Scan,
}

/// A trace in one line.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TraceSummary {
    trace_id: String,
    /// Null while no span without a parent is stored.
    root_service: Option<String>,
    root_operation: Option<String>,
    start_unix_nano: String,
    duration_ms: f64,
    spans: u64,
    errors: u64,
    services: Vec<ServiceSpans>,
    matched_spans: u64,
}

/// A service's part of a trace.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServiceSpans {
    service: String,
    spans: u64,
}

impl From<query::TraceSummary> for TraceSummary {
    fn from(summary: query::TraceSummary) -> Self {
        let services = summary.services.into_iter().map(|(service, spans)| ServiceSpans { service, spans });
        Self {
            trace_id: summary.trace_id.to_string(),
            root_service: summary.root_service,
            root_operation: summary.root_operation,
            start_unix_nano: nanos_of(summary.start_unix_nano),
            duration_ms: millis(summary.duration_ns),
            spans: summary.spans,
            errors: summary.errors,
            services: services.collect(),
            matched_spans: summary.matched_spans,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown in milliseconds; 2^53 ns are 104 days")]
fn millis(nanos: i64) -> f64 {
    nanos as f64 / 1e6
}

/// Summaries of some traces, those still stored.
pub(in crate::api) async fn summaries(state: &AppState, traces: &[TraceId]) -> ApiResult<Vec<TraceSummary>> {
    if traces.is_empty() {
        return Ok(Vec::new());
    }
    let found = state.queries.summaries(traces).await?;
    Ok(found.into_iter().map(TraceSummary::from).collect())
}

/// What to find; for the document only, since `attribute` may stand several times.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the parameters; they are read one by one")]
pub(crate) struct SearchParams {
    /// `service.name` of a span.
    service: Option<String>,
    /// Its name.
    operation: Option<String>,
    /// `error`, `ok` or `unset`.
    status: Option<String>,
    /// The span lasted at least this long, in milliseconds.
    min_duration_ms: Option<f64>,
    /// The span lasted at most this long, in milliseconds.
    max_duration_ms: Option<f64>,
    /// `key=value` of the span or its resource; may stand several times, all must hold.
    attribute: Option<String>,
    /// `deployment.environment.name`.
    env: Option<String>,
    /// 1 to 1000, default 20.
    limit: Option<u64>,
    /// Start of the range: `now-15m`, RFC 3339, or epoch milliseconds. Default `now-1h`.
    from: Option<String>,
    /// End of the range. Default `now`.
    to: Option<String>,
}

/// The newest traces with a span that matches all of it.
#[utoipa::path(get, path = "/api/v1/traces", tag = "data", params(SearchParams), responses(
    (status = 200, description = "The traces", body = Traces),
    (status = "4XX", description = "Why not", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn traces(
    State(state): State<AppState>,
    Params(pairs): Params<Vec<(String, String)>>,
) -> ApiResult<Json<Traces>> {
    let search = wanted(&pairs, state.clock.now())?;
    let as_of = state.queries.as_of();
    let answer = state.queries.search(search).await?;
    Ok(Json(Traces {
        freshness: Freshness::new(as_of, answer.partial),
        traces: answer.traces.into_iter().map(TraceSummary::from).collect(),
        limit: answer.limit as u64,
        truncated: answer.truncated,
        stats: answer.stats.into(),
    }))
}

/// Reads the parameters. Unknown ones are ignored, as everywhere in the API; empty ones count as absent.
fn wanted(pairs: &[(String, String)], now: UnixNanos) -> ApiResult<TraceSearch> {
    let mut search = TraceSearch { limit: LIMIT_DEFAULT, ..TraceSearch::default() };
    let (mut from, mut to) = (None, None);
    for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        match name.as_str() {
            "service" => search.service = Some(value.clone()),
            "operation" => search.operation = Some(value.clone()),
            "env" => search.environment = Some(value.clone()),
            "status" => search.status = Some(status(value)?),
            "min_duration_ms" => search.min_duration_ns = Some(duration(name, value)?),
            "max_duration_ms" => search.max_duration_ns = Some(duration(name, value)?),
            "attribute" => search.attributes.push(attribute(value)?),
            "limit" => search.limit = limit(value)?,
            "from" => from = Some(value.as_str()),
            "to" => to = Some(value.as_str()),
            _ => {}
        }
    }
    let range = range(from, to, now)?;
    Ok(TraceSearch { from: Some(range.from), to: Some(range.to), ..search })
}

fn status(text: &str) -> ApiResult<i32> {
    match text {
        "unset" => Ok(0),
        "ok" => Ok(1),
        "error" => Ok(2),
        _ => Err(ApiError::bad_request("`status` is error, ok or unset")),
    }
}

fn duration(name: &str, text: &str) -> ApiResult<i64> {
    let millis = text.parse::<f64>().ok().filter(|millis| (0.0..=1e12).contains(millis));
    let millis = millis
        .ok_or_else(|| ApiError::bad_request(format!("`{name}={}` is no number of milliseconds", excerpt(text))))?;
    #[expect(clippy::cast_possible_truncation, reason = "at most 1e18, which fits; parts of a nanosecond may go")]
    Ok((millis * 1e6) as i64)
}

fn attribute(text: &str) -> ApiResult<(String, String)> {
    let (key, value) = text
        .split_once('=')
        .filter(|(key, _)| !key.is_empty())
        .ok_or_else(|| ApiError::bad_request(format!("`attribute={}` is not key=value", excerpt(text))))?;
    Ok((key.to_owned(), value.to_owned()))
}

fn limit(text: &str) -> ApiResult<usize> {
    let limit = text.parse::<usize>().ok().filter(|limit| (1..=SEARCH_LIMIT_MAX).contains(limit));
    limit.ok_or_else(|| ApiError::bad_request(format!("`limit` is a number from 1 to {SEARCH_LIMIT_MAX}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixNanos = UnixNanos(1_700_000_000_000_000_000);

    fn read(query: &[(&str, &str)]) -> ApiResult<TraceSearch> {
        let pairs: Vec<(String, String)> =
            query.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        wanted(&pairs, NOW)
    }

    /// Scenario: every parameter, one of them twice, one unknown, one empty.
    /// Guarantees: each lands in its field; durations become nanoseconds; the unknown and the empty change nothing.
    #[test]
    fn parameters_become_a_search() {
        let search = read(&[
            ("service", "checkout"),
            ("operation", "POST /charge"),
            ("status", "error"),
            ("min_duration_ms", "1.5"),
            ("attribute", "a=b=c"),
            ("attribute", "d="),
            ("limit", "1000"),
            ("env", ""),
            ("unknown", "x"),
        ]);
        let expected = TraceSearch {
            service: Some("checkout".into()),
            operation: Some("POST /charge".into()),
            status: Some(2),
            min_duration_ns: Some(1_500_000),
            attributes: vec![("a".into(), "b=c".into()), ("d".into(), String::new())],
            from: Some(UnixNanos(NOW.0 - 3_600_000_000_000)),
            to: Some(NOW),
            limit: 1000,
            ..TraceSearch::default()
        };
        assert_eq!(search.unwrap(), expected);
    }

    /// Scenario: a bad value for each parameter that has a form.
    /// Guarantees: 400, never a search that silently ignores what was asked.
    #[test]
    fn bad_values_are_refused() {
        for pair in [
            ("status", "ERROR!"),
            ("min_duration_ms", "-1"),
            ("max_duration_ms", "NaN"),
            ("attribute", "novalue"),
            ("attribute", "=v"),
            ("limit", "0"),
            ("limit", "1001"),
            ("from", "tomorrow"),
        ] {
            let error = read(&[pair]).unwrap_err();
            assert_eq!(error.status(), http::StatusCode::BAD_REQUEST, "{pair:?}");
        }
    }
}

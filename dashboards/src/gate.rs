//! The outermost layer of the web port: names each request, guards against other sites, and writes the body of every error.

use std::panic::AssertUnwindSafe;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use tracing::{error, warn};

use crate::error::{ApiError, ErrorCode};
use crate::state::AppState;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Policy of everything that is not a page: should a browser show it as one after all, nothing in it loads or runs.
const API_POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

/// Runs the request inside the guards.
pub(crate) async fn pass(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let request_id = format!("r{:06}", state.http.begin());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = match refusal(&state.identity.allowed_hosts, &request) {
        Some(refusal) => refusal.into_response(),
        None => run(next, request).await,
    };
    if let Some(problem) = response.extensions_mut().remove::<ApiError>() {
        log(&problem, &request_id, &method, &path);
        write_problem(&mut response, &problem, &request_id);
    }
    state.http.finish(response.status());
    add_headers(response.headers_mut(), &request_id, &path);
    response
}

/// Runs the handler; a panic in it is this request's failure and nobody else's.
async fn run(next: Next, request: Request) -> Response {
    let outcome = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    outcome.unwrap_or_else(|_| ApiError::internal("the handler panicked; the lines above say where").into_response())
}

fn log(problem: &ApiError, request_id: &str, method: &Method, path: &str) {
    let cause = problem.cause_chain().unwrap_or_else(|| problem.message().to_owned());
    match problem.code() {
        ErrorCode::Internal => error!(request_id, %method, ?path, cause = ?cause, "request failed"),
        ErrorCode::Overloaded | ErrorCode::Timeout => {
            warn!(request_id, %method, ?path, cause = ?cause, "request refused")
        }
        ErrorCode::BadRequest | ErrorCode::NotFound | ErrorCode::TooLarge => {}
    }
}

fn write_problem(response: &mut Response, problem: &ApiError, request_id: &str) {
    let body = serde_json::to_vec(&problem.problem(request_id.to_owned())).unwrap_or_default();
    response.headers_mut().insert(header::CONTENT_TYPE, PROBLEM_JSON);
    response.headers_mut().remove(header::CONTENT_LENGTH);
    *response.body_mut() = Body::from(body);
}

fn add_headers(headers: &mut HeaderMap, request_id: &str, path: &str) {
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(API_POLICY);
    if path.starts_with("/api/") {
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
    if let Ok(value) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, value);
    }
}

/// Why a request is not let in, if so.
fn refusal(allowed_hosts: &[String], request: &Request) -> Option<ApiError> {
    if matches!(request.uri().path(), "/healthz" | "/readyz" | "/metrics") {
        return None;
    }
    let host = host_of(request.uri(), request.headers());
    if !is_allowed(allowed_hosts, host) {
        let message = "this host name is not served; open the address that the server printed, or add the name to dashboards.allowed_hosts";
        return Some(ApiError::refused(StatusCode::MISDIRECTED_REQUEST, message));
    }
    let foreign =
        request.headers().get("sec-fetch-site").is_some_and(|site| site == "cross-site" || site == "same-site");
    (foreign && request.method() == Method::POST)
        .then(|| ApiError::refused(StatusCode::FORBIDDEN, "requests from other sites are refused"))
}

fn host_of<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    uri.host().or_else(|| headers.get(header::HOST)?.to_str().ok())
}

/// Whether a `Host` value, whatever its port, is one of ours. A page of another site that made its name point to this
/// machine (DNS rebinding) still sends its own name here.
fn is_allowed(allowed: &[String], host: Option<&str>) -> bool {
    let Some(host) = host else { return allowed.is_empty() };
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _port)) => address,
        None => host.rsplit_once(':').map_or(host, |(name, _port)| name),
    };
    allowed.is_empty() || allowed.iter().any(|ours| ours.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: host headers as browsers and tools send them, and one of a rebinding site.
    /// Guarantees: the port does not matter, the name does; without a list every name passes.
    #[test]
    fn only_known_hosts_pass() {
        let ours: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(String::from).to_vec();
        for (host, passes) in [
            ("localhost", true),
            ("LOCALHOST:8080", true),
            ("127.0.0.1:8080", true),
            ("[::1]:8080", true),
            ("evil.example:8080", false),
            ("localhost.evil.example", false),
            ("", false),
        ] {
            assert_eq!(is_allowed(&ours, Some(host)), passes, "{host:?}");
        }
        assert!(!is_allowed(&ours, None));
        assert!(is_allowed(&[], Some("anything")));
    }
}

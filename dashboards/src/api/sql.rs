//! SQL over HTTP: one read-only statement in, rows out as JSON, CSV or Arrow.

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use daytwo_query::answer::{Format, encode};
use futures::TryStreamExt;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::error::{ApiError, ApiResult, Problem};
use crate::state::AppState;

/// Bytes of a request's body.
const BODY_BYTES_MAX: usize = 64 << 10;

/// Routes of this resource.
pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/api/v1/sql", post(sql)).layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

/// A statement to answer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SqlRequest {
    /// One `SELECT`, `WITH` or `EXPLAIN`.
    query: String,
}

/// The rows of an answer in JSON; describes what is streamed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SqlRows {
    columns: Vec<SqlColumn>,
    /// 64-bit integers are strings, bytes lower-case hexadecimal.
    rows: Vec<Vec<Value>>,
    row_count: u64,
    /// Whether the limit of rows or bytes ended the answer.
    truncated: bool,
    /// What is missing from the answer, in sentences.
    partial: Vec<String>,
    elapsed_ms: f64,
}

/// A column of an answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SqlColumn {
    name: String,
    /// As SQL names it.
    #[serde(rename = "type")]
    kind: String,
}

/// One read-only statement; `Accept` chooses JSON, CSV or an Arrow stream. A client that goes away stops the query.
#[utoipa::path(post, path = "/api/v1/sql", tag = "data", request_body(content(
        (SqlRequest = "application/json"), (String = "application/sql"), (String = "text/plain"))),
    responses(
    (status = 200, description = "The rows", content((SqlRows = "application/json"), (String = "text/csv"),
        (Vec<u8> = "application/vnd.apache.arrow.stream"))),
    (status = "4XX", description = "Why not", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", description = "Why not", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn sql(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> ApiResult<Response> {
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::too_large(format!("a statement has at most {BODY_BYTES_MAX} bytes")),
        _ => ApiError::bad_request(rejection.body_text()),
    })?;
    let text = statement(&headers, &body)?;
    let format = accepted(&headers)?;
    let answer = state.queries.sql(&text).await?;
    // Status and headers are out by the time a row fails to be read: the stream then breaks off, and so does the body.
    let rows = encode(answer, format).inspect_err(|error| tracing::warn!(%error, "an answer broke off"));
    let content_type = HeaderValue::from_static(format.content_type());
    Ok(([(header::CONTENT_TYPE, content_type)], Body::from_stream(rows)).into_response())
}

/// The statement in a body, by its content type; none at all means JSON.
fn statement(headers: &HeaderMap, body: &[u8]) -> ApiResult<String> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match media_type(content_type).as_str() {
        "" | "application/json" => {
            let request: SqlRequest = serde_json::from_slice(body).map_err(|error| {
                ApiError::bad_request(format!("the body is not {{\"query\":\"SELECT …\"}}: {error}"))
            })?;
            Ok(request.query)
        }
        "application/sql" | "text/plain" => {
            String::from_utf8(body.to_vec()).map_err(|_| ApiError::bad_request("the statement is not UTF-8"))
        }
        _ => Err(ApiError::refused(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "send application/json with {\"query\":\"SELECT …\"}, or application/sql with the bare text",
        )),
    }
}

/// The form that the client takes: the first one in `Accept` that we have.
fn accepted(headers: &HeaderMap) -> ApiResult<Format> {
    let Some(accept) = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()) else {
        return Ok(Format::Json);
    };
    let known = accept.split(',').find_map(|range| match media_type(range).as_str() {
        "application/json" | "application/*" | "*/*" => Some(Format::Json),
        "text/csv" | "text/*" => Some(Format::Csv),
        "application/vnd.apache.arrow.stream" => Some(Format::Arrow),
        _ => None,
    });
    known.ok_or_else(|| {
        ApiError::refused(
            StatusCode::NOT_ACCEPTABLE,
            "answers come as application/json, text/csv or application/vnd.apache.arrow.stream",
        )
    })
}

/// A media type without its parameters, in lower case.
fn media_type(text: &str) -> String {
    text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: header::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    /// Scenario: what browsers, curl, the board, pandas and a client that wants XML accept.
    /// Guarantees: each gets the form it asked for first; nobody gets a form it did not ask for.
    #[test]
    fn accept_chooses_the_form() {
        for (value, format) in [
            ("*/*", Some(Format::Json)),
            ("application/json", Some(Format::Json)),
            ("text/csv; charset=utf-8", Some(Format::Csv)),
            ("application/xml, text/csv;q=0.5", Some(Format::Csv)),
            ("APPLICATION/VND.APACHE.ARROW.STREAM", Some(Format::Arrow)),
            ("application/xml", None),
        ] {
            assert_eq!(accepted(&header(header::ACCEPT, value)).ok(), format, "{value:?}");
        }
        assert_eq!(accepted(&HeaderMap::new()).ok(), Some(Format::Json));
    }

    /// Scenario: a statement as JSON, as bare text, and in forms that are not understood.
    /// Guarantees: the text arrives unchanged, or the error says what to send.
    #[test]
    fn bodies_become_statements() {
        let json = header(header::CONTENT_TYPE, "application/json; charset=utf-8");
        let sql = header(header::CONTENT_TYPE, "application/sql");
        assert_eq!(statement(&json, br#"{"query":"SELECT 1"}"#).unwrap(), "SELECT 1");
        assert_eq!(statement(&HeaderMap::new(), br#"{"query":"SELECT 1"}"#).unwrap(), "SELECT 1");
        assert_eq!(statement(&sql, b"SELECT 1").unwrap(), "SELECT 1");
        let status = |headers: &HeaderMap, body: &[u8]| statement(headers, body).unwrap_err().status();
        assert_eq!(status(&json, b"SELECT 1"), StatusCode::BAD_REQUEST);
        assert_eq!(status(&json, br#"{"sql":"SELECT 1"}"#), StatusCode::BAD_REQUEST);
        assert_eq!(status(&sql, b"\xff"), StatusCode::BAD_REQUEST);
        assert_eq!(status(&header(header::CONTENT_TYPE, "text/xml"), b"<q/>"), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
}

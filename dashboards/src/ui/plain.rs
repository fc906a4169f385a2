//! What `/` shows in a binary built without pages.

use axum::response::{Html, IntoResponse, Response};
use http::{Method, StatusCode, Uri};

use crate::error::ApiError;

const PAGE: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Daytwo</title>
<h1>Daytwo</h1>
<p>This binary was built without pages (<code>--no-default-features</code>). The HTTP API is here:</p>
<ul>
<li><a href=\"/api/v1/status\">/api/v1/status</a>: what the server does</li>
<li><a href=\"/api/v1/services\">/api/v1/services</a>, <a href=\"/api/v1/slos\">/api/v1/slos</a>, <a href=\"/api/v1/deployments\">/api/v1/deployments</a></li>
<li><code>POST /api/v1/sql</code> with <code>{\"query\":\"SELECT count(*) FROM spans\"}</code></li>
<li><a href=\"/api/v1/openapi.json\">/api/v1/openapi.json</a>: all of it, described for programs</li>
</ul></html>
";

/// Answers `/` with the explanation, everything else with 404.
pub(super) async fn page(method: Method, uri: Uri) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return ApiError::refused(StatusCode::METHOD_NOT_ALLOWED, "this path answers GET only").into_response();
    }
    if uri.path() == "/" {
        return Html(PAGE).into_response();
    }
    ApiError::not_found("there is nothing under this path").into_response()
}

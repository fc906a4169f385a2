//! The embedded pages of `daytwo-ui`.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use daytwo_ui::Asset;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};

use crate::error::ApiError;

/// Answers with an asset, or with the page for any path that a page may have.
pub(super) async fn page(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path();
    if method != Method::GET && method != Method::HEAD {
        return ApiError::refused(StatusCode::METHOD_NOT_ALLOWED, "this path answers GET only").into_response();
    }
    if let Some(asset) = daytwo_ui::asset(path) {
        return send(&headers, asset);
    }
    if is_for_programs(path) {
        return ApiError::not_found("there is nothing under this path").into_response();
    }
    send(&headers, daytwo_ui::index_html(path))
}

fn send(request: &HeaderMap, asset: Asset) -> Response {
    let etag = HeaderValue::from_str(&asset.etag).ok();
    let known = request.get(header::IF_NONE_MATCH).is_some_and(|seen| names(seen, &asset.etag));
    let mut response = if known { StatusCode::NOT_MODIFIED.into_response() } else { body(request, &asset) };
    let headers = response.headers_mut();
    let cache = if asset.immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
    insert(headers, header::CACHE_CONTROL, cache);
    insert(headers, header::VARY, "Accept-Encoding");
    insert(headers, header::CONTENT_SECURITY_POLICY, daytwo_ui::CONTENT_SECURITY_POLICY);
    headers.extend(etag.map(|etag| (header::ETAG, etag)));
    response
}

fn body(request: &HeaderMap, asset: &Asset) -> Response {
    let packed = asset.gzip.as_ref().filter(|_| accepts_gzip(request));
    let bytes = packed.unwrap_or(&asset.bytes).clone().into_owned();
    let mut response = Response::new(Body::from(bytes));
    insert(response.headers_mut(), header::CONTENT_TYPE, asset.content_type);
    if packed.is_some() {
        insert(response.headers_mut(), header::CONTENT_ENCODING, "gzip");
    }
    response
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}

/// Whether an `If-None-Match` value names this tag. Weak forms count: proxies that compress make tags weak.
fn names(seen: &HeaderValue, etag: &str) -> bool {
    let Ok(seen) = seen.to_str() else { return false };
    seen.split(',').map(str::trim).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    let Some(accepted) = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    accepted.split(',').any(|coding| {
        let (name, quality) = coding.split_once(';').map_or((coding, ""), |(name, quality)| (name, quality));
        name.trim().eq_ignore_ascii_case("gzip") && !matches!(quality.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
    })
}

/// Paths that never show a page: a program asked, and must not get HTML for a typing error.
fn is_for_programs(path: &str) -> bool {
    ["/api", "/assets", "/jaeger", "/tempo", "/v1"]
        .iter()
        .any(|root| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: what browsers, curl and a client that refuses gzip send.
    /// Guarantees: gzip goes only to those who take it.
    #[test]
    fn gzip_only_for_those_who_take_it() {
        for (value, takes) in [
            ("gzip, deflate, br", true),
            ("br;q=1.0, gzip;q=0.8", true),
            ("gzip;q=0", false),
            ("identity", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(value))]);
            assert_eq!(accepts_gzip(&headers), takes, "{value:?}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }

    /// Scenario: one tag, a list, a weak tag, another tag.
    /// Guarantees: a client that has the content is told so.
    #[test]
    fn entity_tags_compare_weakly() {
        for (value, same) in
            [("\"a\"", true), ("\"b\", \"a\"", true), ("W/\"a\"", true), ("*", true), ("\"b\"", false), ("a", false)]
        {
            assert_eq!(names(&HeaderValue::from_static(value), "\"a\""), same, "{value:?}");
        }
    }
}

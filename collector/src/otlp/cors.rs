//! CORS: lets the exporters of web pages of named origins export over HTTP, and read how that went.
//!
//! Off unless origins are named. Cookies and other credentials that a browser adds by itself are never asked for; a page that has a
//! token shows it itself.

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue, ORIGIN, VARY,
};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use http_body_util::{BodyExt, Empty};

use super::Reply;

/// How long a browser may remember the answer to a preflight, in seconds. Ten minutes: an origin that is taken off the list is out soon.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// Whether `origin` is one as browsers write it: scheme, host and port, nothing after them.
pub(crate) fn is_origin(origin: &str) -> bool {
    let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    host.is_some_and(|host| !host.is_empty() && host.bytes().all(plain))
}

/// The origin of a request, if it is one of `allowed`.
fn allowed_origin<'h>(allowed: &[String], headers: &'h HeaderMap) -> Option<&'h HeaderValue> {
    let origin = headers.get(ORIGIN)?;
    allowed.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(origin.as_bytes())).then_some(origin)
}

/// The answer to a browser that asks whether it may export; `None` for any other request. It comes before tokens are looked at: a
/// browser asks without them.
pub(super) fn preflight(allowed: &[String], parts: &Parts) -> Option<Reply> {
    let asks = parts.method == Method::OPTIONS && parts.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    allowed_origin(allowed, &parts.headers).filter(|_| asks)?;
    let mut reply = Response::new(Empty::<Bytes>::new().boxed_unsync());
    *reply.status_mut() = StatusCode::NO_CONTENT;
    let headers = reply.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
    headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    if let Some(names) = parts.headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        // Whatever the page wants to send: SDKs let users add headers, and none of them does harm here.
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    for name in ["access-control-request-method", "access-control-request-headers"] {
        headers.append(VARY, HeaderValue::from_static(name));
    }
    Some(reply)
}

/// Lets a page of an allowed origin read the answer, whatever it is.
pub(super) fn show(allowed: &[String], request: &HeaderMap, reply: &mut Reply) {
    if allowed.is_empty() {
        return;
    }
    let headers = reply.headers_mut();
    // Caches must not give the answer for one origin to another.
    headers.append(VARY, HeaderValue::from_static("origin"));
    if let Some(origin) = allowed_origin(allowed, request) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("retry-after"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: origins as browsers write them, and what people write instead.
    /// Guarantees: only the former could ever be equal to what a browser sends.
    #[test]
    fn an_origin_has_no_path_and_no_star() {
        for good in ["https://shop.example", "http://localhost:3000", "http://[::1]:8080"] {
            assert!(is_origin(good), "{good}");
        }
        for bad in
            ["", "*", "null", "https://", "shop.example", "https://shop.example/", "https://*.example", "file://x"]
        {
            assert!(!is_origin(bad), "{bad}");
        }
    }
}

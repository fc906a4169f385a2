//! OTLP/HTTP through hyper's client, and through a bare socket where the client is too polite.

use ::http::{HeaderMap, Method, StatusCode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic_types::pb;

use super::*;

pub(super) const PROTOBUF: &str = "application/x-protobuf";
pub(super) const JSON: &str = "application/json";

/// What came back.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answered {
    fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Code of the `google.rpc.Status` in the body, in whichever encoding the header says.
    pub(super) fn rpc_code(&self) -> i32 {
        match self.headers["content-type"].to_str().unwrap() {
            JSON => i32::try_from(self.json()["code"].as_i64().unwrap()).unwrap(),
            PROTOBUF => pb::Status::decode(self.body.clone()).unwrap().code,
            other => panic!("{other}"),
        }
    }
}

pub(super) async fn send(
    running: &Running,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
    http2: bool,
) -> Answered {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).http2_only(http2).build_http();
    let mut request = ::http::Request::builder().method(method).uri(format!("http://{}{path}", running.http));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = client.request(request.body(Full::new(Bytes::from(body))).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    Answered { status: parts.status, headers: parts.headers, body: body.collect().await.unwrap().to_bytes() }
}

pub(super) async fn post(running: &Running, kind: &str, encoding: Option<&str>, body: Vec<u8>) -> Answered {
    let mut headers = vec![("content-type", kind)];
    headers.extend(encoding.map(|encoding| ("content-encoding", encoding)));
    send(running, Method::POST, "/v1/traces", &headers, body, false).await
}

const SPAN_JSON: &str = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[
    {"traceId":"0AF7651916CD43DD8448EB211C80319C","spanId":"b7ad6b7169203331","name":"a","kind":"SPAN_KIND_SERVER"},
    {"traceId":"7+8py1==","spanId":"b7ad6b7169203331","name":"b"}]}]}]}"#;

/// Scenario: good, empty and half-bad bodies in both encodings, over HTTP/1.1 and HTTP/2, with every compression.
/// Guarantees: 200 in the request's own encoding; `{}` or an empty message unless spans were rejected (O-02 to O-06, O-10, O-30).
#[tokio::test]
async fn both_encodings_are_answered_in_kind() {
    let running = start(CollectorConfig::default()).await;
    for http2 in [false, true] {
        for encoding in ["none", "identity", "GZIP", "gzip", "zstd"] {
            let packed = |body: &[u8]| match encoding {
                "gzip" | "GZIP" => gzip(body),
                "zstd" => zstd::encode_all(body, 1).unwrap(),
                _ => body.to_vec(),
            };
            let send = |kind: &'static str, path: &'static str, body: Vec<u8>| {
                let headers = [("content-type", kind), ("content-encoding", encoding)];
                let running = &running;
                async move { send(running, Method::POST, path, &headers, body, http2).await }
            };
            let full = send(PROTOBUF, "/v1/traces", packed(&request(vec![span(1)]).encode_to_vec())).await;
            assert_eq!((full.status, full.body.len()), (StatusCode::OK, 0));
            let half = send("Application/X-Protobuf", "/v1/traces/", packed(&half_bad().encode_to_vec())).await;
            let partial = ExportTraceServiceResponse::decode(half.body).unwrap().partial_success.unwrap();
            assert_eq!((half.headers["content-type"].to_str().unwrap(), partial.rejected_spans), (PROTOBUF, 1));
            let empty = send("application/json; charset=utf-8", "/v1/traces", packed(b"{}")).await;
            assert_eq!((empty.status, &*empty.body), (StatusCode::OK, &b"{}"[..]));
            let half = send(JSON, "/v1/traces", packed(SPAN_JSON.as_bytes())).await;
            assert_eq!((half.status, half.headers["content-type"].to_str().unwrap()), (StatusCode::OK, JSON));
            assert_eq!(half.json()["partialSuccess"]["rejectedSpans"], "1");
        }
    }
}

/// Method, path, headers, body, HTTP status, gRPC code, content type of the answer.
type Case<'t> = (Method, &'t str, Vec<(&'t str, &'t str)>, &'t [u8], u16, i32, &'t str);

/// Scenario: every kind of request that cannot be served.
/// Guarantees: its status, and a `google.rpc.Status` in the request's encoding, JSON when that is unknown (O-04, O-05, O-11, O-42).
#[tokio::test]
async fn refusals_have_their_status_and_body() {
    let running = start(CollectorConfig::default()).await;
    let proto = ("content-type", PROTOBUF);
    let json = ("content-type", JSON);
    let encoding = |name| ("content-encoding", name);
    let table: Vec<Case<'_>> = vec![
        (Method::GET, "/v1/traces", vec![], b"", 405, 12, JSON),
        (Method::PUT, "/v1/traces", vec![proto], b"", 405, 12, PROTOBUF),
        (Method::POST, "/v1/traces", vec![], b"", 415, 3, JSON),
        (Method::POST, "/v1/traces", vec![("content-type", "text/plain")], b"", 415, 3, JSON),
        (Method::POST, "/v1/metrics", vec![proto], b"", 404, 12, PROTOBUF),
        (Method::POST, "/", vec![json], b"{}", 404, 12, JSON),
        (Method::POST, "/v1/traces", vec![proto], b"garbage", 400, 3, PROTOBUF),
        (Method::POST, "/v1/traces", vec![json], b"{", 400, 3, JSON),
        (Method::POST, "/v1/traces", vec![json], b"{}x", 400, 3, JSON),
        (Method::POST, "/v1/traces", vec![json], b"[]", 400, 3, JSON),
        (Method::POST, "/v1/traces", vec![json, encoding("br")], b"{}", 415, 12, JSON),
        (Method::POST, "/v1/traces", vec![json, encoding("gzip, gzip")], b"{}", 415, 12, JSON),
        (Method::POST, "/v1/traces", vec![proto, encoding("gzip")], b"no gzip", 400, 3, PROTOBUF),
        (Method::POST, "/v1/traces", vec![json, encoding("zstd")], b"no zstd", 400, 3, JSON),
    ];
    for (method, path, headers, body, status, code, kind) in table {
        let what = format!("{method} {path} {headers:?}");
        let answered = send(&running, method, path, &headers, body.to_vec(), false).await;
        assert_eq!((answered.status.as_u16(), answered.rpc_code()), (status, code), "{what}");
        assert_eq!(answered.headers["content-type"], kind, "{what}");
        assert_eq!(answered.headers.contains_key("allow"), status == 405, "{what}");
    }
}

/// Scenario: bodies at the limit and one byte over it, plain and compressed, and bombs.
/// Guarantees: at the limit 200; over it 413 with a Status, never retryable (O-12, O-20).
#[tokio::test]
async fn the_limit_is_exact() {
    let running = start(CollectorConfig { request_bytes_max: 100_000, ..CollectorConfig::default() }).await;
    let padded = |length: usize| {
        let mut body = b"{\"pad\":\"\"}".to_vec();
        let pad = vec![b'x'; length - body.len()];
        body.splice(8..8, pad);
        body
    };
    for (length, expected) in [(99_999, 200), (100_000, 200), (100_001, 413), (5_000_000, 413)] {
        let body = padded(length);
        let zstd = zstd::encode_all(body.as_slice(), 1).unwrap();
        for (encoding, body) in [(None, body.clone()), (Some("gzip"), gzip(&body)), (Some("zstd"), zstd)] {
            let answered = post(&running, JSON, encoding, body).await;
            assert_eq!(answered.status.as_u16(), expected, "{length} {encoding:?}");
            assert!(!answered.headers.contains_key("retry-after"));
            if expected == 413 {
                assert_eq!(answered.rpc_code(), 8);
            }
        }
    }
}

/// Scenario: on one HTTP/1.1 connection, chunked and plain requests, good, refused before and after their body is read.
/// Guarantees: every answer belongs to its request; the connection is never out of step (O-06).
#[tokio::test]
async fn a_connection_stays_in_step() {
    let running = start(CollectorConfig { request_bytes_max: 1000, ..CollectorConfig::default() }).await;
    let mut stream = TcpStream::connect(running.http).await.unwrap();
    let head = "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: ";
    let requests = [
        (format!("{head}application/json\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{{\r\n1\r\n}}\r\n0\r\n\r\n"), "200"),
        (format!("{head}text/plain\r\nContent-Length: 5\r\n\r\nhello"), "415"),
        (format!("{head}application/json\r\nContent-Length: 2\r\n\r\n{{}}"), "200"),
        (format!("{head}application/json\r\nContent-Length: 3\r\n\r\nbad"), "400"),
        (format!("{head}application/json\r\nContent-Length: 2000\r\n\r\n{}", "x".repeat(2000)), "413"),
        (format!("{head}application/json\r\nContent-Length: 2\r\n\r\n{{}}"), "200"),
    ];
    for (text, expected) in requests {
        stream.write_all(text.as_bytes()).await.unwrap();
        let (status, _) = read_answer(&mut stream).await;
        assert_eq!(status, expected);
    }
}

/// Reads one answer with a content length; gives back its status code and body.
pub(super) async fn read_answer(stream: &mut (impl AsyncRead + Unpin)) -> (String, String) {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return (head[9..12].to_owned(), body.to_owned());
            }
        }
        let mut buffer = [0; 4096];
        let count = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut buffer)).await.unwrap().unwrap();
        assert!(count > 0, "closed after {text:?}");
        bytes.extend_from_slice(&buffer[..count]);
    }
}

/// Scenario: a head that never ends, a body that stops, and a connection that says nothing.
/// Guarantees: the connection is closed, or the body refused as retryable, within the read timeout (O-84).
#[tokio::test]
async fn slow_senders_are_not_waited_for() {
    let config = CollectorConfig { read_timeout: Duration::from_millis(200), ..CollectorConfig::default() };
    let running = start(config).await;
    for (text, expected) in [
        ("", ""),
        ("POST /v1/traces HTTP/1.1\r\nHost: x\r\n", ""),
        ("POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{", "503"),
    ] {
        let mut stream = TcpStream::connect(running.http).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        if expected.is_empty() {
            let mut rest = Vec::new();
            let closed = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await;
            assert!(closed.is_ok(), "{text}");
        } else {
            assert_eq!(read_answer(&mut stream).await.0, expected);
        }
    }
}

/// Scenario: preflights and exports, accepted and refused, from a page of an allowed origin, of another one, and of none; with
/// tokens asked for; then with CORS off.
/// Guarantees: the allowed origin is told that it may and reads every answer, 401 and 413 included (O-60, O-61); nobody else gets a
/// header, credentials are never allowed (O-62).
#[tokio::test]
async fn pages_of_named_origins_may_export() {
    const SHOP: (&str, &str) = ("origin", "https://shop.example");
    let files = TestFiles::default();
    files.put("token", b"secret");
    let access = AccessConfig { bearer_token_files: vec!["token".into()], ..AccessConfig::default() };
    let open = || Access::open(&access, &files.reader()).unwrap();
    let origins = vec!["http://localhost:3000".to_owned(), "https://Shop.example".to_owned()];
    let on = CollectorConfig { cors_allowed_origins: origins, request_bytes_max: 1000, ..CollectorConfig::default() };
    let running = start_with(on, open()).await;
    let asks =
        [SHOP, ("access-control-request-method", "POST"), ("access-control-request-headers", "authorization,x-tenant")];
    let allowed = send(&running, Method::OPTIONS, "/v1/traces", &asks, Vec::new(), false).await;
    assert_eq!((allowed.status.as_u16(), allowed.body.len()), (204, 0));
    for (name, value) in [
        ("access-control-allow-origin", SHOP.1),
        ("access-control-allow-methods", "POST"),
        ("access-control-allow-headers", "authorization,x-tenant"),
        ("access-control-max-age", "600"),
    ] {
        assert_eq!(allowed.headers[name], value);
    }
    let token = ("authorization", "Bearer secret");
    let large = vec![b' '; 2000];
    for (headers, body, status) in [
        (vec![token], b"{}".to_vec(), 200),
        (vec![], b"{}".to_vec(), 401),
        (vec![token], large, 413),
        (vec![token], b"{".to_vec(), 400),
    ] {
        for (origin, shown) in [(Some(SHOP), true), (Some(("origin", "https://evil.example")), false), (None, false)] {
            let headers: Vec<_> = headers.iter().copied().chain(origin).chain([("content-type", JSON)]).collect();
            let answered = send(&running, Method::POST, "/v1/traces", &headers, body.clone(), false).await;
            assert_eq!(answered.status.as_u16(), status);
            let origin = answered.headers.get("access-control-allow-origin");
            assert_eq!(origin.map(|origin| origin.to_str().unwrap()), shown.then_some(SHOP.1), "{status}");
            assert_eq!(answered.headers.contains_key("access-control-expose-headers"), shown);
            assert_eq!(answered.headers["vary"], "origin");
            assert!(!answered.headers.contains_key("access-control-allow-credentials"));
        }
    }
    let evil = [("origin", "https://evil.example"), asks[1]];
    let refused = send(&running, Method::OPTIONS, "/v1/traces", &evil, Vec::new(), false).await;
    assert_eq!((refused.status.as_u16(), refused.headers.get("access-control-allow-origin")), (405, None));
    let off = start(CollectorConfig::default()).await;
    let refused = send(&off, Method::OPTIONS, "/v1/traces", &asks, Vec::new(), false).await;
    assert_eq!((refused.status.as_u16(), refused.headers.get("access-control-allow-origin")), (405, None));
    assert!(!refused.headers.contains_key("vary"));
}

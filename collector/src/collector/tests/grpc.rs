//! OTLP/gRPC through tonic's client.

use std::sync::atomic::{AtomicBool, Ordering};

use tonic::codec::CompressionEncoding;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::client::TraceClient;
use super::*;

pub(super) async fn export(
    running: &Running,
    request: ExportTraceServiceRequest,
) -> Result<ExportTraceServiceResponse, Status> {
    TraceClient::connect(running).await.export(request).await
}

/// Scenario: a good request, an empty one, one with half its spans bad, one with all of them bad; none, gzip and zstd.
/// Guarantees: `partial_success` is unset on success and exact otherwise (O-30 to O-33); nothing empty reaches the store.
#[tokio::test]
async fn answers_tell_what_was_stored() {
    for encoding in [None, Some(CompressionEncoding::Gzip), Some(CompressionEncoding::Zstd)] {
        let running = start(CollectorConfig::default()).await;
        let mut client = TraceClient::connect(&running).await;
        if let Some(encoding) = encoding {
            client = client.send_compressed(encoding);
        }
        let mut send = async |request| client.export(request).await.unwrap().partial_success;
        assert_eq!(send(request(vec![span(1), span(2)])).await, None);
        assert_eq!(send(ExportTraceServiceRequest::default()).await, None);
        let partial = send(half_bad()).await.unwrap();
        assert_eq!(partial.rejected_spans, 1);
        assert!(partial.error_message.contains("trace_id must be 16 bytes"), "{}", partial.error_message);
        let bad = Span { span_id: Vec::new(), ..span(1) };
        assert_eq!(send(request(vec![bad.clone(), bad])).await.unwrap().rejected_spans, 2);
        assert_eq!((running.shelf.spans(), running.shelf.kept.lock().unwrap().len()), (3, 2));
    }
}

/// Scenario: a body far over tonic's default limit but under ours, one over ours, plain and as a bomb.
/// Guarantees: the first is stored, the others are RESOURCE_EXHAUSTED without RetryInfo (O-20), and the connection goes on.
#[tokio::test]
async fn oversize_is_refused_for_good() {
    let running = start(CollectorConfig { request_bytes_max: 8 << 20, ..CollectorConfig::default() }).await;
    let large = |spans: u64| request((0..spans).map(|id| Span { name: "n".repeat(500_000), ..span(id + 1) }).collect());
    let mut client = TraceClient::connect(&running).await;
    client.export(large(16)).await.unwrap();
    for encoding in [None, Some(CompressionEncoding::Gzip), Some(CompressionEncoding::Zstd)] {
        let mut client = client.clone();
        if let Some(encoding) = encoding {
            client = client.send_compressed(encoding);
        }
        let status = client.export(large(17)).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
        assert!(status.get_details_retry_info().is_none());
    }
    client.export(request(vec![span(1)])).await.unwrap();
    assert_eq!(running.telemetry.snapshot().refused_requests["too_large"], 3);
}

/// Sends raw bytes as a gRPC call; gives back code and headers.
pub(super) async fn raw(
    running: &Running,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> (u16, Option<String>, ::http::HeaderMap) {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let mut request = ::http::Request::post(format!("http://{}{path}", running.grpc)).header("te", "trailers");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = client.request(request.body(Full::new(Bytes::from(body))).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let collected = body.collect().await.unwrap();
    let trailers = collected.trailers().cloned().unwrap_or_default();
    let status = parts.headers.get("grpc-status").or(trailers.get("grpc-status"));
    let status = status.map(|value| value.to_str().unwrap().to_owned());
    (parts.status.as_u16(), status, parts.headers)
}

pub(super) const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

const HEALTH: &str = "/grpc.health.v1.Health/Check";
const TRACES: &str = "opentelemetry.proto.collector.trace.v1.TraceService";

/// A health check of the service of that name.
fn named(service: &str) -> Vec<u8> {
    [&[0x0A, u8::try_from(service.len()).unwrap()], service.as_bytes()].concat()
}

/// What, path, headers, body, HTTP status, gRPC code.
type Case<'t> = (&'t str, &'t str, Vec<(&'t str, &'t str)>, Vec<u8>, u16, Option<String>);

/// Scenario: damaged messages, wrong framing, unknown encodings, services and content types; health checks, of the server, of a service, and malformed.
/// Guarantees: the code that gRPC and OTLP give each (O-01, O-08, O-11), never a broken connection.
#[tokio::test]
async fn odd_calls_have_definite_codes() {
    let running = start(CollectorConfig::default()).await;
    let grpc = ("content-type", "application/grpc");
    let gzipped = ("grpc-encoding", "gzip");
    let framed = |flag: u8, payload: &[u8]| {
        [&[flag], &u32::try_from(payload.len()).unwrap().to_be_bytes()[..], payload].concat()
    };
    let code = |code: Code| Some(i32::from(code).to_string());
    let table: Vec<Case<'_>> = vec![
        ("empty message", EXPORT, vec![grpc], framed(0, b""), 200, code(Code::Ok)),
        (
            "proto subtype",
            EXPORT,
            vec![("content-type", "application/grpc+proto")],
            framed(0, b""),
            200,
            code(Code::Ok),
        ),
        ("garbage", EXPORT, vec![grpc], framed(0, b"garbage"), 200, code(Code::InvalidArgument)),
        ("no message", EXPORT, vec![grpc], vec![], 200, code(Code::InvalidArgument)),
        ("short message", EXPORT, vec![grpc], framed(0, b"abc")[..6].to_vec(), 200, code(Code::InvalidArgument)),
        ("two messages", EXPORT, vec![grpc], framed(0, b"").repeat(2), 200, code(Code::InvalidArgument)),
        ("flag 2", EXPORT, vec![grpc], framed(2, b""), 200, code(Code::InvalidArgument)),
        ("compressed, no encoding", EXPORT, vec![grpc], framed(1, b""), 200, code(Code::Internal)),
        ("bad gzip", EXPORT, vec![grpc, gzipped], framed(1, b"xx"), 200, code(Code::InvalidArgument)),
        ("gzip", EXPORT, vec![grpc, gzipped], framed(1, &gzip(b"")), 200, code(Code::Ok)),
        ("encoding not used", EXPORT, vec![grpc, gzipped], framed(0, b""), 200, code(Code::Ok)),
        (
            "unknown encoding",
            EXPORT,
            vec![grpc, ("grpc-encoding", "br")],
            framed(1, b""),
            200,
            code(Code::Unimplemented),
        ),
        ("other service", "/x.Logs/Export", vec![grpc], framed(0, b""), 200, code(Code::Unimplemented)),
        ("health", HEALTH, vec![grpc], framed(0, b""), 200, code(Code::Ok)),
        ("health of a service", HEALTH, vec![grpc], framed(0, &named(TRACES)), 200, code(Code::Ok)),
        ("health of another", HEALTH, vec![grpc], framed(0, &named("shop.Cart")), 200, code(Code::NotFound)),
        ("health of a long name", HEALTH, vec![grpc], framed(0, &[0; 5000]), 200, code(Code::InvalidArgument)),
        ("health without a message", HEALTH, vec![grpc], vec![], 200, code(Code::InvalidArgument)),
        ("health, two messages", HEALTH, vec![grpc], framed(0, b"").repeat(2), 200, code(Code::InvalidArgument)),
        ("health, compressed", HEALTH, vec![grpc, gzipped], framed(1, &gzip(b"")), 200, code(Code::Unimplemented)),
        ("not grpc", EXPORT, vec![("content-type", "text/plain")], vec![], 415, None),
        ("huge length", EXPORT, vec![grpc], vec![0, 255, 255, 255, 255, 1], 200, code(Code::ResourceExhausted)),
    ];
    for (what, path, headers, body, status, expected) in table {
        let (http, grpc, headers) = raw(&running, path, &headers, body).await;
        assert_eq!((http, grpc), (status, expected), "{what}");
        if what == "unknown encoding" {
            assert_eq!(headers["grpc-accept-encoding"], "identity,gzip,zstd");
        }
    }
}

/// Scenario: a health check while the server starts, while it is ready, and once it stops.
/// Guarantees: NOT_SERVING, SERVING, NOT_SERVING, as `/readyz` says it (O-08).
#[tokio::test]
async fn health_follows_readiness() {
    let readiness = Arc::new(AtomicBool::new(false));
    let shown = Arc::clone(&readiness);
    let ready = Arc::new(move || shown.load(Ordering::SeqCst));
    let running = start_in(CollectorConfig::default(), Surroundings { ready, ..Surroundings::default() }).await;
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    for (ready, status) in [(false, 2), (true, 1), (false, 2)] {
        readiness.store(ready, Ordering::SeqCst);
        let call = ::http::Request::post(format!("http://{}/grpc.health.v1.Health/Check", running.grpc))
            .header("content-type", "application/grpc");
        let reply = client.request(call.body(Full::new(Bytes::from_static(&[0; 5]))).unwrap()).await.unwrap();
        let body = reply.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(&body[..], [0, 0, 0, 0, 2, 8, status]);
    }
}

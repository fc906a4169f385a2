//! Services, methods, paths and content types (O-01 to O-08), and the plainest answers (O-30 to O-34).

use http::Method;

use super::{must, ours, should};
use crate::answer::Answer;
use crate::answer::code::UNIMPLEMENTED;
use crate::client::{Call, RETRY_FOR, RETRY_PAUSE};
use crate::report::Verdict;
use crate::suite::{Suite, written};
use crate::transport::{Compression, Transport};

pub(super) async fn run(suite: &Suite) {
    services(suite).await;
    paths(suite).await;
    content_types(suite).await;
    methods(suite).await;
    versions(suite).await;
    empty(suite).await;
    repeated(suite).await;
    health(suite).await;
}

fn export(transport: Transport, body: &[u8]) -> Call {
    Call::export(transport, Compression::None, body)
}

async fn services(suite: &Suite) {
    let case = must("O-01", "Export of one span", "success");
    for transport in Transport::ALL {
        suite.accepts(case, transport, &suite.request()).await;
    }
    let case = must("O-01", "a service or method that does not exist", "UNIMPLEMENTED");
    let services = [
        "/opentelemetry.proto.collector.trace.v1.TraceService/Import",
        "/opentelemetry.proto.collector.nonsense.v1.NonsenseService/Export",
        "/opentelemetry.proto.collector.trace.v1.TraceService",
    ];
    for path in services {
        suite
            .check(case, export(Transport::Grpc, &[]).path(path), |answer| answer.refused(&[], &[UNIMPLEMENTED]))
            .await;
    }
    let case = must("O-01", "logs and metrics, which an endpoint may take or not", "success, UNIMPLEMENTED or 404");
    let taken_or_not = |answer: &Answer| {
        if answer.is_success() { Ok(answer.shown()) } else { answer.refused(&[404], &[UNIMPLEMENTED]) }
    };
    for (signal, service) in [("logs", "Logs"), ("metrics", "Metrics")] {
        let path = format!("/opentelemetry.proto.collector.{signal}.v1.{service}Service/Export");
        suite.check(case, export(Transport::Grpc, &[]).path(&path), taken_or_not).await;
        for (transport, body) in [(Transport::HttpProtobuf, &b""[..]), (Transport::HttpJson, b"{}")] {
            suite.check(case, export(transport, body).path(&format!("/v1/{signal}")), taken_or_not).await;
        }
    }
}

async fn paths(suite: &Suite) {
    let case = ours("O-02", "POST /v1/traces/, with a slash at the end", "success, no redirection");
    for transport in Transport::HTTP {
        let request = suite.request();
        let call = export(transport, &written(transport, &request)).path("/v1/traces/");
        suite.accepts_call(case, call, &request).await;
    }
    let case = must("O-02", "a path that is no signal's", "404 with a Status");
    for transport in Transport::HTTP {
        for path in ["/", "/v1", "/v1/nonsense", "/v1/traces/x", "/V1/TRACES"] {
            let call = export(transport, &written(transport, &suite.request())).path(path);
            suite.check(case, call, |answer| answer.refused(&[404], &[])).await;
        }
    }
}

async fn content_types(suite: &Suite) {
    let case = must("O-03", "content types with parameters, in other cases", "success, answered in the plain type");
    let types = [
        (Transport::HttpJson, "application/json; charset=utf-8"),
        (Transport::HttpJson, "application/json;charset=UTF-8"),
        (Transport::HttpJson, "Application/JSON"),
        (Transport::HttpProtobuf, "Application/X-Protobuf"),
        (Transport::HttpProtobuf, "application/x-protobuf; proto=x"),
        (Transport::Grpc, "application/grpc+proto"),
    ];
    for (transport, content_type) in types {
        let request = suite.request();
        let call = export(transport, &written(transport, &request)).with("content-type", content_type);
        suite.accepts_call(case, call, &request).await;
    }
    let case = should("O-04", "a content type that is missing or unknown", "415 (or 400) with a Status, in JSON");
    for content_type in [None, Some("text/plain"), Some("application/protobuf2"), Some("application/jsonx"), Some("")] {
        let call = export(Transport::HttpJson, b"{}").without("content-type");
        let call = content_type.into_iter().fold(call, |call, value| call.with("content-type", value));
        suite.check(case, call, |answer| answer.refused(&[415, 400], &[])).await;
    }
    let case = must("O-04", "a content type that is not gRPC's", "HTTP 415");
    let call = export(Transport::Grpc, &[]).with("content-type", "application/json");
    suite
        .check(
            case,
            call,
            |answer| if answer.status.as_u16() == 415 { Ok("415".to_owned()) } else { Err(answer.shown()) },
        )
        .await;
}

async fn methods(suite: &Suite) {
    let case = must("O-04", "GET, PUT, DELETE, PATCH", "405 with a Status");
    for transport in Transport::HTTP {
        for method in [Method::GET, Method::PUT, Method::DELETE, Method::PATCH] {
            let call = export(transport, b"").method(method);
            suite.check(case, call, |answer| answer.refused(&[405], &[])).await;
        }
    }
    let case = ours("O-04", "a refused method is told the right one", "Allow: POST");
    let call = export(Transport::HttpJson, b"").method(Method::GET);
    let allows = |answer: &Answer| -> Verdict {
        if answer.header("allow").contains("POST") {
            Ok("Allow: POST".to_owned())
        } else {
            Err("no Allow: POST".to_owned())
        }
    };
    suite.check(case, call, allows).await;
}

/// O-05 is part of every case over HTTP: answers have to be in the request's encoding. Here both versions of HTTP.
async fn versions(suite: &Suite) {
    let case = must(
        "O-05",
        "answers over HTTP/2 are in the request's encoding: success, partial success, 400, 404, 405",
        "its content type",
    );
    let over_2 = must("O-06", "an export over HTTP/2 without TLS", "success");
    for transport in Transport::HTTP {
        let request = suite.request();
        let call = Call { http2: true, ..export(transport, &written(transport, &request)) };
        suite.accepts_call(over_2, call.clone(), &request).await;
        let mut bad = suite.request();
        let span = crate::model::Span { trace_id: vec![1], ..suite.span() };
        bad.resources.extend(crate::model::Request::of(vec![span]).resources);
        let partial = Call { http2: true, ..export(transport, &written(transport, &bad)) };
        suite.accepts_call(case, partial, &bad).await;
        let calls = [
            Call { http2: true, ..export(transport, b"\xFF") },
            Call { http2: true, ..export(transport, b"") }.path("/v1/none"),
            Call { http2: true, ..export(transport, b"") }.method(Method::PUT),
        ];
        for call in calls {
            suite.check(case, call, |answer| answer.refused(&[400, 404, 405], &[])).await;
        }
    }
}

async fn empty(suite: &Suite) {
    let case = should("O-31", "a body of no bytes, and the smallest documents", "success");
    let protobuf: [&[u8]; 4] = [b"", &[0x0A, 0], &[0x0A, 2, 0x12, 0], &[0x0A, 2, 0x0A, 0]];
    for body in protobuf {
        for transport in [Transport::Grpc, Transport::HttpProtobuf] {
            suite.check(case, export(transport, body), Answer::full).await;
        }
    }
    let documents = [
        "{}",
        r#"{"resourceSpans":[]}"#,
        r#"{"resourceSpans":null}"#,
        r#"{"resourceSpans":[{}]}"#,
        r#"{"resourceSpans":[{"scopeSpans":[]}]}"#,
        r#"{"resourceSpans":[{"resource":{},"scopeSpans":[{"scope":{},"spans":[]}]}]}"#,
        r#"{"resourceSpans":[{"resource":null,"scopeSpans":[{"scope":null,"spans":null}]}]}"#,
    ];
    for document in documents {
        suite.check(case, export(Transport::HttpJson, document.as_bytes()), Answer::full).await;
    }
    let case = should("O-30", "the answer to a whole success in JSON", "{}");
    let is_plain = |answer: &Answer| {
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        if matches!(body.trim(), "{}" | r#"{"partialSuccess":{}}"#) { Ok(body) } else { Err(body) }
    };
    suite.check(case, export(Transport::HttpJson, b"{}"), is_plain).await;
}

/// A client that got no answer sends the same bytes again, perhaps while the server still works on the first.
async fn repeated(suite: &Suite) {
    let again = ours("O-45", "the same request a second time, as after a lost answer", "success, stored once");
    let twins = ours("O-45", "the same request twice at once", "success, stored once");
    for transport in Transport::ALL {
        for compression in [Compression::None, Compression::Gzip] {
            let request = suite.request();
            let call = Call::export(transport, compression, &written(transport, &request));
            suite.accepts_call(again, call.clone(), &request).await;
            suite.check(again, call, Answer::full).await;
            let request = suite.request();
            let call = Call::export(transport, compression, &written(transport, &request));
            tokio::join!(suite.accepts_call(twins, call.clone(), &request), suite.check(twins, call, Answer::full));
            let mut ledger = suite.ledger();
            ledger.received += 2;
            ledger.repeated += 2;
        }
    }
}

/// A server that takes nothing just now says so; then it is asked again.
async fn health(suite: &Suite) {
    let case = ours("O-08", "grpc.health.v1 Check of the whole server", "SERVING");
    let deadline = tokio::time::Instant::now() + RETRY_FOR;
    let verdict = loop {
        let call = export(Transport::Grpc, &[]).path("/grpc.health.v1.Health/Check");
        match suite.client.send(call).await {
            Ok(answer) if answer.is_success() && *answer.body == *b"\0\0\0\0\x02\x08\x01" => {
                break Ok("SERVING".to_owned());
            }
            Ok(answer) if !answer.is_success() || tokio::time::Instant::now() > deadline => {
                break Err(format!("{}, {:?}", answer.shown(), answer.body));
            }
            Ok(_) => tokio::time::sleep(RETRY_PAUSE).await,
            Err(error) => break Err(error),
        }
    };
    suite.note(case, Some(Transport::Grpc), verdict);
}

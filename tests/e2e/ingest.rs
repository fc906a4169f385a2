//! Real exporters of two SDKs, over every transport and encoding, with and without gzip.

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{NodeClient, PATIENCE, PythonClient, Server, ServerOptions, eventually, get, get_json, post, sql};

/// Spans of a service that SQL sees.
fn count(server: &Server, service: &str) -> u64 {
    let rows = sql(server.at.web, &format!("SELECT count(*) FROM spans WHERE service_name = '{service}'"));
    rows[0][0].as_str().unwrap().parse().unwrap()
}

/// Fails unless every trace is found by id with `spans` spans and SQL counts all of them.
fn assert_stored(server: &Server, service: &str, ids: &[String], spans: usize) {
    let expected = (ids.len() * spans) as u64;
    eventually("SQL sees all spans", PATIENCE, || (count(server, service) == expected).then_some(()));
    for id in ids {
        let trace = get_json(server.at.web, &format!("/api/v1/traces/{id}"));
        assert_eq!(trace["spans"].as_u64(), Some(spans as u64), "{service} {id}");
        assert_eq!(trace["columns"]["depth"][0], 0);
    }
}

/// Scenario: the SDK for Python exports over gRPC and HTTP/protobuf, plain and gzip.
/// Guarantees: every trace is found by id and by SQL, once, with its types intact.
#[test]
fn python_sdk_exports_arrive_whole() {
    let server = Server::start();
    for (protocol, compression) in [("grpc", "none"), ("grpc", "gzip"), ("http", "none"), ("http", "gzip")] {
        let port = if protocol == "grpc" { server.at.grpc } else { server.at.http };
        let service = format!("python-{protocol}-{compression}");
        let ids = PythonClient::export(protocol, &format!("http://{port}"), compression, &service, 20);
        assert_stored(&server, &service, &ids, 3);
    }
    let query = "SELECT attr(attributes, 'order.total'), attr(attributes, 'order.tags'), attr(attributes, 'order.number') \
                 FROM spans WHERE service_name = 'python-grpc-gzip' AND parent_span_id IS NULL ORDER BY start_time_unix_nano LIMIT 1";
    assert_eq!(sql(server.at.web, query)[0], ["12.5", "[\"a\",\"b\"]", "0"].map(Value::from));
}

/// Scenario: a server with TLS that wants certificates and tokens; the SDK for Python exports with one of two tokens, over gRPC and
/// HTTP, set up by its own variables; then with a token that the server does not know.
/// Guarantees: the first exports arrive whole; of the others nothing is stored, and they are counted.
#[test]
fn python_sdk_exports_by_tls_with_a_token() {
    let folder = TempDir::new().unwrap();
    let tokens = ["alpha", "beta"].map(|token| {
        let path = folder.path().join(token);
        std::fs::write(&path, format!("{token}\n")).unwrap();
        path.display().to_string()
    });
    let pem = |name: &str| format!("{}/tests/fixtures/tls/{name}", env!("CARGO_MANIFEST_DIR"));
    let environment = [
        ("TLS_CERT_FILE", pem("server.pem")),
        ("TLS_KEY_FILE", pem("server.key")),
        ("TLS_CLIENT_CA_FILE", pem("authority.pem")),
        ("BEARER_TOKEN_FILES", tokens.join(",")),
    ];
    let environment = environment.map(|(key, value)| (format!("DAYTWO__COLLECTOR__{key}"), value)).to_vec();
    let server = Server::start_with(&ServerOptions { environment, ..ServerOptions::default() });
    for (protocol, token) in [("grpc", "alpha"), ("http", "beta"), ("grpc", "gamma"), ("http", "gamma")] {
        let variables = [
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", pem("authority.pem")),
            ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", pem("client.pem")),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", pem("client.key")),
            ("OTEL_EXPORTER_OTLP_HEADERS", format!("authorization=Bearer%20{token}")),
        ];
        let port = if protocol == "grpc" { server.at.grpc } else { server.at.http };
        let service = format!("python-{protocol}-{token}");
        let ids = PythonClient::export_as(&variables, protocol, &format!("https://{port}"), "gzip", &service, 5);
        if token == "gamma" {
            assert_eq!(count(&server, &service), 0);
        } else {
            assert_stored(&server, &service, &ids, 3);
        }
    }
    let metrics = get(server.at.web, "/metrics").text();
    assert!(metrics.contains("daytwo_bad_requests_total{reason=\"unauthenticated\"} 2"), "{metrics}");
    assert!(metrics.contains("daytwo_export_handshakes_failed_total 0"), "{metrics}");
}

/// Scenario: the SDK for Node exports over gRPC, HTTP/protobuf and HTTP/JSON, plain and gzip.
/// Guarantees: every trace is found by id and by SQL, once.
#[test]
fn node_sdk_exports_arrive_whole() {
    let server = Server::start();
    for protocol in ["grpc", "proto", "json"] {
        for compression in ["none", "gzip"] {
            let port = if protocol == "grpc" { server.at.grpc } else { server.at.http };
            let service = format!("node-{protocol}-{compression}");
            let ids = NodeClient::export(protocol, &format!("http://{port}"), compression, &service, 20);
            assert_stored(&server, &service, &ids, 2);
        }
    }
}

/// Scenario: a curl user posts one JSON span, as the first-run page suggests, and asks for the trace.
/// Guarantees: the span is visible at once, with its attributes and its service in the list.
#[test]
fn a_span_posted_by_hand_is_visible_at_once() {
    let server = Server::start();
    let answer =
        post(server.at.http, "/v1/traces", &[("content-type", "application/json")], hand_made_span().as_bytes());
    assert_eq!((answer.status, answer.text().as_str()), (200, "{}"));
    let id = "5b8efff798038103d269b633813fc60c";
    let trace = get_json(server.at.web, &format!("/api/v1/traces/{id}"));
    assert_eq!(trace["operations"][0], "I am a server span");
    let detail = get_json(server.at.web, &format!("/api/v1/traces/{id}/spans/eee19b7ec3c1b174"));
    assert_eq!(detail["span"]["service"], "my.service");
    assert!(detail["span"]["attributes"].as_array().unwrap().iter().any(|a| a["key"] == "my.span.attr"), "{detail}");
    assert_eq!(get(server.at.web, "/api/v1/traces/00000000000000000000000000000001").status, 404);
}

fn hand_made_span() -> String {
    r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"my.service"}}]},
    "scopeSpans":[{"scope":{"name":"my.library"},"spans":[{"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B174",
    "name":"I am a server span","kind":2,"startTimeUnixNano":"1544712660000000000","endTimeUnixNano":"1544712661000000000",
    "attributes":[{"key":"my.span.attr","value":{"stringValue":"some value"}}]}]}]}]}"#
        .to_owned()
}

//! Real exporters, SDKs of four languages and the Collector, over every transport and encoding, with and without gzip.

use std::collections::BTreeSet;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{
    Client, Exporter, Server, ServerOptions, get, get_json, post, quick_folder, quick_server, sql, stored_spans,
};

/// Fails unless all the traces are found by id with `spans` spans, and SQL sees each span once.
fn assert_stored(server: &Server, service: &str, ids: &[String], spans: usize) {
    let stored = stored_spans(server, service);
    assert_eq!(stored.len(), ids.len() * spans, "{service}");
    assert_eq!(stored.iter().collect::<BTreeSet<_>>().len(), stored.len(), "{service}");
    for id in ids {
        let trace = get_json(server.at.web, &format!("/api/v1/traces/{id}"));
        assert_eq!(trace["spans"].as_u64(), Some(spans as u64), "{service} {id}");
        assert_eq!(trace["columns"]["depth"][0], 0);
    }
}

/// Has an exporter send 20 traces; gives their service and their ids. One that does not send again may need a second run.
fn exported(exporter: Exporter, protocol: &str, server: &Server, compression: &str) -> (String, Vec<String>) {
    let endpoint = format!("http://{}", server.port(protocol));
    let mut runs = (0..10).map(|run| {
        let service = format!("{protocol}-{compression}-{run}");
        let ids = Client::start(exporter, &[], protocol, &endpoint, compression, &service).try_export(20);
        Some((service, ids?))
    });
    runs.find_map(|run| run).unwrap()
}

/// Has an exporter send 20 traces over each protocol, plain and gzip, and looks for all of them.
fn exports_arrive_whole(exporter: Exporter, protocols: &[&str], also: impl FnOnce(&Server)) {
    let folder = quick_folder();
    let server = Server::start_with(&quick_server(&folder));
    for protocol in protocols {
        for compression in ["none", "gzip"] {
            let (service, ids) = exported(exporter, protocol, &server, compression);
            assert_eq!(ids.len(), 20);
            assert_stored(&server, &service, &ids, exporter.spans());
        }
    }
    also(&server);
}

/// Scenario: the SDK for Python exports over gRPC and HTTP/protobuf, plain and gzip.
/// Guarantees: every trace is found by id and by SQL, once, with its types intact.
#[test]
fn python_sdk_exports_arrive_whole() {
    let query = "SELECT attr(attributes, 'order.total'), attr(attributes, 'order.tags'), attr(attributes, 'order.number') \
                 FROM spans WHERE service_name = 'grpc-gzip-0' AND parent_span_id IS NULL ORDER BY start_time_unix_nano LIMIT 1";
    exports_arrive_whole(Exporter::Python, &["grpc", "http"], |server| {
        assert_eq!(sql(server.at.web, query)[0], ["12.5", "[\"a\",\"b\"]", "0"].map(Value::from));
    });
}

/// Scenario: the SDK for Node exports over gRPC, HTTP/protobuf and HTTP/JSON, plain and gzip.
/// Guarantees: every trace is found by id and by SQL, once.
#[test]
fn node_sdk_exports_arrive_whole() {
    exports_arrive_whole(Exporter::Node, &["grpc", "http", "json"], |_| ());
}

/// Scenario: the SDK for Go exports over gRPC and HTTP/protobuf, plain and gzip.
/// Guarantees: every trace is found by id and by SQL, once.
#[test]
fn go_sdk_exports_arrive_whole() {
    exports_arrive_whole(Exporter::Go, &["grpc", "http"], |_| ());
}

/// Scenario: the SDK for Java exports over gRPC and HTTP/protobuf, plain and gzip.
/// Guarantees: every trace is found by id and by SQL, once.
#[test]
fn java_sdk_exports_arrive_whole() {
    exports_arrive_whole(Exporter::Java, &["grpc", "http"], |_| ());
}

/// Scenario: a Collector passes on what it received, in batches of its own, over gRPC and HTTP/protobuf, plain and gzip.
/// Guarantees: every trace is found by id and by SQL, once.
#[test]
fn collector_exports_arrive_whole() {
    exports_arrive_whole(Exporter::Collector, &["grpc", "http"], |_| ());
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
    let data = quick_folder();
    let server = Server::start_with(&ServerOptions { environment, ..quick_server(&data) });
    for (protocol, token) in [("grpc", "alpha"), ("http", "beta"), ("grpc", "gamma"), ("http", "gamma")] {
        let variables = [
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", pem("authority.pem")),
            ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", pem("client.pem")),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", pem("client.key")),
            ("OTEL_EXPORTER_OTLP_HEADERS", format!("authorization=Bearer%20{token}")),
        ];
        let service = format!("python-{protocol}-{token}");
        let endpoint = format!("https://{}", server.port(protocol));
        let mut client = Client::start(Exporter::Python, &variables, protocol, &endpoint, "gzip", &service);
        if token == "gamma" {
            client.make(5);
            assert_eq!(client.fates().failed.len(), 5 * Exporter::Python.spans());
            assert_eq!(stored_spans(&server, &service), Vec::<String>::new());
        } else {
            assert_stored(&server, &service, &client.export(5), Exporter::Python.spans());
        }
    }
    let metrics = get(server.at.web, "/metrics").text();
    assert!(metrics.contains("daytwo_bad_requests_total{reason=\"unauthenticated\"} 2"), "{metrics}");
    assert!(metrics.contains("daytwo_export_handshakes_failed_total 0"), "{metrics}");
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

//! Evaluations of feature flags as log records, to the real process and over a crash.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{PATIENCE, Server, ServerOptions, eventually, get_json, post, sql};

fn text(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

fn send(server: &Server, path: &str, body: &Value) -> Value {
    let answer = post(server.at.http, path, &[("content-type", "application/json")], body.to_string().as_bytes());
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

/// Forty visits of `shop` of 20 ms each, and after them a log record each that says which variant it saw; a line of text besides.
fn visit(server: &Server) {
    let status = get_json(server.at.web, "/api/v1/status");
    let now: u64 = status["as_of_unix_nano"].as_str().unwrap().parse().unwrap();
    let time = |offset: u64| (now - 1_000_000_000 + offset).to_string();
    let ids = |number: u64| (format!("{:032x}", number + 1), format!("{:016x}", number + 1));
    let span = |number: u64| {
        let (trace, span) = ids(number);
        json!({"traceId": trace, "spanId": span, "name": "GET /", "kind": 2, "startTimeUnixNano": time(0), "endTimeUnixNano": time(20_000_000)})
    };
    let record = |number: u64| {
        let (trace, span) = ids(number);
        let variant = if number.is_multiple_of(2) { "on" } else { "off" };
        json!({"traceId": trace, "spanId": span, "timeUnixNano": time(1_000_000), "eventName": "feature_flag.evaluation",
            "attributes": [text("feature_flag.key", "new-tax"), text("feature_flag.result.variant", variant), text("feature_flag.result.reason", "split")]})
    };
    let resource = json!({"attributes": [text("service.name", "shop"), text("service.version", "v1")]});
    let spans: Vec<Value> = (0..40).map(span).collect();
    send(server, "/v1/traces", &json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}));
    let mut records: Vec<Value> = (0..40).map(record).collect();
    records.push(json!({"timeUnixNano": time(0), "body": {"stringValue": "hello"}}));
    let logs = json!({"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": records}]}]});
    let answer = send(server, "/v1/logs", &logs);
    assert_eq!(answer["partialSuccess"]["rejectedLogRecords"], "1", "{answer}");
    assert!(
        answer["partialSuccess"]["errorMessage"].as_str().unwrap().contains("not events named feature_flag.evaluation")
    );
}

fn assert_joined(server: &Server) {
    let flag = eventually("the flag has all its traces", PATIENCE, || {
        let listed = get_json(server.at.web, "/api/v1/flags");
        listed["flags"].as_array()?.iter().find(|flag| flag["traces"] == 40).cloned()
    });
    assert_eq!(
        (&flag["key"], &flag["control"], &flag["assignment"]),
        (&json!("new-tax"), &json!("off"), &json!("randomised")),
        "{flag}"
    );
    let traces: Vec<_> = flag["variants"].as_array().unwrap().iter().map(|variant| variant["traces"].clone()).collect();
    assert_eq!(traces, [20, 20]);
    let rows = sql(
        server.at.web,
        "SELECT count(*), count(DISTINCT trace_id) FROM spans WHERE name = 'feature_flag.evaluation'",
    );
    assert_eq!(rows, [[json!("40"), json!("40")]]);
    // They take part in no rate: the service answered forty requests.
    let rows = sql(server.at.web, "SELECT sum(spans) FROM slis WHERE service = 'shop'");
    assert_eq!(rows, [[json!("40")]]);
}

/// Scenario: traces, and log records of evaluations that belong to them, of which the last is acknowledged right before the process is killed.
/// Guarantees: what is no evaluation is told so and not kept; each acknowledged evaluation is joined to its trace, before the crash and after,
/// once; none counts as a request.
#[test]
fn acknowledged_evaluations_survive_a_crash() {
    let folder = TempDir::new().unwrap();
    let options = ServerOptions { data_dir: Some(folder.path().join("data")), ..ServerOptions::default() };
    let server = Server::start_with(&options);
    visit(&server);
    let crashed = server.kill();
    let server = Server::start_with(&options);
    drop(crashed);
    assert_joined(&server);
}

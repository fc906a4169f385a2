//! Declared weights and the traffic that came instead, to the real process and over a crash.

use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{PATIENCE, Server, ServerOptions, eventually, get_json, post, sql};

const SECOND: u64 = 1_000_000_000;

/// A post of JSON that is taken with this status.
fn take(at: std::net::SocketAddr, path: &str, body: &Value, status: u16) {
    let answer = post(at, path, &[("content-type", "application/json")], body.to_string().as_bytes());
    assert_eq!(answer.status, status, "{path}: {}", answer.text());
}

/// Ten calls of `pay` in each of the last 280 seconds: v1 alone for a minute and a half, then v2 in 38 of 100.
fn calls(now: u64) -> Value {
    let attribute = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let mut spans: [Vec<Value>; 2] = Default::default();
    for number in 0..2_800_u64 {
        let start = now - 280 * SECOND + number * SECOND / 10;
        let new = number >= 900 && (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) % 100 < 38;
        spans[usize::from(new)].push(json!({
            "traceId": format!("{:032x}", number + 1), "spanId": format!("{:016x}", number + 1), "name": "POST /pay", "kind": 2,
            "startTimeUnixNano": start.to_string(), "endTimeUnixNano": (start + 20_000_000 + number % 100 * 50_000).to_string(),
        }));
    }
    let of = |version: &str, spans: &[Value]| json!({"resource": {"attributes": [attribute("service.name", "pay"), attribute("service.version", version)]}, "scopeSpans": [{"spans": spans}]});
    json!({"resourceSpans": [of("v1", &spans[0]), of("v2", &spans[1])]})
}

fn skewed(server: &Server) -> Value {
    eventually("the verdict is SKEWED", PATIENCE, || {
        let answer = get_json(server.at.web, "/api/v1/deployments/pay/v2/verdict");
        (answer["state"] == "SKEWED").then_some(answer)
    })
}

/// Scenario: a canary is declared with a tenth of the traffic and gets 38 of 100 traces; the process is killed and started again.
/// Guarantees: SKEWED with the words of the board, before the crash and after it; the query of the window counts the same traces; the command for
/// pipelines exits with 2, not decided, and says why.
#[test]
fn a_canary_with_too_much_traffic_is_not_judged() {
    let folder = TempDir::new().unwrap();
    let options = ServerOptions { data_dir: Some(folder.path().join("data")), ..ServerOptions::default() };
    let server = Server::start_with(&options);
    let status = get_json(server.at.web, "/api/v1/status");
    let now: u64 = status["as_of_unix_nano"].as_str().unwrap().parse().unwrap();
    let canary = json!({"id": "run-7", "service": "pay", "version": "v2", "at": "2020-01-01T00:00:00Z", "weight": 0.1});
    take(server.at.web, "/api/v1/deployments", &canary, 201);
    take(server.at.web, "/api/v1/flags", &json!({"key": "f", "variants": {"on": 0.5, "off": 0.5}}), 201);
    take(server.at.http, "/v1/traces", &calls(now), 200);
    let before = skewed(&server);
    let crashed = server.kill();

    let server = Server::start_with(&options);
    drop(crashed);
    let after = skewed(&server);
    assert_eq!((&after["reason"], &after["splits"]), (&before["reason"], &before["splits"]));
    let reason = after["reason"].as_str().unwrap();
    assert!(reason.starts_with("traffic split 3") && reason.contains(" % where 10 % was declared: "), "{reason}");
    let split = &after["splits"][0];
    let counted = sql(server.at.web, split["sql"].as_str().unwrap());
    let number = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap();
    let traces: Vec<u64> = counted.iter().map(|row| number(&row[1])).collect();
    assert_eq!(traces, [number(&split["elsewhere"]), number(&split["traces"])]);
    let url = format!("http://{}", server.at.web);
    let gate = Command::new(env!("CARGO_BIN_EXE_daytwo"))
        .args(["verdict", "--service", "pay", "--version", "v2", "--wait", "60s", "--url", &url])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&gate.stdout).into_owned();
    assert_eq!(gate.status.code(), Some(2), "{said}");
    assert!(said.starts_with("SKEWED: pay v2 is not judged: traffic split 3"), "{said}");
    assert!(get(&server, "/metrics").contains("daytwo_declared_flags 1\n"));
}

fn get(server: &Server, path: &str) -> String {
    crate::harness::get(server.at.web, path).text()
}

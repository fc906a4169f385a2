//! What pipelines and people on call see of the real process: declared deployments, gates and alerts, over a crash.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, sync_channel};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{PATIENCE, Server, ServerOptions, eventually, get_json, post};

const SLO: &str = "apiVersion: openslo/v1
kind: SLO
metadata: {name: pay-ok}
spec:
  indicator:
    spec:
      ratioMetric:
        good: {metricSource: {type: daytwo, spec: {signal: availability, service: pay}}}
        total: {metricSource: {type: daytwo, spec: {service: pay}}}
  timeWindow: [{duration: 28d, isRolling: true}]
  objectives: [{target: 0.99}]
";

/// A webhook's receiver: answers 200 to everything and hands the bodies over.
fn receiver() -> (SocketAddr, Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, bodies) = sync_channel(100);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let mut length = 0;
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
            if sender.send(serde_json::from_slice(&body).unwrap()).is_err() {
                break;
            }
        }
    });
    (address, bodies)
}

/// A hundred calls of `pay` v2, half of which failed just now.
fn send_failures(server: &Server) {
    let status = get_json(server.at.web, "/api/v1/status");
    let now: u64 = status["as_of_unix_nano"].as_str().unwrap().parse().unwrap();
    let span = |number: u64| {
        json!({
            "traceId": format!("{:032x}", number + 1), "spanId": format!("{:016x}", number + 1), "name": "POST /pay", "kind": 2,
            "startTimeUnixNano": (now - 1_000_000_000).to_string(), "endTimeUnixNano": (now - 900_000_000).to_string(),
            "status": {"code": if number.is_multiple_of(2) { 2 } else { 0 }},
        })
    };
    let attribute = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let body = json!({"resourceSpans": [{
        "resource": {"attributes": [attribute("service.name", "pay"), attribute("service.version", "v2")]},
        "scopeSpans": [{"spans": (0..100).map(span).collect::<Vec<_>>()}],
    }]});
    let answer =
        post(server.at.http, "/v1/traces", &[("content-type", "application/json")], body.to_string().as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// Scenario: a deployment is declared, its calls fail, the webhook is told; then the process is killed and started again.
/// Guarantees: the page comes within the time that a look takes; after the crash the declared deployment is there, once and met by its spans, and
/// the alert goes on since the same instant without being told again.
#[test]
fn pages_and_declarations_survive_a_crash() {
    let (folder, (address, bodies)) = (TempDir::new().unwrap(), receiver());
    let slos = folder.path().join("slos");
    std::fs::create_dir(&slos).unwrap();
    std::fs::write(slos.join("pay.yaml"), SLO).unwrap();
    let config = format!(
        "[engine]\nslo_dir = {slos:?}\n[alerts]\nboard_url = \"http://board.example\"\n[[alerts.webhook]]\nname = \"ops\"\n\
         url = \"http://{address}/hook\"\nallow_http = true\nallow_networks = [\"127.0.0.1\"]\n"
    );
    let options = ServerOptions { config, data_dir: Some(folder.path().join("data")), ..ServerOptions::default() };
    let server = Server::start_with(&options);
    let declared = json!({"id": "run-7", "service": "pay", "version": "v2", "actor": "ci"}).to_string();
    let answer =
        post(server.at.web, "/api/v1/deployments", &[("content-type", "application/json")], declared.as_bytes());
    assert_eq!(answer.status, 201, "{}", answer.text());
    send_failures(&server);
    let told = bodies.recv_timeout(PATIENCE).unwrap();
    let page = told["alerts"].as_array().unwrap().iter().find(|alert| alert["labels"]["severity"] == "page");
    let page = page.unwrap_or_else(|| panic!("no page in {told}"));
    assert_eq!((&page["labels"]["slo"], &page["status"]), (&json!("pay-ok"), &json!("firing")));
    assert_eq!(page["url"], "http://board.example/slos/pay-ok");
    let starts = |server: &Server| {
        eventually("the alert is there and told", PATIENCE, || {
            let shown = get_json(server.at.web, "/api/v1/alerts");
            let since = shown["alerts"][0]["starts_at_unix_nano"].as_str().map(str::to_owned);
            since.filter(|_| shown["webhooks"][0]["pending"] == 0)
        })
    };
    let before = starts(&server);
    eventually("the book is written down", PATIENCE, || {
        std::fs::read_to_string(server.data_dir.join("alerts.json")).ok().filter(|text| text.contains("\"ops\""))
    });
    let crashed = server.kill();

    let server = Server::start_with(&options);
    drop(crashed);
    let listed = eventually("the declared deployment meets its spans", PATIENCE, || {
        let listed = get_json(server.at.web, "/api/v1/deployments")["deployments"].clone();
        (listed[0]["kind"] == "first").then_some(listed)
    });
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["declared"]["actor"]), (1, &json!("ci")), "{listed}");
    assert_eq!(starts(&server), before);
    let verdict = get_json(server.at.web, "/api/v1/gates/argo?service=pay&version=v2");
    assert_eq!((&verdict["result"]["verdict"], &verdict["result"]["ok"]), (&json!("inconclusive"), &json!(false)));
    let delivered = get_json(server.at.web, "/api/v1/alerts")["webhooks"][0]["delivered"].clone();
    assert_eq!(delivered, 0, "nothing is told again");
}

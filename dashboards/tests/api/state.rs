//! Status, metrics, probes, services and suggestions.

use std::time::Duration;

use daytwo_storage::testing::TestSpan;
use http::StatusCode;
use serde_json::json;

use crate::harness::{START, World};

/// Scenario: a server with a few spans, ready, then stopping.
/// Guarantees: status has every group of the contract; readiness follows; liveness does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_has_every_group() {
    let world = World::new().await;
    world.add(&[TestSpan::new(1, 1).at(START)]).await;
    let status = world.json("/api/v1/status").await;
    assert_eq!(
        (&status["version"], &status["state"], &status["state_reason"]),
        (&json!("9.9.9"), &json!("ready"), &json!(null))
    );
    assert_eq!(status["otlp"], json!({"grpc": "127.0.0.1:4317", "http": "127.0.0.1:4318"}));
    assert_eq!((&status["ingest"]["accepted_spans"], &status["storage"]["buffer_spans"]), (&json!(7), &json!(1)));
    assert_eq!((&status["query"]["running"], &status["correlation"]["open_traces"]), (&json!(0), &json!(1)));
    assert_eq!(status["limits"]["query.timeout"], "30s");
    assert_eq!(world.get("/readyz").await.status, StatusCode::OK);
    world.readiness.set(false);
    assert_eq!(world.get("/readyz").await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(world.get("/healthz").await.text(), "ok\n");
    assert_eq!(world.json("/api/v1/status").await["state"], "recovering");
}

/// Scenario: two services with spans, after their traces were closed.
/// Guarantees: rate, errors and latency of what they answered, by operation too; names are suggested.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_show_what_they_answer() {
    let world = World::new().await;
    for trace in 1..=10_u64 {
        let root = TestSpan::new(u128::from(trace), 1)
            .service("checkout")
            .name("POST /pay")
            .version("v1")
            .at(START)
            .lasting(80_000_000);
        let root = if trace == 1 { root.error() } else { root };
        let child = TestSpan::new(u128::from(trace), 2)
            .parent(1)
            .service("payment")
            .name("charge")
            .at(START + 1_000)
            .lasting(30_000_000);
        world.add(&[root, child]).await;
    }
    world.pass(Duration::from_secs(60));
    let body = world.json("/api/v1/services").await;
    let services = body["services"].as_array().unwrap();
    assert_eq!(services.len(), 2, "{body}");
    let checkout = services.iter().find(|one| one["service"] == "checkout").unwrap();
    assert_eq!(
        (&checkout["spans"], &checkout["errors_fraction"], &checkout["versions"]),
        (&json!(10), &json!(0.1), &json!(["v1"]))
    );
    let p50 = checkout["p50_ms"].as_f64().unwrap();
    assert!((p50 / 80.0 - 1.0).abs() <= 0.01, "within one percent: {p50}");
    let operations = world.json("/api/v1/services/checkout/operations").await;
    let own = operations["operations"][0]["self_p50_ms"].as_f64().unwrap();
    assert!((own / 50.0 - 1.0).abs() <= 0.01, "self time leaves the call out: {own}");
    let suggestions = world.json("/api/v1/suggest?q=pay").await;
    assert_eq!(
        suggestions["suggestions"][0],
        json!({"kind": "service", "text": "payment", "href": "/services/payment"})
    );
    assert_eq!(world.json("/api/v1/slos").await["slos"], json!([]));
    assert!(world.json("/api/v1/deployments").await["deployments"].is_array());
}

/// Scenario: a scrape.
/// Guarantees: every line is a comment or `name{labels} number`, each family is declared once, and the counters are there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_are_well_formed() {
    let world = World::new().await;
    let answer = world.get("/metrics").await;
    assert!(answer.header("content-type").starts_with("text/plain; version=0.0.4"));
    let text = answer.text();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let family = name.split('{').next().unwrap();
        let parts = ["_bucket", "_sum", "_count"].iter().filter_map(|part| family.strip_suffix(part));
        let declared = |family: &str| text.matches(&format!("# TYPE {family} ")).count();
        assert_eq!(declared(family) + parts.map(declared).sum::<usize>(), 1, "{family}");
    }
    for name in [
        "daytwo_received_spans_total{transport=\"grpc\"} 10",
        "daytwo_accepted_spans_total{transport=\"grpc\"} 7",
        "daytwo_deduplicated_spans_total{transport=\"grpc\"} 2",
        "daytwo_rejected_spans_total{transport=\"grpc\",reason=\"malformed\"} 1",
        "daytwo_wal_sync_seconds_bucket{le=\"0.0025\"} ",
        "daytwo_wal_sync_seconds_bucket{le=\"+Inf\"} ",
        "daytwo_freshness_seconds_count 0",
        "daytwo_inflight_requests 0",
        "daytwo_build_info{version=\"9.9.9\"} 1",
    ] {
        assert!(text.contains(name), "{name} is missing from\n{text}");
    }
}

/// Scenario: spans stored two days ago, in a file and in memory; the correlation engine has forgotten them.
/// Guarantees: all names are listed with their spans, and the jump box still finds the service and its operation once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_names_are_still_listed() {
    let world = World::new().await;
    let span = |trace: u128, kind: i32| {
        TestSpan::new(trace, 1)
            .service("billing")
            .name("invoice")
            .version("v7")
            .kind(kind)
            .at(START)
            .text("tenant", "x")
    };
    world.add(&[span(1, 2), span(2, 2)]).await;
    world.flush().await;
    world.add(&[span(3, 5)]).await;
    world.pass(Duration::from_secs(2 * 86_400));
    let names = world.json("/api/v1/names").await;
    let expected = json!([{
        "service": "billing", "spans": 3, "versions": [{"name": "v7", "spans": 3}],
        "operations": [{"operation": "invoice", "kind": 2, "spans": 2}, {"operation": "invoice", "kind": 5, "spans": 1}],
    }]);
    assert_eq!((&names["services"], &names["truncated"], &names["partial"]), (&expected, &json!(false), &json!([])));
    assert_eq!(names["span_attributes"], json!([{"name": "tenant", "spans": 3}]));
    let found = world.json("/api/v1/suggest?q=bill").await;
    let texts: Vec<&str> =
        found["suggestions"].as_array().unwrap().iter().map(|place| place["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["billing", "billing invoice"]);
}

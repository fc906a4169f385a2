//! Traces over HTTP.

use daytwo_storage::testing::TestSpan;
use serde_json::json;

use crate::harness::{START, World};

const TRACE: &str = "00000000000000000000000000000007";

/// A request of 100 ms with a call of 60 ms to another service, an orphan, and a trace of something else.
async fn world() -> World {
    let world = World::new().await;
    let events = r#"[{"time_unix_nano":"5","name":"retry","attributes":{"n":1}}]"#;
    let mut call = TestSpan::new(7, 2)
        .parent(1)
        .service("frontend")
        .name("call")
        .kind(3)
        .at(START + 10_000_000)
        .lasting(60_000_000);
    call.events = Some(events.into());
    let call = call.text("peer.service", "cart").integer("attempt", 2).error();
    world
        .add(&[
            TestSpan::new(7, 1).service("frontend").name("GET /").at(START).lasting(100_000_000).version("v3"),
            call,
            TestSpan::new(7, 3).parent(2).service("cart").name("get").at(START + 15_000_000).lasting(50_000_000),
            TestSpan::new(7, 9).parent(8).service("lost").name("orphan").at(START + 1).lasting(1),
        ])
        .await;
    world.flush().await;
    world.add(&[TestSpan::new(5, 5).service("cart").name("other").at(START + 5).lasting(5)]).await;
    world
}

/// Scenario: a trace of four spans with a missing parent.
/// Guarantees: columns of equal length in depth-first order, parents before children, self time without what children cover, indexes into
/// the names, 64-bit times as text, and the oddity named.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_comes_as_columns() {
    let world = world().await;
    let trace = world.json(&format!("/api/v1/traces/{TRACE}")).await;
    assert_eq!((&trace["trace_id"], &trace["spans"]), (&json!(TRACE), &json!(4)));
    assert_eq!((&trace["start_unix_nano"], &trace["duration_ns"]), (&json!(START.to_string()), &json!("100000000")));
    let columns = trace["columns"].as_object().unwrap();
    assert!(columns.values().all(|column| column.as_array().unwrap().len() == 4), "{columns:?}");
    let row = |name: &str| {
        let index = trace["operations"].as_array().unwrap().iter().position(|one| one == name).unwrap();
        columns["operation"].as_array().unwrap().iter().position(|one| one == index).unwrap()
    };
    let (root, call, get, orphan) = (row("GET /"), row("call"), row("get"), row("orphan"));
    assert_eq!(columns["parent"][root], -1);
    assert_eq!((&columns["parent"][call], &columns["parent"][get]), (&json!(root), &json!(call)));
    assert_eq!((&columns["depth"][get], &columns["depth"][root]), (&json!(2), &json!(0)));
    assert_eq!((&columns["self_ns"][root], &columns["self_ns"][call]), (&json!(40_000_000), &json!(10_000_000)));
    assert_eq!(
        (&columns["start_offset_ns"][call], &columns["duration_ns"][call]),
        (&json!(10_000_000), &json!(60_000_000))
    );
    assert_eq!((&columns["kind"][call], &columns["status"][call]), (&json!("CLIENT"), &json!(2)));
    assert_eq!((&columns["flags"][call], &columns["flags"][orphan]), (&json!(4), &json!(1)));
    assert_eq!(columns["span_id"][get], "0000000000000003");
    let service = columns["service"][get].as_u64().unwrap();
    assert_eq!(trace["services"][usize::try_from(service).unwrap()], "cart");
    let kinds: Vec<&str> =
        trace["anomalies"].as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap()).collect();
    assert!(kinds.contains(&"missing_parent"), "{kinds:?}");
    let path = trace["critical_path"].as_array().unwrap();
    let length: i64 = path
        .iter()
        .map(|part| part["end_offset_ns"].as_i64().unwrap() - part["start_offset_ns"].as_i64().unwrap())
        .sum();
    assert_eq!(length, 100_000_000, "the critical path covers the root: {path:?}");
    assert_eq!(trace["partial"], json!([]));
}

/// Scenario: one span of it in full.
/// Guarantees: attributes with their types, promoted ones included, events, and the resource.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_span_comes_in_full() {
    let world = world().await;
    let span = world.json(&format!("/api/v1/traces/{TRACE}/spans/0000000000000002")).await["span"].take();
    assert_eq!(
        (&span["parent_span_id"], &span["kind"], &span["status"]),
        (&json!("0000000000000001"), &json!("CLIENT"), &json!("ERROR"))
    );
    let attributes = json!([
        {"key": "attempt", "type": "int", "value": "2"},
        {"key": "peer.service", "type": "string", "value": "cart"},
    ]);
    assert_eq!(span["attributes"], attributes);
    let event =
        json!([{"time_unix_nano": "5", "name": "retry", "attributes": [{"key": "n", "type": "int", "value": "1"}]}]);
    assert_eq!((&span["events"], &span["links"]), (&event, &json!([])));
    assert_eq!(span["resource"][0], json!({"key": "service.name", "type": "string", "value": "frontend"}));
    assert_eq!(span["duration_ns"], "60000000");
}

/// Scenario: searches by service, status, attribute and duration, over buffer and files.
/// Guarantees: the traces that hold such a span, newest first, summed up over all their spans.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traces_are_found() {
    let world = world().await;
    let found = world.json("/api/v1/traces?service=cart").await;
    let ids: Vec<&str> =
        found["traces"].as_array().unwrap().iter().map(|one| one["trace_id"].as_str().unwrap()).collect();
    assert_eq!(ids, [TRACE, "00000000000000000000000000000005"]);
    let first = &found["traces"][0];
    assert_eq!((&first["root_service"], &first["root_operation"]), (&json!("frontend"), &json!("GET /")));
    assert_eq!((&first["spans"], &first["errors"], &first["matched_spans"]), (&json!(4), &json!(1), &json!(1)));
    assert_eq!(first["duration_ms"], 100.0);
    assert_eq!((&found["limit"], &found["truncated"]), (&json!(20), &json!(false)));
    for query in ["status=error", "attribute=peer.service%3Dcart", "min_duration_ms=99", "operation=call"] {
        let found = world.json(&format!("/api/v1/traces?{query}")).await;
        assert_eq!(found["traces"].as_array().unwrap().len(), 1, "{query}");
        assert_eq!(found["traces"][0]["trace_id"], TRACE, "{query}");
    }
    let none = world.json("/api/v1/traces?service=cart&to=now-30m").await;
    assert_eq!(none["traces"], json!([]));
}

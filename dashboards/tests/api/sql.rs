//! SQL over HTTP.

use axum::body::Body;
use daytwo_storage::testing::TestSpan;
use http::StatusCode;
use serde_json::json;
use tower::ServiceExt;

use crate::harness::{Answer, START, World, request};

async fn ask(world: &World, sql: &str, accept: &str) -> Answer {
    let body = Body::from(json!({"query": sql}).to_string());
    let request = request("POST", "/api/v1/sql").header("content-type", "application/json").header("accept", accept);
    world.send(request.body(body).unwrap()).await
}

/// Scenario: the same rows as JSON, CSV and an Arrow stream, from buffer and files together.
/// Guarantees: each in its form; 64-bit integers are text in JSON, ids are lower-case hexadecimal.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_come_in_the_form_asked_for() {
    let world = World::new().await;
    world.add(&[TestSpan::new(1, 1).service("a").at(START).lasting(9_007_199_254_740_993)]).await;
    world.flush().await;
    world.add(&[TestSpan::new(2, 2).service("b").at(START)]).await;
    let sql = "SELECT trace_id, service_name, duration_time_unix_nano AS d FROM spans ORDER BY service_name";
    let answer = ask(&world, sql, "application/json").await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "application/json"));
    let body = answer.json();
    assert_eq!(body["columns"][1], json!({"name": "service_name", "type": "VARCHAR"}));
    assert_eq!(body["rows"][0], json!([format!("{:032x}", 1), "a", "9007199254740993"]));
    assert_eq!((&body["row_count"], &body["truncated"], &body["partial"]), (&json!(2), &json!(false), &json!([])));
    let csv = ask(&world, "SELECT service_name FROM spans ORDER BY 1", "text/csv").await;
    assert_eq!(csv.text(), "service_name\r\na\r\nb\r\n");
    assert!(csv.header("content-type").starts_with("text/csv"));
    let arrow = ask(&world, sql, "application/vnd.apache.arrow.stream").await;
    assert_eq!(arrow.header("content-type"), "application/vnd.apache.arrow.stream");
    assert_eq!(&arrow.body[..4], [0xff; 4], "an Arrow stream begins with the continuation marker");
}

/// Scenario: statements that write, are broken or too long, bodies that are no statement, forms that we do not have.
/// Guarantees: each its own status and code, and the next statement is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_statements_are_explained() {
    let world = World::new().await;
    for (sql, status, code) in [
        ("DROP TABLE spans", 400, "bad_request"),
        ("SELECT nothing FROM spans", 400, "bad_request"),
        ("SELECT", 400, "bad_request"),
    ] {
        let answer = ask(&world, sql, "*/*").await;
        assert_eq!((answer.status.as_u16(), answer.json()["error"]["code"].as_str()), (status, Some(code)), "{sql}");
    }
    let long = format!("SELECT '{}'", "x".repeat(65 << 10));
    let answer = ask(&world, &long, "*/*").await;
    assert_eq!(
        (answer.status, answer.json()["error"]["code"].as_str()),
        (StatusCode::PAYLOAD_TOO_LARGE, Some("too_large"))
    );
    assert_eq!(ask(&world, "SELECT 1", "application/xml").await.status, StatusCode::NOT_ACCEPTABLE);
    let bare = request("POST", "/api/v1/sql")
        .header("content-type", "application/sql")
        .body(Body::from("SELECT 1 + 1"))
        .unwrap();
    assert_eq!(world.send(bare).await.json()["rows"], json!([["2"]]));
}

/// Scenario: a client leaves while its query computes, another after the headers came.
/// Guarantees: both queries stop and are counted as cancelled; none is left running.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_stops_its_query() {
    let world = World::new().await;
    let spans: Vec<TestSpan> = (1..=2_000).map(|number| TestSpan::new(u128::from(number), number).at(START)).collect();
    world.add(&spans).await;
    let endless = "SELECT count(*) FROM spans a, spans b, spans c WHERE a.duration_time_unix_nano <> b.start_time_unix_nano + c.flags";
    let leave = tokio::time::timeout(std::time::Duration::from_millis(200), ask(&world, endless, "*/*")).await;
    assert!(leave.is_err(), "the query was expected to take long: {leave:?}");
    let body = Body::from(json!({"query": "SELECT * FROM spans"}).to_string());
    let answer = world.router.clone().oneshot(request("POST", "/api/v1/sql").body(body).unwrap()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    drop(answer);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        let query = world.json("/api/v1/status").await["query"].take();
        if query["running"] == 0 && query["cancelled"] == 2 {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "{query}");
        tokio::task::yield_now().await;
    }
}

//! Feature flags over HTTP: the list, one flag, and the SQL of its judgement.

use std::time::Duration;

use daytwo_storage::Clock;
use daytwo_storage::testing::TestSpan;
use http::StatusCode;
use serde_json::{Value, json};

use crate::harness::World;

/// Half of the traces have `new-tax=on`, with which `pay` takes twice as long.
fn visit(trace: u64, start: u64) -> Vec<TestSpan> {
    let on = (trace.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40).is_multiple_of(2);
    let work = (20_000_000 + (trace * 7_919) % 100 * 50_000) * if on { 2 } else { 1 };
    let span = |id: u64| TestSpan::new(u128::from(trace) + 1, id).environment("prod").version("v1").at(start);
    let root = span(1).service("shop").name("GET /").lasting(work + 4_000_000);
    let root =
        root.text("feature_flag.key", "new/tax").text("feature_flag.result.variant", if on { "on" } else { "off" });
    let root = root.text("feature_flag.result.reason", "split");
    vec![root, span(2).parent(1).service("pay").name("POST /pay").at(start + 1_000_000).lasting(work)]
}

async fn world() -> World {
    let world = World::new().await;
    for second in 0..60_u64 {
        let start = u64::try_from(world.clock.now().0).unwrap();
        let spans: Vec<TestSpan> =
            (0..20).flat_map(|part| visit(second * 20 + part, start + part * 1_000_000)).collect();
        world.add(&spans).await;
        world.pass(Duration::from_secs(1));
    }
    world.pass(Duration::from_secs(20));
    world
}

/// Scenario: a flag whose variant doubles the time of `pay`; its key has a slash.
/// Guarantees: the list names it with its control, words and worst service; the detail has the record of each service, whose SQL runs and gives
/// both cohorts; an unknown flag and another environment are told apart; `/metrics` counts it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flag_is_listed_and_explained() {
    let world = world().await;
    let listed = world.json("/api/v1/flags?env=prod").await;
    let flag = &listed["flags"][0];
    assert_eq!(
        (&flag["key"], &flag["state"], &flag["class"]),
        (&json!("new/tax"), &json!("FAIL"), &json!("OWN")),
        "{flag}"
    );
    assert_eq!(
        (&flag["control"], &flag["control_rule"], &flag["assignment"]),
        (&json!("off"), &json!("name"), &json!("randomised"))
    );
    assert!(flag["assignment_meaning"].as_str().unwrap().contains("caused by the variant"));
    let services = flag["comparisons"][0]["services"].as_array().unwrap();
    let states: Vec<_> =
        services.iter().map(|row| (row["service"].as_str().unwrap(), row["state"].as_str().unwrap())).collect();
    assert_eq!(states, [("pay", "FAIL"), ("shop", "INHERITED")]);
    assert_eq!(world.json("/api/v1/flags?env=test").await["flags"], json!([]));

    let detail = world.json("/api/v1/flags/new%2Ftax").await;
    assert_eq!(detail["flag"]["key"], "new/tax");
    assert!(!detail["share_series"][0]["series"].as_array().unwrap().is_empty());
    let judged = &detail["verdicts"][0]["services"][0];
    assert_eq!((&judged["service"], &judged["verdict"]["state"]), (&json!("pay"), &json!("FAIL")));
    assert_eq!(judged["verdict"]["baseline"]["meaning"], "concurrent traffic with the control");
    let answer = world.post("/api/v1/sql", &json!({"query": judged["verdict"]["sql"]})).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let rows = answer.json()["rows"].clone();
    let found: Vec<(&Value, &Value)> = rows.as_array().unwrap().iter().map(|row| (&row[0], &row[1])).collect();
    assert_eq!(found, [(&json!("POST /pay"), &json!("off")), (&json!("POST /pay"), &json!("on"))]);
    let traces = |row: usize| rows[row][2].as_u64().or_else(|| rows[row][2].as_str()?.parse().ok()).unwrap();
    assert_eq!(traces(0) + traces(1), 1_200);

    let unknown = world.get("/api/v1/flags/nothing").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert!(world.get("/metrics").await.text().contains("daytwo_flags 1\n"));
    let sql = world
        .post("/api/v1/sql", &json!({"query": "SELECT flag, variant, control, state, assignment FROM flags"}))
        .await;
    assert_eq!(sql.json()["rows"], json!([["new/tax", "on", "off", "FAIL", "randomised"]]), "{}", sql.text());
}

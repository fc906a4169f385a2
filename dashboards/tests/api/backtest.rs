//! Back-tests over HTTP, on what a release left behind.

use http::StatusCode;
use serde_json::json;

use crate::harness::World;

/// Scenario: a bad release of `pay`; the gate is tried with its own numbers, with a floor that the slowdown does not reach, on another service,
/// and with numbers that make no sense.
/// Guarantees: its own numbers say what was said; the other floor does not fail it; the counts add up; what is wrong is refused by name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_is_tried_with_other_numbers() {
    let world = World::new().await;
    world.release("pay", 70, 1.8);
    let same = world.json("/api/v1/backtest/gate").await;
    assert_eq!(same["in_force"], same["tried"]);
    assert_eq!(same["in_force"], json!({"alpha": 0.005, "material": 0.05, "margin": 0.1, "floor_ms": 0.3}));
    let row = &same["deployments"][0];
    assert_eq!(
        (&row["service"], &row["version"], &row["previous_version"]),
        (&json!("pay"), &json!("v2"), &json!("v1")),
        "{same}"
    );
    assert_eq!(row["in_force"], row["tried"]);
    let said = world.json("/api/v1/deployments/pay/v2").await;
    assert_eq!(
        (&row["in_force"]["state"], &row["in_force"]["class"]),
        (&said["verdict"]["state"], &said["verdict"]["class"])
    );
    assert!((5..60).contains(&row["in_force"]["failed_after_s"].as_u64().unwrap()), "{row}");
    assert_eq!(
        (&same["failed"], &same["passed"]),
        (&json!({"in_force": 1, "tried": 1}), &json!({"in_force": 0, "tried": 0}))
    );

    let lenient = world.json("/api/v1/backtest/gate?floor_ms=1000&service=pay&env=prod").await;
    assert_eq!(
        (&lenient["tried"]["floor_ms"], &lenient["failed"]),
        (&json!(1000.0), &json!({"in_force": 1, "tried": 0})),
        "{lenient}"
    );
    assert_eq!(world.json("/api/v1/backtest/gate?service=cart").await["deployments"], json!([]));
    for wrong in ["alpha=0", "alpha=x", "margin=-1", "material=99", "floor_ms=-1"] {
        let answer = world.get(&format!("/api/v1/backtest/gate?{wrong}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{wrong}: {}", answer.text());
    }
}

/// Scenario: the same traces, with two thresholds and two targets; without a target, and with a window that is none.
/// Guarantees: every pair has its row in order; under the stricter threshold the slow half is bad and pages, under the looser nothing is; what is
/// wrong is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objectives_are_tried_on_stored_cells() {
    let world = World::new().await;
    world.release("pay", 70, 1.8);
    let found = world
        .json("/api/v1/backtest/objective?service=pay&env=prod&target=0.9,0.99&threshold_ms=30,500&from=now-1h")
        .await;
    let rows = found["objectives"].as_array().unwrap();
    let named: Vec<_> =
        rows.iter().map(|row| (row["objective"].as_str().unwrap(), row["target"].as_f64().unwrap())).collect();
    let (strict, loose) = ("latency <= 30 ms", "latency <= 500 ms");
    assert_eq!(named, [(strict, 0.9), (strict, 0.99), (loose, 0.9), (loose, 0.99)]);
    let all = |row: &serde_json::Value| row["good"].as_u64().unwrap() + row["bad"].as_u64().unwrap();
    assert!(rows.iter().all(|row| all(row) == all(&rows[0])) && all(&rows[0]) > 2_000, "{found}");
    assert_eq!((&rows[3]["bad"], &rows[3]["pages"], &rows[3]["budget_left"]), (&json!(0), &json!(0), &json!(1.0)));
    assert!(rows[1]["bad"].as_u64().unwrap() > 700 && rows[1]["budget_left"].as_f64().unwrap() < 0.0);
    assert!(rows[1]["pages"].as_u64().unwrap() >= 1, "{found}");
    let firings = rows[1]["firings"].as_array().unwrap();
    assert!(firings.iter().any(|one| one["severity"] == "page" && one["long"] == "1h"), "{found}");
    for wrong in [
        "service=pay",
        "service=pay&target=1",
        "target=0.9",
        "service=pay&target=0.9&window=1y",
        "service=pay&target=0.9&from=x",
    ] {
        let answer = world.get(&format!("/api/v1/backtest/objective?{wrong}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{wrong}: {}", answer.text());
    }
}

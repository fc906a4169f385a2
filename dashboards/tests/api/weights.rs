//! Declared weights over HTTP: of deployments, of CDEvents, of flags; and what a split that is not the declared one does to gates.

use std::time::Duration;

use daytwo_storage::Clock;
use daytwo_storage::testing::TestSpan;
use http::StatusCode;
use serde_json::{Value, json};

use crate::harness::{START, World};

const DEPLOYMENTS: &str = "/api/v1/deployments";
const FLAGS: &str = "/api/v1/flags";

/// Twenty traces a second of `pay` through `shop`, after a minute v2 in 38 of 100, each with a flag that is on in every second trace.
async fn play(world: &World, seconds: u64) {
    for second in 0..seconds {
        let start = u64::try_from(world.clock.now().0).unwrap();
        let visit = |part: u64| {
            let trace = second * 20 + part;
            let drawn = (trace.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) % 100;
            let on = if trace.is_multiple_of(2) { "on" } else { "off" };
            let (at, version) = (start + part * 1_000_000, if second >= 60 && drawn < 38 { "v2" } else { "v1" });
            let work = 20_000_000 + (trace * 7_919) % 100 * 50_000;
            let span = |id: u64| TestSpan::new(u128::from(trace) + 1, id).environment("prod").at(at);
            let root = span(1).service("shop").version("s1").name("GET /").lasting(work + 4_000_000);
            let root = root.text("feature_flag.key", "new-tax").text("feature_flag.result.variant", on);
            [root, span(2).parent(1).service("pay").version(version).name("POST /pay").lasting(work)]
        };
        world.add(&(0..20).flat_map(visit).collect::<Vec<_>>()).await;
        world.pass(Duration::from_secs(1));
    }
    world.pass(Duration::from_secs(20));
}

fn canary(weight: f64) -> Value {
    json!({"id": "run-7", "service": "pay", "environment": "prod", "version": "v2", "at": "2026-11-22T10:29:00Z", "weight": weight})
}

/// Scenario: a canary that was meant to get a tenth gets 38 of 100 traces; then 38 % are declared.
/// Guarantees: SKEWED, with the words, no claim, and `inconclusive` for every gate; the window counts what its SQL counts; with the right weight
/// nothing is skewed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_split_that_was_not_declared_is_not_judged() {
    let world = World::new().await;
    let taken = world.post(DEPLOYMENTS, &canary(0.1)).await;
    assert_eq!(taken.status, StatusCode::CREATED, "{}", taken.text());
    assert_eq!(taken.json()["declared"]["weight"], 0.1);
    play(&world, 300).await;
    let answer = world.json("/api/v1/deployments/pay/v2/verdict?env=prod").await;
    assert_eq!((&answer["state"], &answer["class"]), (&json!("SKEWED"), &Value::Null), "{answer}");
    assert_eq!((&answer["result"]["verdict"], &answer["result"]["ok"]), (&json!("inconclusive"), &json!(false)));
    let reason = answer["reason"].as_str().unwrap();
    assert!(reason.starts_with("traffic split 3") && reason.contains(" % where 10 % was declared: "), "{reason}");
    let split = &answer["splits"][0];
    assert_eq!((&split["declared"], &split["skewed"], &answer["splits"][1]), (&json!(0.1), &json!(true), &Value::Null));
    assert!(split["p_value"].as_f64().unwrap() < 0.001);
    let counted = world.post("/api/v1/sql", &json!({"query": split["sql"]})).await;
    assert_eq!(counted.status, StatusCode::OK, "{}", counted.text());
    let number = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap();
    let rows: Vec<(u64, u64)> =
        counted.json()["rows"].as_array().unwrap().iter().map(|row| (number(&row[0]), number(&row[1]))).collect();
    assert_eq!(rows, [(0, number(&split["elsewhere"])), (1, number(&split["traces"]))]);
    let argo = world.json("/api/v1/gates/argo?service=pay&version=v2").await;
    assert_eq!((&argo["result"]["verdict"], &argo["result"]["ok"]), (&json!("inconclusive"), &json!(false)), "{argo}");

    let again = world.post(DEPLOYMENTS, &canary(0.38)).await;
    assert_eq!((again.status, &again.json()["replaced"]), (StatusCode::OK, &json!(true)));
    world.pass(Duration::from_secs(20));
    let answer = world.json("/api/v1/deployments/pay/v2/verdict?env=prod").await;
    assert_ne!(answer["state"], "SKEWED", "{answer}");
    assert_eq!(answer["splits"][0]["skewed"], false, "{}", answer["splits"]);
}

/// Scenario: the weight in its own body step by step, and in the `customData` of a CDEvent; weights that are none.
/// Guarantees: each step with its time, in the answer and in the list; what is no share is refused by field, and nothing is declared.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn weights_of_deployments_are_read() {
    let world = World::new().await;
    for weight in [json!(-0.1), json!(1.5), json!(10), json!("NaN"), json!(true), json!([0.1])] {
        let body = json!({"service": "pay", "version": "v2", "weight": weight});
        let answer = world.post(DEPLOYMENTS, &body).await;
        assert_eq!(
            (answer.status, &answer.json()["error"]["fields"][0]["field"]),
            (StatusCode::BAD_REQUEST, &json!("weight")),
            "{body}"
        );
    }
    assert_eq!(world.json(DEPLOYMENTS).await["deployments"], json!([]));
    world.post(DEPLOYMENTS, &canary(0.1)).await;
    let step = json!({"id": "run-7", "service": "pay", "environment": "prod", "version": "v2", "at": "2026-11-22T10:30:00Z", "weight": 0.5});
    let answer = world.post(DEPLOYMENTS, &step).await.json();
    let steps = json!([{"at_unix_nano": START.to_string(), "weight": 0.1}, {"at_unix_nano": (START + 60_000_000_000).to_string(), "weight": 0.5}]);
    assert_eq!(answer["declared"]["weights"], steps, "{answer}");
    assert_eq!(world.json(DEPLOYMENTS).await["deployments"][0]["declared"]["weights"], steps);

    let event = |weight: Value| {
        json!({
            "context": {"version": "0.4.0", "id": "1", "source": "/ci", "type": "dev.cdevents.service.upgraded.0.3.0", "timestamp": "2026-11-22T10:29:00Z"},
            "subject": {"id": "cart", "type": "service", "content": {"environment": {"id": "prod"}, "artifactId": "pkg:npm/cart@2.0.0"}},
            "customData": {"traffic.weight": weight},
        })
    };
    let wrong = world.post(DEPLOYMENTS, &event(json!(2))).await;
    assert_eq!(wrong.json()["error"]["fields"][0]["field"], "customData.traffic.weight", "{}", wrong.text());
    let taken = world.post(DEPLOYMENTS, &event(json!(0.25))).await;
    assert_eq!(
        (taken.status, &taken.json()["declared"]["weight"]),
        (StatusCode::CREATED, &json!(0.25)),
        "{}",
        taken.text()
    );
}

/// Scenario: bodies with everything wrong: no variants, one, seventeen, names that are none, weights that are none, more than there is.
/// Guarantees: 400 with each field by name and what it should be, and nothing is declared.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_weights_of_a_flag_is_said() {
    let world = World::new().await;
    let many: serde_json::Map<String, Value> = (0..17).map(|number| (format!("v{number}"), json!(0.01))).collect();
    for (body, expected) in [
        (json!({}), vec!["key", "variants"]),
        (json!({"key": "f", "variants": {}}), vec!["variants"]),
        (json!({"key": "f", "variants": {"on": 1}}), vec!["variants"]),
        (json!({"key": "f", "variants": [0.5, 0.5]}), vec!["variants", "variants"]),
        (json!({"key": "f", "variants": many}), vec!["variants"]),
        (json!({"key": "f", "variants": {"on": 0.5, "": 0.5}}), vec!["variants"]),
        (json!({"key": "f", "variants": {"on": 0.5, "x\u{7}": 0.5}}), vec!["variants"]),
        (json!({"key": "f", "variants": {"on": 0.5, "y".repeat(257): 0.5}}), vec!["variants"]),
        (json!({"key": "f", "variants": {"on": -0.5, "off": "NaN"}}), vec!["variants.off", "variants.on"]),
        (json!({"key": "f", "variants": {"on": 0.6, "off": 0.6}}), vec!["variants"]),
        (json!({"key": "f", "variants": {"on": 10, "off": 90}}), vec!["variants.off", "variants.on"]),
        (
            json!({"key": "f", "at": "2026-11-22T12:00:00Z", "flag": 1, "new_variants": "yes", "variants": {"on": 0.5, "off": 0.5}}),
            vec!["flag", "at", "new_variants"],
        ),
    ] {
        let answer = world.post(FLAGS, &body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}: {}", answer.text());
        let error = &answer.json()["error"];
        let named: Vec<&str> =
            error["fields"].as_array().unwrap().iter().map(|one| one["field"].as_str().unwrap()).collect();
        assert_eq!(named, expected, "{error}");
    }
    let large = world.post(FLAGS, &json!({"key": "x".repeat(70_000)})).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(world.get("/metrics").await.text().contains("daytwo_declared_flags 0\n"));
}

/// Scenario: weights of a flag before any trace has seen it; once traces have, a variant that none has seen, with and without a word that it is
/// about to come.
/// Guarantees: the first is taken and shown with the variant; the slip is refused by name, with the names that there are; what is said to be new is
/// taken; the same id takes the place of what was declared.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn weights_of_flags_are_taken() {
    let world = World::new().await;
    let body = json!({"id": "a", "key": "new-tax", "environment": "prod", "variants": {"on": 0.5, "off": 0.5}});
    let taken = world.post(FLAGS, &body).await;
    assert_eq!(
        (taken.status, &taken.json()["declared"]["variants"]["on"]),
        (StatusCode::CREATED, &json!(0.5)),
        "{}",
        taken.text()
    );
    assert_eq!(world.post(FLAGS, &body).await.status, StatusCode::OK);
    play(&world, 30).await;
    let listed = world.json(FLAGS).await;
    let weights: Vec<&Value> =
        listed["flags"][0]["variants"].as_array().unwrap().iter().map(|one| &one["weight"]).collect();
    assert_eq!(weights, [&json!(0.5), &json!(0.5)], "{listed}");
    let slip = json!({"key": "new-tax", "variants": {"onn": 0.5, "off": 0.5}});
    let refused = world.post(FLAGS, &slip).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    let problem = refused.json()["error"]["fields"][0].clone();
    assert_eq!(problem["field"], "variants.onn");
    assert!(problem["message"].as_str().unwrap().contains("there are off, on"), "{problem}");
    let coming = json!({"key": "new-tax", "new_variants": true, "variants": {"purple": 0.1, "on": 0.4, "off": 0.5}});
    assert_eq!(world.post(FLAGS, &coming).await.status, StatusCode::CREATED);
    assert!(world.get("/metrics").await.text().contains("daytwo_declared_flags 2\n"));
}

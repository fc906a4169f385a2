//! The contracts of Argo Rollouts, Flagger and Kayenta, with bodies as their own documentation gives them.

use http::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Answer, World, request};

/// Long enough for a FAIL of something 80 % slower.
const BAD: (u64, f64) = (70, 1.8);
/// Long enough for a PASS of something that is no slower.
const GOOD: (u64, f64) = (180, 1.0);

async fn world(service: &str, (seconds, factor): (u64, f64)) -> World {
    let world = World::new().await;
    world.release(service, seconds, factor);
    world
}

/// Scenario: a bad release, asked about as Argo's `web` provider does: GET with arguments, POST and PUT with a body, by version and by pod
/// template; then a release that nobody has seen.
/// Guarantees: `{$.result}` holds the verdict for conditions on text, truth and number; what was not seen yet is no error, which would
/// end the analysis, but undecided.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn argo_reads_the_result() {
    let world = world("pay", BAD).await;
    let result =
        world.json("/api/v1/gates/argo?service=pay&version=v2&env=prod&pod_template_hash=").await["result"].clone();
    assert_eq!((&result["verdict"], &result["ok"], &result["state"]), (&json!("fail"), &json!(false), &json!("FAIL")));
    assert_eq!((&result["risk"], &result["class"], &result["version"]), (&json!(1.0), &json!("OWN"), &json!("v2")));
    assert!(result["p_any"].as_f64().unwrap() < 0.005, "{result}");
    let by_hash =
        json!({"service": "pay", "candidate": {"pod_template_hash": "6f9d7c8b5"}, "baseline": {"version": "v1"}});
    for method in ["POST", "PUT"] {
        let body = axum::body::Body::from(by_hash.to_string());
        let answer = world.send(request(method, "/api/v1/gates/argo").body(body).unwrap()).await;
        assert_eq!((answer.status, &answer.json()["result"]["verdict"]), (StatusCode::OK, &json!("fail")), "{method}");
    }
    let other = json!({"service": "pay", "candidate": {"version": "v2"}, "baseline": {"version": "v0"}});
    let other = world.post("/api/v1/gates/argo", &other).await.json();
    assert_eq!(other["result"]["verdict"], "inconclusive");
    assert!(
        other["result"]["headline"].as_str().unwrap().starts_with("it was compared with v1, not with v0"),
        "{other}"
    );
    let unseen = world.json("/api/v1/gates/argo?service=pay&version=v3").await["result"].clone();
    assert_eq!(
        (&unseen["verdict"], &unseen["risk"], &unseen["version"]),
        (&json!("continue"), &json!(0.0), &json!(null))
    );
    assert_eq!(unseen["headline"], "no span of pay v3 has come yet");
}

/// Scenario: the body of the provider's documentation, which is not ours, no service, and no JSON.
/// Guarantees: 400 that names what is wrong.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_that_are_not_understood_are_refused_by_name() {
    let world = World::new().await;
    let answer = world.post("/api/v1/gates/argo", &json!({"key": "string value"})).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let fields = answer.json()["error"]["fields"].clone();
    assert_eq!(
        (&fields[0]["field"], &fields[1]),
        (&json!("key"), &json!({"field": "service", "message": "is missing"}))
    );
    assert_eq!(world.get("/api/v1/gates/argo").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(world.get("/api/v1/gates/argo?service=").await.status, StatusCode::BAD_REQUEST);
    for path in ["argo", "flagger/rollout", "flagger/promotion", "flagger/rollback", "kayenta/judge"] {
        let path = format!("/api/v1/gates/{path}");
        let broken = world.send(request("POST", &path).body("{".into()).unwrap()).await;
        assert_eq!(
            (broken.status, &broken.json()["error"]["code"]),
            (StatusCode::BAD_REQUEST, &json!("bad_request")),
            "{path}"
        );
        let empty = world.post(&path, &json!({})).await;
        assert_eq!(empty.status, StatusCode::BAD_REQUEST, "{path}: {}", empty.text());
    }
}

/// The payload of Flagger's documentation.
fn flagger() -> Value {
    json!({
        "name": "podinfo", "namespace": "test", "phase": "Progressing",
        "metadata": {"test": "all", "token": "16688eb5e9f289f1991c"},
    })
}

/// What the hooks of each kind answer.
async fn hooks(world: &World, body: &Value) -> Vec<(u16, Answer)> {
    let mut answers = Vec::new();
    for hook in ["rollout", "promotion", "rollback"] {
        let answer = world.post(&format!("/api/v1/gates/flagger/{hook}"), body).await;
        answers.push((answer.status.as_u16(), answer));
    }
    answers
}

fn statuses(answers: &[(u16, Answer)]) -> Vec<u16> {
    answers.iter().map(|(status, _)| *status).collect()
}

/// Scenario: Flagger's own payload before there is any traffic, with a good canary and with a bad one; and a version that is given.
/// Guarantees: without traffic the canary may get some, is not promoted and not rolled back; a good one is promoted; a bad one is held and
/// rolled back, and the body says why; a release that is over, or another version, never decides over the one under test.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flagger_is_told_by_status() {
    let nothing = World::new().await;
    assert_eq!(statuses(&hooks(&nothing, &flagger()).await), [200, 403, 403]);

    let good = world("podinfo", GOOD).await;
    let answers = hooks(&good, &flagger()).await;
    assert_eq!(statuses(&answers), [200, 200, 403], "{}", answers[1].1.text());
    let mut next = flagger();
    next["metadata"]["version"] = "v3".into();
    assert_eq!(statuses(&hooks(&good, &next).await), [200, 403, 403], "the verdict on v2 is not one on v3");

    let bad = world("podinfo", BAD).await;
    let answers = hooks(&bad, &flagger()).await;
    assert_eq!(statuses(&answers), [403, 403, 200]);
    let told = answers[0].1.json();
    assert_eq!((&told["verdict"], &told["version"]), (&json!("fail"), &json!("v2")));
    assert!(told["headline"].as_str().unwrap().contains("made it worse"), "{told}");
    bad.clock.advance(std::time::Duration::from_secs(600));
    assert_eq!(
        statuses(&hooks(&bad, &flagger()).await),
        [200, 403, 403],
        "a release without traffic is not under test"
    );
}

/// The request of a remote judge: the sample configuration and the data format of Kayenta's documentation.
fn kayenta() -> Value {
    json!({
        "canaryConfig": {
            "name": "MySampleAtlasCanaryConfig",
            "description": "Example Kayenta Configuration using Atlas",
            "configVersion": "1.0",
            "applications": ["myapp"],
            "judge": {"name": "dredd-v1.0", "judgeConfigurations": {}},
            "metrics": [
                {"name": "cpu", "query": {"type": "atlas", "q": "name,CpuRawUser,:eq,:sum,name,numProcs,:eq,:sum,:div"},
                 "groups": ["system"], "analysisConfigurations": {}, "scopeName": "default"},
            ],
            "classifier": {"groupWeights": {"requests": 50.0, "system": 50.0}, "scoreThresholds": {"pass": 95.0, "marginal": 75.0}},
        },
        "scoreThresholds": {"pass": 95.0, "marginal": 75.0},
        "metricSetPairList": [
            {"name": "cpu", "id": "f1a3", "tags": {"tagName": "tagValue"},
             "values": {"control": [1, 2, 3, 4, 5], "experiment": [1, 2, 3, 4, "NaN"]},
             "attributes": {"query": "..."}, "startTimeMillis": 1_516_046_700_000_u64,
             "startTimeIso": "2018-01-15T20:05:00Z", "stepMillis": 3_600_000},
        ],
    })
}

/// Scenario: Kayenta's sample request before there is traffic, with a good and with a bad canary; with a release that is named; with thresholds
/// that contradict each other.
/// Guarantees: every field of its result is there; undecided goes on and does not pass, good passes with 100, bad fails with 0;
/// the collected metrics are listed as not judged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kayenta_gets_a_score() {
    let path = "/api/v1/gates/kayenta/judge";
    let nothing = World::new().await;
    let undecided = nothing.post(path, &kayenta()).await.json();
    assert_eq!(
        (&undecided["score"]["score"], &undecided["score"]["classification"]),
        (&json!(75.0), &json!("Marginal"))
    );

    let good = world("myapp", GOOD).await.post(path, &kayenta()).await.json();
    assert_eq!((&good["score"]["score"], &good["score"]["classification"]), (&json!(100.0), &json!("Pass")), "{good}");

    let world = world("myapp", BAD).await;
    let bad = world.post(path, &kayenta()).await.json();
    assert_eq!(bad["judgeName"], "RemoteJudge-v1.0");
    assert_eq!((&bad["score"]["score"], &bad["score"]["classification"]), (&json!(0.0), &json!("Fail")));
    assert_eq!(bad["groupScores"][0]["score"], 0.0);
    let results = bad["results"].as_array().unwrap();
    for result in results {
        for key in [
            "name",
            "id",
            "tags",
            "classification",
            "classificationReason",
            "groups",
            "experimentMetadata",
            "controlMetadata",
            "resultMetadata",
            "critical",
            "muted",
        ] {
            assert!(!result[key].is_null(), "{key} is missing from {result}");
        }
    }
    assert!(results.iter().any(|result| result["classification"] == "High" && result["muted"] == false), "{bad}");
    let metric = results.iter().find(|result| result["id"] == "f1a3").unwrap();
    assert_eq!((&metric["classification"], &metric["muted"]), (&json!("Nodata"), &json!(true)));

    let mut named = kayenta();
    named["canaryConfig"]["judge"]["judgeConfigurations"] = json!({"service": "myapp", "version": "v3", "env": "prod"});
    assert_eq!(world.post(path, &named).await.json()["score"]["classification"], "Marginal");
    let mut wrong = kayenta();
    wrong["scoreThresholds"] = json!({"pass": 50, "marginal": 75});
    let refused = world.post(path, &wrong).await;
    assert_eq!(
        (refused.status, &refused.json()["error"]["fields"][0]["field"]),
        (StatusCode::BAD_REQUEST, &json!("scoreThresholds.pass"))
    );
}

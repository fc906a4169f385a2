//! Deployments: declared over HTTP in every form, and with all that is known of them.

use std::time::Duration;

use daytwo_storage::testing::TestSpan;
use http::StatusCode;
use serde_json::{Value, json};

use crate::harness::{START, World};

const PATH: &str = "/api/v1/deployments";

fn row<'a>(body: &'a Value, service: &str) -> &'a Value {
    let rows = body["deployments"].as_array().unwrap();
    rows.iter().find(|row| row["service"] == service).unwrap_or_else(|| panic!("no {service} in {body}"))
}

/// Scenario: a pipeline declares a deployment, sends it again, and asks about it before any span has come.
/// Guarantees: 201, then 200 in its place; it is listed once, as declared, without data; its verdict says that no span has come.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_declared_deployment_is_listed_at_once() {
    let world = World::new().await;
    let body = json!({
        "id": "run-7", "service": "pay", "environment": "prod", "version": "v2", "revision": "9d59409", "kind": "upgraded",
        "at": "2026-11-22T10:29:00Z", "actor": "ci", "url": "https://ci.example/7",
    });
    let first = world.post(PATH, &body).await;
    assert_eq!((first.status, &first.json()["replaced"]), (StatusCode::CREATED, &json!(false)), "{}", first.text());
    assert_eq!(first.json()["declared"]["at_unix_nano"], START.to_string());
    let second = world.post(PATH, &body).await;
    assert_eq!((second.status, &second.json()["replaced"]), (StatusCode::OK, &json!(true)));
    let listed = world.json(PATH).await;
    assert_eq!(listed["deployments"].as_array().unwrap().len(), 1);
    let pay = row(&listed, "pay");
    assert_eq!(
        (&pay["kind"], &pay["state"], &pay["declared"]["actor"]),
        (&json!("declared"), &json!("NO_DATA"), &json!("ci"))
    );
    let verdict = world.json("/api/v1/deployments/pay/v2/verdict").await;
    assert_eq!((&verdict["state"], &verdict["result"]["verdict"]), (&json!("NO_DATA"), &json!("inconclusive")));
    assert!(world.get("/metrics").await.text().contains("daytwo_declared_deployments 1\n"));
}

/// Scenario: bodies with everything wrong.
/// Guarantees: 400 with each field by name and what it should be, and nothing is declared; other media types are refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_said_by_field() {
    let world = World::new().await;
    for (body, expected) in [
        (json!({}), vec!["service", "version"]),
        (json!({"service": "", "version": 7}), vec!["service", "version"]),
        (json!({"service": "pay", "version": "v2", "sevrice": 1}), vec!["sevrice"]),
        (json!({"service": "pay", "image": "shop/pay:latest"}), vec!["image"]),
        (
            json!({"service": "pay", "version": "v2", "at": "now", "kind": "moved", "url": "javascript:alert(1)"}),
            vec!["kind", "at", "url"],
        ),
        (json!({"service": "pay", "version": "v2", "at": "2026-11-22T12:00:00Z"}), vec!["at"]),
        (json!({"service": "pay\n", "version": "x".repeat(600)}), vec!["service", "version"]),
    ] {
        let answer = world.post(PATH, &body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}: {}", answer.text());
        let error = &answer.json()["error"];
        let named: Vec<&str> =
            error["fields"].as_array().unwrap().iter().map(|one| one["field"].as_str().unwrap()).collect();
        assert_eq!(named, expected, "{error}");
        assert!(expected.iter().all(|field| error["message"].as_str().unwrap().contains(field)), "{error}");
    }
    let text = world.post_as(PATH, "text/plain", &[], &json!({"service": "pay", "version": "v2"})).await;
    assert_eq!(text.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let large = world.post(PATH, &json!({"service": "x".repeat(70_000)})).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(world.json(PATH).await["deployments"], json!([]));
}

const DIGEST: &str = "sha256:0b31b1c02ff458ad9b7b81cbdf8f028bd54699fa151f221d1e8de6817db93427";

/// The event of the specification's conformance tests, of some type.
fn cdevent(kind: &str) -> Value {
    json!({
        "context": {
            "version": "0.4.0", "id": "271069a8-fc18-44f1-b38f-9d70a1695819", "chainId": "4c8cb7dd-3448-41de-8768-eec704e2829b",
            "source": "/event/source/123", "type": kind, "timestamp": "2023-03-20T14:27:05.315384Z",
            "schemaUri": "https://myorg.com/schema/custom",
        },
        "subject": {
            "id": "mySubject123", "source": "/event/source/123", "type": "service",
            "content": {
                "environment": {"id": "test123"},
                "artifactId": "pkg:oci/myapp@sha256%3A0b31b1c02ff458ad9b7b81cbdf8f028bd54699fa151f221d1e8de6817db93427",
            },
        },
    })
}

/// Scenario: CDEvents' conformance events of three predicates and several versions, in binary content mode, in structured content mode, and bare.
/// Guarantees: each declares the service, environment and image that it names, at its time; the same event sent twice is one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cdevents_declare_deployments() {
    for (kind, declared) in [
        ("dev.cdevents.service.deployed.0.2.0", "deployed"),
        ("dev.cdevents.service.upgraded.0.3.0-draft", "upgraded"),
        ("dev.cdevents.service.rolledback.0.3.0", "rolled_back"),
    ] {
        let world = World::new().await;
        let event = cdevent(kind);
        let id = event["context"]["id"].as_str().unwrap();
        let headers = [("ce-specversion", "1.0"), ("ce-type", kind), ("ce-id", id), ("ce-source", "/event/source/123")];
        let binary = world.post_as(PATH, "application/cdevents+json; charset=utf-8", &headers, &event).await;
        assert_eq!(binary.status, StatusCode::CREATED, "{}", binary.text());
        let around =
            json!({"specversion": "1.0", "type": kind, "id": id, "source": "/event/source/123", "data": event});
        let structured = world.post_as(PATH, "application/cloudevents+json", &[], &around).await;
        assert_eq!(
            (structured.status, &structured.json()["replaced"]),
            (StatusCode::OK, &json!(true)),
            "{}",
            structured.text()
        );
        assert_eq!(world.post(PATH, &event).await.status, StatusCode::OK);
        let listed = world.json(PATH).await;
        assert_eq!(listed["deployments"].as_array().unwrap().len(), 1);
        let found = row(&listed, "mySubject123");
        assert_eq!((&found["environment"], &found["version"]), (&json!("test123"), &json!(format!("image:{DIGEST}"))));
        assert_eq!((&found["declared"]["kind"], &found["declared"]["image"]), (&json!(declared), &json!(DIGEST)));
        assert_eq!(found["declared"]["at_unix_nano"], "1679322425315384000");
    }
}

/// Scenario: an event with OpenTelemetry's names in `customData`, while spans of that image name a version.
/// Guarantees: one deployment: the spans' version, with what was declared.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_meets_the_spans_of_its_image() {
    let world = World::new().await;
    for number in 1..=30 {
        let span = TestSpan::new(number, 1).service("pay").version("1.7.3").environment("prod");
        let resource = json!({"container.image.repo_digests": [format!("registry/pay@{DIGEST}")]}).to_string();
        world.observe(&[span.resource(&resource).at(START)]);
    }
    world.pass(Duration::from_secs(20));
    let mut event = cdevent("dev.cdevents.service.deployed.0.2.0");
    event["customData"] = json!({"service.name": "pay", "deployment.environment.name": "prod"});
    assert_eq!(world.post(PATH, &event).await.status, StatusCode::CREATED);
    let listed = world.json(PATH).await;
    let rows = listed["deployments"].as_array().unwrap();
    assert_eq!((rows.len(), &rows[0]["version"]), (1, &json!("1.7.3")), "{listed}");
    assert_eq!(rows[0]["identity"]["image_digests"], json!([DIGEST]));
    assert_eq!(rows[0]["declared"]["id"], "/event/source/123#271069a8-fc18-44f1-b38f-9d70a1695819");
}

/// Scenario: events that are no deployments, lack what is needed, or say one thing in the header and another in the body.
/// Guarantees: each is refused with the field's full name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_declare_nothing_are_refused() {
    let world = World::new().await;
    let good = "dev.cdevents.service.deployed.0.2.0";
    let without = |path: &[&str]| {
        let mut event = cdevent(good);
        let (last, above) = path.split_last().unwrap();
        let inner = above.iter().fold(&mut event, |value, key| &mut value[*key]);
        inner.as_object_mut().unwrap().remove(*last);
        event
    };
    for (event, field) in [
        (cdevent("dev.cdevents.service.removed.0.2.0"), "context.type"),
        (cdevent("dev.cdevents.build.finished.0.2.0"), "context.type"),
        (without(&["context", "timestamp"]), "context.timestamp"),
        (without(&["context", "id"]), "context.id"),
        (without(&["subject", "id"]), "subject.id"),
        (without(&["subject", "content", "environment", "id"]), "subject.content.environment.id"),
        (without(&["subject", "content", "artifactId"]), "subject.content.artifactId"),
    ] {
        let answer = world.post(PATH, &event).await;
        let error = &answer.json()["error"];
        assert_eq!((answer.status, &error["fields"][0]["field"]), (StatusCode::BAD_REQUEST, &json!(field)), "{error}");
    }
    let other = world.post_as(PATH, "application/json", &[("ce-id", "another")], &cdevent(good)).await;
    assert_eq!(other.json()["error"]["fields"][0]["field"], "ce-id", "{}", other.text());
    let batch = world.post_as(PATH, "application/cloudevents-batch+json", &[], &json!([])).await;
    assert_eq!(batch.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let empty = world.post_as(PATH, "application/cloudevents+json", &[], &json!({"specversion": "1.0"})).await;
    assert_eq!(empty.status, StatusCode::BAD_REQUEST);
    assert_eq!(world.json(PATH).await["deployments"], json!([]));
}

/// Scenario: a canary whose processes also run on another runtime.
/// Guarantees: its page has the notes, the identity, the share minute by minute, and the runtime at the top of the parity report and among
/// the confounders.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_shows_all_that_is_known() {
    let world = World::new().await;
    world.release("pay", 300, 1.0);
    let body = world.json("/api/v1/deployments/pay/v2").await;
    let deployment = &body["deployment"];
    assert_eq!(deployment["identity"]["pod_template_hashes"], json!(["6f9d7c8b5"]));
    assert_eq!(deployment["notes"][0]["kind"], "canary", "{deployment}");
    assert_eq!(deployment["instances"], 1);
    let series = body["share_series"].as_array().unwrap();
    let whole: Vec<f64> = series[1..series.len() - 1].iter().map(|point| point["share"].as_f64().unwrap()).collect();
    assert!(whole.len() >= 3 && whole.iter().all(|share| (share - 0.5).abs() < 0.01), "{series:?}");
    let parity = &body["verdict"]["parity"][0];
    assert_eq!((&parity["attribute"], &parity["state"]), (&json!("process.runtime.version"), &json!("differs")));
    assert_eq!(
        parity["values"],
        json!([{"value": "v1.0", "before": 1.0, "after": 0.0}, {"value": "v2.0", "before": 0.0, "after": 1.0}])
    );
    let confounders = body["verdict"]["confounders"].as_array().unwrap();
    assert!(confounders[0].as_str().unwrap().starts_with("process.runtime.version differs"), "{confounders:?}");
}

/// Scenario: stored spans of a service that names no version, before and after a new revision.
/// Guarantees: the query that repeats the comparison finds both versions' spans, each under its revision.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_replay_finds_versions_without_a_name() {
    let world = World::new().await;
    for number in 0..60_u64 {
        let revision = if number < 30 { "aaaaaaaa11" } else { "bbbbbbbb22" };
        let resource = json!({"vcs.ref.head.revision": revision}).to_string();
        let span = TestSpan::new(u128::from(number) + 1, 1).service("pay").resource(&resource);
        world.add(&[span.at(START + number * 500_000_000)]).await;
    }
    world.pass(Duration::from_secs(60));
    let verdict = world.json("/api/v1/deployments/pay/revision%3Abbbbbbbb22/verdict").await;
    let answer = world.post("/api/v1/sql", &json!({"query": verdict["sql"]})).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let rows = answer.json()["rows"].clone();
    let counted: Vec<(&Value, &Value)> = rows.as_array().unwrap().iter().map(|row| (&row[1], &row[2])).collect();
    assert_eq!(counted, [(&json!("revision:aaaaaaaa11"), &json!("30")), (&json!("revision:bbbbbbbb22"), &json!("30"))]);
}

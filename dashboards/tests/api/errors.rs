//! What clients are told when something is wrong.

use axum::body::Body;
use http::StatusCode;

use crate::harness::{World, request};

/// Scenario: unknown paths, ids, parameters and methods on every kind of endpoint.
/// Guarantees: the status of the contract, a `problem+json` body with its code, a message and the id of the request, which is also a
/// header; and no answer is ever HTML that a browser would run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_error_has_the_same_form() {
    let world = World::new().await;
    for (method, path, status, code) in [
        ("GET", "/api/v1/nothing", 404, "not_found"),
        ("GET", "/assets/none.js", 404, "not_found"),
        ("GET", "/api/v1/slos/none", 404, "not_found"),
        ("GET", "/api/v1/deployments/none/v1", 404, "not_found"),
        ("GET", "/api/v1/deployments/none/v1/verdict", 404, "not_found"),
        ("GET", "/api/v1/deployments/none/v1/distribution", 404, "not_found"),
        ("GET", "/api/v1/traces/0af7651916cd43dd8448eb211c80319c", 404, "not_found"),
        ("GET", "/api/v1/traces/0af7651916cd43dd8448eb211c80319c/spans/00f067aa0ba902b7", 404, "not_found"),
        ("GET", "/api/v1/traces/xyz", 400, "bad_request"),
        ("GET", "/api/v1/traces/00000000000000000000000000000000", 400, "bad_request"),
        ("GET", "/api/v1/traces/0af7651916cd43dd8448eb211c80319c/spans/1", 400, "bad_request"),
        ("GET", "/api/v1/traces/%ff", 400, "bad_request"),
        ("GET", "/api/v1/traces?limit=0", 400, "bad_request"),
        ("GET", "/api/v1/traces?from=yesterday", 400, "bad_request"),
        ("GET", "/api/v1/services?from=now&to=now-1h", 400, "bad_request"),
        ("POST", "/api/v1/services", 405, "bad_request"),
        ("DELETE", "/", 405, "bad_request"),
        ("GET", "/api/v1/sql", 405, "bad_request"),
    ] {
        let answer = world.send(request(method, path).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path}: {}", answer.text());
        assert_eq!(answer.header("content-type"), "application/problem+json", "{method} {path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        let error = &answer.json()["error"];
        assert_eq!(error["code"], code, "{method} {path}");
        assert!(error["message"].as_str().unwrap().len() > 10, "{error}");
        assert_eq!(error["request_id"], answer.header("x-request-id"));
    }
}

/// Scenario: a page of another site reaches the port by a name of its own, or sends a form to it.
/// Guarantees: neither is answered; probes, which use addresses, are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_sites_are_kept_out() {
    let world = World::new().await;
    let rebound =
        |path: &str| http::Request::get(path).header("host", "evil.example:8080").body(Body::empty()).unwrap();
    assert_eq!(world.send(rebound("/api/v1/status")).await.status, StatusCode::MISDIRECTED_REQUEST);
    assert_eq!(world.send(rebound("/")).await.status, StatusCode::MISDIRECTED_REQUEST);
    assert_eq!(world.send(rebound("/healthz")).await.status, StatusCode::OK);
    let form =
        request("POST", "/api/v1/sql").header("sec-fetch-site", "cross-site").header("content-type", "text/plain");
    assert_eq!(world.send(form.body(Body::from("SELECT 1")).unwrap()).await.status, StatusCode::FORBIDDEN);
    let own = request("GET", "/api/v1/status").header("origin", "http://evil.example").body(Body::empty()).unwrap();
    assert_eq!(world.send(own).await.header("access-control-allow-origin"), "");
}

//! The pages at `/`.

use http::StatusCode;

use crate::harness::World;

/// Scenario: the root, deep links of the board, and paths that programs use.
/// Guarantees: every page path gives the page, with a policy that lets no foreign script run; programs never get HTML.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_fall_back_to_the_board() {
    let world = World::new().await;
    let page = world.get("/").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.header("content-type").starts_with("text/html"));
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    let policy = page.header("content-security-policy");
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("script-src 'unsafe"), "{policy}");
    if cfg!(feature = "ui") {
        assert!(policy.contains("script-src 'self'"), "{policy}");
        for path in ["/deployments/payment/v2", "/traces/0af7651916cd43dd8448eb211c80319c", "/status"] {
            let deep = world.get(path).await;
            assert_eq!(deep.status, StatusCode::OK, "{path}");
            assert!(deep.header("content-type").starts_with("text/html"), "{path}");
        }
    }
    for path in ["/api/none", "/api", "/assets/none.css", "/jaeger/api/traces"] {
        let answer = world.get(path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(answer.header("content-type"), "application/problem+json", "{path}");
    }
}

/// Scenario: a browser loads the page and the script it names, with and without gzip, then again.
/// Guarantees: the page is asked for each time and costs nothing when unchanged; the script is kept for ever, and packed for those who
/// take it.
#[cfg(feature = "ui")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn assets_are_cached() {
    use crate::harness::request;
    use axum::body::Body;

    let world = World::new().await;
    let page = world.get("/").await;
    assert_eq!(page.header("cache-control"), "no-cache");
    let again = request("GET", "/").header("if-none-match", page.header("etag")).body(Body::empty()).unwrap();
    let again = world.send(again).await;
    assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0));
    let text = page.text();
    let script = text.split(['"', '\'']).find(|part| part.contains("assets/") && part.ends_with(".js")).unwrap();
    let path = format!("/{}", script.trim_start_matches(['.', '/']));
    let plain = world.get(&path).await;
    assert_eq!(plain.status, StatusCode::OK, "{path}");
    assert!(plain.header("cache-control").contains("immutable"));
    assert!(plain.header("content-type").starts_with("text/javascript"));
    let packed = request("GET", &path).header("accept-encoding", "gzip, br").body(Body::empty()).unwrap();
    let packed = world.send(packed).await;
    assert_eq!(packed.header("content-encoding"), "gzip");
    assert!(packed.body.len() < plain.body.len());
}

//! The suite itself has to be able to say no.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use serde_json::{Value as Json, json};
use tokio::net::TcpListener;

use super::*;

/// A server that says yes to everything, in JSON.
async fn yes_man() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(|request: http::Request<Incoming>| async {
                // A body that stalls would never be answered; nor need it be read.
                let stalls = request.headers().get("content-length").is_some_and(|length| length == "100");
                if !stalls {
                    request.into_body().collect().await.ok();
                }
                let answer = Response::builder().header("content-type", "application/json");
                Ok::<_, Infallible>(answer.body(Full::new(Bytes::from_static(b"{}"))).unwrap())
            });
            tokio::spawn(async move {
                // Who does not begin is not waited for.
                let mut preface = [0; 24];
                let begun = tokio::time::timeout(Duration::from_secs(5), async {
                    while matches!(stream.peek(&mut preface).await, Ok(1..24)) && preface.starts_with(b"PRI") {
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                });
                if begun.await.is_err() {
                    return;
                }
                let mut builder = auto::Builder::new(TokioExecutor::new());
                builder.http1().timer(TokioTimer::new()).header_read_timeout(Duration::from_millis(500));
                builder.serve_connection(TokioIo::new(stream), service).await.ok();
            });
        }
    });
    addr
}

fn target(http: &str, query: Option<String>) -> Target {
    Target {
        grpc: "127.0.0.1:1".to_owned(),
        http: http.to_owned(),
        query,
        token: Some("token".to_owned()),
        origin: Some("https://shop.example".to_owned()),
        request_bytes_max: 1 << 20,
        found_within: Duration::ZERO,
        golden: GoldenConfig { seed: 1, run: 7, each: 1, compressions: vec![Compression::None] },
    }
}

/// Scenario: the whole suite against a server that says yes to everything over HTTP, stores nothing, and has no gRPC.
/// Guarantees: what has to be refused, stored, or answered by gRPC is found to be wrong; what may be a plain yes passes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_yes_man_does_not_pass() {
    let addr = yes_man().await.to_string();
    let report = run(target(&addr, Some(format!("http://{addr}")))).await;
    assert!(!report.is_pass());
    let failed = |item: &str| report.rows.iter().any(|row| row.item == item && !row.is_pass());
    let refusals = ["O-02", "O-04", "O-05", "O-11", "O-12", "O-20", "O-32", "O-33", "O-42", "O-44", "O-57"];
    let rejections = ["O-34", "O-43", "O-50", "O-51", "O-60", "O-61", "O-70", "O-83"];
    for item in refusals.into_iter().chain(rejections) {
        assert!(failed(item), "{item} passed:\n{}", report.to_text());
    }
    for row in &report.rows {
        let no_answer = row.transport == Some(Transport::Grpc) && row.item != "O-84";
        let is_lookup = row.case.starts_with("stored: ");
        assert!(!(no_answer || is_lookup) || !row.is_pass(), "{row:?}");
    }
    let passes = |item: &str, transport| {
        report.rows.iter().any(|row| row.item == item && row.transport == Some(transport) && row.is_pass())
    };
    assert!(passes("O-30", Transport::HttpJson) && passes("O-03", Transport::HttpJson), "{}", report.to_text());
    assert!(!passes("O-30", Transport::HttpProtobuf), "a JSON answer to protobuf is wrong");
}

/// Scenario: of four spans that were accepted one is found whole, one altered, one twice, one not at all.
/// Guarantees: only the first passes; the altered column is named.
#[tokio::test]
async fn lost_altered_and_doubled_spans_are_noticed() {
    let suite = Suite::new(target("127.0.0.1:1", Some("http://127.0.0.1:1".to_owned())));
    for name in ["whole", "altered", "twice", "lost"] {
        suite.expect_stored("O-34", name, Transport::Grpc, &suite.request());
    }
    let rows: Vec<Vec<Json>> = {
        let ledger = suite.ledger();
        ["whole", "altered", "twice", "lost"].map(|name| ledger.row_of(name)).into()
    };
    let [whole, mut altered, twice, _lost] = rows.try_into().unwrap();
    altered[5] = json!("another name");
    suite.check_found(vec![whole, altered, twice.clone(), twice]).unwrap_err();
    let report = suite.into_report(0);
    let row = |name: &str| report.rows.iter().find(|row| row.case == format!("stored: {name}")).unwrap();
    assert!(row("whole").is_pass() && row("twice").is_pass());
    assert!(!row("altered").is_pass() && row("altered").seen.contains("name is \"another name\""), "{report:?}");
    assert!(!row("lost").is_pass());
}

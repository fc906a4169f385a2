//! A busy, full, failing or stopping server.

use tonic::Code;
use tonic_types::StatusExt;

use super::*;

/// Scenario: the store is busy, full, out of disk, or failing for good; or handling the request panics.
/// Guarantees: what may pass is UNAVAILABLE with RetryInfo and 503 with Retry-After; what may not is INTERNAL and 500
/// (O-41, O-43); afterwards the server goes on as if nothing had been.
#[tokio::test]
async fn store_trouble_is_told_apart() {
    let running = start(CollectorConfig::default()).await;
    let cases = [
        (Mood::Busy, Some("store_busy")),
        (Mood::Full, Some("store_full")),
        (Mood::DiskFull, Some("disk_full")),
        (Mood::Panics, Some("panic")),
        (Mood::Broken, None),
    ];
    for (mood, shed) in cases {
        running.shelf.set(mood);
        let status = grpc::export(&running, request(vec![span(1)])).await.unwrap_err();
        let answered = http::post(&running, http::JSON, None, BODY.to_vec()).await;
        let retry_after =
            answered.headers.get("retry-after").map(|value| value.to_str().unwrap().parse::<u64>().unwrap());
        if let Some(reason) = shed {
            assert_eq!(
                (status.code(), answered.status.as_u16(), answered.rpc_code()),
                (Code::Unavailable, 503, 14),
                "{mood:?}"
            );
            let delay = status.get_details_retry_info().unwrap().retry_delay.unwrap();
            assert!(delay >= Duration::from_secs(1) && retry_after.unwrap() >= 1, "{mood:?}");
            assert_eq!(running.telemetry.snapshot().shed_requests[reason], 2);
        } else {
            assert_eq!((status.code(), answered.status.as_u16(), retry_after), (Code::Internal, 500, None));
        }
    }
    running.shelf.set(Mood::Ready);
    grpc::export(&running, request(vec![span(1)])).await.unwrap();
    assert_eq!((running.shelf.spans(), running.telemetry.snapshot().received_spans), (1, 1));
}

const BODY: &[u8] = br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331"}]}]}]}"#;

/// Scenario: two requests that never finish hold the byte budget; more come; then the first are given up.
/// Guarantees: the others are refused as retryable, on both transports, and every byte comes back in the end.
#[tokio::test]
async fn a_spent_budget_sheds() {
    let config =
        CollectorConfig { request_bytes_max: 50_000, inflight_bytes_max: 100_000, ..CollectorConfig::default() };
    let running = Arc::new(start(config).await);
    running.shelf.set(Mood::Never);
    let large = request(vec![Span { name: "n".repeat(45_000), ..span(1) }]);
    let held: Vec<_> = (0..2)
        .map(|_| {
            let (running, large) = (Arc::clone(&running), large.clone());
            tokio::spawn(async move { grpc::export(&running, large).await })
        })
        .collect();
    eventually("both hold the budget", || running.telemetry.snapshot().inflight_bytes > 90_000).await;
    let status = grpc::export(&running, large.clone()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.get_details_retry_info().is_some());
    let answered = http::post(&running, http::PROTOBUF, None, large.encode_to_vec()).await;
    assert_eq!((answered.status.as_u16(), answered.rpc_code()), (503, 14));
    let packed = http::post(&running, http::PROTOBUF, Some("gzip"), gzip(&large.encode_to_vec())).await;
    assert_eq!(packed.status.as_u16(), 503);
    assert_eq!(running.telemetry.snapshot().shed_requests["memory_budget"], 3);
    running.shutdown.cancel();
    for held in held {
        assert_eq!(held.await.unwrap().unwrap_err().code(), Code::Unavailable);
    }
}

/// Scenario: shutdown while one request waits for the store and then is stored, and another never is.
/// Guarantees: both are answered, the second as retryable; the ports are closed; `serve` returns.
#[tokio::test]
async fn shutdown_answers_every_request() {
    let config = CollectorConfig { drain_timeout: Duration::from_millis(800), ..CollectorConfig::default() };
    let running = Arc::new(start(config).await);
    running.shelf.set(Mood::Never);
    let stuck = tokio::spawn({
        let running = Arc::clone(&running);
        async move { http::post(&running, http::JSON, None, BODY.to_vec()).await }
    });
    eventually("the request is in work", || running.telemetry.snapshot().inflight_bytes > 0).await;
    running.shutdown.cancel();
    let answered = stuck.await.unwrap();
    assert_eq!((answered.status.as_u16(), answered.rpc_code()), (503, 14));
    eventually("the receivers have returned", || running.served.is_finished()).await;
    assert!(tokio::net::TcpStream::connect(running.http).await.is_err());
    assert!(tokio::net::TcpStream::connect(running.grpc).await.is_err());
}

/// Scenario: a client that goes away while its request is being stored.
/// Guarantees: the request is stored all the same, and its bytes come back.
#[tokio::test]
async fn a_client_that_leaves_does_not_undo() {
    let running = start(CollectorConfig::default()).await;
    let mut stream = tokio::net::TcpStream::connect(running.http).await.unwrap();
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        BODY.len()
    );
    tokio::io::AsyncWriteExt::write_all(&mut stream, &[head.as_bytes(), BODY].concat()).await.unwrap();
    drop(stream);
    eventually("stored or never read", || {
        let status = running.telemetry.snapshot();
        status.inflight_bytes == 0 && running.shelf.spans() == 1
    })
    .await;
}

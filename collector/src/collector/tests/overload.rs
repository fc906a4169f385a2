//! A busy, full, failing or stopping server.

use daytwo_storage::{PayloadCompression, PayloadFormat};
use opentelemetry_proto::tonic::trace::v1::span::Event;
use tonic::Code;
use tonic_types::StatusExt;

use super::client::TraceClient;
use super::*;
use crate::otlp::export::Request;
use crate::telemetry::Transport;

/// Scenario: the store is busy, brimful, full, out of disk, or failing for good; or handling the request panics.
/// Guarantees: what may pass is UNAVAILABLE with RetryInfo and 503 with Retry-After; what may not is INTERNAL and 500
/// (O-41, O-43); afterwards the server goes on as if nothing had been.
#[tokio::test]
async fn store_trouble_is_told_apart() {
    let running = start(CollectorConfig::default()).await;
    let cases = [
        (Mood::Busy, Some("store_busy")),
        (Mood::Brimful, Some("store_busy")),
        (Mood::Full, Some("store_full")),
        (Mood::DiskFull, Some("disk_full")),
        (Mood::Panics, Some("panic")),
        (Mood::Broken, None),
    ];
    let mut counted = BTreeMap::new();
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
            let before = std::mem::replace(&mut counted, running.telemetry.snapshot().shed_requests);
            assert_eq!(counted[reason], before.get(reason).copied().unwrap_or_default() + 2);
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
        CollectorConfig { request_bytes_max: 50_000, inflight_bytes_max: 240_000, ..CollectorConfig::default() };
    let running = Arc::new(start(config).await);
    running.shelf.set(Mood::Never);
    let large = request(vec![Span { name: "n".repeat(45_000), ..span(1) }]);
    let held: Vec<_> = (0..2)
        .map(|_| {
            let (running, large) = (Arc::clone(&running), large.clone());
            tokio::spawn(async move { grpc::export(&running, large).await })
        })
        .collect();
    eventually("both hold the budget", || running.telemetry.snapshot().inflight_bytes > 150_000).await;
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

/// Scenario: one exporter has ten requests under way that are not answered, after another one has begun to send; then the store is
/// ready again and the other one exports.
/// Guarantees: the first gets its share of the budget and no more, is told so, and the other is let in at once.
#[tokio::test]
async fn one_exporter_does_not_starve_another() {
    let config =
        CollectorConfig { request_bytes_max: 50_000, inflight_bytes_max: 400_000, ..CollectorConfig::default() };
    let running = Arc::new(start(config).await);
    running.shelf.set(Mood::Never);
    let large = |id| request(vec![Span { name: "n".repeat(45_000), ..span(id) }]);
    let mut modest = TraceClient::connect_from(&running, [127, 0, 0, 2].into()).await;
    let begun = tokio::spawn({
        let mut modest = modest.clone();
        async move { modest.export(request(vec![span(1)])).await }
    });
    eventually("it is in work", || running.telemetry.snapshot().inflight_bytes > 0).await;
    let greedy = TraceClient::connect(&running).await;
    let calls = (0..10).map(|id| {
        let (mut greedy, large) = (greedy.clone(), large(100 + id));
        tokio::spawn(async move { greedy.export(large).await })
    });
    let calls: Vec<_> = calls.collect();
    eventually("all that may not come in are told", || calls.iter().filter(|call| call.is_finished()).count() >= 8)
        .await;
    let shed = running.telemetry.snapshot().shed_requests;
    assert!(shed["fair_share"] >= 8 && shed.len() == 1, "{shed:?}");
    running.shelf.set(Mood::Ready);
    modest.export(large(2)).await.unwrap();
    running.shutdown.cancel();
    let mut told = 0;
    for call in calls {
        let status = call.await.unwrap().unwrap_err();
        told += usize::from(status.get_details_retry_info().is_some());
    }
    assert_eq!((told, begun.await.unwrap().unwrap_err().code()), (10, Code::Unavailable));
}

/// Scenario: a hundred requests over one connection, each with a body as large as its window, to a server whose store is brimful; then
/// the store has room.
/// Guarantees: each is told to come back though its body is not read; the connection goes on.
#[tokio::test]
async fn bodies_that_are_broken_off_leave_the_connection_whole() {
    let running = start(CollectorConfig::default()).await;
    running.shelf.set(Mood::Brimful);
    let large = request(vec![Span { name: "n".repeat(300_000), ..span(1) }]);
    let client = TraceClient::connect(&running).await;
    let calls = (0..100).map(|_| {
        let (mut client, large) = (client.clone(), large.clone());
        async move { client.export(large).await }
    });
    for answer in futures::future::join_all(calls).await {
        let status = answer.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{status}");
        assert!(status.get_details_retry_info().is_some(), "{status}");
    }
    running.shelf.set(Mood::Ready);
    client.clone().export(large).await.unwrap();
    assert_eq!(running.telemetry.snapshot().shed_requests["store_busy"], 100);
}

/// A span of 2 bytes an event, which take 31 once they are decoded.
fn events_of_nothing(id: u64) -> Span {
    Span { events: vec![Event::default(); 1000], ..span(id) }
}

/// Scenario: a body whose columns take fifteen times its size, more than the whole budget has; then with a budget that has room for
/// one of them, while another one holds it, and after that.
/// Guarantees: what can never fit is refused for good (413, RESOURCE_EXHAUSTED without RetryInfo; O-82), what does not fit now as
/// retryable, and what fits is stored; every byte comes back.
#[tokio::test]
async fn what_grows_when_decoded_is_paid_for() {
    let grows = request((1..=10).map(events_of_nothing).collect());
    let config =
        CollectorConfig { request_bytes_max: 50_000, inflight_bytes_max: 200_000, ..CollectorConfig::default() };
    let running = start(config.clone()).await;
    let body = grows.encode_to_vec();
    for encoding in [None, Some("gzip")] {
        let body = if encoding.is_some() { gzip(&body) } else { body.clone() };
        let answered = http::post(&running, http::PROTOBUF, encoding, body).await;
        assert_eq!((answered.status.as_u16(), answered.rpc_code()), (413, 8));
        assert!(!answered.headers.contains_key("retry-after"));
    }
    let status = grpc::export(&running, grows.clone()).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.get_details_retry_info().is_none(), "{status}");
    assert_eq!(running.telemetry.snapshot().refused_requests["expands_too_much"], 3);
    eventually("all bytes are given back", || running.telemetry.snapshot().inflight_bytes == 0).await;

    let running = Arc::new(start(CollectorConfig { inflight_bytes_max: 500_000, ..config }).await);
    running.shelf.set(Mood::Never);
    let held = tokio::spawn({
        let (running, grows) = (Arc::clone(&running), grows.clone());
        async move { grpc::export(&running, grows).await }
    });
    eventually("it holds what it grew to", || running.telemetry.snapshot().inflight_bytes > 310_000).await;
    let other = request((11..=20).map(events_of_nothing).collect());
    assert_eq!(grpc::export(&running, other.clone()).await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(running.telemetry.snapshot().shed_requests["memory_budget"], 1);
    running.shelf.set(Mood::Ready);
    grpc::export(&running, request(vec![span(99)])).await.unwrap();
    running.shutdown.cancel();
    assert_eq!(held.await.unwrap().unwrap_err().code(), Code::Unavailable);
}

/// Scenario: compressed bodies of a few KiB that hold 100 KB, 200 KB, and 8 MiB, and one that holds more than a request may.
/// Guarantees: only the first is inflated and decoded on the thread that reads requests; the last is refused there.
#[tokio::test]
async fn a_small_bomb_goes_off_elsewhere() {
    let config = CollectorConfig { request_bytes_max: 8 << 20, ..CollectorConfig::default() };
    for (held, request_bytes_max, here) in [
        (100_000, 8 << 20, Some(true)),
        (200_000, 8 << 20, Some(false)),
        (8 << 20, 8 << 20, Some(false)),
        (60_000, 50_000, None),
    ] {
        let (sink, clock) = idle();
        let config = CollectorConfig { request_bytes_max, ..config.clone() };
        let ingest = Ingest::new(config, Surroundings::default(), sink, clock);
        for compression in [PayloadCompression::Gzip, PayloadCompression::Zstd] {
            let zeros = vec![0; held];
            let payload = match compression {
                PayloadCompression::Zstd => zstd::encode_all(zeros.as_slice(), 1).unwrap(),
                _ => gzip(&zeros),
            };
            let share = ingest.admit([127, 0, 0, 1].into(), Some(payload.len()), true).unwrap();
            let (payload, format) = (payload.into(), PayloadFormat::Protobuf);
            let body =
                ingest.small_body(&Request { transport: Transport::HttpProtobuf, payload, format, compression, share });
            assert_eq!(body.ok().map(|body| body.is_some()), here, "{held} in {compression:?}");
        }
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
    assert_eq!(running.telemetry.snapshot().inflight_requests, 1);
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

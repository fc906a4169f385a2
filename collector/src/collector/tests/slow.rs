//! Clients that announce much and send little.

use futures::{StreamExt, stream};
use http_body::Frame as BodyFrame;
use http_body_util::StreamBody;
use http_body_util::combinators::UnsyncBoxBody;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::*;

/// Begins an export that announces `length` bytes and leaves it at `sent` of them.
async fn announce_http(running: &Running, length: usize, sent: usize) -> TcpStream {
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Length: {length}\r\n\r\n"
    );
    let mut stream = TcpStream::connect(running.http).await.unwrap();
    stream.write_all(&[head.as_bytes(), &vec![0; sent]].concat()).await.unwrap();
    stream
}

/// The same over gRPC: the prefix of a message, which announces its length, and nothing after it.
fn announce_grpc(running: &Running, length: u32) -> JoinHandle<()> {
    let prefix = Bytes::from([&[0], &length.to_be_bytes()[..]].concat());
    let body = stream::iter([Ok::<_, std::io::Error>(BodyFrame::data(prefix))]).chain(stream::pending());
    let body: UnsyncBoxBody<Bytes, _> = StreamBody::new(body).boxed_unsync();
    let client: Client<_, _> = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let call = ::http::Request::post(format!("http://{}{}", running.grpc, grpc::EXPORT))
        .header("te", "trailers")
        .header("content-type", "application/grpc");
    let call = call.body(body).unwrap();
    tokio::spawn(async move { drop(client.request(call).await) })
}

/// Scenario: a dozen uploads on each transport announce as much as a request may hold, which is a quarter of the budget each, and
/// send a byte or two. Then others export.
/// Guarantees: the announcements take no more of the budget than what came; nobody else is told to try again.
#[tokio::test]
async fn announcements_take_nothing_from_others() {
    let config =
        CollectorConfig { request_bytes_max: 50_000, inflight_bytes_max: 200_000, ..CollectorConfig::default() };
    let running = start(config).await;
    let mut silent = Vec::new();
    for _ in 0..12 {
        silent.push(announce_http(&running, 50_000, 2).await);
    }
    let calls: Vec<_> = (0..12).map(|_| announce_grpc(&running, 50_000)).collect();
    eventually("all have begun", || running.telemetry.snapshot().inflight_bytes == 12 * 2 + 12 * 5).await;
    for id in 1..=3 {
        let large = request(vec![Span { name: "n".repeat(45_000), ..span(id) }]);
        grpc::export(&running, large.clone()).await.unwrap();
        let answered = http::post(&running, http::PROTOBUF, None, large.encode_to_vec()).await;
        assert_eq!(answered.status.as_u16(), 200);
    }
    assert!(running.telemetry.snapshot().shed_requests.is_empty());
    drop(silent);
    calls.iter().for_each(JoinHandle::abort);
    eventually("what came is given back", || running.telemetry.snapshot().inflight_bytes == 0).await;
}

/// Scenario: a body that goes on coming, a byte at a time, without ever a pause as long as the read timeout.
/// Guarantees: it is ended by an answer to send it again, 503 and never 408 (O-41, O-84), and counted.
#[tokio::test]
async fn a_trickle_is_ended() {
    let config = CollectorConfig {
        read_timeout: Duration::from_millis(300),
        body_timeout: Duration::from_secs(3600),
        ..CollectorConfig::default()
    };
    let running = start(config).await;
    let (mut reading, mut writing) = announce_http(&running, 1 << 20, 1).await.into_split();
    let trickle = tokio::spawn(async move {
        while writing.write_all(&[0]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert_eq!(http::read_answer(&mut reading).await.0, "503");
    assert_eq!(running.telemetry.snapshot().shed_requests["slow_body"], 1);
    trickle.abort();
}

//! Clients that announce much and send little, and connections on which nothing happens.

use futures::{StreamExt, stream};
use http_body::Frame as BodyFrame;
use http_body_util::StreamBody;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
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
    let body = stream::iter([Ok::<_, io::Error>(BodyFrame::data(prefix))]).chain(stream::pending());
    let body: UnsyncBoxBody<Bytes, _> = StreamBody::new(body).boxed_unsync();
    let client: Client<_, _> = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let call = ::http::Request::post(format!("http://{}{}", running.grpc, grpc::EXPORT))
        .header("te", "trailers")
        .header("content-type", "application/grpc");
    let call = call.body(body).unwrap();
    tokio::spawn(async move { drop(client.request(call).await) })
}

/// Scenario: four uploads on each transport, one after the other, announce as much as a request may hold, which is half of the budget
/// each once it is decoded, and send a byte or two. Then others export.
/// Guarantees: a moment later the announcements take no more of the budget than what came; nobody is told to try again.
#[tokio::test]
async fn announcements_take_nothing_from_others() {
    let config =
        CollectorConfig { request_bytes_max: 50_000, inflight_bytes_max: 240_000, ..CollectorConfig::default() };
    let running = start(config).await;
    let (mut silent, mut calls) = (Vec::new(), Vec::new());
    let holds = |bytes| running.telemetry.snapshot().inflight_bytes == bytes;
    for number in 1..=4 {
        silent.push(announce_http(&running, 50_000, 2).await);
        eventually("it holds what came", || holds(number * 2)).await;
    }
    for number in 1..=4 {
        calls.push(announce_grpc(&running, 50_000));
        eventually("it holds what came", || holds(8 + number * 5)).await;
    }
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

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// SETTINGS of nothing.
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

/// Sends `bytes`, and reads until the server closes the connection.
async fn until_closed(addr: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut read = Vec::new();
    // However it is closed: a reset is as good.
    let closed = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut read)).await;
    closed.expect("closed by the server").unwrap_or_default();
    read
}

/// An HTTP/2 connection that has sent its preface, and where it is driven.
async fn begin_http2(addr: SocketAddr) -> (SendRequest<Full<Bytes>>, JoinHandle<()>) {
    let stream = TokioIo::new(TcpStream::connect(addr).await.unwrap());
    let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    (sender, tokio::spawn(async move { connection.await.unwrap_or_default() }))
}

/// Asks over it for something small.
async fn ask(sender: &mut SendRequest<Full<Bytes>>, addr: SocketAddr) -> hyper::Result<u16> {
    let call = ::http::Request::post(format!("http://{addr}/v1/traces")).header("content-type", http::JSON);
    let reply = sender.send_request(call.body(Full::new(Bytes::from_static(b"{}"))).unwrap()).await?;
    Ok(reply.status().as_u16())
}

fn closed(running: &Running, reason: &str) -> u64 {
    running.telemetry.snapshot().connections_closed.get(reason).copied().unwrap_or_default()
}

/// Scenario: on each port, clients that send nothing, a part of HTTP/2's preface, and a part of a request's head. Before them one has
/// sent a whole preface, and no request yet.
/// Guarantees: those are closed within the read timeout and counted; this one is served when its request comes (O-84).
#[tokio::test]
async fn connections_that_never_begin_are_closed() {
    let config = CollectorConfig { read_timeout: Duration::from_secs(1), ..CollectorConfig::default() };
    let running = start(config).await;
    for (addr, status) in [(running.grpc, 415), (running.http, 200)] {
        let before = closed(&running, "silent");
        let (mut sender, _connection) = begin_http2(addr).await;
        let parts = [&b""[..], &PREFACE[..3], &PREFACE[..12], &PREFACE[..23]];
        futures::future::join_all(parts.map(|part| until_closed(addr, part))).await;
        assert_eq!(closed(&running, "silent"), before + 4);
        assert_eq!(ask(&mut sender, addr).await.unwrap(), status);
    }
    until_closed(running.http, b"POST /v1/traces HTTP/1.1\r\nHost").await;
    assert_eq!(closed(&running, "silent"), 9);
}

/// Scenario: connections of both protocols after a request, and one that is kept busy by a request that is not answered.
/// Guarantees: the first two are asked to go once they have been idle, and counted; the third stays until it has its answer.
#[tokio::test]
async fn idle_connections_are_asked_to_go() {
    let config = CollectorConfig { connection_idle_max: Duration::from_millis(200), ..CollectorConfig::default() };
    let running = start(config).await;
    let post = |body: &[u8]| {
        let head = "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Length: ";
        [format!("{head}{}\r\n\r\n", body.len()).as_bytes(), body].concat()
    };
    running.shelf.set(Mood::Never);
    let mut busy = TcpStream::connect(running.http).await.unwrap();
    busy.write_all(&post(&request(vec![span(1)]).encode_to_vec())).await.unwrap();
    eventually("it is in work", || running.telemetry.snapshot().inflight_bytes > 0).await;

    let read = until_closed(running.http, &post(b"")).await;
    assert!(read.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&read));
    let (_sender, connection) = loop {
        // On a slow machine it may have been idle before its request came.
        let (mut sender, connection) = begin_http2(running.http).await;
        if ask(&mut sender, running.http).await.is_ok() {
            break (sender, connection);
        }
    };
    eventually("it has gone", || connection.is_finished()).await;
    assert!(closed(&running, "idle") >= 2);
    running.shutdown.cancel();
    assert_eq!(http::read_answer(&mut busy).await.0, "503");
}

/// Scenario: a connection that has come of age while its request is not answered, and one whose client does not answer pings.
/// Guarantees: the first is closed after the grace, the second after the time for a pong; the first is counted.
#[tokio::test]
async fn the_old_and_the_dead_are_closed() {
    let config = CollectorConfig {
        connection_age_max: Duration::from_millis(500),
        connection_age_grace: Duration::from_millis(100),
        ..CollectorConfig::default()
    };
    let running = start(config).await;
    running.shelf.set(Mood::Never);
    let given_up = tokio::time::timeout(Duration::from_secs(10), grpc::export(&running, request(vec![span(1)]))).await;
    given_up.expect("closed by the server").unwrap_err();
    assert!(closed(&running, "age") >= 1);

    let (keepalive_interval, keepalive_timeout) = (Duration::from_millis(100), Duration::from_millis(100));
    let running = start(CollectorConfig { keepalive_interval, keepalive_timeout, ..CollectorConfig::default() }).await;
    let read = until_closed(running.grpc, &[PREFACE, SETTINGS].concat()).await;
    assert!(!read.is_empty());
}

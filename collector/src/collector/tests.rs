//! Requests over real sockets, against a stand-in for the store that can be busy, slow or failing.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use daytwo_storage::clock::ManualClock;
use daytwo_storage::{Committed, Frame, Pressure, SpanBatch, StorageError, UnixNanos};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use tokio::task::JoinHandle;

use super::*;
use crate::AccessConfig;
use crate::SpanCounts;
use crate::access::testing::TestFiles;
use crate::admission::Buffered;
use crate::otlp::export::Appending;

mod client;
mod grpc;
mod http;
mod logs;
mod overload;
mod slow;
mod tls;
mod tokens;

/// What the stand-in does with the next requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Mood {
    #[default]
    Ready,
    Busy,
    Brimful,
    Full,
    DiskFull,
    Broken,
    Panics,
    Never,
}

/// Keeps what it is given.
#[derive(Debug, Default)]
struct Shelf {
    kept: Mutex<Vec<(Frame, SpanBatch)>>,
    mood: Mutex<Mood>,
}

impl Shelf {
    fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn mood(&self) -> Mood {
        *self.mood.lock().unwrap()
    }

    fn spans(&self) -> usize {
        self.kept.lock().unwrap().iter().map(|(_, batch)| batch.len()).sum()
    }
}

impl Sink for Shelf {
    fn pressure(&self) -> Pressure {
        if self.mood() == Mood::Busy { Pressure::Busy { reason: "flushing".into() } } else { Pressure::Ready }
    }

    fn buffered(&self) -> Buffered {
        let bytes_max = 1 << 30;
        Buffered { bytes: if self.mood() == Mood::Brimful { bytes_max / 10 * 9 } else { 0 }, bytes_max }
    }

    fn append(&self, frame: Frame, batch: SpanBatch) -> Appending<'_> {
        Box::pin(async move {
            match self.mood() {
                Mood::Ready | Mood::Busy | Mood::Brimful => {
                    let mut kept = self.kept.lock().unwrap();
                    let duplicate = kept.iter().any(|(earlier, _)| earlier.request_hash == frame.request_hash);
                    if !duplicate {
                        kept.push((frame, batch));
                    }
                    Ok(Committed { seq: kept.len() as u64, duplicate })
                }
                Mood::Full => Err(StorageError::Full { used_bytes: 1, limit_bytes: 1 }),
                Mood::DiskFull => Err(StorageError::DiskFull { path: "data".into() }),
                Mood::Broken => Err(StorageError::Corrupt { path: "data".into(), reason: "test".into() }),
                Mood::Panics => panic!("the stand-in was told to"),
                Mood::Never => std::future::pending().await,
            }
        })
    }
}

/// A served collector on free ports, stopped when the test ends.
struct Running {
    grpc: SocketAddr,
    http: SocketAddr,
    shelf: Arc<Shelf>,
    telemetry: Arc<IngestTelemetry>,
    shutdown: CancellationToken,
    served: JoinHandle<()>,
}

fn local(config: CollectorConfig) -> CollectorConfig {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    CollectorConfig { grpc_addr: any, http_addr: any, ..config }
}

async fn start(config: CollectorConfig) -> Running {
    start_with(config, Access::default()).await
}

async fn start_with(config: CollectorConfig, access: Access) -> Running {
    start_in(config, Surroundings { access, ..Surroundings::default() }).await
}

async fn start_in(config: CollectorConfig, surroundings: Surroundings) -> Running {
    let shelf = Arc::new(Shelf::default());
    let clock = Arc::new(ManualClock::at(UnixNanos(1_700_000_000_000_000_000)));
    let sink = Arc::clone(&shelf);
    let bound = Collector::bind_sink(local(config), surroundings, sink, clock).await.unwrap();
    let shutdown = CancellationToken::new();
    let (grpc, http, telemetry) = (bound.grpc_addr(), bound.http_addr(), bound.telemetry());
    let served = tokio::spawn(bound.serve(shutdown.clone()));
    Running { grpc, http, shelf, telemetry, shutdown, served }
}

/// A store and a clock of no account.
fn idle() -> (Arc<Shelf>, Arc<ManualClock>) {
    (Arc::new(Shelf::default()), Arc::new(ManualClock::default()))
}

fn span(id: u64) -> Span {
    Span { trace_id: vec![7; 16], span_id: id.to_be_bytes().to_vec(), name: "GET /".into(), ..Span::default() }
}

fn request(spans: Vec<Span>) -> ExportTraceServiceRequest {
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] }
}

/// Two spans, of which one has no trace id.
fn half_bad() -> ExportTraceServiceRequest {
    request(vec![span(1), Span { trace_id: Vec::new(), ..span(2) }])
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Polls until `holds`, for at most ten seconds.
async fn eventually(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..1000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within ten seconds: {what}");
}

/// Scenario: an address that is taken, for each listener, and settings that contradict each other.
/// Guarantees: one error that names the address and the setting.
#[tokio::test]
async fn an_occupied_port_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = taken.local_addr().unwrap();
    for key in ["collector.grpc_addr", "collector.http_addr"] {
        let mut config = local(CollectorConfig::default());
        *(if key == "collector.grpc_addr" { &mut config.grpc_addr } else { &mut config.http_addr }) = addr;
        let (sink, clock) = idle();
        let error = Collector::bind_sink(config, Surroundings::default(), sink, clock).await.unwrap_err();
        let message = error.to_string();
        assert!(message.contains(&addr.to_string()) && message.contains(key), "{message}");
    }
    let config = CollectorConfig { inflight_bytes_max: 1, ..local(CollectorConfig::default()) };
    let (sink, clock) = idle();
    let error = Collector::bind_sink(config, Surroundings::default(), sink, clock).await.unwrap_err();
    assert!(error.to_string().contains("collector.inflight_bytes_max"));
}

/// Scenario: the same request over every transport, encoding and compression, then a repetition.
/// Guarantees: each stores its spans once; counters reconcile for each transport: received = accepted + deduplicated + rejected.
#[tokio::test]
async fn counters_reconcile() {
    let running = start(CollectorConfig::default()).await;
    grpc::export(&running, half_bad()).await.unwrap();
    let body = half_bad().encode_to_vec();
    http::post(&running, http::PROTOBUF, None, body).await;
    http::post(&running, http::PROTOBUF, None, request(vec![span(9)]).encode_to_vec()).await;
    http::post(&running, http::JSON, None, b"{\"resourceSpans\":[]}".to_vec()).await;
    let status = running.telemetry.snapshot();
    let sum = |count: fn(&SpanCounts) -> u64| status.spans.values().map(count).sum::<u64>();
    assert_eq!((status.received_spans, status.accepted_spans, status.deduplicated_spans), (5, 2, 1));
    assert_eq!((sum(|one| one.received), sum(|one| one.accepted), sum(|one| one.deduplicated)), (5, 2, 1));
    assert_eq!(status.rejected_spans.iter().collect::<Vec<_>>(), [(&"invalid_trace_id", &2)]);
    let bad = |count| BTreeMap::from([("invalid_trace_id", count)]);
    let expected = [
        ("grpc", SpanCounts { received: 2, accepted: 1, deduplicated: 0, rejected: bad(1) }),
        ("http_json", SpanCounts::default()),
        ("http_protobuf", SpanCounts { received: 3, accepted: 1, deduplicated: 1, rejected: bad(1) }),
    ];
    assert_eq!(status.spans.clone().into_iter().collect::<Vec<_>>(), expected);
    assert_eq!((status.freshness.count, status.inflight_requests), (3, 0));
    let requests: Vec<_> = status.requests.into_iter().collect();
    assert_eq!(requests, [("grpc", 1), ("http_json", 1), ("http_protobuf", 2)]);
    assert_eq!(running.shelf.spans(), 2);
    eventually("all bytes are given back", || running.telemetry.snapshot().inflight_bytes == 0).await;
}

//! A router over a store in a temporary folder.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use daytwo_dashboards::{Alerts, AppState, Identity, IngestCounts, Parts, RateMeter, Readiness, SpanCounts, router};
use daytwo_query::{Clock, Correlator, EngineConfig, QueryConfig, QueryEngine, UnixNanos};
use daytwo_storage::clock::ManualClock;
use daytwo_storage::testing::{SeededReplay, TestSpan, batch_of, by_hand};
use daytwo_storage::{Frame, PayloadCompression, PayloadFormat, Store};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt;

/// 2026-11-22T10:30:00Z.
pub(crate) const NOW: UnixNanos = UnixNanos(1_795_343_400_000_000_000);

/// A nanosecond count of the start of test spans, a minute before [`NOW`].
pub(crate) const START: u64 = 1_795_343_340_000_000_000;

pub(crate) struct World {
    _folder: TempDir,
    store: Arc<Store>,
    correlator: Arc<Correlator>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) readiness: Readiness,
    pub(crate) router: Router,
}

/// An answer of the router.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// Ten spans over gRPC, of which one was invalid and two had come before.
fn ingested() -> IngestCounts {
    let rejected = BTreeMap::from([("malformed".to_owned(), 1)]);
    let grpc = SpanCounts { received: 10, accepted: 7, deduplicated: 2, rejected };
    let spans = BTreeMap::from([("grpc".to_owned(), grpc)]);
    IngestCounts { received_spans: 10, accepted_spans: 7, deduplicated_spans: 2, spans, ..IngestCounts::default() }
}

impl World {
    pub(crate) async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let clock = Arc::new(ManualClock::at(NOW));
        let time: Arc<dyn Clock> = Arc::clone(&clock) as Arc<dyn Clock>;
        let config = by_hand(folder.path().join("data"));
        let store = Store::open(config, Arc::clone(&time), Arc::new(SeededReplay)).await.unwrap();
        let correlator = Correlator::new(EngineConfig::default(), Arc::clone(&time));
        let config = QueryConfig { spill_dir: folder.path().join("spill"), partitions: 1, ..QueryConfig::default() };
        let tables = Arc::clone(&correlator) as Arc<dyn daytwo_query::EngineTables>;
        let queries = QueryEngine::new(config, Arc::clone(&store), Arc::clone(&time), tables).unwrap();
        let readiness = Readiness::default();
        readiness.set(true);
        let stored = Arc::clone(&store);
        let state = AppState::new(Parts {
            queries,
            correlator: Arc::clone(&correlator),
            clock: time,
            identity: identity(),
            ingest: Arc::new(ingested),
            storage: Arc::new(move || stored.status()),
            alerts: Alerts::none(Arc::clone(&clock) as Arc<dyn Clock>),
            readiness: readiness.clone(),
            rate: Arc::new(RateMeter::default()),
        });
        Self { _folder: folder, store, correlator, clock, readiness, router: router(state) }
    }

    /// Stores spans and shows them to the correlator.
    pub(crate) async fn add(&self, spans: &[TestSpan]) {
        let payload = format!("{spans:?}").into_bytes();
        let hash = payload.iter().fold(7_u128, |hash, &byte| hash.wrapping_mul(1_000_003) ^ u128::from(byte));
        let frame = Frame {
            payload: payload.into(),
            format: PayloadFormat::Protobuf,
            compression: PayloadCompression::None,
            request_hash: hash,
            received: NOW,
            rejected: Vec::new(),
        };
        let batch = batch_of(NOW, spans);
        self.correlator.observe(&batch);
        self.store.append(frame, batch).await.unwrap();
    }

    /// Shows spans that come in now to the correlator alone.
    pub(crate) fn observe(&self, spans: &[TestSpan]) {
        self.correlator.observe(&batch_of(self.clock.now(), spans));
    }

    /// So many seconds of a release beside the version before: `v1`, and `v2` from the 20th second on in half of 40 traces a second, whose
    /// work takes `factor` times as long.
    pub(crate) fn release(&self, service: &str, seconds: u64, factor: f64) {
        for second in 0..seconds {
            for part in 0..20_u64 {
                let trace = 2 * (second * 20 + part) + 2;
                let wobble = (trace * 7_919) % 100 * 50_000;
                let slow = if second < 20 { 1.0 } else { factor };
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    clippy::cast_precision_loss,
                    reason = "a few ms"
                )]
                let work = ((20_000_000 + wobble) as f64 * slow) as u64;
                let start = u64::try_from(self.clock.now().0).unwrap() + part * 1_000_000;
                self.observe(&call(trace, service, "v1", start, 20_000_000 + wobble));
                self.observe(&call(trace + 1, service, if second < 20 { "v1" } else { "v2" }, start, work));
            }
            self.pass(Duration::from_secs(1));
        }
    }

    /// `POST path` with a JSON body.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_as(path, "application/json", &[], body).await
    }

    /// `POST path` with a body of some media type and further headers.
    pub(crate) async fn post_as(&self, path: &str, media: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let request = request("POST", path).header("content-type", media);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    pub(crate) async fn flush(&self) {
        self.store.flush().await.unwrap();
    }

    /// Moves the clock and lets the correlator close what is quiet.
    pub(crate) fn pass(&self, time: Duration) {
        self.clock.advance(time);
        self.correlator.tick();
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(request("GET", path).body(Body::empty()).unwrap()).await
    }

    /// `GET path`, which must answer 200 with JSON.
    pub(crate) async fn json(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "GET {path}: {}", answer.text());
        assert_eq!(answer.header("content-type"), "application/json");
        answer.json()
    }
}

/// A request to `shop` that calls a service, which works for so many nanoseconds.
fn call(trace: u64, service: &str, version: &str, start: u64, work: u64) -> [TestSpan; 3] {
    let span = |id: u64| TestSpan::new(u128::from(trace), id).environment("prod");
    let root = span(1).service("shop").version("s1").name("GET /").at(start).lasting(work + 6_000_000);
    let client = span(2).parent(1).service("shop").version("s1").name("call").kind(3);
    let answer = span(3).parent(2).service(service).version(version).name("POST /work");
    let hash = if version == "v1" { "5d4f8c7b9" } else { "6f9d7c8b5" };
    let pod = format!(r#"{{"k8s.replicaset.name":"{service}-{hash}","process.runtime.version":"{version}.0"}}"#);
    [
        root,
        client.at(start + 1_000_000).lasting(work + 2_000_000),
        answer.resource(&pod).instance(&format!("{service}-{hash}-a")).at(start + 2_000_000).lasting(work),
    ]
}

/// A request as a browser on this machine sends it.
pub(crate) fn request(method: &str, path: &str) -> http::request::Builder {
    Request::builder().method(method).uri(path).header("host", "127.0.0.1:8080")
}

fn identity() -> Identity {
    Identity {
        version: "9.9.9".into(),
        started: NOW,
        grpc: "127.0.0.1:4317".into(),
        http: "127.0.0.1:4318".into(),
        data_dir: "/data".into(),
        limits: [("query.timeout".to_owned(), "30s".to_owned())].into(),
        allowed_hosts: vec!["127.0.0.1".into(), "localhost".into()],
    }
}

//! What the handlers share.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use daytwo_query::{Clock, Correlator, Latencies, QueryEngine, StoreStatus, UnixNanos};

use crate::alerts::Alerts;
use crate::rate::RateMeter;

/// What does not change while the process runs.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    /// Version of the binary.
    pub version: String,
    /// When the process started.
    pub started: UnixNanos,
    /// Address of the OTLP/gRPC port, as `127.0.0.1:4317`.
    pub grpc: String,
    /// Address of the OTLP/HTTP port.
    pub http: String,
    /// The data folder.
    pub data_dir: String,
    /// Limits in force, each with its unit: `query.timeout` is `30s`.
    pub limits: BTreeMap<String, String>,
    /// Names under which the port may be reached; empty means any. Guards against DNS rebinding.
    pub allowed_hosts: Vec<String>,
}

/// Spans of export requests that were answered with success.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpanCounts {
    /// All.
    pub received: u64,
    /// Those that are durable and visible.
    pub accepted: u64,
    /// Those of requests that had been accepted before.
    pub deduplicated: u64,
    /// Those refused one by one, by reason.
    pub rejected: BTreeMap<String, u64>,
}

/// What the collector counted since start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IngestCounts {
    /// Spans in requests that were answered with success.
    pub received_spans: u64,
    /// Spans that are durable and visible.
    pub accepted_spans: u64,
    /// Spans of requests that had been accepted before.
    pub deduplicated_spans: u64,
    /// Spans refused one by one, by reason.
    pub rejected_spans: BTreeMap<String, u64>,
    /// The same by transport.
    pub spans: BTreeMap<String, SpanCounts>,
    /// Requests refused whole because of load, by reason.
    pub shed_requests: BTreeMap<String, u64>,
    /// Requests refused for good, by reason.
    pub bad_requests: BTreeMap<String, u64>,
    /// Requests answered, by transport.
    pub requests: BTreeMap<String, u64>,
    /// Requests in work now.
    pub inflight_requests: u64,
    /// Their bytes.
    pub inflight_bytes: u64,
    /// How many bytes there may be.
    pub inflight_bytes_max: u64,
    /// From the last byte of a request until its spans are durable and visible.
    pub freshness: Latencies,
    /// Connections of exporters that were asked to go or closed, by reason.
    pub connections_closed: BTreeMap<String, u64>,
    /// Log records: `kept` as evaluations of feature flags, or why not.
    pub log_records: BTreeMap<String, u64>,
    /// TLS handshakes that did not succeed.
    pub handshakes_failed: u64,
}

/// Reads a group of counters; `main` connects it to the part that counts.
pub type Probe<T> = Arc<dyn Fn() -> T + Send + Sync>;

/// Whether requests are served; `main` turns it off first when it stops.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Says whether requests are served from now on.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::SeqCst);
    }

    /// Whether requests are served.
    pub fn get(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Counters of this crate.
#[derive(Debug, Default)]
pub(crate) struct HttpCounters {
    requests: AtomicU64,
    by_class: [AtomicU64; 5],
}

impl HttpCounters {
    /// Counts a request; the number names it.
    pub(crate) fn begin(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// Counts its answer.
    pub(crate) fn finish(&self, status: http::StatusCode) {
        let class = usize::from(status.as_u16() / 100).saturating_sub(1);
        if let Some(counter) = self.by_class.get(class) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Answers so far, by class: `2xx` first is index 1.
    pub(crate) fn answers(&self) -> [(&'static str, u64); 5] {
        let class = |index: usize| self.by_class.get(index).map_or(0, |count| count.load(Ordering::Relaxed));
        [("1xx", class(0)), ("2xx", class(1)), ("3xx", class(2)), ("4xx", class(3)), ("5xx", class(4))]
    }
}

/// What `main` hands in.
pub struct Parts {
    /// SQL, trace lookup and search.
    pub queries: Arc<QueryEngine>,
    /// SLIs, SLOs, deployments and verdicts.
    pub correlator: Arc<Correlator>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What does not change while the process runs.
    pub identity: Identity,
    /// Counters of the collector.
    pub ingest: Probe<IngestCounts>,
    /// Counters and states of the store.
    pub storage: Probe<StoreStatus>,
    /// Alerts and whom they are told.
    pub alerts: Arc<Alerts>,
    /// Whether requests are served.
    pub readiness: Readiness,
    /// Spans per second, fed by `main` once a second.
    pub rate: Arc<RateMeter>,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// What the handlers share. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct AppState {
    parts: Arc<Parts>,
    pub(crate) http: Arc<HttpCounters>,
}

impl AppState {
    /// State over the given parts, with counters at zero.
    pub fn new(parts: Parts) -> Self {
        Self { parts: Arc::new(parts), http: Arc::default() }
    }
}

impl Deref for AppState {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

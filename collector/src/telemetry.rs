//! What the receivers count about themselves. A span is counted when its request is answered with success, so
//! `received = accepted + deduplicated + rejected` always holds, for each transport and in each reading.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use daytwo_storage::{Latencies, LatencyMeter};

use crate::admission::Admission;
use crate::decode::Rejections;
use crate::otlp::decode::logs::Unwanted;

/// Counters of the receivers, shared with whoever shows them.
#[derive(Debug)]
pub struct IngestTelemetry {
    admission: Arc<Admission>,
    inflight_bytes_max: u64,
    /// By transport; read and written whole, so that no reading is between two of its numbers.
    spans: Mutex<BTreeMap<&'static str, SpanCounts>>,
    inflight_requests: AtomicU64,
    freshness: LatencyMeter,
    shed: Counts,
    refused: Counts,
    requests: Counts,
    connections_closed: Counts,
    log_records: Counts,
    handshakes_failed: AtomicU64,
}

/// How a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Grpc,
    HttpProtobuf,
    HttpJson,
    /// Over HTTP, and of no content type of ours.
    HttpOther,
}

impl Transport {
    /// The name under which it is counted.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::HttpProtobuf => "http_protobuf",
            Self::HttpJson => "http_json",
            Self::HttpOther => "http_other",
        }
    }
}

/// Spans of requests that were answered with success.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpanCounts {
    /// All.
    pub received: u64,
    /// Those stored.
    pub accepted: u64,
    /// Those of requests that had been accepted before.
    pub deduplicated: u64,
    /// Those rejected as invalid, by reason.
    pub rejected: BTreeMap<&'static str, u64>,
}

impl SpanCounts {
    fn add(&mut self, other: &Self) {
        let add = |to: &mut u64, count: u64| *to = to.saturating_add(count);
        add(&mut self.received, other.received);
        add(&mut self.accepted, other.accepted);
        add(&mut self.deduplicated, other.deduplicated);
        for (reason, count) in &other.rejected {
            add(self.rejected.entry(reason).or_default(), *count);
        }
    }
}

/// A request in work; counted until it is dropped.
#[derive(Debug)]
pub(crate) struct InWork<'t>(&'t AtomicU64);

impl Drop for InWork<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One reading of the counters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IngestStatus {
    /// Spans in requests that were answered with success.
    pub received_spans: u64,
    /// Of these, spans stored.
    pub accepted_spans: u64,
    /// Of these, spans of requests that had been accepted before.
    pub deduplicated_spans: u64,
    /// Of these, spans rejected as invalid, by reason.
    pub rejected_spans: BTreeMap<&'static str, u64>,
    /// All of these by transport: `grpc`, `http_protobuf`, `http_json`.
    pub spans: BTreeMap<&'static str, SpanCounts>,
    /// Time from the last byte of a request until its spans are durable and visible.
    pub freshness: Latencies,
    /// Requests refused for now (the client sends them again), by reason.
    pub shed_requests: BTreeMap<&'static str, u64>,
    /// Requests refused for good, by reason.
    pub refused_requests: BTreeMap<&'static str, u64>,
    /// Requests answered, by transport: `grpc`, `http_protobuf`, `http_json`.
    pub requests: BTreeMap<&'static str, u64>,
    /// Requests that are not answered yet.
    pub inflight_requests: u64,
    /// Bytes of the budget taken now.
    pub inflight_bytes: u64,
    /// The budget.
    pub inflight_bytes_max: u64,
    /// Connections that were asked to go or closed, by reason: `too_many`, `silent` (nothing came in time), `idle`, `age`.
    pub connections_closed: BTreeMap<&'static str, u64>,
    /// Log records of requests that were answered with success: `kept` as spans, or why not.
    pub log_records: BTreeMap<&'static str, u64>,
    /// TLS handshakes that did not succeed: no TLS, no or a foreign certificate, too slow.
    pub handshakes_failed: u64,
}

#[derive(Debug, Default)]
struct Counts(Mutex<BTreeMap<&'static str, u64>>);

impl Counts {
    fn add(&self, name: &'static str, count: u64) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = counts.entry(name).or_default();
        *entry = entry.saturating_add(count);
    }

    fn read(&self) -> BTreeMap<&'static str, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl IngestTelemetry {
    pub(crate) fn new(admission: Arc<Admission>, inflight_bytes_max: usize) -> Self {
        Self {
            admission,
            inflight_bytes_max: u64::try_from(inflight_bytes_max).unwrap_or(u64::MAX),
            spans: Mutex::default(),
            inflight_requests: AtomicU64::default(),
            freshness: LatencyMeter::default(),
            shed: Counts::default(),
            refused: Counts::default(),
            requests: Counts::default(),
            connections_closed: Counts::default(),
            log_records: Counts::default(),
            handshakes_failed: AtomicU64::default(),
        }
    }

    /// Reads all counters.
    pub fn snapshot(&self) -> IngestStatus {
        let spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut all = SpanCounts::default();
        spans.values().for_each(|counts| all.add(counts));
        IngestStatus {
            received_spans: all.received,
            accepted_spans: all.accepted,
            deduplicated_spans: all.deduplicated,
            rejected_spans: all.rejected,
            spans,
            freshness: self.freshness.read(),
            inflight_requests: self.inflight_requests.load(Ordering::Relaxed),
            shed_requests: self.shed.read(),
            refused_requests: self.refused.read(),
            requests: self.requests.read(),
            inflight_bytes: u64::try_from(self.admission.inflight_bytes()).unwrap_or(u64::MAX),
            inflight_bytes_max: self.inflight_bytes_max,
            connections_closed: self.connections_closed.read(),
            log_records: self.log_records.read(),
            handshakes_failed: self.handshakes_failed.load(Ordering::Relaxed),
        }
    }

    /// Counts the spans of a request that was answered with success.
    pub(crate) fn count_spans(&self, transport: Transport, stored: u64, duplicate: bool, rejections: &Rejections) {
        let (accepted, deduplicated) = if duplicate { (0, stored) } else { (stored, 0) };
        let received = stored.saturating_add(rejections.total());
        let rejected = rejections.counts().map(|(reason, count)| (reason.name(), count)).collect();
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = spans.entry(transport.name()).or_default();
        counts.add(&SpanCounts { received, accepted, deduplicated, rejected });
    }

    /// Counts how long a request took to become durable and visible.
    pub(crate) fn count_fresh(&self, elapsed: Duration) {
        self.freshness.record(elapsed);
    }

    /// Counts a request as in work until the guard is dropped.
    pub(crate) fn begin_request(&self) -> InWork<'_> {
        self.inflight_requests.fetch_add(1, Ordering::Relaxed);
        InWork(&self.inflight_requests)
    }

    pub(crate) fn count_request(&self, transport: Transport) {
        self.requests.add(transport.name(), 1);
    }

    pub(crate) fn count_shed(&self, reason: &'static str) {
        self.shed.add(reason, 1);
    }

    pub(crate) fn count_refused(&self, reason: &'static str) {
        self.refused.add(reason, 1);
    }

    pub(crate) fn count_closed_connection(&self, reason: &'static str) {
        self.connections_closed.add(reason, 1);
    }

    /// Counts the log records of a request that was answered with success.
    pub(crate) fn count_log_records(&self, kept: u64, unwanted: &BTreeMap<Unwanted, u64>) {
        self.log_records.add("kept", kept);
        unwanted.iter().for_each(|(why, count)| self.log_records.add(why.name(), *count));
    }

    pub(crate) fn count_failed_handshake(&self) {
        self.handshakes_failed.fetch_add(1, Ordering::Relaxed);
    }
}

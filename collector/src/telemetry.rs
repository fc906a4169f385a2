//! What the receivers count about themselves. A span is counted when its request is answered with success, so
//! `received = accepted + deduplicated + rejected` always holds.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::admission::Admission;
use crate::decode::Rejections;

/// Counters of the receivers, shared with whoever shows them.
#[derive(Debug)]
pub struct IngestTelemetry {
    admission: Arc<Admission>,
    inflight_bytes_max: u64,
    received: AtomicU64,
    accepted: AtomicU64,
    deduplicated: AtomicU64,
    rejected: Counts,
    shed: Counts,
    refused: Counts,
    requests: Counts,
    connections_closed: Counts,
    handshakes_failed: AtomicU64,
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
    /// Requests refused for now (the client sends them again), by reason.
    pub shed_requests: BTreeMap<&'static str, u64>,
    /// Requests refused for good, by reason.
    pub refused_requests: BTreeMap<&'static str, u64>,
    /// Requests answered, by transport: `grpc`, `http_protobuf`, `http_json`.
    pub requests: BTreeMap<&'static str, u64>,
    /// Bytes of the budget taken now.
    pub inflight_bytes: u64,
    /// The budget.
    pub inflight_bytes_max: u64,
    /// Connections that were asked to go or closed, by reason: `too_many`, `silent` (nothing came in time), `idle`, `age`.
    pub connections_closed: BTreeMap<&'static str, u64>,
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
            received: AtomicU64::default(),
            accepted: AtomicU64::default(),
            deduplicated: AtomicU64::default(),
            rejected: Counts::default(),
            shed: Counts::default(),
            refused: Counts::default(),
            requests: Counts::default(),
            connections_closed: Counts::default(),
            handshakes_failed: AtomicU64::default(),
        }
    }

    /// Reads all counters.
    pub fn snapshot(&self) -> IngestStatus {
        IngestStatus {
            received_spans: self.received.load(Ordering::Relaxed),
            accepted_spans: self.accepted.load(Ordering::Relaxed),
            deduplicated_spans: self.deduplicated.load(Ordering::Relaxed),
            rejected_spans: self.rejected.read(),
            shed_requests: self.shed.read(),
            refused_requests: self.refused.read(),
            requests: self.requests.read(),
            inflight_bytes: u64::try_from(self.admission.inflight_bytes()).unwrap_or(u64::MAX),
            inflight_bytes_max: self.inflight_bytes_max,
            connections_closed: self.connections_closed.read(),
            handshakes_failed: self.handshakes_failed.load(Ordering::Relaxed),
        }
    }

    /// Counts the spans of a request that was answered with success.
    pub(crate) fn count_spans(&self, stored: u64, duplicate: bool, rejections: &Rejections) {
        let kept = if duplicate { &self.deduplicated } else { &self.accepted };
        kept.fetch_add(stored, Ordering::Relaxed);
        self.received.fetch_add(stored.saturating_add(rejections.total()), Ordering::Relaxed);
        for (reason, count) in rejections.counts() {
            self.rejected.add(reason.name(), count);
        }
    }

    pub(crate) fn count_request(&self, transport: &'static str) {
        self.requests.add(transport, 1);
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

    pub(crate) fn count_failed_handshake(&self) {
        self.handshakes_failed.fetch_add(1, Ordering::Relaxed);
    }
}

//! What the board is told about the server: identity, addresses and limits in force.

use std::collections::BTreeMap;
use std::sync::Arc;

use daytwo_collector::IngestTelemetry;
use daytwo_dashboards::{CONNECTIONS_MAX, Identity, IngestCounts, Probe, SpanCounts};
use daytwo_storage::UnixNanos;

use super::Addresses;
use crate::cli::config::{ByteSize, Config};
use crate::cli::memory;

/// What does not change while the server runs.
pub(super) fn identity(config: &Config, addresses: &Addresses, started: UnixNanos) -> Identity {
    let data_dir = &config.storage.data_dir;
    let absolute = std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.clone());
    Identity {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started,
        grpc: addresses.grpc.to_string(),
        http: addresses.http.to_string(),
        data_dir: absolute.display().to_string(),
        limits: limits(config),
        allowed_hosts: config.dashboards.hosts(),
    }
}

/// The memory that the process may have, in whole MiB.
fn memory() -> Option<ByteSize> {
    memory::limit().map(|bytes| ByteSize(bytes >> 20 << 20))
}

/// The memory there is, and the budgets of requests and of spans in memory.
pub(super) fn budgets(config: &Config) -> [String; 3] {
    let memory = memory().map_or_else(|| "unknown".to_owned(), |memory| memory.to_string());
    [memory, config.collector.inflight_bytes_max.to_string(), config.storage.buffer_bytes_max.to_string()]
}

fn limits(config: &Config) -> BTreeMap<String, String> {
    let storage = &config.storage;
    let memory = memory().map(|memory| ("memory", memory.to_string()));
    let limits = [
        ("storage.buffer_bytes_max", storage.buffer_bytes_max.to_string()),
        ("storage.flush_bytes", storage.flush_bytes.to_string()),
        ("storage.flush_interval", storage.flush_interval.to_string()),
        ("storage.dedup_window", storage.dedup_window.to_string()),
        ("collector.request_bytes_max", config.collector.request_bytes_max.to_string()),
        ("collector.inflight_bytes_max", config.collector.inflight_bytes_max.to_string()),
        ("collector.connections_max", format!("{} connections", config.collector.connections_max)),
        ("query.timeout", config.query.timeout.to_string()),
        ("query.memory_bytes_max", config.query.memory_bytes_max.to_string()),
        ("query.spill_bytes_max", config.query.spill_bytes_max.to_string()),
        ("query.answer_rows_max", format!("{} rows", config.query.answer_rows_max)),
        ("query.running_max", format!("{} queries", config.query.running_max)),
        ("query.text_bytes_max", "64KiB".to_owned()),
        ("dashboards.connections_max", format!("{CONNECTIONS_MAX} connections")),
    ];
    limits.into_iter().chain(memory).map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The collector's counters as the board reads them.
pub(super) fn ingest(telemetry: Arc<IngestTelemetry>) -> Probe<IngestCounts> {
    Arc::new(move || {
        let status = telemetry.snapshot();
        let owned = |counts: BTreeMap<&'static str, u64>| {
            counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect()
        };
        let spans = |(transport, spans): (&str, daytwo_collector::SpanCounts)| {
            let daytwo_collector::SpanCounts { received, accepted, deduplicated, rejected } = spans;
            (transport.to_owned(), SpanCounts { received, accepted, deduplicated, rejected: owned(rejected) })
        };
        IngestCounts {
            spans: status.spans.into_iter().map(spans).collect(),
            received_spans: status.received_spans,
            accepted_spans: status.accepted_spans,
            deduplicated_spans: status.deduplicated_spans,
            rejected_spans: owned(status.rejected_spans),
            shed_requests: owned(status.shed_requests),
            bad_requests: owned(status.refused_requests),
            requests: owned(status.requests),
            inflight_requests: status.inflight_requests,
            inflight_bytes: status.inflight_bytes,
            inflight_bytes_max: status.inflight_bytes_max,
            freshness: status.freshness,
            connections_closed: owned(status.connections_closed),
            log_records: owned(status.log_records),
            handshakes_failed: status.handshakes_failed,
        }
    })
}

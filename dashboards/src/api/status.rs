//! What the server does: states, counters and limits.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use utoipa::ToSchema;

use daytwo_query::{DiskLevel, EngineStatus, QueryStatus, StoreStatus};

use super::{Freshness, nanos};
use crate::state::AppState;

/// Routes of this resource.
pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/api/v1/status", get(status))
}

/// What the server does.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Status {
    version: String,
    started_unix_nano: String,
    #[serde(flatten)]
    freshness: Freshness,
    state: ServerState,
    state_reason: Option<String>,
    otlp: OtlpAddresses,
    data_dir: String,
    ingest: Ingest,
    storage: Storage,
    query: Queries,
    correlation: Correlation,
    /// Limits in force, each with its unit.
    limits: BTreeMap<String, String>,
}

/// Whether spans are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ServerState {
    /// Spans are taken.
    Ready,
    /// The server starts or stops.
    Recovering,
    /// Writes are refused; queries work.
    ReadOnly,
    /// Writes are refused until there is room; queries work.
    DiskFull,
}

/// Where to send spans.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OtlpAddresses {
    grpc: String,
    http: String,
}

/// Counters of the collector since start.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Ingest {
    received_spans: u64,
    accepted_spans: u64,
    deduplicated_spans: u64,
    /// By reason.
    rejected_spans: BTreeMap<String, u64>,
    /// By reason.
    shed_requests: BTreeMap<String, u64>,
    /// Over the last ten seconds.
    spans_per_second: f64,
}

/// Counters and sizes of the store.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Storage {
    buffer_bytes: u64,
    buffer_spans: u64,
    wal_bytes: u64,
    files: u64,
    file_bytes: u64,
    file_rows: u64,
    quarantined_files: u64,
    flushes: u64,
    flush_failures: u64,
    /// Spans left out of files by flushes and merges, since an earlier one says the same word for word.
    repeated_spans: u64,
    upkeep: Upkeep,
}

/// What keeps files few, old spans from staying and the disk from running full. Counters are since start.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Upkeep {
    /// Merges of files that were committed.
    merges: u64,
    merge_failures: u64,
    merged_files: u64,
    merged_bytes_in: u64,
    merged_bytes_out: u64,
    /// Spans decoded and encoded again by merges; others are copied.
    reencoded_spans: u64,
    /// Files that count no more and wait to be removed.
    vacuum_waiting_files: u64,
    vacuum_waiting_bytes: u64,
    vacuumed_files: u64,
    expired_files: u64,
    expired_spans: u64,
    /// Whether nothing expires by age because the clock jumped.
    expiry_suspended: bool,
    /// Passes over all files, each compared with its hash.
    scrub_passes: u64,
    scrubbed_bytes: u64,
    scrub_damaged_files: u64,
    disk_used_bytes: u64,
    disk_free_bytes: u64,
}

/// Counters of queries since start.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Queries {
    running: u64,
    limit: u64,
    completed: u64,
    /// The client went away.
    cancelled: u64,
    failed: u64,
}

impl From<QueryStatus> for Queries {
    fn from(status: QueryStatus) -> Self {
        Self {
            running: status.running as u64,
            limit: status.limit as u64,
            completed: status.completed,
            cancelled: status.cancelled,
            failed: status.failed,
        }
    }
}

/// Counters of the correlation engine.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Correlation {
    open_traces: u64,
    closed_traces: u64,
    cells: u64,
    late_spans: u64,
    /// Traces counted in the journey `~other` because there were too many journeys.
    overflowed_journeys: u64,
    /// Whether it is behind ingestion; its answers are then partial.
    lagging: bool,
}

impl From<EngineStatus> for Correlation {
    fn from(status: EngineStatus) -> Self {
        Self {
            open_traces: status.open_traces,
            closed_traces: status.closed_traces,
            cells: status.cells,
            late_spans: status.late_spans,
            overflowed_journeys: status.overflowed_journeys,
            lagging: status.lagging,
        }
    }
}

/// What the server does.
#[utoipa::path(get, path = "/api/v1/status", tag = "board", responses((status = 200, description = "States, counters and limits", body = Status)))]
pub(crate) async fn status(State(state): State<AppState>) -> Json<Status> {
    let storage = (state.storage)();
    let (server_state, state_reason) = server_state(state.readiness.get(), &storage);
    let identity = &state.identity;
    Json(Status {
        version: identity.version.clone(),
        started_unix_nano: nanos(identity.started),
        freshness: Freshness::new(state.clock.now(), Vec::new()),
        state: server_state,
        state_reason,
        otlp: OtlpAddresses { grpc: identity.grpc.clone(), http: identity.http.clone() },
        data_dir: identity.data_dir.clone(),
        ingest: ingest(&state),
        storage: storage_counts(&storage),
        query: state.queries.status().into(),
        correlation: state.correlator.status().into(),
        limits: identity.limits.clone(),
    })
}

fn server_state(ready: bool, storage: &StoreStatus) -> (ServerState, Option<String>) {
    match &storage.read_only {
        Some(reason) if reason.contains("disk is full") => (ServerState::DiskFull, Some(reason.clone())),
        Some(reason) => (ServerState::ReadOnly, Some(reason.clone())),
        None if storage.disk.level == DiskLevel::Shed => {
            let reason = format!("the disk is nearly full, {} MiB are left", storage.disk.free_bytes >> 20);
            (ServerState::DiskFull, Some(reason))
        }
        None if ready => (ServerState::Ready, None),
        None => (ServerState::Recovering, Some("the server starts or stops".to_owned())),
    }
}

fn ingest(state: &AppState) -> Ingest {
    let counts = (state.ingest)();
    Ingest {
        received_spans: counts.received_spans,
        accepted_spans: counts.accepted_spans,
        deduplicated_spans: counts.deduplicated_spans,
        rejected_spans: counts.rejected_spans,
        shed_requests: counts.shed_requests,
        spans_per_second: state.rate.per_second().unwrap_or(0.0),
    }
}

fn storage_counts(status: &StoreStatus) -> Storage {
    Storage {
        buffer_bytes: status.buffer_bytes,
        buffer_spans: status.buffer_spans,
        wal_bytes: status.wal_bytes,
        files: status.files,
        file_bytes: status.file_bytes,
        file_rows: status.file_rows,
        quarantined_files: status.quarantined_files,
        flushes: status.flushes,
        flush_failures: status.flush_failures,
        repeated_spans: status.flush_repeats.saturating_add(status.compaction.rows_repeated),
        upkeep: upkeep(status),
    }
}

fn upkeep(status: &StoreStatus) -> Upkeep {
    let StoreStatus { compaction, vacuum, retention, scrub, disk, .. } = status;
    Upkeep {
        merges: compaction.runs,
        merge_failures: compaction.failures,
        merged_files: compaction.files_in,
        merged_bytes_in: compaction.bytes_in,
        merged_bytes_out: compaction.bytes_out,
        reencoded_spans: compaction.rows_encoded,
        vacuum_waiting_files: vacuum.waiting_files,
        vacuum_waiting_bytes: vacuum.waiting_bytes,
        vacuumed_files: vacuum.removed_files,
        expired_files: retention.expired_files,
        expired_spans: retention.expired_rows,
        expiry_suspended: retention.suspended,
        scrub_passes: scrub.passes,
        scrubbed_bytes: scrub.bytes,
        scrub_damaged_files: scrub.damaged,
        disk_used_bytes: disk.used_bytes,
        disk_free_bytes: disk.free_bytes,
    }
}

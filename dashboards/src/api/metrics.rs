//! `/metrics` in the Prometheus text format.

mod exposition;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use daytwo_query::{DeploymentFilter, QueryStatus, StoreStatus, Traffic};
use http::header;

use crate::state::{AppState, IngestCounts, SpanCounts};
use exposition::{Exposition, seconds};

/// Releases shown, the newest: their versions are labels, of which a scraper takes only so many.
const RELEASES_MAX: usize = 200;

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Routes of this resource.
pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/metrics", get(metrics))
}

/// Counters and states for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "machines",
    responses((status = 200, description = "Prometheus text format 0.0.4", body = String, content_type = "text/plain")))]
pub(crate) async fn metrics(State(state): State<AppState>) -> Response {
    let mut out = Exposition::default();
    server(&mut out, &state);
    ingest(&mut out, &(state.ingest)());
    storage(&mut out, &(state.storage)());
    queries(&mut out, &state.queries.status());
    correlation(&mut out, &state);
    alerts(&mut out, &state);
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], out.finish()).into_response()
}

fn server(out: &mut Exposition, state: &AppState) {
    out.gauge("daytwo_build_info", "1, with the version as label.");
    out.sample(&[("version", &state.identity.version)], 1);
    out.gauge("daytwo_start_time_seconds", "When the process started, in seconds since the Unix epoch.");
    out.sample(&[], state.identity.started.0 / 1_000_000_000);
    out.gauge("daytwo_ready", "1 while requests are served.");
    out.sample(&[], u8::from(state.readiness.get()));
    out.counter("daytwo_http_responses_total", "Answers of the web port, by class of status.");
    for (class, count) in state.http.answers() {
        out.sample(&[("class", class)], count);
    }
}

/// Invariant: received = accepted + deduplicated + rejected for each transport, in each answer: they are counted and read together.
fn spans(out: &mut Exposition, counts: &IngestCounts) {
    type Count = fn(&SpanCounts) -> u64;
    let families: [(&'static str, &str, Count); 3] = [
        ("daytwo_received_spans_total", "Spans in export requests answered with success.", |spans| spans.received),
        ("daytwo_accepted_spans_total", "Spans that are durable and visible.", |spans| spans.accepted),
        ("daytwo_deduplicated_spans_total", "Spans of requests that had been accepted before.", |spans| {
            spans.deduplicated
        }),
    ];
    for (name, help, count) in families {
        out.counter(name, help);
        counts.spans.iter().for_each(|(transport, spans)| out.sample(&[("transport", transport)], count(spans)));
    }
    out.counter("daytwo_rejected_spans_total", "Invalid spans, refused one by one.");
    for (transport, spans) in &counts.spans {
        for (reason, count) in &spans.rejected {
            out.sample(&[("transport", transport), ("reason", reason)], count);
        }
    }
}

fn ingest(out: &mut Exposition, counts: &IngestCounts) {
    spans(out, counts);
    out.counter("daytwo_shed_requests_total", "Requests refused whole because of load; clients send them again.");
    for (reason, count) in &counts.shed_requests {
        out.sample(&[("reason", reason)], count);
    }
    out.counter("daytwo_bad_requests_total", "Export requests refused for good.");
    for (reason, count) in &counts.bad_requests {
        out.sample(&[("reason", reason)], count);
    }
    out.counter("daytwo_export_requests_total", "Export requests answered, by transport.");
    for (transport, count) in &counts.requests {
        out.sample(&[("transport", transport)], count);
    }
    out.gauge("daytwo_inflight_requests", "Export requests in work.");
    out.sample(&[], counts.inflight_requests);
    out.gauge("daytwo_inflight_bytes", "Bytes of export requests in work: received, decompressed and decoded.");
    out.sample(&[], counts.inflight_bytes);
    out.gauge("daytwo_inflight_bytes_limit", "How many there may be.");
    out.sample(&[], counts.inflight_bytes_max);
    out.histogram(
        "daytwo_freshness_seconds",
        "Time from the last byte of a request until its spans are durable and visible to queries.",
        &counts.freshness,
    );
    out.counter("daytwo_export_connections_closed_total", "Connections of exporters that were asked to go or closed.");
    for (reason, count) in &counts.connections_closed {
        out.sample(&[("reason", reason)], count);
    }
    out.counter(
        "daytwo_log_records_total",
        "Log records: kept as evaluations of feature flags, or why they were rejected.",
    );
    for (outcome, count) in &counts.log_records {
        out.sample(&[("outcome", outcome)], count);
    }
    out.counter("daytwo_export_handshakes_failed_total", "TLS handshakes of exporters that did not succeed.");
    out.sample(&[], counts.handshakes_failed);
}

fn storage(out: &mut Exposition, status: &StoreStatus) {
    out.gauge("daytwo_buffer_bytes", "Decoded spans in memory.");
    out.sample(&[], status.buffer_bytes);
    out.gauge("daytwo_buffer_spans", "Spans in memory.");
    out.sample(&[], status.buffer_spans);
    out.gauge("daytwo_wal_bytes", "Write-ahead log on disk.");
    out.sample(&[], status.wal_bytes);
    out.histogram("daytwo_wal_sync_seconds", "fdatasync calls of the write-ahead log.", &status.wal_syncs);
    out.gauge("daytwo_wal_sync_seconds_max", "The longest of them.");
    out.sample(&[], seconds(status.wal_syncs.ns_max));
    out.gauge("daytwo_files", "Committed data files.");
    out.sample(&[], status.files);
    out.gauge("daytwo_file_bytes", "Their bytes.");
    out.sample(&[], status.file_bytes);
    out.gauge("daytwo_file_rows", "Their spans.");
    out.sample(&[], status.file_rows);
    out.gauge("daytwo_quarantined_files", "Files set aside as damaged; answers lack their spans and say so.");
    out.sample(&[], status.quarantined_files);
    out.counter("daytwo_flushes_total", "Flushes to files.");
    out.sample(&[], status.flushes);
    out.counter("daytwo_flush_failures_total", "Flushes that failed; their spans stay in memory and in the log.");
    out.sample(&[], status.flush_failures);
    out.counter(
        "daytwo_repeated_spans_total",
        "Spans left out of files, since an earlier one, in another request, says the same word for word.",
    );
    out.sample(&[("found_by", "flush")], status.flush_repeats);
    out.sample(&[("found_by", "merge")], status.compaction.rows_repeated);
    out.counter("daytwo_indexes_made_total", "Indexes made from their data files, since they were missing or damaged.");
    out.sample(&[], status.indexes_made);
    out.counter("daytwo_index_failures_total", "Indexes that could not be made; their files are scanned instead.");
    out.sample(&[], status.index_failures);
    upkeep(out, status);
    if let Some(traffic) = &status.object_store {
        object_store(out, traffic);
    }
    out.gauge("daytwo_read_only", "1 while writes are refused.");
    out.sample(&[], u8::from(status.read_only.is_some()));
}

fn upkeep(out: &mut Exposition, status: &StoreStatus) {
    let StoreStatus { compaction, vacuum, retention, scrub, disk, .. } = status;
    out.counter("daytwo_merges_total", "Merges of files that were committed.");
    out.sample(&[], compaction.runs);
    out.counter("daytwo_merge_failures_total", "Merges that failed; their files stay as they are.");
    out.sample(&[], compaction.failures);
    out.counter("daytwo_merged_files_total", "Files that were merged into others.");
    out.sample(&[], compaction.files_in);
    out.counter("daytwo_merged_bytes_total", "Bytes read and written by merges.");
    out.sample(&[("direction", "in")], compaction.bytes_in);
    out.sample(&[("direction", "out")], compaction.bytes_out);
    out.counter("daytwo_reencoded_spans_total", "Spans decoded and encoded again by merges; others are copied.");
    out.sample(&[], compaction.rows_encoded);
    out.gauge("daytwo_vacuum_waiting_files", "Files that count no more and wait to be removed.");
    out.sample(&[], vacuum.waiting_files);
    out.gauge("daytwo_vacuum_waiting_bytes", "Their bytes.");
    out.sample(&[], vacuum.waiting_bytes);
    out.counter("daytwo_vacuumed_files_total", "Files removed because they count no more.");
    out.sample(&[], vacuum.removed_files);
    out.counter("daytwo_expired_files_total", "Files whose spans are kept no longer.");
    out.sample(&[], retention.expired_files);
    out.counter("daytwo_expired_spans_total", "Spans that are kept no longer.");
    out.sample(&[], retention.expired_rows);
    out.gauge("daytwo_expiry_suspended", "1 while nothing expires by age because the clock jumped.");
    out.sample(&[], u8::from(retention.suspended));
    out.counter("daytwo_scrub_passes_total", "Passes over all files, each compared with its hash.");
    out.sample(&[], scrub.passes);
    out.counter("daytwo_scrubbed_bytes_total", "Bytes read for that.");
    out.sample(&[], scrub.bytes);
    out.counter("daytwo_scrub_damaged_files_total", "Files that were not what was written.");
    out.sample(&[], scrub.damaged);
    out.gauge("daytwo_disk_used_bytes", "Bytes in use of the data folder's file system, by whomever.");
    out.sample(&[], disk.used_bytes);
    out.gauge("daytwo_disk_free_bytes", "Bytes that may still be written to it.");
    out.sample(&[], disk.free_bytes);
    out.gauge("daytwo_disk_level", "0 with room, 1 when it runs full, 2 while requests are shed for it.");
    out.sample(&[], disk.level as u8);
}

fn object_store(out: &mut Exposition, traffic: &Traffic) {
    out.counter("daytwo_object_store_requests_total", "Requests to the store that the table is in.");
    out.sample(&[("kind", "get")], traffic.gets);
    out.sample(&[("kind", "put")], traffic.puts);
    out.sample(&[("kind", "list")], traffic.lists);
    out.sample(&[("kind", "delete")], traffic.deletes);
    out.counter(
        "daytwo_object_store_failures_total",
        "Requests to it that failed, also those sent again with success.",
    );
    out.sample(&[], traffic.failures);
    out.counter("daytwo_object_store_bytes_total", "Bytes that they moved.");
    out.sample(&[("direction", "read")], traffic.bytes_read);
    out.sample(&[("direction", "written")], traffic.bytes_written);
}

fn queries(out: &mut Exposition, status: &QueryStatus) {
    out.gauge("daytwo_queries_running", "Queries and searches that run now.");
    out.sample(&[], status.running);
    out.gauge("daytwo_queries_limit", "Queries and searches that may run at once.");
    out.sample(&[], status.limit);
    out.counter("daytwo_queries_total", "Questions answered, by how they ended.");
    out.sample(&[("ended", "completed")], status.completed);
    out.sample(&[("ended", "cancelled")], status.cancelled);
    out.sample(&[("ended", "failed")], status.failed);
}

fn correlation(out: &mut Exposition, state: &AppState) {
    let status = state.correlator.status();
    out.gauge("daytwo_open_traces", "Traces that still get spans.");
    out.sample(&[], status.open_traces);
    out.counter("daytwo_closed_traces_total", "Traces measured.");
    out.sample(&[], status.closed_traces);
    out.counter("daytwo_evicted_traces_total", "Traces closed early because too many spans were held.");
    out.sample(&[], status.evicted_traces);
    out.counter("daytwo_late_spans_total", "Spans that came after their trace had been closed.");
    out.sample(&[], status.late_spans);
    out.counter(
        "daytwo_late_traces_read_total",
        "Closed traces that were read again because spans of theirs came late.",
    );
    out.sample(&[], status.read_again_traces);
    out.gauge("daytwo_late_traces_waiting", "Closed traces that wait to be read again.");
    out.sample(&[], status.waiting_traces);
    out.counter("daytwo_fragment_spans_total", "Late spans that were measured without the rest of their trace.");
    out.sample(&[], status.fragment_spans);
    out.counter("daytwo_traces_forgotten_early_total", "Closed traces that can no longer be told from new ones.");
    out.sample(&[], status.forgotten_early_traces);
    out.gauge("daytwo_sli_cells", "Cells of service level indicators held.");
    out.sample(&[], status.cells);
    out.gauge("daytwo_sli_cell_bytes", "Bytes of memory that they take.");
    out.sample(&[], status.cell_bytes);
    out.counter(
        "daytwo_overflowed_journeys_total",
        "Traces counted in the journey ~other because there were too many journeys.",
    );
    out.sample(&[], status.overflowed_journeys);
    out.gauge("daytwo_correlation_lagging", "1 while the correlation engine is behind ingestion.");
    out.sample(&[], u8::from(status.lagging));
    out.gauge("daytwo_declared_deployments", "Declared deployments that are kept.");
    out.sample(&[], status.declared_deployments);
    out.counter(
        "daytwo_declared_deployments_dropped_total",
        "Declared deployments that went because there were too many.",
    );
    out.sample(&[], status.dropped_declarations);
    out.gauge("daytwo_declared_flags", "Declared weights of flags that are kept.");
    out.sample(&[], status.declared_flags);
    out.counter(
        "daytwo_declared_flags_dropped_total",
        "Declared weights of flags that went because there were too many.",
    );
    out.sample(&[], status.dropped_flag_declarations);
    out.gauge("daytwo_flags", "Feature flags that are followed.");
    out.sample(&[], status.flags);
    out.gauge("daytwo_flag_variants", "Variants of feature flags that are followed.");
    out.sample(&[], status.flag_variants);
    out.gauge("daytwo_flag_variants_judged", "Variants that are compared with their flag's control now.");
    out.sample(&[], status.judged_variants);
    out.counter(
        "daytwo_flag_evaluations_left_out_total",
        "Evaluations of feature flags that were too long, or of more flags and variants than are followed.",
    );
    out.sample(&[], status.left_out_evaluations);
    out.gauge("daytwo_deployment_verdict", "1 for the state in which a release is.");
    for release in state.correlator.deployments(&DeploymentFilter::default()).iter().take(RELEASES_MAX) {
        let labels = [
            ("service", release.service.as_str()),
            ("version", release.version.as_str()),
            ("environment", release.environment.as_str()),
            ("state", release.state.name()),
            ("class", release.class.map_or("", daytwo_query::verdict::Class::name)),
        ];
        out.sample(&labels, 1);
    }
}

fn alerts(out: &mut Exposition, state: &AppState) {
    let (firing, dropped) = state.alerts.counts();
    out.gauge("daytwo_alerts_firing", "Alerts that fire.");
    out.sample(&[], firing);
    out.counter(
        "daytwo_alerts_dropped_total",
        "Alerts left out because there were too many, or that nobody could be told of.",
    );
    out.sample(&[], dropped);
    let webhooks = state.alerts.webhooks();
    out.gauge("daytwo_alerts_pending", "Alerts and recoveries that a webhook has yet to hear of.");
    webhooks.iter().for_each(|webhook| out.sample(&[("webhook", &webhook.name)], webhook.pending));
    out.counter("daytwo_alert_requests_total", "Requests to webhooks, by how they ended.");
    for webhook in &webhooks {
        out.sample(&[("webhook", &webhook.name), ("ended", "delivered")], webhook.delivered);
        out.sample(&[("webhook", &webhook.name), ("ended", "failed")], webhook.failed);
    }
    out.counter("daytwo_alerts_refused_total", "Alerts that a webhook would not have.");
    webhooks.iter().for_each(|webhook| out.sample(&[("webhook", &webhook.name)], webhook.refused));
}

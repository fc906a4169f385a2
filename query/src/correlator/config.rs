//! Settings and limits of the engine.

use std::time::Duration;

use crate::verdict::VerdictConfig;

/// Settings of the correlation engine. Every limit has a counter in [`super::EngineStatus`].
#[derive(Debug, Clone, PartialEq)]
pub struct EngineConfig {
    /// A trace without a new span for this long is closed.
    pub idle: Duration,
    /// A closed trace is held this long for late spans.
    pub linger: Duration,
    /// Spans held for open and just closed traces.
    pub open_spans_max: usize,
    /// Ids remembered of traces that are no longer held, to know late spans as such; 20 bits each.
    pub closed_ids_max: usize,
    /// A trace is read again for spans that come so long after its first ones; later ones are measured as fragments.
    pub late_window: Duration,
    /// Traces that may wait to be read again; those beyond are measured as fragments.
    pub late_waiting_max: usize,
    /// Traces that are read again at once, every second at most.
    pub late_at_once: usize,
    /// Spans that are read of these; a trace that has more by itself is measured as a fragment.
    pub late_spans_max: usize,
    /// Bytes of trace records held for deployments to come.
    pub recent_bytes_max: usize,
    /// Operations (by service, version, environment and kind) told apart, and so many series of them by journey.
    pub series_max: usize,
    /// Bytes of cells.
    pub cells_bytes_max: usize,
    /// How long cells and counters are kept.
    pub retention: Duration,
    /// Traces before a version counts as deployed.
    pub deployment_traces_min: u64,
    /// Deployments judged at the same time; the oldest keep their last verdict.
    pub judged_max: usize,
    /// How far back a rebuild reads.
    pub rebuild_window: Duration,
    /// Spans that a rebuild reads at most, newest files first.
    pub rebuild_spans_max: u64,
    /// Batches that may wait for the engine before the store cuts it off and it rebuilds.
    pub tail_capacity: usize,
    /// The rule's numbers.
    pub verdict: VerdictConfig,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(5),
            linger: Duration::from_secs(60),
            open_spans_max: 1_000_000,
            // 16 MiB: two hours of 900 traces a second.
            closed_ids_max: 6_700_000,
            // Two hours of delay, and a trace that took an hour.
            late_window: Duration::from_secs(3 * 3600),
            late_waiting_max: 20_000,
            late_at_once: 256,
            late_spans_max: 100_000,
            recent_bytes_max: 128 << 20,
            series_max: 20_000,
            cells_bytes_max: 256 << 20,
            retention: Duration::from_secs(28 * 86_400),
            deployment_traces_min: 20,
            judged_max: 32,
            rebuild_window: Duration::from_secs(86_400),
            rebuild_spans_max: 10_000_000,
            tail_capacity: 4_096,
            verdict: VerdictConfig::default(),
        }
    }
}

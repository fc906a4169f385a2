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
    /// Ids remembered of traces that are no longer held, to know late spans as such.
    pub closed_ids_max: usize,
    /// Bytes of trace records held for deployments to come.
    pub recent_bytes_max: usize,
    /// Operations (by service, version, environment and kind) told apart.
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
            closed_ids_max: 200_000,
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

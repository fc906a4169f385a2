//! What matters on a journey: the least excess that is held against a version, in milliseconds a trace.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::VerdictConfig;
use super::baseline::Table;
use super::cohort::BEFORE;
use crate::measure::NodeKey;

/// The floor of every journey: the fixed one, or a share of the journey's own median, whichever is larger.
#[derive(Debug, Clone, Default)]
pub(super) struct Floors {
    fixed_ms: f64,
    journeys: BTreeMap<Arc<str>, f64>,
}

impl Floors {
    pub(super) fn of(table: &Table, config: &VerdictConfig) -> Self {
        let fixed_ms = config.excess_floor.as_secs_f64() * 1e3;
        let medians = table.get(&NodeKey::Journey).into_iter().flatten();
        let floor = |median: f64| fixed_ms.max(config.excess_floor_share * median);
        let journeys = medians
            .filter_map(|(journey, cells)| Some((Arc::clone(journey), floor(cells[BEFORE].ns.quantile_ms(0.5)?))));
        Self { fixed_ms, journeys: journeys.collect() }
    }

    /// The floor of a journey; the fixed one where the old version had no such trace.
    pub(super) fn ms(&self, journey: &Arc<str>) -> f64 {
        self.journeys.get(journey).copied().unwrap_or(self.fixed_ms)
    }
}

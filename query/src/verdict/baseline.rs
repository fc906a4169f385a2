//! Choosing what to compare with: concurrent traffic of the old version, else its past, else nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use daytwo_storage::UnixNanos;

use super::cohort::{AFTER, ARMS, BEFORE, Cohorts, NodeCell};
use super::{Rung, VerdictConfig};
use crate::measure::{FINE, NodeKey, slot_start};

/// Both versions side by side for less than this are a switch-over, whose cold start would decide, and no canary.
const CANARY_SLOTS: usize = 6;
/// The old version counts as gone when it had no trace for this long while the new one had.
const GONE_SLOTS: i64 = 6;

/// The chosen comparison: which slots of either cohort take part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Comparison {
    pub(super) rung: Rung,
    /// First and past-the-last slot of either cohort.
    pub(super) windows: [(i64, i64); ARMS],
    /// For concurrent traffic: only slots in which both had traces.
    shared: Option<Vec<i64>>,
    /// Traces of either cohort.
    pub(super) traces: [u64; ARMS],
}

fn width() -> i64 {
    i64::try_from(FINE.as_nanos()).unwrap_or(i64::MAX)
}

/// Traces of either cohort in every slot.
fn traffic(cohorts: &Cohorts) -> BTreeMap<i64, [u64; ARMS]> {
    let mut traffic: BTreeMap<i64, [u64; ARMS]> = BTreeMap::new();
    let own = NodeKey::Service { service: Arc::clone(&cohorts.key.service) };
    for (_, slots) in cohorts.series.iter().filter(|((_, node), _)| **node == own) {
        for (arm, cells) in slots.iter().enumerate() {
            for (slot, cell) in cells {
                if let Some(count) = traffic.entry(*slot).or_default().get_mut(arm) {
                    *count = count.saturating_add(cell.traces);
                }
            }
        }
    }
    traffic
}

impl Comparison {
    pub(super) fn choose(cohorts: &Cohorts, config: &VerdictConfig) -> Self {
        let traffic = traffic(cohorts);
        let first = slot_start(cohorts.key.first_seen, FINE);
        let end = traffic.keys().next_back().map_or(first, |slot| slot.saturating_add(width()));
        let shared: Vec<i64> = traffic
            .range(first..)
            .filter(|(_, counts)| counts.iter().all(|count| *count > 0))
            .map(|(slot, _)| *slot)
            .collect();
        let canary = shared.len() >= CANARY_SLOTS;
        let concurrent = Self::new(Rung::B, [(first, end); ARMS], Some(shared), &traffic);
        let oldest = slot_start(cohorts.key.first_seen.saturating_sub(config.lookback), FINE);
        let past = Self::new(Rung::C, [(oldest, first), (first, end)], None, &traffic);
        let enough = |comparison: &Self| comparison.traces.iter().all(|traces| *traces >= config.traces_min);
        let last_old = traffic.iter().rev().find(|(_, counts)| counts[BEFORE] > 0).map(|(slot, _)| *slot);
        let gone = last_old.is_none_or(|slot| slot < end.saturating_sub(GONE_SLOTS * width()));
        match () {
            () if cohorts.key.baseline.is_none() => Self::new(Rung::D, [(first, first), (first, end)], None, &traffic),
            () if canary && enough(&concurrent) => concurrent,
            () if last_old.is_none() => Self::new(Rung::D, [(first, first), (first, end)], None, &traffic),
            () if gone => past,
            () => concurrent,
        }
    }

    fn new(
        rung: Rung,
        windows: [(i64, i64); ARMS],
        shared: Option<Vec<i64>>,
        traffic: &BTreeMap<i64, [u64; ARMS]>,
    ) -> Self {
        let mut comparison = Self { rung, windows, shared, traces: [0; ARMS] };
        for (slot, counts) in traffic {
            for (arm, count) in counts.iter().enumerate() {
                if comparison.takes(arm, *slot)
                    && let Some(sum) = comparison.traces.get_mut(arm)
                {
                    *sum = sum.saturating_add(*count);
                }
            }
        }
        comparison
    }

    /// Whether a cohort's slot takes part.
    pub(super) fn takes(&self, arm: usize, slot: i64) -> bool {
        let inside = self.windows.get(arm).is_some_and(|(from, to)| (*from..*to).contains(&slot));
        inside && self.shared.as_ref().is_none_or(|shared| shared.binary_search(&slot).is_ok())
    }

    /// Whether a trace of a cohort takes part.
    pub(super) fn takes_trace(&self, arm: usize, start: UnixNanos) -> bool {
        self.takes(arm, slot_start(start, FINE))
    }

    /// The part of this comparison in a window of slots.
    pub(super) fn within(&self, arm: usize, from: i64, to: i64) -> Self {
        let mut part = self.clone();
        if let Some(window) = part.windows.get_mut(arm) {
            *window = (window.0.max(from), window.1.min(to));
        }
        part
    }

    /// Seconds that the candidate's traces span.
    pub(super) fn candidate_seconds(&self) -> f64 {
        let (from, to) = self.windows[AFTER];
        std::time::Duration::from_nanos(u64::try_from(to.saturating_sub(from)).unwrap_or(0)).as_secs_f64().max(1.0)
    }
}

/// Every node's cells by journey, in a fixed order.
pub(super) type Table = BTreeMap<Arc<NodeKey>, BTreeMap<Arc<str>, [NodeCell; ARMS]>>;

/// Adds up the slots that take part.
pub(super) fn tabulate(cohorts: &Cohorts, comparison: &Comparison) -> Table {
    let mut table: Table = BTreeMap::new();
    for ((journey, node), slots) in &cohorts.series {
        let mut cells: [NodeCell; ARMS] = Default::default();
        for (arm, (sum, slots)) in cells.iter_mut().zip(slots).enumerate() {
            let taken = slots.iter().filter(|(slot, _)| comparison.takes(arm, **slot));
            taken.for_each(|(_, cell)| sum.merge(cell));
        }
        if cells.iter().any(|cell| cell.traces > 0) {
            table.entry(Arc::clone(node)).or_default().insert(Arc::clone(journey), cells);
        }
    }
    table
}

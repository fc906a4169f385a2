//! Choosing what to compare with: concurrent traffic of the old version, else its past, else nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use daytwo_storage::UnixNanos;

use super::cohort::{AFTER, ARMS, BEFORE, Cohorts, NodeCell};
use super::{Rung, VerdictConfig};
use crate::measure::{FINE, NodeKey, slot_start};

/// Both versions side by side for less than this are a switch-over, whose cold start would decide, and no canary.
const CANARY_SLOTS: usize = 6;
/// Between two slots in which both had traces, so many slots at most still count as concurrent: a version with a trace every few
/// seconds is often missing from a slot by chance, and within a minute the weather is the same.
const BRIDGED_SLOTS: i64 = 6;
/// The old version counts as gone when it had no trace for this long while the new one had, ...
const GONE_SLOTS: i64 = 6;
/// ... or sooner, when at its former rate so many traces are missing (by chance once in 20,000 times).
const MISSING_TRACES: f64 = 10.0;

/// The chosen comparison: which slots of either cohort take part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Comparison {
    pub(super) rung: Rung,
    /// First and past-the-last slot of either cohort.
    pub(super) windows: [(i64, i64); ARMS],
    /// For concurrent traffic: only slots in which both had traces, and short gaps between those.
    shared: Option<Vec<i64>>,
    /// Traces of either cohort.
    pub(super) traces: [u64; ARMS],
    /// Past the first block of concurrent traffic: where the candidate's share of it moved, ascending.
    moves: Vec<i64>,
}

/// A canary's share that moves by so much begins another block: hours of different load would else stand against each other.
const SHARE_MOVE: f64 = 0.1;
/// The share is looked at by the minute.
const SHARE_SLOTS: i64 = 6;

/// Where the candidate's share of the concurrent traffic moved by more than [`SHARE_MOVE`] and than chance would.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn share_moves(traffic: &BTreeMap<i64, [u64; ARMS]>, shared: &[i64]) -> Vec<i64> {
    let mut minutes: BTreeMap<i64, [u64; ARMS]> = BTreeMap::new();
    for slot in shared {
        let minute = minutes.entry(slot.div_euclid(SHARE_SLOTS * width())).or_default();
        let counts = traffic.get(slot).copied().unwrap_or_default();
        minute.iter_mut().zip(counts).for_each(|(sum, count)| *sum = sum.saturating_add(count));
    }
    let mut moves = Vec::new();
    let mut block = [0_u64; ARMS];
    for (minute, counts) in minutes {
        let all = |counts: [u64; ARMS]| counts.iter().sum::<u64>() as f64;
        let (before, now) = (block[AFTER] as f64 / all(block).max(1.0), counts[AFTER] as f64 / all(counts).max(1.0));
        let chance = 4.0 * (0.25 / all(block).max(1.0) + 0.25 / all(counts).max(1.0)).sqrt();
        if all(block) > 0.0 && (now - before).abs() > SHARE_MOVE.max(chance) {
            moves.push(minute.saturating_mul(SHARE_SLOTS * width()));
            block = [0; ARMS];
        }
        block.iter_mut().zip(counts).for_each(|(sum, count)| *sum = sum.saturating_add(count));
    }
    moves
}

fn width() -> i64 {
    i64::try_from(FINE.as_nanos()).unwrap_or(i64::MAX)
}

/// Traces of either cohort in every slot.
fn traffic(cohorts: &Cohorts) -> BTreeMap<i64, [u64; ARMS]> {
    let mut traffic: BTreeMap<i64, [u64; ARMS]> = BTreeMap::new();
    let own = match &cohorts.key.flag {
        Some(_) => NodeKey::Journey,
        None => NodeKey::Service { service: Arc::clone(&cohorts.key.service) },
    };
    for slots in cohorts.series.values().filter_map(|nodes| nodes.get(&own)) {
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

/// The slots with traffic that lie in a short gap between two shared ones, and the shared ones.
fn bridged(traffic: &BTreeMap<i64, [u64; ARMS]>, shared: &[i64]) -> Vec<i64> {
    let spans: Vec<(i64, i64)> = shared
        .windows(2)
        .filter_map(|pair| Some((*pair.first()?, *pair.get(1)?)))
        .filter(|(from, to)| to.saturating_sub(*from) <= BRIDGED_SLOTS * width())
        .collect();
    let inside = |slot: &i64| {
        let next = spans.partition_point(|(_, to)| to < slot);
        spans.get(next).is_some_and(|(from, _)| from <= slot)
    };
    let taken = |slot: &&i64| shared.binary_search(slot).is_ok() || inside(slot);
    traffic.keys().filter(taken).copied().collect()
}

/// Whether the old version's last slot is so far back that it has no more traffic.
#[expect(clippy::cast_precision_loss, reason = "counts and slots stay far below 2^53")]
fn is_gone(traffic: &BTreeMap<i64, [u64; ARMS]>, last: i64, first: i64, end: i64) -> bool {
    let silent = end.saturating_sub(last).saturating_sub(width()) / width();
    let past = traffic.range(..first).filter(|(_, counts)| counts[BEFORE] > 0);
    let oldest = past.clone().next().map_or(first, |(slot, _)| *slot);
    let slots = (first.saturating_sub(oldest) / width()).max(1);
    let rate = past.map(|(_, counts)| counts[BEFORE]).sum::<u64>() as f64 / slots as f64;
    silent >= GONE_SLOTS || (silent > 0 && rate * silent as f64 >= MISSING_TRACES)
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
        let bridged = bridged(&traffic, &shared);
        let concurrent = Self::new(Rung::B, [(first, end); ARMS], Some(bridged), &traffic);
        let oldest = slot_start(cohorts.key.first_seen.saturating_sub(config.lookback), FINE);
        let past = Self::new(Rung::C, [(oldest, first), (first, end)], None, &traffic);
        let enough = |comparison: &Self| comparison.traces.iter().all(|traces| *traces >= config.traces_min);
        let last_old = traffic.iter().rev().find(|(_, counts)| counts[BEFORE] > 0).map(|(slot, _)| *slot);
        let gone = last_old.is_none_or(|slot| is_gone(&traffic, slot, first, end));
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
        let moves = shared.as_ref().map_or_else(Vec::new, |shared| share_moves(traffic, shared));
        let mut comparison = Self { rung, windows, shared, traces: [0; ARMS], moves };
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

    /// Number of the block that a slot lies in.
    fn block(&self, slot: i64) -> usize {
        self.moves.partition_point(|start| *start <= slot)
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

/// Adds up the slots that take part; journeys are told apart by block as well when the candidate's share moved.
pub(super) fn tabulate(cohorts: &Cohorts, comparison: &Comparison) -> Table {
    let mut table: Table = BTreeMap::new();
    let all = cohorts
        .series
        .iter()
        .flat_map(|(journey, nodes)| nodes.iter().map(move |(node, slots)| (journey, node, slots)));
    for (journey, node, slots) in all {
        let mut blocks: BTreeMap<usize, [NodeCell; ARMS]> = BTreeMap::new();
        for (arm, slots) in slots.iter().enumerate() {
            for (slot, cell) in slots.iter().filter(|(slot, _)| comparison.takes(arm, **slot)) {
                if let Some(sum) = blocks.entry(comparison.block(*slot)).or_default().get_mut(arm) {
                    sum.merge(cell);
                }
            }
        }
        for (block, cells) in blocks.into_iter().filter(|(_, cells)| cells.iter().any(|cell| cell.traces > 0)) {
            let stratum = if comparison.moves.is_empty() {
                Arc::clone(journey)
            } else {
                format!("{journey}, block {}", block.saturating_add(1)).into()
            };
            table.entry(Arc::clone(node)).or_default().insert(stratum, cells);
        }
    }
    table
}

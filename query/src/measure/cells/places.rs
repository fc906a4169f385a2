//! Under which key a span is counted: its own, or one that collects what there is no room for.
//!
//! Journeys are given up first. As many series as operations may be told apart may be of journeys, and as many again are there for operations
//! alone, so that journeys never cost an operation its name. Then operations are given up, and last services.

use daytwo_storage::TraceId;

use super::kin::operation_of;
use super::{CellEntry, CellKey, OVERFLOW, SliCells, journeys};

impl CellKey {
    /// Without a journey of its own.
    fn in_other_journey(&self) -> Self {
        Self { journey: OVERFLOW.into(), ..self.clone() }
    }

    /// Without an operation of its own.
    fn in_other_operation(&self) -> Self {
        Self { operation: OVERFLOW.into(), peer: "".into(), ..self.in_other_journey() }
    }

    /// Without a service of its own.
    fn in_other_service(&self) -> Self {
        Self { service: OVERFLOW.into(), version: "".into(), ..self.in_other_operation() }
    }
}

impl SliCells {
    /// The key itself while there is room, else one that collects the overflow.
    pub(super) fn admitted(&mut self, entry: &CellEntry) -> CellKey {
        if let Some(key) = self.told_apart(&entry.key, entry.trace_id) {
            return key;
        }
        self.overflowed = self.overflowed.saturating_add(1);
        self.collecting(&entry.key)
    }

    /// The key that collects what there is no room for.
    pub(super) fn collecting(&self, key: &CellKey) -> CellKey {
        let other = key.in_other_operation();
        if self.has_room_for(&other, 3) { other } else { key.in_other_service() }
    }

    /// The key of an operation, with its journey if there is a name and room for it; `None` when there is no room for the operation.
    fn told_apart(&mut self, key: &CellKey, trace: TraceId) -> Option<CellKey> {
        let told = self.named(key)?;
        if told.journey != key.journey {
            self.journeys.count_overflow(trace);
        }
        Some(told)
    }

    /// As [`SliCells::told_apart`], of a cell of another count.
    pub(super) fn named(&self, key: &CellKey) -> Option<CellKey> {
        if self.series.contains_key(key) {
            return Some(key.clone());
        }
        if key.journey.is_empty() {
            return self.has_room_for(key, 2).then(|| key.clone());
        }
        let name = self.journeys.name_of(key).filter(|_| self.has_room_for(key, 1));
        let told = name.map(|journey| CellKey { journey, ..key.clone() });
        told.or_else(|| Some(key.in_other_journey()).filter(|other| self.has_room_for(other, 2)))
    }

    /// Whether a key has a series, or may have one while there are at most so many times as many as operations may be told apart.
    fn has_room_for(&self, key: &CellKey, times: usize) -> bool {
        self.series.contains_key(key) || self.series.len() < self.series_max.saturating_mul(times)
    }

    /// The key that a span was added under. Its journey may have had no name then, or have been unknown to cells of an older form; of the
    /// keys of its operation that may hold it one is taken, so that over all of them it is taken out once.
    pub(super) fn counted_under(&self, entry: &CellEntry) -> Option<CellKey> {
        let key = &entry.key;
        let cell = |key: &CellKey| self.series.get(key).and_then(|series| series.at(entry.at));
        let may_hold = |key: &CellKey| cell(key).is_some_and(|cell| cell.may_hold(entry));
        if may_hold(key) {
            return Some(key.clone());
        }
        let collecting = [key.in_other_operation(), key.in_other_service()];
        let others = || self.kin.of(&operation_of(key)).iter().chain(&collecting);
        let unlike = |other: &&CellKey| (other.peer != key.peer, !journeys::needs_none(&other.journey));
        let found = others().filter(|other| may_hold(other)).min_by_key(unlike);
        found.or_else(|| others().find(|other| cell(other).is_some())).cloned()
    }
}

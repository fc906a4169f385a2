//! [`Journeys`]: which journeys of an environment have a name of their own in cells.
//!
//! A journey has its name from its first cell to its last: for as long as a series is named after it. So the names are kept with the cells
//! and read back with them, and names that clients made up for a day do not stay for ever.

use std::collections::BTreeMap;
use std::sync::Arc;

use daytwo_storage::TraceId;

use super::{CellKey, OVERFLOW};
use crate::hash::HashMap;

/// Journeys of an environment that have a name; further ones are `~other`. A middle service of the shop belongs to seven.
pub(super) const NAMED_MAX: usize = 64;

/// Whether a journey needs no name: it is not known, or the one that collects what has none.
pub(super) fn needs_none(journey: &str) -> bool {
    journey.is_empty() || journey == OVERFLOW
}

/// Journeys by environment, and how many series each has.
#[derive(Debug, Default)]
pub(super) struct Journeys {
    series_of: HashMap<Arc<str>, BTreeMap<Arc<str>, usize>>,
    /// Of the names, each once: all series of a journey have its text from here.
    bytes: usize,
    /// Held for another count of the same spans, which these cells are to be put together with.
    reserved: Vec<CellKey>,
    overflowed: u64,
    /// The trace that overflowed last: its spans come one after the other.
    overflowed_last: Option<TraceId>,
}

impl Journeys {
    /// The name of a key's journey; `None` when there is no room for a further one.
    pub(super) fn name_of(&self, key: &CellKey) -> Option<Arc<str>> {
        let own = || Some(Arc::clone(&key.journey));
        if needs_none(&key.journey) {
            return own();
        }
        let Some(names) = self.series_of.get(&key.environment) else { return own() };
        match names.get_key_value(&key.journey) {
            Some((name, _)) => Some(Arc::clone(name)),
            None if names.len() < NAMED_MAX => own(),
            None => None,
        }
    }

    /// A series begins.
    pub(super) fn hold(&mut self, key: &CellKey) {
        if !needs_none(&key.journey) {
            let names = self.series_of.entry(Arc::clone(&key.environment)).or_default();
            let series = names.entry(Arc::clone(&key.journey)).or_default();
            if *series == 0 {
                self.bytes = self.bytes.saturating_add(key.journey.len());
            }
            *series = series.saturating_add(1);
        }
    }

    /// A series ends, and with a journey's last one its name.
    pub(super) fn release(&mut self, key: &CellKey) {
        let Some(names) = self.series_of.get_mut(&key.environment) else { return };
        if let Some(series) = names.get_mut(&key.journey) {
            *series = series.saturating_sub(1);
            if *series == 0 {
                names.remove(&key.journey);
                self.bytes = self.bytes.saturating_sub(key.journey.len());
            }
        }
        if names.is_empty() {
            self.series_of.remove(&key.environment);
        }
    }

    /// Bytes of the names.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Holds the names of the journeys of these keys until [`Journeys::free_reserved`].
    pub(super) fn reserve<'k>(&mut self, keys: impl Iterator<Item = &'k CellKey>) {
        for key in keys {
            self.hold(key);
            self.reserved.push(key.clone());
        }
    }

    /// Frees names that were held for another count and that no series has.
    pub(super) fn free_reserved(&mut self) {
        for key in std::mem::take(&mut self.reserved) {
            self.release(&key);
        }
    }

    /// Counts a trace whose journey is not told apart, once for all its spans.
    pub(super) fn count_overflow(&mut self, trace: TraceId) {
        let again = self.overflowed_last.replace(trace) == Some(trace);
        self.overflowed = self.overflowed.saturating_add(u64::from(!again));
    }

    /// Takes up what another count says of traces whose journeys it did not tell apart.
    pub(super) fn overflowed_at_least(&mut self, other: &Self) {
        self.overflowed = self.overflowed.max(other.overflowed);
    }

    /// Traces whose journey was not told apart.
    pub(super) fn overflowed(&self) -> u64 {
        self.overflowed
    }
}

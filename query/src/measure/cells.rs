//! [`SliCells`]: counts and latency per 10 s of every operation in every journey, kept for a bounded time in bounded memory.

mod exemplars;
mod filter;
mod journeys;
mod kept;
mod kin;
mod places;
mod series;
#[cfg(test)]
mod tests;
mod together;
mod value;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use daytwo_storage::UnixNanos;

use crate::hash::HashMap;
use crate::sli::TimeWindow;
pub use exemplars::Exemplar;
pub use filter::CellFilter;
use journeys::Journeys;
pub(crate) use kept::KeptHour;
#[cfg(test)]
pub(crate) use kept::in_second_form;
use kin::Kin;
use series::Series;
pub use value::{CellEntry, CellKey, CellValue, Slot};

/// Width of a fresh cell.
pub(crate) const FINE: Duration = Duration::from_secs(10);
/// Width of a cell after roll-up.
pub(crate) const COARSE: Duration = Duration::from_secs(300);
/// Fresh cells are kept this long.
const FINE_KEPT: Duration = Duration::from_secs(2 * 3600);
/// Name of the journey, operation or service that takes what is over the limit.
const OVERFLOW: &str = "~other";

/// Start of the slot of this width that holds `at`.
pub(crate) fn slot_start(at: UnixNanos, width: Duration) -> i64 {
    let width = i64::try_from(width.as_nanos()).unwrap_or(i64::MAX);
    at.0.div_euclid(width).saturating_mul(width)
}

/// Cells of every operation.
#[derive(Debug)]
pub struct SliCells {
    series: HashMap<CellKey, Series>,
    journeys: Journeys,
    kin: Kin,
    series_max: usize,
    bytes_max: usize,
    /// What all series take, names of journeys left out.
    bytes: usize,
    /// No fresh cell starts before this.
    oldest_fine: i64,
    /// No rolled-up cell starts before this.
    oldest_coarse: i64,
    overflowed: u64,
    dropped: u64,
    /// Hours with rolled-up cells that have changed since they were written.
    changed: BTreeSet<i64>,
}

impl SliCells {
    /// No cells yet, and room for that many operations, for as many of them by journey, and for that many bytes.
    pub fn new(series_max: usize, bytes_max: usize) -> Self {
        Self {
            series: HashMap::default(),
            journeys: Journeys::default(),
            kin: Kin::default(),
            series_max,
            bytes_max,
            bytes: 0,
            oldest_fine: i64::MAX,
            oldest_coarse: i64::MAX,
            overflowed: 0,
            dropped: 0,
            changed: BTreeSet::new(),
        }
    }

    /// Adds one span. Those of a trace are to come one after the other.
    pub fn add(&mut self, entry: &CellEntry) {
        let key = self.admitted(entry);
        self.change(key, entry.at, |cell| cell.add(entry));
    }

    /// Takes out a span that was added before.
    pub fn remove(&mut self, entry: &CellEntry) {
        if let Some(key) = self.counted_under(entry) {
            self.change(key, entry.at, |cell| cell.remove(entry));
        }
    }

    fn change(&mut self, key: CellKey, at: UnixNanos, change: impl FnOnce(&mut CellValue)) {
        let rolled_up = self.with_series(key, |series| series.change(at, change));
        match rolled_up {
            Some(start) => {
                self.changed.insert(kept::hour_of(start));
            }
            None => self.oldest_fine = self.oldest_fine.min(slot_start(at, FINE)),
        }
    }

    /// Does something with the series of a key, which may be new, and counts what it takes then. One without cells goes.
    fn with_series<R>(&mut self, key: CellKey, change: impl FnOnce(&mut Series) -> R) -> R {
        let (before, mut place) = match self.series.entry(key) {
            Entry::Vacant(place) => {
                self.journeys.hold(place.key());
                self.kin.add(place.key());
                let series = Series::of(place.key());
                (0, place.insert_entry(series))
            }
            Entry::Occupied(place) => (place.get().bytes(), place),
        };
        let done = change(place.get_mut());
        let after = if place.get().len() == 0 {
            let (key, _) = place.remove_entry();
            self.journeys.release(&key);
            self.kin.remove(&key);
            0
        } else {
            place.get().bytes()
        };
        self.bytes = self.bytes.saturating_add(after).saturating_sub(before);
        done
    }

    /// Rolls old cells up, and drops the oldest while there are more bytes than allowed. To be called every few seconds: as long as no cell
    /// has grown too old, nothing is looked at.
    pub fn maintain(&mut self, now: UnixNanos, kept: Duration) {
        let fine_from = slot_start(now.saturating_sub(FINE_KEPT), COARSE);
        let coarse_from = now.saturating_sub(kept).0;
        if self.oldest_fine < fine_from {
            let changed = &mut self.changed;
            self.series.values_mut().for_each(|series| series.roll_up(fine_from, changed));
            self.take_stock();
        }
        if self.oldest_coarse < coarse_from {
            self.series.values_mut().for_each(|series| series.forget(coarse_from));
            self.take_stock();
        }
        self.changed = self.changed.split_off(&kept::hour_of(coarse_from));
        self.shed();
    }

    fn shed(&mut self) {
        while self.bytes() > self.bytes_max {
            let Some(first) = self.series.values().filter_map(Series::oldest).min() else { return };
            let cut = first.saturating_add(slot_width(COARSE));
            let dropped: u64 = self.series.values_mut().map(|series| series.drop_before(cut)).sum();
            self.dropped = self.dropped.saturating_add(dropped);
            self.take_stock();
        }
    }

    /// After many series have changed: those without cells go, and what is known of all of them is found anew.
    fn take_stock(&mut self) {
        for (key, _) in self.series.extract_if(|_, series| series.len() == 0) {
            self.journeys.release(&key);
            self.kin.remove(&key);
        }
        self.bytes = self.series.values().map(Series::bytes).sum();
        let first = |cells: &BTreeMap<i64, CellValue>| cells.first_key_value().map(|(start, _)| *start);
        self.oldest_fine = self.series.values().filter_map(|series| first(series.fine())).min().unwrap_or(i64::MAX);
        self.oldest_coarse = self.series.values().filter_map(|series| first(series.coarse())).min().unwrap_or(i64::MAX);
    }

    /// Cells of the keys wanted that start within the window (the first one may start up to its width earlier), in no order.
    pub fn iter(
        &self,
        window: TimeWindow,
        wanted: impl Fn(&CellKey) -> bool,
    ) -> impl Iterator<Item = (&CellKey, Slot, &CellValue)> {
        let to = window.to.0.saturating_sub(1);
        self.series.iter().filter(move |(key, _)| wanted(key)).flat_map(move |(key, series)| {
            let fine = within(series.fine(), slot_start(window.from, FINE), to, FINE);
            let coarse = within(series.coarse(), slot_start(window.from, COARSE), to, COARSE);
            coarse.chain(fine).map(move |(slot, value)| (key, slot, value))
        })
    }

    /// The keys with cells that a filter takes, in order, and how many these are.
    pub fn keys(&self, wanted: &CellFilter) -> Vec<(CellKey, usize)> {
        let of = self.series.keys().filter(|key| wanted.takes(key));
        let counted = of.map(|key| (key.clone(), self.cells_of(key, wanted).count()));
        let mut keys: Vec<(CellKey, usize)> = counted.filter(|(_, count)| *count > 0).collect();
        keys.sort_unstable();
        keys
    }

    /// The cells of one key that start when a filter asks for, those of five minutes first.
    pub fn cells_of(&self, key: &CellKey, wanted: &CellFilter) -> impl Iterator<Item = (Slot, &CellValue)> {
        let (from, to) = (wanted.from_unix_nano, wanted.to_unix_nano);
        self.series.get(key).into_iter().flat_map(move |series| {
            within(series.coarse(), from, to, COARSE).chain(within(series.fine(), from, to, FINE))
        })
    }

    /// Bytes that cells take.
    pub fn bytes(&self) -> usize {
        self.bytes.saturating_add(self.journeys.bytes())
    }

    /// How many cells there are.
    pub fn len(&self) -> usize {
        self.series.values().map(Series::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// Spans counted under `~other` because there were too many operations.
    pub fn overflowed(&self) -> u64 {
        self.overflowed
    }

    /// Traces whose journey was counted under `~other` because there were too many.
    pub fn overflowed_journeys(&self) -> u64 {
        self.journeys.overflowed()
    }

    /// Cells dropped before their time because memory was full.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

fn slot_width(width: Duration) -> i64 {
    i64::try_from(width.as_nanos()).unwrap_or(i64::MAX)
}

fn within(
    cells: &BTreeMap<i64, CellValue>,
    from: i64,
    to: i64,
    width: Duration,
) -> impl Iterator<Item = (Slot, &CellValue)> {
    let slot = move |start: i64| Slot { from_unix_nano: start, width_ns: slot_width(width) };
    let cells = if from <= to { Some(cells.range(from..=to)) } else { None };
    cells.into_iter().flatten().filter(|(_, value)| value.calls > 0).map(move |(start, value)| (slot(*start), value))
}

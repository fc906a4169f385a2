//! [`SliCells`]: counts and latency per 10 s of every operation, kept for a bounded time in bounded memory.

mod exemplars;
mod filter;
mod kept;
mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use daytwo_storage::UnixNanos;

use crate::hash::HashMap;
use crate::sli::TimeWindow;
pub use exemplars::Exemplar;
pub use filter::CellFilter;
pub(crate) use kept::KeptHour;
pub use value::{CellEntry, CellKey, CellValue, Slot};

/// Width of a fresh cell.
pub(crate) const FINE: Duration = Duration::from_secs(10);
/// Width of a cell after roll-up.
pub(crate) const COARSE: Duration = Duration::from_secs(300);
/// Fresh cells are kept this long.
const FINE_KEPT: Duration = Duration::from_secs(2 * 3600);
/// What a cell takes of its tree beside itself: its start, and its share of the room in leaves, six elevenths full when filled in order.
const CELL_PLACE_BYTES: usize = 16 + size_of::<CellValue>() * 5 / 6;
/// Name of the operation that takes what is over the limit.
const OVERFLOW: &str = "~other";

/// Start of the slot of this width that holds `at`.
pub(crate) fn slot_start(at: UnixNanos, width: Duration) -> i64 {
    let width = i64::try_from(width.as_nanos()).unwrap_or(i64::MAX);
    at.0.div_euclid(width).saturating_mul(width)
}

#[derive(Debug, Default)]
struct Series {
    fine: BTreeMap<i64, CellValue>,
    coarse: BTreeMap<i64, CellValue>,
}

/// Cells of every operation.
#[derive(Debug)]
pub struct SliCells {
    series: HashMap<CellKey, Series>,
    series_max: usize,
    bytes_max: usize,
    bytes: usize,
    overflowed: u64,
    dropped: u64,
    /// Hours with rolled-up cells that have changed since they were written.
    changed: BTreeSet<i64>,
}

impl SliCells {
    /// No cells yet, and room for that many operations and bytes.
    pub fn new(series_max: usize, bytes_max: usize) -> Self {
        Self {
            series: HashMap::default(),
            series_max,
            bytes_max,
            bytes: 0,
            overflowed: 0,
            dropped: 0,
            changed: BTreeSet::new(),
        }
    }

    /// Adds one span.
    pub fn add(&mut self, entry: &CellEntry) {
        let key = self.admitted(&entry.key);
        let series = self.series.entry(key).or_default();
        cell_at(series, entry.at, &mut self.changed).add(entry);
    }

    /// Takes out a span that was added before.
    pub fn remove(&mut self, entry: &CellEntry) {
        let key = self.counted_under(&entry.key);
        let Some(series) = self.series.get_mut(&key) else { return };
        cell_at(series, entry.at, &mut self.changed).remove(entry);
    }

    /// The key itself while there is room, else one that collects the overflow.
    fn admitted(&mut self, key: &CellKey) -> CellKey {
        if self.series.contains_key(key) || self.series.len() < self.series_max {
            return key.clone();
        }
        self.overflowed = self.overflowed.saturating_add(1);
        let other = CellKey { operation: OVERFLOW.into(), peer: "".into(), ..key.clone() };
        if self.series.contains_key(&other) || self.series.len() < self.series_max.saturating_mul(2) {
            return other;
        }
        CellKey { service: OVERFLOW.into(), version: "".into(), ..other }
    }

    /// The key that a span was added under.
    fn counted_under(&self, key: &CellKey) -> CellKey {
        if self.series.contains_key(key) {
            return key.clone();
        }
        let other = CellKey { operation: OVERFLOW.into(), peer: "".into(), ..key.clone() };
        if self.series.contains_key(&other) {
            return other;
        }
        CellKey { service: OVERFLOW.into(), version: "".into(), ..other }
    }

    /// Rolls old cells up, and drops the oldest while there are more bytes than allowed.
    pub fn maintain(&mut self, now: UnixNanos, kept: Duration) {
        let fine_from = slot_start(now.saturating_sub(FINE_KEPT), COARSE);
        let coarse_from = now.saturating_sub(kept).0;
        for series in self.series.values_mut() {
            let fresh = series.fine.split_off(&fine_from);
            for (start, value) in std::mem::replace(&mut series.fine, fresh) {
                let coarse_start = slot_start(UnixNanos(start), COARSE);
                self.changed.insert(kept::hour_of(coarse_start));
                let coarse = series.coarse.entry(coarse_start).or_default();
                coarse.merge_coarsely(&value);
            }
            series.coarse = series.coarse.split_off(&coarse_from);
        }
        self.changed = self.changed.split_off(&kept::hour_of(coarse_from));
        self.series.retain(|_, series| !series.fine.is_empty() || !series.coarse.is_empty());
        self.shed();
    }

    fn shed(&mut self) {
        self.bytes = self.measured_bytes();
        while self.bytes > self.bytes_max {
            let oldest = |series: &Series| {
                let coarse = series.coarse.keys().next();
                coarse.or_else(|| series.fine.keys().next()).copied()
            };
            let Some(first) = self.series.values().filter_map(oldest).min() else { return };
            let cut = first.saturating_add(slot_width(COARSE));
            for series in self.series.values_mut() {
                let before = series.fine.len() + series.coarse.len();
                series.fine = series.fine.split_off(&cut);
                series.coarse = series.coarse.split_off(&cut);
                let after = series.fine.len() + series.coarse.len();
                self.dropped = self.dropped.saturating_add(before.saturating_sub(after) as u64);
            }
            self.bytes = self.measured_bytes();
        }
    }

    fn measured_bytes(&self) -> usize {
        let of = |(key, series): (&CellKey, &Series)| -> usize {
            let cells = series.fine.values().chain(series.coarse.values());
            cells.map(|cell| cell.bytes() + CELL_PLACE_BYTES).sum::<usize>() + key.bytes() + size_of::<Series>()
        };
        self.series.iter().map(of).sum()
    }

    /// Cells of the keys wanted that start within the window (the first one may start up to its width earlier), in no order.
    pub fn iter(
        &self,
        window: TimeWindow,
        wanted: impl Fn(&CellKey) -> bool,
    ) -> impl Iterator<Item = (&CellKey, Slot, &CellValue)> {
        let to = window.to.0.saturating_sub(1);
        self.series.iter().filter(move |(key, _)| wanted(key)).flat_map(move |(key, series)| {
            let fine = within(&series.fine, slot_start(window.from, FINE), to, FINE);
            let coarse = within(&series.coarse, slot_start(window.from, COARSE), to, COARSE);
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
            within(&series.coarse, from, to, COARSE).chain(within(&series.fine, from, to, FINE))
        })
    }

    /// Bytes that cells took when they were looked after last, every ten seconds.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many cells there are.
    pub fn len(&self) -> usize {
        self.series.values().map(|series| series.fine.len() + series.coarse.len()).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// Spans counted under `~other` because there were too many operations.
    pub fn overflowed(&self) -> u64 {
        self.overflowed
    }

    /// Cells dropped before their time because memory was full.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

fn cell_at<'a>(series: &'a mut Series, at: UnixNanos, changed: &mut BTreeSet<i64>) -> &'a mut CellValue {
    let coarse = slot_start(at, COARSE);
    if series.coarse.contains_key(&coarse) {
        changed.insert(kept::hour_of(coarse));
        return series.coarse.entry(coarse).or_default();
    }
    series.fine.entry(slot_start(at, FINE)).or_default()
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

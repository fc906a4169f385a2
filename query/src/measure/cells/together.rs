//! Two counts of the same spans put together.
//!
//! Neither count has a span twice, so of two cells the larger one is the more complete. But they may have a span under different keys: what a
//! call's peer is and what its journey is comes from the whole trace, which one count may have seen earlier than the other; cells of an older
//! form know neither; and a journey that has a name here may have had none there. So all cells of an operation over a stretch of time stand or go together.
//! Where either count has collected operations that it had no room for, all of the service's version do, and where it has collected services, all
//! of the environment.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use daytwo_storage::UnixNanos;

use super::kin::{Operation, collecting, operation_of};
use super::series::Cells;
use super::{COARSE, CellKey, FINE, Series, SliCells, slot_start, slot_width};

/// The cells of an operation in another count, or of all that may have been collected with it.
type Theirs = Vec<(CellKey, Series)>;

/// What an operation stands or goes with where some of these collect what there was no room for.
fn widest(operation: &Operation, collected: &BTreeSet<Operation>) -> Option<Operation> {
    collecting(operation).into_iter().rfind(|other| collected.contains(other))
}

/// Of a stretch of time: past its end, the spans of the one count in it, and of the other.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    end: i64,
    calls: [u64; 2],
}

/// The slots of five minutes from the first to the last one in which any of these has cells.
fn extent<'s>(series: impl Iterator<Item = &'s Series>) -> Range<i64> {
    let slot = |start: i64| slot_start(UnixNanos(start), COARSE);
    let ends = |cells: &Cells| cells.keys().next().copied().zip(cells.keys().next_back().copied());
    let all = series.flat_map(|series| [ends(series.coarse()), ends(series.fine())]).flatten();
    let (first, last) =
        all.fold((i64::MAX, i64::MIN), |so_far, (first, last)| (so_far.0.min(first), so_far.1.max(last)));
    if first > last { 0..0 } else { slot(first)..slot(last).saturating_add(slot_width(COARSE)) }
}

/// The stretches over which two counts are comparable, by start: ten seconds where both have such cells, else five minutes.
#[derive(Debug)]
struct Stretches {
    extent: Range<i64>,
    by_start: BTreeMap<i64, Stretch>,
}

impl Stretches {
    /// Those in which they have cells, and the spans of either count.
    fn of(theirs: &[&Series], ours: &[&Series]) -> Self {
        let extent = extent(theirs.iter().copied());
        let both = || theirs.iter().chain(ours);
        let coarse = both().flat_map(|series| series.coarse().range(extent.clone()).map(|(start, _)| *start));
        let coarse: BTreeSet<i64> = coarse.collect();
        let stretch = |start: i64| {
            let slot = slot_start(UnixNanos(start), COARSE);
            let (start, width) = if coarse.contains(&slot) { (slot, COARSE) } else { (start, FINE) };
            (start, Stretch { end: start.saturating_add(slot_width(width)), calls: [0; 2] })
        };
        let starts = theirs.iter().flat_map(|series| series.calls_in(extent.clone())).map(|(start, _)| start);
        let mut stretches = Self { by_start: starts.map(stretch).collect(), extent };
        theirs.iter().for_each(|series| stretches.count(series, 0));
        ours.iter().for_each(|series| stretches.count(series, 1));
        stretches
    }

    fn count(&mut self, series: &Series, which: usize) {
        for (start, calls) in series.calls_in(self.extent.clone()) {
            let found = self.by_start.range_mut(..=start).next_back().filter(|(_, stretch)| start < stretch.end);
            if let Some(sum) = found.and_then(|(_, stretch)| stretch.calls.get_mut(which)) {
                *sum = sum.saturating_add(calls);
            }
        }
    }

    /// Whether theirs are the more spans where a cell starts; `None` where they have none.
    fn theirs_stand(&self, start: i64) -> Option<bool> {
        let (_, stretch) = self.by_start.range(..=start).next_back().filter(|(_, stretch)| start < stretch.end)?;
        let [theirs, ours] = stretch.calls;
        Some(theirs > ours)
    }
}

impl SliCells {
    /// Puts cells of another count of the same spans in where they are the more complete.
    pub(crate) fn fill_from(&mut self, other: Self) {
        self.overflowed = self.overflowed.max(other.overflowed);
        self.journeys.overflowed_at_least(&other.journeys);
        self.dropped = self.dropped.max(other.dropped);
        self.changed.extend(other.changed);
        self.put_together(other.series);
        self.journeys.free_reserved();
    }

    /// Holds the names of another count's journeys until that is put in here, so that both give a journey the same name.
    pub(crate) fn reserve_journeys_of(&mut self, other: &Self) {
        self.journeys.reserve(other.series.keys());
    }

    pub(super) fn put_together(&mut self, theirs: impl IntoIterator<Item = (CellKey, Series)>) {
        let mut operations: BTreeMap<Operation, Theirs> = BTreeMap::new();
        for (key, series) in theirs {
            operations.entry(operation_of(&key)).or_default().push((key, series));
        }
        let collected: BTreeSet<Operation> =
            operations.keys().flat_map(collecting).filter(|other| self.has_collected(other, &operations)).collect();
        let mut ours = self.keys_collected_with(&collected, &operations);
        let mut parts: BTreeMap<Operation, Theirs> = BTreeMap::new();
        for (operation, theirs) in operations {
            parts.entry(widest(&operation, &collected).unwrap_or(operation)).or_default().extend(theirs);
        }
        for (part, theirs) in parts {
            let keys = if collected.contains(&part) { ours.remove(&part) } else { Some(self.kin.of(&part).to_vec()) };
            self.put_in(keys.unwrap_or_default(), theirs);
        }
    }

    /// Whether either count has spans under a key that collects what there is no room for.
    fn has_collected(&self, other: &Operation, theirs: &BTreeMap<Operation, Theirs>) -> bool {
        theirs.contains_key(other) || !self.kin.of(other).is_empty()
    }

    /// Our keys with cells at their time, of all that may have been collected together.
    fn keys_collected_with(
        &self,
        collected: &BTreeSet<Operation>,
        theirs: &BTreeMap<Operation, Theirs>,
    ) -> BTreeMap<Operation, Vec<CellKey>> {
        let mut keys: BTreeMap<Operation, Vec<CellKey>> = BTreeMap::new();
        if collected.is_empty() {
            return keys;
        }
        let extent = extent(theirs.values().flatten().map(|(_, series)| series));
        for (key, _) in self.series.iter().filter(|(_, series)| series.calls_in(extent.clone()).next().is_some()) {
            if let Some(part) = widest(&operation_of(key), collected) {
                keys.entry(part).or_default().push(key.clone());
            }
        }
        keys
    }

    /// Lets the more complete of two counts stand, stretch by stretch.
    fn put_in(&mut self, keys: Vec<CellKey>, mut theirs: Theirs) {
        let ours: Vec<&Series> = keys.iter().filter_map(|key| self.series.get(key)).collect();
        let series: Vec<&Series> = theirs.iter().map(|(_, series)| series).collect();
        let stretches = Stretches::of(&series, &ours);
        let (extent, theirs_stand) = (&stretches.extent, |start| stretches.theirs_stand(start));
        for key in keys {
            self.with_series(key, |series| series.drop_in(extent, |start| theirs_stand(start) == Some(true)));
        }
        theirs.sort_by(|left, right| left.0.cmp(&right.0));
        for (key, mut series) in theirs {
            series.drop_in(extent, |start| theirs_stand(start) == Some(false));
            self.put(&key, series);
        }
    }

    /// Puts in cells of spans that are not here.
    fn put(&mut self, key: &CellKey, series: Series) {
        if series.len() == 0 {
            return;
        }
        let key = self.named(key).unwrap_or_else(|| {
            let calls = series.calls_in(i64::MIN..i64::MAX).map(|(_, calls)| calls).sum();
            self.overflowed = self.overflowed.saturating_add(calls);
            self.collecting(key)
        });
        let (coarse, fine) = series.into_cells();
        let first = |cells: &Cells| cells.first_key_value().map_or(i64::MAX, |(start, _)| *start);
        self.oldest_coarse = self.oldest_coarse.min(first(&coarse));
        self.oldest_fine = self.oldest_fine.min(first(&fine));
        self.with_series(key, |series| {
            series.put_coarse(coarse);
            series.put_fine(fine);
        });
    }
}

//! Two counts of the same spans put together.
//!
//! Neither count has a span twice, so of two cells the larger one is the more complete. But they may have a span under different keys: what a
//! call's peer is and what its journey is comes from the whole trace, which one count may have seen earlier than the other; cells of an older
//! form know neither; and a journey that has a name here may have had none there. So all cells of an operation over a stretch of time stand or go together.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use daytwo_storage::UnixNanos;

use super::kin::{Operation, operation_of};
use super::series::Cells;
use super::{COARSE, CellKey, FINE, Series, SliCells, slot_start, slot_width};

/// The cells of an operation in another count.
type Theirs = Vec<(CellKey, Series)>;

/// The stretches over which the cells of two counts are comparable: ten seconds where both have them, else five minutes.
fn stretches(theirs: &Theirs, ours: &[&Series]) -> Vec<Range<i64>> {
    let theirs = || theirs.iter().map(|(_, series)| series);
    let is_coarse = |slot: &i64| theirs().chain(ours.iter().copied()).any(|series| series.coarse().contains_key(slot));
    let slot = |start: &i64| slot_start(UnixNanos(*start), COARSE);
    let starts = theirs().flat_map(|series| series.fine().keys());
    let (wide, fine): (BTreeSet<i64>, BTreeSet<i64>) = starts.partition(|start| is_coarse(&slot(start)));
    let wide = wide.iter().map(slot).chain(theirs().flat_map(|series| series.coarse().keys()).copied());
    let of = |start: i64, width| start..start.saturating_add(slot_width(width));
    let wide = wide.collect::<BTreeSet<i64>>().into_iter().map(|start| of(start, COARSE));
    wide.chain(fine.into_iter().map(|start| of(start, FINE))).collect()
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
        for (operation, theirs) in operations {
            self.put_in(&operation, theirs);
        }
    }

    /// Lets the more complete of two counts of an operation stand, stretch by stretch.
    fn put_in(&mut self, operation: &Operation, mut theirs: Theirs) {
        let keys = self.kin.of(operation).to_vec();
        let ours: Vec<&Series> = keys.iter().filter_map(|key| self.series.get(key)).collect();
        let (theirs_stand, ours_stand): (Vec<_>, Vec<_>) = stretches(&theirs, &ours).into_iter().partition(|stretch| {
            let own: u64 = ours.iter().map(|series| series.calls_in(stretch)).sum();
            let other: u64 = theirs.iter().map(|(_, series)| series.calls_in(stretch)).sum();
            other > own
        });
        for key in keys.into_iter().filter(|_| !theirs_stand.is_empty()) {
            self.with_series(key, |series| theirs_stand.iter().for_each(|stretch| series.drop_in(stretch)));
        }
        theirs.sort_by(|left, right| left.0.cmp(&right.0));
        for (key, mut series) in theirs {
            ours_stand.iter().for_each(|stretch| series.drop_in(stretch));
            self.put(&key, series);
        }
    }

    /// Puts in cells of spans that are not here.
    fn put(&mut self, key: &CellKey, series: Series) {
        let Some(key) = self.named(key) else {
            self.dropped = self.dropped.saturating_add(series.len() as u64);
            return;
        };
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

//! [`Series`]: the cells of one key, and what they take of memory.
//!
//! What they take is kept up to date with every change, so that nobody has to go through all cells to know it.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use daytwo_storage::UnixNanos;

use super::{COARSE, CellKey, CellValue, FINE, kept, slot_start};

/// What a cell takes of its tree beside itself: its start, and its share of the room in leaves, six elevenths full when filled in order.
const CELL_PLACE_BYTES: usize = 16 + size_of::<CellValue>() * 5 / 6;

/// Bytes that a cell takes, its place included.
pub(super) fn bytes_of(cell: &CellValue) -> usize {
    cell.bytes().saturating_add(CELL_PLACE_BYTES)
}

/// Cells by start.
pub(super) type Cells = BTreeMap<i64, CellValue>;

/// Fresh cells and rolled-up ones of one key. Of a rolled-up stretch no fresh cell begins.
#[derive(Debug)]
pub(super) struct Series {
    fine: Cells,
    coarse: Cells,
    bytes: usize,
}

impl Series {
    /// Without a cell yet.
    pub(super) fn of(key: &CellKey) -> Self {
        Self { fine: Cells::new(), coarse: Cells::new(), bytes: key.bytes().saturating_add(size_of::<Self>()) }
    }

    /// Cells of ten seconds.
    pub(super) fn fine(&self) -> &Cells {
        &self.fine
    }

    /// Cells of five minutes.
    pub(super) fn coarse(&self) -> &Cells {
        &self.coarse
    }

    /// Bytes that the cells, their places and the key take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many cells there are.
    pub(super) fn len(&self) -> usize {
        self.fine.len().saturating_add(self.coarse.len())
    }

    /// The cell that an instant lies in.
    pub(super) fn at(&self, at: UnixNanos) -> Option<&CellValue> {
        let rolled_up = self.coarse.get(&slot_start(at, COARSE));
        rolled_up.or_else(|| self.fine.get(&slot_start(at, FINE)))
    }

    /// Changes the cell that an instant lies in; the start of the rolled-up cell when it is one.
    pub(super) fn change(&mut self, at: UnixNanos, change: impl FnOnce(&mut CellValue)) -> Option<i64> {
        let coarse = slot_start(at, COARSE);
        let rolled_up = self.coarse.contains_key(&coarse);
        let (cells, start) =
            if rolled_up { (&mut self.coarse, coarse) } else { (&mut self.fine, slot_start(at, FINE)) };
        change_at(cells, start, &mut self.bytes, change);
        rolled_up.then_some(coarse)
    }

    /// Rolls up the cells that start before `until`, and notes the hours that this changed.
    pub(super) fn roll_up(&mut self, until: i64, changed: &mut BTreeSet<i64>) {
        while let Some(first) = self.fine.first_entry().filter(|first| *first.key() < until) {
            let (start, cell) = first.remove_entry();
            self.bytes = self.bytes.saturating_sub(bytes_of(&cell));
            let start = slot_start(UnixNanos(start), COARSE);
            changed.insert(kept::hour_of(start));
            change_at(&mut self.coarse, start, &mut self.bytes, |coarse| coarse.merge_coarsely(&cell));
        }
    }

    /// Forgets rolled-up cells that start before `cut`.
    pub(super) fn forget(&mut self, cut: i64) {
        drop_before(&mut self.coarse, cut, &mut self.bytes);
    }

    /// Drops all cells that start before `cut`; how many these were.
    pub(super) fn drop_before(&mut self, cut: i64) -> u64 {
        let coarse = drop_before(&mut self.coarse, cut, &mut self.bytes);
        drop_before(&mut self.fine, cut, &mut self.bytes).saturating_add(coarse)
    }

    /// The start of the first cell.
    pub(super) fn oldest(&self) -> Option<i64> {
        let first = |cells: &Cells| cells.first_key_value().map(|(start, _)| *start);
        first(&self.coarse).into_iter().chain(first(&self.fine)).min()
    }

    /// Starts of the cells in a stretch of time, and how many spans each has.
    pub(super) fn calls_in(&self, stretch: Range<i64>) -> impl Iterator<Item = (i64, u64)> {
        let cells = self.coarse.range(stretch.clone()).chain(self.fine.range(stretch));
        cells.map(|(start, cell)| (*start, cell.calls))
    }

    /// Drops the cells that start in a stretch of time and when it is said.
    pub(super) fn drop_in(&mut self, stretch: &Range<i64>, gone: impl Fn(i64) -> bool) {
        for cells in [&mut self.coarse, &mut self.fine] {
            let dropped = cells.extract_if(stretch.clone(), |start, _| gone(*start)).map(|(_, cell)| bytes_of(&cell));
            self.bytes = self.bytes.saturating_sub(dropped.sum());
        }
    }

    /// All cells, those of five minutes and those of ten seconds.
    pub(super) fn into_cells(self) -> (Cells, Cells) {
        (self.coarse, self.fine)
    }

    /// Puts in rolled-up cells of other spans.
    pub(super) fn put_coarse(&mut self, cells: Cells) {
        for (at, cell) in cells {
            change_at(&mut self.coarse, at, &mut self.bytes, |place| {
                if place.calls == 0 { *place = cell } else { place.merge_coarsely(&cell) }
            });
        }
    }

    /// Puts in fresh cells of other spans; in what is rolled up already they are, too.
    pub(super) fn put_fine(&mut self, cells: Cells) {
        for (at, cell) in cells {
            let coarse = slot_start(UnixNanos(at), COARSE);
            if self.coarse.contains_key(&coarse) {
                change_at(&mut self.coarse, coarse, &mut self.bytes, |place| place.merge_coarsely(&cell));
            } else {
                change_at(&mut self.fine, at, &mut self.bytes, |place| {
                    if place.calls == 0 { *place = cell } else { place.merge(&cell) }
                });
            }
        }
    }
}

/// Changes one cell, which may be new, and counts what it takes then. One without spans goes.
fn change_at(cells: &mut Cells, start: i64, bytes: &mut usize, change: impl FnOnce(&mut CellValue)) {
    let (before, mut place) = match cells.entry(start) {
        Entry::Vacant(place) => (0, place.insert_entry(CellValue::default())),
        Entry::Occupied(place) => (bytes_of(place.get()), place),
    };
    change(place.get_mut());
    let after = if place.get().calls == 0 {
        place.remove();
        0
    } else {
        bytes_of(place.get())
    };
    *bytes = bytes.saturating_add(after).saturating_sub(before);
}

fn drop_before(cells: &mut Cells, cut: i64, bytes: &mut usize) -> u64 {
    let mut dropped = 0_u64;
    while let Some(first) = cells.first_entry().filter(|first| *first.key() < cut) {
        *bytes = bytes.saturating_sub(bytes_of(&first.remove()));
        dropped = dropped.saturating_add(1);
    }
    dropped
}

//! [`Series`]: the cells of one key, and what they take of memory.
//!
//! What they take is kept up to date with every change, so that nobody has to go through all cells to know it.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use daytwo_storage::UnixNanos;

use super::{COARSE, CellKey, CellValue, FINE, kept, slot_start, slot_width};

/// What a cell takes of its tree beside itself: its start, and its share of the room in leaves, six elevenths full when filled in order.
const CELL_PLACE_BYTES: usize = 16 + size_of::<CellValue>() * 5 / 6;

/// Bytes that a cell takes, its place included.
pub(super) fn bytes_of(cell: &CellValue) -> usize {
    cell.bytes().saturating_add(CELL_PLACE_BYTES)
}

/// Cells by start.
type Cells = BTreeMap<i64, CellValue>;

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
    pub(super) fn fine(&self) -> &BTreeMap<i64, CellValue> {
        &self.fine
    }

    /// Cells of five minutes.
    pub(super) fn coarse(&self) -> &BTreeMap<i64, CellValue> {
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

    /// Puts in a rolled-up cell of another count of the same spans, where it is the more complete.
    pub(super) fn fill(&mut self, at: i64, cell: CellValue) {
        let end = at.saturating_add(slot_width(COARSE));
        let fine: u64 = self.fine.range(at..end).map(|(_, cell)| cell.calls).sum();
        let coarse = self.coarse.get(&at).map_or(0, |cell| cell.calls);
        if cell.calls <= fine.saturating_add(coarse) {
            return;
        }
        let starts: Vec<i64> = self.fine.range(at..end).map(|(start, _)| *start).collect();
        let taken = starts.iter().filter_map(|start| self.fine.remove(start));
        self.bytes = self.bytes.saturating_sub(taken.map(|cell| bytes_of(&cell)).sum());
        change_at(&mut self.coarse, at, &mut self.bytes, |place| *place = cell);
    }

    /// Puts in a fresh cell of another count of the same spans, where it is the more complete.
    pub(super) fn fill_fine(&mut self, at: i64, cell: CellValue) {
        let rolled_up = self.coarse.contains_key(&slot_start(UnixNanos(at), COARSE));
        if !rolled_up && cell.calls > self.fine.get(&at).map_or(0, |cell| cell.calls) {
            change_at(&mut self.fine, at, &mut self.bytes, |place| *place = cell);
        }
    }

    /// All cells, those of five minutes and those of ten seconds.
    pub(super) fn into_cells(self) -> (BTreeMap<i64, CellValue>, BTreeMap<i64, CellValue>) {
        (self.coarse, self.fine)
    }
}

/// Changes one cell, which may be new, and counts what it takes then.
fn change_at(cells: &mut Cells, start: i64, bytes: &mut usize, change: impl FnOnce(&mut CellValue)) {
    let (before, cell) = match cells.entry(start) {
        Entry::Vacant(place) => (0, place.insert(CellValue::default())),
        Entry::Occupied(place) => {
            let cell = place.into_mut();
            (bytes_of(cell), cell)
        }
    };
    change(cell);
    *bytes = bytes.saturating_add(bytes_of(cell)).saturating_sub(before);
}

fn drop_before(cells: &mut Cells, cut: i64, bytes: &mut usize) -> u64 {
    let mut dropped = 0_u64;
    while let Some(first) = cells.first_entry().filter(|first| *first.key() < cut) {
        *bytes = bytes.saturating_sub(bytes_of(&first.remove()));
        dropped = dropped.saturating_add(1);
    }
    dropped
}

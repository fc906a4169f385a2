//! [`IndexCache`]: the indexes of a snapshot's files, opened once and kept as long as their files stand.
//!
//! Of each index its directory is in memory, some 4 KiB for a file of 30,000 spans; answers read a block or two from
//! disk. The newest files' are kept up to a limit in bytes, those of older files are opened anew for each question.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use daytwo_storage::index::{FileIndex, Run};
use daytwo_storage::{DataFile, Snapshot, Store};
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};

/// Opened indexes.
#[derive(Debug)]
pub(crate) struct IndexCache {
    bytes_max: u64,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    files: Arc<Vec<DataFile>>,
    indexes: Arc<Vec<Slot>>,
}

#[derive(Debug, Clone)]
enum Slot {
    /// In memory.
    Open(Arc<FileIndex>),
    /// On disk, since the limit is reached.
    Closed,
    /// Missing or damaged when it was last looked for.
    Missing,
}

/// The indexes of one snapshot's files, in their order.
#[derive(Debug, Clone)]
pub(crate) struct Indexed {
    snapshot: Snapshot,
    slots: Arc<Vec<Slot>>,
}

impl IndexCache {
    /// A cache that keeps at most `bytes_max` bytes.
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self { bytes_max, kept: Mutex::default() }
    }

    /// The indexes of a snapshot's files. Those not opened before are opened now, which blocks on the disk; missing
    /// ones are looked for again, and the store, where one runs, is told. Returns the bytes read, too.
    pub(crate) fn of(&self, snapshot: &Snapshot, store: Option<&Store>) -> (Indexed, u64) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = Arc::ptr_eq(&kept.files, &snapshot.files);
        let mut bytes_read = 0;
        if !is_same || kept.indexes.iter().any(|slot| matches!(slot, Slot::Missing)) {
            let slots = self.open_all(&kept, snapshot, store, &mut bytes_read);
            *kept = Kept { files: Arc::clone(&snapshot.files), indexes: Arc::new(slots) };
        }
        (Indexed { snapshot: snapshot.clone(), slots: Arc::clone(&kept.indexes) }, bytes_read)
    }

    fn open_all(&self, kept: &Kept, snapshot: &Snapshot, store: Option<&Store>, bytes_read: &mut u64) -> Vec<Slot> {
        let known = kept.files.iter().zip(kept.indexes.iter()).filter_map(|(file, slot)| match slot {
            Slot::Open(index) => Some((file.path.as_str(), index)),
            Slot::Closed | Slot::Missing => None,
        });
        let known: HashMap<&str, &Arc<FileIndex>> = known.collect();
        let mut bytes = 0_u64;
        // The newest files come last.
        let newest_first = snapshot.files.iter().rev().map(|file| {
            if bytes >= self.bytes_max {
                return Slot::Closed;
            }
            let slot = match known.get(file.path.as_str()) {
                Some(index) => Slot::Open(Arc::clone(index)),
                None => open(snapshot, store, file, bytes_read).map_or(Slot::Missing, Slot::Open),
            };
            if let Slot::Open(index) = &slot {
                bytes = bytes.saturating_add(index.memory_bytes());
            }
            slot
        });
        let mut slots: Vec<Slot> = newest_first.collect();
        slots.reverse();
        slots
    }
}

fn open(snapshot: &Snapshot, store: Option<&Store>, file: &DataFile, bytes_read: &mut u64) -> Option<Arc<FileIndex>> {
    match snapshot.indexes.open(file) {
        Ok(index) => {
            *bytes_read = bytes_read.saturating_add(index.opened_bytes());
            Some(Arc::new(index))
        }
        Err(error) => {
            tracing::debug!(path = file.path, %error, "a file is read without its index");
            if let Some(store) = store {
                store.report_unindexed(&file.path);
            }
            None
        }
    }
}

impl Indexed {
    /// Each file with its index, oldest first. Without one the file has to be asked itself.
    pub(crate) fn file(&self, number: usize, store: Option<&Store>, bytes_read: &mut u64) -> Option<Arc<FileIndex>> {
        match self.slots.get(number)? {
            Slot::Open(index) => Some(Arc::clone(index)),
            Slot::Closed => open(&self.snapshot, store, self.snapshot.files.get(number)?, bytes_read),
            Slot::Missing => None,
        }
    }
}

/// The row groups that have rows of `runs`, and selectors that keep exactly these rows of them, at most `rows_max`. A reader that
/// passes over a row group still decodes the dictionaries of all its columns, so the others are not named at all.
pub(crate) fn within_row_groups(
    runs: &[Run],
    lengths: impl Iterator<Item = u32>,
    rows_max: usize,
) -> (Vec<usize>, RowSelection) {
    let (mut row_groups, mut shifted) = (Vec::new(), Vec::new());
    let (mut begin, mut kept) = (0_u32, 0_u32);
    for (number, rows) in lengths.enumerate() {
        let end = begin.saturating_add(rows);
        let inside = runs.iter().filter(|run| run.start < end && run.end() > begin);
        let before = shifted.len();
        shifted.extend(inside.map(|run| {
            let (first, last) = (run.start.max(begin), run.end().min(end));
            let start = first.saturating_sub(begin).saturating_add(kept);
            Run { start, length: last.saturating_sub(first) }
        }));
        if shifted.len() > before {
            row_groups.push(number);
            kept = kept.saturating_add(rows);
        }
        begin = end;
    }
    (row_groups, selection(&shifted, u64::from(kept), rows_max))
}

/// Selectors that keep exactly the rows of `runs`, which ascend, of a file of `rows` rows; at most `rows_max` of them.
pub(crate) fn selection(runs: &[Run], rows: u64, rows_max: usize) -> RowSelection {
    let mut selectors: Vec<RowSelector> = Vec::with_capacity(runs.len().saturating_mul(2).saturating_add(1));
    let (mut next, mut left) = (0_usize, rows_max);
    let all = usize::try_from(rows).unwrap_or(usize::MAX);
    for run in runs {
        let (start, end) = (run.start as usize, (run.end() as usize).min(all));
        let kept = end.saturating_sub(start).min(left);
        if kept == 0 {
            continue;
        }
        if start > next {
            selectors.push(RowSelector::skip(start.saturating_sub(next)));
        }
        selectors.push(RowSelector::select(kept));
        next = start.saturating_add(kept);
        left = left.saturating_sub(kept);
    }
    if all > next {
        selectors.push(RowSelector::skip(all.saturating_sub(next)));
    }
    RowSelection::from(selectors)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Scenario: row groups of any lengths, runs that begin and end anywhere, also across row groups, and a limit.
        /// Guarantees: reading the named row groups by the selectors gives the rows of the runs, in order, up to the limit.
        #[test]
        fn row_groups_and_selectors_give_the_rows_of_the_runs(
            lengths in prop::collection::vec(0_u32..9, 1..7),
            wanted in prop::collection::vec(any::<bool>(), 60),
            rows_max in 1_usize..40,
        ) {
            let all: u32 = lengths.iter().sum();
            let expected: Vec<u32> = (0..all).filter(|row| wanted[*row as usize]).take(rows_max).collect();
            let mut runs: Vec<Run> = Vec::new();
            for row in (0..all).filter(|row| wanted[*row as usize]) {
                match runs.last_mut() {
                    Some(last) if last.end() == row => last.length += 1,
                    _ => runs.push(Run { start: row, length: 1 }),
                }
            }
            let (row_groups, selection) = within_row_groups(&runs, lengths.iter().copied(), rows_max);
            let starts: Vec<u32> = lengths.iter().scan(0, |end, rows| { *end += rows; Some(*end - rows) }).collect();
            let mut read = row_groups.iter().flat_map(|group| starts[*group]..starts[*group] + lengths[*group]);
            let mut got = Vec::new();
            for selector in selection.iter() {
                let rows: Vec<u32> = read.by_ref().take(selector.row_count).collect();
                if !selector.skip { got.extend(rows); }
            }
            prop_assert_eq!(got, expected);
            let touched = |group: &usize| runs.iter().any(|run| run.start < starts[*group] + lengths[*group] && run.end() > starts[*group]);
            prop_assert!(row_groups.iter().all(touched));
        }
    }
}

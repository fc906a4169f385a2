//! Which blocks of which files may hold a match, newest first, worked out no further than needed.

use std::collections::BTreeMap;
use std::sync::Arc;

use daytwo_storage::index::{Bounds, FileIndex, Run, Term};
use daytwo_storage::{DataFile, Snapshot, Store};

use crate::data_file::Indexed;

/// Blocks that a step reads at most, for each file that it may read. The first step is one block for each of two threads:
/// it is all that a value takes which many spans have.
const BLOCKS_PER_FILE: usize = 2;

/// What the indexes can be asked of a search.
#[derive(Debug, Clone, Default)]
pub(super) struct Question {
    /// What one span has, all of it.
    pub(super) terms: Vec<Term>,
    /// First and last start.
    pub(super) start: (i64, i64),
    /// Shortest and longest duration.
    pub(super) duration: (i64, i64),
}

impl Question {
    fn allows(&self, bounds: &Bounds) -> bool {
        let overlaps = |a: (i64, i64), b: (i64, i64)| a.0 <= b.1 && b.0 <= a.1;
        overlaps(self.start, bounds.start) && overlaps(self.duration, bounds.duration)
    }

    fn allows_file(&self, file: &DataFile) -> bool {
        file.start_range.is_none_or(|(first, last)| self.start.0 <= last && first <= self.start.1)
    }
}

/// Blocks of a file to be read.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) file: DataFile,
    /// Their rows; `None` for the whole file.
    pub(super) rows: Option<Vec<Run>>,
}

/// A block that may hold a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    latest_start: i64,
    file: usize,
    /// `None` for the whole file, whose index is missing.
    rows: Option<Run>,
}

/// What is left to be read.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    place: Option<Place>,
    question: Question,
    /// Files whose index was not asked yet, the one with the latest start last.
    files: Vec<usize>,
    /// Blocks found and not read yet, the one with the latest start last.
    blocks: Vec<Candidate>,
    index_bytes: u64,
}

#[derive(Debug)]
struct Place {
    store: Arc<Store>,
    snapshot: Snapshot,
    indexed: Indexed,
}

impl Candidates {
    /// All files of `snapshot` that can have spans in the time asked for.
    pub(super) fn new(
        store: Arc<Store>,
        snapshot: Snapshot,
        indexed: Indexed,
        index_bytes: u64,
        question: Question,
    ) -> Self {
        let all = snapshot.files.iter().enumerate().filter(|(_, file)| question.allows_file(file));
        let mut files: Vec<usize> = all.map(|(number, _)| number).collect();
        files.sort_by_key(|number| snapshot.files.get(*number).map(latest_start));
        let place = Some(Place { store, snapshot, indexed });
        Self { place, question, files, blocks: Vec::new(), index_bytes }
    }

    /// Bytes of indexes read so far.
    pub(super) fn index_bytes(&self) -> u64 {
        self.index_bytes
    }

    /// The blocks to be read next, of at most `files_max` files, unless `is_done` says that nothing is wanted which starts
    /// no later than the time it is given.
    pub(super) fn next(&mut self, files_max: usize, is_done: impl Fn(i64) -> bool) -> Vec<Part> {
        let Some(place) = self.place.take() else {
            return Vec::new();
        };
        let blocks_max = files_max.saturating_mul(BLOCKS_PER_FILE);
        let mut with_blocks =
            self.blocks.iter().map(|block| block.file).collect::<std::collections::HashSet<_>>().len();
        while with_blocks < files_max
            && self.blocks.len() < blocks_max
            && let Some(&file) = self.files.last()
        {
            let rest = place.snapshot.files.get(file).map(latest_start);
            let rest = rest.max(self.blocks.iter().map(|block| block.latest_start).max());
            if rest.is_none_or(&is_done) {
                break;
            }
            self.files.pop();
            with_blocks += usize::from(self.ask(&place, file));
        }
        self.blocks.sort_unstable();
        let unasked = self.files.last().and_then(|file| place.snapshot.files.get(*file)).map(latest_start);
        let rest = self.blocks.last().map(|block| block.latest_start).max(unasked);
        let parts = if rest.is_none_or(is_done) { Vec::new() } else { self.take(&place, files_max, blocks_max) };
        self.place = Some(place);
        parts
    }

    /// Finds the blocks of a file; whether there are any.
    fn ask(&mut self, place: &Place, number: usize) -> bool {
        let Some(file) = place.snapshot.files.get(number) else {
            return false;
        };
        let before = self.blocks.len();
        let index = place.indexed.file(number, Some(&place.store), &mut self.index_bytes);
        match index.map(|index| self.blocks_of(&index, number)) {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                tracing::debug!(path = file.path, %error, "a file is searched without its index");
                place.store.report_unindexed(&file.path);
                self.blocks.push(Candidate { latest_start: latest_start(file), file: number, rows: None });
            }
            None => self.blocks.push(Candidate { latest_start: latest_start(file), file: number, rows: None }),
        }
        self.blocks.len() > before
    }

    fn blocks_of(&mut self, index: &FileIndex, file: usize) -> daytwo_storage::Result<()> {
        let found = index.blocks_with(&self.question.terms)?;
        self.index_bytes = self.index_bytes.saturating_add(found.bytes_read);
        let mut runs = found.runs.iter().copied().peekable();
        for block in index.blocks() {
            while runs.next_if(|run| run.end() <= block.number).is_some() {}
            let is_in = runs.peek().is_some_and(|run| run.start <= block.number);
            if is_in && self.question.allows(&block.bounds) {
                let rows = Some(Run { start: block.first_row, length: block.rows });
                self.blocks.push(Candidate { latest_start: block.bounds.start.1, file, rows });
            }
        }
        Ok(())
    }

    fn take(&mut self, place: &Place, files_max: usize, blocks_max: usize) -> Vec<Part> {
        let mut parts: BTreeMap<usize, Option<Vec<Run>>> = BTreeMap::new();
        for _ in 0..blocks_max {
            let Some(block) = self.blocks.last() else { break };
            if parts.len() >= files_max && !parts.contains_key(&block.file) {
                break;
            }
            let rows = parts.entry(block.file).or_insert_with(|| Some(Vec::new()));
            match (rows.as_mut(), block.rows) {
                (Some(rows), Some(run)) => rows.push(run),
                _ => *rows = None,
            }
            self.blocks.pop();
        }
        let part = |(file, mut rows): (usize, Option<Vec<Run>>)| {
            rows.iter_mut().for_each(|rows| rows.sort_unstable());
            Some(Part { file: place.snapshot.files.get(file)?.clone(), rows })
        };
        parts.into_iter().filter_map(part).collect()
    }
}

/// No span of the file starts later.
fn latest_start(file: &DataFile) -> i64 {
    file.start_range.map_or(i64::MAX, |(_, last)| last)
}

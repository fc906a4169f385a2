//! The sidecar of a file that was made by copying the row groups of others: their tables, merged by key, with rows and
//! blocks of later inputs shifted. No span is decoded; a block of each input's table is in memory at a time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::Write;

use super::builder::{TERM_CODES, TRACE_CODES, push_run};
use super::catalogue::Catalogue;
use super::filter::Filter;
use super::parts::{Output, Source};
use super::table::{Directory, Run, TableWriter, Walk, Widths};
use super::tail::{Identity, Tail};
use super::term::{TERM_BITS, TRACE_BITS};
use crate::fs::io_error;
use crate::{Result, StorageError};

/// A sidecar to be merged.
pub(super) struct Input {
    pub(super) tail: Tail,
    pub(super) source: Source,
}

impl Input {
    fn rows(&self) -> u64 {
        self.tail.rows()
    }

    fn blocks(&self) -> u64 {
        self.tail.bounds.len() as u64
    }
}

/// Writes the sidecar of all inputs, one after another, to `to`.
///
/// # Errors
/// What an input or the target answers; [`StorageError::Corrupt`] when there are more than 2^32 rows.
pub(super) fn merge<W: Write>(inputs: &[Input], identity: Identity, to: W, path: &std::path::Path) -> Result<W> {
    let failed = |error| io_error("write", path, error);
    let mut to = Output::new(to);
    let rows = shifts(inputs, Input::rows).ok_or_else(|| too_long(path))?;
    let blocks = shifts(inputs, Input::blocks).ok_or_else(|| too_long(path))?;
    let keys: u64 = inputs.iter().map(|input| input.tail.traces.entries()).sum();
    let mut filter = Filter::for_keys(usize::try_from(keys).unwrap_or(usize::MAX));
    let traces = Tables { inputs, of: |tail| &tail.traces, shifts: &rows };
    let widths = traces.widths(TRACE_BITS, TRACE_CODES);
    let traces = traces.merge(TableWriter::new(&mut to, widths), path, |key| filter.add(key))?;
    let terms = Tables { inputs, of: |tail| &tail.terms, shifts: &blocks };
    let widths = terms.widths(TERM_BITS, TERM_CODES);
    let terms = terms.merge(TableWriter::new(&mut to, widths), path, |_| ())?;
    let catalogue = to.put(&catalogue(inputs)?.to_bytes()).map_err(failed)?;
    let mut crowded = Vec::new();
    for (input, shift) in inputs.iter().zip(&blocks) {
        input.tail.crowded.iter().for_each(|run| push_run(&mut crowded, shifted(*run, *shift)));
    }
    let tail = Tail {
        row_groups: inputs.iter().flat_map(|input| input.tail.row_groups.iter().copied()).collect(),
        bounds: inputs.iter().flat_map(|input| input.tail.bounds.iter().copied()).collect(),
        crowded,
        traces,
        terms,
        filter,
        catalogue,
    };
    tail.write(&mut to, identity).map_err(failed)?;
    Ok(to.into_inner())
}

fn too_long(path: &std::path::Path) -> StorageError {
    StorageError::Corrupt { path: path.to_owned(), reason: "its data file has more than 2^32 rows".to_owned() }
}

/// What the inputs before each one have, and at the end what all have.
fn shifts(inputs: &[Input], of: impl Fn(&Input) -> u64) -> Option<Vec<u32>> {
    let mut all = vec![0_u32];
    for input in inputs {
        let before = all.last().copied().unwrap_or(0);
        all.push(before.checked_add(u32::try_from(of(input)).ok()?)?);
    }
    Some(all)
}

fn shifted(run: Run, shift: u32) -> Run {
    Run { start: run.start.saturating_add(shift), length: run.length }
}

fn catalogue(inputs: &[Input]) -> Result<Catalogue> {
    let mut all = Catalogue::default();
    for input in inputs {
        let bytes = input.source.read(input.tail.catalogue)?;
        let one = Catalogue::from_bytes(&bytes);
        all.merge(one.ok_or_else(|| input.source.damaged("the catalogue makes no sense"))?);
    }
    Ok(all)
}

/// One table of each input.
struct Tables<'a> {
    inputs: &'a [Input],
    of: fn(&Tail) -> &Directory,
    shifts: &'a [u32],
}

impl Tables<'_> {
    fn widths(&self, key_bits: u32, codes: (u32, u32)) -> Widths {
        let entries: u64 = self.inputs.iter().map(|input| (self.of)(&input.tail).entries()).sum();
        let universe = self.shifts.last().copied().unwrap_or(0);
        Widths::new(key_bits, usize::try_from(entries).unwrap_or(usize::MAX), universe, codes.0, codes.1)
    }

    fn merge<W: Write>(
        &self,
        mut to: TableWriter<'_, W>,
        path: &std::path::Path,
        mut seen: impl FnMut(u64),
    ) -> Result<Directory> {
        let failed = |error| io_error("write", path, error);
        let mut walks: Vec<Walk<'_>> =
            self.inputs.iter().map(|input| Walk::new((self.of)(&input.tail), &input.source)).collect();
        // By key, then by input, so that the runs of a key come in ascending order.
        let mut heads: BinaryHeap<Reverse<(u64, usize, Vec<Run>)>> = BinaryHeap::new();
        for (number, walk) in walks.iter_mut().enumerate() {
            heads.extend(walk.next()?.map(|(key, runs)| Reverse((key, number, runs))));
        }
        let (mut current, mut all): (Option<u64>, Vec<Run>) = (None, Vec::new());
        while let Some(Reverse((key, number, runs))) = heads.pop() {
            if let Some(done) = current.filter(|current| *current != key) {
                to.push(done, &all).map_err(failed)?;
                all.clear();
            }
            if current != Some(key) {
                current = Some(key);
                seen(key);
            }
            let shift = self.shifts.get(number).copied().unwrap_or(0);
            runs.into_iter().for_each(|run| push_run(&mut all, shifted(run, shift)));
            if let Some(walk) = walks.get_mut(number) {
                heads.extend(walk.next()?.map(|(key, runs)| Reverse((key, number, runs))));
            }
        }
        if let Some(last) = current {
            to.push(last, &all).map_err(failed)?;
        }
        to.finish().map_err(failed)
    }
}

//! A sorted table from keys to runs of numbers, in blocks that are read and checked one at a time.
//!
//! Keys are evenly spread, so that the gaps between them are told in two bits more than their entropy (Rice). A run is
//! a first number and a length; what stands for a key is ascending and does not overlap. Two tables of this form make a
//! sidecar: traces to runs of rows, and terms to runs of blocks of rows.

use std::io::{self, Write};

use super::bits::{BitReader, BitWriter};
use super::parts::{Extent, Output, PartReader, PartWriter, Source};
use crate::Result;

/// 4 KiB: a lookup decodes half of one, some 10 µs, and the directory stays below one part in a hundred.
const BLOCK_BYTES: usize = 4 << 10;

/// Consecutive numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Run {
    /// The first.
    pub start: u32,
    /// How many, at least one.
    pub length: u32,
}

impl Run {
    /// The number after the last.
    pub fn end(self) -> u32 {
        self.start.saturating_add(self.length)
    }
}

/// How many bits the numbers of a table take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Widths {
    /// Rice parameter of the gaps between keys.
    gap: u32,
    /// Bits of a first number.
    start: u32,
    /// Exp-Golomb parameter of the number of runs.
    count: u32,
    /// Exp-Golomb parameter of the gaps between runs.
    run_gap: u32,
}

impl Widths {
    /// The widths for about `entries` keys of `key_bits` and numbers below `universe`.
    pub(super) fn new(key_bits: u32, entries: usize, universe: u32, count: u32, run_gap: u32) -> Self {
        let taken = usize::BITS - entries.max(1).leading_zeros();
        Self { gap: key_bits.saturating_sub(taken), start: u32::BITS - universe.leading_zeros(), count, run_gap }
    }

    fn is_sound(self) -> bool {
        self.gap <= 64 && self.start <= 32 && self.count <= 16 && self.run_gap <= 16
    }
}

/// Where the blocks of a table are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Directory {
    widths: Widths,
    entries: u64,
    /// First key and place of each block, ascending.
    blocks: Vec<(u64, Extent)>,
}

impl Directory {
    /// How many keys there are.
    pub(super) fn entries(&self) -> u64 {
        self.entries
    }

    /// Bytes of the blocks.
    pub(super) fn bytes(&self) -> u64 {
        self.blocks.iter().map(|(_, extent)| u64::from(extent.length)).sum()
    }

    /// Bytes that it takes in memory.
    pub(super) fn memory_bytes(&self) -> usize {
        self.blocks.capacity() * size_of::<(u64, Extent)>()
    }

    /// Calls `found` with each run of each of `keys`, which ascend; returns the bytes read.
    pub(super) fn find(&self, source: &Source, keys: &[u64], mut found: impl FnMut(u64, Run)) -> Result<u64> {
        let (mut read, mut at, mut block) = (0_u64, usize::MAX, Vec::new());
        for &key in keys {
            let Some(wanted) = self.blocks.partition_point(|(first, _)| *first <= key).checked_sub(1) else {
                continue;
            };
            let Some((first, extent)) = self.blocks.get(wanted) else {
                continue;
            };
            if wanted != at {
                block = source.read(*extent)?;
                read += block.len() as u64;
                at = wanted;
            }
            let mut entries = Entries::new(self.widths, *first, &block);
            while let Some(entry) = entries.next_key() {
                let runs = if entry == key { entries.runs(|run| found(key, run)) } else { entries.runs(|_| ()) };
                if entry >= key || runs.is_none() {
                    break;
                }
            }
        }
        Ok(read)
    }

    /// Writes it down.
    pub(super) fn write(&self, to: &mut PartWriter) {
        for width in [self.widths.gap, self.widths.start, self.widths.count, self.widths.run_gap] {
            to.number(u64::from(width));
        }
        to.number(self.entries);
        to.number(self.blocks.len() as u64);
        let mut before = 0;
        for (first, extent) in &self.blocks {
            to.number(first - before);
            to.extent(*extent);
            before = *first;
        }
    }

    /// Reads what [`Directory::write`] wrote.
    pub(super) fn read(from: &mut PartReader<'_>) -> Option<Self> {
        let mut width = || u32::try_from(from.number()?).ok();
        let widths = Widths { gap: width()?, start: width()?, count: width()?, run_gap: width()? };
        let entries = from.number()?;
        let count = from.count()?;
        let mut blocks = Vec::with_capacity(count);
        let mut first = 0_u64;
        for _ in 0..count {
            first = first.checked_add(from.number()?)?;
            blocks.push((first, from.extent()?));
        }
        widths.is_sound().then_some(Self { widths, entries, blocks })
    }
}

/// The entries of one block, in turn: a key, then its runs, which must be read before the next key.
struct Entries<'a> {
    widths: Widths,
    key: u64,
    left: u64,
    bits: BitReader<'a>,
}

impl<'a> Entries<'a> {
    fn new(widths: Widths, first: u64, block: &'a [u8]) -> Self {
        let mut bits = BitReader::new(block);
        let left = bits.get(16).unwrap_or(0);
        Self { widths, key: first, left, bits }
    }

    fn next_key(&mut self) -> Option<u64> {
        self.left = self.left.checked_sub(1)?;
        self.key = self.key.checked_add(self.bits.rice(self.widths.gap)?)?;
        Some(self.key)
    }

    fn runs(&mut self, mut take: impl FnMut(Run)) -> Option<()> {
        let more = self.bits.exp_golomb(self.widths.count)?;
        let start = u32::try_from(self.bits.get(self.widths.start)?).ok()?;
        let mut run = Run { start, length: self.length()? };
        take(run);
        for _ in 0..more {
            let gap = self.bits.exp_golomb(self.widths.run_gap)?;
            run.start = run.end().checked_add(gap)?.checked_add(1)?;
            run.length = self.length()?;
            take(run);
        }
        Some(())
    }

    fn length(&mut self) -> Option<u32> {
        self.bits.exp_golomb(0)?.checked_add(1)
    }
}

/// All entries of a table, block after block: what a merge reads.
pub(super) struct Walk<'a> {
    directory: &'a Directory,
    source: &'a Source,
    block: usize,
    entries: std::vec::IntoIter<(u64, Vec<Run>)>,
}

impl<'a> Walk<'a> {
    /// From the first entry on.
    pub(super) fn new(directory: &'a Directory, source: &'a Source) -> Self {
        Self { directory, source, block: 0, entries: Vec::new().into_iter() }
    }

    /// The next key and its runs.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Vec<Run>)>> {
        loop {
            if let Some(entry) = self.entries.next() {
                return Ok(Some(entry));
            }
            let Some((first, extent)) = self.directory.blocks.get(self.block) else {
                return Ok(None);
            };
            self.block += 1;
            let block = self.source.read(*extent)?;
            let mut entries = Entries::new(self.directory.widths, *first, &block);
            let mut all = Vec::new();
            while let Some(key) = entries.next_key() {
                let mut runs = Vec::new();
                entries.runs(|run| runs.push(run)).ok_or_else(|| self.source.damaged("an entry is cut short"))?;
                all.push((key, runs));
            }
            self.entries = all.into_iter();
        }
    }
}

/// Writes a table; keys come in ascending order, each once.
pub(super) struct TableWriter<'a, W: Write> {
    to: &'a mut Output<W>,
    directory: Directory,
    first: u64,
    before: u64,
    count: u64,
    bits: BitWriter,
}

impl<'a, W: Write> TableWriter<'a, W> {
    /// A table with these widths.
    pub(super) fn new(to: &'a mut Output<W>, widths: Widths) -> Self {
        let directory = Directory { widths, ..Directory::default() };
        Self { to, directory, first: 0, before: 0, count: 0, bits: BitWriter::default() }
    }

    /// Adds a key with its runs, of which there is at least one.
    pub(super) fn push(&mut self, key: u64, runs: &[Run]) -> io::Result<()> {
        let Some((run, more)) = runs.split_first() else {
            return Ok(());
        };
        if self.count == 0 {
            (self.first, self.before) = (key, key);
        }
        let widths = self.directory.widths;
        self.bits.rice(key - self.before, widths.gap);
        self.bits.exp_golomb(u32::try_from(more.len()).unwrap_or(u32::MAX), widths.count);
        self.bits.put(u64::from(run.start), widths.start);
        self.bits.exp_golomb(run.length - 1, 0);
        let mut end = run.end();
        for run in more {
            self.bits.exp_golomb(run.start.saturating_sub(end).saturating_sub(1), widths.run_gap);
            self.bits.exp_golomb(run.length - 1, 0);
            end = run.end();
        }
        self.before = key;
        self.count += 1;
        self.directory.entries += 1;
        if self.bits.len() >= BLOCK_BYTES { self.close_block() } else { Ok(()) }
    }

    fn close_block(&mut self) -> io::Result<()> {
        let body = std::mem::take(&mut self.bits).finish();
        // A block ends soon after 4 KiB, and no entry takes less than three bits.
        let count = u16::try_from(self.count).unwrap_or(u16::MAX);
        let mut block = Vec::with_capacity(body.len() + 2);
        block.extend_from_slice(&count.to_le_bytes());
        block.extend_from_slice(&body);
        let extent = self.to.put(&block)?;
        self.directory.blocks.push((self.first, extent));
        self.count = 0;
        Ok(())
    }

    /// The directory of what was written.
    pub(super) fn finish(mut self) -> io::Result<Directory> {
        if self.count > 0 {
            self.close_block()?;
        }
        Ok(self.directory)
    }
}

//! The end of a sidecar: everything that is kept in memory of it, and the footer that finds it.
//!
//! ```text
//! blocks of the trace table, blocks of the term table, catalogue, tail, footer
//! footer: tail offset u64 | tail length u64 | xxh3-64 of the tail u64 | xxh3-128 of the data file u128 |
//!         bytes of the data file u64 | version u32 | "DTWOIDX" and 0x0a                        (little endian)
//! ```

use std::io::Write;

use super::filter::Filter;
use super::parts::{Extent, Output, PartReader, PartWriter, Source};
use super::table::{Directory, Run};
use crate::{DataFile, Result};

/// 4,096 rows, a page of the data file: what a search reads at least, and skips at least.
pub(crate) const BLOCK_ROWS: u32 = 4_096;
/// Readers of another version make the sidecar again.
const VERSION: u32 = 1;
const MAGIC: [u8; 8] = *b"DTWOIDX\n";
const FOOTER_BYTES: usize = 60;
/// Read at once from the end: most tails fit.
const GUESS_BYTES: usize = 16 << 10;

/// The bounds of a block of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Earliest and latest start, nanoseconds since the Unix epoch.
    pub start: (i64, i64),
    /// Shortest and longest duration in nanoseconds.
    pub duration: (i64, i64),
}

/// Which data file a sidecar is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) content_hash: u128,
    pub(crate) size_bytes: u64,
}

/// What is kept in memory of a sidecar.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tail {
    /// Rows of each row group.
    pub(super) row_groups: Vec<u32>,
    /// Of each block of rows; blocks do not cross row groups.
    pub(super) bounds: Vec<Bounds>,
    /// Blocks that have too many terms to list: they may hold anything.
    pub(super) crowded: Vec<Run>,
    pub(super) traces: Directory,
    pub(super) terms: Directory,
    pub(super) filter: Filter,
    pub(super) catalogue: Extent,
}

impl Tail {
    /// Rows of the file.
    pub(super) fn rows(&self) -> u64 {
        self.row_groups.iter().map(|rows| u64::from(*rows)).sum()
    }

    /// Writes tail and footer.
    pub(super) fn write<W: Write>(&self, to: &mut Output<W>, identity: Identity) -> std::io::Result<()> {
        let tail = to.put(&self.to_bytes())?;
        let mut footer = Vec::with_capacity(FOOTER_BYTES);
        footer.extend_from_slice(&tail.offset.to_le_bytes());
        footer.extend_from_slice(&u64::from(tail.length).to_le_bytes());
        footer.extend_from_slice(&tail.hash.to_le_bytes());
        footer.extend_from_slice(&identity.content_hash.to_le_bytes());
        footer.extend_from_slice(&identity.size_bytes.to_le_bytes());
        footer.extend_from_slice(&VERSION.to_le_bytes());
        footer.extend_from_slice(&MAGIC);
        to.put(&footer)?;
        Ok(())
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut to = PartWriter::default();
        to.number(self.row_groups.len() as u64);
        self.row_groups.iter().for_each(|rows| to.number(u64::from(*rows)));
        let mut before = 0;
        for Bounds { start, duration } in &self.bounds {
            to.signed(start.0.wrapping_sub(before));
            to.number(start.1.wrapping_sub(start.0).cast_unsigned());
            to.signed(duration.0);
            to.number(duration.1.wrapping_sub(duration.0).cast_unsigned());
            before = start.0;
        }
        to.number(self.crowded.len() as u64);
        for run in &self.crowded {
            to.number(u64::from(run.start));
            to.number(u64::from(run.length));
        }
        self.traces.write(&mut to);
        self.terms.write(&mut to);
        to.bytes(&self.filter.to_bytes());
        to.extent(self.catalogue);
        to.0
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut from = PartReader(bytes);
        let narrow = |from: &mut PartReader<'_>| u32::try_from(from.number()?).ok();
        let row_groups = (0..from.count()?).map(|_| narrow(&mut from)).collect::<Option<Vec<u32>>>()?;
        let blocks: u64 = row_groups.iter().map(|rows| u64::from(rows.div_ceil(BLOCK_ROWS))).sum();
        // A block's bounds take four bytes at least.
        let blocks = usize::try_from(blocks).ok().filter(|blocks| *blocks <= bytes.len())?;
        let mut before = 0_i64;
        let mut bounds = Vec::with_capacity(blocks);
        for _ in 0..blocks {
            let first = before.wrapping_add(from.signed()?);
            let start = (first, first.wrapping_add(from.number()?.cast_signed()));
            let shortest = from.signed()?;
            bounds.push(Bounds { start, duration: (shortest, shortest.wrapping_add(from.number()?.cast_signed())) });
            before = first;
        }
        let run = |from: &mut PartReader<'_>| Some(Run { start: narrow(from)?, length: narrow(from)? });
        let crowded = (0..from.count()?).map(|_| run(&mut from)).collect::<Option<Vec<Run>>>()?;
        Some(Self {
            row_groups,
            bounds,
            crowded,
            traces: Directory::read(&mut from)?,
            terms: Directory::read(&mut from)?,
            filter: Filter::from_bytes(from.bytes()?)?,
            catalogue: from.extent()?,
        })
    }

    /// Reads the tail of a sidecar, and checks that it is one of `file`. Also the bytes read.
    ///
    /// # Errors
    /// [`crate::StorageError::Io`], also when there is none; [`crate::StorageError::Corrupt`] when it is damaged, of
    /// another version or of another file.
    pub(super) fn read(source: &Source, file: &DataFile) -> Result<(Self, u64)> {
        let (tail, read, identity) = Self::open(source)?;
        let is_same = identity.size_bytes == file.size_bytes
            && file.content_hash.is_none_or(|hash| hash == identity.content_hash)
            && tail.rows() == file.rows;
        if is_same { Ok((tail, read)) } else { Err(source.damaged("it is of another data file")) }
    }

    /// As [`Tail::read`], of whichever file it is.
    pub(super) fn open(source: &Source) -> Result<(Self, u64, Identity)> {
        let size = source.size()?;
        let guess = usize::try_from(size).unwrap_or(usize::MAX).min(GUESS_BYTES);
        let end_at = size.saturating_sub(guess as u64);
        let end = source.bytes(end_at, guess)?;
        let (rest, footer) = end.split_last_chunk::<FOOTER_BYTES>().ok_or_else(|| source.damaged("it is cut short"))?;
        let footer = Footer::read(footer).ok_or_else(|| source.damaged("it is of another version, or no sidecar"))?;
        let before = footer.tail.offset.checked_sub(end_at).and_then(|start| usize::try_from(start).ok());
        let near = before.and_then(|start| rest.get(start..)).filter(|tail| tail.len() == footer.tail.length as usize);
        let far;
        let tail = match near {
            Some(near) if xxhash_rust::xxh3::xxh3_64(near) == footer.tail.hash => near,
            Some(_) => return Err(source.damaged("the tail has another checksum")),
            None => {
                far = source.read(footer.tail)?;
                &far
            }
        };
        let read = guess as u64 + if near.is_some() { 0 } else { u64::from(footer.tail.length) };
        let tail = Self::from_bytes(tail).ok_or_else(|| source.damaged("the tail makes no sense"))?;
        Ok((tail, read, footer.identity))
    }
}

struct Footer {
    tail: Extent,
    identity: Identity,
}

impl Footer {
    fn read(bytes: &[u8; FOOTER_BYTES]) -> Option<Self> {
        let number = |at: usize| bytes.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
        let hash = bytes.get(24..40)?.try_into().ok().map(u128::from_le_bytes)?;
        let version = bytes.get(48..52)?.try_into().ok().map(u32::from_le_bytes)?;
        let length = u32::try_from(number(8)?).ok()?;
        let is_ours = version == VERSION && bytes.get(52..)? == MAGIC;
        is_ours.then_some(Self {
            tail: Extent { offset: number(0)?, length, hash: number(16)? },
            identity: Identity { content_hash: hash, size_bytes: number(40)? },
        })
    }
}

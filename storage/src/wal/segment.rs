//! Segment files: their names, headers and creation.

use std::io;
use std::path::{Path, PathBuf};

use super::blocks::{BLOCK_BYTES, Blocks};
use crate::failpoint::{Point, hit};
use crate::fs::{Fs, FsFile, TEMPORARY_SUFFIX, temporary_name};
use crate::{Result, StorageError, UnixNanos};

const MAGIC: [u8; 8] = *b"DAYTWAL1";
/// Bytes before the first frame.
pub(crate) const HEADER_BYTES: usize = 64;
const SUFFIX: &str = ".wal";
/// Zeros are written in pieces of 1 MiB.
static ZEROS: Zeros = Zeros([0; 1 << 20]);

#[repr(align(4096))]
struct Zeros([u8; 1 << 20]);

const _: () = assert!(align_of::<Zeros>() == BLOCK_BYTES);

/// What the first bytes of a segment say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// Number of the segment, as in its name.
    pub(crate) number: u64,
    /// Random; every frame of the segment repeats it.
    pub(crate) epoch: u64,
    /// First seq that may stand here.
    pub(crate) first_seq: u64,
    /// End of the valid frames of the segment before.
    pub(crate) previous_end: u64,
    /// From where on damage in the segment before was never answered; 0 for nowhere.
    pub(crate) previous_torn: u64,
    /// When it was created.
    pub(crate) created: UnixNanos,
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut fields = Vec::with_capacity(HEADER_BYTES);
        fields.extend_from_slice(&MAGIC);
        for number in [self.number, self.epoch, self.first_seq, self.previous_end] {
            fields.extend_from_slice(&number.to_le_bytes());
        }
        fields.extend_from_slice(&self.created.0.to_le_bytes());
        fields.extend_from_slice(&self.previous_torn.to_le_bytes());
        fields.resize(HEADER_BYTES - 4, 0);
        fields.extend_from_slice(&crc32c::crc32c(&fields).to_le_bytes());
        let mut header = [0; HEADER_BYTES];
        header.copy_from_slice(&fields);
        header
    }

    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let header: &[u8; HEADER_BYTES] = bytes.first_chunk()?;
        let (covered, crc) = header.split_last_chunk::<4>()?;
        if covered.first_chunk() != Some(&MAGIC) || crc32c::crc32c(covered) != u32::from_le_bytes(*crc) {
            return None;
        }
        let number = |at: usize| covered.get(at..)?.first_chunk().copied().map(u64::from_le_bytes);
        Some(Self {
            number: number(8)?,
            epoch: number(16)?,
            first_seq: number(24)?,
            previous_end: number(32)?,
            previous_torn: number(48)?,
            created: UnixNanos(i64::from_le_bytes(covered.get(40..48)?.try_into().ok()?)),
        })
    }
}

/// Path of a segment in the WAL folder.
pub(crate) fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:020}{SUFFIX}"))
}

/// Numbers of the segments in the WAL folder, ascending.
pub(crate) fn numbers(fs: &Fs, folder: &Path) -> Result<Vec<u64>> {
    let names = fs.list(folder)?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| name.strip_suffix(SUFFIX)?.parse().ok()).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// A zero-filled file without header or final name, made ahead of time.
#[derive(Debug)]
pub(crate) struct Blank {
    file: FsFile,
    path: PathBuf,
    /// Its size.
    pub(crate) bytes: u64,
}

/// Makes a blank for the segment of that number, of so many bytes in whole blocks.
///
/// # Errors
/// [`StorageError::DiskFull`] or [`StorageError::Io`]; no file is left then, as far as the disk allows.
pub(crate) fn prepare(fs: &Fs, folder: &Path, number: u64, bytes: u64) -> Result<Blank> {
    let bytes = bytes.next_multiple_of(BLOCK_BYTES as u64);
    // Room for two: filling the disk to the brim would keep the flush, which frees segments, from working.
    if fs.free_bytes(folder).is_some_and(|free| free < bytes.saturating_mul(2)) {
        return Err(StorageError::DiskFull { path: folder.to_owned() });
    }
    let path = temporary_name(&path(folder, number));
    hit(Point::SegmentPrepare)?;
    let filled = filled(fs, &path, bytes).and_then(|file| hit(Point::SegmentFilled).map(|()| file));
    let file = filled.map_err(|error| discarded(fs, &path, error))?;
    Ok(Blank { file, path, bytes })
}

/// A file of zeros; past the page cache, unless the file system turns out not to do that.
fn filled(fs: &Fs, path: &Path, bytes: u64) -> Result<FsFile> {
    fs.remove(path)?;
    let file = fs.create_direct(path)?;
    match fill(&file, bytes) {
        Err(StorageError::Io { source, .. }) if source.kind() == io::ErrorKind::InvalidInput => {
            fs.remove(path)?;
            let file = fs.create(path)?;
            fill(&file, bytes).map(|()| file)
        }
        outcome => outcome.map(|()| file),
    }
}

/// Makes a blank the segment that the header names; its header, size and name are on disk then.
///
/// # Errors
/// [`StorageError::Io`]; no file is left then, as far as the disk allows.
pub(crate) fn begin(fs: &Fs, folder: &Path, blank: Blank, header: &SegmentHeader) -> Result<FsFile> {
    let target = path(folder, header.number);
    let mut first = Blocks::default();
    first.begin(&header.encode(), 0);
    let begun = blank.file.write_all_at(first.padded(), 0).and_then(|()| blank.file.sync_all());
    let begun = begun.and_then(|()| hit(Point::SegmentHeaderSynced));
    begun.map_err(|error| discarded(fs, &blank.path, error))?;
    fs.rename(&blank.path, &target).map_err(|error| discarded(fs, &blank.path, error))?;
    let named = hit(Point::SegmentRenamed).and_then(|()| fs.sync_dir(folder));
    named.and_then(|()| hit(Point::SegmentReady)).map_err(|error| discarded(fs, &target, error))?;
    Ok(blank.file)
}

/// Removes what a crash left of blanks.
///
/// # Errors
/// [`StorageError::Io`] when the folder cannot be listed.
pub(crate) fn remove_blanks(fs: &Fs, folder: &Path) -> Result<()> {
    let names = fs.list(folder)?;
    names.iter().filter(|name| name.ends_with(TEMPORARY_SUFFIX)).try_for_each(|name| fs.remove(&folder.join(name)))
}

fn fill(file: &FsFile, bytes: u64) -> Result<()> {
    let mut offset = 0;
    while offset < bytes {
        let piece = usize::try_from(bytes.saturating_sub(offset)).unwrap_or(usize::MAX).min(ZEROS.0.len());
        file.write_all_at(ZEROS.0.get(..piece).unwrap_or_default(), offset)?;
        offset = offset.saturating_add(piece as u64);
    }
    file.sync_all()
}

/// Removes a file that is not to be; gives the reason back.
fn discarded(fs: &Fs, path: &Path, reason: StorageError) -> StorageError {
    if let Err(error) = fs.remove(path) {
        tracing::warn!(path = %path.display(), %error, "an unfinished wal segment is left");
    }
    reason
}

//! The one thread that writes the log.
//!
//! It takes the first request that waits and every other one behind it (up to [`ROUND_BYTES_MAX`]), writes them with
//! one call, syncs once, and hands the round on. It never lingers: while one sync runs, the next round gathers. The
//! frames are copied into one buffer rather than written by scatter: a copy costs 0.1 ms per MiB, a sync a few ms.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::blocks::{BLOCK_BYTES, Blocks};
use super::segment::{self, Blank, HEADER_BYTES, SegmentHeader};
use super::{frame, health::Health, retention::Segments};
use crate::dedup::Answer;
#[cfg(debug_assertions)]
use crate::failpoint;
use crate::failpoint::{Point, hit, pass};
use crate::fs::{Fs, FsFile};
use crate::{Clock, Frame, Result, SpanBatch, StorageError, UnixNanos};

/// 8 MiB: a round that takes about as long to write as to sync on a plain NVMe disk.
const ROUND_BYTES_MAX: u64 = 8 << 20;
/// 16 GiB of segments that no flush has covered: the flush has been failing for long, so nothing more is taken.
pub(crate) const WAL_BYTES_MAX: u64 = 16 << 30;

/// Smaller segments are made faster than a thread starts.
const PREPARED_BYTES_MIN: u64 = 1 << 20;

/// Why a request was not stored; the cloneable form of what [`StorageError`] says to every waiter of a round.
#[derive(Debug, Clone)]
pub(crate) enum Refusal {
    /// No room on the disk.
    DiskFull(PathBuf),
    /// The store takes no writes.
    ReadOnly(String),
    /// The log is at its limit.
    Full {
        /// Bytes in it.
        used_bytes: u64,
    },
    /// A file operation failed.
    Io {
        /// What was attempted.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the operating system answered.
        kind: io::ErrorKind,
        /// In words.
        message: String,
    },
}

impl Refusal {
    /// What every waiter is told.
    pub(crate) fn of(error: StorageError) -> Self {
        match error {
            StorageError::DiskFull { path } => Self::DiskFull(path),
            StorageError::ReadOnly { reason } => Self::ReadOnly(reason),
            StorageError::Full { used_bytes, .. } => Self::Full { used_bytes },
            StorageError::Io { action, path, source } => {
                Self::Io { action, path, kind: source.kind(), message: source.to_string() }
            }
            other => Self::ReadOnly(other.to_string()),
        }
    }
}

impl From<Refusal> for StorageError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::DiskFull(path) => Self::DiskFull { path },
            Refusal::ReadOnly(reason) => Self::ReadOnly { reason },
            Refusal::Full { used_bytes } => Self::Full { used_bytes, limit_bytes: WAL_BYTES_MAX },
            Refusal::Io { action, path, kind, message } => {
                Self::Io { action, path, source: io::Error::new(kind, message) }
            }
        }
    }
}

/// A request on its way to the log.
#[derive(Debug)]
pub(crate) struct Append {
    /// What is written.
    pub(crate) frame: Frame,
    /// What becomes visible after it.
    pub(crate) batch: SpanBatch,
    /// Bytes of the frame.
    pub(crate) frame_bytes: u64,
    /// Bytes reserved in the buffer.
    pub(crate) reserved: u64,
    /// Where the answer goes.
    pub(crate) answer: oneshot::Sender<Answer>,
    /// Room in the queue, given back with the request.
    pub(crate) _room: OwnedSemaphorePermit,
}

/// Who hears of each round.
pub(crate) trait Rounds: Send + 'static {
    /// The round is on disk; requests come with their seqs, ascending.
    fn stored(&self, round: Vec<(u64, Append)>);
    /// Nothing of the round is stored.
    fn refused(&self, round: Vec<Append>, refusal: &Refusal);
}

/// A segment that is written no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sealed {
    /// Its number.
    pub(crate) number: u64,
    /// Its size.
    pub(crate) bytes: u64,
    /// Last seq in it; 0 when it holds none.
    pub(crate) last_seq: u64,
    /// When the youngest request in it was received.
    pub(crate) newest_received: UnixNanos,
}

/// Where writing goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Resume {
    /// Seq of the next request.
    pub(crate) next_seq: u64,
    /// Number of the next segment.
    pub(crate) next_number: u64,
    /// Where the valid frames of the last segment end; 0 when there is none.
    pub(crate) previous_end: u64,
    /// From where on damage in the last segment was never answered; 0 for nowhere.
    pub(crate) previous_torn: u64,
}

impl Default for Resume {
    fn default() -> Self {
        Self { next_seq: 1, next_number: 1, previous_end: 0, previous_torn: 0 }
    }
}

#[derive(Debug)]
struct Active {
    file: FsFile,
    header: SegmentHeader,
    size: u64,
    end: u64,
    /// What the last block holds before `end`.
    last_block: Vec<u8>,
    last_seq: u64,
    newest_received: UnixNanos,
}

/// Writes rounds of requests to segments.
#[derive(Debug)]
pub(crate) struct Writer {
    /// The disk.
    pub(crate) fs: Fs,
    /// Folder of the segments.
    pub(crate) folder: PathBuf,
    /// Tells when a segment was created.
    pub(crate) clock: Arc<dyn Clock>,
    /// Size of a segment.
    pub(crate) segment_bytes: u64,
    /// The sealed segments.
    pub(crate) segments: Arc<Segments>,
    /// What status and admission see.
    pub(crate) health: Arc<Health>,
    resume: Resume,
    active: Option<Active>,
    prepared: Option<Prepared>,
    blocks: Blocks,
}

/// The next segment's blank, being made on a thread of its own, so that no request waits for 128 MiB of zeros.
#[derive(Debug)]
struct Prepared(JoinHandle<Result<Blank>>);

impl Prepared {
    fn start(fs: Fs, folder: PathBuf, number: u64, bytes: u64) -> Option<Self> {
        let make = move || segment::prepare(&fs, &folder, number, bytes);
        std::thread::Builder::new().name("daytwo-wal-blank".to_owned()).spawn(make).ok().map(Self)
    }

    /// Waits for it. A failure is no matter: the same is tried again, in front of the one who needs it.
    fn finish(self) -> Option<Blank> {
        self.0.join().ok()?.ok()
    }
}

impl Writer {
    /// A writer that goes on where replay ended.
    pub(crate) fn new(
        fs: Fs,
        folder: PathBuf,
        clock: Arc<dyn Clock>,
        segment_bytes: u64,
        segments: Arc<Segments>,
        health: Arc<Health>,
        resume: Resume,
    ) -> Self {
        Self {
            fs,
            folder,
            clock,
            segment_bytes,
            segments,
            health,
            resume,
            active: None,
            prepared: None,
            blocks: Blocks::default(),
        }
    }

    /// Serves the queue until it is closed and empty.
    pub(crate) fn run(mut self, mut queue: mpsc::Receiver<Append>, rounds: &impl Rounds) {
        while let Some(first) = queue.blocking_recv() {
            let round = gather(first, &mut queue);
            match self.commit(&round) {
                Ok(first_seq) => {
                    rounds.stored((first_seq..).zip(round).collect());
                    pass(Point::WalAnswered);
                    self.prepare_next();
                }
                Err(error) => rounds.refused(round, &Refusal::of(error)),
            }
        }
        self.seal();
        // Its file is removed at the next open; joining keeps the folder's lock until it is whole.
        drop(self.prepared.take().and_then(Prepared::finish));
    }

    /// Begins the next segment when half of this one is full.
    fn prepare_next(&mut self) {
        let half_full = self.active.as_ref().is_some_and(|active| active.end >= active.size / 2);
        if half_full && self.prepared.is_none() && self.segment_bytes >= PREPARED_BYTES_MIN {
            let number = self.resume.next_number;
            self.prepared = Prepared::start(self.fs.clone(), self.folder.clone(), number, self.segment_bytes);
        }
    }

    /// Puts a round on disk; returns the seq of its first request.
    fn commit(&mut self, round: &[Append]) -> Result<u64> {
        self.health.check_writable()?;
        self.health.round_began(self.clock.now());
        let outcome = self.try_commit(round);
        self.health.round_ended();
        outcome
    }

    fn try_commit(&mut self, round: &[Append]) -> Result<u64> {
        let bytes = round.iter().map(|append| append.frame_bytes).sum();
        if let Err(error) = self.make_room(bytes) {
            self.health.no_segment(&error);
            return Err(error);
        }
        let outcome = self.write(round, bytes);
        match &outcome {
            Ok(_) => self.health.succeeded(),
            Err(error) => self.health.failed(error),
        }
        outcome
    }

    fn make_room(&mut self, bytes: u64) -> Result<()> {
        if self.active.as_ref().is_some_and(|active| active.end.saturating_add(bytes) <= active.size) {
            return Ok(());
        }
        self.seal();
        let size = self.segment_bytes.max((HEADER_BYTES as u64).saturating_add(bytes));
        let used_bytes = self.segments.bytes();
        if used_bytes.saturating_add(size) > WAL_BYTES_MAX {
            return Err(StorageError::Full { used_bytes, limit_bytes: WAL_BYTES_MAX });
        }
        match self.create(size) {
            Err(StorageError::DiskFull { .. }) if self.segments.release_all_covered(&self.fs, &self.folder) => {
                self.create(size)
            }
            outcome => outcome,
        }
    }

    fn create(&mut self, size: u64) -> Result<()> {
        let header = SegmentHeader {
            number: self.resume.next_number,
            epoch: rand::random(),
            first_seq: self.resume.next_seq,
            previous_end: self.resume.previous_end,
            previous_torn: self.resume.previous_torn,
            created: self.clock.now(),
        };
        let blank = match self.prepared.take().and_then(Prepared::finish) {
            Some(blank) if blank.bytes >= size => blank,
            _ => segment::prepare(&self.fs, &self.folder, header.number, size)?,
        };
        let size = blank.bytes;
        let file = segment::begin(&self.fs, &self.folder, blank, &header)?;
        let end = HEADER_BYTES as u64;
        self.resume.next_number = header.number.saturating_add(1);
        self.resume.previous_end = end;
        self.resume.previous_torn = 0;
        self.segments.set_active(header.number, size);
        let (last_block, newest_received) = (header.encode().to_vec(), UnixNanos::default());
        self.active = Some(Active { file, header, size, end, last_block, last_seq: 0, newest_received });
        Ok(())
    }

    /// Writes a round of `bytes` bytes.
    fn write(&mut self, round: &[Append], bytes: u64) -> Result<u64> {
        let first_seq = self.resume.next_seq;
        let Some(active) = &mut self.active else {
            return Err(StorageError::ReadOnly { reason: "the wal has no segment".to_owned() });
        };
        self.blocks.begin(&active.last_block, usize::try_from(bytes).unwrap_or(0));
        for (seq, append) in (first_seq..).zip(round) {
            let round_offset = self.blocks.length();
            frame::encode(&append.frame, seq, active.header.epoch, round_offset, self.blocks.out())?;
        }
        let (length, last_block) = (self.blocks.length() as u64, self.blocks.last());
        let next_seq = first_seq.saturating_add(round.len() as u64);
        // Seqs are never used twice, not even those of a failed round.
        self.resume.next_seq = next_seq;
        let block = active.end.saturating_sub(active.last_block.len() as u64);
        let written = write_round(&active.file, self.blocks.padded(), block).and_then(|()| {
            let started = Instant::now();
            let synced = active.file.sync_data();
            self.health.synced(started.elapsed());
            synced.and_then(|()| hit(Point::WalSynced))
        });
        if let Err(error) = written {
            self.poison();
            return Err(error);
        }
        active.end = active.end.saturating_add(length);
        active.last_block = last_block;
        active.last_seq = next_seq.saturating_sub(1);
        let newest = round.iter().map(|append| append.frame.received).max();
        active.newest_received = active.newest_received.max(newest.unwrap_or_default());
        self.resume.previous_end = active.end;
        Ok(first_seq)
    }

    /// Gives the segment up after a failed write or sync. Cutting it keeps the failed round from a replay even
    /// when no further segment is ever made; the next segment's header does so in any case.
    fn poison(&mut self) {
        self.seal();
    }

    /// Ends the active segment and gives its unused room back.
    fn seal(&mut self) {
        let Some(active) = self.active.take() else {
            return;
        };
        pass(Point::SegmentSeal);
        if let Err(error) = active.file.cut(active.end) {
            tracing::warn!(segment = active.header.number, %error, "cannot cut the wal segment");
        }
        self.segments.seal(Sealed {
            number: active.header.number,
            bytes: active.end,
            last_seq: active.last_seq,
            newest_received: active.newest_received,
        });
    }
}

fn write_round(file: &FsFile, bytes: &[u8], offset: u64) -> Result<()> {
    hit(Point::WalWrite)?;
    #[cfg(debug_assertions)]
    if failpoint::is_armed(Point::WalHalfWritten) {
        let half = bytes.len().div_euclid(2).next_multiple_of(BLOCK_BYTES);
        file.write_all_at(bytes.get(..half).unwrap_or_default(), offset)?;
        hit(Point::WalHalfWritten)?;
    }
    file.write_all_at(bytes, offset)?;
    hit(Point::WalWritten)
}

fn gather(first: Append, queue: &mut mpsc::Receiver<Append>) -> Vec<Append> {
    let mut bytes = first.frame_bytes;
    let mut round = vec![first];
    while bytes < ROUND_BYTES_MAX {
        let Ok(next) = queue.try_recv() else {
            break;
        };
        bytes = bytes.saturating_add(next.frame_bytes);
        round.push(next);
    }
    round
}

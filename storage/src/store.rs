//! [`Store`]: the whole public face of this crate.

mod background;
mod open;
#[cfg(test)]
mod tests;
mod types;
mod upkeep;
mod verify;
mod writer_file;

pub use types::{
    Committed, DataFile, Frame, PayloadCompression, PayloadFormat, Pressure, Replay, Snapshot, StoreStatus,
};
pub use verify::Verified;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::buffer::{Buffer, Buffered};
use crate::committer::Committer;
use crate::compaction::Compactor;
use crate::damage::{content_hash, other_content};
use crate::dedup::{Answer, Claim, Dedup};
use crate::disk::Disk;
use crate::failpoint::{Point, pass};
use crate::flush::{Flusher, stopped};
use crate::fs::Fs;
use crate::index::Keeper;
use crate::lock::FolderLock;
use crate::object::{Bucket, StoredRounds};
use crate::place::{DataFiles, Place};
use crate::quarantine::{Quarantine, sidecar};
use crate::retention::Retention;
use crate::scrubber::Scrubber;
use crate::table::Table;
use crate::wal::frame;
use crate::wal::health::Health;
use crate::wal::retention::Segments;
use crate::wal::writer::{Append, Refusal, Rounds};
use crate::{Clock, DiskLevel, Document, DocumentFolder, Result, SpanBatch, StorageConfig, StorageError};
use background::Background;

/// Requests that may wait for the log.
const QUEUE_REQUESTS: usize = 4096;
/// 256 MiB of requests that may wait for the log, counted in KiB.
const QUEUE_KIB: u32 = 256 << 10;
/// What the disk has not confirmed by then is answered as retryable: clients give up after 10 s.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);
/// At nine tenths of the buffer, requests are refused before decoding; the last tenth is for those under way.
const BUSY_TENTHS: u64 = 9;

/// The span store of one data folder.
#[derive(Debug)]
pub struct Store {
    shared: Arc<Shared>,
    queue: Mutex<Option<mpsc::Sender<Append>>>,
    room: Arc<Semaphore>,
    background: Mutex<Option<Background>>,
}

/// What changes the files.
#[derive(Debug)]
struct Writing {
    committer: Arc<Committer>,
    flusher: Flusher,
    compactor: Compactor,
    retention: Arc<Retention>,
    scrubber: Scrubber,
}

/// What the writer thread and the background tasks hold too.
#[derive(Debug)]
struct Shared {
    config: StorageConfig,
    clock: Arc<dyn Clock>,
    fs: Fs,
    buffer: Arc<Buffer>,
    dedup: Dedup,
    segments: Arc<Segments>,
    /// The log in the store, with [`crate::Ack::Object`].
    rounds: Option<Arc<StoredRounds>>,
    health: Arc<Health>,
    /// `None` when the folder was opened for reading only.
    writing: Option<Writing>,
    quarantine: Quarantine,
    quarantined: AtomicU64,
    place: Place,
    keeper: Arc<Keeper>,
    disk: Arc<Disk>,
    /// Wakes the background task when enough bytes wait.
    flush_due: tokio::sync::Notify,
    _lock: FolderLock,
}

impl Store {
    /// Opens a data folder, creating it if needed: takes its lock, loads the table, replays the WAL.
    ///
    /// # Errors
    /// [`StorageError::Locked`], [`StorageError::Io`], [`StorageError::Table`].
    pub async fn open(config: StorageConfig, clock: Arc<dyn Clock>, replay: Arc<dyn Replay>) -> Result<Arc<Self>> {
        open::writable(config, clock, replay, Fs::default(), None).await
    }

    /// As [`Store::open`], with the table in a store of objects. The data folder keeps the write-ahead log and what is on its
    /// way. Whichever server had the table before can commit nothing to it any more.
    ///
    /// # Errors
    /// As [`Store::open`]; [`StorageError::Unfit`] when the store does not honour conditional puts.
    pub async fn open_in(
        bucket: &Bucket,
        config: StorageConfig,
        clock: Arc<dyn Clock>,
        replay: Arc<dyn Replay>,
    ) -> Result<Arc<Self>> {
        open::writable(config, clock, replay, Fs::default(), Some(bucket)).await
    }

    /// As [`Store::open`], on a disk that fails as `faults` says.
    ///
    /// # Errors
    /// As [`Store::open`].
    #[cfg(any(test, feature = "testing"))]
    pub async fn open_with_faults(
        config: StorageConfig,
        clock: Arc<dyn Clock>,
        replay: Arc<dyn Replay>,
        faults: Arc<crate::fs::faults::Faults>,
    ) -> Result<Arc<Self>> {
        open::writable(config, clock, replay, Fs::with_faults(faults), None).await
    }

    /// Opens a data folder for reading only, for `daytwo query` on a folder that no server uses. Nothing is written;
    /// what the WAL holds is replayed into memory.
    ///
    /// # Errors
    /// As [`Store::open`]; also [`StorageError::Io`] when there is no data folder.
    pub async fn open_read_only(
        config: StorageConfig,
        clock: Arc<dyn Clock>,
        replay: Arc<dyn Replay>,
    ) -> Result<Arc<Self>> {
        open::read_only(config, clock, replay, None).await
    }

    /// As [`Store::open_read_only`], with the table in a store of objects, which a server may be using: what is shown is its last
    /// commit, and the write-ahead log of this folder. Copies of sidecars are kept in the folder.
    ///
    /// # Errors
    /// As [`Store::open_read_only`].
    pub async fn open_read_only_in(
        bucket: &Bucket,
        config: StorageConfig,
        clock: Arc<dyn Clock>,
        replay: Arc<dyn Replay>,
    ) -> Result<Arc<Self>> {
        open::read_only(config, clock, replay, Some(bucket)).await
    }

    /// Makes a request durable, then visible. `batch` holds the accepted spans of `frame`.
    ///
    /// # Errors
    /// [`StorageError::Full`], [`StorageError::DiskFull`], [`StorageError::ReadOnly`], [`StorageError::Io`]: nothing of
    /// the request is visible then, and the same request may be sent again. [`StorageError::Stalled`]: nobody knows yet;
    /// the same request may be sent again too, and waits for the outcome of the first. [`StorageError::TooLarge`] when it
    /// never can.
    ///
    /// # Cancel safety
    /// Dropping the future does not undo the append; the request may still become durable and visible.
    pub async fn append(&self, frame: Frame, batch: SpanBatch) -> Result<Committed> {
        let frame_bytes = frame::encoded_length(&frame)?;
        self.shared.health.check_writable()?;
        let answer = tokio::time::timeout(ANSWER_WITHIN, self.log(frame, frame_bytes, batch)).await;
        answer.unwrap_or(Err(StorageError::Stalled { waited: ANSWER_WITHIN }))
    }

    async fn log(&self, frame: Frame, frame_bytes: u64, batch: SpanBatch) -> Result<Committed> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or_else(closing)?;
        let kib = u32::try_from(frame_bytes / 1024).unwrap_or(QUEUE_KIB).saturating_add(1).min(QUEUE_KIB);
        let room = Arc::clone(&self.room).acquire_many_owned(kib).await.map_err(|_| closing())?;
        let slot = queue.reserve().await.map_err(|_| closing())?;
        // No await from the claim to the send: a caller that leaves cannot leave a claim behind.
        let answer = match self.shared.dedup.claim(frame.request_hash, self.shared.clock.now()) {
            Claim::Stored(seq) => return Ok(Committed { seq, duplicate: true }),
            Claim::OnItsWay(answer) => {
                drop((slot, room));
                answer
            }
            Claim::New => {
                let reserved = batch.memory_bytes() as u64;
                if let Err(error) = self.shared.buffer.reserve(reserved) {
                    self.shared.refuse_claim(&frame, &error);
                    return Err(error);
                }
                let (sender, answer) = oneshot::channel();
                slot.send(Append { frame, batch, frame_bytes, reserved, answer: sender, _room: room });
                answer
            }
        };
        answer.await.map_err(|_| closing())?.map_err(StorageError::from)
    }

    /// How close the store is to its limits.
    pub fn pressure(&self) -> Pressure {
        let shared = &self.shared;
        if let Some(reason) = shared.refusal() {
            return Pressure::Busy { reason };
        }
        let (used, limit) = (shared.buffer.bytes(), shared.buffer.limit_bytes());
        if used / BUSY_TENTHS >= limit / 10 {
            return Pressure::Busy { reason: format!("{used} of {limit} bytes wait to be flushed") };
        }
        Pressure::Ready
    }

    /// Bytes of decoded spans in memory or on their way there, those that a reader of the tail is behind with included, and the most
    /// there may be.
    pub fn buffered_bytes(&self) -> (u64, u64) {
        (self.shared.buffer.held_bytes(), self.shared.buffer.limit_bytes())
    }

    /// One consistent view of everything accepted so far.
    pub fn snapshot(&self) -> Snapshot {
        self.shared.snapshot(None).0
    }

    /// Batches accepted from now on, in commit order. A reader that falls `capacity` batches behind is cut
    /// off (its channel closes) rather than allowed to slow ingestion; it rebuilds from a snapshot.
    pub fn tail(&self, capacity: usize) -> mpsc::Receiver<SpanBatch> {
        self.shared.buffer.tail(capacity)
    }

    /// A snapshot and the batches accepted after it: together every span exactly once.
    pub fn snapshot_and_tail(&self, capacity: usize) -> (Snapshot, mpsc::Receiver<SpanBatch>) {
        let (snapshot, tail) = self.shared.snapshot(Some(capacity));
        (snapshot, tail.unwrap_or_else(|| mpsc::channel(1).1))
    }

    /// A small file of this data folder, of at most `bytes_max` bytes; every name has one owner, who keeps to one writer at a time.
    pub fn document(&self, name: &'static str, bytes_max: usize) -> Document {
        Document::new(self.shared.fs.clone(), self.shared.config.data_dir.join(name), bytes_max)
    }

    /// Whether the table is in a store of objects.
    pub fn is_remote(&self) -> bool {
        self.shared.place.is_remote()
    }

    /// A folder of such files below this data folder; every folder has one owner.
    pub fn document_folder(&self, name: &'static str, bytes_max: usize) -> DocumentFolder {
        DocumentFolder::new(self.shared.fs.clone(), self.shared.config.data_dir.join(name), bytes_max)
    }

    /// Counters and states.
    pub fn status(&self) -> StoreStatus {
        self.shared.status()
    }

    /// Writes all buffered spans to files and commits them.
    ///
    /// # Errors
    /// What kept a file or the commit from being written; the spans stay buffered and in the WAL.
    pub async fn flush(&self) -> Result<()> {
        match &self.shared.writing {
            Some(writing) => writing.flusher.flush().await,
            None => Ok(()),
        }
    }

    /// Merges files until none is worth it.
    ///
    /// # Errors
    /// What kept a file or the commit from being written; the files stay as they are.
    pub async fn compact(&self) -> Result<()> {
        while self.shared.compact().await? {}
        Ok(())
    }

    /// Lets go what is kept no longer, if the clock can be believed.
    ///
    /// # Errors
    /// What kept the commit from being written; the spans stay.
    pub async fn expire(&self) -> Result<()> {
        self.shared.expire().await
    }

    /// Removes files that no list names any more and that nobody can be reading.
    pub async fn vacuum(&self) {
        self.shared.vacuum().await;
    }

    /// Sets a committed file aside that cannot be read: it moves to `quarantine/` with a note, leaves all further
    /// snapshots and is named in their `holes`. `false`, and nothing changes, when the file is not one of the
    /// committed ones or its content is what was written.
    ///
    /// # Errors
    /// [`StorageError::Io`] when it cannot be moved; it has left the snapshots all the same.
    pub async fn report_damaged(&self, path: &str, reason: &str) -> Result<bool> {
        self.shared.report_damaged(path, reason).await
    }

    /// Has the index of a committed data file made again, in the background: for one that is missing or damaged. Until
    /// then the file is read without. Does nothing in a folder opened for reading only.
    pub fn report_unindexed(&self, path: &str) {
        if let Some(file) = self.shared.writing.as_ref().and_then(|_| self.shared.buffer.file(path)) {
            self.shared.keeper.want(&file);
        }
    }

    /// Stops taking writes, flushes, and releases the folder once the last handle is gone.
    ///
    /// # Errors
    /// What kept the last flush from finishing; the WAL still holds those spans.
    pub async fn close(&self) -> Result<()> {
        pass(Point::CloseBegin);
        self.shared.health.refuse_writes("the store is closing".to_owned());
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.room.close();
        let background = self.background.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(background) = background {
            background.stop(&self.shared).await;
        }
        self.shared.buffer.close();
        pass(Point::CloseLogEnded);
        self.flush().await?;
        pass(Point::CloseFlushed);
        Ok(())
    }
}

fn closing() -> StorageError {
    StorageError::ReadOnly { reason: "the store is closing".to_owned() }
}

/// Runs `work` where it may wait for the disk.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| stopped(&error))?
}

impl Shared {
    fn snapshot(&self, tail_capacity: Option<usize>) -> (Snapshot, Option<mpsc::Receiver<SpanBatch>>) {
        let (view, tail) = self.buffer.view(tail_capacity);
        let snapshot = Snapshot {
            buffered: view.batches,
            files: view.files,
            table_dir: self.place.dir().to_owned(),
            data: DataFiles::new(self.place.clone(), self.keeper.indexes().clone()),
            holes: view.holes,
            indexes: self.keeper.indexes().clone(),
            _lease: view.lease,
        };
        (snapshot, tail)
    }

    fn refuse_claim(&self, frame: &Frame, error: &StorageError) {
        let reason = Err(Refusal::ReadOnly(error.to_string()));
        self.dedup.settle(frame.request_hash, frame.received, &reason);
    }

    async fn report_damaged(&self, path: &str, reason: &str) -> Result<bool> {
        let Some(file) = self.buffer.file(path) else {
            return Ok(false);
        };
        let mut table = match &self.writing {
            Some(writing) => {
                let mut table = writing.committer.lock().await?;
                writing.committer.catch_up(&mut table).await?;
                Some(table)
            }
            None => None,
        };
        if self.buffer.file(path).is_none() {
            return Ok(false);
        }
        if self.is_as_written(&file).await {
            tracing::warn!(path, reason, "a file reported as damaged is as it was written");
            return Ok(false);
        }
        self.set_file_aside(&file, reason, table.as_deref_mut()).await?;
        Ok(true)
    }

    /// Whether the file's bytes have the hash they were written with. A file that cannot be read now (no descriptor left, an
    /// I/O error that may pass) counts as whole: only what was seen to be wrong or missing is set aside.
    async fn is_as_written(&self, file: &DataFile) -> bool {
        if file.content_hash.is_none() {
            return false;
        }
        let (place, path) = (self.place.clone(), file.path.clone());
        let found = tokio::task::spawn_blocking(move || content_hash(&place, &path)).await;
        match found {
            Ok(Ok(found)) => other_content(file, found).is_none(),
            Ok(Err(StorageError::Io { source, .. })) => source.kind() != std::io::ErrorKind::NotFound,
            Ok(Err(_)) | Err(_) => true,
        }
    }

    /// The note first, then the list of files, the file last: a crash in between leaves a named hole, which the next open
    /// finishes. Other engines stop at a file that is listed and not there, so the log learns of it too.
    async fn set_file_aside(&self, file: &DataFile, reason: &str, table: Option<&mut Table>) -> Result<()> {
        let source = Place::source(&file.path);
        let mut aside = sidecar(self.clock.as_ref(), source, 0..file.size_bytes, reason.to_owned());
        aside.rows = Some(file.rows);
        tracing::error!(path = %file.path, reason, "damaged data file set aside");
        self.buffer.drop_file(&file.path, aside.hole());
        self.quarantined.fetch_add(1, Ordering::Relaxed);
        let (quarantine, note) = (self.quarantine.clone(), aside.clone());
        let noted = blocking(move || quarantine.note(&note)).await;
        if let (Some(table), Some(writing)) = (table, &self.writing) {
            if noted.is_ok() {
                writing.committer.remove_damaged(table, vec![file.clone()]).await;
            }
            table.forget(&file.path);
        }
        noted?;
        let (quarantine, place, path) = (self.quarantine.clone(), self.place.clone(), file.path.clone());
        blocking(move || quarantine.take(&place, &path, &aside)).await
    }

    /// Why requests are better refused now, whatever waits to be flushed.
    fn refusal(&self) -> Option<String> {
        let shed = || {
            let disk = self.disk.status();
            (disk.level == DiskLevel::Shed).then(|| format!("the disk is full but for {} MiB", disk.free_bytes >> 20))
        };
        self.health.refusal(self.clock.now()).or_else(shed)
    }

    fn status(&self) -> StoreStatus {
        let sums = self.buffer.sums();
        let count = |of: fn(&Flusher) -> &AtomicU64| {
            self.writing.as_ref().map_or(0, |writing| of(&writing.flusher).load(Ordering::Relaxed))
        };
        StoreStatus {
            buffer_bytes: self.buffer.bytes(),
            buffer_spans: sums.spans,
            wal_bytes: self.rounds.as_ref().map_or_else(|| self.segments.bytes(), |rounds| rounds.bytes()),
            last_seq: sums.last_seq,
            files: sums.files,
            file_bytes: sums.file_bytes,
            file_rows: sums.file_rows,
            quarantined_files: self.quarantined.load(Ordering::Relaxed),
            flushes: count(|flusher| &flusher.flushes),
            flush_failures: count(|flusher| &flusher.failures),
            flush_repeats: count(|flusher| &flusher.repeats),
            read_only: self.refusal(),
            wal_syncs: self.health.syncs(),
            indexes_made: self.keeper.made(),
            index_failures: self.keeper.failed(),
            compaction: self.writing.as_ref().map(|writing| writing.compactor.status()).unwrap_or_default(),
            vacuum: self.writing.as_ref().map(|writing| writing.committer.vacuum.status()).unwrap_or_default(),
            retention: self.writing.as_ref().map(|writing| writing.retention.status()).unwrap_or_default(),
            scrub: self.writing.as_ref().map(|writing| writing.scrubber.status()).unwrap_or_default(),
            disk: self.disk.status(),
            object_store: self.place.store().map(|remote| remote.traffic()),
        }
    }

    fn answer(&self, append: Append, outcome: Answer) {
        self.dedup.settle(append.frame.request_hash, append.frame.received, &outcome);
        // A caller that left is no longer interested.
        drop(append.answer.send(outcome));
    }
}

/// The writer thread's side: visible first, then answered.
impl Rounds for Arc<Shared> {
    fn stored(&self, round: Vec<(u64, Append)>) {
        let buffered = round.iter().map(|(seq, append)| Buffered {
            seq: *seq,
            received: append.frame.received,
            batch: append.batch.clone(),
            bytes: append.reserved,
        });
        self.buffer.insert(buffered.collect());
        pass(Point::WalVisible);
        for (seq, append) in round {
            self.answer(append, Ok(Committed { seq, duplicate: false }));
        }
        if self.buffer.bytes() >= self.config.flush_bytes {
            self.flush_due.notify_one();
        }
    }

    fn refused(&self, round: Vec<Append>, refusal: &Refusal) {
        for append in round {
            self.buffer.release(append.reserved);
            self.answer(append, Err(refusal.clone()));
        }
    }
}

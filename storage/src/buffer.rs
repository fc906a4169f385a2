//! What every reader sees: the accepted batches that are in no file yet, and the files. One lock guards both, so a
//! batch moves from one to the other in one step and no view misses it or shows it twice.
//!
//! Batches enter in seq order, after their frame is on disk. The lock is held for pushes and clones of counted
//! references only, never across I/O.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::mpsc;

use crate::{DataFile, Result, SpanBatch, StorageError, UnixNanos};

/// A batch that waits for a flush.
#[derive(Debug, Clone)]
pub(crate) struct Buffered {
    /// Position of its request in the log.
    pub(crate) seq: u64,
    /// When the request was received: the partition.
    pub(crate) received: UnixNanos,
    /// Its accepted spans.
    pub(crate) batch: SpanBatch,
    /// Memory it takes, as reserved.
    pub(crate) bytes: u64,
}

/// What a flush takes on: every batch up to `watermark`.
#[derive(Debug)]
pub(crate) struct Pending {
    /// In seq order.
    pub(crate) batches: Vec<Buffered>,
    /// Seq of the last request that is in them or before them.
    pub(crate) watermark: u64,
}

/// One consistent view.
#[derive(Debug)]
pub(crate) struct View {
    /// Batches in no file.
    pub(crate) batches: Vec<SpanBatch>,
    /// Committed files.
    pub(crate) files: Arc<Vec<DataFile>>,
    /// What is missing.
    pub(crate) holes: Vec<String>,
    /// Held as long as the view's files must stay on disk.
    pub(crate) lease: Arc<Generation>,
}

/// Lists of files are counted; each removal of a file begins the next count. Whoever holds one of these keeps the files of that
/// list, and of all later ones, on disk.
#[derive(Debug, Default)]
pub(crate) struct Generation(u64);

/// Sums for status.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sums {
    pub(crate) spans: u64,
    pub(crate) last_seq: u64,
    pub(crate) files: u64,
    pub(crate) file_bytes: u64,
    pub(crate) file_rows: u64,
}

#[derive(Debug, Default)]
struct State {
    batches: VecDeque<Buffered>,
    files: Arc<Vec<DataFile>>,
    generation: Arc<Generation>,
    /// Those before it that a reader may still hold, the oldest first.
    past: VecDeque<Weak<Generation>>,
    holes: Vec<String>,
    tails: Vec<mpsc::Sender<SpanBatch>>,
    /// Bytes of all batches up to each of the latest, those that a tail may still hold; the last one's at the end.
    inserted: VecDeque<u64>,
    spans: u64,
    last_seq: u64,
    closed: bool,
}

/// Batches and files behind one lock.
#[derive(Debug)]
pub(crate) struct Buffer {
    limit_bytes: u64,
    /// Bytes of the batches that wait, and of those on their way to the log.
    reserved: AtomicU64,
    state: Mutex<State>,
}

impl Buffer {
    /// A buffer with what the open found.
    pub(crate) fn new(limit_bytes: u64, files: Vec<DataFile>, holes: Vec<String>, watermark: u64) -> Self {
        let state = State { files: Arc::new(files), holes, last_seq: watermark, ..State::default() };
        Self { limit_bytes, reserved: AtomicU64::new(0), state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets room aside for a batch.
    ///
    /// # Errors
    /// [`StorageError::Full`]. A batch larger than the whole limit still gets room when nothing else waits.
    pub(crate) fn reserve(&self, bytes: u64) -> Result<()> {
        let grant = |used: u64| {
            let after = used.saturating_add(bytes);
            (used == 0 || after <= self.limit_bytes).then_some(after)
        };
        match self.reserved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grant) {
            Ok(_) => Ok(()),
            Err(used_bytes) => Err(StorageError::Full { used_bytes, limit_bytes: self.limit_bytes }),
        }
    }

    /// Gives room back.
    pub(crate) fn release(&self, bytes: u64) {
        // The closure always gives a value, so the update cannot fail.
        let give_back = |used: u64| Some(used.saturating_sub(bytes));
        self.reserved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, give_back).ok();
    }

    /// Bytes that wait or are on their way.
    pub(crate) fn bytes(&self) -> u64 {
        self.reserved.load(Ordering::Relaxed)
    }

    /// Bytes of batches that are held here, or by a tail that is behind; both hold the latest.
    pub(crate) fn held_bytes(&self) -> u64 {
        let state = self.state();
        let behind = state.tails.iter().map(|tail| tail.max_capacity().saturating_sub(tail.capacity())).max();
        let all = state.inserted.back().copied().unwrap_or(0);
        let before = state.inserted.iter().rev().nth(behind.unwrap_or(0)).copied();
        self.bytes().max(all.saturating_sub(before.unwrap_or(0)))
    }

    /// The most bytes that may.
    pub(crate) fn limit_bytes(&self) -> u64 {
        self.limit_bytes
    }

    /// Takes batches over from replay, whatever the limit says: they were accepted.
    pub(crate) fn restore(&self, batches: Vec<(u64, UnixNanos, SpanBatch)>, last_seq: u64) {
        let buffered = batches.into_iter().map(|(seq, received, batch)| {
            let bytes = batch.memory_bytes() as u64;
            self.reserved.fetch_add(bytes, Ordering::Relaxed);
            Buffered { seq, received, batch, bytes }
        });
        self.insert(buffered.collect());
        let mut state = self.state();
        state.last_seq = state.last_seq.max(last_seq);
    }

    /// Makes batches visible. Their room was reserved; that of empty ones is given back.
    pub(crate) fn insert(&self, batches: Vec<Buffered>) {
        let mut state = self.state();
        for buffered in batches {
            state.last_seq = state.last_seq.max(buffered.seq);
            if buffered.batch.is_empty() {
                self.release(buffered.bytes);
                continue;
            }
            state.spans = state.spans.saturating_add(buffered.batch.len() as u64);
            state.count_inserted(buffered.bytes);
            // A reader that is full or gone is cut off: it must not slow ingestion.
            state.tails.retain(|tail| tail.try_send(buffered.batch.clone()).is_ok());
            state.batches.push_back(buffered);
        }
    }

    /// One view, and the batches that come after it if a capacity is given.
    pub(crate) fn view(&self, tail_capacity: Option<usize>) -> (View, Option<mpsc::Receiver<SpanBatch>>) {
        let mut state = self.state();
        let view = View {
            batches: state.batches.iter().map(|buffered| buffered.batch.clone()).collect(),
            files: Arc::clone(&state.files),
            holes: state.holes.clone(),
            lease: Arc::clone(&state.generation),
        };
        (view, tail_capacity.map(|capacity| state.add_tail(capacity)))
    }

    /// The batches that come from now on.
    pub(crate) fn tail(&self, capacity: usize) -> mpsc::Receiver<SpanBatch> {
        self.state().add_tail(capacity)
    }

    /// Everything that waits for a flush.
    pub(crate) fn pending(&self) -> Pending {
        let state = self.state();
        Pending { batches: state.batches.iter().cloned().collect(), watermark: state.last_seq }
    }

    /// When the oldest waiting batch was received.
    pub(crate) fn oldest(&self) -> Option<UnixNanos> {
        self.state().batches.front().map(|buffered| buffered.received)
    }

    /// Whether a batch waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.state().batches.is_empty()
    }

    /// A commit stands: the new list of files holds, and batches up to `watermark` leave, in one step.
    pub(crate) fn committed(&self, watermark: Option<u64>, files: Vec<DataFile>, removes: bool) {
        let mut freed = 0_u64;
        let mut state = self.state();
        let covered = |buffered: &mut Buffered| watermark.is_some_and(|watermark| buffered.seq <= watermark);
        while let Some(buffered) = state.batches.pop_front_if(covered) {
            state.spans = state.spans.saturating_sub(buffered.batch.len() as u64);
            freed = freed.saturating_add(buffered.bytes);
        }
        state.files = Arc::new(files);
        if removes {
            state.next_generation();
        }
        drop(state);
        self.release(freed);
    }

    /// Takes a damaged file out of all further views and names the hole.
    pub(crate) fn drop_file(&self, path: &str, hole: String) {
        let mut state = self.state();
        let left = state.files.iter().filter(|file| file.path != path).cloned().collect();
        state.files = Arc::new(left);
        state.holes.push(hole);
    }

    /// The count of the list that holds now: a file that it does not name may go once [`Buffer::oldest_held`] has reached it.
    pub(crate) fn generation(&self) -> u64 {
        self.state().generation.0
    }

    /// The oldest list of files that somebody still reads.
    pub(crate) fn oldest_held(&self) -> u64 {
        let mut state = self.state();
        while let Some(oldest) = state.past.front() {
            if let Some(held) = oldest.upgrade() {
                return held.0;
            }
            state.past.pop_front();
        }
        state.generation.0
    }

    /// The committed file of that path.
    pub(crate) fn file(&self, path: &str) -> Option<DataFile> {
        self.state().files.iter().find(|file| file.path == path).cloned()
    }

    /// Ends all tails and lets none begin.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.tails.clear();
    }

    /// Sums for status.
    pub(crate) fn sums(&self) -> Sums {
        let state = self.state();
        let sum = |of: fn(&DataFile) -> u64| state.files.iter().map(of).fold(0, u64::saturating_add);
        Sums {
            spans: state.spans,
            last_seq: state.last_seq,
            files: state.files.len() as u64,
            file_bytes: sum(|file| file.size_bytes),
            file_rows: sum(|file| file.rows),
        }
    }
}

impl State {
    fn next_generation(&mut self) {
        let next = Arc::new(Generation(self.generation.0.saturating_add(1)));
        let past = std::mem::replace(&mut self.generation, next);
        self.past.push_back(Arc::downgrade(&past));
        drop(past);
        self.past.retain(|past| past.strong_count() > 0);
    }

    fn count_inserted(&mut self, bytes: u64) {
        let longest = self.tails.iter().map(mpsc::Sender::max_capacity).max().unwrap_or(0);
        let all = self.inserted.back().copied().unwrap_or(0);
        self.inserted.push_back(all.saturating_add(bytes));
        while self.inserted.len() > longest.saturating_add(1) {
            self.inserted.pop_front();
        }
    }

    fn add_tail(&mut self, capacity: usize) -> mpsc::Receiver<SpanBatch> {
        let (sender, receiver) = mpsc::channel(capacity.max(1));
        if !self.closed {
            self.tails.push(sender);
        }
        receiver
    }
}

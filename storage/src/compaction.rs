//! Brings files to a target size, partition by partition.
//!
//! [`plan`] chooses neighbours that are worth merging, [`source`] reads them and checks their content hash, [`merge`] writes
//! the new file: row groups are copied byte for byte, and only small ones, and those with rows that stand in an earlier place
//! already ([`repeated`]), are decoded and encoded again ([`encode`]). One commit then
//! replaces the old files by the new one; a crash before it leaves a file that no list names.
//!
//! Memory: one buffer of 1 MiB, the footers and the span ids of the inputs (8 bytes a row), and, while small row groups are encoded again, one row group.

mod encode;
mod merge;
mod plan;
mod repeated;
mod source;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::committer::Committer;
use crate::failpoint::{Point, hit, pass};
use crate::flush::stopped;
use crate::partition::hour_end;
use crate::table::{Purpose, Transaction};
use crate::{DataFile, Result, UnixNanos};
use merge::Merged;
use plan::Barriers;
pub(crate) use plan::Policy;
use source::Unreadable;

/// An hour counts as over this long after its end: what was received in it has been flushed by then, as a rule.
const SETTLING: Duration = Duration::from_secs(120);

/// Without commits, hours that ended are looked for this often.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// The one that compacts.
#[derive(Debug)]
pub(crate) struct Compactor {
    committer: Arc<Committer>,
    policy: Policy,
    /// Held during a merge, so that two do not work on the same files.
    merging: tokio::sync::Mutex<()>,
    barriers: Mutex<Barriers>,
    /// The version of the table, and when, that had nothing worth merging.
    idle: Mutex<Option<(u64, UnixNanos)>>,
    cancelled: Arc<AtomicBool>,
    counters: Counters,
}

#[derive(Debug, Default)]
struct Counters {
    runs: AtomicU64,
    failures: AtomicU64,
    files_in: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    row_groups_copied: AtomicU64,
    rows_encoded: AtomicU64,
    rows_repeated: AtomicU64,
}

/// Figures of compaction since start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CompactionStatus {
    /// Merges that were committed.
    pub runs: u64,
    /// Merges that failed; their files stay as they are and are tried again.
    pub failures: u64,
    /// Files that were replaced.
    pub files_in: u64,
    /// Their bytes.
    pub bytes_in: u64,
    /// Bytes of the files that replaced them.
    pub bytes_out: u64,
    /// Row groups copied byte for byte.
    pub row_groups_copied: u64,
    /// Rows that were decoded and encoded again.
    pub rows_encoded: u64,
    /// Rows left out, since an earlier one says the same word for word.
    pub rows_repeated: u64,
}

/// How a try to merge ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Nothing is worth merging.
    Idle,
    /// There may be more to do.
    Busy,
    /// An input cannot be read as it was written; it is to be set aside.
    Damaged {
        /// Its path.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Compactor {
    /// A compactor that has done nothing yet.
    pub(crate) fn new(committer: Arc<Committer>, policy: Policy) -> Self {
        Self {
            committer,
            policy,
            merging: tokio::sync::Mutex::default(),
            barriers: Mutex::default(),
            idle: Mutex::default(),
            cancelled: Arc::default(),
            counters: Counters::default(),
        }
    }

    fn barriers(&self) -> MutexGuard<'_, Barriers> {
        self.barriers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing can have come up since the last look: no commit, and no hour that ended.
    fn is_still_idle(&self, version: u64, now: UnixNanos) -> bool {
        let idle = *self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.is_some_and(|(then, at)| then == version && at <= now && now.since(at) < LOOK_EVERY)
    }

    /// Merges this file no more, for one that cannot be read although it is as it was written.
    pub(crate) fn leave_alone(&self, path: &str) {
        self.barriers().alone.insert(path.to_owned());
    }

    /// Ends a merge under way at its next row group; there will be no other.
    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Merges the files that most need it.
    ///
    /// # Errors
    /// What kept the new file or the commit from being written; the old files stay.
    pub(crate) async fn run(&self) -> Result<Outcome> {
        let _one_at_a_time = self.merging.lock().await;
        let inputs = {
            let table = self.committer.lock().await?;
            let now = self.committer.clock.now();
            if self.is_still_idle(table.version(), now) {
                return Ok(Outcome::Idle);
            }
            let over = now.saturating_sub(SETTLING);
            let is_over = |hour: &str| hour_end(hour).is_some_and(|end| end <= over);
            let barriers = self.barriers().clone();
            let Some(chosen) = plan::choose(table.files(), self.policy, is_over, &barriers) else {
                *self.idle.lock().unwrap_or_else(PoisonError::into_inner) = Some((table.version(), now));
                return Ok(Outcome::Idle);
            };
            chosen
        };
        hit(Point::MergeBegin)?;
        let outcome = self.merge(inputs).await;
        if outcome.is_err() && !self.cancelled.load(Ordering::Relaxed) {
            self.counters.failures.fetch_add(1, Ordering::Relaxed);
        }
        outcome
    }

    async fn merge(&self, inputs: Vec<DataFile>) -> Result<Outcome> {
        let (place, policy, cancelled) = (self.committer.place.clone(), self.policy, Arc::clone(&self.cancelled));
        let removes = inputs.clone();
        let indexes = self.committer.keeper.indexes().clone();
        let work = move || merge::merge(&place, &indexes, &inputs, policy, &cancelled);
        let merged = match tokio::task::spawn_blocking(work).await.map_err(|error| stopped(&error))? {
            Ok(merged) => merged,
            Err(merge::Failure::Input(Unreadable { path, reason })) => return Ok(Outcome::Damaged { path, reason }),
            Err(merge::Failure::Unlike(path)) => {
                self.barriers().unlike.insert(path);
                return Ok(Outcome::Busy);
            }
            Err(merge::Failure::Cancelled) => return Ok(Outcome::Idle),
            Err(merge::Failure::Output(error)) => return Err(error),
        };
        self.commit(removes, merged).await
    }

    async fn commit(&self, removes: Vec<DataFile>, merged: Merged) -> Result<Outcome> {
        pass(Point::MergeWritten);
        let mut table = match self.committer.lock().await {
            Ok(table) => table,
            Err(error) => {
                self.committer.discard(vec![merged.new]).await;
                return Err(error);
            }
        };
        let (files_in, bytes_in) = (removes.len() as u64, removes.iter().map(|file| file.size_bytes).sum());
        let bytes_out = merged.new.file.size_bytes;
        let adds = vec![merged.new];
        let purpose = if merged.rows_repeated == 0 { Purpose::Compaction } else { Purpose::Repeats };
        let transaction = Transaction { purpose, adds, removes, watermark: None };
        self.committer.commit(&mut table, &transaction).await?;
        let counters = &self.counters;
        let count = |counter: &AtomicU64, by: u64| counter.fetch_add(by, Ordering::Relaxed);
        count(&counters.runs, 1);
        count(&counters.files_in, files_in);
        count(&counters.bytes_in, bytes_in);
        count(&counters.bytes_out, bytes_out);
        count(&counters.row_groups_copied, merged.row_groups_copied);
        count(&counters.rows_encoded, merged.rows_encoded);
        count(&counters.rows_repeated, merged.rows_repeated);
        Ok(Outcome::Busy)
    }

    /// Figures for status.
    pub(crate) fn status(&self) -> CompactionStatus {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CompactionStatus {
            runs: load(&self.counters.runs),
            failures: load(&self.counters.failures),
            files_in: load(&self.counters.files_in),
            bytes_in: load(&self.counters.bytes_in),
            bytes_out: load(&self.counters.bytes_out),
            row_groups_copied: load(&self.counters.row_groups_copied),
            rows_encoded: load(&self.counters.rows_encoded),
            rows_repeated: load(&self.counters.rows_repeated),
        }
    }
}

//! [`Committer`]: the one way to change which files count, for whoever flushes, compacts, expires or sets aside.
//!
//! Holding the table's lock makes a commit the only one. What follows a commit is done here, once for all: readers see the
//! new list, batches leave the buffer, segments of the log and replaced files become free to go.

use std::sync::Arc;

use tokio::sync::{Mutex, MutexGuard};

use crate::ballast::Ballast;
use crate::buffer::Buffer;
use crate::failpoint::{Point, pass};
use crate::flush::stopped;
use crate::index::{Indexes, Keeper};
use crate::object::StoredRounds;
use crate::parquet::writer::NewFile;
use crate::place::Place;
use crate::table::{Purpose, Settled, Table, Transaction};
use crate::vacuum::Vacuum;
use crate::wal::health::Health;
use crate::wal::retention::Segments;
use crate::{Clock, DataFile, Result, StorageError};

/// What a commit touches.
#[derive(Debug)]
pub(crate) struct Committer {
    pub(crate) place: Place,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) buffer: Arc<Buffer>,
    pub(crate) segments: Arc<Segments>,
    pub(crate) rounds: Option<Arc<StoredRounds>>,
    pub(crate) vacuum: Arc<Vacuum>,
    pub(crate) ballast: Arc<Ballast>,
    pub(crate) keeper: Arc<Keeper>,
    pub(crate) health: Arc<Health>,
    table: Mutex<Table>,
}

impl Committer {
    /// The committer of a table.
    #[expect(clippy::too_many_arguments, reason = "one call site; they are what a commit touches")]
    pub(crate) fn new(
        place: Place,
        clock: Arc<dyn Clock>,
        buffer: Arc<Buffer>,
        segments: Arc<Segments>,
        rounds: Option<Arc<StoredRounds>>,
        vacuum: Arc<Vacuum>,
        ballast: Arc<Ballast>,
        keeper: Arc<Keeper>,
        health: Arc<Health>,
        table: Table,
    ) -> Self {
        Self { place, clock, buffer, segments, rounds, vacuum, ballast, keeper, health, table: Mutex::new(table) }
    }

    /// The table, once it is known how the last commit ended.
    ///
    /// # Errors
    /// [`StorageError::Table`] when that still cannot be found out; nothing may be committed until then.
    pub(crate) async fn lock(&self) -> Result<MutexGuard<'_, Table>> {
        let mut table = self.table.lock().await;
        match table.settle().await? {
            // Whether it is on a local disk is not known, so nothing that it replaces may go yet.
            Some(Settled::Stands(transaction)) => self.stands(&table, &transaction, self.place.is_remote()),
            Some(Settled::Failed(transaction)) => self.discard(transaction.adds).await,
            None => {}
        }
        Ok(table)
    }

    /// Commits. When it fails for good, the new files are removed.
    ///
    /// # Errors
    /// As [`Table::commit`].
    pub(crate) async fn commit(&self, table: &mut Table, transaction: &Transaction) -> Result<()> {
        let mut outcome = table.commit(transaction, self.clock.now()).await;
        if matches!(&outcome, Err(error) if is_disk_full(error)) && !table.is_unsettled() && self.ballast.release() {
            outcome = table.commit(transaction, self.clock.now()).await;
        }
        match outcome {
            Ok(commit) => {
                self.stands(table, transaction, commit.durable);
                self.checkpoint(table).await;
                Ok(())
            }
            Err(error) => {
                if let Some(reason) = table.fenced() {
                    self.health.refuse_writes(reason.to_owned());
                }
                if !table.is_unsettled() {
                    self.discard(transaction.adds.clone()).await;
                }
                Err(error)
            }
        }
    }

    /// Removes files that no commit names.
    pub(crate) async fn discard(&self, new: Vec<NewFile>) {
        let (place, indexes) = (self.place.clone(), self.keeper.indexes().clone());
        let removed = tokio::task::spawn_blocking(move || remove_uncommitted(&place, &indexes, &new)).await;
        if let Err(error) = removed.map_err(|error| stopped(&error)) {
            tracing::warn!(%error, "uncommitted files are left");
        }
    }

    /// Looks whether others have written to a table in a store: another engine, or another server that took it over. Whether the
    /// table is still this server's.
    ///
    /// # Errors
    /// As [`Committer::lock`].
    pub(crate) async fn look_for_others(&self) -> Result<bool> {
        if !self.place.is_remote() {
            return Ok(true);
        }
        let mut table = self.lock().await?;
        let followed = self.catch_up(&mut table).await;
        if table.fenced().is_some() { Ok(false) } else { followed.map(|()| true) }
    }

    /// Follows what others have committed to a table in a store. Before a file counts as missing: it may have been replaced.
    ///
    /// # Errors
    /// As [`Committer::lock`], and [`StorageError::ReadOnly`] when another server has the table.
    pub(crate) async fn catch_up(&self, table: &mut Table) -> Result<()> {
        if !self.place.is_remote() {
            return Ok(());
        }
        let followed = table.follow_others().await;
        if let Some(reason) = table.fenced() {
            self.health.refuse_writes(reason.to_owned());
        }
        if followed? {
            self.buffer.committed(None, table.files().to_vec(), true);
        }
        Ok(())
    }

    /// Takes files that cannot be read out of the log. When that fails, the next open does it.
    pub(crate) async fn remove_damaged(&self, table: &mut Table, removes: Vec<DataFile>) {
        let transaction = Transaction { purpose: Purpose::Damage, adds: Vec::new(), removes, watermark: None };
        if let Err(error) = self.commit(table, &transaction).await {
            tracing::warn!(%error, "the log still names a damaged file; other engines stop at it");
        }
    }

    fn stands(&self, table: &Table, transaction: &Transaction, durable: bool) {
        let removes = !transaction.removes.is_empty();
        pass(Point::CommitDone);
        self.buffer.committed(transaction.watermark, table.files().to_vec(), removes);
        pass(Point::CommitVisible);
        self.keeper.look_at(transaction.adds.iter().map(|new| new.file.clone()));
        // A damaged file goes to quarantine.
        if transaction.purpose != Purpose::Damage {
            self.vacuum.take(&transaction.removes, self.clock.now(), self.buffer.generation());
        }
        if durable {
            self.vacuum.commits_are_durable();
            match (&self.rounds, transaction.watermark) {
                (Some(rounds), Some(watermark)) => rounds.cover(watermark),
                (None, Some(watermark)) => self.segments.cover(watermark),
                (_, None) => {}
            }
        }
    }

    /// A checkpoint that fails costs time at the next open and nothing else.
    async fn checkpoint(&self, table: &mut Table) {
        if let Err(error) = table.checkpoint_if_due().await {
            tracing::warn!(%error, source = ?std::error::Error::source(&error), "cannot write a checkpoint");
        }
    }
}

/// Files that no commit names; one that cannot be removed now is removed at the next open.
pub(crate) fn remove_uncommitted(place: &Place, indexes: &Indexes, new: &[NewFile]) {
    for file in new {
        let removed = place.remove(&file.file.path).and_then(|()| indexes.remove(&file.file.path));
        if let Err(error) = removed {
            tracing::warn!(path = %file.file.path, %error, "an uncommitted file is left");
        }
    }
}

/// Whether a full disk is behind the error.
pub(crate) fn is_disk_full(error: &StorageError) -> bool {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        if matches!(error.downcast_ref(), Some(StorageError::DiskFull { .. })) {
            return true;
        }
        next = error.source();
    }
    false
}

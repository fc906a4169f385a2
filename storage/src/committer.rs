//! [`Committer`]: the one way to change which files count, for whoever flushes, compacts, expires or sets aside.
//!
//! Holding the table's lock makes a commit the only one. What follows a commit is done here, once for all: readers see the
//! new list, batches leave the buffer, segments of the log and replaced files become free to go.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::{Mutex, MutexGuard};

use crate::ballast::Ballast;
use crate::buffer::Buffer;
use crate::failpoint::{Point, pass};
use crate::fs::Fs;
use crate::index::{Indexes, Keeper};
use crate::parquet::writer::NewFile;
use crate::table::{Purpose, Settled, Table, Transaction};
use crate::vacuum::Vacuum;
use crate::wal::retention::Segments;
use crate::{Clock, DataFile, Result, StorageError};

/// What a commit touches.
#[derive(Debug)]
pub(crate) struct Committer {
    pub(crate) fs: Fs,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) buffer: Arc<Buffer>,
    pub(crate) segments: Arc<Segments>,
    pub(crate) vacuum: Arc<Vacuum>,
    pub(crate) ballast: Arc<Ballast>,
    pub(crate) keeper: Arc<Keeper>,
    table: Mutex<Table>,
}

impl Committer {
    /// The committer of a table.
    #[expect(clippy::too_many_arguments, reason = "one call site; they are what a commit touches")]
    pub(crate) fn new(
        fs: Fs,
        clock: Arc<dyn Clock>,
        buffer: Arc<Buffer>,
        segments: Arc<Segments>,
        vacuum: Arc<Vacuum>,
        ballast: Arc<Ballast>,
        keeper: Arc<Keeper>,
        table: Table,
    ) -> Self {
        Self { fs, clock, buffer, segments, vacuum, ballast, keeper, table: Mutex::new(table) }
    }

    /// The table, once it is known how the last commit ended.
    ///
    /// # Errors
    /// [`StorageError::Table`] when that still cannot be found out; nothing may be committed until then.
    pub(crate) async fn lock(&self) -> Result<MutexGuard<'_, Table>> {
        let mut table = self.table.lock().await;
        match table.settle().await? {
            // Whether it is on disk is not known, so nothing that it replaces may go yet.
            Some(Settled::Stands(transaction)) => self.stands(&table, &transaction, false),
            Some(Settled::Failed(transaction)) => self.discard(&table, &transaction.adds),
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
                if !table.is_unsettled() {
                    self.discard(table, &transaction.adds);
                }
                Err(error)
            }
        }
    }

    /// Removes files that no commit names.
    pub(crate) fn discard(&self, table: &Table, new: &[NewFile]) {
        remove_uncommitted(&self.fs, self.keeper.indexes(), table.dir(), new);
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
        transaction.adds.iter().for_each(|new| self.keeper.want_missing(std::slice::from_ref(&new.file)));
        // A damaged file goes to quarantine.
        if transaction.purpose != Purpose::Damage {
            self.vacuum.take(&transaction.removes, self.clock.now(), self.buffer.generation());
        }
        if durable {
            self.vacuum.commits_are_durable();
            transaction.watermark.inspect(|&watermark| self.segments.cover(watermark));
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
pub(crate) fn remove_uncommitted(fs: &Fs, indexes: &Indexes, table_dir: &Path, new: &[NewFile]) {
    for file in new {
        let removed = fs.remove(&table_dir.join(&file.file.path)).and_then(|()| indexes.remove(&file.file.path));
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

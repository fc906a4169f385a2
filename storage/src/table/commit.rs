//! One step from one list of files to the next: a blind entry of our own, and how it ended.
//!
//! A write that fails may still have put its entry in place, so what stands in the log decides. When even that cannot
//! be read, the transaction is kept and looked up before anything else is committed.
//!
//! In a store a write whose answer is lost may still be on its way and take place later, when its files may be gone. So it is
//! sent again under the same version until something stands there: its own entry, or another one that keeps it out for good.

use bytes::Bytes;
use deltalake_core::kernel::transaction::TransactionError;
use deltalake_core::logstore::{CommitOrBytes, LogStoreRef};

use super::{APP_ID, EPOCH_APP_ID, Table, WRITER_APP_ID, actions, cannot, refusal};
use crate::failpoint::{Point, hit};
use crate::parquet::writer::NewFile;
use crate::{DataFile, Result, StorageError, UnixNanos};
use actions::Change;

/// A commit gives up after losing to this many other writers.
const RACES_MAX: u32 = 100;

/// Why files come and go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// New spans.
    Flush,
    /// The same spans in other files.
    Compaction,
    /// The same spans in other files, without those that stood there twice.
    Repeats,
    /// Spans that are kept no longer.
    Retention,
    /// A file that cannot be read.
    Damage,
}

impl Purpose {
    /// As Delta names it.
    pub(super) fn operation(self) -> &'static str {
        match self {
            Self::Flush => "WRITE",
            Self::Compaction => "OPTIMIZE",
            Self::Repeats | Self::Retention | Self::Damage => "DELETE",
        }
    }

    /// Whether the rows of the table are others afterwards.
    pub(super) fn changes_data(self) -> bool {
        self != Self::Compaction
    }
}

/// What is to be committed in one step.
#[derive(Debug, Clone)]
pub(crate) struct Transaction {
    /// Why.
    pub(crate) purpose: Purpose,
    /// Files that count from now on; they are on disk.
    pub(crate) adds: Vec<NewFile>,
    /// Files that count no more.
    pub(crate) removes: Vec<DataFile>,
    /// The seq up to which requests are in files, when that changes.
    pub(crate) watermark: Option<u64>,
}

/// A commit whose outcome could not be read back.
#[derive(Debug)]
pub(super) struct Unsettled {
    version: u64,
    entry: Bytes,
    transaction: Transaction,
}

/// How a commit ended, when it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Commit {
    /// Whether the commit is known to survive a power cut. If not, what it replaces must be kept until one that is.
    pub(crate) durable: bool,
}

/// How an unsettled commit ended.
#[derive(Debug)]
pub(crate) enum Settled {
    /// It stands.
    Stands(Transaction),
    /// It does not; its new files are in no commit.
    Failed(Transaction),
}

impl Table {
    /// Commits in one step.
    ///
    /// # Errors
    /// [`crate::StorageError::Table`] or [`crate::StorageError::Io`]: the commit is not there, and its new files may be
    /// removed, unless [`Table::is_unsettled`] says that nobody knows.
    pub(crate) async fn commit(&mut self, transaction: &Transaction, now: UnixNanos) -> Result<Commit> {
        let entry =
            Bytes::from(actions::entry(transaction, &self.app_id, self.claimed.filter(|_| self.app_id == APP_ID), now));
        let log_store = self.builder()?.build_storage().map_err(cannot("open"))?;
        hit(Point::CommitBegin)?;
        for _ in 0..RACES_MAX {
            self.check_owned()?;
            self.check_removes(transaction)?;
            let version = self.version.saturating_add(1);
            let outcome = write_entry(&log_store, version, &entry).await;
            if self.place.is_remote() && outcome.is_ok() {
                self.adopt(version, transaction);
                return Ok(Commit { durable: true });
            }
            let durable = outcome.is_ok() || self.place.is_remote();
            let found = match log_store.read_commit_entry(version).await {
                Ok(found) => found,
                Err(error) => {
                    self.unsettled = Some(Unsettled { version, entry, transaction: transaction.clone() });
                    return Err(cannot("read")(error));
                }
            };
            match found {
                Some(found) if found == entry => {
                    if let Err(error) = outcome {
                        tracing::warn!(%error, version, "the commit stands but may not be on disk yet");
                    }
                    self.adopt(version, transaction);
                    return Ok(Commit { durable });
                }
                Some(foreign) => self.follow(version, &foreign)?,
                None if self.place.is_remote() => {
                    self.unsettled = Some(Unsettled { version, entry, transaction: transaction.clone() });
                    return outcome.map(|()| Commit { durable }).map_err(cannot("commit to"));
                }
                None => outcome.map_err(cannot("commit to"))?,
            }
        }
        Err(refusal("commit to", format!("lost against {RACES_MAX} other writers")))
    }

    /// What another writer has removed cannot be replaced any more: its rows would come back.
    fn check_removes(&self, transaction: &Transaction) -> Result<()> {
        for removed in &transaction.removes {
            if !self.files.iter().any(|file| file.path == removed.path) {
                return Err(refusal("commit to", format!("{} has left it meanwhile", removed.path)));
            }
        }
        Ok(())
    }

    /// Whether the last commit may or may not stand.
    pub(crate) fn is_unsettled(&self) -> bool {
        self.unsettled.is_some()
    }

    /// Finds out how an unsettled commit ended.
    ///
    /// # Errors
    /// [`crate::StorageError::Table`] when the log still cannot be read; nothing may be committed until then.
    pub(crate) async fn settle(&mut self) -> Result<Option<Settled>> {
        let Some(unsettled) = self.unsettled.take() else {
            return Ok(None);
        };
        let log_store = self.builder()?.build_storage().map_err(cannot("open"))?;
        if self.place.is_remote()
            && let Err(error) = write_entry(&log_store, unsettled.version, &unsettled.entry).await
        {
            tracing::debug!(%error, version = unsettled.version, "what stands in the log decides");
        }
        match log_store.read_commit_entry(unsettled.version).await {
            Ok(None) if self.place.is_remote() => {
                self.unsettled = Some(unsettled);
                Err(refusal("commit to", "it is not known yet whether the last commit took place".to_owned()))
            }
            Err(error) => {
                self.unsettled = Some(unsettled);
                Err(cannot("read")(error))
            }
            Ok(Some(found)) if found == unsettled.entry => {
                self.adopt(unsettled.version, &unsettled.transaction);
                Ok(Some(Settled::Stands(unsettled.transaction)))
            }
            Ok(_) => Ok(Some(Settled::Failed(unsettled.transaction))),
        }
    }

    fn adopt(&mut self, version: u64, transaction: &Transaction) {
        self.version = version;
        self.commits_since_checkpoint = self.commits_since_checkpoint.saturating_add(1);
        transaction.removes.iter().for_each(|file| self.forget(&file.path));
        transaction.adds.iter().for_each(|file| self.files.push(file.file.clone()));
    }

    /// Another writer, say another engine's OPTIMIZE, took the version. Its changes to the list of files are ours
    /// too; a change of schema or protocol is not one we can follow.
    fn follow(&mut self, version: u64, entry: &[u8]) -> Result<()> {
        for change in actions::parse(entry)? {
            match change {
                Change::Add(added) => self.add(added),
                Change::Remove(path, removed) => {
                    self.forget(&path);
                    // Whoever opens the table takes these; later ones are their remover's to vacuum.
                    if self.place.is_remote() && self.claimed.is_none() {
                        self.tombstones.insert(path, removed);
                    }
                }
                Change::Progress(app, version) => self.take_note(&app, version),
                Change::Table => {
                    let reason = "another writer changed its schema or protocol; restart to load it";
                    return Err(refusal("follow", reason.to_owned()));
                }
            }
        }
        self.version = version;
        Ok(())
    }

    fn take_note(&mut self, app: &str, version: u64) {
        if app == self.app_id {
            self.watermark = self.watermark.max(version);
        }
        match app {
            APP_ID => self.rounds_from.seq = self.rounds_from.seq.max(version.saturating_add(1)),
            EPOCH_APP_ID => self.rounds_from.epoch = self.rounds_from.epoch.max(version),
            _ => {}
        }
        if app == WRITER_APP_ID {
            self.epoch = self.epoch.max(version);
            if self.claimed.is_some_and(|mine| version > mine) {
                tracing::error!(
                    "another server has taken the table in the store over; this one takes no writes any more"
                );
                self.fenced = Some(
                    "another server has taken over the table in the object store; stop one of the two, then restart this one"
                        .to_owned(),
                );
            }
        }
    }

    /// Why nothing can be committed any more: another server has the table.
    pub(crate) fn fenced(&self) -> Option<&str> {
        self.fenced.as_deref()
    }

    fn check_owned(&self) -> Result<()> {
        self.fenced.clone().map_or(Ok(()), |reason| Err(StorageError::ReadOnly { reason }))
    }

    /// Makes the table in a store this server's own: every server that had it before finds this entry where it wants to write
    /// its next one. Whatever was written meanwhile is followed first, also what a list that was behind did not show.
    ///
    /// # Errors
    /// [`crate::StorageError::Table`] when the store gives no answer.
    pub(super) async fn claim(&mut self, now: UnixNanos) -> Result<()> {
        let log_store = self.builder()?.build_storage().map_err(cannot("open"))?;
        let mut silences = 0;
        while silences < RACES_MAX {
            let epoch = self.epoch.saturating_add(1);
            let entry = Bytes::from(actions::claim(epoch, now));
            let version = self.version.saturating_add(1);
            let outcome = write_entry(&log_store, version, &entry).await;
            match log_store.read_commit_entry(version).await {
                Ok(Some(found)) if found == entry => {
                    self.version = version;
                    self.commits_since_checkpoint = self.commits_since_checkpoint.saturating_add(1);
                    self.epoch = epoch;
                    self.claimed = Some(epoch);
                    return Ok(());
                }
                Ok(Some(foreign)) => self.follow(version, &foreign)?,
                Ok(None) | Err(_) if silences + 1 < RACES_MAX => {
                    silences += 1;
                    tracing::debug!(?outcome, version, "the claim on the table has no answer yet");
                }
                Ok(None) => outcome.map_err(cannot("claim"))?,
                Err(error) => return Err(cannot("claim")(error)),
            }
        }
        Err(refusal("claim", "the store gives no answer".to_owned()))
    }

    /// Follows what others have committed; whether there was something.
    ///
    /// # Errors
    /// As [`Table::commit`].
    pub(crate) async fn follow_others(&mut self) -> Result<bool> {
        let log_store = self.builder()?.build_storage().map_err(cannot("open"))?;
        for followed in 0..RACES_MAX {
            self.check_owned()?;
            let version = self.version.saturating_add(1);
            match log_store.read_commit_entry(version).await.map_err(cannot("read"))? {
                Some(foreign) => self.follow(version, &foreign)?,
                None => return Ok(followed > 0),
            }
        }
        Ok(true)
    }
}

async fn write_entry(log_store: &LogStoreRef, version: u64, entry: &Bytes) -> Result<(), TransactionError> {
    log_store.write_commit_entry(version, CommitOrBytes::LogBytes(entry.clone()), Default::default()).await
}

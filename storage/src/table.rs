//! The Delta table: which files count.
//!
//! `deltalake-core` reads the log, writes checkpoints and removes expired log files. Appends do not go through its
//! commit loop, which grows from 20 to 136 ms a commit on one long-lived handle and leaks: a flush is one blind append,
//! [`LogStore::write_commit_entry`] of a JSON that we make ([`actions`]), 0.1 ms. All of it goes through a store that
//! syncs ([`synced_store`]), since `object_store` 0.13 does not.
//!
//! [`LogStore::write_commit_entry`]: deltalake_core::logstore::LogStore::write_commit_entry

mod actions;
mod synced_store;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use deltalake_core::kernel::transaction::TransactionError;
use deltalake_core::logstore::{CommitOrBytes, LogStoreRef};
use deltalake_core::{DeltaTable, DeltaTableBuilder, checkpoints};

use crate::fs::Fs;
use crate::parquet::writer::NewFile;
use crate::partition;
use crate::{Clock, DataFile, Result, StorageError, UnixNanos};
use actions::Change;
use synced_store::SyncedStore;

/// Folder of the table, below the data folder.
pub(crate) const FOLDER: &str = "spans";
/// Folder of the log, below the table's.
const LOG_FOLDER: &str = "_delta_log";
/// Under this name the log keeps the watermark: the seq up to which requests are in files.
pub(crate) const APP_ID: &str = "daytwo-wal";
/// An open reads at most this many commits behind a checkpoint.
const CHECKPOINT_EVERY: u64 = 100;
/// A commit gives up after losing to this many other writers.
const RACES_MAX: u32 = 100;

/// The table, as its one committer knows it.
#[derive(Debug)]
pub(crate) struct Table {
    store: Arc<SyncedStore>,
    dir: PathBuf,
    url: String,
    version: u64,
    commits_since_checkpoint: u64,
    files: Vec<DataFile>,
    hashes: HashMap<String, u128>,
    unsettled: Option<Unsettled>,
}

/// A commit whose outcome could not be read back.
#[derive(Debug)]
struct Unsettled {
    version: u64,
    entry: Bytes,
    new: Vec<NewFile>,
    watermark: u64,
}

/// How a commit ended, when it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Commit {
    /// Whether the commit is known to survive a power cut. If not, the WAL must be kept until one that is.
    pub(crate) durable: bool,
}

/// How an unsettled commit ended.
#[derive(Debug)]
pub(crate) enum Settled {
    /// It stands, with this watermark.
    Stands(u64),
    /// It does not; these files are in no commit.
    Failed(Vec<NewFile>),
}

impl Table {
    /// Opens the table, creating it if needed; returns it and its watermark.
    ///
    /// # Errors
    /// [`StorageError::Table`] when the log cannot be read or created; [`StorageError::Corrupt`] when there is none although
    /// there are data files, which a new log would make orphans of.
    pub(crate) async fn open(fs: &Fs, data_dir: &Path, clock: &dyn Clock) -> Result<(Self, u64)> {
        let dir = absolute(data_dir)?.join(FOLDER);
        if !has_log(fs, &dir)? {
            refuse_lost_log(fs, &dir)?;
            create(fs, &dir, clock.now())?;
        }
        Self::load(fs, dir).await
    }

    /// Opens the table for reading; `None` when there is none yet.
    ///
    /// # Errors
    /// [`StorageError::Table`] when the log cannot be read.
    pub(crate) async fn open_read_only(fs: &Fs, data_dir: &Path) -> Result<Option<(Self, u64)>> {
        let dir = absolute(data_dir)?.join(FOLDER);
        if has_log(fs, &dir)? { Self::load(fs, dir).await.map(Some) } else { Ok(None) }
    }

    async fn load(fs: &Fs, dir: PathBuf) -> Result<(Self, u64)> {
        let store = Arc::new(SyncedStore::new(fs.clone()));
        let url = format!("file://{}", dir.display());
        let mut table = Self {
            store,
            dir,
            url,
            version: 0,
            commits_since_checkpoint: 0,
            files: Vec::new(),
            hashes: HashMap::new(),
            unsettled: None,
        };
        let delta = table.handle().await?;
        let state = delta.snapshot().map_err(cannot("read"))?;
        table.version = state.version();
        table.commits_since_checkpoint = table.version % CHECKPOINT_EVERY;
        for view in state.log_data().iter() {
            #[expect(deprecated, reason = "the one way to an Add action's tags; the Arrow columns are private")]
            let added = actions::existing(&view.add_action());
            table.push(added);
        }
        let log_store = delta.log_store();
        let watermark = state.transaction_version(log_store.as_ref(), APP_ID).await.map_err(cannot("read"))?;
        Ok((table, watermark.and_then(|seq| u64::try_from(seq).ok()).unwrap_or(0)))
    }

    /// A fresh handle: long-lived ones grow with every commit.
    async fn handle(&self) -> Result<DeltaTable> {
        self.builder()?.load().await.map_err(cannot("open"))
    }

    fn builder(&self) -> Result<DeltaTableBuilder> {
        let url = deltalake_core::ensure_table_uri(&self.url).map_err(cannot("open"))?;
        let builder = DeltaTableBuilder::from_url(url.clone()).map_err(cannot("open"))?;
        let store: Arc<SyncedStore> = Arc::clone(&self.store);
        Ok(builder.with_storage_backend(store, url))
    }

    /// Folder of the table.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The committed files.
    pub(crate) fn files(&self) -> &[DataFile] {
        &self.files
    }

    /// The content hash of a committed file, if its commit has one.
    pub(crate) fn content_hash(&self, path: &str) -> Option<u128> {
        self.hashes.get(path).copied()
    }

    /// Takes a file that cannot be read out of the list kept here; the log stays as it is.
    pub(crate) fn forget(&mut self, path: &str) {
        self.files.retain(|file| file.path != path);
        self.hashes.remove(path);
    }

    /// Commits new files and the watermark that they reach, in one step.
    ///
    /// # Errors
    /// [`StorageError::Table`] or [`StorageError::Io`]: the commit is not there, and its files may be removed, unless
    /// [`Table::is_unsettled`] says that nobody knows.
    pub(crate) async fn append(&mut self, new: &[NewFile], watermark: u64, now: UnixNanos) -> Result<Commit> {
        let entry = Bytes::from(actions::append(new, APP_ID, watermark, now));
        let log_store = self.builder()?.build_storage().map_err(cannot("open"))?;
        for _ in 0..RACES_MAX {
            let version = self.version.saturating_add(1);
            let outcome = write_entry(&log_store, version, &entry).await;
            let durable = outcome.is_ok();
            // A failure may have come after the entry was in place, so what stands there decides.
            let found = match log_store.read_commit_entry(version).await {
                Ok(found) => found,
                Err(error) => {
                    self.unsettled = Some(Unsettled { version, entry, new: new.to_vec(), watermark });
                    return Err(cannot("read")(error));
                }
            };
            match found {
                Some(found) if found == entry => {
                    if let Err(error) = outcome {
                        tracing::warn!(%error, version, "the commit stands but may not be on disk yet");
                    }
                    self.adopt(version, new);
                    return Ok(Commit { durable });
                }
                Some(foreign) => self.follow(version, &foreign)?,
                None => outcome.map_err(cannot("commit to"))?,
            }
        }
        Err(refusal("commit to", format!("lost against {RACES_MAX} other writers")))
    }

    /// Whether the last commit may or may not stand.
    pub(crate) fn is_unsettled(&self) -> bool {
        self.unsettled.is_some()
    }

    /// Finds out how an unsettled commit ended: its watermark when it stands, its files when they can go.
    ///
    /// # Errors
    /// [`StorageError::Table`] when the log still cannot be read; nothing may be committed until then.
    pub(crate) async fn settle(&mut self) -> Result<Option<Settled>> {
        let Some(unsettled) = self.unsettled.take() else {
            return Ok(None);
        };
        let log_store = self.builder()?.build_storage().map_err(cannot("open"))?;
        match log_store.read_commit_entry(unsettled.version).await {
            Err(error) => {
                self.unsettled = Some(unsettled);
                Err(cannot("read")(error))
            }
            Ok(Some(found)) if found == unsettled.entry => {
                self.adopt(unsettled.version, &unsettled.new);
                Ok(Some(Settled::Stands(unsettled.watermark)))
            }
            Ok(_) => Ok(Some(Settled::Failed(unsettled.new))),
        }
    }

    fn adopt(&mut self, version: u64, new: &[NewFile]) {
        self.version = version;
        self.commits_since_checkpoint = self.commits_since_checkpoint.saturating_add(1);
        new.iter().for_each(|file| self.push(actions::added(file)));
    }

    /// Another writer, say another engine's OPTIMIZE, took the version. Its changes to the list of files are ours
    /// too; a change of schema or protocol is not one we can follow.
    fn follow(&mut self, version: u64, entry: &[u8]) -> Result<()> {
        for change in actions::parse(entry)? {
            match change {
                Change::Add(added) => self.add(added),
                Change::Remove(path) => self.forget(&path),
                Change::Table => {
                    let reason = "another writer changed its schema or protocol; restart to load it";
                    return Err(refusal("follow", reason.to_owned()));
                }
            }
        }
        self.version = version;
        Ok(())
    }

    fn add(&mut self, added: actions::Added) {
        self.forget(&added.file.path);
        self.push(added);
    }

    fn push(&mut self, added: actions::Added) {
        if let Some(hash) = added.content_hash {
            self.hashes.insert(added.file.path.clone(), hash);
        }
        self.files.push(added.file);
    }

    /// Writes a checkpoint when enough commits have gathered.
    ///
    /// # Errors
    /// [`StorageError::Table`]; nothing is lost, opens are slower until one succeeds.
    pub(crate) async fn checkpoint_if_due(&mut self) -> Result<()> {
        if self.commits_since_checkpoint < CHECKPOINT_EVERY {
            return Ok(());
        }
        let delta = self.handle().await?;
        checkpoints::create_checkpoint(&delta, None).await.map_err(cannot("checkpoint"))?;
        self.commits_since_checkpoint = 0;
        checkpoints::cleanup_metadata(&delta, None).await.map_err(cannot("clean the log of"))?;
        Ok(())
    }
}

async fn write_entry(log_store: &LogStoreRef, version: u64, entry: &Bytes) -> Result<(), TransactionError> {
    log_store.write_commit_entry(version, CommitOrBytes::LogBytes(entry.clone()), Default::default()).await
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|source| crate::fs::io_error("resolve", path, source))
}

fn has_log(fs: &Fs, dir: &Path) -> Result<bool> {
    let names = fs.list(&dir.join(LOG_FOLDER))?;
    Ok(names.iter().any(|name| name.ends_with(".json") && !name.starts_with('.')))
}

/// Writes version 0.
fn create(fs: &Fs, dir: &Path, now: UnixNanos) -> Result<()> {
    let log = dir.join(LOG_FOLDER);
    fs.create_dir_all(&log)?;
    fs.sync_dir(dir)?;
    fs.sync_dir(crate::fs::parent(dir))?;
    fs.write_durably_if_absent(&log.join(format!("{:020}.json", 0)), actions::create(now).as_bytes())?;
    Ok(())
}

fn cannot<E: std::error::Error + Send + Sync + 'static>(action: &'static str) -> impl Fn(E) -> StorageError {
    move |source| StorageError::Table { action, source: Box::new(source) }
}

fn refusal(action: &'static str, reason: String) -> StorageError {
    StorageError::Table { action, source: reason.into() }
}

/// Refuses a folder whose log is gone while its data files are not.
fn refuse_lost_log(fs: &Fs, dir: &Path) -> Result<()> {
    if !dir.is_dir() {
        return Ok(());
    }
    for folder in fs.list(dir)?.into_iter().filter(|name| partition::is_partition(name)) {
        if fs.list(&dir.join(&folder))?.iter().any(|name| partition::last_seq(name).is_some()) {
            let reason = "the Delta log is missing although there are data files; restore it from a copy, or move the data \
                          files elsewhere to start an empty table";
            return Err(StorageError::Corrupt { path: dir.join("_delta_log"), reason: reason.to_owned() });
        }
    }
    Ok(())
}

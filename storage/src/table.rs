//! The Delta table: which files count.
//!
//! `deltalake-core` reads the log, writes checkpoints and removes expired log files. Appends do not go through its
//! commit loop, which grows from 20 to 136 ms a commit on one long-lived handle and leaks: a flush is one blind append,
//! [`LogStore::write_commit_entry`] of a JSON that we make ([`actions`]), 0.1 ms. All of it goes through a store that
//! syncs ([`synced_store`]), since `object_store` 0.13 does not.
//!
//! [`LogStore::write_commit_entry`]: deltalake_core::logstore::LogStore::write_commit_entry

mod actions;
mod commit;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod fixture;
mod synced_store;

pub(crate) use commit::{Purpose, Settled, Transaction};

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use deltalake_core::{DeltaTable, DeltaTableBuilder, checkpoints};
use futures::TryStreamExt;

use crate::failpoint::{Point, hit};
use crate::fs::Fs;
use crate::partition;
use crate::{Clock, DataFile, Result, StorageError, UnixNanos};
use commit::Unsettled;
use synced_store::SyncedStore;

/// Folder of the table, below the data folder.
pub(crate) const FOLDER: &str = "spans";
/// Folder of the log, below the table's.
const LOG_FOLDER: &str = "_delta_log";
/// Under this name the log keeps the watermark: the seq up to which requests are in files.
pub(crate) const APP_ID: &str = "daytwo-wal";
/// An open reads at most this many commits behind a checkpoint.
const CHECKPOINT_EVERY: u64 = 100;

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
    /// Files that the log remembers as removed, and when; what of them is still on disk is for the vacuum.
    tombstones: HashMap<String, UnixNanos>,
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
        // What the last process could not sync is on disk before anything that it replaces goes.
        fs.sync_dir(&dir.join(LOG_FOLDER))?;
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
            tombstones: HashMap::new(),
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
        let mut tombstones = state.all_tombstones(log_store.as_ref());
        while let Some(tombstone) = tombstones.try_next().await.map_err(cannot("read"))? {
            let removed = UnixNanos(tombstone.deletion_timestamp().unwrap_or(0).saturating_mul(1_000_000));
            table.tombstones.insert(tombstone.path().into_owned(), removed);
        }
        drop(tombstones);
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

    /// Its version: one more with each commit.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// The committed files.
    pub(crate) fn files(&self) -> &[DataFile] {
        &self.files
    }

    /// The content hash of a committed file, if its commit has one.
    pub(crate) fn content_hash(&self, path: &str) -> Option<u128> {
        self.hashes.get(path).copied()
    }

    /// Files that the log remembered as removed when it was loaded, and when they were.
    pub(crate) fn take_tombstones(&mut self) -> HashMap<String, UnixNanos> {
        std::mem::take(&mut self.tombstones)
    }

    /// Takes a file that cannot be read out of the list kept here, also when the log cannot be told.
    pub(crate) fn forget(&mut self, path: &str) {
        self.files.retain(|file| file.path != path);
        self.hashes.remove(path);
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
        hit(Point::CheckpointBegin)?;
        checkpoints::create_checkpoint(&delta, None).await.map_err(cannot("checkpoint"))?;
        hit(Point::CheckpointWritten)?;
        self.commits_since_checkpoint = 0;
        checkpoints::cleanup_metadata(&delta, None).await.map_err(cannot("clean the log of"))?;
        Ok(())
    }
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
        if fs.list(&dir.join(&folder))?.iter().any(|name| partition::FileName::parse(name).is_some()) {
            let reason = "the Delta log is missing although there are data files; restore it from a copy, or move the data \
                          files elsewhere to start an empty table";
            return Err(StorageError::Corrupt { path: dir.join("_delta_log"), reason: reason.to_owned() });
        }
    }
    Ok(())
}

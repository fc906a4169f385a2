//! The Delta table: which files count.
//!
//! `deltalake-core` reads the log, writes checkpoints and removes expired log files. Appends do not go through its
//! commit loop, which grows from 20 to 136 ms a commit on one long-lived handle and leaks: a flush is one blind append,
//! [`LogStore::write_commit_entry`] of a JSON that we make ([`actions`]), 0.1 ms. All of it goes through a store that
//! syncs ([`synced_store`]), since `object_store` 0.13 does not.
//!
//! A table in a store of objects ([`in_store`]) has the same log, written with conditional puts. Whoever opens it for writing
//! claims it by a commit, so that another server which still writes to it finds out at its next one.
//!
//! [`LogStore::write_commit_entry`]: deltalake_core::logstore::LogStore::write_commit_entry

mod actions;
mod commit;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod fixture;
mod in_store;
mod synced_store;

pub(crate) use commit::{Purpose, Settled, Transaction};

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use deltalake_core::{DeltaTable, DeltaTableBuilder, checkpoints};
use futures::TryStreamExt;
use object_store::ObjectStore;

use crate::failpoint::{Point, hit};
use crate::fs::Fs;
use crate::object::Position;
use crate::partition;
use crate::place::Place;
use crate::{Clock, DataFile, Result, StorageError, UnixNanos};
use commit::Unsettled;
use synced_store::SyncedStore;

/// Folder of the table, below the data folder.
pub(crate) const FOLDER: &str = "spans";
/// Folder of the log, below the table's.
const LOG_FOLDER: &str = "_delta_log";
/// Under this name the log keeps the watermark: the seq up to which requests are in files.
pub(crate) const APP_ID: &str = "daytwo-wal";
/// Under this name the log of a table in a store keeps in which server's rounds the first request behind [`APP_ID`]'s watermark is,
/// for requests that are acknowledged there.
pub(crate) const EPOCH_APP_ID: &str = "daytwo-wal-epoch";
/// Under this name the log of a table in a store counts the servers that had it.
pub(crate) const WRITER_APP_ID: &str = "daytwo-writer";
const LOST_LOG: &str = "the Delta log is missing although there are data files; restore it from a copy, or move the data \
                        files elsewhere to start an empty table";
/// An open reads at most this many commits behind a checkpoint.
const CHECKPOINT_EVERY: u64 = 100;

/// The table, as its one committer knows it.
#[derive(Debug)]
pub(crate) struct Table {
    place: Place,
    /// The log's files, as Delta's library sees them.
    store: Arc<dyn ObjectStore>,
    url: String,
    /// Under this name the log keeps this folder's watermark.
    app_id: String,
    watermark: u64,
    /// The last claim on a table in a store, and this server's own.
    epoch: u64,
    claimed: Option<u64>,
    /// Where requests begin that were acknowledged in the store and are in no file.
    rounds_from: Position,
    fenced: Option<String>,
    #[cfg(test)]
    reads: Arc<std::sync::atomic::AtomicU64>,
    version: u64,
    commits_since_checkpoint: u64,
    files: Vec<DataFile>,
    unsettled: Option<Unsettled>,
    /// Files that the log remembers as removed, and when; what of them is still on disk is for the vacuum.
    tombstones: HashMap<String, UnixNanos>,
}

impl Table {
    /// Opens the table, creating it if needed; returns it and the watermark of `app_id`.
    ///
    /// # Errors
    /// [`StorageError::Table`] when the log cannot be read or created; [`StorageError::Corrupt`] when there is none although
    /// there are data files, which a new log would make orphans of.
    pub(crate) async fn open(place: &Place, app_id: &str, clock: &dyn Clock) -> Result<(Self, u64)> {
        if let Some(remote) = place.store() {
            return in_store::open(place, remote, app_id, clock.now()).await;
        }
        let place = absolute(place)?;
        let (fs, dir) = (place.fs(), place.dir());
        if !has_log(fs, dir)? {
            refuse_lost_log(fs, dir)?;
            create(fs, dir, clock.now())?;
        }
        // What the last process could not sync is on disk before anything that it replaces goes.
        fs.sync_dir(&dir.join(LOG_FOLDER))?;
        let table = Self::load_local(place, app_id).await?;
        let watermark = table.watermark;
        Ok((table, watermark))
    }

    /// Opens the table for reading; `None` when there is none yet.
    ///
    /// # Errors
    /// [`StorageError::Table`] when the log cannot be read.
    pub(crate) async fn open_read_only(place: &Place, app_id: &str) -> Result<Option<(Self, u64)>> {
        let table = match place.store() {
            Some(remote) => in_store::load(place, remote, app_id).await?,
            None => {
                let place = absolute(place)?;
                if has_log(place.fs(), place.dir())? { Some(Self::load_local(place, app_id).await?) } else { None }
            }
        };
        Ok(table.map(|table| {
            let watermark = table.watermark;
            (table, watermark)
        }))
    }

    async fn load_local(place: Place, app_id: &str) -> Result<Self> {
        let store = SyncedStore::new(place.fs().clone());
        #[cfg(test)]
        let reads = store.counter();
        let url = format!("file://{}", place.dir().display());
        let table = Self::unread(place, Arc::new(store), url, app_id);
        #[cfg(test)]
        let table = Self { reads, ..table };
        table.load().await
    }

    /// A table of whose log nothing was read yet.
    fn unread(place: Place, store: Arc<dyn ObjectStore>, url: String, app_id: &str) -> Self {
        Self {
            place,
            store,
            url,
            app_id: app_id.to_owned(),
            watermark: 0,
            epoch: 0,
            claimed: None,
            rounds_from: Position { epoch: 0, seq: 1 },
            fenced: None,
            #[cfg(test)]
            reads: Arc::default(),
            version: 0,
            commits_since_checkpoint: 0,
            files: Vec::new(),
            unsettled: None,
            tombstones: HashMap::new(),
        }
    }

    async fn load(mut self) -> Result<Self> {
        let delta = self.handle().await?;
        let state = delta.snapshot().map_err(cannot("read"))?;
        self.version = state.version();
        self.commits_since_checkpoint = self.version % CHECKPOINT_EVERY;
        for view in state.log_data().iter() {
            #[expect(deprecated, reason = "the one way to an Add action's tags; the Arrow columns are private")]
            let file = actions::existing(&view.add_action());
            self.files.push(file);
        }
        let log_store = delta.log_store();
        let mut tombstones = state.all_tombstones(log_store.as_ref());
        while let Some(tombstone) = tombstones.try_next().await.map_err(cannot("read"))? {
            let removed = actions::from_millis(tombstone.deletion_timestamp().unwrap_or(0));
            self.tombstones.insert(tombstone.path().into_owned(), removed);
        }
        drop(tombstones);
        let progress = async |app: &str| {
            let version = state.transaction_version(log_store.as_ref(), app).await.map_err(cannot("read"))?;
            Ok::<u64, StorageError>(version.and_then(|version| u64::try_from(version).ok()).unwrap_or(0))
        };
        self.watermark = progress(&self.app_id).await?;
        if self.place.is_remote() {
            self.epoch = progress(WRITER_APP_ID).await?;
            let (epoch, covered) = (progress(EPOCH_APP_ID).await?, progress(APP_ID).await?);
            self.rounds_from = Position { epoch, seq: covered.saturating_add(1) };
        }
        Ok(self)
    }

    /// A fresh handle: long-lived ones grow with every commit.
    async fn handle(&self) -> Result<DeltaTable> {
        self.builder()?.load().await.map_err(cannot("open"))
    }

    fn builder(&self) -> Result<DeltaTableBuilder> {
        let url = deltalake_core::ensure_table_uri(&self.url).map_err(cannot("open"))?;
        let builder = DeltaTableBuilder::from_url(url.clone()).map_err(cannot("open"))?;
        Ok(builder.with_storage_backend(Arc::clone(&self.store), url))
    }

    /// Where its files are.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// This server's claim on a table in a store; zero without one.
    pub(crate) fn claimed(&self) -> u64 {
        self.claimed.unwrap_or(0)
    }

    /// Where requests begin that were acknowledged in the store and are in no file.
    pub(crate) fn rounds_from(&self) -> Position {
        self.rounds_from
    }

    /// How far another folder's or way's requests are in files, as it was when the log was loaded.
    pub(crate) async fn progress_of(&self, app_id: &str) -> Result<u64> {
        let delta = self.handle().await?;
        let state = delta.snapshot().map_err(cannot("read"))?;
        let version = state.transaction_version(delta.log_store().as_ref(), app_id).await.map_err(cannot("read"))?;
        Ok(version.and_then(|version| u64::try_from(version).ok()).unwrap_or(0))
    }

    /// Its version: one more with each commit.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// The committed files.
    pub(crate) fn files(&self) -> &[DataFile] {
        &self.files
    }

    /// Files that the log remembered as removed when it was loaded, and when they were.
    pub(crate) fn take_tombstones(&mut self) -> HashMap<String, UnixNanos> {
        std::mem::take(&mut self.tombstones)
    }

    /// Takes a file that cannot be read out of the list kept here, also when the log cannot be told.
    pub(crate) fn forget(&mut self, path: &str) {
        self.files.retain(|file| file.path != path);
    }

    fn add(&mut self, file: DataFile) {
        self.forget(&file.path);
        self.files.push(file);
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

/// The same place with an absolute path, which the log's address needs.
fn absolute(place: &Place) -> Result<Place> {
    let path = place.dir();
    let dir = std::path::absolute(path).map_err(|source| crate::fs::io_error("resolve", path, source))?;
    Ok(Place::at(place.fs().clone(), dir))
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
            return Err(StorageError::Corrupt { path: dir.join(LOG_FOLDER), reason: LOST_LOG.to_owned() });
        }
    }
    Ok(())
}

//! Moves batches from the buffer to files.
//!
//! Order is what makes it safe: Parquet files on disk under their names, then one Delta commit that names them and the
//! watermark they reach, then the buffer gives the batches up, then WAL segments go. A crash between any two leaves
//! either files that no commit names, which the next open removes, or a WAL whose requests the watermark covers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

use crate::buffer::{Buffer, Buffered, Pending};
use crate::fs::{Fs, TEMPORARY_SUFFIX};
use crate::index::{Indexes, Keeper};
use crate::parquet::writer::{self, NewFile};
use crate::partition;
use crate::table::{Settled, Table};
use crate::wal::retention::Segments;
use crate::{Clock, DataFile, Result, StorageError};

/// The one that flushes.
#[derive(Debug)]
pub(crate) struct Flusher {
    pub(crate) fs: Fs,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) buffer: Arc<Buffer>,
    pub(crate) segments: Arc<Segments>,
    /// Holding it makes a flush the only one.
    pub(crate) table: Mutex<Table>,
    pub(crate) keeper: Arc<Keeper>,
    pub(crate) flushes: AtomicU64,
    pub(crate) failures: AtomicU64,
}

impl Flusher {
    /// Writes and commits everything that waits.
    ///
    /// # Errors
    /// What kept a file or the commit from being written; the batches stay in the buffer and in the WAL.
    pub(crate) async fn flush(&self) -> Result<()> {
        let mut table = self.table.lock().await;
        self.settle(&mut table).await?;
        let pending = self.buffer.pending();
        if pending.batches.is_empty() {
            return Ok(());
        }
        match self.write_and_commit(&mut table, pending).await {
            Ok(()) => {
                self.flushes.fetch_add(1, Ordering::Relaxed);
                self.checkpoint(&mut table).await;
                Ok(())
            }
            Err(error) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                Err(error)
            }
        }
    }

    /// A commit whose outcome was unknown is looked up before anything new is committed.
    async fn settle(&self, table: &mut Table) -> Result<()> {
        match table.settle().await? {
            Some(Settled::Stands(watermark)) => self.buffer.flushed(watermark, table.files().to_vec()),
            Some(Settled::Failed(files)) => remove_uncommitted(&self.fs, self.keeper.indexes(), table.dir(), &files),
            None => {}
        }
        Ok(())
    }

    async fn write_and_commit(&self, table: &mut Table, pending: Pending) -> Result<()> {
        let watermark = pending.watermark;
        let new = self.write_files(table.dir().to_owned(), pending).await?;
        let commit = match table.append(&new, watermark, self.clock.now()).await {
            Ok(commit) => commit,
            Err(error) => {
                if !table.is_unsettled() {
                    remove_uncommitted(&self.fs, self.keeper.indexes(), table.dir(), &new);
                }
                return Err(error);
            }
        };
        self.buffer.flushed(watermark, table.files().to_vec());
        new.iter().for_each(|new| self.keeper.want_missing(std::slice::from_ref(&new.file)));
        if commit.durable {
            self.segments.cover(watermark);
        }
        Ok(())
    }

    async fn write_files(&self, table_dir: PathBuf, pending: Pending) -> Result<Vec<NewFile>> {
        let (fs, indexes) = (self.fs.clone(), self.keeper.indexes().clone());
        let write = move || write_partitions(&fs, &indexes, &table_dir, &pending.batches);
        tokio::task::spawn_blocking(write).await.map_err(|error| stopped(&error))?
    }

    /// A checkpoint that fails costs time at the next open and nothing else.
    async fn checkpoint(&self, table: &mut Table) {
        if let Err(error) = table.checkpoint_if_due().await {
            tracing::warn!(%error, source = ?std::error::Error::source(&error), "cannot write a checkpoint");
        }
    }
}

fn stopped(error: &tokio::task::JoinError) -> StorageError {
    StorageError::ReadOnly { reason: format!("a background task ended: {error}") }
}

/// One file for each hour of reception.
fn write_partitions(fs: &Fs, indexes: &Indexes, table_dir: &Path, batches: &[Buffered]) -> Result<Vec<NewFile>> {
    let mut hours: BTreeMap<String, Vec<&Buffered>> = BTreeMap::new();
    for buffered in batches {
        hours.entry(partition::received_hour(buffered.received)).or_default().push(buffered);
    }
    let mut new = Vec::with_capacity(hours.len());
    for (hour, batches) in hours {
        match write_partition(fs, indexes, table_dir, &hour, &batches) {
            Ok(file) => new.push(file),
            Err(error) => {
                remove_uncommitted(fs, indexes, table_dir, &new);
                return Err(error);
            }
        }
    }
    Ok(new)
}

fn write_partition(fs: &Fs, indexes: &Indexes, table_dir: &Path, hour: &str, batches: &[&Buffered]) -> Result<NewFile> {
    let first_seq = batches.first().map_or(0, |buffered| buffered.seq);
    let last_seq = batches.last().map_or(0, |buffered| buffered.seq);
    let path = partition::file_path(hour, first_seq, last_seq, rand::random());
    let (new, index) = writer::write(fs, table_dir, &path, hour, batches)?;
    // The spans are what counts: an index that cannot be written now is made from the file later.
    if let Err(error) = indexes.write(&new, index) {
        tracing::warn!(path = %new.file.path, %error, "a file is committed without its index");
    }
    Ok(new)
}

/// Files that will be written anew; one that cannot be removed now is removed at the next open.
fn remove_uncommitted(fs: &Fs, indexes: &Indexes, table_dir: &Path, new: &[NewFile]) {
    for file in new {
        let removed = fs.remove(&table_dir.join(&file.file.path)).and_then(|()| indexes.remove(&file.file.path));
        if let Err(error) = removed {
            tracing::warn!(path = %file.file.path, %error, "an uncommitted file is left");
        }
    }
}

/// Removes what a crash left: unfinished files, and files of ours whose requests the watermark does not cover, which
/// therefore no commit ever named. Returns how many there were.
///
/// # Errors
/// [`StorageError::Io`] when a folder cannot be listed.
pub(crate) fn remove_orphans(fs: &Fs, table: &Table, watermark: u64) -> Result<usize> {
    let mut removed = 0;
    let folders = fs.list(table.dir())?.into_iter().filter(|name| partition::is_partition(name));
    for folder in folders {
        let dir = table.dir().join(&folder);
        for name in fs.list(&dir)? {
            let uncommitted = partition::last_seq(&name).is_some_and(|last_seq| last_seq > watermark);
            let path = format!("{folder}/{name}");
            let listed = table.files().iter().any(|file| file.path == path);
            if (name.ends_with(TEMPORARY_SUFFIX) || uncommitted) && !listed {
                fs.remove(&dir.join(&name))?;
                removed += 1;
            }
        }
    }
    Ok(removed)
}

/// Why a committed file cannot be used, if that shows without reading it: it is gone, cut, or has no Parquet ends.
/// A file that cannot be looked at now (no descriptor left, an I/O error that may pass) counts as whole.
pub(crate) fn damage(fs: &Fs, table_dir: &Path, file: &DataFile) -> Option<String> {
    look_at(fs, &table_dir.join(&file.path), file.size_bytes).unwrap_or_else(|error| {
        tracing::warn!(path = %file.path, %error, "a data file cannot be looked at now");
        None
    })
}

fn look_at(fs: &Fs, path: &Path, expected: u64) -> Result<Option<String>> {
    const MAGIC: [u8; 4] = *b"PAR1";
    let Some(size) = fs.size(path)? else {
        return Ok(Some("the file is missing".to_owned()));
    };
    if size != expected {
        return Ok(Some(format!("the file has {size} bytes instead of {expected}")));
    }
    let (mut first, mut last) = ([0; 4], [0; 4]);
    fs.read_exact_at(path, 0, &mut first)?;
    fs.read_exact_at(path, size.saturating_sub(4), &mut last)?;
    let whole = first == MAGIC && last == MAGIC;
    Ok((!whole).then(|| "the file does not begin and end as Parquet does".to_owned()))
}

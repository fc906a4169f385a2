//! [`Keeper`]: makes missing and damaged sidecars again, one at a time, beside everything else.

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::Indexes;
use crate::DataFile;
use crate::buffer::Buffer;

/// Which sidecars are to be made, and how that went.
#[derive(Debug)]
pub(crate) struct Keeper {
    indexes: Indexes,
    table_dir: PathBuf,
    /// Data files whose sidecar is to be made. At most as many as there are files.
    wanted: Mutex<BTreeSet<String>>,
    /// Data files of which none can be made; not tried again until the next start.
    unfit: Mutex<HashSet<String>>,
    work: Notify,
    made: AtomicU64,
    failed: AtomicU64,
}

impl Keeper {
    /// A keeper that has nothing to do yet.
    pub(crate) fn new(indexes: Indexes, table_dir: PathBuf) -> Self {
        Self {
            indexes,
            table_dir,
            wanted: Mutex::default(),
            unfit: Mutex::default(),
            work: Notify::new(),
            made: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    /// The sidecars.
    pub(crate) fn indexes(&self) -> &Indexes {
        &self.indexes
    }

    /// Sidecars made again since start.
    pub(crate) fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }

    /// Sidecars that could not be made since start.
    pub(crate) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Has the sidecar of a committed data file made, unless that was tried in vain.
    pub(crate) fn want(&self, file: &DataFile) {
        if self.unfit.lock().unwrap_or_else(PoisonError::into_inner).contains(&file.path) {
            return;
        }
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner).insert(file.path.clone());
        self.work.notify_one();
    }

    /// Has the sidecars made that are missing.
    pub(crate) fn want_missing(&self, files: &[DataFile]) {
        files.iter().filter(|file| self.indexes.size_of(&file.path).is_none()).for_each(|file| self.want(file));
    }

    /// Works until stopped. A file that has left the table meanwhile needs none.
    pub(crate) async fn run(self: Arc<Self>, buffer: Arc<Buffer>, stop: CancellationToken) {
        let (keeper, all) = (Arc::clone(&self), buffer.view(None).0.files);
        // A look at every file: off the reactor.
        if let Err(error) = tokio::task::spawn_blocking(move || keeper.want_missing(&all)).await {
            tracing::error!(%error, "the look for missing sidecars ended in a panic");
        }
        while !stop.is_cancelled() {
            let next = self.wanted.lock().unwrap_or_else(PoisonError::into_inner).pop_first();
            let Some(path) = next else {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = self.work.notified() => continue,
                }
            };
            if let Some(file) = buffer.file(&path) {
                self.make(file).await;
            }
        }
    }

    async fn make(self: &Arc<Self>, file: DataFile) {
        let (keeper, path) = (Arc::clone(self), file.path.clone());
        let made = tokio::task::spawn_blocking(move || keeper.indexes.rebuild(&keeper.table_dir, &file)).await;
        let reason = match made {
            Ok(Ok(())) => {
                self.made.fetch_add(1, Ordering::Relaxed);
                tracing::info!(path, "made a missing index");
                return;
            }
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        self.failed.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(path, reason, "a file stays without an index until the next start; it is scanned instead");
        self.unfit.lock().unwrap_or_else(PoisonError::into_inner).insert(path);
    }
}

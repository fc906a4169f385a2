//! [`Keeper`]: makes missing and damaged sidecars again, one at a time, beside everything else.

use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::Indexes;
use crate::buffer::Buffer;
use crate::place::Place;
use crate::{DataFile, StorageError};

/// Which sidecars are to be made, and how that went.
#[derive(Debug)]
pub(crate) struct Keeper {
    indexes: Indexes,
    place: Place,
    /// New data files that were not looked at yet.
    new: Mutex<Vec<DataFile>>,
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
    pub(crate) fn new(indexes: Indexes, place: Place) -> Self {
        Self {
            indexes,
            place,
            new: Mutex::default(),
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
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner).insert(file.path.clone());
        self.work.notify_one();
    }

    /// Has it seen to that new data files have sidecars.
    pub(crate) fn look_at(&self, files: impl Iterator<Item = DataFile>) {
        self.new.lock().unwrap_or_else(PoisonError::into_inner).extend(files);
        self.work.notify_one();
    }

    /// Has the sidecars made that are missing. Blocks on the disk.
    fn want_missing(&self, files: &[DataFile]) {
        self.indexes.missing(files).into_iter().for_each(|file| self.want(file));
    }

    /// As [`Keeper::want_missing`], off the reactor.
    async fn look_for_missing(self: &Arc<Self>, files: Arc<Vec<DataFile>>) {
        let keeper = Arc::clone(self);
        if let Err(error) = tokio::task::spawn_blocking(move || keeper.want_missing(&files)).await {
            tracing::error!(%error, "the look for missing sidecars ended in a panic");
        }
    }

    /// Works until stopped. A file that has left the table meanwhile needs none.
    pub(crate) async fn run(self: Arc<Self>, buffer: Arc<Buffer>, stop: CancellationToken) {
        let all = buffer.view(None).0.files;
        self.look_for_missing(all).await;
        while !stop.is_cancelled() {
            let new = std::mem::take(&mut *self.new.lock().unwrap_or_else(PoisonError::into_inner));
            if !new.is_empty() {
                self.look_for_missing(Arc::new(new)).await;
            }
            let next = self.wanted.lock().unwrap_or_else(PoisonError::into_inner).pop_first();
            let Some(path) = next else {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = self.work.notified() => continue,
                }
            };
            if let Some(file) = buffer.file(&path).filter(|_| !self.is_unfit(&path)) {
                self.make(file).await;
            }
        }
    }

    fn is_unfit(&self, path: &str) -> bool {
        self.unfit.lock().unwrap_or_else(PoisonError::into_inner).contains(path)
    }

    async fn make(self: &Arc<Self>, file: DataFile) {
        let (keeper, path) = (Arc::clone(self), file.path.clone());
        let made = tokio::task::spawn_blocking(move || keeper.indexes.rebuild(&keeper.place, &file)).await;
        let reason = match made {
            Ok(Ok(())) => {
                self.made.fetch_add(1, Ordering::Relaxed);
                tracing::info!(path, "made a missing index");
                return;
            }
            // A store that gives no answer says nothing of the file: a question that misses the index asks for it again.
            Ok(Err(error)) if self.place.is_remote() && matches!(error, StorageError::Io { .. }) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(path, %error, "an index cannot be made now; its file is scanned instead");
                return;
            }
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        tracing::warn!(path, reason, "a file stays without an index until the next start; it is scanned instead");
        self.unfit.lock().unwrap_or_else(PoisonError::into_inner).insert(path);
        self.failed.fetch_add(1, Ordering::Relaxed);
    }
}

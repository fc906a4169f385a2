//! Removes files that no list names any more, once nobody can be reading them: readers in this process are counted
//! (a snapshot holds its [`Generation`]), other engines have [`StorageConfig::vacuum_after`] to finish.
//!
//! What waits is found again at the next open: the log remembers what was removed and when. A file goes only after the
//! commit that removed it is on disk, so that no power cut brings back a list that names it.
//!
//! [`Generation`]: crate::buffer::Generation
//! [`StorageConfig::vacuum_after`]: crate::StorageConfig::vacuum_after

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::failpoint::{Point, pass};
use crate::index::Indexes;
use crate::place::Place;
use crate::{DataFile, UnixNanos};

/// A file that counts no more.
#[derive(Debug, Clone)]
pub(crate) struct Dead {
    /// Below the table's folder.
    pub(crate) path: String,
    /// Its size.
    pub(crate) size_bytes: u64,
    /// Since when it counts no more.
    pub(crate) removed: UnixNanos,
    /// The first list of files that does not name it.
    pub(crate) generation: u64,
    /// Whether the commit that removed it is on disk.
    pub(crate) durable: bool,
}

/// The files that are to go.
#[derive(Debug)]
pub(crate) struct Vacuum {
    place: Place,
    indexes: Indexes,
    after: Duration,
    dead: Mutex<Vec<Dead>>,
    files: AtomicU64,
    bytes: AtomicU64,
}

/// Figures of the vacuum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VacuumStatus {
    /// Files that wait to be removed.
    pub waiting_files: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
    /// Files removed since start.
    pub removed_files: u64,
    /// Their bytes.
    pub removed_bytes: u64,
}

impl Vacuum {
    /// A vacuum with what the open found.
    pub(crate) fn new(place: Place, indexes: Indexes, after: Duration, found: Vec<Dead>) -> Self {
        let (files, bytes) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { place, indexes, after, dead: Mutex::new(found), files, bytes }
    }

    fn dead(&self) -> MutexGuard<'_, Vec<Dead>> {
        self.dead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes files that a commit has removed; `generation` is the first list without them.
    pub(crate) fn take(&self, removed: &[DataFile], now: UnixNanos, generation: u64) {
        self.dead().extend(removed.iter().map(|file| Dead {
            path: file.path.clone(),
            size_bytes: file.size_bytes,
            removed: now,
            generation,
            durable: false,
        }));
    }

    /// A commit is on disk, and with it all before it.
    pub(crate) fn commits_are_durable(&self) {
        self.dead().iter_mut().for_each(|dead| dead.durable = true);
    }

    /// Bytes that will be free once everything that waits is gone.
    pub(crate) fn waiting_bytes(&self) -> u64 {
        self.dead().iter().map(|dead| dead.size_bytes).fold(0, u64::saturating_add)
    }

    /// Removes what may go, given the oldest list of files that is still read. On a disk that runs full (`hurry`), other
    /// engines are not waited for. Blocks on the disk.
    pub(crate) fn run(&self, now: UnixNanos, oldest_held: u64, hurry: bool) {
        let may_go = |dead: &Dead| {
            dead.durable && dead.generation <= oldest_held && (hurry || now.since(dead.removed) >= self.after)
        };
        let due: Vec<Dead> = self.dead().iter().filter(|dead| may_go(dead)).cloned().collect();
        let mut folders = BTreeMap::new();
        let mut gone = BTreeSet::new();
        for dead in due {
            pass(Point::VacuumUnlink);
            if let Err(error) = self.place.remove(&dead.path).and_then(|()| self.indexes.remove(&dead.path)) {
                tracing::warn!(path = %dead.path, %error, "cannot remove a file that counts no more");
                break;
            }
            self.files.fetch_add(1, Ordering::Relaxed);
            self.bytes.fetch_add(dead.size_bytes, Ordering::Relaxed);
            folders.insert(dead.path.split_once('/').map(|(folder, _)| folder.to_owned()), dead.path.clone());
            gone.insert(dead.path);
        }
        self.dead().retain(|dead| !gone.contains(&dead.path));
        for path in folders.values() {
            self.place.tidy(path);
            self.indexes.tidy(path);
        }
    }

    /// Figures for status.
    pub(crate) fn status(&self) -> VacuumStatus {
        let waiting_files = self.dead().len() as u64;
        VacuumStatus {
            waiting_files,
            waiting_bytes: self.waiting_bytes(),
            removed_files: self.files.load(Ordering::Relaxed),
            removed_bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}

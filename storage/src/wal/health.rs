//! How the log is doing: what status shows, and whether writes are taken.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::{Result, StorageError};

/// A second failure in a row, on a fresh segment, says that the disk is at fault and not one file.
const FAILURES_MAX: u32 = 2;

/// Counters and states of the log.
#[derive(Debug, Default)]
pub(crate) struct Health {
    read_only: Mutex<Option<String>>,
    disk_full: AtomicBool,
    failures: AtomicU32,
    syncs: AtomicU64,
    sync_ns_total: AtomicU64,
    sync_ns_max: AtomicU64,
}

impl Health {
    /// Why writes are refused, if they are.
    pub(crate) fn read_only(&self) -> Option<String> {
        self.read_only.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Refuses writes from now on; the first reason stays.
    pub(crate) fn refuse_writes(&self, reason: String) {
        self.read_only.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
    }

    /// # Errors
    /// [`StorageError::ReadOnly`] when writes are refused.
    pub(crate) fn check_writable(&self) -> Result<()> {
        self.read_only().map_or(Ok(()), |reason| Err(StorageError::ReadOnly { reason }))
    }

    /// Whether the last try to write found the disk full.
    pub(crate) fn is_disk_full(&self) -> bool {
        self.disk_full.load(Ordering::Relaxed)
    }

    /// Lets requests in again, so that one of them finds out whether there is room.
    pub(crate) fn try_disk_again(&self) {
        self.disk_full.store(false, Ordering::Relaxed);
    }

    /// A round is on disk.
    pub(crate) fn succeeded(&self) {
        self.failures.store(0, Ordering::Relaxed);
        self.try_disk_again();
    }

    /// A round failed. A full disk is nobody's fault and heals by itself.
    pub(crate) fn failed(&self, error: &StorageError) {
        match error {
            StorageError::DiskFull { path } => {
                if !self.disk_full.swap(true, Ordering::Relaxed) {
                    tracing::error!(path = %path.display(), "the disk is full: requests are refused until there is room");
                }
            }
            StorageError::Full { .. } | StorageError::ReadOnly { .. } => {}
            other => {
                let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
                tracing::error!(error = %other, source = ?std::error::Error::source(other), failures, "wal write failed");
                if failures >= FAILURES_MAX {
                    self.refuse_writes(format!("the wal cannot be written ({other}); check the disk, then restart"));
                }
            }
        }
    }

    /// A sync took this long.
    pub(crate) fn synced(&self, elapsed: Duration) {
        let ns = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.sync_ns_total.fetch_add(ns, Ordering::Relaxed);
        self.sync_ns_max.fetch_max(ns, Ordering::Relaxed);
    }

    /// Syncs so far, nanoseconds spent in them, and the longest.
    pub(crate) fn syncs(&self) -> (u64, u64, u64) {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (load(&self.syncs), load(&self.sync_ns_total), load(&self.sync_ns_max))
    }
}

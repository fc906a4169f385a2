//! How the log is doing: what status shows, and whether writes are taken.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::{Latencies, LatencyMeter, Result, StorageError, UnixNanos};

/// A second failed write or sync in a row, on a fresh segment, says that the disk is at fault and not one file.
const FAILURES_MAX: u32 = 2;
/// A healthy disk syncs in milliseconds; requests that come while one takes this long would only pile up behind it.
const STALLED_AFTER: Duration = Duration::from_secs(2);
/// No round is under way.
const IDLE: i64 = i64::MIN;

/// Why no segment can be made, which may pass.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Blocked {
    DiskFull,
    Failing(String),
}

/// Counters and states of the log.
#[derive(Debug)]
pub(crate) struct Health {
    read_only: Mutex<Option<String>>,
    blocked: Mutex<Option<Blocked>>,
    /// The log has been told that no segment can be made.
    blocked_logged: AtomicBool,
    /// When the round that is under way began, by the clock.
    round_began: AtomicI64,
    failures: AtomicU32,
    syncs: LatencyMeter,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            read_only: Mutex::default(),
            blocked: Mutex::default(),
            blocked_logged: AtomicBool::new(false),
            round_began: AtomicI64::new(IDLE),
            failures: AtomicU32::new(0),
            syncs: LatencyMeter::default(),
        }
    }
}

impl Health {
    fn blocked(&self) -> MutexGuard<'_, Option<Blocked>> {
        self.blocked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why requests are better refused now: for good, or until what keeps them out has passed.
    pub(crate) fn refusal(&self, now: UnixNanos) -> Option<String> {
        let blocked = || self.blocked().as_ref().map(Blocked::reason);
        self.read_only().or_else(blocked).or_else(|| self.stalled(now))
    }

    /// Whether a round has been under way for too long.
    fn stalled(&self, now: UnixNanos) -> Option<String> {
        let began = self.round_began.load(Ordering::Relaxed);
        let waited = now.since(UnixNanos(began));
        (began != IDLE && waited >= STALLED_AFTER)
            .then(|| format!("the disk has not confirmed a write for {} s", waited.as_secs()))
    }

    /// A round is on its way to the disk.
    pub(crate) fn round_began(&self, now: UnixNanos) {
        self.round_began.store(now.0, Ordering::Relaxed);
    }

    /// The round has ended, however it did.
    pub(crate) fn round_ended(&self) {
        self.round_began.store(IDLE, Ordering::Relaxed);
    }

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
        *self.blocked() == Some(Blocked::DiskFull)
    }

    /// Lets requests in again, so that one of them finds out whether a segment can be made.
    pub(crate) fn try_again(&self) {
        *self.blocked() = None;
    }

    /// No segment can be made: the disk is full, no descriptor is left. Neither is a reason to give up the disk, since
    /// nothing was lost and both may pass.
    pub(crate) fn no_segment(&self, error: &StorageError) {
        let blocked = match error {
            StorageError::DiskFull { .. } => Blocked::DiskFull,
            StorageError::Full { .. } | StorageError::ReadOnly { .. } => return,
            other => Blocked::Failing(other.to_string()),
        };
        if !self.blocked_logged.swap(true, Ordering::Relaxed) {
            tracing::error!(%error, source = ?std::error::Error::source(error), "no wal segment can be made: requests are refused until one can");
        }
        *self.blocked() = Some(blocked);
    }

    /// A round is on disk.
    pub(crate) fn succeeded(&self) {
        self.failures.store(0, Ordering::Relaxed);
        self.blocked_logged.store(false, Ordering::Relaxed);
        self.try_again();
    }

    /// A round could not be written or synced. A full disk heals by itself.
    pub(crate) fn failed(&self, error: &StorageError) {
        if matches!(error, StorageError::DiskFull { .. }) {
            return self.no_segment(error);
        }
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        tracing::error!(%error, source = ?std::error::Error::source(error), failures, "wal write failed");
        if failures >= FAILURES_MAX {
            self.refuse_writes(format!("the wal cannot be written ({error}); check the disk, then restart"));
        }
    }

    /// A sync took this long.
    pub(crate) fn synced(&self, elapsed: Duration) {
        self.syncs.record(elapsed);
    }

    /// Syncs so far, by how long they took.
    pub(crate) fn syncs(&self) -> Latencies {
        self.syncs.read()
    }
}

impl Blocked {
    fn reason(&self) -> String {
        match self {
            Self::DiskFull => "the disk is full".to_owned(),
            Self::Failing(error) => format!("no wal segment can be made: {error}"),
        }
    }
}

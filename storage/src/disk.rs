//! Watches the disk: warns, sheds before it is full, and lets requests in again once there is room.
//!
//! Shares are those that `df` shows: used of used plus available. A share alone would refuse spans on a large disk with
//! hundreds of gigabytes left, so past a fixed amount of free room no share matters.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::fs::{Fs, Space};

/// Percent that may be used, and free bytes past which no share matters.
#[derive(Debug, Clone, Copy)]
struct Mark {
    used_percent: u64,
    enough_bytes: u64,
}

/// From here on what can be freed is freed sooner.
const WARN: Mark = Mark { used_percent: 85, enough_bytes: 16 << 30 };
/// From here on requests are shed.
const SHED: Mark = Mark { used_percent: 92, enough_bytes: 8 << 30 };
/// Below this they are taken again.
const RESUME: Mark = Mark { used_percent: 90, enough_bytes: 10 << 30 };

/// How full the disk is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum DiskLevel {
    /// There is room.
    #[default]
    Ready,
    /// What can be freed is freed sooner.
    Warn,
    /// Requests are shed until there is room.
    Shed,
}

/// Figures of the disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskStatus {
    /// Bytes used of the file system, by whomever.
    pub used_bytes: u64,
    /// Bytes that may still be written.
    pub free_bytes: u64,
    /// How full it is.
    pub level: DiskLevel,
}

/// The disk of a data folder.
#[derive(Debug)]
pub(crate) struct Disk {
    fs: Fs,
    folder: PathBuf,
    /// Less than this free counts as full: two segments of the log.
    needed_bytes: u64,
    status: Mutex<DiskStatus>,
}

impl Disk {
    /// The disk that `folder` is on.
    pub(crate) fn new(fs: Fs, folder: PathBuf, segment_bytes: u64) -> Self {
        let needed_bytes = segment_bytes.saturating_mul(2);
        Self { fs, folder, needed_bytes, status: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, DiskStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the last look found.
    pub(crate) fn status(&self) -> DiskStatus {
        *self.lock()
    }

    /// Looks again.
    pub(crate) fn look(&self) -> DiskStatus {
        let Some(space) = self.fs.space(&self.folder) else {
            return self.status();
        };
        let mut status = self.lock();
        let before = status.level;
        let level = self.level(&space, before);
        *status = DiskStatus { used_bytes: space.used_bytes, free_bytes: space.free_bytes, level };
        let after = *status;
        drop(status);
        if level != before {
            let (free_bytes, used_bytes) = (space.free_bytes, space.used_bytes);
            match level {
                DiskLevel::Shed => tracing::error!(free_bytes, used_bytes, "the disk is full: requests are refused"),
                DiskLevel::Warn => tracing::warn!(free_bytes, used_bytes, "the disk runs full"),
                DiskLevel::Ready => tracing::info!(free_bytes, used_bytes, "the disk has room"),
            }
        }
        after
    }

    fn level(&self, space: &Space, before: DiskLevel) -> DiskLevel {
        let shed = if before == DiskLevel::Shed { RESUME } else { SHED };
        if shed.is_reached(space) || space.free_bytes < self.needed_bytes {
            DiskLevel::Shed
        } else if WARN.is_reached(space) {
            DiskLevel::Warn
        } else {
            DiskLevel::Ready
        }
    }
}

impl Mark {
    fn is_reached(self, space: &Space) -> bool {
        let over = |used: u64, free: u64| {
            let all = used.saturating_add(free);
            all > 0 && u128::from(used) * 100 >= u128::from(all) * u128::from(self.used_percent)
        };
        (space.free_bytes < self.enough_bytes && over(space.used_bytes, space.free_bytes))
            || (space.free_files < FILES_ENOUGH && over(space.used_files, space.free_files))
    }
}

/// Free inodes past which their share does not matter.
const FILES_ENOUGH: u64 = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn space(used_bytes: u64, free_bytes: u64) -> Space {
        Space { used_bytes, free_bytes, used_files: 0, free_files: 0 }
    }

    /// Scenario: disks from a few megabytes to terabytes at the marks and on both sides of them.
    /// Guarantees: small disks go by the share that is used, large ones by what is free; a disk that sheds takes requests
    /// again below nine tenths; two segments of the log must fit; inodes count too.
    #[test]
    fn marks_hold_on_small_and_large_disks() {
        let disk = Disk::new(Fs::default(), PathBuf::new(), 8 << 10);
        let level = |used, free, before| disk.level(&space(used, free), before);
        let (ready, warn, shed) = (DiskLevel::Ready, DiskLevel::Warn, DiskLevel::Shed);
        const MB: u64 = 1_000_000;
        for (used, free, before, after) in [
            (84 * MB, 16 * MB, ready, ready),
            (85 * MB, 15 * MB, ready, warn),
            (91 * MB, 9 * MB, warn, warn),
            (92 * MB, 8 * MB, warn, shed),
            (91 * MB, 9 * MB, shed, shed),
            (90 * MB, 10 * MB, shed, shed),
            (89 * MB, 11 * MB, shed, warn),
            (970 << 30, 30 << 30, ready, ready),
            (990 << 30, 10 << 30, ready, warn),
            (993 << 30, 7 << 30, ready, shed),
            (0, 16 << 10, ready, ready),
            (0, (16 << 10) - 1, ready, shed),
        ] {
            assert_eq!(level(used, free, before), after, "{used} used, {free} free, {before:?}");
        }
        let files = |used_files, free_files| Space { used_files, free_files, ..space(1, 100 * MB) };
        assert_eq!(disk.level(&files(95, 5), ready), shed);
        assert_eq!(disk.level(&files(50, 50), ready), ready);
    }
}

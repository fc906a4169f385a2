//! Room set aside on the disk, so that a commit can always be written: an allocated file that is removed when the disk runs
//! full and made again once there is room.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::Result;
use crate::fs::{Fs, parent, temporary_name};

/// Name of the file, below the data folder.
const FILE: &str = "ballast";
/// 256 MiB: thousands of commits and a checkpoint of a million files. This crate's own tests open thousands of stores on a
/// file system in memory, where it would be memory.
const BYTES_MAX: u64 = if cfg!(test) { 256 << 10 } else { 256 << 20 };
/// On a small disk: a hundredth of it.
const DISK_SHARE: u64 = 100;

/// The room set aside.
#[derive(Debug)]
pub(crate) struct Ballast {
    fs: Fs,
    path: PathBuf,
    /// Held while the file is made: the start and the first round of upkeep may both find it missing.
    making: Mutex<()>,
}

impl Ballast {
    /// The ballast of a data folder, made when [`Ballast::restore`] is called.
    pub(crate) fn new(fs: Fs, data_dir: &Path) -> Self {
        Self { fs, path: data_dir.join(FILE), making: Mutex::new(()) }
    }

    /// How large it is to be on a disk of this size.
    pub(crate) fn wanted_bytes(disk_bytes: u64) -> u64 {
        (disk_bytes / DISK_SHARE).min(BYTES_MAX)
    }

    fn is_there(&self) -> bool {
        matches!(self.fs.size(&self.path), Ok(Some(_)))
    }

    /// Gives the room up; `false` when there was none.
    pub(crate) fn release(&self) -> bool {
        if !self.is_there() {
            return false;
        }
        match self.fs.remove(&self.path) {
            Ok(()) => {
                tracing::warn!("the disk is full: the ballast was removed to make room for a commit");
                true
            }
            Err(error) => {
                tracing::warn!(%error, "the disk is full and the ballast cannot be removed");
                false
            }
        }
    }

    /// Sets the room aside, if it is not. Blocks on the disk.
    ///
    /// # Errors
    /// [`crate::StorageError::DiskFull`], [`crate::StorageError::Io`]; what was written until then is removed.
    pub(crate) fn restore(&self, bytes: u64) -> Result<()> {
        let _one_at_a_time = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_there() || bytes == 0 {
            return Ok(());
        }
        let made = self.make(bytes);
        if made.is_err() {
            self.fs.remove(&temporary_name(&self.path))?;
        }
        made
    }

    fn make(&self, bytes: u64) -> Result<()> {
        let temporary = temporary_name(&self.path);
        self.fs.remove(&temporary)?;
        let file = self.fs.create(&temporary)?;
        file.allocate(bytes)?;
        file.sync_all()?;
        self.fs.rename(&temporary, &self.path)?;
        self.fs.sync_dir(parent(&self.path))
    }
}

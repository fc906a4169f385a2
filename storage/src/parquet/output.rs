//! A data file on its way: written under a temporary name, hashed as it goes, on disk under its own name before anybody
//! hears of it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use crate::Result;
use crate::failpoint::{Point, hit};
use crate::fs::{Fs, FsFile, parent, temporary_name};

/// A file that is being written.
pub(crate) struct Output {
    file: FsFile,
    hash: Xxh3,
    bytes: u64,
    target: PathBuf,
    fs: Fs,
}

/// A file that is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Published {
    /// Its size.
    pub(crate) bytes: u64,
    /// xxh3-128 of its bytes.
    pub(crate) content_hash: u128,
}

impl Output {
    /// Begins the file at `path` below `table_dir`.
    ///
    /// # Errors
    /// [`crate::StorageError::Io`], [`crate::StorageError::DiskFull`].
    pub(crate) fn create(fs: &Fs, table_dir: &Path, path: &str) -> Result<Self> {
        let target = table_dir.join(path);
        let folder = parent(&target);
        if !folder.is_dir() {
            fs.create_dir_all(folder)?;
            fs.sync_dir(table_dir)?;
        }
        let temporary = temporary_name(&target);
        fs.remove(&temporary)?;
        let file = fs.create(&temporary)?;
        hit(Point::FileCreated)?;
        Ok(Self { file, hash: Xxh3::new(), bytes: 0, target, fs: fs.clone() })
    }

    /// Gives the file its name, once everything is on disk.
    ///
    /// # Errors
    /// [`crate::StorageError::Io`], [`crate::StorageError::DiskFull`].
    pub(crate) fn publish(self) -> Result<Published> {
        hit(Point::FileWritten)?;
        self.file.sync_all()?;
        hit(Point::FileSynced)?;
        self.fs.rename(&temporary_name(&self.target), &self.target)?;
        hit(Point::FileRenamed)?;
        self.fs.sync_dir(parent(&self.target))?;
        hit(Point::FileReady)?;
        Ok(Published { bytes: self.bytes, content_hash: self.hash.digest128() })
    }

    /// Removes what was written of a file that will not be finished, since a disk that ran full needs the room.
    pub(crate) fn discard(fs: &Fs, table_dir: &Path, path: &str) {
        let target = table_dir.join(path);
        for left in [temporary_name(&target), target] {
            if let Err(error) = fs.remove(&left) {
                tracing::warn!(%error, "an unfinished file stays until the next start");
            }
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(bytes.get(..written).unwrap_or_default());
        self.bytes = self.bytes.saturating_add(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

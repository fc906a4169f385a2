//! The lock that keeps two processes from writing one data folder. The operating system frees it when the
//! process ends, however it ends.

use std::fs::{File, TryLockError};
use std::path::Path;

use crate::fs::{Fs, io_error};
use crate::{Result, StorageError};

/// Name of the file that is locked, below the data folder.
pub(crate) const FILE_NAME: &str = "LOCK";

/// Held as long as the store is open.
#[derive(Debug)]
pub(crate) struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// For the one process that writes.
    pub(crate) fn exclusive(fs: &Fs, data_dir: &Path) -> Result<Self> {
        let path = data_dir.join(FILE_NAME);
        let file = fs.open_or_create(&path)?;
        take(file.try_lock(), data_dir, &path)?;
        Ok(Self { _file: file })
    }

    /// For processes that only read; they exclude a writer and not each other.
    pub(crate) fn shared(fs: &Fs, data_dir: &Path) -> Result<Self> {
        let path = data_dir.join(FILE_NAME);
        let file = fs.open(&path)?;
        take(file.try_lock_shared(), data_dir, &path)?;
        Ok(Self { _file: file })
    }
}

fn take(outcome: Result<(), TryLockError>, data_dir: &Path, path: &Path) -> Result<()> {
    match outcome {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(StorageError::Locked { path: data_dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(io_error("lock", path, source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: a writer, another writer, and two readers want one folder.
    /// Guarantees: one writer or many readers, and the refusal names the folder.
    #[test]
    fn one_writer_or_many_readers() {
        let folder = tempfile::tempdir().unwrap();
        let fs = Fs::default();
        let writer = FolderLock::exclusive(&fs, folder.path()).unwrap();
        assert!(
            matches!(FolderLock::exclusive(&fs, folder.path()), Err(StorageError::Locked { path }) if path == folder.path())
        );
        assert!(matches!(FolderLock::shared(&fs, folder.path()), Err(StorageError::Locked { .. })));
        drop(writer);
        let _one = FolderLock::shared(&fs, folder.path()).unwrap();
        let _two = FolderLock::shared(&fs, folder.path()).unwrap();
        assert!(FolderLock::exclusive(&fs, folder.path()).is_err());
    }
}

//! [`Document`]: a small file of a data folder that is replaced whole, for what is no span and cannot be computed from spans.

use std::path::PathBuf;

use crate::fs::Fs;
use crate::{Result, StorageError};

/// Ending of a document that could not be understood.
const DAMAGED: &str = ".damaged";

/// A small file of a data folder. After [`Document::replace`] it survives a power cut, whole: a reader sees the old or the new
/// content and nothing between.
#[derive(Debug, Clone)]
pub struct Document {
    fs: Fs,
    path: PathBuf,
    bytes_max: usize,
}

impl Document {
    pub(crate) fn new(fs: Fs, path: PathBuf, bytes_max: usize) -> Self {
        Self { fs, path, bytes_max }
    }

    /// The document `name` of a folder that need not be a store's.
    #[cfg(any(test, feature = "testing"))]
    pub fn in_folder(folder: &std::path::Path, name: &str, bytes_max: usize) -> Self {
        Self::new(Fs::default(), folder.join(name), bytes_max)
    }

    /// The content; `None` when it was never written.
    ///
    /// # Errors
    /// [`StorageError::Io`] when it is there and cannot be read, [`StorageError::TooLarge`] when it is over its limit.
    pub fn read(&self) -> Result<Option<Vec<u8>>> {
        let Some(size) = self.fs.size(&self.path)? else { return Ok(None) };
        self.check(size)?;
        self.fs.read(&self.path).map(Some)
    }

    /// Puts `bytes` in place of the content.
    ///
    /// # Errors
    /// [`StorageError::TooLarge`], [`StorageError::DiskFull`], [`StorageError::Io`]: the content is as it was.
    pub fn replace(&self, bytes: &[u8]) -> Result<()> {
        self.check(bytes.len() as u64)?;
        self.fs.write_durably(&self.path, bytes)
    }

    /// Moves a document out of the way that cannot be understood, to the same name with `.damaged`; nothing is deleted.
    ///
    /// # Errors
    /// [`StorageError::Io`] when it cannot be moved.
    pub fn set_aside(&self) -> Result<PathBuf> {
        let mut name = self.path.clone().into_os_string();
        name.push(DAMAGED);
        let aside = PathBuf::from(name);
        self.fs.rename(&self.path, &aside)?;
        self.fs.sync_dir(crate::fs::parent(&aside))?;
        Ok(aside)
    }

    fn check(&self, bytes: u64) -> Result<()> {
        let limit_bytes = self.bytes_max as u64;
        if bytes > limit_bytes { Err(StorageError::TooLarge { bytes, limit_bytes }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::fs::Operation;
    use crate::fs::faults::{FaultKind, Faults};

    /// Scenario: a document is written, replaced, replaced by too much, and set aside.
    /// Guarantees: it holds what was written last, a refused content changes nothing, and what is set aside is kept.
    #[test]
    fn holds_what_was_written_last() {
        let folder = tempfile::tempdir().unwrap();
        let document = Document::new(Fs::default(), folder.path().join("a.json"), 8);
        assert_eq!(document.read().unwrap(), None);
        document.replace(b"one").unwrap();
        document.replace(b"two").unwrap();
        assert!(matches!(document.replace(b"much too long"), Err(StorageError::TooLarge { limit_bytes: 8, .. })));
        assert_eq!(document.read().unwrap().as_deref(), Some(&b"two"[..]));
        let aside = document.set_aside().unwrap();
        assert_eq!(std::fs::read(aside).unwrap(), b"two");
        assert_eq!(document.read().unwrap(), None);
    }

    /// Scenario: creating, writing, syncing and renaming fail in turn.
    /// Guarantees: the error is reported and the old content stays.
    #[test]
    fn a_failed_write_keeps_the_old_content() {
        for operation in [Operation::Create, Operation::Write, Operation::Sync, Operation::Rename] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.json");
            Document::new(Fs::default(), path.clone(), 64).replace(b"old").unwrap();
            let faults = Arc::new(Faults::default());
            faults.fail(operation, 0, 1, FaultKind::Io);
            let document = Document::new(Fs::with_faults(Arc::clone(&faults)), path, 64);
            assert!(document.replace(b"new").is_err(), "{operation:?}");
            assert_eq!(document.read().unwrap().as_deref(), Some(&b"old"[..]), "{operation:?}");
        }
    }
}

//! [`Document`]: a small file of a data folder that is replaced whole, for what is no span and cannot be computed from spans.

use std::path::PathBuf;

use crate::fs::{Fs, parent};
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
        self.fs.sync_dir(parent(&aside))?;
        Ok(aside)
    }

    /// Removes it; one that is not there is no error.
    ///
    /// # Errors
    /// [`StorageError::Io`] when it cannot be removed.
    pub fn remove(&self) -> Result<()> {
        self.fs.remove(&self.path)?;
        self.fs.sync_dir(parent(&self.path))
    }

    fn check(&self, bytes: u64) -> Result<()> {
        let limit_bytes = self.bytes_max as u64;
        if bytes > limit_bytes { Err(StorageError::TooLarge { bytes, limit_bytes }) } else { Ok(()) }
    }
}

/// A folder of documents below a data folder.
#[derive(Debug, Clone)]
pub struct DocumentFolder {
    fs: Fs,
    folder: PathBuf,
    bytes_max: usize,
}

impl DocumentFolder {
    pub(crate) fn new(fs: Fs, folder: PathBuf, bytes_max: usize) -> Self {
        Self { fs, folder, bytes_max }
    }

    /// The folder `name` of a folder that need not be a store's.
    #[cfg(any(test, feature = "testing"))]
    pub fn in_folder(folder: &std::path::Path, name: &str, bytes_max: usize) -> Self {
        Self::new(Fs::default(), folder.join(name), bytes_max)
    }

    /// Creates the folder if it is not there.
    ///
    /// # Errors
    /// [`StorageError::Io`] when it cannot be created.
    pub fn create(&self) -> Result<()> {
        self.fs.create_dir_all(&self.folder)?;
        self.fs.sync_dir(parent(&self.folder))
    }

    /// Names of its documents, ascending; what was set aside and what a crash left half written is left out.
    ///
    /// # Errors
    /// [`StorageError::Io`] when it cannot be read.
    pub fn names(&self) -> Result<Vec<String>> {
        let mut names = self.fs.list(&self.folder)?;
        names.retain(|name| !name.starts_with('.') && !name.ends_with(DAMAGED));
        names.sort();
        Ok(names)
    }

    /// One of its documents, there or not.
    pub fn document(&self, name: &str) -> Document {
        Document::new(self.fs.clone(), self.folder.join(name), self.bytes_max)
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

    /// Scenario: a folder with two documents, one set aside, and one that a crash left half written; one is removed twice.
    /// Guarantees: only whole documents are listed, in order.
    #[test]
    fn a_folder_lists_whole_documents() {
        let folder = tempfile::tempdir().unwrap();
        let documents = DocumentFolder::in_folder(folder.path(), "cells", 8);
        assert_eq!(documents.names().unwrap(), Vec::<String>::new());
        documents.create().unwrap();
        ["c", "a", "b"].iter().for_each(|name| documents.document(name).replace(b"1").unwrap());
        documents.document("b").set_aside().unwrap();
        std::fs::write(folder.path().join("cells/.d.tmp"), "").unwrap();
        assert_eq!(documents.names().unwrap(), ["a", "c"]);
        (0..2).for_each(|_| documents.document("a").remove().unwrap());
        assert_eq!(documents.names().unwrap(), ["c"]);
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

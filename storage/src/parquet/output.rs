//! A data file on its way: written under a temporary name, hashed as it goes, safe under its own name before anybody hears
//! of it.

use std::io::{self, Write};

use bytes::Bytes;
use xxhash_rust::xxh3::Xxh3;

use crate::Result;
use crate::failpoint::{Point, hit};
use crate::fs::FsFile;
use crate::place::Place;

/// A file that is being written.
pub(crate) struct Output {
    file: FsFile,
    hash: Xxh3,
    bytes: u64,
    place: Place,
    path: String,
}

/// A file that is on disk, or in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Published {
    /// Its size.
    pub(crate) bytes: u64,
    /// xxh3-128 of its bytes.
    pub(crate) content_hash: u128,
    /// Its end, if it is in the store: see [`Place::end_of`].
    pub(crate) end: Bytes,
}

impl Output {
    /// Begins the file at `path` below the table's folder.
    ///
    /// # Errors
    /// [`crate::StorageError::Io`], [`crate::StorageError::DiskFull`].
    pub(crate) fn create(place: &Place, path: &str) -> Result<Self> {
        let file = place.fs().create(&place.prepare(path)?)?;
        hit(Point::FileCreated)?;
        Ok(Self { file, hash: Xxh3::new(), bytes: 0, place: place.clone(), path: path.to_owned() })
    }

    /// Gives the file its name, once everything is on disk.
    ///
    /// # Errors
    /// [`crate::StorageError::Io`], [`crate::StorageError::DiskFull`].
    pub(crate) fn publish(self) -> Result<Published> {
        hit(Point::FileWritten)?;
        if !self.place.is_remote() {
            self.file.sync_all()?;
        }
        hit(Point::FileSynced)?;
        let end = self.place.end_of(&self.path);
        self.place.publish(&self.path, self.bytes)?;
        hit(Point::FileRenamed)?;
        self.place.sync_name(&self.path)?;
        hit(Point::FileReady)?;
        Ok(Published { bytes: self.bytes, content_hash: self.hash.digest128(), end })
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

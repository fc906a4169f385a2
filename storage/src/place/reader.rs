//! Bytes of committed data files for those who ask questions: by position, from a file or with ranged requests to a store.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;

use super::Place;
use crate::index::Indexes;
use crate::object::Remote;

/// What reading took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReadCost {
    /// Requests to the store, or reads of the file.
    pub requests: u64,
    /// Bytes that they moved.
    pub bytes: u64,
}

/// Opens the data files of a snapshot, wherever they are.
#[derive(Debug, Clone)]
pub struct DataFiles {
    place: Place,
    indexes: Indexes,
}

impl DataFiles {
    pub(crate) fn new(place: Place, indexes: Indexes) -> Self {
        Self { place, indexes }
    }

    /// The file at `path` below the table's folder. A file of a store is believed to have `size_bytes`, as the log says, and
    /// nothing is asked of the store yet.
    ///
    /// # Errors
    /// What the operating system answers.
    pub fn open(&self, path: &str, size_bytes: u64) -> io::Result<DataReader> {
        match self.place.store() {
            None => Ok(DataReader(Origin::File(Arc::new(File::open(self.place.dir().join(path))?)))),
            Some(remote) => {
                let (remote, object, path) = (Arc::clone(remote), Place::object(path), path.to_owned());
                Ok(DataReader(Origin::Object { remote, object, size_bytes, indexes: self.indexes.clone(), path }))
            }
        }
    }

    /// Whether reading a file costs requests to a store.
    pub fn is_remote(&self) -> bool {
        self.place.is_remote()
    }
}

#[derive(Debug, Clone)]
enum Origin {
    File(Arc<File>),
    Object { remote: Arc<Remote>, object: String, size_bytes: u64, indexes: Indexes, path: String },
}

/// A data file's bytes, read by position so that any number of readers share it. Its calls block.
#[derive(Debug, Clone)]
pub struct DataReader(Origin);

impl DataReader {
    /// Bytes of the file.
    pub fn size(&self) -> u64 {
        match &self.0 {
            Origin::File(file) => file.metadata().map_or(0, |metadata| metadata.len()),
            Origin::Object { size_bytes, .. } => *size_bytes,
        }
    }

    /// Whether each read is a request to a store, so that few large ones are better than many small ones.
    pub fn is_remote(&self) -> bool {
        matches!(self.0, Origin::Object { .. })
    }

    /// The end of the file, page indexes and footer, when it lies in a store and was kept beside its index: it costs no request then.
    pub fn kept_end(&self) -> Option<Bytes> {
        match &self.0 {
            Origin::File(_) => None,
            Origin::Object { indexes, path, .. } => indexes.kept_end(path),
        }
    }

    /// The `length` bytes from `start`.
    ///
    /// # Errors
    /// What the operating system or the store answers; [`io::ErrorKind::UnexpectedEof`] when there are not as many.
    pub fn read_at(&self, start: u64, length: usize) -> io::Result<Bytes> {
        let end = start.checked_add(length as u64).filter(|end| *end <= self.size());
        let end =
            end.ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "the file is shorter than it says"))?;
        match &self.0 {
            Origin::File(file) => {
                let mut buffer = vec![0_u8; length];
                file.read_exact_at(&mut buffer, start)?;
                Ok(buffer.into())
            }
            Origin::Object { remote, object, .. } => remote.range(object, start..end).map_err(io::Error::other),
        }
    }

    /// Reads into `buffer` from `start` on; how many bytes there were.
    ///
    /// # Errors
    /// As [`DataReader::read_at`].
    pub fn read_some(&self, buffer: &mut [u8], start: u64) -> io::Result<usize> {
        if let Origin::File(file) = &self.0 {
            return file.read_at(buffer, start);
        }
        let left = usize::try_from(self.size().saturating_sub(start)).unwrap_or(usize::MAX);
        let length = buffer.len().min(left);
        let bytes = self.read_at(start, length)?;
        buffer.get_mut(..length).unwrap_or_default().copy_from_slice(&bytes);
        Ok(length)
    }

    /// Several ranges: one read each of a file, as few requests as pays to a store.
    ///
    /// # Errors
    /// As [`DataReader::read_at`].
    pub fn read_ranges(&self, ranges: &[Range<u64>]) -> io::Result<(Vec<Bytes>, ReadCost)> {
        if let Origin::Object { remote, object, .. } = &self.0 {
            let (read, requests, bytes) = remote.ranges(object, ranges).map_err(io::Error::other)?;
            return Ok((read, ReadCost { requests, bytes }));
        }
        let read = ranges.iter().map(|range| {
            let length = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
            self.read_at(range.start, length)
        });
        let read: Vec<Bytes> = read.collect::<io::Result<_>>()?;
        let bytes = read.iter().map(|piece| piece.len() as u64).sum();
        let requests = read.len() as u64;
        Ok((read, ReadCost { requests, bytes }))
    }

    /// Whether the file has been removed while it is held open here, so that its room on the disk comes back when it is closed.
    pub fn is_gone(&self) -> bool {
        let Origin::File(file) = &self.0 else {
            return false;
        };
        file.metadata().is_ok_and(|metadata| std::os::unix::fs::MetadataExt::nlink(&metadata) == 0)
    }
}

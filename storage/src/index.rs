//! The sidecar of each data file: which of its rows belong to a trace, which blocks of rows may hold an attribute's
//! value, and a catalogue of its names.
//!
//! `<data_dir>/index/<received_hour>/<file stem>.idx` lies outside the Delta table's folder, where other engines'
//! VACUUM does not look. It can be made from the data file at any time: a missing, damaged or older one is made again in
//! the background, and until then questions are answered by the data file itself. Losing one is never losing data.

use std::path::{Path, PathBuf};

use crate::fs::Fs;
use crate::parquet::writer::NewFile;
use crate::{DataFile, Result, StorageError};

/// Folder of the sidecars, below the data folder.
pub(crate) const FOLDER: &str = "index";

/// The sidecars of one data folder.
#[derive(Debug, Clone)]
pub(crate) struct Indexes {
    fs: Fs,
    folder: PathBuf,
}

#[expect(dead_code, reason = "compaction and retention are the first callers")]
impl Indexes {
    /// The sidecars below `data_dir`.
    pub(crate) fn new(fs: Fs, data_dir: &Path) -> Self {
        Self { fs, folder: data_dir.join(FOLDER) }
    }

    /// Writes the sidecar of `target`, whose row groups are those of `inputs`, all of them and in this order, copied
    /// byte for byte. No data file is read; rows of later inputs shift by the rows of the earlier ones.
    ///
    /// # Errors
    /// [`StorageError::Io`], [`StorageError::DiskFull`]; [`StorageError::Corrupt`] when an input's sidecar is missing
    /// or damaged. Nothing is left under the target's name then; go on without, the sidecar is made in the background.
    pub(crate) fn merge(&self, inputs: &[&DataFile], target: &NewFile) -> Result<()> {
        let path = self.path_of(&target.file.path);
        let reason = format!("{} sidecars are not merged", inputs.len());
        Err(StorageError::Corrupt { path, reason })
    }

    /// Removes the sidecar of the data file at `path` (below the table's folder), if there is one.
    ///
    /// # Errors
    /// [`StorageError::Io`] when it is there and cannot be removed; the next open removes it.
    pub(crate) fn remove(&self, path: &str) -> Result<()> {
        self.fs.remove(&self.path_of(path))
    }

    /// Where the sidecar of the data file at `path` lies.
    fn path_of(&self, path: &str) -> PathBuf {
        let (partition, name) = path.rsplit_once('/').unwrap_or(("", path));
        let hour = partition.split_once('=').map_or(partition, |(_, hour)| hour);
        let stem = name.strip_suffix(".parquet").unwrap_or(name);
        self.folder.join(hour).join(format!("{stem}.idx"))
    }
}

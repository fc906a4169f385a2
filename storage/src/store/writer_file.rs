//! [`WriterFile`]: what ties a data folder to a table in a store.
//!
//! The folder's write-ahead log holds requests of one table. Opened with another table, or with none in a store, they would be stored
//! where they do not belong, so that is refused.

use std::path::Path;
use std::sync::Arc;

use crate::fs::Fs;
use crate::object::Remote;
use crate::{Result, StorageError, table};

/// Name of the file, below the data folder.
const FILE: &str = "writer";

/// Whose requests the folder's log holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct WriterFile {
    id: u64,
}

impl WriterFile {
    /// Reads the file; writes it when the folder is used for a table in a store for the first time.
    ///
    /// # Errors
    /// [`StorageError::Unfit`] when the folder belongs to another table.
    pub(super) fn open(fs: &Fs, data_dir: &Path, remote: Option<&Arc<Remote>>, read_only: bool) -> Result<Self> {
        let path = data_dir.join(FILE);
        let bytes = if fs.size(&path)?.is_some() { fs.read(&path)? } else { Vec::new() };
        let text = String::from_utf8_lossy(&bytes);
        let known =
            text.split_once('\n').map(|(id, store)| (u64::from_str_radix(id, 16).unwrap_or(0), store.trim_end()));
        let belongs = |reason: String| StorageError::Unfit { store: data_dir.display().to_string(), reason };
        match (known, remote) {
            (None, None) => Ok(Self { id: 0 }),
            (Some((_, store)), None) => Err(belongs(format!(
                "the folder belongs to the table in {store}; set storage.object_store, or choose another data_dir"
            ))),
            (Some((_, store)), Some(remote)) if store != remote.name() => Err(belongs(format!(
                "the folder belongs to the table in {store} and not to that in {}; choose another data_dir",
                remote.name()
            ))),
            (Some((id, _)), Some(_)) => Ok(Self { id }),
            (None, Some(_)) if !fs.list(&data_dir.join(table::FOLDER))?.is_empty() => Err(belongs(
                "the folder holds a table of its own; choose another data_dir for the one in the object store"
                    .to_owned(),
            )),
            (None, Some(_)) if read_only => Ok(Self { id: 0 }),
            (None, Some(remote)) => {
                let id = rand::random::<u64>();
                fs.write_durably(&path, format!("{id:016x}\n{}\n", remote.name()).as_bytes())?;
                Ok(Self { id })
            }
        }
    }

    /// Under which name the table's log keeps how far the folder's own log is in files.
    pub(super) fn app_id(self) -> String {
        format!("{}-{:016x}", table::APP_ID, self.id)
    }
}

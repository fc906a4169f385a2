//! The sidecar of each data file: which of its rows belong to a trace, which blocks of rows may hold an attribute's
//! value, and a catalogue of its names.
//!
//! `<data_dir>/index/<received_hour>/<file stem>.idx` lies outside the Delta table's folder, where other engines'
//! VACUUM does not look. It can be made from the data file at any time: a missing, damaged or older one is made again in
//! the background, and until then questions are answered by the data file itself. Losing one is never losing data.
//! Those of a table in a store lie there, under the same names, and are read through local copies.
//!
//! - `builder` gathers a sidecar in one pass over the rows; `merge` makes one of several without reading rows;
//! - `table` holds keys and runs in checked blocks, `filter` says which files have a trace, `catalogue` lists names;
//! - `tail` is the part that readers keep in memory; `file` answers from it;
//! - `rebuild` makes a sidecar from its data file, and `keeper` sees to it that every file has one.

mod bits;
mod builder;
mod catalogue;
mod file;
mod filter;
mod keeper;
mod merge;
mod parts;
mod rebuild;
mod table;
mod tail;
mod term;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

pub use catalogue::{Catalogue, Names, OperationName, VersionName};
pub use file::{Block, FileIndex, Found, TraceKeys};
pub use table::Run;
pub use tail::Bounds;
pub use term::Term;

pub(crate) use builder::Builder;
pub(crate) use keeper::Keeper;
pub(crate) use tail::BLOCK_ROWS;

use crate::fs::{Fs, FsFile, TEMPORARY_SUFFIX, parent, temporary_name};
use crate::object::Sidecars;
use crate::parquet::writer::NewFile;
use crate::{DataFile, Result};
use merge::Input;
use parts::Source;
use tail::{Identity, Tail};

/// Folder of the sidecars, below the data folder.
pub(crate) const FOLDER: &str = "index";
const SUFFIX: &str = ".idx";

/// Where the sidecar of some of a file's row groups comes from.
#[derive(Debug)]
pub(crate) enum Part {
    /// They were copied from this file.
    File(DataFile),
    /// They were written anew, and this has seen their rows.
    Built(Box<Builder>),
}

/// The bytes of the sidecar of a file with these spans.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn size_of_built<'a>(batches: impl IntoIterator<Item = &'a crate::SpanBatch>) -> Result<usize> {
    let mut builder = Builder::default();
    batches.into_iter().try_for_each(|batch| builder.push(batch.record_batch()))?;
    let written = builder.finish(Identity { content_hash: 0, size_bytes: 0 }, Vec::new());
    written.map(|bytes| bytes.len()).map_err(|error| crate::fs::io_error("make", Path::new("an index"), error))
}

/// The sidecars of one data folder.
#[derive(Debug, Clone)]
pub struct Indexes {
    fs: Fs,
    folder: PathBuf,
    /// Of a table in a store; `folder` holds copies then.
    store: Option<Arc<Sidecars>>,
}

impl Indexes {
    /// The sidecars below `data_dir`.
    pub(crate) fn new(fs: Fs, data_dir: &Path) -> Self {
        Self { fs, folder: data_dir.join(FOLDER), store: None }
    }

    /// The sidecars of a table in a store.
    pub(crate) fn in_store(fs: Fs, sidecars: Arc<Sidecars>) -> Self {
        Self { fs, folder: sidecars.folder().to_owned(), store: Some(sidecars) }
    }

    /// The sidecar of a data file.
    ///
    /// # Errors
    /// [`crate::StorageError::Io`], also when there is none; [`crate::StorageError::Corrupt`] when it is damaged, of
    /// another version or of another file. Ask the data file then, and tell [`crate::Store::report_unindexed`].
    pub fn open(&self, file: &DataFile) -> Result<FileIndex> {
        FileIndex::open(self.source(&file.path), file)
    }

    /// Writes the sidecar of a new data file, of whose rows `builder` has seen all.
    ///
    /// # Errors
    /// [`crate::StorageError::Io`], [`crate::StorageError::DiskFull`]; nothing is left under the sidecar's name then.
    pub(crate) fn write(&self, target: &NewFile, builder: Builder) -> Result<()> {
        let identity = Identity { content_hash: target.content_hash, size_bytes: target.file.size_bytes };
        self.put(&target.file.path, &target.end, |file, path| {
            builder.finish(identity, file).map_err(|error| crate::fs::io_error("write", path, error))
        })
    }

    /// Writes the sidecar of `target`, whose row groups are those of `parts`, all of them and in this order. No data
    /// file is read; rows of later parts shift by the rows of the earlier ones.
    ///
    /// # Errors
    /// As [`Indexes::write`]; [`crate::StorageError::Corrupt`] or [`crate::StorageError::Io`] when a part's sidecar is
    /// damaged or missing. Go on without: the sidecar is then made in the background.
    pub(crate) fn merge(&self, parts: Vec<Part>, target: &NewFile) -> Result<()> {
        let identity = Identity { content_hash: target.content_hash, size_bytes: target.file.size_bytes };
        let input = |part: Part| match part {
            Part::File(file) => {
                let source = self.source(&file.path);
                Ok(Input { tail: Tail::read(&source, &file)?.0, source })
            }
            Part::Built(builder) => {
                let failed = |error| crate::fs::io_error("make the index of", Path::new(&target.file.path), error);
                let source = Source::Memory(builder.finish(identity, Vec::new()).map_err(failed)?);
                Ok(Input { tail: Tail::open(&source)?.0, source })
            }
        };
        let inputs = parts.into_iter().map(input).collect::<Result<Vec<Input>>>()?;
        self.put(&target.file.path, &target.end, |file, path| merge::merge(&inputs, identity, file, path))
    }

    /// Removes the sidecar of the data file at `path` (below the table's folder), if there is one.
    ///
    /// # Errors
    /// [`crate::StorageError::Io`] when it is there and cannot be removed; the next open removes it.
    pub(crate) fn remove(&self, path: &str) -> Result<()> {
        match &self.store {
            None => self.fs.remove(&self.path_of(path)),
            Some(store) => store.remove(&name_of(path)),
        }
    }

    /// Removes the folder of a sidecar if nothing is in it.
    pub(crate) fn tidy(&self, path: &str) {
        self.fs.remove_dir_if_empty(parent(&self.path_of(path)));
    }

    /// Removes what belongs to none of `files`; returns how many there were.
    ///
    /// # Errors
    /// [`crate::StorageError::Io`] when a folder cannot be listed or a file not removed.
    pub(crate) fn remove_strays(&self, files: &[DataFile]) -> Result<usize> {
        if let Some(store) = &self.store {
            let wanted: HashSet<String> = files.iter().map(|file| name_of(&file.path)).collect();
            let strays: Vec<String> = store.names()?.into_iter().filter(|name| !wanted.contains(name)).collect();
            strays.iter().try_for_each(|name| store.remove(name))?;
            return Ok(strays.len());
        }
        let wanted: HashSet<PathBuf> = files.iter().map(|file| self.path_of(&file.path)).collect();
        let mut removed = 0;
        for hour in self.fs.list(&self.folder)? {
            let folder = self.folder.join(hour);
            let ours = |name: &String| name.ends_with(SUFFIX) || name.ends_with(TEMPORARY_SUFFIX);
            for path in self.fs.list(&folder)?.iter().filter(|name| ours(name)).map(|name| folder.join(name)) {
                if !wanted.contains(&path) {
                    self.fs.remove(&path)?;
                    removed += 1;
                }
            }
        }
        Ok(removed)
    }

    /// Bytes of the sidecar of the data file at `path`; none when there is no sidecar.
    pub fn size_of(&self, path: &str) -> Option<u64> {
        let size = match &self.store {
            None => self.fs.size(&self.path_of(path)),
            Some(store) => store.size_in_store(&name_of(path)),
        };
        size.ok().flatten()
    }

    /// Those of `files` that have no sidecar. Of a store, many are looked for with one list.
    pub(crate) fn missing<'a>(&self, files: &'a [DataFile]) -> Vec<&'a DataFile> {
        let listed = self.store.as_ref().filter(|_| files.len() > 1).map(|store| store.names());
        match listed {
            Some(Ok(names)) => {
                let names: HashSet<String> = names.into_iter().collect();
                files.iter().filter(|file| !names.contains(&name_of(&file.path))).collect()
            }
            // Nothing is known now; a question that misses one says so.
            Some(Err(_)) => Vec::new(),
            None => files.iter().filter(|file| self.size_of(&file.path).is_none()).collect(),
        }
    }

    /// The end of the data file at `path`, page indexes and footer, as it is kept behind the sidecar in a store.
    pub(crate) fn kept_end(&self, path: &str) -> Option<Bytes> {
        let kept = self.store.as_ref()?.kept_end(&name_of(path));
        kept.inspect_err(|error| tracing::debug!(path, %error, "no end of this file is kept")).ok().flatten()
    }

    fn source(&self, path: &str) -> Source {
        match &self.store {
            None => Source::File(self.fs.clone(), self.path_of(path)),
            Some(store) => Source::Copy(Arc::clone(store), name_of(path)),
        }
    }

    /// Where the sidecar of the data file at `path` lies.
    pub(crate) fn path_of(&self, path: &str) -> PathBuf {
        self.folder.join(name_of(path))
    }

    /// Writes a whole sidecar under a temporary name, then gives it its own.
    /// In a store the end of its data file goes behind it.
    fn put(&self, path: &str, end: &[u8], write: impl FnOnce(Buffered, &Path) -> Result<Buffered>) -> Result<()> {
        let target = self.path_of(path);
        let folder = parent(&target);
        if !folder.is_dir() {
            self.fs.create_dir_all(folder)?;
            self.fs.sync_dir(&self.folder)?;
            self.fs.sync_dir(parent(&self.folder))?;
        }
        let temporary = temporary_name(&target);
        self.fs.remove(&temporary)?;
        let file = Buffered::with_capacity(WRITE_BYTES, self.fs.create(&temporary)?);
        let written = write(file, &temporary).and_then(|file| {
            let failed = |error| crate::fs::io_error("write", &temporary, error);
            let mut file = file.into_inner().map_err(std::io::IntoInnerError::into_error).map_err(failed)?;
            match &self.store {
                None => file.sync_all()?,
                Some(_) => crate::object::write_end(end, &mut file).map_err(failed)?,
            }
            self.fs.rename(&temporary, &target)?;
            match &self.store {
                None => self.fs.sync_dir(folder),
                Some(store) => store.publish(&name_of(path)),
            }
        });
        if written.is_err()
            && let Err(error) = self.fs.remove(&temporary)
        {
            tracing::warn!(%error, "a temporary file stays until the next start");
        }
        written
    }
}

/// Name of the sidecar of the data file at `path`, below the folder of sidecars.
fn name_of(path: &str) -> String {
    let (partition, name) = path.rsplit_once('/').unwrap_or(("", path));
    let hour = partition.split_once('=').map_or(partition, |(_, hour)| hour);
    let stem = name.strip_suffix(".parquet").unwrap_or(name);
    format!("{hour}/{stem}{SUFFIX}")
}

/// 256 KiB at a time go to the disk.
const WRITE_BYTES: usize = 256 << 10;

type Buffered = std::io::BufWriter<FsFile>;

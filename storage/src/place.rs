//! [`Place`]: where the data files of the table are, a local folder or a store of objects. The rest of the crate names files by
//! their path below the table's folder and asks here for their bytes.
//!
//! A file is written locally in both cases. In a folder it then gets its name; in a store it is put there under that name, and
//! the local copy goes. Either way it is safe once [`Place::publish`] returns, and nobody hears of it before.

mod reader;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::fs::{Fs, TEMPORARY_SUFFIX, parent, temporary_name};
use crate::object::Remote;
use crate::parquet::end::end_of;
use crate::{Result, partition, table};
pub use reader::{DataFiles, DataReader, ReadCost};

/// Folder of files on their way to a store, below the data folder.
const STAGING: &str = "staging";
/// Read at a time from a store, to be hashed or copied to the local disk: 8 MiB.
const PIECE_BYTES: u64 = 8 << 20;

/// Where the data files are.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    fs: Fs,
    /// The table's folder, or that of files on their way to the store.
    dir: PathBuf,
    remote: Option<Arc<Remote>>,
}

impl Place {
    /// The folder of the table below `data_dir`.
    pub(crate) fn local(fs: Fs, data_dir: &Path) -> Self {
        Self { fs, dir: data_dir.join(table::FOLDER), remote: None }
    }

    /// A folder that is the table's own.
    pub(crate) fn at(fs: Fs, dir: PathBuf) -> Self {
        Self { fs, dir, remote: None }
    }

    /// A store; `data_dir` is where files are written first.
    pub(crate) fn remote(fs: Fs, data_dir: &Path, remote: Arc<Remote>) -> Self {
        Self { fs, dir: data_dir.join(STAGING), remote: Some(remote) }
    }

    /// The local file system.
    pub(crate) fn fs(&self) -> &Fs {
        &self.fs
    }

    /// The table's folder, or that of files on their way to the store.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The store, if the files are in one.
    pub(crate) fn store(&self) -> Option<&Arc<Remote>> {
        self.remote.as_ref()
    }

    /// Whether the files are in a store.
    pub(crate) fn is_remote(&self) -> bool {
        self.remote.is_some()
    }

    /// Name of a file in the store.
    fn object(path: &str) -> String {
        format!("{}/{path}", table::FOLDER)
    }

    /// How messages and notes call a file.
    pub(crate) fn source(path: &str) -> String {
        Self::object(path)
    }

    /// Where a file is written.
    fn target(&self, path: &str) -> PathBuf {
        match &self.remote {
            None => self.dir.join(path),
            Some(_) => self.dir.join(path.replace('/', "__")),
        }
    }

    /// Empties the folder of files on their way: what a crash left there is in no list.
    pub(crate) fn clear_staging(&self) -> Result<()> {
        if self.remote.is_none() {
            return Ok(());
        }
        self.fs.create_dir_all(&self.dir)?;
        self.fs.list(&self.dir)?.iter().try_for_each(|name| self.fs.remove(&self.dir.join(name)))
    }

    /// Size of a file; `None` when there is none.
    pub(crate) fn size(&self, path: &str) -> Result<Option<u64>> {
        match &self.remote {
            None => self.fs.size(&self.dir.join(path)),
            Some(remote) => remote.size(&Self::object(path)),
        }
    }

    /// A file, open for reading from its begin: of a store, a copy on the local disk that goes when it is closed.
    pub(crate) fn open(&self, path: &str) -> Result<File> {
        let Some(remote) = &self.remote else {
            return self.fs.open(&self.dir.join(path));
        };
        let name = format!("{:016x}{TEMPORARY_SUFFIX}", rand::random::<u64>());
        let copy = self.dir.join(name);
        let written = self.fs.create(&copy)?;
        let opened = self.fs.open(&copy);
        // The name goes at once, the bytes with the last handle.
        self.fs.remove(&copy)?;
        let mut at = 0;
        self.for_each_piece(remote, path, |piece| {
            let written = written.write_all_at(piece, at);
            at = at.saturating_add(piece.len() as u64);
            written
        })?;
        opened
    }

    fn for_each_piece(&self, remote: &Remote, path: &str, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let object = Self::object(path);
        let missing = || crate::fs::io_error("read", Path::new(&object), std::io::ErrorKind::NotFound.into());
        let size = remote.size(&object)?.ok_or_else(missing)?;
        let mut at = 0;
        while at < size {
            let end = at.saturating_add(PIECE_BYTES).min(size);
            take(&remote.range(&object, at..end)?)?;
            at = end;
        }
        Ok(())
    }

    /// Reads a file piece by piece, without holding it.
    pub(crate) fn read_through(&self, path: &str, mut take: impl FnMut(&[u8])) -> Result<()> {
        match &self.remote {
            None => self.fs.for_each_piece(&self.dir.join(path), take),
            Some(remote) => self.for_each_piece(remote, path, |piece| {
                take(piece);
                Ok(())
            }),
        }
    }

    /// Folder and name of everything below the table's folder, the log left out; from a store with the sizes.
    pub(crate) fn list(&self) -> Result<Vec<(String, Option<u64>)>> {
        if let Some(remote) = &self.remote {
            let prefix = Self::object("");
            let all = remote.list(table::FOLDER)?.into_iter();
            let below = all.filter_map(|(path, size)| Some((path.strip_prefix(&prefix)?.to_owned(), Some(size))));
            let is_data = |path: &str| path.split_once('/').is_some_and(|(folder, _)| partition::is_partition(folder));
            return Ok(below.filter(|(path, _)| is_data(path)).collect());
        }
        let mut all = Vec::new();
        for folder in self.fs.list(&self.dir)?.into_iter().filter(|name| partition::is_partition(name)) {
            let names = self.fs.list(&self.dir.join(&folder))?;
            all.extend(names.into_iter().map(|name| (format!("{folder}/{name}"), None)));
        }
        Ok(all)
    }

    /// Removes a file; one that is gone already is no error.
    pub(crate) fn remove(&self, path: &str) -> Result<()> {
        match &self.remote {
            None => self.fs.remove(&self.dir.join(path)),
            Some(remote) => remote.remove(&Self::object(path)),
        }
    }

    /// Removes the folder of a file if nothing is in it. A store has no folders.
    pub(crate) fn tidy(&self, path: &str) {
        if self.remote.is_none() {
            self.fs.remove_dir_if_empty(parent(&self.dir.join(path)));
        }
    }

    /// Makes ready to write a file, and says where: not yet under its own name.
    pub(crate) fn prepare(&self, path: &str) -> Result<PathBuf> {
        let target = self.target(path);
        let folder = parent(&target);
        if !folder.is_dir() {
            self.fs.create_dir_all(folder)?;
            self.fs.sync_dir(&self.dir)?;
        }
        let temporary = temporary_name(&target);
        self.fs.remove(&temporary)?;
        Ok(temporary)
    }

    /// The end of a file that was written and has no name yet, to be kept behind its sidecar; nothing in a folder, where reading it costs
    /// no request, or when it cannot be told.
    pub(crate) fn end_of(&self, path: &str) -> Bytes {
        if self.remote.is_none() {
            return Bytes::new();
        }
        let temporary = temporary_name(&self.target(path));
        let end = self.fs.open(&temporary).and_then(|file| end_of(&file, &temporary));
        end.unwrap_or_else(|error| {
            tracing::warn!(path, %error, "the end of a file is not kept apart");
            Bytes::new()
        })
    }

    /// Gives a file that was written and synced its name.
    pub(crate) fn publish(&self, path: &str, bytes: u64) -> Result<()> {
        let target = self.target(path);
        let temporary = temporary_name(&target);
        let Some(remote) = &self.remote else {
            return self.fs.rename(&temporary, &target);
        };
        remote.upload(&Self::object(path), &self.fs.open(&temporary)?, bytes)?;
        self.fs.remove(&temporary)
    }

    /// Makes the name of a file survive a power cut.
    pub(crate) fn sync_name(&self, path: &str) -> Result<()> {
        match &self.remote {
            None => self.fs.sync_dir(parent(&self.target(path))),
            Some(_) => Ok(()),
        }
    }

    /// Removes what there is of a file that will not be finished.
    pub(crate) fn discard(&self, path: &str) {
        let target = self.target(path);
        let removed = self.fs.remove(&temporary_name(&target)).and_then(|()| self.remove(path));
        if let Err(error) = removed {
            tracing::warn!(%error, "an unfinished file stays until the next start");
        }
    }
}

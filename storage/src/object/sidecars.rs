//! [`Sidecars`]: the sidecars of data files in a store, and copies of those used last on the local disk.
//!
//! A copy is fetched whole, with one request, when it is first asked for; answers then read pieces of it. Copies make room for
//! each other, those not used for longest first, and may be lost at any time.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::Remote;
use super::kept_end::{TRAILER_BYTES, Trailer};
use crate::Result;
use crate::fs::{Fs, TEMPORARY_SUFFIX, parent};
use crate::index;

/// Folder of the copies, below the data folder.
const FOLDER: &str = "cache";

/// A copy.
#[derive(Debug, Clone, Copy)]
struct Copy {
    bytes: u64,
    last_used: u64,
}

#[derive(Debug, Default)]
struct State {
    copies: HashMap<String, Copy>,
    bytes: u64,
    tick: u64,
}

/// The sidecars of a table in a store.
#[derive(Debug)]
pub(crate) struct Sidecars {
    fs: Fs,
    remote: Arc<Remote>,
    folder: PathBuf,
    bytes_max: u64,
    state: Mutex<State>,
    unfinished: AtomicU64,
}

impl Sidecars {
    /// Takes over the copies that are on disk.
    ///
    /// # Errors
    /// [`crate::StorageError::Io`] when they cannot be listed.
    pub(crate) fn open(fs: &Fs, remote: Arc<Remote>, data_dir: &Path, bytes_max: u64) -> Result<Arc<Self>> {
        let folder = data_dir.join(FOLDER);
        let mut state = State::default();
        for hour in fs.list(&folder)? {
            for name in fs.list(&folder.join(&hour))? {
                let path = folder.join(&hour).join(&name);
                if name.ends_with(TEMPORARY_SUFFIX) {
                    fs.remove(&path)?;
                } else if let Some(bytes) = fs.size(&path)? {
                    state.insert(format!("{hour}/{name}"), bytes);
                }
            }
        }
        let sidecars =
            Self { fs: fs.clone(), remote, folder, bytes_max, state: Mutex::new(state), unfinished: AtomicU64::new(0) };
        sidecars.make_room("");
        Ok(Arc::new(sidecars))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the copies are, by hour.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Name of a sidecar in the store.
    fn object(name: &str) -> String {
        format!("{}/{name}", index::FOLDER)
    }

    /// Bytes of the sidecar `name` (`<hour>/<file>`), which is fetched when there is no copy of it.
    pub(crate) fn size(&self, name: &str) -> Result<u64> {
        self.with(name, |path| {
            let size = self.fs.size(path)?.unwrap_or(0);
            Ok(self.trailer(path, size)?.and_then(|trailer| trailer.start(size)).unwrap_or(size))
        })
    }

    /// The end of the data file of `name`, as it was kept; `None` when it was not, or is damaged.
    pub(crate) fn kept_end(&self, name: &str) -> Result<Option<Bytes>> {
        self.with(name, |path| {
            let size = self.fs.size(path)?.unwrap_or(0);
            let kept = self.trailer(path, size)?.and_then(|trailer| Some((trailer, trailer.start(size)?)));
            let Some((trailer, start)) = kept else {
                return Ok(None);
            };
            let mut end = vec![0; trailer.length()];
            self.fs.read_exact_at(path, start, &mut end)?;
            Ok((!end.is_empty() && trailer.fits(&end)).then(|| end.into()))
        })
    }

    fn trailer(&self, path: &Path, size: u64) -> Result<Option<Trailer>> {
        let Some(at) = size.checked_sub(TRAILER_BYTES as u64) else {
            return Ok(None);
        };
        let mut last = [0; TRAILER_BYTES];
        self.fs.read_exact_at(path, at, &mut last)?;
        Ok(Trailer::of(&last, size))
    }

    /// Reads a piece of `name`, which is fetched when it is not there.
    pub(crate) fn read(&self, name: &str, offset: u64, length: usize) -> Result<Vec<u8>> {
        self.with(name, |path| {
            let mut bytes = vec![0; length];
            self.fs.read_exact_at(path, offset, &mut bytes)?;
            Ok(bytes)
        })
    }

    fn with<T>(&self, name: &str, read: impl Fn(&Path) -> Result<T>) -> Result<T> {
        let path = self.folder.join(name);
        if self.state().touch(name) {
            match read(&path) {
                // It made room for another one meanwhile.
                Err(crate::StorageError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                    self.state().forget(name);
                }
                outcome => return outcome,
            }
        }
        let bytes = self.remote.get(&Self::object(name))?;
        self.keep(&path, name, &bytes)?;
        read(&path)
    }

    fn keep(&self, path: &Path, name: &str, bytes: &[u8]) -> Result<()> {
        self.fs.create_dir_all(parent(path))?;
        // Two may fetch the same one at a time.
        let number = self.unfinished.fetch_add(1, Ordering::Relaxed);
        let temporary = path.with_extension(format!("{number}{TEMPORARY_SUFFIX}"));
        let file = self.fs.create(&temporary)?;
        let written = file.write_all_at(bytes, 0).and_then(|()| self.fs.rename(&temporary, path));
        if let Err(error) = written {
            self.fs.remove(&temporary)?;
            return Err(error);
        }
        self.add(name, bytes.len() as u64);
        Ok(())
    }

    /// Notes a copy that was made, and lets others go for it.
    fn add(&self, name: &str, bytes: u64) {
        self.state().insert(name.to_owned(), bytes);
        self.make_room(name);
    }

    fn make_room(&self, but: &str) {
        while let Some(oldest) = self.state().over(self.bytes_max, but) {
            if let Err(error) = self.fs.remove(&self.folder.join(&oldest)) {
                tracing::warn!(%error, "a copy of an index stays on the disk");
            }
        }
    }

    /// Puts a sidecar, which lies under its name among the copies, into the store.
    ///
    /// # Errors
    /// [`crate::StorageError::Io`]; the copy is gone then too, so that it does not pass for one of the store's.
    pub(crate) fn publish(&self, name: &str) -> Result<()> {
        let path = self.folder.join(name);
        let put = || {
            let size = self.fs.size(&path)?.unwrap_or(0);
            self.remote.upload(&Self::object(name), &self.fs.open(&path)?, size)?;
            Ok(size)
        };
        match put() {
            Ok(size) => {
                self.add(name, size);
                Ok(())
            }
            Err(error) => {
                self.fs.remove(&path)?;
                Err(error)
            }
        }
    }

    /// Removes a sidecar and its copy.
    ///
    /// # Errors
    /// [`crate::StorageError::Io`].
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        self.state().forget(name);
        self.fs.remove(&self.folder.join(name))?;
        self.remote.remove(&Self::object(name))
    }

    /// Bytes of a sidecar in the store; `None` when there is none.
    pub(crate) fn size_in_store(&self, name: &str) -> Result<Option<u64>> {
        self.remote.size(&Self::object(name))
    }

    /// Names of all sidecars in the store.
    ///
    /// # Errors
    /// [`crate::StorageError::Io`].
    pub(crate) fn names(&self) -> Result<Vec<String>> {
        let prefix = Self::object("");
        let all = self.remote.list(index::FOLDER)?.into_iter();
        Ok(all.filter_map(|(path, _)| Some(path.strip_prefix(&prefix)?.to_owned())).collect())
    }
}

impl State {
    fn insert(&mut self, name: String, bytes: u64) {
        self.forget(&name);
        self.tick += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        self.copies.insert(name, Copy { bytes, last_used: self.tick });
    }

    fn touch(&mut self, name: &str) -> bool {
        self.tick += 1;
        let tick = self.tick;
        self.copies.get_mut(name).map(|copy| copy.last_used = tick).is_some()
    }

    fn forget(&mut self, name: &str) {
        if let Some(copy) = self.copies.remove(name) {
            self.bytes = self.bytes.saturating_sub(copy.bytes);
        }
    }

    /// The copy to go next, while there are too many bytes; not `but`.
    fn over(&mut self, bytes_max: u64, but: &str) -> Option<String> {
        if self.bytes <= bytes_max {
            return None;
        }
        let others = self.copies.iter().filter(|(name, _)| name.as_str() != but);
        let oldest = others.min_by_key(|(_, copy)| copy.last_used).map(|(name, _)| name.clone())?;
        self.forget(&oldest);
        Some(oldest)
    }
}

//! The one place that touches `std::fs`, so that a test can make any write, sync or rename fail.
//!
//! Folders are 0700 and files 0600. A full disk is told apart here ([`StorageError::DiskFull`]), once for all.
//! Whoever creates, renames or removes an entry that must survive a power cut calls [`Fs::sync_dir`] after it.

#[cfg(any(test, feature = "testing"))]
pub(crate) mod faults;

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::failpoint::{Point, hit};
use crate::{Result, StorageError};

/// What is done to the disk; a fault names the kind that it hits.
#[cfg_attr(
    not(any(test, feature = "testing")),
    expect(dead_code, unreachable_pub, reason = "public, and used in full, where faults are")
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Creating a file or folder.
    Create,
    /// Writing bytes.
    Write,
    /// `fdatasync` or `fsync` of a file.
    Sync,
    /// `fsync` of a folder.
    SyncDir,
    /// Renaming a file.
    Rename,
    /// Giving a file a second name, if that name is free.
    Link,
    /// Removing a file.
    Remove,
    /// Cutting a file.
    Truncate,
    /// Reading a file or its size.
    Read,
}

/// What a power cut could take back, or a sync has confirmed; only fault injection listens.
#[cfg_attr(not(any(test, feature = "testing")), expect(dead_code, reason = "only fault injection listens"))]
#[derive(Debug)]
pub(crate) enum Event<'a> {
    /// Bytes from `offset` on are about to change or to be cut off.
    Change {
        /// The file.
        file: &'a File,
        /// First byte.
        offset: u64,
        /// How many.
        length: u64,
    },
    /// Bytes are about to come after the last.
    Append(&'a File),
    /// A file or folder has got its name.
    Created(&'a Path),
    /// A file has got another name.
    Renamed {
        /// The old one.
        from: &'a Path,
        /// The new one.
        to: &'a Path,
    },
    /// A file is about to go.
    Removed(&'a Path),
    /// The file's bytes are on disk.
    Synced(&'a File),
    /// The folder's entries are on disk.
    SyncedDir(&'a Path),
}

/// The file system; with the `testing` feature it can be told to fail.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fs {
    #[cfg(any(test, feature = "testing"))]
    faults: Option<std::sync::Arc<faults::Faults>>,
}

/// How full a file system is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Space {
    /// Bytes in use, by whomever.
    pub(crate) used_bytes: u64,
    /// Bytes that may still be written.
    pub(crate) free_bytes: u64,
    /// Inodes in use; zero when the file system does not count them.
    pub(crate) used_files: u64,
    /// Files that may still be made.
    pub(crate) free_files: u64,
}

/// Turns what the operating system says into our error.
pub(crate) fn io_error(action: &'static str, path: &Path, source: io::Error) -> StorageError {
    if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        StorageError::DiskFull { path: path.to_owned() }
    } else {
        StorageError::Io { action, path: path.to_owned(), source }
    }
}

impl Fs {
    /// A file system that fails as `faults` says.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn with_faults(faults: std::sync::Arc<faults::Faults>) -> Self {
        Self { faults: Some(faults) }
    }

    #[cfg(any(test, feature = "testing"))]
    fn gate(&self, operation: Operation) -> io::Result<()> {
        self.faults.as_ref().map_or(Ok(()), |faults| faults.gate(operation))
    }

    #[cfg(not(any(test, feature = "testing")))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "the testing twin needs both")]
    fn gate(&self, _operation: Operation) -> io::Result<()> {
        Ok(())
    }

    /// When a write of `length` bytes is to fail: how many of them arrive, and the error.
    #[cfg(any(test, feature = "testing"))]
    fn failing_write(&self, length: usize) -> Option<(usize, io::Error)> {
        self.faults.as_ref().and_then(|faults| faults.failing_write(length))
    }

    #[cfg(not(any(test, feature = "testing")))]
    #[expect(clippy::unused_self, reason = "the testing twin needs it")]
    fn failing_write(&self, _length: usize) -> Option<(usize, io::Error)> {
        None
    }

    #[cfg(any(test, feature = "testing"))]
    fn note(&self, event: &Event<'_>) -> io::Result<()> {
        self.faults.as_ref().map_or(Ok(()), |faults| faults.note(event))
    }

    #[cfg(not(any(test, feature = "testing")))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "the testing twin needs both")]
    fn note(&self, _event: &Event<'_>) -> io::Result<()> {
        Ok(())
    }

    /// To be asked before a read that does not go through here.
    pub(crate) fn check_read(&self, path: &Path) -> io::Result<()> {
        #[cfg(any(test, feature = "testing"))]
        if self.faults.as_ref().is_some_and(|faults| faults.is_unreadable(path)) {
            return Err(io::Error::other("unreadable, as a test ordered"));
        }
        #[cfg(not(any(test, feature = "testing")))]
        let _ = path;
        self.gate(Operation::Read)
    }

    /// Creates a folder and those above it.
    pub(crate) fn create_dir_all(&self, path: &Path) -> Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        let create = || {
            self.gate(Operation::Create)?;
            DirBuilder::new().recursive(true).mode(0o700).create(path)?;
            self.note(&Event::Created(path))
        };
        create().map_err(|source| io_error("create folder", path, source))
    }

    /// Creates a file that must not exist yet.
    pub(crate) fn create(&self, path: &Path) -> Result<FsFile> {
        self.create_with(path, OFlags::empty()).map_err(|source| io_error("create", path, source))
    }

    /// As [`Fs::create`], to be written past the page cache: whole blocks of the file from memory at a multiple of a block. An ordinary file
    /// where the file system cannot do that; where it finds out later, writes fail with [`io::ErrorKind::InvalidInput`].
    pub(crate) fn create_direct(&self, path: &Path) -> Result<FsFile> {
        match self.create_with(path, OFlags::DIRECT) {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                // Some file systems have made it by then.
                self.remove(path)?;
                self.create(path)
            }
            created => created.map_err(|source| io_error("create", path, source)),
        }
    }

    fn create_with(&self, path: &Path, flags: OFlags) -> io::Result<FsFile> {
        self.gate(Operation::Create)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600);
        let file = options.custom_flags(self.possible(flags).bits().cast_signed()).open(path)?;
        self.note(&Event::Created(path))?;
        Ok(FsFile { file, path: path.to_owned(), fs: self.clone(), end: 0 })
    }

    /// Tests that inject faults read and write parts of blocks themselves.
    #[cfg(any(test, feature = "testing"))]
    fn possible(&self, flags: OFlags) -> OFlags {
        if self.faults.is_some() { flags - OFlags::DIRECT } else { flags }
    }

    #[cfg(not(any(test, feature = "testing")))]
    #[expect(clippy::unused_self, reason = "the testing twin needs it")]
    fn possible(&self, flags: OFlags) -> OFlags {
        flags
    }

    /// Opens a file, creating it if needed, for locking.
    pub(crate) fn open_or_create(&self, path: &Path) -> Result<File> {
        let open = || OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
        open().map_err(|source| io_error("open", path, source))
    }

    /// Opens a file for reading.
    pub(crate) fn open(&self, path: &Path) -> Result<File> {
        File::open(path).map_err(|source| io_error("open", path, source))
    }

    /// Reads a whole file.
    pub(crate) fn read(&self, path: &Path) -> Result<Vec<u8>> {
        let read = || {
            self.check_read(path)?;
            std::fs::read(path)
        };
        read().map_err(|source| io_error("read", path, source))
    }

    /// Size of a file, or `None` when there is none.
    pub(crate) fn size(&self, path: &Path) -> Result<Option<u64>> {
        match self.check_read(path).and_then(|()| std::fs::metadata(path)) {
            Ok(metadata) => Ok(metadata.is_file().then_some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error("look at", path, error)),
        }
    }

    /// Reads `buffer.len()` bytes at `offset`.
    pub(crate) fn read_exact_at(&self, path: &Path, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let mut read = || {
            self.check_read(path)?;
            File::open(path)?.read_exact_at(buffer, offset)
        };
        read().map_err(|source| io_error("read", path, source))
    }

    /// Reads a file piece by piece, without holding it.
    pub(crate) fn for_each_piece(&self, path: &Path, mut take: impl FnMut(&[u8])) -> Result<()> {
        let mut read = || {
            self.check_read(path)?;
            let mut file = File::open(path)?;
            let mut piece = vec![0_u8; 1 << 20];
            loop {
                match file.read(&mut piece)? {
                    0 => return Ok(()),
                    length => take(piece.get(..length).unwrap_or_default()),
                }
            }
        };
        read().map_err(|source| io_error("read", path, source))
    }

    /// Names of the entries of a folder; none when there is no such folder.
    pub(crate) fn list(&self, path: &Path) -> Result<Vec<String>> {
        let names = || -> io::Result<Vec<String>> {
            let entries = match std::fs::read_dir(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                entries => entries?,
            };
            let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
            names.collect()
        };
        names().map_err(|source| io_error("list", path, source))
    }

    /// Cuts a file.
    pub(crate) fn truncate(&self, path: &Path, length: u64) -> Result<()> {
        let cut = || {
            self.gate(Operation::Truncate)?;
            let file = OpenOptions::new().read(true).write(true).open(path)?;
            self.note(&Event::Change { file: &file, offset: length, length: u64::MAX })?;
            file.set_len(length)?;
            self.gate(Operation::Sync)?;
            file.sync_all()?;
            self.note(&Event::Synced(&file))
        };
        cut().map_err(|source| io_error("cut", path, source))
    }

    /// Renames a file, replacing what stood there.
    pub(crate) fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let rename = || {
            self.gate(Operation::Rename)?;
            std::fs::rename(from, to)?;
            self.note(&Event::Renamed { from, to })
        };
        rename().map_err(|source| io_error("rename", from, source))
    }

    /// Gives a file a second name; `false` when that name is taken.
    pub(crate) fn link_if_absent(&self, from: &Path, to: &Path) -> Result<bool> {
        let link = || {
            self.gate(Operation::Link)?;
            std::fs::hard_link(from, to)?;
            self.note(&Event::Created(to))
        };
        match link() {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(io_error("link", to, error)),
        }
    }

    /// Removes a file; one that is gone already is no error.
    pub(crate) fn remove(&self, path: &Path) -> Result<()> {
        let remove = || {
            self.gate(Operation::Remove)?;
            self.note(&Event::Removed(path))?;
            std::fs::remove_file(path)
        };
        match remove() {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("remove", path, error)),
            _ => Ok(()),
        }
    }

    /// Removes a folder if nothing is in it.
    pub(crate) fn remove_dir_if_empty(&self, path: &Path) {
        let removed = self.gate(Operation::Remove).and_then(|()| std::fs::remove_dir(path));
        if let Err(error) = removed
            && !matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotFound)
        {
            tracing::warn!(path = %path.display(), %error, "an empty folder stays");
        }
    }

    /// Makes created, renamed and removed entries of a folder survive a power cut.
    pub(crate) fn sync_dir(&self, path: &Path) -> Result<()> {
        let sync = || {
            self.gate(Operation::SyncDir)?;
            File::open(path)?.sync_all()?;
            self.note(&Event::SyncedDir(path))
        };
        sync().map_err(|source| io_error("sync folder", path, source))
    }

    /// Bytes that may still be written to the file system of `path`.
    pub(crate) fn free_bytes(&self, path: &Path) -> Option<u64> {
        #[cfg(any(test, feature = "testing"))]
        if let Some(free) = self.faults.as_ref().and_then(|faults| faults.free_bytes()) {
            return Some(free);
        }
        let answer = rustix::fs::statvfs(path).ok()?;
        Some(answer.f_bavail.saturating_mul(answer.f_frsize))
    }

    /// What is used and free of the file system of `path`.
    pub(crate) fn space(&self, path: &Path) -> Option<Space> {
        #[cfg(any(test, feature = "testing"))]
        if let Some((used_bytes, free_bytes)) = self.faults.as_ref().map(|faults| faults.space()) {
            return Some(Space { used_bytes, free_bytes, used_files: 0, free_files: 0 });
        }
        let answer = rustix::fs::statvfs(path).ok()?;
        let used = answer.f_blocks.saturating_sub(answer.f_bfree);
        Some(Space {
            used_bytes: used.saturating_mul(answer.f_frsize),
            free_bytes: answer.f_bavail.saturating_mul(answer.f_frsize),
            used_files: answer.f_files.saturating_sub(answer.f_ffree),
            free_files: answer.f_favail,
        })
    }

    /// Writes a whole file so that it is on disk under its name or not there at all: temporary name, sync,
    /// rename, folder sync.
    pub(crate) fn write_durably(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let temporary = temporary_name(path);
        self.remove(&temporary)?;
        let mut file = self.create(&temporary)?;
        file.write_all(bytes).map_err(|source| io_error("write", &temporary, source))?;
        file.sync_all()?;
        self.rename(&temporary, path)?;
        self.sync_dir(parent(path))
    }

    /// As [`Fs::write_durably`], but only when no file has that name; `false` when one has.
    pub(crate) fn write_durably_if_absent(&self, path: &Path, bytes: &[u8]) -> Result<bool> {
        let temporary = temporary_name(path);
        self.remove(&temporary)?;
        let mut file = self.create(&temporary)?;
        file.write_all(bytes).map_err(|source| io_error("write", &temporary, source))?;
        file.sync_all()?;
        let linked = self.link_if_absent(&temporary, path)?;
        hit(Point::CommitLinked)?;
        self.remove(&temporary)?;
        if linked {
            self.sync_dir(parent(path))?;
        }
        Ok(linked)
    }
}

/// Ending of files that are being written; whatever has it after a crash is rubbish.
pub(crate) const TEMPORARY_SUFFIX: &str = ".tmp";

/// Where a file is written before it gets its name. The dot hides it from readers that list a folder.
pub(crate) fn temporary_name(path: &Path) -> PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    path.with_file_name(format!(".{name}{TEMPORARY_SUFFIX}"))
}

/// The folder of a file.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or_else(|| Path::new("."))
}

/// A file being written.
#[derive(Debug)]
pub(crate) struct FsFile {
    file: File,
    path: PathBuf,
    fs: Fs,
    /// Where [`Write`] goes on. All writes name their place, so that a test which injects errors into the system call for that
    /// hits data files and nothing else.
    end: u64,
}

impl FsFile {
    /// Writes all bytes at `offset`.
    pub(crate) fn write_all_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let write = || {
            self.fs.note(&Event::Change { file: &self.file, offset, length: bytes.len() as u64 })?;
            if let Some((length, error)) = self.fs.failing_write(bytes.len()) {
                self.file.write_all_at(bytes.get(..length).unwrap_or_default(), offset)?;
                return Err(error);
            }
            self.file.write_all_at(bytes, offset)
        };
        write().map_err(|source| io_error("write", &self.path, source))
    }

    /// Takes room for this many bytes from the disk without writing them, where the file system can.
    pub(crate) fn allocate(&self, bytes: u64) -> Result<()> {
        let allocate = || {
            self.fs.note(&Event::Append(&self.file))?;
            if let Some((_, error)) = self.fs.failing_write(0) {
                return Err(error);
            }
            let flags = rustix::fs::FallocateFlags::empty();
            match rustix::fs::fallocate(&self.file, flags, 0, bytes) {
                Err(rustix::io::Errno::OPNOTSUPP) => Ok(()),
                outcome => outcome.map_err(io::Error::from),
            }
        };
        allocate().map_err(|source| io_error("allocate", &self.path, source))
    }

    /// Makes the written bytes survive a power cut.
    pub(crate) fn sync_data(&self) -> Result<()> {
        let sync = || {
            self.fs.gate(Operation::Sync)?;
            self.file.sync_data()?;
            self.fs.note(&Event::Synced(&self.file))
        };
        sync().map_err(|source| io_error("sync", &self.path, source))
    }

    /// Makes bytes and size survive a power cut.
    pub(crate) fn sync_all(&self) -> Result<()> {
        let sync = || {
            self.fs.gate(Operation::Sync)?;
            self.file.sync_all()?;
            self.fs.note(&Event::Synced(&self.file))
        };
        sync().map_err(|source| io_error("sync", &self.path, source))
    }

    /// Cuts the file without syncing it.
    pub(crate) fn cut(&self, length: u64) -> Result<()> {
        let cut = || {
            self.fs.gate(Operation::Truncate)?;
            self.fs.note(&Event::Change { file: &self.file, offset: length, length: u64::MAX })?;
            self.file.set_len(length)
        };
        cut().map_err(|source| io_error("cut", &self.path, source))
    }
}

impl Write for FsFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.fs.note(&Event::Append(&self.file))?;
        if let Some((length, error)) = self.fs.failing_write(bytes.len()) {
            self.file.write_all_at(bytes.get(..length).unwrap_or_default(), self.end)?;
            return Err(error);
        }
        let written = self.file.write_at(bytes, self.end)?;
        self.end = self.end.saturating_add(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

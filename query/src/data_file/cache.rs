//! [`FileCache`]: opened data files, bounded in bytes and in open descriptors.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use daytwo_storage::DataFiles;

use super::{Fault, OpenFile};

/// Descriptors held open. A file more closes the one that was used longest ago.
const FILES_MAX: usize = 512;

/// Opened data files, least recently used ones out first. What stands in for a missing index goes before footers, which
/// are small and serve every question.
#[derive(Debug)]
pub(crate) struct FileCache {
    bytes_max: u64,
    tick: AtomicU64,
    files: Mutex<HashMap<String, Arc<OpenFile>>>,
}

impl FileCache {
    /// A cache that keeps at most `bytes_max` bytes.
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self { bytes_max, tick: AtomicU64::new(0), files: Mutex::default() }
    }

    /// The file at `path`, of `size_bytes`, opened now unless it is kept. Blocks on the disk or the store.
    ///
    /// # Errors
    /// A fault when the file is missing or its footer is damaged.
    pub(crate) fn open(&self, files: &DataFiles, path: &str, size_bytes: u64) -> Result<Arc<OpenFile>, Fault> {
        let tick = self.tick.fetch_add(1, Ordering::Relaxed);
        let kept = self.files.lock().unwrap_or_else(PoisonError::into_inner).get(path).map(Arc::clone);
        if let Some(file) = kept {
            file.touch(tick);
            return Ok(file);
        }
        let file = Arc::new(OpenFile::open(files, path, size_bytes)?);
        file.touch(tick);
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.insert(path.to_owned(), Arc::clone(&file));
        drop(files);
        self.trim();
        Ok(file)
    }

    /// Forgets a file, for one that was set aside.
    pub(crate) fn forget(&self, path: &str) {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).remove(path);
    }

    /// Brings the cache back within its limits.
    pub(crate) fn trim(&self) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        // A file that was merged or expired keeps its room on the disk while it is open here.
        files.retain(|_, file| !file.is_gone());
        let mut bytes: u64 = files.values().map(|file| file.memory_bytes()).sum();
        if bytes <= self.bytes_max && files.len() <= FILES_MAX {
            return;
        }
        let mut oldest_first: Vec<Arc<OpenFile>> = files.values().map(Arc::clone).collect();
        oldest_first.sort_unstable_by_key(|file| file.last_used());
        for row_group in oldest_first.iter().flat_map(|file| file.row_groups()) {
            if bytes > self.bytes_max {
                bytes = bytes.saturating_sub(row_group.memory_bytes());
                row_group.forget();
            }
        }
        for file in oldest_first {
            if bytes > self.bytes_max || files.len() > FILES_MAX {
                bytes = bytes.saturating_sub(file.memory_bytes());
                files.remove(file.path());
            }
        }
    }
}

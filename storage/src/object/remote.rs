//! [`Remote`]: how the rest of the crate speaks to the store. Calls without `async` wait for it and are for threads that
//! may block, never for those of the runtime.

use std::fs::File;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMultipartOptions, PutPayload,
};
use tokio::runtime::Handle;

use super::steady::{Steady, Traffic};
use super::{Bucket, steady};
use crate::{Result, StorageError};

/// Larger objects go in parts of this size: 8 MiB, so that a part that fails costs little and 10,000 parts are 80 GB.
const PART_BYTES: u64 = 8 << 20;
/// Parts on their way at once: at most 32 MiB in memory.
const PARTS_AT_ONCE: usize = 4;
/// An upload in parts is begun this often at most.
const UPLOADS: u32 = 3;
/// Reads on their way at once for one question.
const READS_AT_ONCE: usize = 8;
/// Ranges that are no further apart are read as one: 1 MiB more takes less time than another request.
const GAP_BYTES: u64 = 1 << 20;

/// The store, and the runtime on which requests to it run.
#[derive(Debug)]
pub(crate) struct Remote {
    store: Arc<Steady>,
    name: String,
    first_pause: Duration,
    runtime: Handle,
}

impl Remote {
    /// Speaks to `bucket` on this runtime.
    pub(crate) fn new(bucket: &Bucket, runtime: Handle) -> Self {
        let store = Arc::new(Steady::new(Arc::clone(&bucket.store), bucket.pause));
        Self { store, name: bucket.name.clone(), first_pause: bucket.pause, runtime }
    }

    /// The store as Delta's library takes it.
    pub(crate) fn store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.store) as Arc<dyn ObjectStore>
    }

    /// How messages call it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// First wait before a request that failed is sent again.
    pub(super) fn first_pause(&self) -> Duration {
        self.first_pause
    }

    /// What was asked of it.
    pub(crate) fn traffic(&self) -> Traffic {
        self.store.counters().traffic()
    }

    /// Waits for an answer.
    pub(super) fn wait<T>(&self, answer: impl Future<Output = T>) -> T {
        self.runtime.block_on(answer)
    }

    /// Waits for something, no longer than until then.
    pub(super) fn wait_until<T>(&self, until: Instant, event: impl Future<Output = T>) -> Option<T> {
        self.wait(async { tokio::time::timeout_at(until.into(), event).await.ok() })
    }

    /// Waits.
    pub(super) fn pause(&self, length: Duration) {
        self.wait(async { tokio::time::sleep(length).await });
    }

    /// What the store answered, as an error of ours: a missing object is a missing file.
    pub(crate) fn failed(&self, action: &'static str, path: &str, error: Error) -> StorageError {
        let kind = match &error {
            Error::NotFound { .. } => io::ErrorKind::NotFound,
            Error::AlreadyExists { .. } => io::ErrorKind::AlreadyExists,
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => io::ErrorKind::PermissionDenied,
            _ => io::ErrorKind::Other,
        };
        let path = PathBuf::from(format!("{}/{path}", self.name));
        StorageError::Io { action, path, source: io::Error::new(kind, error) }
    }

    /// A whole object; `None` when there is none.
    pub(crate) async fn read(&self, path: &str) -> Result<Option<Bytes>> {
        let read = async { self.store.get(&Path::from(path)).await?.bytes().await };
        match read.await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed("read", path, error)),
        }
    }

    /// As [`Remote::read`], waiting for it.
    pub(crate) fn find(&self, path: &str) -> Result<Option<Bytes>> {
        self.wait(self.read(path))
    }

    /// A whole object that must be there.
    pub(crate) fn get(&self, path: &str) -> Result<Bytes> {
        let missing = || Error::NotFound { path: path.to_owned(), source: "there is no such object".into() };
        self.find(path)?.ok_or_else(|| self.failed("read", path, missing()))
    }

    /// Size of an object; `None` when there is none.
    pub(crate) fn size(&self, path: &str) -> Result<Option<u64>> {
        match self.wait(self.store.head(&Path::from(path))) {
            Ok(found) => Ok(Some(found.size)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed("look at", path, error)),
        }
    }

    /// Part of an object, all of it.
    pub(crate) fn range(&self, path: &str, range: Range<u64>) -> Result<Bytes> {
        self.wait(self.part(path, range)).map_err(|error| self.failed("read", path, error))
    }

    async fn part(&self, path: &str, range: Range<u64>) -> object_store::Result<Bytes> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let expected = range.end.saturating_sub(range.start);
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let bytes = self.store.get_opts(&Path::from(path), options).await?.bytes().await?;
        // A range that goes beyond the end of the object is answered with what there is.
        if bytes.len() as u64 == expected { Ok(bytes) } else { Err(steady::generic(format!("{path} is cut short"))) }
    }

    /// Parts of an object, read with as few requests as pays. Also how many there were, and the bytes that they moved.
    pub(crate) fn ranges(&self, path: &str, ranges: &[Range<u64>]) -> Result<(Vec<Bytes>, u64, u64)> {
        let together = joined(ranges);
        let read = stream::iter(together.clone()).map(|range| self.part(path, range)).buffered(READS_AT_ONCE);
        let read: Vec<Bytes> = self.wait(read.try_collect()).map_err(|error| self.failed("read", path, error))?;
        let cut = |range: &Range<u64>| {
            let at = together.partition_point(|part| part.start <= range.start).checked_sub(1)?;
            let begin = usize::try_from(range.start.checked_sub(together.get(at)?.start)?).ok()?;
            let length = usize::try_from(range.end.checked_sub(range.start)?).ok()?;
            let end = begin.checked_add(length).filter(|end| *end <= read[at].len())?;
            Some(read[at].slice(begin..end))
        };
        let cuts: Option<Vec<Bytes>> = ranges.iter().map(cut).collect();
        let cuts =
            cuts.ok_or_else(|| self.failed("read", path, steady::generic("a range ends before it begins".to_owned())))?;
        Ok((cuts, together.len() as u64, read.iter().map(|part| part.len() as u64).sum()))
    }

    /// Writes an object, replacing what stood there.
    pub(crate) fn put(&self, path: &str, bytes: impl Into<Bytes>) -> Result<()> {
        let location = Path::from(path);
        self.wait(self.store.put(&location, PutPayload::from(bytes.into())))
            .map(|_| ())
            .map_err(|error| self.failed("write", path, error))
    }

    /// Writes an object from a file of this size, in parts when it is large.
    pub(crate) fn upload(&self, path: &str, file: &File, size: u64) -> Result<()> {
        if size <= PART_BYTES {
            let bytes = piece(file, 0..size).map_err(|source| local(path, source))?;
            return self.put(path, bytes);
        }
        let mut tries = 1;
        loop {
            match self.wait(self.upload_parts(path, file, size)) {
                Err(error) if tries < UPLOADS => tracing::debug!(path, %error, "an upload is begun again"),
                outcome => return outcome.map_err(|error| self.failed("write", path, error)),
            }
            tries += 1;
        }
    }

    async fn upload_parts(&self, path: &str, file: &File, size: u64) -> object_store::Result<()> {
        let mut upload = self.store.put_multipart_opts(&Path::from(path), PutMultipartOptions::default()).await?;
        let mut at = 0;
        let sent = async {
            while at < size {
                let mut parts = Vec::with_capacity(PARTS_AT_ONCE);
                while parts.len() < PARTS_AT_ONCE && at < size {
                    let end = at.saturating_add(PART_BYTES).min(size);
                    let bytes = piece(file, at..end).map_err(|error| steady::generic(error.to_string()))?;
                    parts.push(upload.put_part(PutPayload::from(bytes)));
                    self.store.counters().wrote_part(end - at);
                    at = end;
                }
                futures::future::try_join_all(parts).await?;
            }
            upload.complete().await
        };
        match sent.await {
            Ok(_) => Ok(()),
            Err(error) => {
                if let Err(error) = upload.abort().await {
                    tracing::debug!(path, %error, "parts of an upload stay until the bucket's own rules remove them");
                }
                Err(error)
            }
        }
    }

    /// Removes an object; one that is gone already is no error.
    pub(crate) fn remove(&self, path: &str) -> Result<()> {
        self.wait(self.store.delete(&Path::from(path))).map_err(|error| self.failed("remove", path, error))
    }

    /// Copies an object inside the store; `false` when there is none.
    pub(crate) fn copy(&self, from: &str, to: &str) -> Result<bool> {
        let options = CopyOptions { mode: CopyMode::Overwrite, ..CopyOptions::default() };
        match self.wait(self.store.copy_opts(&Path::from(from), &Path::from(to), options)) {
            Ok(()) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(self.failed("copy", from, error)),
        }
    }

    /// Paths below `folder`, as from the prefix on, with their sizes.
    pub(crate) fn list(&self, folder: &str) -> Result<Vec<(String, u64)>> {
        self.wait(self.list_async(folder))
    }

    /// As [`Remote::list`], without blocking.
    pub(super) async fn list_async(&self, folder: &str) -> Result<Vec<(String, u64)>> {
        let all = self.store.list(Some(&Path::from(folder)));
        let all = all.map_ok(|found| (found.location.to_string(), found.size)).try_collect().await;
        all.map_err(|error| self.failed("list", folder, error))
    }
}

/// The ranges in order, those that are near each other as one.
fn joined(ranges: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut sorted = ranges.to_vec();
    sorted.sort_unstable_by_key(|range| (range.start, range.end));
    let mut all: Vec<Range<u64>> = Vec::new();
    for range in sorted {
        match all.last_mut() {
            Some(last) if range.start <= last.end.saturating_add(GAP_BYTES) => last.end = last.end.max(range.end),
            _ => all.push(range),
        }
    }
    all
}

fn piece(file: &File, range: Range<u64>) -> io::Result<Bytes> {
    let length = usize::try_from(range.end.saturating_sub(range.start)).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, range.start)?;
    Ok(bytes.into())
}

fn local(path: &str, source: io::Error) -> StorageError {
    crate::fs::io_error("read the staged", std::path::Path::new(path), source)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: ranges in any order, overlapping, near and far from each other.
    /// Guarantees: what is near is one request, what is far is not, and everything asked for is covered.
    #[test]
    fn near_ranges_are_read_as_one() {
        const MIB: u64 = 1 << 20;
        let one = |ranges: &[Range<u64>]| joined(ranges).pop().filter(|_| joined(ranges).len() == 1);
        assert_eq!(joined(&[]), []);
        assert_eq!(one(&[10..20, 0..5]), Some(0..20));
        assert_eq!(one(&[0..10, 5..7, 3..12]), Some(0..12));
        assert_eq!(joined(&[3 * MIB..4 * MIB, 0..MIB]), [0..MIB, 3 * MIB..4 * MIB]);
        assert_eq!(one(&[2 * MIB..4 * MIB, 0..MIB]), Some(0..4 * MIB));
    }
}

//! A local object store whose writes are on disk when they return.
//!
//! `object_store` 0.13 never syncs, so a commit that it wrote may be gone after a power cut although the WAL segments
//! that it covers are gone too. Reads and listings go to it; everything that writes goes through our [`Fs`]:
//! temporary name, sync, link or rename, sync of the folder. That also lets tests make a commit fail.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, UploadPart,
};

use crate::StorageError;
use crate::fs::{Fs, parent};

const STORE: &str = "daytwo-synced";
/// A checkpoint of a million files is about 300 MB; more at once is a mistake.
const OBJECT_BYTES_MAX: usize = 1 << 30;

/// The local file system, with syncs.
#[derive(Debug, Clone)]
pub(super) struct SyncedStore {
    inner: Arc<LocalFileSystem>,
    fs: Fs,
    /// Objects read so far.
    reads: Arc<AtomicU64>,
}

impl SyncedStore {
    /// A store rooted at `/`.
    pub(super) fn new(fs: Fs) -> Self {
        Self { inner: Arc::new(LocalFileSystem::new()), fs, reads: Arc::default() }
    }

    /// Counts the objects read: files of the log.
    #[cfg(test)]
    pub(super) fn counter(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.reads)
    }

    async fn put_bytes(&self, location: &Path, bytes: Bytes, mode: PutMode) -> object_store::Result<PutResult> {
        let target = self.inner.path_to_filesystem(location)?;
        let fs = self.fs.clone();
        let if_absent = match mode {
            PutMode::Overwrite => false,
            PutMode::Create => true,
            PutMode::Update(_) => return Err(unsupported("put if unchanged")),
        };
        let write = move || {
            fs.create_dir_all(parent(&target))?;
            if if_absent {
                fs.write_durably_if_absent(&target, &bytes)
            } else {
                fs.write_durably(&target, &bytes).map(|()| true)
            }
        };
        let written = tokio::task::spawn_blocking(write).await.map_err(|source| generic(source.into()))?;
        match written.map_err(failed)? {
            true => Ok(PutResult { e_tag: None, version: None }),
            false => Err(Error::AlreadyExists { path: location.to_string(), source: "the name is taken".into() }),
        }
    }
}

fn generic(source: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::Generic { store: STORE, source }
}

fn failed(error: StorageError) -> Error {
    generic(Box::new(error))
}

fn unsupported(what: &str) -> Error {
    Error::NotSupported { source: format!("{STORE} does not {what}").into() }
}

impl fmt::Display for SyncedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(STORE)
    }
}

#[async_trait]
impl ObjectStore for SyncedStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> object_store::Result<PutResult> {
        self.put_bytes(location, payload.into(), options.mode).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        _options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        Ok(Box::new(Upload { store: self.clone(), location: location.clone(), parts: Arc::default() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        self.fs.check_read(std::path::Path::new(location.as_ref())).map_err(|error| generic(error.into()))?;
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        let this = self.clone();
        let delete = move |location: object_store::Result<Path>| {
            let this = this.clone();
            async move {
                let location = location?;
                let target: PathBuf = this.inner.path_to_filesystem(&location)?;
                this.fs.remove(&target).map_err(failed)?;
                Ok(location)
            }
        };
        locations.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
        let bytes = self.inner.get_opts(from, GetOptions::default()).await?.bytes().await?;
        let mode = match options.mode {
            CopyMode::Overwrite => PutMode::Overwrite,
            CopyMode::Create => PutMode::Create,
        };
        self.put_bytes(to, bytes, mode).await.map(|_| ())
    }
}

/// Parts gathered in memory and written as one: what goes this way is a checkpoint, which was in memory anyway.
#[derive(Debug)]
struct Upload {
    store: SyncedStore,
    location: Path,
    parts: Arc<Mutex<Vec<PutPayload>>>,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: usize = parts.iter().map(PutPayload::content_length).sum();
        if bytes.saturating_add(data.content_length()) > OBJECT_BYTES_MAX {
            return futures::future::ready(Err(unsupported("take objects over 1 GiB"))).boxed();
        }
        parts.push(data);
        futures::future::ready(Ok(())).boxed()
    }

    async fn complete(&mut self) -> object_store::Result<PutResult> {
        let parts = std::mem::take(&mut *self.parts.lock().unwrap_or_else(PoisonError::into_inner));
        let bytes: Vec<u8> =
            parts.iter().flat_map(|part| part.iter()).flat_map(|piece| piece.iter().copied()).collect();
        self.store.put_bytes(&self.location, bytes.into(), PutMode::Overwrite).await
    }

    async fn abort(&mut self) -> object_store::Result<()> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(())
    }
}

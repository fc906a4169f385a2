//! A store that asks again: what may pass is tried a few times, and an answer that is shorter than it says is none.
//!
//! A conditional put is sent once only: whether one that failed has taken place is for its sender to find out, by reading.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// A request is sent this often at most.
const TRIES: u32 = 4;

/// Requests to the store and what they moved, since start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Reads: `GET` and `HEAD`.
    pub gets: u64,
    /// Writes and copies, each part of a large one counted.
    pub puts: u64,
    /// Lists, each counted once however many pages it has.
    pub lists: u64,
    /// Removals.
    pub deletes: u64,
    /// Requests that failed, those that were sent again with success included.
    pub failures: u64,
    /// Bytes read.
    pub bytes_read: u64,
    /// Bytes written.
    pub bytes_written: u64,
}

/// The counters behind [`Traffic`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    gets: AtomicU64,
    puts: AtomicU64,
    lists: AtomicU64,
    deletes: AtomicU64,
    failures: AtomicU64,
    bytes_read: AtomicU64,
    bytes_written: AtomicU64,
}

impl Counters {
    pub(super) fn traffic(&self) -> Traffic {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Traffic {
            gets: load(&self.gets),
            puts: load(&self.puts),
            lists: load(&self.lists),
            deletes: load(&self.deletes),
            failures: load(&self.failures),
            bytes_read: load(&self.bytes_read),
            bytes_written: load(&self.bytes_written),
        }
    }

    /// A part of a large object is on its way.
    pub(super) fn wrote_part(&self, bytes: u64) {
        add(&self.puts, 1);
        add(&self.bytes_written, bytes);
    }
}

fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

/// A store that asks again.
#[derive(Debug, Clone)]
pub(super) struct Steady {
    inner: Arc<dyn ObjectStore>,
    counters: Arc<Counters>,
    pause: Duration,
}

impl Steady {
    pub(super) fn new(inner: Arc<dyn ObjectStore>, pause: Duration) -> Self {
        Self { inner, counters: Arc::default(), pause }
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Runs a request until it succeeds, cannot succeed, or was tried often enough.
    pub(super) async fn again<T, F: Future<Output = Result<T>>>(
        &self,
        counter: &AtomicU64,
        send: impl Fn() -> F,
    ) -> Result<T> {
        let mut pause = self.pause;
        let mut tries = 1;
        loop {
            add(counter, 1);
            let error = match send().await {
                Err(error) if may_pass(&error) => error,
                outcome => return outcome,
            };
            add(&self.counters.failures, 1);
            if tries == TRIES {
                return Err(error);
            }
            tracing::debug!(%error, tries, "a request to the object store failed and is sent again");
            tries += 1;
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            pause = pause.saturating_mul(2);
        }
    }

    /// One read, its bytes gathered: a body that ends early is an error here and not a shorter object.
    async fn read(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let is_head = options.head;
        let found = self.inner.get_opts(location, options).await?;
        if is_head {
            return Ok(found);
        }
        let (meta, range, attributes) = (found.meta.clone(), found.range.clone(), found.attributes.clone());
        let bytes = found.bytes().await?;
        let expected = range.end.saturating_sub(range.start);
        if bytes.len() as u64 != expected {
            return Err(generic(format!("{location}: {} bytes came instead of {expected}", bytes.len())));
        }
        add(&self.counters.bytes_read, expected);
        let payload = GetResultPayload::Stream(stream::once(std::future::ready(Ok(bytes))).boxed());
        Ok(GetResult { payload, meta, range, attributes })
    }

    async fn list_all(&self, prefix: Option<Path>, offset: Option<Path>) -> Result<Vec<ObjectMeta>> {
        let list = || match &offset {
            Some(offset) => self.inner.list_with_offset(prefix.as_ref(), offset).try_collect::<Vec<_>>(),
            None => self.inner.list(prefix.as_ref()).try_collect(),
        };
        self.again(&self.counters.lists, list).await
    }

    fn listed(&self, prefix: Option<&Path>, offset: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (this, prefix, offset) = (self.clone(), prefix.cloned(), offset.cloned());
        let all = async move { this.list_all(prefix, offset).await };
        all.into_stream().map_ok(|all| stream::iter(all.into_iter().map(Ok))).try_flatten().boxed()
    }
}

/// Whether the same request may succeed later.
fn may_pass(error: &Error) -> bool {
    !matches!(
        error,
        Error::NotFound { .. }
            | Error::InvalidPath { .. }
            | Error::NotSupported { .. }
            | Error::AlreadyExists { .. }
            | Error::Precondition { .. }
            | Error::NotModified { .. }
            | Error::NotImplemented { .. }
            | Error::PermissionDenied { .. }
            | Error::Unauthenticated { .. }
            | Error::UnknownConfigurationKey { .. }
    )
}

/// An error of this layer.
pub(super) fn generic(reason: String) -> Error {
    Error::Generic { store: "daytwo-steady", source: reason.into() }
}

impl fmt::Display for Steady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.inner)
    }
}

#[async_trait]
impl ObjectStore for Steady {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let bytes = payload.content_length() as u64;
        let put = || self.inner.put_opts(location, payload.clone(), options.clone());
        let outcome = if options.mode == PutMode::Overwrite {
            self.again(&self.counters.puts, put).await
        } else {
            add(&self.counters.puts, 1);
            put().await.inspect_err(|error| add(&self.counters.failures, u64::from(may_pass(error))))
        };
        outcome.inspect(|_| add(&self.counters.bytes_written, bytes))
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.again(&self.counters.puts, || self.inner.put_multipart_opts(location, options.clone())).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.again(&self.counters.gets, || self.read(location, options.clone())).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let this = self.clone();
        let delete = move |location: Result<Path>| {
            let this = this.clone();
            async move {
                let location = location?;
                let deleted = this.again(&this.counters.deletes, || this.inner.delete(&location)).await;
                match deleted {
                    Ok(()) | Err(Error::NotFound { .. }) => Ok(location),
                    Err(error) => Err(error),
                }
            }
        };
        locations.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.listed(prefix, None)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.listed(prefix, Some(offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.again(&self.counters.lists, || self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let copy = || self.inner.copy_opts(from, to, options.clone());
        match options.mode {
            CopyMode::Overwrite => self.again(&self.counters.puts, copy).await,
            CopyMode::Create => {
                add(&self.counters.puts, 1);
                copy().await
            }
        }
    }
}

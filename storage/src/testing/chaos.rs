//! [`ChaosStore`]: a store of objects behind a bad network, the same for the same seed.
//!
//! Requests fail before they take place, or after; a put may take place long after it was given up; bodies end early; lists
//! leave out what was written last and show what was just removed. Objects read by name are always the last that was written, as every
//! store promises today.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::Seeded;

/// A list leaves out at most this many of the last objects that were written.
const BEHIND: usize = 4;
/// A put that was given up takes place within this many further requests, or never.
const LATE_WITHIN: u64 = 30;

/// A put on its way that its sender has given up.
struct Late {
    location: Path,
    payload: PutPayload,
    mode: PutMode,
    left: u64,
}

struct State {
    random: Seeded,
    percent: u64,
    is_down: bool,
    ignores_conditions: bool,
    late: Vec<Late>,
    /// Puts to delay until [`Chaos::settle`]: a part of their name, and how many.
    delayed: (String, u64),
    written: VecDeque<Path>,
    removed: VecDeque<ObjectMeta>,
    requests: u64,
    /// A part of names, and reads of objects that have it.
    watched: (String, u64),
}

/// The network, and the store behind it. Each server gets a [`ChaosStore`] of its own.
pub struct Chaos {
    inner: Arc<dyn ObjectStore>,
    state: Mutex<State>,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    Before,
    After,
    Odd,
}

impl Chaos {
    /// A network without faults in front of a store in memory.
    pub fn calm() -> Arc<Self> {
        Self::new(Arc::new(InMemory::new()), 0, 0)
    }

    /// A network in front of `inner` on which `percent` of the requests go wrong.
    pub fn new(inner: Arc<dyn ObjectStore>, seed: u64, percent: u64) -> Arc<Self> {
        let state = State {
            random: Seeded::new(seed),
            percent,
            is_down: false,
            ignores_conditions: false,
            late: Vec::new(),
            delayed: (String::new(), 0),
            written: VecDeque::new(),
            removed: VecDeque::new(),
            requests: 0,
            watched: (String::new(), 0),
        };
        Arc::new(Self { inner, state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes how many requests of a hundred go wrong.
    pub fn set_percent(&self, percent: u64) {
        self.state().percent = percent;
    }

    /// Whether no request gets through.
    pub fn set_down(&self, is_down: bool) {
        self.state().is_down = is_down;
    }

    /// Makes the store take every put, also one on the condition that there is no such object.
    pub fn ignore_conditions(&self) {
        self.state().ignores_conditions = true;
    }

    /// Gives no answer to the next `times` puts whose name has this part, and lets them take place with [`Chaos::settle`].
    pub fn delay_puts_of(&self, part: &str, times: u64) {
        self.state().delayed = (part.to_owned(), times);
    }

    /// Counts reads of objects whose name has this part, from now on.
    pub fn watch_reads_of(&self, part: &str) {
        self.state().watched = (part.to_owned(), 0);
    }

    /// Reads of them since then.
    pub fn watched_reads(&self) -> u64 {
        self.state().watched.1
    }

    /// Requests so far.
    pub fn requests(&self) -> u64 {
        self.state().requests
    }

    /// Lets everything that is still on its way take place.
    pub async fn settle(&self) {
        let late = std::mem::take(&mut self.state().late);
        for put in late {
            self.land(put).await;
        }
    }

    async fn land(&self, late: Late) {
        let landed = self.inner.put_opts(&late.location, late.payload, late.mode.into()).await;
        if landed.is_ok() {
            self.state().wrote(&late.location);
        }
    }

    /// What becomes of the next request; before it, puts whose time has come take place.
    async fn next(&self) -> Result<Fault> {
        let (fault, slow, due) = {
            let mut state = self.state();
            state.requests = state.requests.saturating_add(1);
            let mut due = Vec::new();
            let mut at = 0;
            while let Some(late) = state.late.get_mut(at) {
                late.left = late.left.saturating_sub(1);
                if late.left == 0 { due.push(state.late.remove(at)) } else { at += 1 }
            }
            let percent = state.percent;
            let fault = match state.random.percent(percent) {
                true => state.random.pick(&[Fault::Before, Fault::After, Fault::Odd]),
                false => Fault::None,
            };
            let slow = state.random.percent(percent / 8);
            (if state.is_down { Fault::Before } else { fault }, slow, due)
        };
        for late in due {
            self.land(late).await;
        }
        if slow {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        if fault == Fault::Before { Err(lost("no answer")) } else { Ok(fault) }
    }
}

impl State {
    fn is_delayed(&mut self, location: &Path) -> bool {
        let (part, times) = &mut self.delayed;
        let is_delayed = *times > 0 && location.as_ref().contains(part.as_str());
        *times -= u64::from(is_delayed);
        is_delayed
    }

    fn wrote(&mut self, location: &Path) {
        self.removed.retain(|removed| removed.location != *location);
        self.written.push_back(location.clone());
        if self.written.len() > BEHIND {
            self.written.pop_front();
        }
    }

    fn removed(&mut self, meta: ObjectMeta) {
        self.written.retain(|written| *written != meta.location);
        self.removed.push_back(meta);
        if self.removed.len() > BEHIND {
            self.removed.pop_front();
        }
    }
}

/// One server's way to the store. It can be cut off, as when the server dies.
pub struct ChaosStore {
    chaos: Arc<Chaos>,
    requests_left: Arc<Mutex<Option<u64>>>,
}

impl ChaosStore {
    /// A way through `chaos`.
    pub fn new(chaos: &Arc<Chaos>) -> Arc<Self> {
        Arc::new(Self { chaos: Arc::clone(chaos), requests_left: Arc::default() })
    }

    /// After this many more requests none gets through any more, in either direction.
    pub fn cut_off_after(&self, requests: u64) {
        *self.requests_left.lock().unwrap_or_else(PoisonError::into_inner) = Some(requests);
    }

    /// Whether it is cut off.
    pub fn is_cut_off(&self) -> bool {
        *self.requests_left.lock().unwrap_or_else(PoisonError::into_inner) == Some(0)
    }

    fn way(&self) -> Self {
        Self { chaos: Arc::clone(&self.chaos), requests_left: Arc::clone(&self.requests_left) }
    }

    async fn next(&self) -> Result<Fault> {
        if let Some(left) = &mut *self.requests_left.lock().unwrap_or_else(PoisonError::into_inner) {
            if *left == 0 {
                return Err(lost("cut off"));
            }
            *left -= 1;
        }
        self.chaos.next().await
    }

    async fn put(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let fault = self.next().await?;
        let mut options = options;
        if self.chaos.state().ignores_conditions {
            options.mode = PutMode::Overwrite;
        }
        let is_delayed = self.chaos.state().is_delayed(location);
        if fault == Fault::Odd || is_delayed {
            let mut state = self.chaos.state();
            let left = if is_delayed { u64::MAX } else { 1 + state.random.below(LATE_WITHIN) };
            state.late.push(Late { location: location.clone(), payload, mode: options.mode, left });
            return Err(lost("timed out, and takes place later"));
        }
        let put = self.chaos.inner.put_opts(location, payload, options).await;
        if put.is_ok() {
            self.chaos.state().wrote(location);
        }
        if fault == Fault::After { Err(lost("the answer was lost")) } else { put }
    }

    async fn get(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let fault = self.next().await?;
        {
            let mut state = self.chaos.state();
            let (part, reads) = &mut state.watched;
            *reads += u64::from(!part.is_empty() && location.as_ref().contains(part.as_str()));
        }
        let is_head = options.head;
        let found = self.chaos.inner.get_opts(location, options).await?;
        match fault {
            Fault::After => Err(lost("the answer was lost")),
            Fault::Odd if !is_head => cut_short(found).await,
            _ => Ok(found),
        }
    }

    async fn remove(&self, location: &Path) -> Result<()> {
        let fault = self.next().await?;
        let meta = self.chaos.inner.head(location).await;
        let removed = self.chaos.inner.delete(location).await;
        if let (Ok(meta), Ok(())) = (meta, &removed) {
            self.chaos.state().removed(meta);
        }
        if fault == Fault::None { removed } else { Err(lost("the answer was lost")) }
    }

    async fn list_all(&self, prefix: Option<Path>) -> Result<Vec<ObjectMeta>> {
        let fault = self.next().await?;
        let mut all: Vec<ObjectMeta> = self.chaos.inner.list(prefix.as_ref()).try_collect().await?;
        match fault {
            Fault::After => return Err(lost("the answer was lost")),
            Fault::Odd => {
                let state = self.chaos.state();
                all.retain(|meta| !state.written.contains(&meta.location));
                let is_below =
                    |meta: &&ObjectMeta| prefix.as_ref().is_none_or(|prefix| meta.location.prefix_matches(prefix));
                all.extend(state.removed.iter().filter(is_below).cloned());
                drop(state);
                all.sort_by(|one, other| one.location.cmp(&other.location));
                all.dedup_by(|one, other| one.location == other.location);
            }
            Fault::None | Fault::Before => {}
        }
        Ok(all)
    }
}

fn lost(what: &'static str) -> Error {
    Error::Generic { store: "chaos", source: what.into() }
}

/// The same answer, whose body ends in the middle.
async fn cut_short(found: GetResult) -> Result<GetResult> {
    let (meta, range, attributes) = (found.meta.clone(), found.range.clone(), found.attributes.clone());
    let bytes = found.bytes().await?;
    let bytes = bytes.slice(..bytes.len() / 2);
    let payload = GetResultPayload::Stream(stream::once(std::future::ready(Ok(bytes))).boxed());
    Ok(GetResult { payload, meta, range, attributes })
}

impl fmt::Debug for ChaosStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChaosStore")
    }
}

impl fmt::Display for ChaosStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("chaos")
    }
}

impl fmt::Debug for Chaos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chaos").field("inner", &self.inner).finish_non_exhaustive()
    }
}

#[async_trait]
impl ObjectStore for ChaosStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.put(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.next().await?;
        self.chaos.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.get(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let this = Arc::new(self.way());
        let remove = move |location: Result<Path>| {
            let this = Arc::clone(&this);
            async move {
                let location = location?;
                this.remove(&location).await.map(|()| location)
            }
        };
        locations.then(remove).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (this, prefix) = (self.way(), prefix.cloned());
        let all = async move { this.list_all(prefix).await };
        all.into_stream().map_ok(|all| stream::iter(all.into_iter().map(Ok))).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.next().await?;
        self.chaos.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let fault = self.next().await?;
        let copied = self.chaos.inner.copy_opts(from, to, options).await;
        if fault == Fault::None { copied } else { Err(lost("the answer was lost")) }
    }
}

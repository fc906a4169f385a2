//! [`QueryEngine`]: every question about stored spans comes through here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use datafusion::execution::session_state::SessionState;
use daytwo_storage::{Clock, Snapshot, Store, UnixNanos};

use crate::catalogue::CatalogueCache;
use crate::data_file::{Fault, FileCache, IndexCache};
use crate::slots::{Slot, Slots};
use crate::tables::EngineTables;
use crate::{QueryConfig, Result, session};

/// Lookups by id that run at once. They have slots of their own, so that a trace opens while long queries run.
const LOOKUPS_MAX: usize = 16;

/// Answers questions about the spans of one store.
pub struct QueryEngine {
    pub(crate) config: QueryConfig,
    pub(crate) store: Arc<Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tables: Arc<dyn EngineTables>,
    pub(crate) template: SessionState,
    pub(crate) cache: Arc<FileCache>,
    pub(crate) indexes: Arc<IndexCache>,
    pub(crate) catalogues: Arc<CatalogueCache>,
    pub(crate) queries: Slots,
    pub(crate) lookups: Slots,
    pub(crate) counts: Arc<Counts>,
}

/// How questions ended, since start.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    completed: AtomicU64,
    cancelled: AtomicU64,
    failed: AtomicU64,
}

/// How a question ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Completed,
    Cancelled,
    Failed,
}

impl Counts {
    pub(crate) fn add(&self, ending: Ending) {
        let counter = match ending {
            Ending::Completed => &self.completed,
            Ending::Cancelled => &self.cancelled,
            Ending::Failed => &self.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// What the engine is doing and has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueryStatus {
    /// Queries and searches that run now.
    pub running: usize,
    /// Queries and searches that may run at once.
    pub limit: usize,
    /// Questions answered to the end.
    pub completed: u64,
    /// Questions whose answer was dropped before its end.
    pub cancelled: u64,
    /// Questions that ended in an error.
    pub failed: u64,
}

/// What an answer cost.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LookupStats {
    /// Committed data files.
    pub files_total: u64,
    /// Of these, files in which rows were read.
    pub files_scanned: u64,
    /// Bytes read from the files' indexes.
    pub index_bytes: u64,
    /// Bytes read from data files, as they are stored; from a store of objects with what lies between them, where that saves a
    /// request.
    pub data_bytes: u64,
    /// Reads of data files: of a store of objects, requests.
    pub data_requests: u64,
    /// Time from the question to the answer, in milliseconds.
    pub elapsed_ms: f64,
}

impl QueryEngine {
    /// An engine over `store`; `tables` gives the rows of `slis`, `slos`, `deployments` and `verdicts`.
    ///
    /// # Errors
    /// [`crate::QueryError::Io`] when the spill folder cannot be made.
    pub fn new(
        config: QueryConfig,
        store: Arc<Store>,
        clock: Arc<dyn Clock>,
        tables: Arc<dyn EngineTables>,
    ) -> Result<Arc<Self>> {
        Ok(Arc::new(Self {
            template: session::template(&config)?,
            cache: Arc::new(FileCache::new(config.file_cache_bytes)),
            catalogues: Arc::default(),
            indexes: Arc::new(IndexCache::new(config.index_cache_bytes)),
            queries: Slots::new(config.running_max, config.waiting_max, config.wait_max),
            lookups: Slots::new(LOOKUPS_MAX, config.waiting_max, config.wait_max),
            counts: Arc::default(),
            config,
            store,
            clock,
            tables,
        }))
    }

    /// The settings.
    pub fn config(&self) -> &QueryConfig {
        &self.config
    }

    /// What the engine is doing and has done.
    pub fn status(&self) -> QueryStatus {
        QueryStatus {
            running: self.queries.running(),
            limit: self.queries.limit(),
            completed: self.counts.completed.load(Ordering::Relaxed),
            cancelled: self.counts.cancelled.load(Ordering::Relaxed),
            failed: self.counts.failed.load(Ordering::Relaxed),
        }
    }

    /// The time up to which answers given now are complete: everything accepted before is in them.
    pub fn as_of(&self) -> UnixNanos {
        self.clock.now()
    }

    /// The tables of SQL.
    pub fn table_names(&self) -> Vec<String> {
        session::table_names()
    }

    /// Counts how a question ended and gives its result on.
    pub(crate) fn counted<T>(&self, result: Result<T>) -> Result<T> {
        self.counts.add(if result.is_ok() { Ending::Completed } else { Ending::Failed });
        result
    }

    /// Tells the store about damaged files, which it sets aside; the sentences say what answers now lack.
    pub(crate) async fn set_aside(&self, faults: &[Fault]) -> Vec<String> {
        let mut missing = Vec::new();
        for fault in faults {
            self.cache.forget(&fault.path);
            let reported = self.store.report_damaged(&fault.path, &fault.reason).await;
            let state = match &reported {
                // A store that gives no answer damages nothing.
                Ok(false) | Err(_) if self.store.is_remote() => "cannot be read now",
                _ => "is damaged",
            };
            if let Err(error) = reported {
                tracing::warn!(path = fault.path, %error, "a damaged file could not be set aside");
            }
            missing.push(format!("data file {} {state} and was left out: {}", fault.path, fault.reason));
        }
        missing
    }

    /// Which of the files at `paths` cannot be read, by reading them to the end.
    pub(crate) async fn verify(&self, snapshot: &Snapshot, paths: Vec<String>) -> Vec<Fault> {
        let (cache, snapshot) = (Arc::clone(&self.cache), snapshot.clone());
        let verify = move || {
            let size_of =
                |path: &String| snapshot.files.iter().find(|file| file.path == *path).map(|file| file.size_bytes);
            let fault = |path: &String| match cache.open(&snapshot.data, path, size_of(path).unwrap_or(0)) {
                Ok(file) => file.verify().err(),
                Err(fault) => Some(fault),
            };
            paths.iter().filter_map(fault).collect::<Vec<Fault>>()
        };
        tokio::task::spawn_blocking(verify).await.unwrap_or_default()
    }

    /// Runs blocking work of a question; its slot is given back when the work ends, even if nobody waits any more.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        slot: Slot,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let run = move || {
            let done = work();
            drop(slot);
            done
        };
        let done = tokio::task::spawn_blocking(run).await;
        done.map_err(|error| crate::QueryError::internal(error.to_string()))
    }
}

impl std::fmt::Debug for QueryEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QueryEngine")
            .field("config", &self.config)
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

/// Milliseconds since `started`.
pub(crate) fn elapsed_ms(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1_000.0
}

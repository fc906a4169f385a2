//! Late spans whose trace is no longer held: the whole trace is read again from the store, a bounded number at a time and off the lock.
//!
//! What was measured of a trace before is what is stored of it less the spans that wait. That is exact because every span of the
//! snapshot was observed before the spans that wait are counted: the tail is emptied in between.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arrow::datatypes::{Schema, SchemaRef};
use daytwo_storage::{Snapshot, SpanBatch, Store, TraceId, UnixNanos};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::Correlator;
use super::open::Wanted;
use crate::data_file::{FileCache, IndexCache};
use crate::lookup::SpanFiles;
use crate::spans;
use crate::trace::{ResourceCache, TraceSpan, columns_with_flags, extract_spans};

/// Bytes of footers, and as many of indexes, that are kept between two readings: late spans come to the same recent files.
const CACHE_BYTES: u64 = 8 << 20;
/// Files of this long before a trace's window are looked at too, to find out that the trace is older than its window.
const BEYOND: Duration = Duration::from_secs(3600);

/// Which of the stored spans the engine has measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Measured {
    /// A rebuild read those received from here on…
    pub(super) received_from: i64,
    /// …that started from here on,…
    pub(super) started_from: i64,
    /// …and everything that was received from here on was followed.
    pub(super) followed_from: i64,
}

impl Measured {
    /// All traces that started from here on were measured: read, or followed from the start on.
    pub(super) fn whole_from(&self) -> i64 {
        self.received_from.max(self.started_from).min(self.followed_from)
    }

    pub(super) fn holds(&self, span: &TraceSpan) -> bool {
        let was_read = span.received_ns >= self.received_from && span.start_ns >= self.started_from;
        was_read || span.received_ns >= self.followed_from
    }
}

/// What is stored of a trace; no spans when it could not be read whole.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) wanted: Wanted,
    pub(super) spans: Option<Vec<TraceSpan>>,
}

/// Reads traces again.
#[derive(Debug)]
pub(super) struct LateReader {
    store: Option<Arc<Store>>,
    window: Duration,
    spans_max: usize,
    files: FileCache,
    indexes: IndexCache,
    texts: Mutex<ResourceCache>,
    columns: SchemaRef,
}

impl LateReader {
    /// A reader that looks so far before the spans that wait, and reads at most so many spans at once. `store` is told of missing indexes.
    pub(super) fn new(window: Duration, spans_max: usize, store: Option<Arc<Store>>) -> Self {
        let all = spans::sql_schema();
        let columns = all.fields().iter().filter(|field| columns_with_flags().any(|name| name == field.name()));
        Self {
            store,
            window,
            spans_max,
            files: FileCache::new(CACHE_BYTES),
            indexes: IndexCache::new(CACHE_BYTES),
            texts: Mutex::default(),
            columns: Arc::new(Schema::new(columns.cloned().collect::<Vec<_>>())),
        }
    }

    /// What a snapshot holds of some traces. Blocks on the disk or the store.
    pub(super) fn read(&self, snapshot: &Snapshot, wanted: Vec<Wanted>) -> Vec<Found> {
        let Some(first) = wanted.iter().map(|wanted| wanted.received).min() else { return Vec::new() };
        let recent = self.recent(snapshot, first);
        let mut found = Vec::with_capacity(wanted.len());
        let mut parts = vec![wanted];
        while let Some(mut part) = parts.pop() {
            match self.read_part(&recent, &part) {
                Read::Whole(spans) => found.extend(by_trace(part, spans)),
                Read::TooMany if part.len() > 1 => {
                    let half = part.split_off(part.len() / 2);
                    parts.extend([part, half]);
                }
                Read::TooMany | Read::Failed => {
                    found.extend(part.into_iter().map(|wanted| Found { wanted, spans: None }));
                }
            }
        }
        found
    }

    /// The snapshot with only the files that may have spans of traces whose late spans came from `first` on.
    fn recent(&self, snapshot: &Snapshot, first: UnixNanos) -> Snapshot {
        let from = spans::received_hour(first.saturating_sub(self.window.saturating_mul(2)).saturating_sub(BEYOND));
        let mut recent = snapshot.clone();
        recent.files = Arc::new(snapshot.files.iter().filter(|file| file.received_hour >= from).cloned().collect());
        recent
    }

    fn read_part(&self, snapshot: &Snapshot, part: &[Wanted]) -> Read {
        let traces: Vec<TraceId> = part.iter().map(|wanted| wanted.trace).collect();
        let files = SpanFiles { snapshot, store: self.store.as_deref(), cache: &self.files, indexes: &self.indexes };
        let found = match files.find(&traces, Arc::clone(&self.columns), self.spans_max) {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%error, traces = traces.len(), "traces cannot be read again; their late spans are measured alone");
                return Read::Failed;
            }
        };
        if let Some(fault) = found.faults.first() {
            tracing::warn!(%fault, traces = traces.len(), "traces cannot be read again; their late spans are measured alone");
            return Read::Failed;
        }
        if found.truncated {
            return Read::TooMany;
        }
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        match extract_spans(&found.batch, &mut texts) {
            Ok(spans) => Read::Whole(spans),
            Err(error) => {
                tracing::warn!(%error, "stored spans cannot be read as such; late spans are measured alone");
                Read::Failed
            }
        }
    }
}

enum Read {
    Whole(Vec<TraceSpan>),
    TooMany,
    Failed,
}

fn by_trace(part: Vec<Wanted>, mut spans: Vec<TraceSpan>) -> impl Iterator<Item = Found> {
    spans.sort_by_key(|span| span.trace_id);
    part.into_iter().map(move |wanted| {
        let from = spans.partition_point(|span| span.trace_id < wanted.trace);
        let to = spans.partition_point(|span| span.trace_id <= wanted.trace);
        Found { wanted, spans: Some(spans.get(from..to).unwrap_or_default().to_vec()) }
    })
}

impl Correlator {
    /// Begins to read the traces that have waited longest, if any wait. Empties the tail of what the snapshot may hold first.
    pub(super) async fn begin_reading(
        self: &Arc<Self>,
        reader: &Arc<LateReader>,
        tail: &mut mpsc::Receiver<SpanBatch>,
    ) -> Option<Reading> {
        let store = reader.store.as_ref().filter(|_| self.state().waiting() > 0)?;
        let snapshot = store.snapshot();
        let batches: Vec<SpanBatch> = (0..tail.len()).map_while(|_| tail.try_recv().ok()).collect();
        let engine = Arc::clone(self);
        let observed = tokio::task::spawn_blocking(move || batches.iter().for_each(|batch| engine.observe(batch)));
        if let Err(error) = observed.await {
            tracing::error!(%error, "measuring a batch failed; its spans are stored and not measured");
        }
        let wanted = self.state().take_waiting();
        let reader = Arc::clone(reader);
        Some(Reading(tokio::task::spawn_blocking(move || reader.read(&snapshot, wanted))))
    }

    /// Measures what was read again; traces whose reading failed wait for another time.
    pub(super) async fn end_reading(self: &Arc<Self>, read: Result<Vec<Found>, tokio::task::JoinError>) {
        let engine = Arc::clone(self);
        let measure = move || match read {
            Ok(found) => engine.state().put_together(found, engine.clock.now()),
            Err(error) => {
                tracing::error!(%error, "reading traces again failed; they wait for another time");
                engine.state().wait_again();
            }
        };
        if let Err(error) = tokio::task::spawn_blocking(measure).await {
            tracing::error!(%error, "measuring traces that were read again failed");
        }
    }
}

/// A reading under way.
#[derive(Debug)]
pub(super) struct Reading(JoinHandle<Vec<Found>>);

impl Reading {
    /// What it gives; for ever pending when there is none.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped: it can be asked again.
    pub(super) async fn end(reading: &mut Option<Self>) -> Result<Vec<Found>, tokio::task::JoinError> {
        match reading {
            Some(Self(handle)) => handle.await,
            None => std::future::pending().await,
        }
    }
}

//! A search on its way through the blocks that may match.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use datafusion::logical_expr::Expr;
use daytwo_storage::{Snapshot, TraceId};

use super::candidates::{Candidates, Part};
use super::{TraceSearch, filter};
use crate::data_file::Fault;
use crate::engine::{LookupStats, QueryEngine};
use crate::slots::Slot;
use crate::span_table::{Rows, SpanTable};
use crate::{QueryError, Result};

/// Damaged files that one search survives.
const DAMAGED_FILES_MAX: usize = 16;
/// Each step reads at most as many times more than the one before.
const STEP_GROWTH: usize = 4;

/// A trace that matches.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hit {
    pub(super) newest_start: i64,
    pub(super) matched_spans: u64,
}

/// A step of a search that failed.
pub(super) struct Miss(pub(super) QueryError);

/// A search on its way.
pub(super) struct Hunt {
    snapshot: Snapshot,
    filter: Option<Expr>,
    limit: usize,
    candidates: Candidates,
    scanned: HashSet<String>,
    data_bytes: u64,
    data_requests: u64,
    hits: HashMap<TraceId, Hit>,
}

impl Hunt {
    /// A hunt through the files of `snapshot`.
    ///
    /// # Errors
    /// [`QueryError::Internal`] when opening the indexes panics.
    pub(super) async fn new(
        engine: &Arc<QueryEngine>,
        snapshot: Snapshot,
        search: &TraceSearch,
        limit: usize,
    ) -> Result<Self> {
        let (indexes, store, all) = (Arc::clone(&engine.indexes), Arc::clone(&engine.store), snapshot.clone());
        let question = filter::question(search);
        let open = move || {
            let (indexed, bytes_read) = indexes.of(&all, Some(&store));
            Candidates::new(store, all, indexed, bytes_read, question)
        };
        let candidates = off_the_reactor(open).await?;
        let filter = filter::of(search);
        let (scanned, hits) = (HashSet::new(), HashMap::new());
        Ok(Self { snapshot, filter, limit, candidates, scanned, data_bytes: 0, data_requests: 0, hits })
    }

    /// What it took so far.
    pub(super) fn stats(&self) -> LookupStats {
        LookupStats {
            files_total: self.snapshot.files.len() as u64,
            files_scanned: self.scanned.len() as u64,
            index_bytes: self.candidates.index_bytes(),
            data_bytes: self.data_bytes,
            data_requests: self.data_requests,
            elapsed_ms: 0.0,
        }
    }

    /// Reads until nothing newer can come. Gives what turned out to be missing.
    pub(super) async fn run(&mut self, engine: &Arc<QueryEngine>, slot: Slot) -> Result<Vec<String>> {
        let mut partial = Vec::new();
        let mut damaged = 0_usize;
        let mut files_max = 1_usize;
        let mut parts: Vec<Part> = Vec::new();
        let mut buffered = !self.snapshot.buffered.is_empty();
        loop {
            if buffered || !parts.is_empty() {
                match self.step(engine, &parts, buffered).await {
                    Ok(hits) => self.add(hits),
                    Err((miss, faults)) => {
                        damaged = damaged.saturating_add(faults.len());
                        if faults.is_empty() || damaged > DAMAGED_FILES_MAX {
                            return Err(miss.0);
                        }
                        parts.retain(|part| faults.iter().all(|fault| fault.path != part.file.path));
                        partial.extend(engine.set_aside(&faults).await);
                        continue;
                    }
                }
            }
            buffered = false;
            parts = self.next(files_max).await?;
            if parts.is_empty() {
                drop(slot);
                return Ok(partial);
            }
            files_max = files_max.saturating_mul(STEP_GROWTH);
        }
    }

    /// The blocks to be read next; none when nothing that could come is newer than what was found.
    async fn next(&mut self, files_max: usize) -> Result<Vec<Part>> {
        let mut candidates = std::mem::take(&mut self.candidates);
        let newest: Vec<i64> = self.hits.values().map(|hit| hit.newest_start).collect();
        let limit = self.limit;
        let look = move || {
            let is_done = |rest: i64| newest.iter().filter(|newest| **newest >= rest).count() > limit;
            let parts = candidates.next(files_max, is_done);
            (candidates, parts)
        };
        let (candidates, parts) = off_the_reactor(look).await?;
        self.candidates = candidates;
        Ok(parts)
    }

    async fn step(
        &mut self,
        engine: &Arc<QueryEngine>,
        parts: &[Part],
        buffered: bool,
    ) -> Result<Vec<(TraceId, Hit)>, (Miss, Vec<Fault>)> {
        let mut snapshot = self.snapshot.clone();
        snapshot.files = Arc::new(parts.iter().map(|part| part.file.clone()).collect());
        if !buffered {
            snapshot.buffered = Vec::new();
        }
        let rows = parts.iter().filter_map(|part| Some((part.file.path.clone(), part.rows.clone()?)));
        let rows: Rows = rows.collect();
        let table = SpanTable::new(snapshot.clone(), Arc::clone(&engine.cache), &[]).with_rows(rows);
        let table = Arc::new(table);
        // One more than wanted tells whether there are more.
        let wanted = self.limit.saturating_add(1);
        let hits = engine.hits(&table, self.filter.as_ref(), wanted).await;
        self.data_bytes = self.data_bytes.saturating_add(table.reads().bytes());
        self.data_requests = self.data_requests.saturating_add(table.reads().requests());
        match hits {
            Ok(hits) => {
                self.scanned.extend(parts.iter().map(|part| part.file.path.clone()));
                Ok(hits)
            }
            Err(miss) => Err((miss, engine.verify(&snapshot, table.suspects()).await)),
        }
    }

    fn add(&mut self, hits: Vec<(TraceId, Hit)>) {
        for (id, hit) in hits {
            let known = self.hits.entry(id).or_insert(Hit { newest_start: i64::MIN, matched_spans: 0 });
            known.newest_start = known.newest_start.max(hit.newest_start);
            known.matched_spans = known.matched_spans.saturating_add(hit.matched_spans);
        }
    }

    /// The newest hits within the limit, and whether there are more.
    pub(super) fn newest(self) -> (Vec<(TraceId, Hit)>, bool) {
        let mut hits: Vec<(TraceId, Hit)> = self.hits.into_iter().collect();
        hits.sort_by_key(|(id, hit)| (std::cmp::Reverse(hit.newest_start), *id));
        let truncated = hits.len() > self.limit;
        hits.truncate(self.limit);
        (hits, truncated)
    }
}

async fn off_the_reactor<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| QueryError::internal(error.to_string()))
}

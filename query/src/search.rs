//! Finding traces: the newest ones with a span that matches, each summed up over all its spans.
//!
//! Files are read newest first, a few at a time and twice as many with each step, until no older file can hold anything
//! newer than what was found. So the newest 20 of 10 M spans cost a file or two.

mod filter;
mod summary;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use datafusion::execution::context::SessionContext;
use datafusion::functions_aggregate::expr_fn::{count, max};
use datafusion::logical_expr::{Expr, lit};
use datafusion::prelude::col as column;
use daytwo_storage::schema::col;
use daytwo_storage::{DataFile, Snapshot, TraceId, UnixNanos};

use crate::data_file::Fault;
use crate::engine::{LookupStats, QueryEngine, elapsed_ms};
use crate::slots::Slot;
use crate::span_table::SpanTable;
use crate::sql::in_words;
use crate::{QueryError, Result};

pub use summary::TraceSummary;
pub(crate) use summary::{columns as summary_columns, sum_up};

/// Traces that one search gives at most.
pub const SEARCH_LIMIT_MAX: usize = 1_000;

/// Damaged files that one search survives.
const DAMAGED_FILES_MAX: usize = 16;

/// Which traces to find: those with a span for which all of this holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TraceSearch {
    /// `service.name` of the span.
    pub service: Option<String>,
    /// Name of the span.
    pub operation: Option<String>,
    /// `deployment.environment.name` of the span; `""` for spans without one.
    pub environment: Option<String>,
    /// OTLP status code of the span: 2 is an error.
    pub status: Option<i32>,
    /// The span lasted at least this long.
    pub min_duration_ns: Option<i64>,
    /// The span lasted at most this long.
    pub max_duration_ns: Option<i64>,
    /// Attributes of the span or of its resource, by key, with their values as text.
    pub attributes: Vec<(String, String)>,
    /// The span started at this time or later.
    pub from: Option<UnixNanos>,
    /// The span started before this time.
    pub to: Option<UnixNanos>,
    /// Traces wanted, up to [`SEARCH_LIMIT_MAX`].
    pub limit: usize,
}

/// Traces found, newest matching span first.
#[derive(Debug, Clone)]
pub struct SearchAnswer {
    /// The traces.
    pub traces: Vec<TraceSummary>,
    /// The limit that held.
    pub limit: usize,
    /// Whether more traces match than were given.
    pub truncated: bool,
    /// What the answer cost.
    pub stats: LookupStats,
    /// What is missing from the answer, in sentences.
    pub partial: Vec<String>,
}

/// A trace that matches.
#[derive(Debug, Clone, Copy)]
struct Hit {
    newest_start: i64,
    matched_spans: u64,
}

impl QueryEngine {
    /// The newest traces with a span that matches.
    ///
    /// # Errors
    /// [`QueryError::Overloaded`], [`QueryError::Timeout`], [`QueryError::OutOfMemory`], [`QueryError::Internal`].
    ///
    /// # Cancel safety
    /// Dropping the future stops the search.
    pub async fn search(self: &Arc<Self>, search: TraceSearch) -> Result<SearchAnswer> {
        let answer = tokio::time::timeout(self.config.timeout, self.find_traces(search)).await;
        self.counted(answer.unwrap_or(Err(QueryError::Timeout { limit: self.config.timeout })))
    }

    async fn find_traces(self: &Arc<Self>, search: TraceSearch) -> Result<SearchAnswer> {
        let started = Instant::now();
        let limit = search.limit.clamp(1, SEARCH_LIMIT_MAX);
        let slot = self.queries.take().await?;
        let mut hunt = Hunt::new(self.store.snapshot(), filter::of(&search), limit, &search);
        let mut partial = hunt.snapshot.holes.clone();
        partial.extend(hunt.run(self, slot).await?);
        let stats = hunt.stats;
        let (hits, truncated) = hunt.newest();
        let ids = hits.iter().map(|(id, _)| *id).collect::<Vec<TraceId>>();
        let found = self.find(ids, summary::columns()).await?;
        partial.extend(found.partial.into_iter().filter(|line| !partial.contains(line)).collect::<Vec<String>>());
        if found.truncated {
            partial.push("the traces found have more spans than are counted here".to_owned());
        }
        let traces = sum_up(&found.batch, hits.iter().map(|(id, hit)| (*id, hit.matched_spans)))?;
        let stats = LookupStats { elapsed_ms: elapsed_ms(started), ..stats };
        Ok(SearchAnswer { traces, limit, truncated, stats, partial })
    }

    /// The newest matching traces of some files and batches.
    async fn hits(
        &self,
        table: &Arc<SpanTable>,
        filter: Option<&Expr>,
        limit: usize,
    ) -> Result<Vec<(TraceId, Hit)>, Miss> {
        let session = SessionContext::new_with_state(self.template.clone());
        let memory = self.config.memory_bytes_max;
        let failed = |error: datafusion::error::DataFusionError| Miss(in_words(&error, memory));
        let mut frame = session.read_table(Arc::clone(table) as _).map_err(failed)?;
        if let Some(filter) = filter {
            frame = frame.filter(filter.clone()).map_err(failed)?;
        }
        let newest = max(column(col::START)).alias("newest");
        let frame = frame.aggregate(vec![column(col::TRACE_ID)], vec![newest, count(lit(1)).alias("matched")]);
        let frame = frame.and_then(|frame| frame.sort(vec![column("newest").sort(false, false)]));
        let frame = frame.and_then(|frame| frame.limit(0, Some(limit))).map_err(failed)?;
        let mut hits = Vec::new();
        for batch in frame.collect().await.map_err(failed)? {
            let (ids, newest, matched) = match batch.columns() {
                [ids, newest, matched] => (ids, newest, matched),
                _ => return Err(Miss(QueryError::internal("a search gave other columns than asked for"))),
            };
            let newest = newest.as_primitive::<Int64Type>();
            let matched = matched.as_primitive::<Int64Type>();
            for row in 0..batch.num_rows() {
                let Ok(id) = TraceId::from_bytes(ids.as_binary_view().value(row)) else {
                    continue;
                };
                let matched_spans = u64::try_from(matched.value(row)).unwrap_or(0);
                hits.push((id, Hit { newest_start: newest.value(row), matched_spans }));
            }
        }
        Ok(hits)
    }
}

/// A step of a search that failed.
struct Miss(QueryError);

/// A search on its way through the files.
struct Hunt {
    snapshot: Snapshot,
    filter: Option<Expr>,
    limit: usize,
    /// Newest last.
    files: Vec<DataFile>,
    hits: HashMap<TraceId, Hit>,
    stats: LookupStats,
}

impl Hunt {
    fn new(snapshot: Snapshot, filter: Option<Expr>, limit: usize, search: &TraceSearch) -> Self {
        let in_range = |file: &&DataFile| {
            file.start_range.is_none_or(|(first, last)| {
                search.from.is_none_or(|from| last >= from.0) && search.to.is_none_or(|to| first < to.0)
            })
        };
        let mut files: Vec<DataFile> = snapshot.files.iter().filter(in_range).cloned().collect();
        files.sort_by_key(|file| file.start_range.map_or(i64::MAX, |(_, last)| last));
        let stats = LookupStats { files_total: snapshot.files.len() as u64, ..LookupStats::default() };
        Self { snapshot, filter, limit, files, hits: HashMap::new(), stats }
    }

    /// Reads until nothing newer can come. Gives what turned out to be missing.
    async fn run(&mut self, engine: &Arc<QueryEngine>, slot: Slot) -> Result<Vec<String>> {
        let mut partial = Vec::new();
        let mut damaged = 0_usize;
        let mut step = Vec::new();
        let mut buffered = true;
        loop {
            let hits = self.step(engine, &step, buffered).await;
            match hits {
                Ok(hits) => self.add(hits, &step),
                Err((miss, faults)) => {
                    damaged = damaged.saturating_add(faults.len());
                    if faults.is_empty() || damaged > DAMAGED_FILES_MAX {
                        return Err(miss.0);
                    }
                    step.retain(|file: &DataFile| faults.iter().all(|fault| fault.path != file.path));
                    partial.extend(engine.set_aside(&faults).await);
                    continue;
                }
            }
            buffered = false;
            if self.files.is_empty() || self.is_done() {
                drop(slot);
                return Ok(partial);
            }
            let width = step.len().saturating_mul(2).clamp(1, self.files.len());
            step = self.files.split_off(self.files.len().saturating_sub(width));
        }
    }

    async fn step(
        &self,
        engine: &Arc<QueryEngine>,
        files: &[DataFile],
        buffered: bool,
    ) -> Result<Vec<(TraceId, Hit)>, (Miss, Vec<Fault>)> {
        let mut part = self.snapshot.clone();
        part.files = Arc::new(files.to_vec());
        if !buffered {
            part.buffered = Vec::new();
        }
        let table = Arc::new(SpanTable::new(part.clone(), Arc::clone(&engine.cache), &[]));
        // One more than wanted tells whether there are more.
        let wanted = self.limit.saturating_add(1);
        match engine.hits(&table, self.filter.as_ref(), wanted).await {
            Ok(hits) => Ok(hits),
            Err(miss) => Err((miss, engine.verify(&part, table.suspects()).await)),
        }
    }

    fn add(&mut self, hits: Vec<(TraceId, Hit)>, files: &[DataFile]) {
        self.stats.files_scanned = self.stats.files_scanned.saturating_add(files.len() as u64);
        for (id, hit) in hits {
            let known = self.hits.entry(id).or_insert(Hit { newest_start: i64::MIN, matched_spans: 0 });
            known.newest_start = known.newest_start.max(hit.newest_start);
            known.matched_spans = known.matched_spans.saturating_add(hit.matched_spans);
        }
    }

    /// Whether enough was found that is newer than anything the remaining files can hold.
    fn is_done(&self) -> bool {
        let rest = self.files.last().map(|file| file.start_range.map_or(i64::MAX, |(_, last)| last));
        let newer = |hit: &&Hit| rest.is_none_or(|rest| hit.newest_start >= rest);
        self.hits.values().filter(newer).count() > self.limit
    }

    /// The newest hits within the limit, and whether there are more.
    fn newest(self) -> (Vec<(TraceId, Hit)>, bool) {
        let mut hits: Vec<(TraceId, Hit)> = self.hits.into_iter().collect();
        hits.sort_by_key(|(id, hit)| (std::cmp::Reverse(hit.newest_start), *id));
        let truncated = hits.len() > self.limit;
        hits.truncate(self.limit);
        (hits, truncated)
    }
}

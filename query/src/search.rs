//! Finding traces: the newest ones with a span that matches, each summed up over all its spans.
//!
//! The files' indexes name the blocks of rows that may match. Blocks are read newest first, a few at a time and four times
//! as many with each step, until no other block can hold anything newer than what was found. So the newest 20 of 10 M
//! spans cost a file or two, and an attribute that no span has costs no file at all.

mod candidates;
mod filter;
mod hunt;
mod summary;

use std::sync::Arc;
use std::time::Instant;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use datafusion::execution::context::SessionContext;
use datafusion::functions_aggregate::expr_fn::{count, max};
use datafusion::logical_expr::{Expr, lit};
use datafusion::prelude::col as column;
use daytwo_storage::schema::col;
use daytwo_storage::{TraceId, UnixNanos};

use crate::engine::{LookupStats, QueryEngine, elapsed_ms};
use crate::span_table::SpanTable;
use crate::sql::in_words;
use crate::{QueryError, Result};

use hunt::{Hit, Hunt, Miss};
pub use summary::TraceSummary;
pub(crate) use summary::{columns as summary_columns, sum_up};

/// Traces that one search gives at most.
pub const SEARCH_LIMIT_MAX: usize = 1_000;

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
        let snapshot = self.store.snapshot();
        let mut partial = snapshot.holes.clone();
        let mut hunt = Hunt::new(self, snapshot, &search, limit).await?;
        partial.extend(hunt.run(self, slot).await?);
        let mut stats = hunt.stats();
        let (hits, truncated) = hunt.newest();
        let ids = hits.iter().map(|(id, _)| *id).collect::<Vec<TraceId>>();
        let found = self.find(ids, summary::columns()).await?;
        partial.extend(found.partial.into_iter().filter(|line| !partial.contains(line)).collect::<Vec<String>>());
        if found.truncated {
            partial.push("the traces found have more spans than are counted here".to_owned());
        }
        let traces = sum_up(&found.batch, hits.iter().map(|(id, hit)| (*id, hit.matched_spans)))?;
        stats.index_bytes = stats.index_bytes.saturating_add(found.stats.index_bytes);
        stats.data_bytes = stats.data_bytes.saturating_add(found.stats.data_bytes);
        stats.elapsed_ms = elapsed_ms(started);
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

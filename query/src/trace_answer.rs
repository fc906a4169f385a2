//! A trace as the board shows it: stored spans, put together, with the critical path.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use daytwo_storage::TraceId;

use crate::trace::{
    CriticalSegment, EXTRACTED_COLUMNS, ResourceCache, StitchedTrace, critical_path, extract_spans, stitch,
};
use crate::{LookupStats, QueryEngine, QueryError, Result, TraceSummary, spans};

/// A stitched trace and what it cost to find.
#[derive(Debug, Clone)]
pub struct TraceAnswer {
    /// The spans; none when nothing of the trace is stored.
    pub trace: StitchedTrace,
    /// What decided its duration.
    pub critical_path: Vec<CriticalSegment>,
    /// Whether the trace is longer than the limit and some spans are missing here.
    pub truncated: bool,
    /// What the answer cost.
    pub stats: LookupStats,
    /// What is missing from the answer, in sentences.
    pub partial: Vec<String>,
}

/// Only what stitching reads: attributes are most of a span's bytes.
fn columns() -> SchemaRef {
    let all = spans::sql_schema();
    let wanted = all.fields().iter().filter(|field| EXTRACTED_COLUMNS.contains(&field.name().as_str()));
    Arc::new(Schema::new(wanted.map(Arc::clone).collect::<Vec<_>>()))
}

impl QueryEngine {
    /// A trace with its spans put together.
    ///
    /// # Errors
    /// As [`QueryEngine::trace_spans`].
    pub async fn stitched_trace(&self, trace: TraceId) -> Result<TraceAnswer> {
        let found = self.find(vec![trace], columns()).await;
        let found = self.counted(found)?;
        // Stitching a long trace takes tens of milliseconds: not on a thread that answers others.
        let stitched = tokio::task::spawn_blocking(move || {
            let spans = extract_spans(&found.batch, &mut ResourceCache::default())?;
            let trace = stitch(spans);
            let critical_path = critical_path(&trace);
            let (truncated, stats, partial) = (found.truncated, found.stats, found.partial);
            Ok(TraceAnswer { trace, critical_path, truncated, stats, partial })
        });
        stitched.await.map_err(|error| QueryError::internal(error.to_string()))?
    }

    /// Summaries of some traces, in their order; those of which nothing is stored any more are left out.
    ///
    /// # Errors
    /// As [`QueryEngine::trace_spans`].
    pub async fn summaries(&self, traces: &[TraceId]) -> Result<Vec<TraceSummary>> {
        let found = self.find(traces.to_vec(), crate::search::summary_columns()).await;
        let found = self.counted(found)?;
        let summaries = crate::search::sum_up(&found.batch, traces.iter().map(|trace| (*trace, 0)))?;
        Ok(summaries.into_iter().filter(|summary| summary.spans > 0).collect())
    }
}

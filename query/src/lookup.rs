//! Traces by id, without a hint of their time, beside DataFusion: the files' indexes name the rows, and only their
//! pages are decoded. A lookup pays for no planning and, once a file was looked at, for no footer; an id that is
//! not stored touches no data file.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::{DataType, SchemaRef};
use daytwo_storage::index::TraceKeys;
use daytwo_storage::schema::col;
use daytwo_storage::{DataFile, Snapshot, SpanId, Store, TraceId};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::RowSelection;

use crate::data_file::{Fault, FileCache, IndexCache, Indexed, OpenFile, Reads, within_row_groups};
use crate::engine::{LookupStats, QueryEngine, elapsed_ms};
use crate::{QueryError, Result, spans};

/// All stored spans of a trace.
#[derive(Debug, Clone)]
pub struct TraceSpans {
    /// The spans in the columns of [`crate::spans::sql_schema`] (text and bytes are views), in no order; a span that was
    /// received twice stands twice. No rows when nothing of the trace is stored.
    pub batch: RecordBatch,
    /// Whether the trace is longer than `trace_spans_max` and some spans are missing here.
    pub truncated: bool,
    /// What the answer cost.
    pub stats: LookupStats,
    /// What is missing from the answer, in sentences.
    pub partial: Vec<String>,
}

impl QueryEngine {
    /// All spans of a trace.
    ///
    /// # Errors
    /// [`QueryError::Overloaded`], [`QueryError::Internal`]. A damaged file is no error: it is set aside and named in
    /// `partial`.
    ///
    /// # Cancel safety
    /// Dropping the future gives the answer up; the blocking read behind it ends by itself.
    pub async fn trace_spans(&self, trace: TraceId) -> Result<TraceSpans> {
        let found = self.find(vec![trace], spans::sql_schema()).await;
        self.counted(found)
    }

    /// One span with all its columns: no row when it is not stored, several when it was received several times.
    ///
    /// # Errors
    /// As [`QueryEngine::trace_spans`].
    pub async fn span_detail(&self, trace: TraceId, span: SpanId) -> Result<TraceSpans> {
        let mut found = self.trace_spans(trace).await?;
        let ids = found.batch.column_by_name(col::SPAN_ID).map(Arc::clone);
        let ids = ids.ok_or_else(|| QueryError::internal("spans have no span_id"))?;
        let mine = equal(&ids, &[span.as_bytes().as_slice()])?;
        found.batch = filter_record_batch(&found.batch, &mine)?;
        Ok(found)
    }

    /// All spans of some traces, in `columns`.
    pub(crate) async fn find(&self, traces: Vec<TraceId>, columns: SchemaRef) -> Result<TraceSpans> {
        let started = Instant::now();
        let slot = self.lookups.take().await?;
        let snapshot = self.store.snapshot();
        let holes = snapshot.holes.clone();
        let (cache, indexes, store) = (Arc::clone(&self.cache), Arc::clone(&self.indexes), Arc::clone(&self.store));
        let rows_max = self.config.trace_spans_max;
        let search = move || {
            let files = SpanFiles { snapshot: &snapshot, store: Some(&store), cache: &cache, indexes: &indexes };
            files.find(&traces, columns, rows_max)
        };
        let found = self.blocking(slot, search).await??;
        let mut partial = holes;
        partial.extend(self.set_aside(&found.faults).await);
        let stats = LookupStats { elapsed_ms: elapsed_ms(started), ..found.stats };
        Ok(TraceSpans { batch: found.batch, truncated: found.truncated, stats, partial })
    }
}

/// What was found of some traces.
pub(crate) struct Found {
    pub(crate) batch: RecordBatch,
    pub(crate) truncated: bool,
    stats: LookupStats,
    pub(crate) faults: Vec<Fault>,
}

/// The spans of a snapshot, to be found by the ids of their traces.
pub(crate) struct SpanFiles<'a> {
    pub(crate) snapshot: &'a Snapshot,
    /// Is told of missing indexes.
    pub(crate) store: Option<&'a Store>,
    pub(crate) cache: &'a FileCache,
    pub(crate) indexes: &'a IndexCache,
}

impl SpanFiles<'_> {
    /// Spans of some traces in `columns`, `rows_max` at most. Blocks on the disk or the store.
    ///
    /// # Errors
    /// [`QueryError::Internal`]. A damaged file is no error but one of the faults.
    pub(crate) fn find(&self, traces: &[TraceId], columns: SchemaRef, rows_max: usize) -> Result<Found> {
        let (indexed, index_bytes) = self.indexes.of(self.snapshot, self.store);
        let keys = TraceKeys::of(traces);
        let files = Files { snapshot: self.snapshot, indexed, store: self.store, cache: self.cache };
        Search { traces, keys, columns, rows_max, index_bytes, reads: Arc::default() }.run(&files)
    }
}

/// Where to look.
struct Files<'a> {
    snapshot: &'a Snapshot,
    indexed: Indexed,
    store: Option<&'a Store>,
    cache: &'a FileCache,
}

/// What to look for, and what it took so far.
struct Search<'a> {
    traces: &'a [TraceId],
    keys: TraceKeys,
    columns: SchemaRef,
    rows_max: usize,
    index_bytes: u64,
    reads: Arc<Reads>,
}

impl Search<'_> {
    fn run(mut self, files: &Files<'_>) -> Result<Found> {
        let mut rows = Rows { batches: Vec::new(), count: 0 };
        self.in_buffer(files.snapshot, &mut rows)?;
        let all = &files.snapshot.files;
        let (mut files_scanned, mut faults) = (0_u64, Vec::new());
        // The newest files first: if there are too many spans, it is the oldest that are missing.
        for (number, data_file) in all.iter().enumerate().rev() {
            if rows.count > self.rows_max {
                break;
            }
            match self.in_file(files, number, data_file, &mut rows) {
                Ok(scanned) => files_scanned = files_scanned.saturating_add(u64::from(scanned)),
                Err(fault) => faults.push(fault),
            }
        }
        files.cache.trim();
        let batch = concat_batches(&self.columns, &rows.batches)?;
        let batch = batch.slice(0, batch.num_rows().min(self.rows_max));
        let stats = LookupStats {
            files_total: all.len() as u64,
            files_scanned,
            index_bytes: self.index_bytes,
            data_bytes: self.reads.bytes(),
            data_requests: self.reads.requests(),
            elapsed_ms: 0.0,
        };
        Ok(Found { batch, truncated: rows.count > self.rows_max, stats, faults })
    }

    /// The newest first, as of the files.
    fn in_buffer(&self, snapshot: &Snapshot, rows: &mut Rows) -> Result<()> {
        for buffered in snapshot.buffered.iter().rev() {
            if rows.count > self.rows_max {
                break;
            }
            let batch = buffered.record_batch();
            let mine = self.mine(batch)?;
            if mine.true_count() > 0 {
                rows.push(spans::project(&filter_record_batch(batch, &mine)?, &self.columns, None)?);
            }
        }
        Ok(())
    }

    /// Adds the rows of one file; whether any page of it was read.
    fn in_file(
        &mut self,
        files: &Files<'_>,
        number: usize,
        data_file: &DataFile,
        rows: &mut Rows,
    ) -> Result<bool, Fault> {
        let Some(index) = files.indexed.file(number, files.store, &mut self.index_bytes) else {
            return self.in_unindexed(files, data_file, rows);
        };
        if !index.may_hold(&self.keys) {
            return Ok(false);
        }
        let found = match index.rows_of(&self.keys) {
            Ok(found) => found,
            Err(error) => {
                tracing::debug!(path = data_file.path, %error, "a file is read without its index");
                if let Some(store) = files.store {
                    store.report_unindexed(&data_file.path);
                }
                return self.in_unindexed(files, data_file, rows);
            }
        };
        self.index_bytes = self.index_bytes.saturating_add(found.bytes_read);
        if found.runs.is_empty() {
            return Ok(false);
        }
        let file = files.cache.open(&files.snapshot.data, &data_file.path, data_file.size_bytes)?;
        let lengths = file.metadata().row_groups().iter().map(|group| u32::try_from(group.num_rows()).unwrap_or(0));
        let (row_groups, selection) = within_row_groups(&found.runs, lengths, self.room(rows));
        self.read(&file, data_file, row_groups, selection, rows)?;
        Ok(true)
    }

    /// As [`Search::in_file`], by the trace ids in the file itself.
    fn in_unindexed(&self, files: &Files<'_>, data_file: &DataFile, rows: &mut Rows) -> Result<bool, Fault> {
        let file = files.cache.open(&files.snapshot.data, &data_file.path, data_file.size_bytes)?;
        let mut scanned = false;
        for (row_group, prints) in file.row_groups().iter().enumerate() {
            let room = self.room(rows);
            if let Some(selection) = file.guarded(|| prints.rows_of(&file, row_group, self.traces, room))? {
                scanned = true;
                self.read(&file, data_file, vec![row_group], selection, rows)?;
            }
        }
        Ok(scanned)
    }

    /// Rows that may still come: one more than may be given, so that a cut is noticed.
    fn room(&self, rows: &Rows) -> usize {
        self.rows_max.saturating_sub(rows.count).saturating_add(1)
    }

    fn read(
        &self,
        file: &OpenFile,
        data_file: &DataFile,
        row_groups: Vec<usize>,
        selection: RowSelection,
        rows: &mut Rows,
    ) -> Result<(), Fault> {
        let reader = || {
            let batch_rows = selection.row_count().max(1);
            let reader = file.selecting_reader(row_groups, selection, self.mask(file), &self.reads)?;
            reader.with_batch_size(batch_rows).build()?.collect::<Result<Vec<_>, _>>().map_err(Into::into)
        };
        let batches = file.guarded(reader)?;
        let taken = self.take_mine(&batches, &data_file.received_hour, rows);
        taken.map_err(|error| Fault { path: data_file.path.clone(), reason: error.to_string() })
    }

    fn take_mine(&self, batches: &[RecordBatch], received_hour: &str, rows: &mut Rows) -> Result<()> {
        for batch in batches {
            let mine = filter_record_batch(batch, &self.mine(batch)?)?;
            if mine.num_rows() > 0 {
                rows.push(spans::project(&mine, &self.columns, Some(received_hour))?);
            }
        }
        Ok(())
    }

    /// The wanted columns and the id, which proves that a row belongs to the trace.
    fn mask(&self, file: &OpenFile) -> ProjectionMask {
        let schema = file.metadata().file_metadata().schema_descr();
        let wanted = self.columns.fields().iter().map(|field| field.name().as_str());
        ProjectionMask::columns(schema, wanted.chain([col::TRACE_ID]))
    }

    fn mine(&self, batch: &RecordBatch) -> Result<BooleanArray> {
        let ids = batch.column_by_name(col::TRACE_ID);
        let ids = ids.ok_or_else(|| QueryError::internal("spans have no trace_id"))?;
        let wanted: Vec<&[u8]> = self.traces.iter().map(|trace| trace.as_bytes().as_slice()).collect();
        equal(ids, &wanted)
    }
}

struct Rows {
    batches: Vec<RecordBatch>,
    count: usize,
}

impl Rows {
    fn push(&mut self, batch: RecordBatch) {
        self.count = self.count.saturating_add(batch.num_rows());
        self.batches.push(batch);
    }
}

/// So many ids are compared one by one.
const FEW: usize = 8;

/// Which ids are one of `wanted`.
fn equal(ids: &ArrayRef, wanted: &[&[u8]]) -> Result<BooleanArray> {
    let many: HashSet<&[u8]> = wanted.iter().filter(|_| wanted.len() > FEW).copied().collect();
    let is_wanted = |id: &[u8]| if many.is_empty() { wanted.contains(&id) } else { many.contains(id) };
    match ids.data_type() {
        DataType::Binary => Ok((0..ids.len()).map(|row| Some(is_wanted(ids.as_binary::<i32>().value(row)))).collect()),
        DataType::BinaryView => {
            Ok((0..ids.len()).map(|row| Some(is_wanted(ids.as_binary_view().value(row)))).collect())
        }
        other => Err(QueryError::internal(format!("an id column has type {other}"))),
    }
}

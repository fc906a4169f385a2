//! `QueryEngine::sql`: from a statement's text to a stream of rows.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use daytwo_storage::Snapshot;
use futures::{FutureExt, StreamExt};

use crate::data_file::Fault;
use crate::engine::{Counts, Ending, QueryEngine, elapsed_ms};
use crate::slots::Slot;
use crate::span_table::{Indexes, SpanTable};
use crate::yielding::yielding;
use crate::{QueryError, Result, guard, session};

/// How often a query is begun anew because a file turned out to be damaged.
const DAMAGED_FILES_MAX: usize = 16;

/// The answer to a statement: rows that come as they are read. Dropping it stops the query and frees its slot.
pub struct SqlAnswer {
    schema: SchemaRef,
    first: Option<RecordBatch>,
    rows: SendableRecordBatchStream,
    table: Arc<SpanTable>,
    snapshot: Snapshot,
    engine: Arc<QueryEngine>,
    slot: Option<Slot>,
    counts: Arc<Counts>,
    partial: Vec<String>,
    started: Instant,
    deadline: tokio::time::Instant,
    row_count: u64,
    bytes: u64,
    truncated: bool,
    ended: Option<Ending>,
}

impl QueryEngine {
    /// Plans and starts a statement. Returns when the first rows are there (or the end), so most errors show here.
    ///
    /// # Errors
    /// Every variant of [`QueryError`] but [`QueryError::Damaged`].
    ///
    /// # Cancel safety
    /// Dropping the future stops the query.
    pub async fn sql(self: &Arc<Self>, text: &str) -> Result<SqlAnswer> {
        let mut left = LeftEarly { counts: &self.counts, waiting: true };
        let answer = self.start(text).await;
        left.waiting = false;
        if answer.is_err() {
            self.counts.add(Ending::Failed);
        }
        answer
    }

    async fn start(self: &Arc<Self>, text: &str) -> Result<SqlAnswer> {
        let started = Instant::now();
        let mut slot = self.queries.take().await?;
        let deadline = tokio::time::Instant::now() + self.config.timeout;
        let mut without = Vec::new();
        let mut partial = Vec::new();
        for _ in 0..=DAMAGED_FILES_MAX {
            let snapshot = self.store.snapshot();
            let indexes = Indexes { cache: Arc::clone(&self.indexes), store: Arc::clone(&self.store) };
            let table = SpanTable::new(snapshot.clone(), Arc::clone(&self.cache), &without).with_indexes(indexes);
            let table = Arc::new(table);
            let planned = self.plan(text, Arc::clone(&table), slot);
            let planned = tokio::time::timeout_at(deadline, planned).await.map_err(|_| self.timed_out())?;
            let planned = planned?;
            slot = planned.slot;
            let mut answer = SqlAnswer {
                schema: plain_schema(&planned.plan.schema()),
                first: None,
                rows: planned.rows,
                table,
                engine: Arc::clone(self),
                slot: None,
                counts: Arc::clone(&self.counts),
                partial: snapshot.holes.iter().cloned().chain(partial.iter().cloned()).collect(),
                snapshot,
                started,
                deadline,
                row_count: 0,
                bytes: 0,
                truncated: false,
                // Not begun: dropping it counts nothing.
                ended: Some(Ending::Cancelled),
            };
            match answer.read().await {
                Ok(first) => {
                    answer.first = first;
                    answer.slot = Some(slot);
                    answer.ended = None;
                    return Ok(answer);
                }
                Err(failure) => {
                    let faults = self.faults_behind(&failure, &answer.table, &answer.snapshot).await;
                    if faults.is_empty() {
                        return Err(failure.into_error(self));
                    }
                    partial.extend(self.set_aside(&faults).await);
                    without.extend(faults.into_iter().map(|fault| fault.path));
                }
            }
        }
        Err(QueryError::internal(format!(
            "more than {DAMAGED_FILES_MAX} data files are damaged: {}",
            partial.join("; ")
        )))
    }

    /// Checks, plans and starts a statement, on a stack that holds what the guard lets through.
    async fn plan(&self, text: &str, table: Arc<SpanTable>, slot: Slot) -> Result<Planned> {
        let session = session::with_tables(&self.template, table, Arc::clone(&self.tables), self.clock.now())?;
        let (text, text_bytes_max) = (text.to_owned(), self.config.text_bytes_max);
        let memory = self.config.memory_bytes_max;
        guard::on_big_stack(move || {
            let statement = guard::parse(&text, text_bytes_max)?;
            futures::executor::block_on(async {
                let plan = guard::plan(&session, statement).await?;
                let plan = session.create_physical_plan(&plan).await.and_then(yielding);
                let plan = plan.map_err(|error| in_words(&error, memory))?;
                let rows = execute_stream(Arc::clone(&plan), session.task_ctx());
                let rows = rows.map_err(|error| in_words(&error, memory))?;
                Ok(Planned { plan, rows, slot })
            })
        })
        .await?
    }

    /// Which damaged files are behind a failure: only those that were being read are looked at.
    async fn faults_behind(&self, failure: &Failure, table: &SpanTable, snapshot: &Snapshot) -> Vec<Fault> {
        if !failure.may_be_damage() {
            return Vec::new();
        }
        let known: Vec<String> = snapshot.files.iter().map(|file| file.path.clone()).collect();
        let suspects = table.suspects().into_iter().filter(|path| known.contains(path)).collect();
        self.verify(snapshot, suspects).await
    }

    fn timed_out(&self) -> QueryError {
        QueryError::Timeout { limit: self.config.timeout }
    }
}

/// A query that was planned and started.
struct Planned {
    plan: Arc<dyn ExecutionPlan>,
    rows: SendableRecordBatchStream,
    slot: Slot,
}

/// Why reading stopped.
enum Failure {
    Timeout,
    Panic(String),
    DataFusion(DataFusionError),
    Ours(QueryError),
}

impl Failure {
    /// Whether a damaged or missing file can be the cause.
    fn may_be_damage(&self) -> bool {
        match self {
            Self::Panic(_) => true,
            Self::DataFusion(error) => !matches!(
                error.find_root(),
                DataFusionError::ResourcesExhausted(_) | DataFusionError::Plan(_) | DataFusionError::NotImplemented(_)
            ),
            Self::Timeout | Self::Ours(_) => false,
        }
    }

    fn into_error(self, engine: &QueryEngine) -> QueryError {
        match self {
            Self::Timeout => engine.timed_out(),
            Self::Panic(reason) => QueryError::Internal { reason },
            Self::DataFusion(error) => in_words(&error, engine.config.memory_bytes_max),
            Self::Ours(error) => error,
        }
    }
}

/// A DataFusion error as one of ours, by whose fault it is.
pub(crate) fn in_words(error: &DataFusionError, memory_bytes_max: u64) -> QueryError {
    match error.find_root() {
        DataFusionError::ResourcesExhausted(detail) if detail.contains("bytes for one batch") => {
            QueryError::Refused { reason: detail.clone() }
        }
        DataFusionError::ResourcesExhausted(detail) => {
            QueryError::OutOfMemory { limit_bytes: memory_bytes_max, detail: detail.clone() }
        }
        root if spill_is_full(root) => {
            QueryError::OutOfMemory { limit_bytes: memory_bytes_max, detail: root.strip_backtrace() }
        }
        DataFusionError::Internal(reason) => QueryError::Internal { reason: reason.clone() },
        DataFusionError::External(source) => match source.downcast_ref::<QueryError>() {
            Some(ours) => QueryError::internal(ours.to_string()),
            None => QueryError::internal(source.to_string()),
        },
        DataFusionError::IoError(source) => QueryError::internal(source.to_string()),
        DataFusionError::ParquetError(source) => QueryError::internal(source.to_string()),
        _ => guard::explain(error),
    }
}

/// Whether the disk limit of spilling ended the query. DataFusion has no variant of its own for it.
fn spill_is_full(error: &DataFusionError) -> bool {
    error.strip_backtrace().contains("max_temp_directory_size")
}

impl SqlAnswer {
    /// Names and types of the columns: plain ones, no views and no dictionaries.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// What is missing from the answer, in sentences; empty when it is whole.
    pub fn partial(&self) -> &[String] {
        &self.partial
    }

    /// Rows given so far.
    pub fn row_count(&self) -> u64 {
        self.row_count
    }

    /// Whether the limit of rows or bytes ended the answer. Final once [`SqlAnswer::next`] gave `None`.
    pub fn truncated(&self) -> bool {
        self.truncated
    }

    /// Milliseconds since the question.
    pub fn elapsed_ms(&self) -> f64 {
        elapsed_ms(self.started)
    }

    /// The next rows; `None` at the end.
    ///
    /// # Errors
    /// [`QueryError::Timeout`], [`QueryError::OutOfMemory`], [`QueryError::Damaged`] and others; the answer ends.
    ///
    /// # Cancel safety
    /// Rows are not lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Result<RecordBatch>> {
        if let Some(first) = self.first.take() {
            return Some(Ok(self.limited(first)));
        }
        if self.ended.is_some() {
            return None;
        }
        match self.read().await {
            Ok(Some(batch)) => Some(Ok(self.limited(batch))),
            Ok(None) => {
                self.end(Ending::Completed);
                None
            }
            Err(failure) => Some(Err(self.fail(failure).await)),
        }
    }

    /// All rows, for callers that want them at once.
    ///
    /// # Errors
    /// As [`SqlAnswer::next`].
    pub async fn collect(&mut self) -> Result<Vec<RecordBatch>> {
        let mut batches = Vec::new();
        while let Some(batch) = self.next().await {
            batches.push(batch?);
        }
        Ok(batches)
    }

    async fn read(&mut self) -> Result<Option<RecordBatch>, Failure> {
        loop {
            let next = AssertUnwindSafe(self.rows.next()).catch_unwind();
            let next = tokio::time::timeout_at(self.deadline, next).await.map_err(|_| Failure::Timeout)?;
            let next = next.map_err(|panic| Failure::Panic(crate::data_file::panic_text(panic.as_ref())))?;
            match next.transpose().map_err(Failure::DataFusion)? {
                Some(batch) if batch.num_rows() == 0 => {}
                Some(batch) => return self.plain(&batch).map(Some).map_err(Failure::Ours),
                None => return Ok(None),
            }
        }
    }

    fn plain(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let pairs = batch.columns().iter().zip(self.schema.fields());
        let columns = pairs.map(|(column, field)| Ok(cast(column, field.data_type())?));
        let columns = columns.collect::<Result<Vec<ArrayRef>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }

    /// Counts a batch against the limits, and cuts it where they end.
    fn limited(&mut self, batch: RecordBatch) -> RecordBatch {
        let room = self.engine.config.answer_rows_max.saturating_sub(self.row_count);
        let bytes: usize = batch.columns().iter().map(slice_bytes).sum();
        let bytes_room = self.engine.config.answer_bytes_max.saturating_sub(self.bytes);
        let rows = batch.num_rows() as u64;
        let fitting = rows_that_fit(rows, bytes as u64, bytes_room).min(room);
        self.row_count = self.row_count.saturating_add(fitting);
        self.bytes = self.bytes.saturating_add(bytes as u64);
        if fitting < rows {
            self.truncated = true;
            self.end(Ending::Completed);
        }
        batch.slice(0, usize::try_from(fitting).unwrap_or(usize::MAX).min(batch.num_rows()))
    }

    /// Stops the query; the slot is free from here.
    fn end(&mut self, ending: Ending) {
        if self.ended.is_none() {
            self.ended = Some(ending);
            self.counts.add(ending);
        }
        let nothing = futures::stream::empty();
        let schema = Arc::clone(&self.schema);
        self.rows = Box::pin(datafusion::physical_plan::stream::RecordBatchStreamAdapter::new(schema, nothing));
        self.slot = None;
    }

    async fn fail(&mut self, failure: Failure) -> QueryError {
        let engine = Arc::clone(&self.engine);
        let faults = engine.faults_behind(&failure, &self.table, &self.snapshot).await;
        self.end(Ending::Failed);
        engine.set_aside(&faults).await;
        match faults.into_iter().next() {
            Some(Fault { path, reason }) => QueryError::Damaged { path, reason },
            None => failure.into_error(&engine),
        }
    }
}

/// Counts a question whose client left before the first rows.
struct LeftEarly<'a> {
    counts: &'a Counts,
    waiting: bool,
}

impl Drop for LeftEarly<'_> {
    fn drop(&mut self) {
        if self.waiting {
            self.counts.add(Ending::Cancelled);
        }
    }
}

impl Drop for SqlAnswer {
    fn drop(&mut self) {
        if self.ended.is_none() {
            self.counts.add(Ending::Cancelled);
        }
    }
}

impl std::fmt::Debug for SqlAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqlAnswer")
            .field("schema", &self.schema)
            .field("row_count", &self.row_count)
            .finish_non_exhaustive()
    }
}

fn slice_bytes(column: &ArrayRef) -> usize {
    column.to_data().get_slice_memory_size().unwrap_or_else(|_| column.get_array_memory_size())
}

/// How many of `rows` rows that take `bytes` fit in `room`, taking them as equally long.
fn rows_that_fit(rows: u64, bytes: u64, room: u64) -> u64 {
    if bytes <= room {
        return rows;
    }
    let share = u128::from(rows).saturating_mul(u128::from(room)) / u128::from(bytes.max(1));
    u64::try_from(share).unwrap_or(rows)
}

/// The columns as every Arrow reader knows them: views and dictionaries become plain.
fn plain_schema(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        let kind = plain_type(field.data_type());
        Field::new(field.name(), kind, field.is_nullable())
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn plain_type(kind: &DataType) -> DataType {
    match kind {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        DataType::Dictionary(_, values) => plain_type(values),
        DataType::List(field) => DataType::List(Arc::new(plain_field(field))),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(|field| plain_field(field)).collect()),
        other => other.clone(),
    }
}

fn plain_field(field: &Field) -> Field {
    field.clone().with_data_type(plain_type(field.data_type()))
}

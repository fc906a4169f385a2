//! A trace in one line: root, duration, spans, errors, services.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{ArrowPrimitiveType, Int32Type, Int64Type, Schema, SchemaRef};
use daytwo_storage::TraceId;
use daytwo_storage::schema::col;

use crate::{QueryError, Result, spans};

/// A trace summed up over all its stored spans, each counted once however often it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceSummary {
    /// The trace.
    pub trace_id: TraceId,
    /// Service of the root span; `None` while no span without a parent is stored.
    pub root_service: Option<String>,
    /// Name of the root span.
    pub root_operation: Option<String>,
    /// Earliest start.
    pub start_unix_nano: i64,
    /// From the earliest start to the latest end.
    pub duration_ns: i64,
    /// Spans stored.
    pub spans: u64,
    /// Of these, with an error status.
    pub errors: u64,
    /// Services with their number of spans, most first.
    pub services: Vec<(String, u64)>,
    /// Spans that matched the search, in the files that were read for it.
    pub matched_spans: u64,
}

/// The columns that summaries are made of.
pub(crate) fn columns() -> SchemaRef {
    let wanted = [
        col::TRACE_ID,
        col::SPAN_ID,
        col::PARENT_SPAN_ID,
        col::NAME,
        col::START,
        col::DURATION,
        col::STATUS_CODE,
        col::SERVICE_NAME,
    ];
    let all = spans::sql_schema();
    let fields = all.fields().iter().filter(|field| wanted.contains(&field.name().as_str())).map(Arc::clone);
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// The summaries of `traces`, in their order, each given with its number of matched spans.
pub(crate) fn sum_up(batch: &RecordBatch, traces: impl Iterator<Item = (TraceId, u64)>) -> Result<Vec<TraceSummary>> {
    let mut sums: HashMap<TraceId, Sum> = HashMap::new();
    let rows = Rows { batch };
    for row in 0..batch.num_rows() {
        if let Ok(id) = TraceId::from_bytes(rows.bytes(col::TRACE_ID, row)?) {
            sums.entry(id).or_default().add(&rows, row)?;
        }
    }
    let summary = |(id, matched)| sums.remove(&id).map(|sum| sum.finish(id, matched));
    Ok(traces.filter_map(summary).collect())
}

struct Rows<'a> {
    batch: &'a RecordBatch,
}

impl<'a> Rows<'a> {
    fn column(&self, name: &str) -> Result<&'a dyn Array> {
        let column = self.batch.column_by_name(name).map(AsRef::as_ref);
        column.ok_or_else(|| QueryError::internal(format!("a summary lacks the column {name}")))
    }

    fn bytes(&self, name: &str, row: usize) -> Result<&'a [u8]> {
        Ok(self.column(name)?.as_binary_view().value(row))
    }

    fn text(&self, name: &str, row: usize) -> Result<&'a str> {
        Ok(self.column(name)?.as_string_view().value(row))
    }

    fn number<T: ArrowPrimitiveType>(&self, name: &str, row: usize) -> Result<T::Native> {
        Ok(self.column(name)?.as_primitive::<T>().value(row))
    }
}

#[derive(Default)]
struct Sum {
    seen: HashSet<Vec<u8>>,
    /// Start, service and name of the earliest span without a parent.
    root: Option<(i64, String, String)>,
    range: Option<(i64, i64)>,
    errors: u64,
    services: BTreeMap<String, u64>,
}

impl Sum {
    fn add(&mut self, rows: &Rows<'_>, row: usize) -> Result<()> {
        if !self.seen.insert(rows.bytes(col::SPAN_ID, row)?.to_vec()) {
            return Ok(());
        }
        let start = rows.number::<Int64Type>(col::START, row)?;
        let end = start.saturating_add(rows.number::<Int64Type>(col::DURATION, row)?);
        let (first, last) = self.range.unwrap_or((start, end));
        self.range = Some((first.min(start), last.max(end)));
        let service = rows.text(col::SERVICE_NAME, row)?;
        let is_root = rows.column(col::PARENT_SPAN_ID)?.is_null(row);
        if is_root && self.root.as_ref().is_none_or(|(earliest, ..)| start < *earliest) {
            self.root = Some((start, service.to_owned(), rows.text(col::NAME, row)?.to_owned()));
        }
        if rows.number::<Int32Type>(col::STATUS_CODE, row)? == 2 {
            self.errors = self.errors.saturating_add(1);
        }
        let count = self.services.entry(service.to_owned()).or_insert(0);
        *count = count.saturating_add(1);
        Ok(())
    }

    fn finish(self, trace_id: TraceId, matched_spans: u64) -> TraceSummary {
        let (start, end) = self.range.unwrap_or((0, 0));
        let (root_service, root_operation) = self.root.map(|(_, service, name)| (service, name)).unzip();
        let mut services: Vec<(String, u64)> = self.services.into_iter().collect();
        services.sort_by(|(a, a_count), (b, b_count)| b_count.cmp(a_count).then_with(|| a.cmp(b)));
        TraceSummary {
            trace_id,
            root_service,
            root_operation,
            start_unix_nano: start,
            duration_ns: end.saturating_sub(start),
            spans: self.seen.len() as u64,
            errors: self.errors,
            services,
            matched_spans,
        }
    }
}

//! [`SpanBatchBuilder`]: what a decoder appends spans to.

use std::sync::Arc;

use arrow::array::builder::{BinaryBuilder, Int32Builder, Int64Builder, StringBuilder};
use arrow::array::{Array, ArrayRef, RecordBatch};

use super::absent::{Absent, is_shared};
use super::ahead::Ahead;
use super::attributes::AttributeColumns;
use super::footprint::{self, Footprint};
use super::groups::GroupColumns;
use super::sparse::Sparse;
use super::{AttributeKey, AttributeValue, ResourceRow, ScopeRow, SpanBatch, SpanRow};
use crate::schema;
use crate::{Result, SpanId};

/// Builds a [`SpanBatch`] span by span. Call [`begin_resource`](Self::begin_resource) and
/// [`begin_scope`](Self::begin_scope) before the first span of each group; without them the defaults hold.
#[derive(Debug)]
pub struct SpanBatchBuilder {
    received_time_unix_nano: i64,
    resources: GroupColumns,
    scopes: GroupColumns,
    trace_id: BinaryBuilder,
    span_id: BinaryBuilder,
    parent_span_id: BinaryBuilder,
    trace_state: Sparse<StringBuilder>,
    flags: Int64Builder,
    name: StringBuilder,
    kind: Int32Builder,
    start: Int64Builder,
    duration: Int64Builder,
    raw_end: Sparse<Int64Builder>,
    status_code: Int32Builder,
    status_message: Sparse<StringBuilder>,
    attributes: AttributeColumns,
    events: Sparse<StringBuilder>,
    links: Sparse<StringBuilder>,
    dropped_attributes: Int64Builder,
    dropped_events: Int64Builder,
    dropped_links: Int64Builder,
    anomalies: Int64Builder,
    footprint: Footprint,
}

/// The builders begin with room for this many rows, as SDKs send.
const BUILDER_ROWS: usize = 512;
/// Room is made for so many rows at most before they come: a few MiB.
const EXPECTED_ROWS_MAX: usize = 8_192;
/// A batch of fewer rows gives the rest of its room back, or a thousand small requests would fill the hot buffer; a larger
/// one is not worth the copies.
const SMALL_BATCH_ROWS: usize = 256;

impl SpanBatchBuilder {
    /// A builder for the spans of one request received at `received_time_unix_nano`.
    pub fn new(received_time_unix_nano: i64) -> Self {
        Self {
            received_time_unix_nano,
            resources: GroupColumns::new(7),
            scopes: GroupColumns::new(4),
            trace_id: ids(16),
            span_id: ids(8),
            parent_span_id: ids(8),
            trace_state: Sparse::new(),
            flags: Int64Builder::with_capacity(BUILDER_ROWS),
            name: StringBuilder::new(),
            kind: Int32Builder::with_capacity(BUILDER_ROWS),
            start: Int64Builder::with_capacity(BUILDER_ROWS),
            duration: Int64Builder::with_capacity(BUILDER_ROWS),
            raw_end: Sparse::new(),
            status_code: Int32Builder::with_capacity(BUILDER_ROWS),
            status_message: Sparse::new(),
            attributes: AttributeColumns::new(),
            events: Sparse::new(),
            links: Sparse::new(),
            dropped_attributes: Int64Builder::with_capacity(BUILDER_ROWS),
            dropped_events: Int64Builder::with_capacity(BUILDER_ROWS),
            dropped_links: Int64Builder::with_capacity(BUILDER_ROWS),
            anomalies: Int64Builder::with_capacity(BUILDER_ROWS),
            footprint: Footprint::new(),
        }
    }

    /// Makes room for `rows` spans in all, which will take as much as those so far on average. More may come, and fewer.
    ///
    /// # Errors
    /// [`crate::StorageError::Arrow`] when a column of so many rows cannot be.
    pub fn expect(&mut self, rows: usize) -> Result<()> {
        let times = rows.min(EXPECTED_ROWS_MAX) / self.len().max(1);
        if times < 2 {
            return Ok(());
        }
        self.resources.make_room(times)?;
        self.scopes.make_room(times)?;
        self.name.make_room(times)?;
        self.trace_state.make_room(times)?;
        self.attributes.make_room(times)?;
        if rows > BUILDER_ROWS { self.make_room_for_numbers(times) } else { Ok(()) }
    }

    fn make_room_for_numbers(&mut self, times: usize) -> Result<()> {
        let ids = [&mut self.trace_id, &mut self.span_id, &mut self.parent_span_id];
        ids.into_iter().try_for_each(|column| column.make_room(times))?;
        let long = [&mut self.flags, &mut self.start, &mut self.duration, &mut self.anomalies];
        let dropped = [&mut self.dropped_attributes, &mut self.dropped_events, &mut self.dropped_links];
        long.into_iter().chain(dropped).try_for_each(|column| column.make_room(times))?;
        [&mut self.kind, &mut self.status_code].into_iter().try_for_each(|column| column.make_room(times))
    }

    /// Starts a resource: spans appended from now on belong to it.
    pub fn begin_resource(&mut self, row: &ResourceRow<'_>) {
        let service = row.service_name.as_deref().unwrap_or(schema::UNKNOWN_SERVICE);
        let bytes = self.resources.begin([
            Some(service),
            row.service_namespace.as_deref(),
            row.service_version.as_deref(),
            row.service_instance_id.as_deref(),
            row.environment.as_deref(),
            row.attributes_json.as_deref(),
            row.schema_url.as_deref(),
        ]);
        self.footprint.text(bytes);
    }

    /// Starts an instrumentation scope: spans appended from now on belong to it.
    pub fn begin_scope(&mut self, row: &ScopeRow<'_>) {
        let bytes = self.scopes.begin([
            row.name.as_deref(),
            row.version.as_deref(),
            row.attributes_json.as_deref(),
            row.schema_url.as_deref(),
        ]);
        self.footprint.text(bytes);
    }

    /// Bytes of memory that the spans so far take as arrays. While they grow, arrays may hold as much again ahead.
    pub fn bytes(&self) -> usize {
        self.footprint.bytes()
    }

    /// Spans appended so far.
    pub fn len(&self) -> usize {
        self.resources.len()
    }

    /// Whether no span was appended yet.
    pub fn is_empty(&self) -> bool {
        self.resources.len() == 0
    }

    /// Appends one span with all its attributes, promoted ones included, to the current resource and scope. Keys are distinct.
    pub fn append<'k>(
        &mut self,
        row: &SpanRow<'_>,
        attributes: impl IntoIterator<Item = (&'k AttributeKey<'k>, &'k AttributeValue<'k>)>,
    ) {
        let number = self.len();
        self.append_to_groups();
        self.trace_id.append_value(row.trace_id.as_bytes());
        self.span_id.append_value(row.span_id.as_bytes());
        self.parent_span_id.append_option(row.parent_span_id.as_ref().map(SpanId::as_bytes));
        self.flags.append_value(i64::from(row.flags));
        self.name.append_value(&row.name);
        self.footprint.row();
        self.footprint.text(row.name.len());
        self.footprint.text(row.parent_span_id.map_or(0, |parent| parent.as_bytes().len()));
        self.kind.append_value(row.kind);
        self.status_code.append_value(row.status_code);
        self.append_texts(number, row);
        let (start, end) = (row.start_time_unix_nano, row.end_time_unix_nano);
        self.attributes.append(number, attributes, untold(start, end), &mut self.footprint);
        self.dropped_attributes.append_value(i64::from(row.dropped_attributes_count));
        self.dropped_events.append_value(i64::from(row.dropped_events_count));
        self.dropped_links.append_value(i64::from(row.dropped_links_count));
        let time_anomalies = self.append_times(number, start, end);
        self.anomalies.append_value(row.anomalies | time_anomalies);
    }

    fn append_to_groups(&mut self) {
        if self.resources.is_empty() {
            self.begin_resource(&ResourceRow::default());
        }
        if self.scopes.is_empty() {
            self.begin_scope(&ScopeRow::default());
        }
        self.resources.append_span();
        self.scopes.append_span();
    }

    /// Texts that most spans have none of.
    fn append_texts(&mut self, number: usize, row: &SpanRow<'_>) {
        let texts = [
            (&mut self.trace_state, nonempty(&row.trace_state)),
            (&mut self.status_message, nonempty(&row.status_message)),
            (&mut self.events, row.events_json),
            (&mut self.links, row.links_json),
        ];
        for (column, text) in texts {
            if let Some(text) = text {
                column.set(number, text, &mut self.footprint);
            }
        }
    }

    /// Appends start, duration and raw end; returns the anomaly bits that they give rise to.
    fn append_times(&mut self, number: usize, start: u64, end: u64) -> i64 {
        use schema::anomaly;
        const DAY_NS: i64 = 86_400_000_000_000;
        let (start_ns, duration) = (saturated(start), saturated(end.saturating_sub(start)));
        self.start.append_value(start_ns);
        self.duration.append_value(duration);
        if start_ns.checked_add(duration).is_none_or(|sum| i64::try_from(end) != Ok(sum)) {
            // Beyond 2^63-1 as the same 64 bits.
            self.raw_end.set(number, end.cast_signed(), &mut self.footprint);
        }
        let bit = |holds: bool, bit: i64| if holds { bit } else { 0 };
        bit(end < start, anomaly::END_BEFORE_START)
            | bit(start == 0 || end == 0, anomaly::TIME_MISSING)
            | bit(i64::try_from(start.max(end)).is_err(), anomaly::TIME_OVERFLOW)
            | bit(start_ns > self.received_time_unix_nano.saturating_add(DAY_NS), anomaly::TIME_IN_FUTURE)
    }

    /// The batch of all spans appended.
    ///
    /// # Errors
    /// [`crate::StorageError::Arrow`] when the arrays do not fit together, which would be a bug here.
    pub fn finish(mut self) -> Result<SpanBatch> {
        let rows = self.len();
        let absent = Absent::of(rows);
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.trace_id.finish()),
            Arc::new(self.span_id.finish()),
            Arc::new(self.parent_span_id.finish()),
            self.trace_state.finish(rows, &absent),
            Arc::new(self.flags.finish()),
            Arc::new(self.name.finish()),
            Arc::new(self.kind.finish()),
            Arc::new(self.start.finish()),
            Arc::new(self.duration.finish()),
            self.raw_end.finish(rows, &absent),
            Arc::new(self.status_code.finish()),
            self.status_message.finish(rows, &absent),
        ];
        columns.extend(self.resources.finish()?);
        columns.extend(self.scopes.finish()?);
        columns.extend(self.attributes.finish(rows, &absent)?);
        columns.extend([
            self.events.finish(rows, &absent),
            self.links.finish(rows, &absent),
            Arc::new(self.dropped_attributes.finish()),
            Arc::new(self.dropped_events.finish()),
            Arc::new(self.dropped_links.finish()),
            Arc::new(arrow::array::Int64Array::from(vec![self.received_time_unix_nano; rows])),
            Arc::new(self.anomalies.finish()),
        ]);
        if rows < SMALL_BATCH_ROWS {
            columns.iter_mut().filter(|column| !is_shared(&**column)).for_each(Array::shrink_to_fit);
        }
        let memory_bytes = footprint::held(&columns);
        let batch = Arc::new(RecordBatch::try_new(schema::memory_schema(), columns)?);
        Ok(SpanBatch { batch, memory_bytes })
    }
}

/// A start that neither its column nor end and duration tell: beyond 2^63-1, with the end before it.
fn untold(start: u64, end: u64) -> Option<u64> {
    (i64::try_from(start).is_err() && end < start).then_some(start)
}

/// A builder of ids of so many bytes.
fn ids(bytes: usize) -> BinaryBuilder {
    BinaryBuilder::with_capacity(BUILDER_ROWS, BUILDER_ROWS.saturating_mul(bytes))
}

fn nonempty(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn saturated(time: u64) -> i64 {
    i64::try_from(time).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::TraceId;
    use crate::schema::{anomaly, col};
    use arrow::array::AsArray;
    use arrow::datatypes::Int64Type;

    fn row<'a>(start: u64, end: u64) -> SpanRow<'a> {
        SpanRow {
            trace_id: TraceId::from_bytes(&[1; 16]).unwrap(),
            span_id: SpanId::from_bytes(&[2; 8]).unwrap(),
            parent_span_id: None,
            trace_state: "".into(),
            flags: 1,
            name: "GET /".into(),
            kind: 2,
            start_time_unix_nano: start,
            end_time_unix_nano: end,
            status_code: 0,
            status_message: "".into(),
            events_json: None,
            links_json: None,
            dropped_attributes_count: 0,
            dropped_events_count: 0,
            dropped_links_count: 0,
            anomalies: 0,
        }
    }

    type Pair<'a> = (AttributeKey<'a>, AttributeValue<'a>);

    fn pairs<'a>(all: &'a [Pair<'a>]) -> impl Iterator<Item = (&'a AttributeKey<'a>, &'a AttributeValue<'a>)> {
        all.iter().map(|(key, value)| (key, value))
    }

    /// Scenario: a promoted key with its own type, one with another type, and an unknown key of each type.
    /// Guarantees: the first gets its column; the others stay in the map with a letter each.
    #[test]
    fn attributes_go_to_their_column_or_the_map() {
        let attributes = [
            ("http.route".into(), AttributeValue::Text("/a".into())),
            ("http.response.status_code".into(), AttributeValue::Text("200".into())),
            ("x".into(), AttributeValue::Double(1.0)),
        ];
        let mut builder = SpanBatchBuilder::new(10);
        builder.append(&row(5, 9), pairs(&attributes));
        let batch = builder.finish().unwrap();
        let column = |name: &str| batch.record_batch().column_by_name(name).unwrap();
        assert_eq!(column("http_route").as_string::<i32>().value(0), "/a");
        assert!(column("http_response_status_code").is_null(0));
        assert_eq!(column(col::ATTRIBUTE_TYPES).as_string::<i32>().value(0), "sd");
        let entries = column(col::ATTRIBUTES).as_map().value(0);
        assert_eq!(entries.column(1).as_string::<i32>().value(1), "1.0");
    }

    /// Scenario: a span that ends before it starts, one with times past 2^63, and one with both.
    /// Guarantees: all are kept with duration 0, the end as sent, and the right bits; the start as sent where no other column tells it.
    #[test]
    fn odd_times_are_kept_and_flagged() {
        let mut builder = SpanBatchBuilder::new(10);
        builder.append(&row(9, 5), []);
        builder.append(&row(u64::MAX, u64::MAX), []);
        builder.append(&row(u64::MAX, 5), []);
        let batch = builder.finish().unwrap();
        let numbers =
            |name: &str| batch.record_batch().column_by_name(name).unwrap().as_primitive::<Int64Type>().clone();
        assert_eq!(numbers(col::DURATION).values(), &[0, 0, 0]);
        assert_eq!(numbers(col::START).value(1), i64::MAX);
        assert_eq!(numbers(col::RAW_END).values(), &[5, -1, 5]);
        assert_eq!(numbers(col::ANOMALIES).value(0), anomaly::END_BEFORE_START);
        assert_eq!(numbers(col::ANOMALIES).value(1), anomaly::TIME_OVERFLOW | anomaly::TIME_IN_FUTURE);
        let entries = batch.record_batch().column_by_name(col::ATTRIBUTES).unwrap().as_map();
        assert_eq!((0..3).map(|row| entries.value_length(row)).collect::<Vec<_>>(), [0, 0, 1]);
        let entry = entries.value(2);
        assert_eq!(entry.column(0).as_string::<i32>().value(0), schema::RAW_START_KEY);
        assert_eq!(entry.column(1).as_string::<i32>().value(0), u64::MAX.to_string());
    }

    /// Scenario: a batch of one span.
    /// Guarantees: it takes memory like one span, not like the room its builders began with.
    #[test]
    fn a_small_batch_is_small() {
        let mut builder = SpanBatchBuilder::new(10);
        builder.append(&row(5, 9), []);
        let bytes = builder.finish().unwrap().memory_bytes();
        assert!(bytes < 32 << 10, "{bytes} bytes");
    }
    /// Scenario: spans with every column filled in some rows, and the announcement of more after each of the first hundred.
    /// Guarantees: the batch is the same as without.
    #[test]
    fn announced_rows_change_nothing() {
        let built = |announced: usize| {
            let mut builder = SpanBatchBuilder::new(10);
            for number in 0..700_u64 {
                let attributes = [
                    ("http.route".into(), AttributeValue::Text(format!("/{number}").into())),
                    ("http.response.status_code".into(), AttributeValue::Integer(200)),
                    ("x".into(), if number % 3 == 0 { AttributeValue::Empty } else { AttributeValue::Bool(true) }),
                ];
                let some = if number % 2 == 0 { &attributes[..] } else { &[] };
                let mut span = row(number, number);
                span.parent_span_id = (number % 5 > 0).then_some(span.span_id);
                span.trace_state = if number % 7 == 1 { "a=b" } else { "" }.into();
                builder.append(&span, pairs(some));
                if number < 100 {
                    builder.expect(announced).unwrap();
                }
            }
            builder.finish().unwrap()
        };
        let plain = built(0);
        for announced in [1, 300, 10_000, usize::MAX] {
            assert_eq!(built(announced).record_batch(), plain.record_batch(), "{announced}");
        }
    }
}

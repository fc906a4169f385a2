//! [`SpanBatch`]: a record batch in the memory schema, and the builder that a decoder appends spans to.
//!
//! Columns that repeat for a whole resource or scope are dictionaries. All resource columns share one key
//! buffer (the resource's number) and all scope columns another, so they cost nothing per span.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::builder::{BinaryBuilder, Int32Builder, Int64Builder, StringBuilder};
use arrow::array::{Array, ArrayRef, DictionaryArray, Int32Array, MapArray, RecordBatch, StringArray, StructArray};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, Int32Type};

use crate::schema::{self, PROMOTED, PromotedType};
use crate::{Result, SpanId, TraceId};

/// The value of an OTLP attribute, borrowed from the request. The letter is the one in `attribute_types`.
#[derive(Debug, Clone, PartialEq)]
pub enum AttributeValue<'a> {
    /// `s`: text.
    Text(Cow<'a, str>),
    /// `i`: shown in decimal.
    Integer(i64),
    /// `d`: shown so that it reads back to the same bits; `NaN`, `Infinity`, `-Infinity` otherwise.
    Double(f64),
    /// `b`: `true` or `false`.
    Bool(bool),
    /// `x`: shown as standard base64; the decoder encodes.
    Bytes(Cow<'a, str>),
    /// `j`: an array or key-value list, as JSON text.
    Json(Cow<'a, str>),
    /// `n`: a value with nothing set.
    Empty,
}

/// What all spans of a resource share.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ResourceRow<'a> {
    /// `service.name`; `None` becomes `unknown_service`.
    pub service_name: Option<Cow<'a, str>>,
    /// `service.namespace`.
    pub service_namespace: Option<Cow<'a, str>>,
    /// `service.version`.
    pub service_version: Option<Cow<'a, str>>,
    /// `service.instance.id`.
    pub service_instance_id: Option<Cow<'a, str>>,
    /// `deployment.environment.name`.
    pub environment: Option<Cow<'a, str>>,
    /// The other attributes, as a JSON object.
    pub attributes_json: Option<Cow<'a, str>>,
    /// Schema URL.
    pub schema_url: Option<Cow<'a, str>>,
}

/// What all spans of an instrumentation scope share.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ScopeRow<'a> {
    /// Name of the instrumentation library.
    pub name: Option<Cow<'a, str>>,
    /// Its version.
    pub version: Option<Cow<'a, str>>,
    /// Its attributes, as a JSON object.
    pub attributes_json: Option<Cow<'a, str>>,
    /// Schema URL.
    pub schema_url: Option<Cow<'a, str>>,
}

/// One span, borrowed from the request that brought it. Keys in `attributes` are distinct.
#[derive(Debug, Clone)]
pub struct SpanRow<'a> {
    /// The trace it belongs to.
    pub trace_id: TraceId,
    /// Its id within the trace.
    pub span_id: SpanId,
    /// The span it was started by; `None` for a root.
    pub parent_span_id: Option<SpanId>,
    /// W3C trace state; empty becomes null.
    pub trace_state: Cow<'a, str>,
    /// OTLP flags.
    pub flags: u32,
    /// Operation name.
    pub name: Cow<'a, str>,
    /// OTLP kind, as sent.
    pub kind: i32,
    /// Start in nanoseconds since the Unix epoch, as sent.
    pub start_time_unix_nano: u64,
    /// End in nanoseconds since the Unix epoch, as sent.
    pub end_time_unix_nano: u64,
    /// OTLP status code, as sent.
    pub status_code: i32,
    /// Status message; empty becomes null.
    pub status_message: Cow<'a, str>,
    /// All attributes, promoted ones included.
    pub attributes: &'a [(Cow<'a, str>, AttributeValue<'a>)],
    /// Events as JSON text, if any.
    pub events_json: Option<&'a str>,
    /// Links as JSON text, if any.
    pub links_json: Option<&'a str>,
    /// Attributes dropped by the SDK.
    pub dropped_attributes_count: u32,
    /// Events dropped by the SDK.
    pub dropped_events_count: u32,
    /// Links dropped by the SDK.
    pub dropped_links_count: u32,
    /// Bits of [`schema::anomaly`] that the decoder saw; the builder adds those about time.
    pub anomalies: i64,
}

/// Spans in the memory schema, all received in one request. Cloning costs one reference count, so that a
/// snapshot of thousands of batches stays cheap.
#[derive(Debug, Clone)]
pub struct SpanBatch(Arc<RecordBatch>);

impl SpanBatch {
    /// The Arrow form.
    pub fn record_batch(&self) -> &RecordBatch {
        &self.0
    }

    /// How many spans there are.
    pub fn len(&self) -> usize {
        self.0.num_rows()
    }

    /// Whether there is no span.
    pub fn is_empty(&self) -> bool {
        self.0.num_rows() == 0
    }

    /// Bytes of memory that the arrays hold.
    pub fn memory_bytes(&self) -> usize {
        self.0.get_array_memory_size()
    }
}

/// Columns that one resource or scope fills once and its spans refer to by number.
#[derive(Debug)]
struct GroupColumns {
    values: Vec<StringBuilder>,
    groups: i32,
    keys: Vec<i32>,
}

impl GroupColumns {
    fn new(columns: usize) -> Self {
        Self { values: (0..columns).map(|_| StringBuilder::new()).collect(), groups: 0, keys: Vec::new() }
    }

    fn begin<'a>(&mut self, row: impl IntoIterator<Item = Option<&'a str>>) {
        for (builder, value) in self.values.iter_mut().zip(row) {
            builder.append_option(value);
        }
        self.groups = self.groups.saturating_add(1);
    }

    fn append_span(&mut self) {
        self.keys.push(self.groups.saturating_sub(1));
    }

    fn finish(mut self) -> Result<Vec<ArrayRef>> {
        self.keys.shrink_to_fit();
        let keys = Int32Array::from(self.keys);
        let dictionary = |values: StringArray| DictionaryArray::<Int32Type>::try_new(keys.clone(), Arc::new(values));
        let finished =
            self.values.into_iter().map(|mut builder| Ok(Arc::new(dictionary(builder.finish())?) as ArrayRef));
        finished.collect()
    }
}

#[derive(Debug)]
enum PromotedColumn {
    Text(StringBuilder),
    Integer(Int64Builder),
}

impl PromotedColumn {
    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Integer(builder) => Arc::new(builder.finish()),
        }
    }
}

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
    trace_state: StringBuilder,
    flags: Int64Builder,
    name: StringBuilder,
    kind: Int32Builder,
    start: Int64Builder,
    duration: Int64Builder,
    raw_end: Int64Builder,
    status_code: Int32Builder,
    status_message: StringBuilder,
    promoted: Vec<PromotedColumn>,
    attribute_offsets: Vec<i32>,
    attribute_keys: StringBuilder,
    attribute_values: StringBuilder,
    attribute_types: StringBuilder,
    events: StringBuilder,
    links: StringBuilder,
    dropped_attributes: Int64Builder,
    dropped_events: Int64Builder,
    dropped_links: Int64Builder,
    anomalies: Int64Builder,
    /// Scratch: which promoted columns the current span has filled.
    filled: u64,
    /// Scratch: types of the current span's remaining attributes, and a number's text.
    types: String,
    number: String,
}

/// Arrow's builders begin with room for this many rows, which is 300 KiB over all columns. A smaller batch gives the
/// rest back, or a thousand small requests would fill the hot buffer; a larger one is not worth the copies.
const BUILDER_ROWS: usize = 1024;

const _: () = assert!(PROMOTED.len() <= 64, "the scratch bit set has 64 bits");

impl SpanBatchBuilder {
    /// A builder for the spans of one request received at `received_time_unix_nano`.
    pub fn new(received_time_unix_nano: i64) -> Self {
        let promoted = PROMOTED.iter().map(|promoted| match promoted.kind {
            PromotedType::Text => PromotedColumn::Text(StringBuilder::new()),
            PromotedType::Integer => PromotedColumn::Integer(Int64Builder::new()),
        });
        Self {
            received_time_unix_nano,
            resources: GroupColumns::new(7),
            scopes: GroupColumns::new(4),
            trace_id: BinaryBuilder::new(),
            span_id: BinaryBuilder::new(),
            parent_span_id: BinaryBuilder::new(),
            trace_state: StringBuilder::new(),
            flags: Int64Builder::new(),
            name: StringBuilder::new(),
            kind: Int32Builder::new(),
            start: Int64Builder::new(),
            duration: Int64Builder::new(),
            raw_end: Int64Builder::new(),
            status_code: Int32Builder::new(),
            status_message: StringBuilder::new(),
            promoted: promoted.collect(),
            attribute_offsets: vec![0],
            attribute_keys: StringBuilder::new(),
            attribute_values: StringBuilder::new(),
            attribute_types: StringBuilder::new(),
            events: StringBuilder::new(),
            links: StringBuilder::new(),
            dropped_attributes: Int64Builder::new(),
            dropped_events: Int64Builder::new(),
            dropped_links: Int64Builder::new(),
            anomalies: Int64Builder::new(),
            filled: 0,
            types: String::new(),
            number: String::new(),
        }
    }

    /// Starts a resource: spans appended from now on belong to it.
    pub fn begin_resource(&mut self, row: &ResourceRow<'_>) {
        let service = row.service_name.as_deref().unwrap_or(schema::UNKNOWN_SERVICE);
        self.resources.begin([
            Some(service),
            row.service_namespace.as_deref(),
            row.service_version.as_deref(),
            row.service_instance_id.as_deref(),
            row.environment.as_deref(),
            row.attributes_json.as_deref(),
            row.schema_url.as_deref(),
        ]);
    }

    /// Starts an instrumentation scope: spans appended from now on belong to it.
    pub fn begin_scope(&mut self, row: &ScopeRow<'_>) {
        self.scopes.begin([
            row.name.as_deref(),
            row.version.as_deref(),
            row.attributes_json.as_deref(),
            row.schema_url.as_deref(),
        ]);
    }

    /// Spans appended so far.
    pub fn len(&self) -> usize {
        self.resources.keys.len()
    }

    /// Whether no span was appended yet.
    pub fn is_empty(&self) -> bool {
        self.resources.keys.is_empty()
    }

    /// Appends one span to the current resource and scope.
    pub fn append(&mut self, row: &SpanRow<'_>) {
        self.append_to_groups();
        self.trace_id.append_value(row.trace_id.as_bytes());
        self.span_id.append_value(row.span_id.as_bytes());
        self.parent_span_id.append_option(row.parent_span_id.as_ref().map(SpanId::as_bytes));
        self.trace_state.append_option(nonempty(&row.trace_state));
        self.flags.append_value(i64::from(row.flags));
        self.name.append_value(&row.name);
        self.kind.append_value(row.kind);
        self.status_code.append_value(row.status_code);
        self.status_message.append_option(nonempty(&row.status_message));
        self.append_attributes(row.attributes);
        self.events.append_option(row.events_json);
        self.links.append_option(row.links_json);
        self.dropped_attributes.append_value(i64::from(row.dropped_attributes_count));
        self.dropped_events.append_value(i64::from(row.dropped_events_count));
        self.dropped_links.append_value(i64::from(row.dropped_links_count));
        let time_anomalies = self.append_times(row.start_time_unix_nano, row.end_time_unix_nano);
        self.anomalies.append_value(row.anomalies | time_anomalies);
    }

    fn append_to_groups(&mut self) {
        if self.resources.groups == 0 {
            self.begin_resource(&ResourceRow::default());
        }
        if self.scopes.groups == 0 {
            self.begin_scope(&ScopeRow::default());
        }
        self.resources.append_span();
        self.scopes.append_span();
    }

    /// Appends start, duration and raw end; returns the anomaly bits that they give rise to.
    fn append_times(&mut self, start: u64, end: u64) -> i64 {
        use schema::anomaly;
        const DAY_NS: i64 = 86_400_000_000_000;
        let (start_ns, end_ns) = (saturated(start), saturated(end));
        let duration = end_ns.saturating_sub(start_ns).max(0);
        let restored = start_ns.saturating_add(duration) == end_ns;
        self.start.append_value(start_ns);
        self.duration.append_value(duration);
        self.raw_end.append_option((!restored).then_some(end_ns));
        let bit = |holds: bool, bit: i64| if holds { bit } else { 0 };
        bit(end < start, anomaly::END_BEFORE_START)
            | bit(start == 0 || end == 0, anomaly::TIME_MISSING)
            | bit(i64::try_from(start.max(end)).is_err(), anomaly::TIME_OVERFLOW)
            | bit(start_ns > self.received_time_unix_nano.saturating_add(DAY_NS), anomaly::TIME_IN_FUTURE)
    }

    fn append_attributes(&mut self, attributes: &[(Cow<'_, str>, AttributeValue<'_>)]) {
        self.filled = 0;
        self.types.clear();
        for (key, value) in attributes {
            if !self.promote(key, value) {
                self.append_to_map(key, value);
            }
        }
        self.leave_other_promoted_null();
        self.attribute_offsets.push(i32::try_from(self.attribute_keys_len()).unwrap_or(i32::MAX));
        let all_text = self.types.bytes().all(|letter| letter == b's');
        self.attribute_types.append_option((!all_text).then_some(self.types.as_str()));
    }

    fn attribute_keys_len(&self) -> usize {
        use arrow::array::ArrayBuilder;
        self.attribute_keys.len()
    }

    /// Puts the value in its own column, if it has one of that type that is still free.
    fn promote(&mut self, key: &str, value: &AttributeValue<'_>) -> bool {
        let Some(index) = PROMOTED.iter().position(|promoted| promoted.key == key) else {
            return false;
        };
        let bit = 1_u64 << index;
        if self.filled & bit != 0 {
            return false;
        }
        let stored = match (self.promoted.get_mut(index), value) {
            (Some(PromotedColumn::Text(builder)), AttributeValue::Text(text)) => {
                builder.append_value(text);
                true
            }
            (Some(PromotedColumn::Integer(builder)), AttributeValue::Integer(number)) => {
                builder.append_value(*number);
                true
            }
            _ => false,
        };
        if stored {
            self.filled |= bit;
        }
        stored
    }

    fn leave_other_promoted_null(&mut self) {
        for (index, column) in self.promoted.iter_mut().enumerate() {
            if self.filled & (1 << index) == 0 {
                match column {
                    PromotedColumn::Text(builder) => builder.append_null(),
                    PromotedColumn::Integer(builder) => builder.append_null(),
                }
            }
        }
    }

    fn append_to_map(&mut self, key: &str, value: &AttributeValue<'_>) {
        use std::fmt::Write;
        self.attribute_keys.append_value(key);
        self.number.clear();
        // Writing to a String cannot fail.
        let (letter, text): (char, Option<&str>) = match value {
            AttributeValue::Text(text) => ('s', Some(text)),
            AttributeValue::Bytes(text) => ('x', Some(text)),
            AttributeValue::Json(text) => ('j', Some(text)),
            AttributeValue::Bool(true) => ('b', Some("true")),
            AttributeValue::Bool(false) => ('b', Some("false")),
            AttributeValue::Empty => ('n', None),
            AttributeValue::Integer(number) => {
                ('i', write!(self.number, "{number}").ok().map(|()| self.number.as_str()))
            }
            AttributeValue::Double(number) => ('d', write_double(&mut self.number, *number)),
        };
        self.attribute_values.append_option(text);
        self.types.push(letter);
    }

    /// The batch of all spans appended.
    ///
    /// # Errors
    /// [`crate::StorageError::Arrow`] when the arrays do not fit together, which would be a bug here.
    pub fn finish(mut self) -> Result<SpanBatch> {
        let rows = self.len();
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.trace_id.finish()),
            Arc::new(self.span_id.finish()),
            Arc::new(self.parent_span_id.finish()),
            Arc::new(self.trace_state.finish()),
            Arc::new(self.flags.finish()),
            Arc::new(self.name.finish()),
            Arc::new(self.kind.finish()),
            Arc::new(self.start.finish()),
            Arc::new(self.duration.finish()),
            Arc::new(self.raw_end.finish()),
            Arc::new(self.status_code.finish()),
            Arc::new(self.status_message.finish()),
        ];
        columns.extend(self.resources.finish()?);
        columns.extend(self.scopes.finish()?);
        columns.extend(self.promoted.iter_mut().map(PromotedColumn::finish));
        columns.push(finish_map(self.attribute_offsets, self.attribute_keys.finish(), self.attribute_values.finish())?);
        columns.extend([
            Arc::new(self.attribute_types.finish()) as ArrayRef,
            Arc::new(self.events.finish()),
            Arc::new(self.links.finish()),
            Arc::new(self.dropped_attributes.finish()),
            Arc::new(self.dropped_events.finish()),
            Arc::new(self.dropped_links.finish()),
            Arc::new(arrow::array::Int64Array::from(vec![self.received_time_unix_nano; rows])),
            Arc::new(self.anomalies.finish()),
        ]);
        if rows < BUILDER_ROWS {
            columns.iter_mut().for_each(Array::shrink_to_fit);
        }
        Ok(SpanBatch(Arc::new(RecordBatch::try_new(schema::memory_schema(), columns)?)))
    }
}

fn finish_map(offsets: Vec<i32>, keys: StringArray, values: StringArray) -> Result<ArrayRef> {
    let entries = StructArray::try_new(schema::attribute_entry_fields(), vec![Arc::new(keys), Arc::new(values)], None)?;
    let field = Arc::new(Field::new("key_value", DataType::Struct(schema::attribute_entry_fields()), false));
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    Ok(Arc::new(MapArray::try_new(field, offsets, entries, None, false)?))
}

fn nonempty(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn saturated(time: u64) -> i64 {
    i64::try_from(time).unwrap_or(i64::MAX)
}

/// Writes a double the way protobuf JSON names the special values, and otherwise so that it reads back the same.
fn write_double(out: &mut String, number: f64) -> Option<&str> {
    use std::fmt::Write;
    let written = if number.is_nan() {
        out.write_str("NaN")
    } else if number.is_infinite() {
        out.write_str(if number > 0.0 { "Infinity" } else { "-Infinity" })
    } else {
        write!(out, "{number:?}")
    };
    written.ok().map(|()| out.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{anomaly, col};
    use arrow::array::AsArray;
    use arrow::datatypes::Int64Type;

    fn row<'a>(attributes: &'a [(Cow<'a, str>, AttributeValue<'a>)], start: u64, end: u64) -> SpanRow<'a> {
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
            attributes,
            events_json: None,
            links_json: None,
            dropped_attributes_count: 0,
            dropped_events_count: 0,
            dropped_links_count: 0,
            anomalies: 0,
        }
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
        builder.append(&row(&attributes, 5, 9));
        let batch = builder.finish().unwrap();
        let column = |name: &str| batch.record_batch().column_by_name(name).unwrap();
        assert_eq!(column("http_route").as_string::<i32>().value(0), "/a");
        assert!(column("http_response_status_code").is_null(0));
        assert_eq!(column(col::ATTRIBUTE_TYPES).as_string::<i32>().value(0), "sd");
        let entries = column(col::ATTRIBUTES).as_map().value(0);
        assert_eq!(entries.column(1).as_string::<i32>().value(1), "1.0");
    }

    /// Scenario: a span that ends before it starts, and one with times past 2^63.
    /// Guarantees: both are kept with duration 0, the raw end where it is needed, and the right bits.
    #[test]
    fn odd_times_are_kept_and_flagged() {
        let mut builder = SpanBatchBuilder::new(10);
        builder.append(&row(&[], 9, 5));
        builder.append(&row(&[], u64::MAX, u64::MAX));
        let batch = builder.finish().unwrap();
        let numbers =
            |name: &str| batch.record_batch().column_by_name(name).unwrap().as_primitive::<Int64Type>().clone();
        assert_eq!(numbers(col::DURATION).values(), &[0, 0]);
        assert_eq!(numbers(col::RAW_END).value(0), 5);
        assert!(numbers(col::RAW_END).is_null(1));
        assert_eq!(numbers(col::ANOMALIES).value(0), anomaly::END_BEFORE_START);
        assert_eq!(numbers(col::ANOMALIES).value(1), anomaly::TIME_OVERFLOW | anomaly::TIME_IN_FUTURE);
    }

    /// Scenario: a batch of one span.
    /// Guarantees: it takes memory like one span, not like the room its builders began with.
    #[test]
    fn a_small_batch_is_small() {
        let mut builder = SpanBatchBuilder::new(10);
        builder.append(&row(&[], 5, 9));
        let bytes = builder.finish().unwrap().memory_bytes();
        assert!(bytes < 32 << 10, "{bytes} bytes");
    }
}

//! [`SpanBatch`]: a record batch in the memory schema, and the builder that a decoder appends spans to.
//!
//! Columns that repeat for a whole resource or scope are dictionaries. All resource columns share one key
//! buffer (the resource's number) and all scope columns another, so they cost nothing per span.

mod absent;
mod ahead;
mod attributes;
mod builder;
mod footprint;
mod groups;
mod sparse;

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::RecordBatch;

pub use attributes::AttributeKey;
pub use builder::SpanBatchBuilder;

use crate::{SpanId, TraceId};

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

/// One span, borrowed from the request that brought it, but for its attributes.
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
    /// Bits of [`crate::schema::anomaly`] that the decoder saw; the builder adds those about time.
    pub anomalies: i64,
}

/// Spans in the memory schema, all received in one request. Cloning costs one reference count, so that a
/// snapshot of thousands of batches stays cheap.
#[derive(Debug, Clone)]
pub struct SpanBatch {
    batch: Arc<RecordBatch>,
    memory_bytes: usize,
}

impl SpanBatch {
    /// The Arrow form.
    pub fn record_batch(&self) -> &RecordBatch {
        &self.batch
    }

    /// How many spans there are.
    pub fn len(&self) -> usize {
        self.batch.num_rows()
    }

    /// Whether there is no span.
    pub fn is_empty(&self) -> bool {
        self.batch.num_rows() == 0
    }

    /// Bytes of memory that the arrays hold, each buffer counted once; columns without a value hold none.
    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }
}

//! [`TestSpan`]: a span written down in one expression, and batches made of such spans.

use std::borrow::Cow;

use crate::batch::{AttributeKey, AttributeValue, ResourceRow, ScopeRow, SpanBatchBuilder, SpanRow};
use crate::{SpanBatch, SpanId, TraceId, UnixNanos};

/// A span for tests. `TestSpan::new(1, 2).parent(1).service("cart").lasting(1_000)` reads as a sentence.
#[derive(Debug, Clone, PartialEq)]
pub struct TestSpan {
    /// Trace id as a number; 0 is taken as 1, since no id is all zero.
    pub trace: u128,
    /// Span id as a number; 0 is taken as 1.
    pub span: u64,
    /// Parent span id, if any.
    pub parent: Option<u64>,
    /// `service.name`.
    pub service: String,
    /// `service.version`.
    pub version: Option<String>,
    /// `service.instance.id`.
    pub instance: Option<String>,
    /// `deployment.environment.name`.
    pub environment: Option<String>,
    /// Further resource attributes as a JSON object.
    pub resource: Option<String>,
    /// Operation name.
    pub name: String,
    /// OTLP kind: 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
    pub kind: i32,
    /// Start, nanoseconds since the Unix epoch.
    pub start: u64,
    /// End, nanoseconds since the Unix epoch.
    pub end: u64,
    /// OTLP status code: 0 unset, 1 ok, 2 error.
    pub status: i32,
    /// Attributes, promoted ones included; keys must be distinct.
    pub attributes: Vec<(AttributeKey<'static>, AttributeValue<'static>)>,
    /// Events as JSON text.
    pub events: Option<String>,
    /// Links as JSON text.
    pub links: Option<String>,
    /// W3C trace state.
    pub state: String,
}

impl TestSpan {
    /// A root server span `op` of service `svc` that starts at 1 s after the epoch and takes 1 ms.
    pub fn new(trace: u128, span: u64) -> Self {
        Self {
            trace: trace.max(1),
            span: span.max(1),
            parent: None,
            service: "svc".into(),
            version: None,
            instance: None,
            environment: None,
            resource: None,
            name: "op".into(),
            kind: 2,
            start: 1_000_000_000,
            end: 1_001_000_000,
            status: 0,
            attributes: Vec::new(),
            events: None,
            links: None,
            state: String::new(),
        }
    }

    /// Sets the parent span.
    pub fn parent(mut self, span: u64) -> Self {
        self.parent = Some(span.max(1));
        self
    }

    /// Sets `service.name`.
    pub fn service(mut self, name: &str) -> Self {
        self.service = name.into();
        self
    }

    /// Sets `service.version`.
    pub fn version(mut self, version: &str) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Sets `service.instance.id`.
    pub fn instance(mut self, instance: &str) -> Self {
        self.instance = Some(instance.into());
        self
    }

    /// Sets `deployment.environment.name`.
    pub fn environment(mut self, environment: &str) -> Self {
        self.environment = Some(environment.into());
        self
    }

    /// Sets further resource attributes, a JSON object.
    pub fn resource(mut self, json: &str) -> Self {
        self.resource = Some(json.into());
        self
    }

    /// Sets the operation name.
    pub fn name(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }

    /// Sets the OTLP kind.
    pub fn kind(mut self, kind: i32) -> Self {
        self.kind = kind;
        self
    }

    /// Moves the span to start at `start`, keeping how long it takes.
    pub fn at(mut self, start: u64) -> Self {
        self.end = start.saturating_add(self.end.saturating_sub(self.start));
        self.start = start;
        self
    }

    /// Sets how long the span takes, in nanoseconds.
    pub fn lasting(mut self, duration_ns: u64) -> Self {
        self.end = self.start.saturating_add(duration_ns);
        self
    }

    /// Sets status `error`.
    pub fn error(mut self) -> Self {
        self.status = 2;
        self
    }

    /// Sets the trace state.
    pub fn state(mut self, state: &str) -> Self {
        self.state = state.into();
        self
    }

    /// Adds a text attribute.
    pub fn text(mut self, key: &str, value: &str) -> Self {
        self.attributes.push((key.to_owned().into(), AttributeValue::Text(value.to_owned().into())));
        self
    }

    /// Adds an integer attribute.
    pub fn integer(mut self, key: &str, value: i64) -> Self {
        self.attributes.push((key.to_owned().into(), AttributeValue::Integer(value)));
        self
    }

    /// The span's id type.
    pub fn span_id(&self) -> SpanId {
        span_id(self.span)
    }

    /// The trace's id type.
    pub fn trace_id(&self) -> TraceId {
        trace_id(self.trace)
    }

    fn resource_row(&self) -> ResourceRow<'_> {
        ResourceRow {
            service_name: Some(self.service.as_str().into()),
            service_version: self.version.as_deref().map(Cow::Borrowed),
            service_instance_id: self.instance.as_deref().map(Cow::Borrowed),
            environment: self.environment.as_deref().map(Cow::Borrowed),
            attributes_json: self.resource.as_deref().map(Cow::Borrowed),
            ..ResourceRow::default()
        }
    }

    fn row(&self) -> SpanRow<'_> {
        SpanRow {
            trace_id: self.trace_id(),
            span_id: self.span_id(),
            parent_span_id: self.parent.map(span_id),
            trace_state: self.state.as_str().into(),
            flags: 1,
            name: self.name.as_str().into(),
            kind: self.kind,
            start_time_unix_nano: self.start,
            end_time_unix_nano: self.end,
            status_code: self.status,
            status_message: if self.status == 2 { "failed".into() } else { "".into() },
            events_json: self.events.as_deref(),
            links_json: self.links.as_deref(),
            dropped_attributes_count: 0,
            dropped_events_count: 0,
            dropped_links_count: 0,
            anomalies: 0,
        }
    }
}

fn trace_id(number: u128) -> TraceId {
    TraceId::from_bytes(&number.max(1).to_be_bytes()).expect("sixteen bytes that are not all zero")
}

fn span_id(number: u64) -> SpanId {
    SpanId::from_bytes(&number.max(1).to_be_bytes()).expect("eight bytes that are not all zero")
}

/// The batch of these spans, as one request received at `received` would give it; a new resource begins where
/// the service, version, instance, environment or another resource attribute changes.
pub fn batch_of(received: UnixNanos, spans: &[TestSpan]) -> SpanBatch {
    let mut builder = SpanBatchBuilder::new(received.0);
    let mut current = None;
    for span in spans {
        let resource = span.resource_row();
        if current.as_ref() != Some(&resource) {
            builder.begin_resource(&resource);
            builder.begin_scope(&ScopeRow { name: Some("daytwo.testing".into()), ..ScopeRow::default() });
            current = Some(resource);
        }
        builder.append(&span.row(), span.attributes.iter().map(|(key, value)| (key, value)));
    }
    builder.finish().expect("arrays of one builder have one length")
}

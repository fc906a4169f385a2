//! What a request says before it is written down, and what a receiver has to make of it.
//!
//! [`Request`] holds spans as they are meant, odd and damaged ones included; [`protobuf`] and [`json`] write it. The
//! rules of the specification are [`Span::is_storable`] and [`stored`]; they look at the meaning, never at an encoding.

pub(crate) mod json;
pub(crate) mod protobuf;
pub(crate) mod stored;

/// Text as bytes: it need not be UTF-8.
pub(crate) type Text = Vec<u8>;

/// Key and value.
pub(crate) type Attribute = (Text, Value);

/// An attribute's value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Empty,
    Text(Text),
    Bool(bool),
    Integer(i64),
    Double(f64),
    Bytes(Vec<u8>),
    Array(Vec<Value>),
    List(Vec<Attribute>),
}

/// `ExportTraceServiceRequest`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Request {
    pub(crate) resources: Vec<Resource>,
    /// Damage outside any span: the whole request cannot be read.
    pub(crate) broken: Option<Broken>,
}

/// `ResourceSpans`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Resource {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) schema_url: Text,
    pub(crate) scopes: Vec<Scope>,
}

/// `ScopeSpans`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Scope {
    pub(crate) name: Text,
    pub(crate) version: Text,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) schema_url: Text,
    pub(crate) spans: Vec<Span>,
}

/// `Span`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Span {
    pub(crate) trace_id: Vec<u8>,
    pub(crate) span_id: Vec<u8>,
    pub(crate) parent: Vec<u8>,
    pub(crate) trace_state: Text,
    pub(crate) flags: u32,
    pub(crate) name: Text,
    pub(crate) kind: i32,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) dropped_attributes: u32,
    pub(crate) events: Vec<Event>,
    pub(crate) dropped_events: u32,
    pub(crate) links: Vec<Link>,
    pub(crate) dropped_links: u32,
    pub(crate) status_code: i32,
    pub(crate) status_message: Text,
    pub(crate) damage: Option<Damage>,
}

/// `Span.Event`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Event {
    pub(crate) time: u64,
    pub(crate) name: Text,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) dropped_attributes: u32,
}

/// `Span.Link`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Link {
    pub(crate) trace_id: Vec<u8>,
    pub(crate) span_id: Vec<u8>,
    pub(crate) trace_state: Text,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) dropped_attributes: u32,
    pub(crate) flags: u32,
}

/// What is wrong with a span's own encoding, so that this span, and no other, cannot be stored.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Damage {
    /// Bytes after the last field of the protobuf message.
    Tail(&'static [u8]),
    /// A JSON member in place of the right one.
    Member(&'static str, &'static str),
    /// The trace id as JSON text, where it is not the hexadecimal form of bytes.
    TraceIdText(String),
    /// The same of the span id.
    SpanIdText(String),
}

/// What is wrong with a request as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The last bytes are missing.
    Cut,
    /// Something follows the message that is none of its fields.
    Tail(&'static [u8]),
}

impl Request {
    /// One resource with one scope.
    pub(crate) fn of(spans: Vec<Span>) -> Self {
        let scope = Scope { name: b"conformance".to_vec(), spans, ..Scope::default() };
        let attributes = vec![(b"service.name".to_vec(), Value::Text(b"conformance".to_vec()))];
        Self { resources: vec![Resource { attributes, scopes: vec![scope], ..Resource::default() }], broken: None }
    }

    pub(crate) fn spans(&self) -> impl Iterator<Item = &Span> {
        self.resources.iter().flat_map(|resource| &resource.scopes).flat_map(|scope| &scope.spans)
    }

    /// Spans that can never be stored.
    pub(crate) fn rejected(&self) -> u64 {
        self.spans().map(|span| u64::from(!span.is_storable())).sum()
    }

    /// All its spans.
    pub(crate) fn received(&self) -> u64 {
        self.spans().map(|_| 1).sum()
    }
}

impl Span {
    /// Whether a receiver can keep it: both ids are whole and not zero, its encoding is sound. All else is merely odd.
    pub(crate) fn is_storable(&self) -> bool {
        let valid = |id: &[u8], length: usize| id.len() == length && id.iter().any(|&byte| byte != 0);
        self.damage.is_none() && valid(&self.trace_id, 16) && valid(&self.span_id, 8)
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

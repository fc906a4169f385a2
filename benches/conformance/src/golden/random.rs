//! [`Generator`]: random parts of requests, with ids that no other input has.

use rand::RngExt;
use rand::rngs::StdRng;

use crate::model::{Attribute, Event, Link, Request, Resource, Scope, Span, Text, Value, json, protobuf};
use crate::transport::Transport;

/// 2018, where every time of an ordinary span lies.
const EPOCH: u64 = 1_544_712_660_000_000_000;

/// Makes the parts of one input.
#[derive(Debug)]
pub(super) struct Generator {
    rng: StdRng,
    run: u64,
    input: u32,
    spans: u32,
    pub(super) transport: Transport,
}

impl Generator {
    pub(super) fn new(rng: StdRng, run: u64, input: u32, transport: Transport) -> Self {
        Self { rng, run, input, spans: 0, transport }
    }

    pub(super) fn is_json(&self) -> bool {
        self.transport == Transport::HttpJson
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        self.rng.random_range(0..end)
    }

    pub(super) fn chance(&mut self) -> bool {
        self.rng.random()
    }

    pub(super) fn number(&mut self) -> u64 {
        // Small, large and between.
        self.rng.random::<u64>() >> self.below(64)
    }

    pub(super) fn pick<T: Clone>(&mut self, of: &[T]) -> Option<T> {
        let index = self.below(of.len().max(1));
        of.get(index).cloned()
    }

    /// An ordinary span: whole ids, sane times, a name.
    pub(super) fn span(&mut self) -> Span {
        self.spans += 1;
        let trace_id =
            [&self.run.to_be_bytes()[..], &self.input.to_be_bytes(), &(self.spans / 4).to_be_bytes()].concat();
        let span_id = [0xD2_00_00_00 | self.input, self.spans].iter().flat_map(|half| half.to_be_bytes()).collect();
        let start = EPOCH + self.rng.random_range(0..1_000_000_000_000);
        Span {
            trace_id,
            span_id,
            name: self.text(),
            kind: i32::try_from(self.below(6)).unwrap_or(0),
            start,
            end: start + self.rng.random_range(0..60_000_000_000),
            status_code: i32::try_from(self.below(3)).unwrap_or(0),
            attributes: self.attributes(4),
            ..Span::default()
        }
    }

    /// A span with every field set.
    pub(super) fn full_span(&mut self) -> Span {
        let parent = self.span().span_id;
        let events = (0..self.below(4)).map(|_| self.event()).collect();
        let links = (0..self.below(4)).map(|_| self.link()).collect();
        Span {
            parent,
            trace_state: b"vendor=1,other=2".to_vec(),
            flags: u32::try_from(self.below(0x400)).unwrap_or(1),
            attributes: self.attributes(12),
            dropped_attributes: u32::try_from(self.below(9)).unwrap_or(1),
            events,
            dropped_events: 7,
            links,
            dropped_links: u32::MAX,
            status_message: self.text(),
            ..self.span()
        }
    }

    pub(super) fn spans(&mut self) -> Vec<Span> {
        (0..=self.below(5)).map(|_| self.span()).collect()
    }

    pub(super) fn event(&mut self) -> Event {
        let dropped_attributes = u32::try_from(self.below(3)).unwrap_or(0);
        Event { time: EPOCH + self.number() / 4, name: self.text(), attributes: self.attributes(3), dropped_attributes }
    }

    pub(super) fn link(&mut self) -> Link {
        let Span { trace_id, span_id, attributes, .. } = self.span();
        let flags = u32::try_from(self.below(0x400)).unwrap_or(0);
        Link { trace_id, span_id, trace_state: b"a=b".to_vec(), attributes, dropped_attributes: 1, flags }
    }

    /// Spans in one or more resources and scopes, each described.
    pub(super) fn request(&mut self, spans: Vec<Span>) -> Request {
        let mut request = Request::default();
        let mut rest = spans.as_slice();
        while !rest.is_empty() {
            let (spans, after) = rest.split_at(1 + self.below(rest.len()));
            rest = after;
            let scopes = vec![Scope { spans: spans.to_vec(), ..self.scope() }];
            let mut resource = Resource { scopes, ..self.resource() };
            if self.chance() {
                resource.scopes.push(self.scope());
            }
            request.resources.push(resource);
        }
        request
    }

    fn resource(&mut self) -> Resource {
        let mut attributes = vec![(b"service.name".to_vec(), Value::Text(b"conformance".to_vec()))];
        attributes.extend(self.attributes(3));
        Resource { attributes, schema_url: self.maybe(b"https://opentelemetry.io/schemas/1.30.0"), scopes: Vec::new() }
    }

    fn scope(&mut self) -> Scope {
        let attributes = self.attributes(2);
        let (name, version) = (self.maybe(b"library"), self.maybe(b"1.2"));
        Scope { name, version, attributes, schema_url: self.maybe(b"https://example.com/s"), spans: Vec::new() }
    }

    fn maybe(&mut self, text: &[u8]) -> Text {
        if self.chance() { text.to_vec() } else { Text::new() }
    }

    /// Up to `most` attributes with different keys, none of which has a column of its own.
    pub(super) fn attributes(&mut self, most: usize) -> Vec<Attribute> {
        (0..self.below(most + 1)).map(|number| (format!("k{number}.é").into_bytes(), self.value(3))).collect()
    }

    /// Any value, nested at most `levels` deep.
    pub(super) fn value(&mut self, levels: usize) -> Value {
        match self.below(if levels > 1 { 8 } else { 6 }) {
            0 => Value::Empty,
            1 => Value::Text(self.text()),
            2 => Value::Bool(self.chance()),
            3 => Value::Integer(self.number().cast_signed().wrapping_neg()),
            4 => self.double(),
            5 => Value::Bytes((0..self.below(9)).map(|_| self.rng.random()).collect()),
            6 => Value::Array((0..self.below(4)).map(|_| self.value(levels - 1)).collect()),
            _ => Value::List(
                (0..self.below(4)).map(|key| (format!("${key}").into_bytes(), self.value(levels - 1))).collect(),
            ),
        }
    }

    pub(super) fn double(&mut self) -> Value {
        let odd =
            [0.0, -0.0, 1.0, 0.1, f64::MAX, f64::MIN_POSITIVE, 5e-324, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
        let other = f64::from(i32::try_from(self.below(2_000_000)).unwrap_or(0)) / 64.0;
        Value::Double(self.pick(&odd).filter(|_| self.chance()).unwrap_or(other))
    }

    /// Text with characters of one to four bytes, quotes and backslashes, no control characters.
    pub(super) fn text(&mut self) -> Text {
        let parts = ["GET /", "é", "€", "😀", "\"", "\\", "/", "x", " ", "\u{7f}", "{", "日本"];
        let text: String = (0..=self.below(6)).filter_map(|_| self.pick(&parts)).collect();
        text.into_bytes()
    }

    /// A form of JSON that every receiver has to take.
    pub(super) fn json_style(&mut self) -> json::Style {
        json::Style {
            upper_hex: self.chance(),
            numbers: if self.chance() { json::Numbers::Quoted } else { json::Numbers::Bare },
            unknown_members: self.below(4) == 0,
            spaces: self.below(4) == 0,
            escapes: self.below(4) == 0,
            ..json::Style::default()
        }
    }

    /// A form of protobuf that every receiver has to take.
    pub(super) fn protobuf_style(&mut self) -> protobuf::Style {
        protobuf::Style {
            unknown_fields: self.below(4) == 0,
            backwards: self.below(4) == 0,
            defaults: self.below(4) == 0,
            long_varints: self.below(8) == 0,
        }
    }
}

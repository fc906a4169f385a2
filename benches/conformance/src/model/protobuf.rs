//! Writing a [`Request`] as protobuf.

use super::{Attribute, Broken, Damage, Event, Link, Request, Resource, Scope, Span, Value};
use crate::wire::Message;

/// In which of the allowed ways a request is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Style {
    /// Fields that no version has, in every message.
    pub(crate) unknown_fields: bool,
    /// Fields in descending order of their numbers.
    pub(crate) backwards: bool,
    /// Fields with default values are written.
    pub(crate) defaults: bool,
    /// Varints in ten bytes.
    pub(crate) long_varints: bool,
}

/// Field 2047 in each wire type.
const UNKNOWN: &[u8] = &[0xFA, 0x7F, 2, 1, 2, 0xF8, 0x7F, 0x96, 0x01, 0xFD, 0x7F, 1, 2, 3, 4];

/// The request's bytes.
pub(crate) fn write(request: &Request, style: Style) -> Vec<u8> {
    let fields = request.resources.iter().map(|resource| message(1, write_resource(resource, style))).collect();
    let mut bytes = join(fields, style).into_bytes();
    match request.broken {
        None => {}
        Some(Broken::Cut) => bytes.truncate(bytes.len().saturating_sub(1)),
        Some(Broken::Tail(tail)) => bytes.extend_from_slice(tail),
    }
    bytes
}

fn message(number: u32, inner: Message) -> Message {
    Message::new().message(number, &inner)
}

/// The fields of one message in the order that the style asks for. Repeated fields keep their order among themselves.
fn join(fields: Vec<Message>, style: Style) -> Message {
    let mut out = Message::new();
    if style.unknown_fields {
        out = out.raw(UNKNOWN);
    }
    fields.into_iter().fold(out, |out, field| out.raw(&field.into_bytes()))
}

fn ordered(mut groups: Vec<Vec<Message>>, style: Style) -> Message {
    if style.backwards {
        groups.reverse();
    }
    join(groups.into_iter().flatten().collect(), style)
}

fn text(number: u32, bytes: &[u8], style: Style) -> Vec<Message> {
    if bytes.is_empty() && !style.defaults { Vec::new() } else { vec![Message::new().bytes(number, bytes)] }
}

fn varint(number: u32, value: u64, style: Style) -> Vec<Message> {
    match (value, style.defaults, style.long_varints) {
        (0, false, _) => Vec::new(),
        (_, _, true) => vec![Message::new().long_varint(number, value)],
        _ => vec![Message::new().varint(number, value)],
    }
}

/// An enum or `int32`: negative numbers are sign-extended to ten bytes.
fn int32(number: u32, value: i32, style: Style) -> Vec<Message> {
    varint(number, i64::from(value).cast_unsigned(), style)
}

fn fixed64(number: u32, value: u64, style: Style) -> Vec<Message> {
    if value == 0 && !style.defaults { Vec::new() } else { vec![Message::new().fixed64(number, value)] }
}

fn fixed32(number: u32, value: u32, style: Style) -> Vec<Message> {
    if value == 0 && !style.defaults { Vec::new() } else { vec![Message::new().fixed32(number, value)] }
}

fn attributes(number: u32, list: &[Attribute], style: Style) -> Vec<Message> {
    list.iter().map(|attribute| message(number, write_attribute(attribute, style))).collect()
}

fn write_resource(resource: &Resource, style: Style) -> Message {
    let own = ordered(vec![attributes(1, &resource.attributes, style), varint(2, 0, style)], style);
    let scopes = resource.scopes.iter().map(|scope| message(2, write_scope(scope, style))).collect();
    ordered(vec![vec![message(1, own)], scopes, text(3, &resource.schema_url, style)], style)
}

fn write_scope(scope: &Scope, style: Style) -> Message {
    let own = vec![
        text(1, &scope.name, style),
        text(2, &scope.version, style),
        attributes(3, &scope.attributes, style),
        varint(4, 0, style),
    ];
    let spans = scope.spans.iter().map(|span| Message::new().bytes(2, &write_span(span, style))).collect();
    ordered(vec![vec![message(1, ordered(own, style))], spans, text(3, &scope.schema_url, style)], style)
}

fn write_span(span: &Span, style: Style) -> Vec<u8> {
    let status = [int32(3, span.status_code, style), text(2, &span.status_message, style)];
    let status: Vec<Message> = status.into_iter().flatten().collect();
    let has_status = !status.is_empty();
    let fields = vec![
        vec![Message::new().bytes(1, &span.trace_id)],
        vec![Message::new().bytes(2, &span.span_id)],
        text(3, &span.trace_state, style),
        text(4, &span.parent, style),
        text(5, &span.name, style),
        int32(6, span.kind, style),
        fixed64(7, span.start, style),
        fixed64(8, span.end, style),
        attributes(9, &span.attributes, style),
        varint(10, u64::from(span.dropped_attributes), style),
        span.events.iter().map(|event| message(11, write_event(event, style))).collect(),
        varint(12, u64::from(span.dropped_events), style),
        span.links.iter().map(|link| message(13, write_link(link, style))).collect(),
        varint(14, u64::from(span.dropped_links), style),
        if has_status { vec![message(15, join(status, style))] } else { Vec::new() },
        fixed32(16, span.flags, style),
    ];
    let bytes = ordered(fields, style).into_bytes();
    match span.damage {
        Some(Damage::Tail(tail)) => [&bytes, tail].concat(),
        _ => bytes,
    }
}

fn write_event(event: &Event, style: Style) -> Message {
    let fields = vec![
        fixed64(1, event.time, style),
        text(2, &event.name, style),
        attributes(3, &event.attributes, style),
        varint(4, u64::from(event.dropped_attributes), style),
    ];
    ordered(fields, style)
}

fn write_link(link: &Link, style: Style) -> Message {
    let fields = vec![
        text(1, &link.trace_id, style),
        text(2, &link.span_id, style),
        text(3, &link.trace_state, style),
        attributes(4, &link.attributes, style),
        varint(5, u64::from(link.dropped_attributes), style),
        fixed32(6, link.flags, style),
    ];
    ordered(fields, style)
}

fn write_attribute((key, value): &Attribute, style: Style) -> Message {
    ordered(vec![text(1, key, style), vec![message(2, write_value(value, style))]], style)
}

fn write_value(value: &Value, style: Style) -> Message {
    let field = match value {
        Value::Empty => return join(Vec::new(), style),
        Value::Text(text) => Message::new().bytes(1, text),
        Value::Bool(truth) => Message::new().varint(2, u64::from(*truth)),
        Value::Integer(number) => Message::new().varint(3, number.cast_unsigned()),
        Value::Double(number) => Message::new().fixed64(4, number.to_bits()),
        Value::Array(values) => {
            let values = values.iter().map(|value| message(1, write_value(value, style))).collect();
            message(5, join(values, style))
        }
        Value::List(entries) => message(6, join(attributes(1, entries, style), style)),
        Value::Bytes(bytes) => Message::new().bytes(7, bytes),
    };
    join(vec![field], style)
}

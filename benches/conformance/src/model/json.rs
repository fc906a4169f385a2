//! Writing a [`Request`] as JSON: by hand, for a document may hold bytes that are not UTF-8, and numbers in any form.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

use super::{Attribute, Broken, Damage, Event, Link, Request, Resource, Scope, Span, Value, hex};

/// In which of the allowed ways a request is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Style {
    /// Upper-case digits in ids.
    pub(crate) upper_hex: bool,
    /// How integers are written.
    pub(crate) numbers: Numbers,
    /// Enums by their names, where they have one; only a lenient receiver takes these.
    pub(crate) enum_names: bool,
    /// Members that no version has, of every JSON type, in every object.
    pub(crate) unknown_members: bool,
    /// `null` for what is not set.
    pub(crate) nulls: bool,
    /// The same members under their snake_case names with other values; they are unknown, so ignored.
    pub(crate) snake_case_twins: bool,
    /// Space between tokens.
    pub(crate) spaces: bool,
    /// A byte order mark in front.
    pub(crate) byte_order_mark: bool,
    /// Every character as `\uXXXX`.
    pub(crate) escapes: bool,
    /// Which of the four forms of base64: bit 0 without padding, bit 1 URL-safe.
    pub(crate) base64: u8,
}

/// Forms of a 64-bit integer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// `"15"`, as the mapping writes them.
    #[default]
    Quoted,
    /// `15`.
    Bare,
    /// `1.5e1`, as the mapping allows.
    Exponent,
}

const KINDS: [&str; 6] = ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"];
const STATUS_CODES: [&str; 3] = ["UNSET", "OK", "ERROR"];
const UNKNOWN: &str = r#""x1":null,"x2":true,"x3":-1.5e3,"x4":"t","x5":[1,[{"a":{}}]],"x6":{"key":{"value":[]}}"#;

/// The document's bytes.
pub(crate) fn write(request: &Request, style: Style) -> Vec<u8> {
    let resources = array(&request.resources, style, write_resource);
    let mut out = if style.byte_order_mark { b"\xEF\xBB\xBF".to_vec() } else { Vec::new() };
    out.extend(object(vec![("resourceSpans", resources)], style));
    match request.broken {
        None => {}
        Some(Broken::Cut) => out.truncate(out.len().saturating_sub(1)),
        Some(Broken::Tail(tail)) => out.extend_from_slice(tail),
    }
    out
}

type Member = (&'static str, Vec<u8>);

/// An object of the members whose value is not empty.
fn object(members: Vec<Member>, style: Style) -> Vec<u8> {
    let mut parts: Vec<Vec<u8>> = Vec::new();
    if style.unknown_members {
        parts.push(UNKNOWN.into());
    }
    for (name, value) in members {
        let value = match (value.is_empty(), style.nulls) {
            (true, false) => continue,
            (true, true) => b"null".to_vec(),
            (false, _) => value,
        };
        if style.snake_case_twins && name.chars().any(char::is_uppercase) {
            parts.push(format!(r#""{}":"7""#, snake_case(name)).into_bytes());
        }
        let separator: &[u8] = if style.spaces { b"\" : " } else { b"\":" };
        parts.push([b"\"", name.as_bytes(), separator, &value].concat());
    }
    wrapped(b'{', &parts, b'}', style)
}

fn wrapped(open: u8, parts: &[Vec<u8>], close: u8, style: Style) -> Vec<u8> {
    let separator: &[u8] = if style.spaces { b"\n\t, " } else { b"," };
    let mut out = vec![open];
    out.extend(parts.join(separator));
    out.push(close);
    out
}

fn snake_case(name: &str) -> String {
    let letter = |c: char| if c.is_uppercase() { format!("_{}", c.to_ascii_lowercase()) } else { c.to_string() };
    name.chars().map(letter).collect()
}

/// A list; nothing at all when it is empty.
fn array<T>(items: &[T], style: Style, write: impl Fn(&T, Style) -> Vec<u8>) -> Vec<u8> {
    if items.is_empty() {
        return Vec::new();
    }
    let parts: Vec<Vec<u8>> = items.iter().map(|item| write(item, style)).collect();
    wrapped(b'[', &parts, b']', style)
}

fn quoted(bytes: &[u8], style: Style) -> Vec<u8> {
    let mut out = vec![b'"'];
    match std::str::from_utf8(bytes) {
        Ok(text) if style.escapes => {
            out.extend(text.encode_utf16().flat_map(|unit| format!("\\u{unit:04X}").into_bytes()));
        }
        _ => bytes.iter().for_each(|&byte| match byte {
            b'"' | b'\\' => out.extend([b'\\', byte]),
            0..0x20 => out.extend(format!("\\u{byte:04x}").bytes()),
            _ => out.push(byte),
        }),
    }
    out.push(b'"');
    out
}

/// Text; nothing at all when it is empty.
fn text(bytes: &[u8], style: Style) -> Vec<u8> {
    if bytes.is_empty() { Vec::new() } else { quoted(bytes, style) }
}

fn id(bytes: &[u8], style: Style) -> Vec<u8> {
    let digits = if style.upper_hex { hex(bytes).to_uppercase() } else { hex(bytes) };
    format!("\"{digits}\"").into_bytes()
}

/// An id that may be left out.
fn optional_id(bytes: &[u8], style: Style) -> Vec<u8> {
    if bytes.is_empty() { Vec::new() } else { id(bytes, style) }
}

fn number(value: i128, style: Style) -> Vec<u8> {
    let text = match style.numbers {
        Numbers::Quoted => format!("\"{value}\""),
        Numbers::Bare => value.to_string(),
        Numbers::Exponent => exponent_form(value),
    };
    text.into_bytes()
}

/// The same number with its point moved behind the first digit.
fn exponent_form(value: i128) -> String {
    let digits = value.unsigned_abs().to_string();
    let sign = if value < 0 { "-" } else { "" };
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    format!("{sign}{first}{point}{rest}e{}", rest.len())
}

/// A number of 32 bits; nothing at all when it is 0.
fn small(value: u32) -> Vec<u8> {
    if value == 0 { Vec::new() } else { value.to_string().into_bytes() }
}

fn time(value: u64, style: Style) -> Vec<u8> {
    if value == 0 { Vec::new() } else { number(value.into(), style) }
}

fn enumeration(value: i32, prefix: &str, names: &[&str], style: Style) -> Vec<u8> {
    let name = usize::try_from(value).ok().and_then(|index| names.get(index)).filter(|_| style.enum_names);
    match (value, name) {
        (0, _) => Vec::new(),
        (_, Some(name)) => format!("\"{prefix}_{name}\"").into_bytes(),
        (_, None) => value.to_string().into_bytes(),
    }
}

fn write_resource(resource: &Resource, style: Style) -> Vec<u8> {
    let own = object(vec![("attributes", array(&resource.attributes, style, write_attribute))], style);
    let members = vec![
        ("resource", own),
        ("scopeSpans", array(&resource.scopes, style, write_scope)),
        ("schemaUrl", text(&resource.schema_url, style)),
    ];
    object(members, style)
}

fn write_scope(scope: &Scope, style: Style) -> Vec<u8> {
    let own = vec![
        ("name", text(&scope.name, style)),
        ("version", text(&scope.version, style)),
        ("attributes", array(&scope.attributes, style, write_attribute)),
    ];
    let members = vec![
        ("scope", object(own, style)),
        ("spans", array(&scope.spans, style, write_span)),
        ("schemaUrl", text(&scope.schema_url, style)),
    ];
    object(members, style)
}

fn write_span(span: &Span, style: Style) -> Vec<u8> {
    let status = vec![
        ("message", text(&span.status_message, style)),
        ("code", enumeration(span.status_code, "STATUS_CODE", &STATUS_CODES, style)),
    ];
    let has_status = span.status_code != 0 || !span.status_message.is_empty();
    let mut members = vec![
        ("traceId", id(&span.trace_id, style)),
        ("spanId", id(&span.span_id, style)),
        ("traceState", text(&span.trace_state, style)),
        ("parentSpanId", optional_id(&span.parent, style)),
        ("flags", small(span.flags)),
        ("name", text(&span.name, style)),
        ("kind", enumeration(span.kind, "SPAN_KIND", &KINDS, style)),
        ("startTimeUnixNano", time(span.start, style)),
        ("endTimeUnixNano", time(span.end, style)),
        ("attributes", array(&span.attributes, style, write_attribute)),
        ("droppedAttributesCount", small(span.dropped_attributes)),
        ("events", array(&span.events, style, write_event)),
        ("droppedEventsCount", small(span.dropped_events)),
        ("links", array(&span.links, style, write_link)),
        ("droppedLinksCount", small(span.dropped_links)),
        ("status", if has_status { object(status, style) } else { Vec::new() }),
    ];
    let replaced = match &span.damage {
        Some(Damage::Member(name, value)) => Some((*name, value.as_bytes().to_vec())),
        Some(Damage::TraceIdText(text)) => Some(("traceId", quoted(text.as_bytes(), style))),
        Some(Damage::SpanIdText(text)) => Some(("spanId", quoted(text.as_bytes(), style))),
        Some(Damage::Tail(_)) | None => None,
    };
    if let Some(member) = replaced {
        members.retain(|(name, _)| *name != member.0);
        members.push(member);
    }
    object(members, style)
}

fn write_event(event: &Event, style: Style) -> Vec<u8> {
    let members = vec![
        ("timeUnixNano", time(event.time, style)),
        ("name", text(&event.name, style)),
        ("attributes", array(&event.attributes, style, write_attribute)),
        ("droppedAttributesCount", small(event.dropped_attributes)),
    ];
    object(members, style)
}

fn write_link(link: &Link, style: Style) -> Vec<u8> {
    let members = vec![
        ("traceId", optional_id(&link.trace_id, style)),
        ("spanId", optional_id(&link.span_id, style)),
        ("traceState", text(&link.trace_state, style)),
        ("attributes", array(&link.attributes, style, write_attribute)),
        ("droppedAttributesCount", small(link.dropped_attributes)),
        ("flags", small(link.flags)),
    ];
    object(members, style)
}

fn write_attribute((key, value): &Attribute, style: Style) -> Vec<u8> {
    object(vec![("key", text(key, style)), ("value", write_value(value, style))], style)
}

fn write_value(value: &Value, style: Style) -> Vec<u8> {
    let member = match value {
        Value::Empty => return object(Vec::new(), style),
        Value::Text(text) => ("stringValue", quoted(text, style)),
        Value::Bool(truth) => ("boolValue", truth.to_string().into_bytes()),
        Value::Integer(integer) => ("intValue", number((*integer).into(), style)),
        Value::Double(double) => ("doubleValue", write_double(*double, style)),
        Value::Array(values) => ("arrayValue", object(vec![("values", array(values, style, write_value))], style)),
        Value::List(entries) => {
            ("kvlistValue", object(vec![("values", array(entries, style, write_attribute))], style))
        }
        Value::Bytes(bytes) => ("bytesValue", format!("\"{}\"", base64_form(bytes, style)).into_bytes()),
    };
    object(vec![member], style)
}

fn write_double(double: f64, style: Style) -> Vec<u8> {
    let text = if double.is_nan() {
        "\"NaN\"".to_owned()
    } else if double.is_infinite() {
        format!("\"{}Infinity\"", if double < 0.0 { "-" } else { "" })
    } else if style.numbers == Numbers::Quoted {
        format!("\"{double:?}\"")
    } else {
        format!("{double:?}")
    };
    text.into_bytes()
}

fn base64_form(bytes: &[u8], style: Style) -> String {
    match style.base64 & 3 {
        0 => STANDARD.encode(bytes),
        1 => STANDARD_NO_PAD.encode(bytes),
        2 => URL_SAFE.encode(bytes),
        _ => URL_SAFE_NO_PAD.encode(bytes),
    }
}

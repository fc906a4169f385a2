//! What Daytwo shows of a span that it has accepted, by the words of `docs/schema.md`: a row of its SQL table.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Json, json};

use super::{Attribute, Event, Link, Resource, Scope, Span, Value, hex};

/// The columns that are compared, in the order of [`row`].
pub(crate) const COLUMNS: &[&str] = &[
    "trace_id",
    "span_id",
    "parent_span_id",
    "trace_state",
    "flags",
    "name",
    "kind",
    "start_time_unix_nano",
    "duration_time_unix_nano",
    "raw_end_time_unix_nano",
    "status_code",
    "status_message",
    "service_name",
    "resource_attributes",
    "resource_schema_url",
    "scope_name",
    "scope_version",
    "scope_attributes",
    "scope_schema_url",
    "attributes",
    "attribute_types",
    "events",
    "links",
    "dropped_attributes_count",
    "dropped_events_count",
    "dropped_links_count",
    "anomalies",
];

/// Bits of `anomalies`.
mod bit {
    pub(super) const END_BEFORE_START: i64 = 1;
    pub(super) const TIME_MISSING: i64 = 2;
    pub(super) const TIME_OVERFLOW: i64 = 4;
    pub(super) const TIME_IN_FUTURE: i64 = 8;
    pub(super) const NOT_UTF8: i64 = 16;
    pub(super) const BAD_PARENT: i64 = 64;
    pub(super) const KEY_TWICE: i64 = 128;
    pub(super) const SELF_PARENT: i64 = 512;
    pub(super) const BAD_LINK: i64 = 1024;
}

/// Times from here on are in the future of every run: the year 2200. The suite uses none between 2020 and then.
pub(crate) const FUTURE: u64 = 7_258_118_400_000_000_000;

/// The row of a span that was accepted, in the form of the SQL API and [`comparable`].
pub(crate) fn row(resource: &Resource, scope: &Scope, span: &Span) -> Vec<Json> {
    let mut odd = 0;
    let mut resource_attributes = distinct(&resource.attributes, &mut odd);
    let service = resource_attributes
        .iter()
        .position(|(key, value)| key == "service.name" && matches!(value, Value::Text(text) if !text.is_empty()))
        .map(|index| resource_attributes.remove(index).1);
    let service = match service {
        Some(Value::Text(name)) => repaired(&name, &mut odd),
        _ => "unknown_service".to_owned(),
    };
    let attributes = distinct(&span.attributes, &mut odd);
    let mut types: String = attributes.iter().map(|(_, value)| letter(value)).collect();
    let mut shown: Map<String, Json> =
        attributes.iter().map(|(key, value)| (key.clone(), as_text(value, &mut odd).into())).collect();
    let times = Times::of(span);
    if let Some(start) = times.raw_start {
        types.push('t');
        shown.insert("daytwo.raw_start_time_unix_nano".to_owned(), json!(start.to_string()));
    }
    let bad_links = span.links.iter().filter(|link| !is_whole(link)).count();
    let links: Vec<Json> =
        span.links.iter().filter(|link| is_whole(link)).map(|link| link_json(link, &mut odd)).collect();
    let events: Vec<Json> = span.events.iter().map(|event| event_json(event, &mut odd)).collect();
    if bad_links > 0 {
        odd |= bit::BAD_LINK;
    }
    let dropped_links = u64::from(span.dropped_links).saturating_add(u64::try_from(bad_links).unwrap_or(0));
    let mut row = vec![
        json!(hex(&span.trace_id)),
        json!(hex(&span.span_id)),
        parent(span, &mut odd),
        optional(&span.trace_state, &mut odd),
        json!(span.flags.to_string()),
        json!(repaired(&span.name, &mut odd)),
        json!(span.kind),
        json!(times.start.to_string()),
        json!(times.duration.to_string()),
        times.raw_end.map_or(Json::Null, |end| json!(end.to_string())),
        json!(span.status_code),
        optional(&span.status_message, &mut odd),
        json!(service),
        attributes_json(&resource_attributes, &mut odd),
        optional(&resource.schema_url, &mut odd),
        optional(&scope.name, &mut odd),
        optional(&scope.version, &mut odd),
        {
            let attributes = distinct(&scope.attributes, &mut odd);
            attributes_json(&attributes, &mut odd)
        },
        optional(&scope.schema_url, &mut odd),
        Json::Object(shown),
        if types.chars().all(|letter| letter == 's') { Json::Null } else { json!(types) },
        list(events),
        list(links),
        json!(span.dropped_attributes.to_string()),
        json!(span.dropped_events.to_string()),
        json!(dropped_links.to_string()),
    ];
    row.push(json!((odd | times.odd).to_string()));
    comparable(row)
}

/// A row of the SQL API with the JSON texts in its cells read, so that rows compare by meaning.
pub(crate) fn comparable(mut row: Vec<Json>) -> Vec<Json> {
    for (column, cell) in COLUMNS.iter().zip(&mut row) {
        match *column {
            "resource_attributes" | "scope_attributes" | "events" | "links" => parse(cell),
            "attributes" => cell.as_object_mut().into_iter().flat_map(Map::values_mut).for_each(parse),
            _ => {}
        }
    }
    row
}

/// Reads a text that looks like an object or an array.
fn parse(cell: &mut Json) {
    let looks = |text: &&str| text.starts_with(['{', '[']);
    if let Some(parsed) = cell.as_str().filter(looks).and_then(|text| serde_json::from_str(text).ok()) {
        *cell = parsed;
    }
}

struct Times {
    start: u64,
    duration: u64,
    raw_end: Option<i64>,
    raw_start: Option<u64>,
    odd: i64,
}

impl Times {
    fn of(span: &Span) -> Self {
        const LAST: u64 = i64::MAX as u64;
        let start = span.start.min(LAST);
        let mut odd = 0;
        if span.end < span.start {
            odd |= bit::END_BEFORE_START;
        }
        if span.start == 0 || span.end == 0 {
            odd |= bit::TIME_MISSING;
        }
        if span.start > LAST || span.end > LAST {
            odd |= bit::TIME_OVERFLOW;
        }
        if span.start >= FUTURE {
            odd |= bit::TIME_IN_FUTURE;
        }
        let duration = span.end.saturating_sub(span.start).min(LAST);
        let whole = span.end <= LAST && start.checked_add(duration) == Some(span.end);
        let raw_end = (!whole).then_some(span.end.cast_signed());
        let raw_start = (span.start > LAST && span.end < span.start).then_some(span.start);
        Self { start, duration, raw_end, raw_start, odd }
    }
}

fn parent(span: &Span, odd: &mut i64) -> Json {
    match span.parent.as_slice() {
        [] | [0, 0, 0, 0, 0, 0, 0, 0] => Json::Null,
        id if id == span.span_id => {
            *odd |= bit::SELF_PARENT;
            Json::Null
        }
        id if id.len() == 8 => json!(hex(id)),
        _ => {
            *odd |= bit::BAD_PARENT;
            Json::Null
        }
    }
}

fn repaired(bytes: &[u8], odd: &mut i64) -> String {
    if std::str::from_utf8(bytes).is_err() {
        *odd |= bit::NOT_UTF8;
    }
    String::from_utf8_lossy(bytes).into_owned()
}

fn optional(bytes: &[u8], odd: &mut i64) -> Json {
    if bytes.is_empty() { Json::Null } else { json!(repaired(bytes, odd)) }
}

fn list(items: Vec<Json>) -> Json {
    if items.is_empty() { Json::Null } else { json!(Json::Array(items).to_string()) }
}

/// Keys in the order of their first appearance, each with its last value.
fn distinct(attributes: &[Attribute], odd: &mut i64) -> Vec<(String, Value)> {
    let mut out: Vec<(String, Value)> = Vec::new();
    let mut positions = BTreeMap::new();
    for (key, value) in attributes {
        let key = repaired(key, odd);
        let next = out.len();
        let at = *positions.entry(key.clone()).or_insert(next);
        match out.get_mut(at) {
            Some(entry) => {
                *odd |= bit::KEY_TWICE;
                entry.1 = value.clone();
            }
            None => out.push((key, value.clone())),
        }
    }
    out
}

fn letter(value: &Value) -> char {
    match value {
        Value::Empty => 'n',
        Value::Text(_) => 's',
        Value::Bool(_) => 'b',
        Value::Integer(_) => 'i',
        Value::Double(_) => 'd',
        Value::Bytes(_) => 'x',
        Value::Array(_) | Value::List(_) => 'j',
    }
}

/// A value of the `attributes` map.
fn as_text(value: &Value, odd: &mut i64) -> Option<String> {
    match value {
        Value::Empty => None,
        Value::Text(text) => Some(repaired(text, odd)),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Double(number) if number.is_nan() => Some("NaN".to_owned()),
        Value::Double(number) if number.is_infinite() => Some(infinity(*number).to_owned()),
        Value::Double(number) => Some(format!("{number:?}")),
        Value::Bytes(bytes) => Some(STANDARD.encode(bytes)),
        Value::Array(_) | Value::List(_) => Some(nested_json(value, odd).to_string()),
    }
}

fn infinity(number: f64) -> &'static str {
    if number > 0.0 { "Infinity" } else { "-Infinity" }
}

/// A client's key that begins with `$` gets a second one.
fn member_name(key: &str) -> String {
    if key.starts_with('$') { format!("${key}") } else { key.to_owned() }
}

fn nested_json(value: &Value, odd: &mut i64) -> Json {
    match value {
        Value::Empty => Json::Null,
        Value::Text(text) => json!(repaired(text, odd)),
        Value::Bool(truth) => json!(truth),
        Value::Integer(number) => json!(number),
        Value::Double(number) if number.is_nan() => json!({ "$double": "NaN" }),
        Value::Double(number) if number.is_infinite() => json!({ "$double": infinity(*number) }),
        Value::Double(number) => json!(number),
        Value::Bytes(bytes) => json!({ "$bytes": STANDARD.encode(bytes) }),
        Value::Array(values) => values.iter().map(|value| nested_json(value, odd)).collect(),
        Value::List(entries) => {
            entries.iter().map(|(key, value)| (member_name(&repaired(key, odd)), nested_json(value, odd))).collect()
        }
    }
}

fn object_of(attributes: &[(String, Value)], odd: &mut i64) -> Json {
    attributes.iter().map(|(key, value)| (member_name(key), nested_json(value, odd))).collect()
}

fn attributes_json(attributes: &[(String, Value)], odd: &mut i64) -> Json {
    if attributes.is_empty() { Json::Null } else { json!(object_of(attributes, odd).to_string()) }
}

fn event_json(event: &Event, odd: &mut i64) -> Json {
    let mut out = json!({ "time_unix_nano": event.time, "name": repaired(&event.name, odd) });
    put_attributes(&mut out, &event.attributes, event.dropped_attributes, odd);
    out
}

fn put_attributes(out: &mut Json, attributes: &[Attribute], dropped: u32, odd: &mut i64) {
    let attributes = distinct(attributes, odd);
    if !attributes.is_empty() {
        out["attributes"] = object_of(&attributes, odd);
    }
    if dropped > 0 {
        out["dropped_attributes_count"] = json!(dropped);
    }
}

/// A link may have no ids at all, or whole ones.
fn is_whole(link: &Link) -> bool {
    matches!(link.trace_id.len(), 0 | 16) && matches!(link.span_id.len(), 0 | 8)
}

fn link_json(link: &Link, odd: &mut i64) -> Json {
    let shown = |id: &[u8]| if id.iter().all(|&byte| byte == 0) { String::new() } else { hex(id) };
    let mut out = json!({ "trace_id": shown(&link.trace_id), "span_id": shown(&link.span_id) });
    if !link.trace_state.is_empty() {
        out["trace_state"] = json!(repaired(&link.trace_state, odd));
    }
    if link.flags != 0 {
        out["flags"] = json!(link.flags);
    }
    put_attributes(&mut out, &link.attributes, link.dropped_attributes, odd);
    out
}

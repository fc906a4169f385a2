//! Attribute values, events and links: from the documented texts back to OTLP.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use daytwo_storage::schema::col;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};

use super::EncodeError;
use crate::otlp::decode::json::{self as reader, Json};

/// Deepest nesting that is followed; the decoder stores nothing deeper than its own limit, which is less.
const DEPTH_MAX: usize = 64;
/// Under this key an object says how many attributes its sender dropped.
const DROPPED: &str = "$dropped_attributes_count";

/// An attribute.
pub(super) fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// The value that a text and its letter in `attribute_types` stand for.
pub(super) fn typed(text: Option<&str>, letter: char) -> Result<Option<AnyValue>, &'static str> {
    let Some(text) = text else { return Ok(Some(AnyValue { value: None })) };
    let value = match letter {
        's' => Value::StringValue(text.to_owned()),
        'i' => Value::IntValue(text.parse().map_err(|_| "not an integer")?),
        'd' => Value::DoubleValue(double(text).ok_or("not a double")?),
        'b' => Value::BoolValue(text == "true"),
        'x' => Value::BytesValue(STANDARD.decode(text).map_err(|_| "not base64")?),
        'j' => return any_value(document(text)?, 0).map(Some),
        _ => return Err("an unknown letter"),
    };
    Ok(Some(AnyValue { value: Some(value) }))
}

fn document(text: &str) -> Result<Json<'_>, &'static str> {
    reader::document(text.as_bytes()).map_err(|_| "not JSON")
}

/// The attributes of a JSON object and how many were dropped.
pub(super) fn attributes_of(
    json: Option<&str>,
    row: usize,
    column: &'static str,
) -> Result<(Vec<KeyValue>, u32), EncodeError> {
    let cell = |reason: &'static str| EncodeError::Cell { column, row, reason: reason.to_owned() };
    let Some(json) = json else { return Ok((Vec::new(), 0)) };
    object(document(json).map_err(cell)?).map_err(cell)
}

fn object(json: Json<'_>) -> Result<(Vec<KeyValue>, u32), &'static str> {
    let (mut attributes, mut dropped) = (Vec::new(), 0);
    for (name, value) in json.entries().ok_or("not an object")? {
        let name = reader::text(name);
        if name == DROPPED {
            dropped = reader::number(value).and_then(|text| text.parse().ok()).ok_or("not a count")?;
        } else {
            attributes.push(KeyValue {
                key: unescaped(&name),
                value: Some(any_value(value, 0)?),
                ..KeyValue::default()
            });
        }
    }
    Ok((attributes, dropped))
}

/// A client's key that began with `$` was given a second one.
fn unescaped(key: &str) -> String {
    key.strip_prefix("$").filter(|rest| rest.starts_with('$')).unwrap_or(key).to_owned()
}

fn any_value(json: Json<'_>, depth: usize) -> Result<AnyValue, &'static str> {
    if depth > DEPTH_MAX {
        return Err("nested too deep");
    }
    let below = depth.saturating_add(1);
    let value = match json.raw() {
        b"null" => None,
        b"true" => Some(Value::BoolValue(true)),
        b"false" => Some(Value::BoolValue(false)),
        [b'"', ..] => json.quoted().map(|quoted| Value::StringValue(reader::text(quoted).into_owned())),
        [b'[', ..] => {
            let values = json.elements().ok_or("not an array")?.map(|element| any_value(element, below));
            Some(Value::ArrayValue(ArrayValue { values: values.collect::<Result<_, _>>()? }))
        }
        [b'{', ..] => Some(list_or_scalar(json, below)?),
        _ => Some(number(json)?),
    };
    Ok(AnyValue { value })
}

/// An object is a key-value list, unless its one key is one of ours.
fn list_or_scalar(json: Json<'_>, depth: usize) -> Result<Value, &'static str> {
    let mut values = Vec::new();
    for (name, value) in json.entries().ok_or("not an object")? {
        let text = || value.quoted().map(reader::text).ok_or("not a string");
        match name {
            b"$bytes" => return STANDARD.decode(text()?.as_bytes()).map(Value::BytesValue).map_err(|_| "not base64"),
            b"$double" => return double(&text()?).map(Value::DoubleValue).ok_or("not a double"),
            _ => {}
        }
        let key = unescaped(&reader::text(name));
        values.push(KeyValue { key, value: Some(any_value(value, depth)?), ..KeyValue::default() });
    }
    Ok(Value::KvlistValue(KeyValueList { values }))
}

/// Integers have neither a fraction nor an exponent; doubles always have one.
fn number(json: Json<'_>) -> Result<Value, &'static str> {
    let text = reader::number(json).ok_or("not a number")?;
    if let Ok(integer) = text.parse() {
        return Ok(Value::IntValue(integer));
    }
    double(text).map(Value::DoubleValue).ok_or("not a number")
}

fn double(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => text.parse().ok(),
    }
}

/// Reads the items of a JSON array in a column.
fn items<T>(
    json: Option<&str>,
    row: usize,
    column: &'static str,
    item: impl Fn(Json<'_>) -> Result<T, &'static str>,
) -> Result<Vec<T>, EncodeError> {
    let cell = |reason: &'static str| EncodeError::Cell { column, row, reason: reason.to_owned() };
    let Some(json) = json else { return Ok(Vec::new()) };
    let elements = document(json).map_err(cell)?.elements().ok_or("not an array").map_err(cell)?;
    elements.map(|element| item(element).map_err(cell)).collect()
}

/// The events in the text of the `events` column.
pub(super) fn events_of(json: Option<&str>, row: usize) -> Result<Vec<Event>, EncodeError> {
    items(json, row, col::EVENTS, |json| {
        let mut event = Event::default();
        for (name, value) in json.entries().ok_or("an event is not an object")? {
            match name {
                b"time_unix_nano" => event.time_unix_nano = count(value)?,
                b"name" => event.name = value.quoted().map(reader::text).unwrap_or_default().into_owned(),
                b"attributes" => event.attributes = object(value)?.0,
                b"dropped_attributes_count" => event.dropped_attributes_count = count(value)?,
                _ => {}
            }
        }
        Ok(event)
    })
}

/// The links in the text of the `links` column.
pub(super) fn links_of(json: Option<&str>, row: usize) -> Result<Vec<Link>, EncodeError> {
    items(json, row, col::LINKS, |json| {
        let mut link = Link::default();
        for (name, value) in json.entries().ok_or("a link is not an object")? {
            match name {
                b"trace_id" => link.trace_id = bytes(value)?,
                b"span_id" => link.span_id = bytes(value)?,
                b"trace_state" => link.trace_state = value.quoted().map(reader::text).unwrap_or_default().into_owned(),
                b"attributes" => link.attributes = object(value)?.0,
                b"flags" => link.flags = count(value)?,
                b"dropped_attributes_count" => link.dropped_attributes_count = count(value)?,
                _ => {}
            }
        }
        Ok(link)
    })
}

fn count<T: std::str::FromStr>(json: Json<'_>) -> Result<T, &'static str> {
    reader::number(json).and_then(|text| text.parse().ok()).ok_or("not a count")
}

/// Bytes written as hexadecimal digits.
fn bytes(json: Json<'_>) -> Result<Vec<u8>, &'static str> {
    const REASON: &str = "not hexadecimal";
    let digits = json.quoted().and_then(|quoted| std::str::from_utf8(quoted).ok()).ok_or(REASON)?;
    let pairs = digits.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap_or_default());
    pairs.map(|pair| u8::from_str_radix(pair, 16).map_err(|_| REASON)).collect()
}

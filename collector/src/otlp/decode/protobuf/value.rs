//! Key-value pairs and attribute values. Nesting is followed to the limit and no deeper, so the stack is bounded.

use std::borrow::Cow;

use daytwo_storage::batch::AttributeValue;

use super::wire::{Field, Reader, WireError};
use super::{Limits, bytes};
use crate::otlp::decode::attributes::AttributeList;
use crate::otlp::decode::text;
use crate::otlp::decode::value::JsonText;

/// Reads a `KeyValue` into `attributes`.
pub(super) fn read_key_value<'a>(
    message: &'a [u8],
    attributes: &mut AttributeList<'a>,
    limits: &Limits,
    anomalies: &mut i64,
) -> Result<(), WireError> {
    let (key, value) = split_key_value(message)?;
    let value = read_value(value, limits, anomalies)?;
    attributes.push_bytes(key, value, limits, anomalies);
    Ok(())
}

/// The bytes of key and value; an absent value is an empty one.
#[inline]
fn split_key_value(message: &[u8]) -> Result<(&[u8], &[u8]), WireError> {
    if let Some((key, rest)) = short_field(KEY, message)
        && let Some((value, [])) = short_field(VALUE, rest)
    {
        return Ok((key, value));
    }
    let (mut key, mut value) = (&[][..], &[][..]);
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next()? {
        match number {
            1 => key = bytes(number, field)?,
            2 => value = bytes(number, field)?,
            _ => {}
        }
    }
    Ok((key, value))
}

/// Tags of `KeyValue.key`, `KeyValue.value` and `AnyValue.string_value`.
const KEY: u8 = 1 << 3 | 2;
const VALUE: u8 = 2 << 3 | 2;
const STRING_VALUE: u8 = 1 << 3 | 2;

/// The field at the front of a message and what follows it, if it has this tag and fewer than 128 bytes. Nearly every
/// attribute is a key and a value of that kind, in this order; all else goes the general way.
#[inline]
fn short_field(tag: u8, message: &[u8]) -> Option<(&[u8], &[u8])> {
    match message {
        [first, length @ 0..=0x7F, rest @ ..] if *first == tag => rest.split_at_checked(usize::from(*length)),
        _ => None,
    }
}

/// An `AnyValue` with its one field that counts: the last.
enum Value<'a> {
    Empty,
    Text(&'a [u8]),
    Bool(bool),
    Integer(i64),
    Double(f64),
    Array(&'a [u8]),
    KeyValueList(&'a [u8]),
    Bytes(&'a [u8]),
}

#[inline]
fn split_value(message: &[u8]) -> Result<Value<'_>, WireError> {
    if let Some((text, [])) = short_field(STRING_VALUE, message) {
        return Ok(Value::Text(text));
    }
    let mut value = Value::Empty;
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next()? {
        value = match (number, field) {
            (1, Field::Bytes(text)) => Value::Text(text),
            (2, Field::Varint(number)) => Value::Bool(number != 0),
            (3, Field::Varint(number)) => Value::Integer(number.cast_signed()),
            (4, Field::Fixed64(bits)) => Value::Double(f64::from_bits(bits)),
            (5, Field::Bytes(array)) => Value::Array(array),
            (6, Field::Bytes(list)) => Value::KeyValueList(list),
            (7, Field::Bytes(bytes)) => Value::Bytes(bytes),
            (1..=7, _) => return Err(WireError::FieldType(number)),
            _ => value,
        };
    }
    Ok(value)
}

#[inline]
fn read_value<'a>(message: &'a [u8], limits: &Limits, anomalies: &mut i64) -> Result<AttributeValue<'a>, WireError> {
    Ok(match split_value(message)? {
        Value::Empty => AttributeValue::Empty,
        Value::Text(bytes) => AttributeValue::Text(text::from_utf8(bytes, limits.value_bytes_max, anomalies)),
        Value::Bool(value) => AttributeValue::Bool(value),
        Value::Integer(number) => AttributeValue::Integer(number),
        Value::Double(number) => AttributeValue::Double(number),
        Value::Bytes(bytes) => AttributeValue::Bytes(text::base64(bytes, limits.value_bytes_max, anomalies)),
        nested @ (Value::Array(_) | Value::KeyValueList(_)) => {
            let mut json = JsonText::new(limits);
            write_value(&mut json, nested, 1)?;
            let (text, found) = json.finish();
            *anomalies |= found;
            AttributeValue::Json(Cow::Owned(text))
        }
    })
}

fn write_value(json: &mut JsonText<'_>, value: Value<'_>, level: usize) -> Result<(), WireError> {
    let room = json.room();
    match value {
        Value::Empty => json.null(),
        Value::Text(bytes) => {
            let text = text::from_utf8(bytes, room, json.anomalies());
            json.string(&text);
        }
        Value::Bool(value) => json.bool(value),
        Value::Integer(number) => json.integer(number),
        Value::Double(number) => json.double(number),
        Value::Bytes(bytes) => {
            let text = text::base64(bytes, room, json.anomalies());
            json.bytes(&text);
        }
        Value::Array(message) => write_array(json, message, level)?,
        Value::KeyValueList(message) => write_object(json, message, level)?,
    }
    Ok(())
}

fn write_array(json: &mut JsonText<'_>, message: &[u8], level: usize) -> Result<(), WireError> {
    json.open('[');
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next()? {
        if number != 1 {
            continue;
        }
        if json.is_full() {
            json.cut_array();
            break;
        }
        write_nested(json, bytes(number, field)?, level)?;
    }
    json.close(']');
    Ok(())
}

fn write_object(json: &mut JsonText<'_>, message: &[u8], level: usize) -> Result<(), WireError> {
    json.open('{');
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next()? {
        if number != 1 {
            continue;
        }
        if json.is_full() {
            json.cut_object();
            break;
        }
        let (key, value) = split_key_value(bytes(number, field)?)?;
        let room = json.room();
        let key = text::from_utf8(key, room, json.anomalies());
        json.key(&key);
        write_nested(json, value, level)?;
    }
    json.close('}');
    Ok(())
}

/// Writes a value one level below `level`.
fn write_nested(json: &mut JsonText<'_>, message: &[u8], level: usize) -> Result<(), WireError> {
    let below = level.saturating_add(1);
    if below > json.limits().depth_max {
        json.too_deep();
        return Ok(());
    }
    write_value(json, split_value(message)?, below)
}

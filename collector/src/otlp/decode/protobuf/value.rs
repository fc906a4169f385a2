//! Key-value pairs and attribute values. Nesting is followed to the limit and no deeper, so the stack is bounded.

use std::borrow::Cow;

use daytwo_storage::batch::AttributeValue;

use super::Limits;
use super::wire::{Reader, WireError, bytes, fixed64, varint};
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
    if let Some((key, value)) = short_entry(message)
        && let Some(value) = simple_value(value, limits, anomalies)
    {
        attributes.push_bytes(key, value, limits, anomalies);
        return Ok(());
    }
    read_any_key_value(message, attributes, limits, anomalies)
}

/// Key and value of a `KeyValue` as nearly all are: two fields in order, no length of 128 or more.
#[inline]
fn short_entry(message: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut entry = Reader::new(message);
    let (key, value) = (entry.short(key::KEY)?, entry.short(key::VALUE)?);
    entry.is_at_end().then_some((key, value))
}

/// An `AnyValue` as nearly all are: one text or integer.
#[inline]
fn simple_value<'a>(message: &'a [u8], limits: &Limits, anomalies: &mut i64) -> Option<AttributeValue<'a>> {
    let mut value = Reader::new(message);
    if let Some(text) = value.short(key::STRING) {
        let whole = value.is_at_end();
        return whole.then(|| AttributeValue::Text(text::from_utf8(text, limits.value_bytes_max, anomalies)));
    }
    if value.key() != Ok(Some(key::INTEGER)) {
        return None;
    }
    let number = value.varint().ok()?.cast_signed();
    value.is_at_end().then_some(AttributeValue::Integer(number))
}

#[inline(never)]
fn read_any_key_value<'a>(
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

/// Keys of `KeyValue` and `AnyValue`, and of `ArrayValue` and `KeyValueList`.
mod key {
    use super::{bytes, fixed64, varint};

    pub(super) const KEY: u32 = bytes(1);
    pub(super) const VALUE: u32 = bytes(2);
    pub(super) const STRING: u32 = bytes(1);
    pub(super) const BOOL: u32 = varint(2);
    pub(super) const INTEGER: u32 = varint(3);
    pub(super) const DOUBLE: u32 = fixed64(4);
    pub(super) const ARRAY: u32 = bytes(5);
    pub(super) const KEY_VALUE_LIST: u32 = bytes(6);
    pub(super) const BYTES: u32 = bytes(7);
    pub(super) const ITEMS: u32 = bytes(1);
}

/// The bytes of key and value; an absent value is an empty one.
#[inline]
fn split_key_value(message: &[u8]) -> Result<(&[u8], &[u8]), WireError> {
    let (mut key, mut value) = (&[][..], &[][..]);
    let mut reader = Reader::new(message);
    while let Some(next) = reader.key()? {
        match next {
            key::KEY => key = reader.bytes()?,
            key::VALUE => value = reader.bytes()?,
            _ => reader.skip(next)?,
        }
    }
    Ok((key, value))
}

/// The key of a `KeyValue`, and its value if that is a text; both as they came.
pub(in crate::otlp::decode) fn key_and_text(message: &[u8]) -> Result<(&[u8], Option<&[u8]>), WireError> {
    let (key, value) = split_key_value(message)?;
    let text = if let Value::Text(text) = split_value(value)? { Some(text) } else { None };
    Ok((key, text))
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
    let mut value = Value::Empty;
    let mut reader = Reader::new(message);
    while let Some(key) = reader.key()? {
        value = match key {
            key::STRING => Value::Text(reader.bytes()?),
            key::BOOL => Value::Bool(reader.varint()? != 0),
            key::INTEGER => Value::Integer(reader.varint()?.cast_signed()),
            key::DOUBLE => Value::Double(f64::from_bits(reader.fixed64()?)),
            key::ARRAY => Value::Array(reader.bytes()?),
            key::KEY_VALUE_LIST => Value::KeyValueList(reader.bytes()?),
            key::BYTES => Value::Bytes(reader.bytes()?),
            _ => {
                reader.skip(key)?;
                value
            }
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
    while let Some(key) = reader.key()? {
        if key != key::ITEMS {
            reader.skip(key)?;
            continue;
        }
        if json.is_full() {
            json.cut_array();
            break;
        }
        write_nested(json, reader.bytes()?, level)?;
    }
    json.close(']');
    Ok(())
}

fn write_object(json: &mut JsonText<'_>, message: &[u8], level: usize) -> Result<(), WireError> {
    json.open('{');
    let mut reader = Reader::new(message);
    while let Some(key) = reader.key()? {
        if key != key::ITEMS {
            reader.skip(key)?;
            continue;
        }
        if json.is_full() {
            json.cut_object();
            break;
        }
        let (key, value) = split_key_value(reader.bytes()?)?;
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

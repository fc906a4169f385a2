//! Key-value pairs and attribute values in JSON.

use std::borrow::Cow;

use daytwo_storage::batch::AttributeValue;

use super::scalar::{self, FieldError};
use super::scan::Value;
use crate::otlp::decode::Limits;
use crate::otlp::decode::attributes::AttributeList;
use crate::otlp::decode::value::JsonText;

/// Reads an array of `KeyValue`s into `attributes`.
pub(super) fn read_attributes<'a>(
    array: Value<'a>,
    attributes: &mut AttributeList<'a>,
    limits: &Limits,
    anomalies: &mut i64,
) -> Result<(), FieldError> {
    for element in array.elements().ok_or(FieldError("an array of attributes"))? {
        let (key, value) = split_key_value(element)?;
        let key = key.map_or(Ok(Cow::Borrowed("")), |key| scalar::string(key, limits.value_bytes_max, anomalies))?;
        let value = read_value(value, limits, anomalies)?;
        attributes.push(key, value, anomalies);
    }
    Ok(())
}

type KeyValue<'a> = (Option<Value<'a>>, Option<Value<'a>>);

fn split_key_value(element: Value<'_>) -> Result<KeyValue<'_>, FieldError> {
    let (mut key, mut value) = (None, None);
    for (name, field) in element.entries().ok_or(FieldError("an attribute object"))? {
        match name {
            b"key" => key = Some(field),
            b"value" => value = Some(field),
            _ => {}
        }
    }
    Ok((key, value))
}

/// An `AnyValue` with its one field that counts: the last that is not null.
enum AnyValue<'a> {
    Empty,
    Text(Value<'a>),
    Bool(Value<'a>),
    Integer(Value<'a>),
    Double(Value<'a>),
    Array(Value<'a>),
    KeyValueList(Value<'a>),
    Bytes(Value<'a>),
}

fn split_value(value: Option<Value<'_>>) -> Result<AnyValue<'_>, FieldError> {
    let mut found = AnyValue::Empty;
    let Some(value) = value else { return Ok(found) };
    for (name, field) in value.entries().ok_or(FieldError("an attribute value object"))? {
        if field.is_null() {
            continue;
        }
        found = match name {
            b"stringValue" => AnyValue::Text(field),
            b"boolValue" => AnyValue::Bool(field),
            b"intValue" => AnyValue::Integer(field),
            b"doubleValue" => AnyValue::Double(field),
            b"arrayValue" => AnyValue::Array(field),
            b"kvlistValue" => AnyValue::KeyValueList(field),
            b"bytesValue" => AnyValue::Bytes(field),
            _ => found,
        };
    }
    Ok(found)
}

fn read_value<'a>(
    value: Option<Value<'a>>,
    limits: &Limits,
    anomalies: &mut i64,
) -> Result<AttributeValue<'a>, FieldError> {
    let bytes_max = limits.value_bytes_max;
    Ok(match split_value(value)? {
        AnyValue::Empty => AttributeValue::Empty,
        AnyValue::Text(text) => AttributeValue::Text(scalar::string(text, bytes_max, anomalies)?),
        AnyValue::Bool(value) => AttributeValue::Bool(scalar::bool(value)?),
        AnyValue::Integer(number) => AttributeValue::Integer(scalar::i64(number)?),
        AnyValue::Double(number) => AttributeValue::Double(scalar::f64(number)?),
        AnyValue::Bytes(bytes) => AttributeValue::Bytes(scalar::base64(bytes, bytes_max, anomalies)?),
        nested @ (AnyValue::Array(_) | AnyValue::KeyValueList(_)) => {
            let mut json = JsonText::new(limits);
            write_value(&mut json, nested, 1)?;
            let (text, found) = json.finish();
            *anomalies |= found;
            AttributeValue::Json(Cow::Owned(text))
        }
    })
}

fn write_value(json: &mut JsonText<'_>, value: AnyValue<'_>, level: usize) -> Result<(), FieldError> {
    let room = json.room();
    match value {
        AnyValue::Empty => json.null(),
        AnyValue::Text(text) => {
            let text = scalar::string(text, room, json.anomalies())?;
            json.string(&text);
        }
        AnyValue::Bool(value) => json.bool(scalar::bool(value)?),
        AnyValue::Integer(number) => json.integer(scalar::i64(number)?),
        AnyValue::Double(number) => json.double(scalar::f64(number)?),
        AnyValue::Bytes(bytes) => {
            let text = scalar::base64(bytes, room, json.anomalies())?;
            json.bytes(&text);
        }
        AnyValue::Array(list) => write_array(json, list, level)?,
        AnyValue::KeyValueList(list) => write_object(json, list, level)?,
    }
    Ok(())
}

/// The `values` of an `ArrayValue` or `KeyValueList`, over all occurrences of the field.
fn list_elements<'a>(list: Value<'a>) -> Result<impl Iterator<Item = Result<Value<'a>, FieldError>>, FieldError> {
    let entries = list.entries().ok_or(FieldError("an object with values"))?;
    Ok(entries.filter(|(name, _)| *name == b"values").flat_map(|(_, array)| {
        let elements = array.elements();
        let wrong = elements.is_none().then_some(Err(FieldError("an array of values")));
        elements.into_iter().flatten().map(Ok).chain(wrong)
    }))
}

fn write_array(json: &mut JsonText<'_>, list: Value<'_>, level: usize) -> Result<(), FieldError> {
    json.open('[');
    for element in list_elements(list)? {
        if json.is_full() {
            json.cut_array();
            break;
        }
        write_nested(json, Some(element?), level)?;
    }
    json.close(']');
    Ok(())
}

fn write_object(json: &mut JsonText<'_>, list: Value<'_>, level: usize) -> Result<(), FieldError> {
    json.open('{');
    for element in list_elements(list)? {
        if json.is_full() {
            json.cut_object();
            break;
        }
        let (key, value) = split_key_value(element?)?;
        let room = json.room();
        let key = key.map_or(Ok(Cow::Borrowed("")), |key| scalar::string(key, room, json.anomalies()))?;
        json.key(&key);
        write_nested(json, value, level)?;
    }
    json.close('}');
    Ok(())
}

/// Writes a value one level below `level`.
fn write_nested(json: &mut JsonText<'_>, value: Option<Value<'_>>, level: usize) -> Result<(), FieldError> {
    let below = level.saturating_add(1);
    if below > json.limits().depth_max {
        json.too_deep();
        return Ok(());
    }
    write_value(json, split_value(value)?, below)
}

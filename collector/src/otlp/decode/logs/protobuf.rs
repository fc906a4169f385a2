//! Log records in protobuf, spliced into spans: resources, scopes and attributes are the same messages in both.

use super::super::protobuf::wire::{Field, Reader, WireError};
use super::{EVENT, Evaluations, Marks, span_id};

/// Attributes of a record that are copied, as many as a span may have.
const ATTRIBUTES_MAX: usize = 1_024;
/// `SPAN_KIND_INTERNAL`.
const INTERNAL: u64 = 1;

pub(super) fn read(body: &[u8]) -> Result<Evaluations, WireError> {
    let mut found = Evaluations::default();
    let mut reader = Reader::new(body);
    while let Some((number, field)) = reader.next()? {
        if number == 1 {
            let spans = resource(bytes(number, field)?, &mut found)?;
            if !spans.is_empty() {
                put_bytes(&mut found.payload, 1, &spans);
            }
        }
    }
    Ok(found)
}

/// A `ResourceLogs` as `ResourceSpans`; empty without an evaluation. Field by field these are the same, but for what they hold.
fn resource(message: &[u8], found: &mut Evaluations) -> Result<Vec<u8>, WireError> {
    let (mut head, mut scopes) = (Vec::new(), Vec::new());
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next()? {
        match number {
            2 => {
                let spans = scope(bytes(number, field)?, found)?;
                if !spans.is_empty() {
                    put_bytes(&mut scopes, 2, &spans);
                }
            }
            1 | 3 => put_bytes(&mut head, number, bytes(number, field)?),
            _ => {}
        }
    }
    if !scopes.is_empty() {
        head.append(&mut scopes);
        return Ok(head);
    }
    Ok(scopes)
}

/// A `ScopeLogs` as `ScopeSpans`; empty without an evaluation.
fn scope(message: &[u8], found: &mut Evaluations) -> Result<Vec<u8>, WireError> {
    let (mut head, mut spans) = (Vec::new(), Vec::new());
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next()? {
        match number {
            2 => {
                let record = bytes(number, field)?;
                // A record that is damaged inside belongs to no event that can be told.
                match Record::read(record).unwrap_or_default().span(record) {
                    Ok(span) => {
                        put_bytes(&mut spans, 2, &span);
                        found.kept = found.kept.saturating_add(1);
                    }
                    Err(why) => found.reject(why),
                }
            }
            1 | 3 => put_bytes(&mut head, number, bytes(number, field)?),
            _ => {}
        }
    }
    if !spans.is_empty() {
        head.append(&mut spans);
        return Ok(head);
    }
    Ok(spans)
}

/// The fields of a `LogRecord` that a span is made of.
#[derive(Debug, Default)]
struct Record<'a> {
    time: u64,
    observed: u64,
    trace: &'a [u8],
    span: &'a [u8],
    flags: Option<u32>,
    attributes: Vec<&'a [u8]>,
    marks: Marks,
}

impl<'a> Record<'a> {
    fn read(message: &'a [u8]) -> Result<Self, WireError> {
        let mut record = Self::default();
        let mut reader = Reader::new(message);
        while let Some((number, field)) = reader.next()? {
            match (number, field) {
                (1, Field::Fixed64(time)) => record.time = time,
                (11, Field::Fixed64(time)) => record.observed = time,
                (8, Field::Fixed32(flags)) => record.flags = Some(flags),
                (9, Field::Bytes(id)) => record.trace = id,
                (10, Field::Bytes(id)) => record.span = id,
                (12, Field::Bytes(name)) => record.marks.event(std::str::from_utf8(name).unwrap_or_default()),
                (6, Field::Bytes(attribute)) => {
                    let (name, value) = key_value(attribute)?;
                    record.marks.attribute(name, value);
                    if record.attributes.len() < ATTRIBUTES_MAX {
                        record.attributes.push(attribute);
                    }
                }
                _ => {}
            }
        }
        Ok(record)
    }

    /// The span that stands for it.
    fn span(&self, encoded: &[u8]) -> Result<Vec<u8>, super::Unwanted> {
        let is_id = |id: &[u8], length: usize| id.len() == length && id.iter().any(|byte| *byte != 0);
        let time = if self.time == 0 { self.observed } else { self.time };
        self.marks.verdict(is_id(self.trace, 16) && is_id(self.span, 8), time > 0)?;
        let mut span = Vec::with_capacity(encoded.len().saturating_add(64));
        put_bytes(&mut span, 1, self.trace);
        put_bytes(&mut span, 2, &span_id(encoded).to_be_bytes());
        put_bytes(&mut span, 4, self.span);
        put_bytes(&mut span, 5, EVENT.as_bytes());
        put_key(&mut span, 6, 0);
        put_varint(&mut span, INTERNAL);
        for number in [7, 8] {
            put_key(&mut span, number, 1);
            span.extend_from_slice(&time.to_le_bytes());
        }
        self.attributes.iter().for_each(|attribute| put_bytes(&mut span, 9, attribute));
        if let Some(flags) = self.flags {
            put_key(&mut span, 16, 5);
            span.extend_from_slice(&flags.to_le_bytes());
        }
        Ok(span)
    }
}

/// Name of a `KeyValue`, and its value if that is a text.
fn key_value(message: &[u8]) -> Result<(&str, Option<&str>), WireError> {
    let (mut name, mut value) = ("", None);
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next()? {
        match (number, field) {
            (1, Field::Bytes(text)) => name = std::str::from_utf8(text).unwrap_or_default(),
            (2, Field::Bytes(any)) => value = text(any)?,
            _ => {}
        }
    }
    Ok((name, value))
}

/// The text of an `AnyValue`.
fn text(message: &[u8]) -> Result<Option<&str>, WireError> {
    let mut found = None;
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next()? {
        found = match (number, field) {
            (1, Field::Bytes(text)) => std::str::from_utf8(text).ok(),
            (1..=7, _) => None,
            _ => found,
        };
    }
    Ok(found)
}

fn bytes(number: u32, field: Field<'_>) -> Result<&[u8], WireError> {
    if let Field::Bytes(bytes) = field { Ok(bytes) } else { Err(WireError::FieldType(number)) }
}

fn put_key(out: &mut Vec<u8>, number: u32, wire_type: u32) {
    put_varint(out, u64::from(number.wrapping_shl(3) | wire_type));
}

fn put_bytes(out: &mut Vec<u8>, number: u32, value: &[u8]) {
    put_key(out, number, 2);
    put_varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

#[expect(clippy::cast_possible_truncation, reason = "seven bits at a time")]
fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

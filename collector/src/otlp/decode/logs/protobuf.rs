//! Log records in protobuf, spliced into spans: resources, scopes and attributes are the same messages in both.

use super::super::protobuf::value::key_and_text;
use super::super::protobuf::wire::{Reader, WireError, bytes, fixed32, fixed64, varint};
use super::{EVENT, Evaluations, Marks, span_id};

/// Attributes of a record that are copied, as many as a span may have.
const ATTRIBUTES_MAX: usize = 1_024;
/// `SPAN_KIND_INTERNAL`.
const INTERNAL: u64 = 1;

/// Keys of the envelope: `ExportLogsServiceRequest`, `ResourceLogs` and `ScopeLogs`.
mod key {
    use super::bytes;

    pub(super) const RESOURCE_LOGS: u32 = bytes(1);
    /// The resource of `ResourceLogs`, the scope of `ScopeLogs`.
    pub(super) const GROUP: u32 = bytes(1);
    /// The `ScopeLogs` of `ResourceLogs`, the records of `ScopeLogs`.
    pub(super) const MEMBERS: u32 = bytes(2);
    pub(super) const SCHEMA_URL: u32 = bytes(3);
}

pub(super) fn read(body: &[u8]) -> Result<Evaluations, WireError> {
    let mut found = Evaluations::default();
    let mut reader = Reader::new(body);
    while let Some(key) = reader.key()? {
        if key != key::RESOURCE_LOGS {
            reader.skip_in_envelope(key, 1)?;
            continue;
        }
        let spans = resource(reader.bytes()?, &mut found)?;
        if !spans.is_empty() {
            put_bytes(&mut found.payload, key, &spans);
        }
    }
    Ok(found)
}

/// A `ResourceLogs` as `ResourceSpans`; empty without an evaluation. Field by field these are the same, but for what they hold.
fn resource(message: &[u8], found: &mut Evaluations) -> Result<Vec<u8>, WireError> {
    let (mut head, mut scopes) = (Vec::new(), Vec::new());
    let mut reader = Reader::new(message);
    while let Some(key) = reader.key()? {
        match key {
            key::MEMBERS => {
                let spans = scope(reader.bytes()?, found)?;
                if !spans.is_empty() {
                    put_bytes(&mut scopes, key, &spans);
                }
            }
            key::GROUP | key::SCHEMA_URL => put_bytes(&mut head, key, reader.bytes()?),
            _ => reader.skip_in_envelope(key, 3)?,
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
    while let Some(key) = reader.key()? {
        match key {
            key::MEMBERS => {
                let record = reader.bytes()?;
                // A record that is damaged inside belongs to no event that can be told.
                match Record::read(record).unwrap_or_default().span(record) {
                    Ok(span) => {
                        put_bytes(&mut spans, key, &span);
                        found.kept = found.kept.saturating_add(1);
                    }
                    Err(why) => found.reject(why),
                }
            }
            key::GROUP | key::SCHEMA_URL => put_bytes(&mut head, key, reader.bytes()?),
            _ => reader.skip_in_envelope(key, 3)?,
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
        const TIME: u32 = fixed64(1);
        const ATTRIBUTES: u32 = bytes(6);
        const FLAGS: u32 = fixed32(8);
        const TRACE_ID: u32 = bytes(9);
        const SPAN_ID: u32 = bytes(10);
        const OBSERVED: u32 = fixed64(11);
        const EVENT_NAME: u32 = bytes(12);
        let mut record = Self::default();
        let mut reader = Reader::new(message);
        while let Some(key) = reader.key()? {
            match key {
                TIME => record.time = reader.fixed64()?,
                OBSERVED => record.observed = reader.fixed64()?,
                FLAGS => record.flags = Some(reader.fixed32()?),
                TRACE_ID => record.trace = reader.bytes()?,
                SPAN_ID => record.span = reader.bytes()?,
                EVENT_NAME => record.marks.event(std::str::from_utf8(reader.bytes()?).unwrap_or_default()),
                ATTRIBUTES => record.attribute(reader.bytes()?)?,
                _ => reader.skip(key)?,
            }
        }
        Ok(record)
    }

    fn attribute(&mut self, attribute: &'a [u8]) -> Result<(), WireError> {
        let (name, text) = key_and_text(attribute)?;
        let name = std::str::from_utf8(name).unwrap_or_default();
        self.marks.attribute(name, text.and_then(|text| std::str::from_utf8(text).ok()));
        if self.attributes.len() < ATTRIBUTES_MAX {
            self.attributes.push(attribute);
        }
        Ok(())
    }

    /// The span that stands for it.
    fn span(&self, encoded: &[u8]) -> Result<Vec<u8>, super::Unwanted> {
        let is_id = |id: &[u8], length: usize| id.len() == length && id.iter().any(|byte| *byte != 0);
        let time = if self.time == 0 { self.observed } else { self.time };
        self.marks.verdict(is_id(self.trace, 16) && is_id(self.span, 8), time > 0)?;
        let mut span = Vec::with_capacity(encoded.len().saturating_add(64));
        put_bytes(&mut span, bytes(1), self.trace);
        put_bytes(&mut span, bytes(2), &span_id(encoded).to_be_bytes());
        put_bytes(&mut span, bytes(4), self.span);
        put_bytes(&mut span, bytes(5), EVENT.as_bytes());
        put_varint(&mut span, varint(6).into());
        put_varint(&mut span, INTERNAL);
        for number in [7, 8] {
            put_varint(&mut span, fixed64(number).into());
            span.extend_from_slice(&time.to_le_bytes());
        }
        self.attributes.iter().for_each(|attribute| put_bytes(&mut span, bytes(9), attribute));
        if let Some(flags) = self.flags {
            put_varint(&mut span, fixed32(16).into());
            span.extend_from_slice(&flags.to_le_bytes());
        }
        Ok(span)
    }
}

fn put_bytes(out: &mut Vec<u8>, key: u32, value: &[u8]) {
    put_varint(out, key.into());
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

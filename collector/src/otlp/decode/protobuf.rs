//! The protobuf reader: requests, resources and scopes. Spans are in [`span`], attribute values in [`value`].
//!
//! Fields may come in any order, so a resource's spans are read in a second pass, once its own fields are known. The
//! first pass steps over each span in one addition.

mod span;
pub(super) mod value;
pub(super) mod wire;

use std::borrow::Cow;

use daytwo_storage::batch::ScopeRow;

use super::Limits;
use super::assemble::{Assembler, attributes_json, nonempty};
use super::attributes::AttributeList;
use super::span::{Scratch, Unreadable};
use super::text;
use wire::{Reader, WireError};

/// Keys of `ExportTraceServiceRequest`, `ResourceSpans` and `ScopeSpans`.
mod key {
    use super::wire::bytes;

    pub(super) const RESOURCE_SPANS: u32 = bytes(1);
    /// The resource of `ResourceSpans`, the scope of `ScopeSpans`.
    pub(super) const GROUP: u32 = bytes(1);
    /// The `ScopeSpans` of `ResourceSpans`, the spans of `ScopeSpans`.
    pub(super) const MEMBERS: u32 = bytes(2);
    pub(super) const SCHEMA_URL: u32 = bytes(3);
}

/// Reads an `ExportTraceServiceRequest` into `assembler`.
pub(super) fn read_request<'a>(body: &'a [u8], assembler: &mut Assembler<'a, '_>) -> Result<(), WireError> {
    let mut scratch = Scratch::new(assembler.limits());
    let mut reader = Reader::new(body);
    while let Some(key) = reader.key()? {
        match key {
            key::RESOURCE_SPANS => read_resource_spans(reader.bytes()?, assembler, &mut scratch)?,
            _ => reader.skip_in_envelope(key, 1)?,
        }
    }
    Ok(())
}

fn read_resource_spans<'a>(
    message: &'a [u8],
    assembler: &mut Assembler<'a, '_>,
    scratch: &mut Scratch<'a>,
) -> Result<(), WireError> {
    let limits = assembler.limits();
    let mut group = GroupFields::default();
    let mut reader = Reader::new(message);
    scratch.inner.clear();
    while let Some(key) = reader.key()? {
        match key {
            key::GROUP => {
                group.read("resource", reader.bytes()?, &mut scratch.inner, limits, GroupFields::read_resource)
            }
            key::SCHEMA_URL => group.schema_url = string(&mut reader, limits, &mut group.anomalies)?,
            _ => reader.skip_in_envelope(key, 3)?,
        }
    }
    let GroupFields { schema_url, dropped, anomalies, damage, .. } = group;
    assembler.begin_resource(&mut scratch.inner, dropped, schema_url, anomalies, damage);
    let mut reader = Reader::new(message);
    while let Some(key) = reader.key()? {
        match key {
            key::MEMBERS => read_scope_spans(reader.bytes()?, assembler, scratch)?,
            _ => reader.skip_in_envelope(key, 3)?,
        }
    }
    Ok(())
}

fn read_scope_spans<'a>(
    message: &'a [u8],
    assembler: &mut Assembler<'a, '_>,
    scratch: &mut Scratch<'a>,
) -> Result<(), WireError> {
    let limits = assembler.limits();
    let mut group = GroupFields::default();
    let mut reader = Reader::new(message);
    scratch.inner.clear();
    while let Some(key) = reader.key()? {
        match key {
            key::GROUP => group.read("scope", reader.bytes()?, &mut scratch.inner, limits, GroupFields::read_scope),
            key::SCHEMA_URL => group.schema_url = string(&mut reader, limits, &mut group.anomalies)?,
            _ => reader.skip_in_envelope(key, 3)?,
        }
    }
    let row = ScopeRow {
        name: nonempty(group.name),
        version: nonempty(group.version),
        attributes_json: attributes_json(&scratch.inner, group.dropped),
        schema_url: nonempty(group.schema_url),
    };
    assembler.begin_scope(row, group.anomalies, group.damage);
    let mut reader = Reader::new(message);
    while let Some(key) = reader.key()? {
        match key {
            key::MEMBERS => {
                let encoded = reader.bytes()?;
                assembler.span(scratch, encoded.len(), |scratch, limits| span::read(encoded, scratch, limits));
            }
            _ => reader.skip_in_envelope(key, 3)?,
        }
    }
    Ok(())
}

/// What resources and scopes have in common, apart from the attributes.
#[derive(Debug, Default)]
struct GroupFields<'a> {
    name: Cow<'a, str>,
    version: Cow<'a, str>,
    schema_url: Cow<'a, str>,
    dropped: u32,
    anomalies: i64,
    damage: Option<Unreadable>,
    encoded_bytes: usize,
}

/// Reads the fields of one kind of group.
type ReadGroup<'a> = fn(&mut GroupFields<'a>, &'a [u8], &mut AttributeList<'a>, &Limits) -> Result<(), WireError>;

impl<'a> GroupFields<'a> {
    /// Reads a group with `fields`; what is damaged or too large is noted.
    fn read(
        &mut self,
        what: &str,
        message: &'a [u8],
        attributes: &mut AttributeList<'a>,
        limits: &Limits,
        fields: ReadGroup<'a>,
    ) {
        // A message that comes in parts is the sum of them.
        self.encoded_bytes = self.encoded_bytes.saturating_add(message.len());
        let large = Unreadable::large_group(what, self.encoded_bytes, limits);
        let damage = large.or_else(|| {
            let read = fields(self, message, attributes, limits);
            read.err().map(|error| Unreadable::group(what, error))
        });
        self.damage = damage.or(self.damage.take());
    }

    fn read_resource(
        &mut self,
        message: &'a [u8],
        attributes: &mut AttributeList<'a>,
        limits: &Limits,
    ) -> Result<(), WireError> {
        const ATTRIBUTES: u32 = wire::bytes(1);
        const DROPPED: u32 = wire::varint(2);
        let mut reader = Reader::new(message);
        while let Some(key) = reader.key()? {
            match key {
                ATTRIBUTES => value::read_key_value(reader.bytes()?, attributes, limits, &mut self.anomalies)?,
                DROPPED => self.dropped = low_32_bits(reader.varint()?),
                _ => reader.skip(key)?,
            }
        }
        Ok(())
    }

    fn read_scope(
        &mut self,
        message: &'a [u8],
        attributes: &mut AttributeList<'a>,
        limits: &Limits,
    ) -> Result<(), WireError> {
        const NAME: u32 = wire::bytes(1);
        const VERSION: u32 = wire::bytes(2);
        const ATTRIBUTES: u32 = wire::bytes(3);
        const DROPPED: u32 = wire::varint(4);
        let mut reader = Reader::new(message);
        while let Some(key) = reader.key()? {
            match key {
                NAME => self.name = string(&mut reader, limits, &mut self.anomalies)?,
                VERSION => self.version = string(&mut reader, limits, &mut self.anomalies)?,
                ATTRIBUTES => value::read_key_value(reader.bytes()?, attributes, limits, &mut self.anomalies)?,
                DROPPED => self.dropped = low_32_bits(reader.varint()?),
                _ => reader.skip(key)?,
            }
        }
        Ok(())
    }
}

/// A text.
#[inline]
fn string<'a>(reader: &mut Reader<'a>, limits: &Limits, anomalies: &mut i64) -> Result<Cow<'a, str>, WireError> {
    Ok(text::from_utf8(reader.bytes()?, limits.value_bytes_max, anomalies))
}

/// How protobuf reads a varint into a 32-bit field: the low half, whatever stands above.
#[expect(clippy::cast_possible_truncation, reason = "the wire format says so")]
#[inline]
fn low_32_bits(varint: u64) -> u32 {
    varint as u32
}

#[inline]
fn as_i32(varint: u64) -> i32 {
    low_32_bits(varint).cast_signed()
}

//! The protobuf reader: requests, resources and scopes. Spans are in [`span`], attribute values in [`value`].
//!
//! Fields may come in any order, so a resource's spans are read in a second pass, once its own fields are known. The
//! first pass steps over each span in one addition.

mod span;
mod value;
pub(super) mod wire;

use std::borrow::Cow;

use daytwo_storage::batch::ScopeRow;

use super::Limits;
use super::assemble::{Assembler, attributes_json, nonempty};
use super::attributes::AttributeList;
use super::span::{Scratch, Unreadable};
use super::text;
use wire::{Field, Reader, WireError};

/// Reads an `ExportTraceServiceRequest` into `assembler`.
pub(super) fn read_request<'a>(body: &'a [u8], assembler: &mut Assembler<'a, '_>) -> Result<(), WireError> {
    let mut scratch = Scratch::new(assembler.limits());
    let mut reader = Reader::new(body);
    while let Some((number, field)) = reader.next()? {
        if number == 1 {
            read_resource_spans(bytes(number, field)?, assembler, &mut scratch)?;
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
    while let Some((number, field)) = reader.next()? {
        match number {
            1 => group.read("resource", bytes(number, field)?, &mut scratch.inner, limits, GroupFields::read_resource),
            3 => group.schema_url = string(number, field, limits, &mut group.anomalies)?,
            _ => {}
        }
    }
    let GroupFields { schema_url, dropped, anomalies, damage, .. } = group;
    assembler.begin_resource(&mut scratch.inner, dropped, schema_url, anomalies, damage);
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next()? {
        if number == 2 {
            read_scope_spans(bytes(number, field)?, assembler, scratch)?;
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
    while let Some((number, field)) = reader.next()? {
        match number {
            1 => group.read("scope", bytes(number, field)?, &mut scratch.inner, limits, GroupFields::read_scope),
            3 => group.schema_url = string(number, field, limits, &mut group.anomalies)?,
            _ => {}
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
    while let Some((number, field)) = reader.next()? {
        if number == 2 {
            let encoded = bytes(number, field)?;
            assembler.span(scratch, encoded.len(), |scratch, limits| span::read(encoded, scratch, limits));
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
        let mut reader = Reader::new(message);
        while let Some((number, field)) = reader.next()? {
            match number {
                1 => value::read_key_value(bytes(number, field)?, attributes, limits, &mut self.anomalies)?,
                2 => self.dropped = low_32_bits(varint(number, field)?),
                _ => {}
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
        let mut reader = Reader::new(message);
        while let Some((number, field)) = reader.next()? {
            match number {
                1 => self.name = string(number, field, limits, &mut self.anomalies)?,
                2 => self.version = string(number, field, limits, &mut self.anomalies)?,
                3 => value::read_key_value(bytes(number, field)?, attributes, limits, &mut self.anomalies)?,
                4 => self.dropped = low_32_bits(varint(number, field)?),
                _ => {}
            }
        }
        Ok(())
    }
}

#[inline]
fn bytes(number: u32, field: Field<'_>) -> Result<&[u8], WireError> {
    if let Field::Bytes(bytes) = field { Ok(bytes) } else { Err(WireError::FieldType(number)) }
}

#[inline]
fn varint(number: u32, field: Field<'_>) -> Result<u64, WireError> {
    if let Field::Varint(value) = field { Ok(value) } else { Err(WireError::FieldType(number)) }
}

#[inline]
fn fixed64(number: u32, field: Field<'_>) -> Result<u64, WireError> {
    if let Field::Fixed64(value) = field { Ok(value) } else { Err(WireError::FieldType(number)) }
}

#[inline]
fn fixed32(number: u32, field: Field<'_>) -> Result<u32, WireError> {
    if let Field::Fixed32(value) = field { Ok(value) } else { Err(WireError::FieldType(number)) }
}

#[inline]
fn string<'a>(number: u32, field: Field<'a>, limits: &Limits, anomalies: &mut i64) -> Result<Cow<'a, str>, WireError> {
    Ok(text::from_utf8(bytes(number, field)?, limits.value_bytes_max, anomalies))
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

//! The JSON reader: requests, resources and scopes, as the proto3 JSON mapping and OTLP define them.
//!
//! The document's syntax is checked once ([`scan`]); after that a value of the wrong type costs its span or its group,
//! never the request. Names are lowerCamelCase only; anything else is an unknown field and is ignored.

mod scalar;
mod scan;
mod span;
mod value;

use std::borrow::Cow;

use daytwo_storage::batch::ScopeRow;

use super::Limits;
use super::assemble::{Assembler, attributes_json, nonempty};
use super::attributes::AttributeList;
use super::span::{Scratch, Unreadable};
use scalar::FieldError;
use scan::{SyntaxError, Value};

/// Why a document is no trace export request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    /// It is not JSON.
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    /// Its envelope has another shape.
    #[error("{field}: {error}")]
    Envelope { field: &'static str, error: FieldError },
}

/// A value of a checked document.
pub(in crate::otlp) type Json<'a> = Value<'a>;

/// The one value of a JSON document.
pub(in crate::otlp) fn document(text: &[u8]) -> Result<Json<'_>, SyntaxError> {
    scan::document(text)
}

/// The text between two quotes.
pub(in crate::otlp) fn text(quoted: &[u8]) -> Cow<'_, str> {
    scalar::unescaped(quoted, usize::MAX, &mut 0)
}

/// The text of a number.
pub(in crate::otlp) fn number<'a>(value: Json<'a>) -> Option<&'a str> {
    std::str::from_utf8(value.raw())
        .ok()
        .filter(|text| text.starts_with(|first: char| first == '-' || first.is_ascii_digit()))
}

/// Reads an `ExportTraceServiceRequest` document into `assembler`.
pub(super) fn read_request<'a>(body: &'a [u8], assembler: &mut Assembler<'a, '_>) -> Result<(), RequestError> {
    if body.is_empty() {
        // An empty body is an empty request in protobuf; be as kind here.
        return Ok(());
    }
    let document = scan::document(body)?;
    let mut scratch = Scratch::new(assembler.limits());
    for (name, field) in object(document, "request")? {
        if name == b"resourceSpans" {
            for element in array(field, "resourceSpans")? {
                read_resource_spans(element, assembler, &mut scratch)?;
            }
        }
    }
    Ok(())
}

fn object<'a>(value: Value<'a>, field: &'static str) -> Result<scan::Entries<'a>, RequestError> {
    value.entries().ok_or(RequestError::Envelope { field, error: FieldError("an object") })
}

fn array<'a>(value: Value<'a>, field: &'static str) -> Result<scan::Elements<'a>, RequestError> {
    value.elements().ok_or(RequestError::Envelope { field, error: FieldError("an array") })
}

fn read_resource_spans<'a>(
    envelope: Value<'a>,
    assembler: &mut Assembler<'a, '_>,
    scratch: &mut Scratch<'a>,
) -> Result<(), RequestError> {
    let limits = assembler.limits();
    let mut group = GroupFields::default();
    scratch.inner.clear();
    for (name, field) in object(envelope, "resourceSpans")? {
        match name {
            b"resource" => group.read("resource", field, &mut scratch.inner, limits),
            b"schemaUrl" => group.read_schema_url("resource", field, limits),
            _ => {}
        }
    }
    assembler.begin_resource(&mut scratch.inner, group.dropped, group.schema_url, group.anomalies, group.damage);
    for (name, field) in object(envelope, "resourceSpans")? {
        if name == b"scopeSpans" {
            for element in array(field, "scopeSpans")? {
                read_scope_spans(element, assembler, scratch)?;
            }
        }
    }
    Ok(())
}

fn read_scope_spans<'a>(
    envelope: Value<'a>,
    assembler: &mut Assembler<'a, '_>,
    scratch: &mut Scratch<'a>,
) -> Result<(), RequestError> {
    let limits = assembler.limits();
    let mut group = GroupFields::default();
    scratch.inner.clear();
    for (name, field) in object(envelope, "scopeSpans")? {
        match name {
            b"scope" => group.read("scope", field, &mut scratch.inner, limits),
            b"schemaUrl" => group.read_schema_url("scope", field, limits),
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
    for (name, field) in object(envelope, "scopeSpans")? {
        if name == b"spans" {
            for element in array(field, "spans")? {
                let read = |scratch: &mut Scratch<'a>, limits: &Limits| span::read(element, scratch, limits);
                assembler.span(scratch, element.raw().len(), read);
            }
        }
    }
    Ok(())
}

/// What resources and scopes have in common; a resource has no name and no version.
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

impl<'a> GroupFields<'a> {
    fn read(&mut self, what: &str, value: Value<'a>, attributes: &mut AttributeList<'a>, limits: &Limits) {
        // A field that comes twice is the sum of both.
        self.encoded_bytes = self.encoded_bytes.saturating_add(value.raw().len());
        let large = Unreadable::large_group(what, self.encoded_bytes, limits);
        let damage = large.or_else(|| {
            let read = self.try_read(value, attributes, limits);
            read.err().map(|error| Unreadable::group(what, error))
        });
        self.damage = damage.or(self.damage.take());
    }

    fn try_read(
        &mut self,
        value: Value<'a>,
        attributes: &mut AttributeList<'a>,
        limits: &Limits,
    ) -> Result<(), FieldError> {
        for (name, field) in value.entries().ok_or(FieldError("an object"))? {
            match name {
                b"name" => self.name = scalar::string(field, limits.value_bytes_max, &mut self.anomalies)?,
                b"version" => self.version = scalar::string(field, limits.value_bytes_max, &mut self.anomalies)?,
                b"attributes" => value::read_attributes(field, attributes, limits, &mut self.anomalies)?,
                b"droppedAttributesCount" => self.dropped = scalar::u32(field)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn read_schema_url(&mut self, what: &str, value: Value<'a>, limits: &Limits) {
        match scalar::string(value, limits.value_bytes_max, &mut self.anomalies) {
            Ok(url) => self.schema_url = url,
            Err(error) => self.damage = Some(Unreadable::group(what, error)),
        }
    }
}

//! From stored spans back to OTLP: what was sent, as far as the span table keeps it.
//!
//! Decoding what is encoded here gives the same rows again. What differs from what was sent: attributes with a column of
//! their own come first, a resource without a `service.name` has `unknown_service`, and what the decoder repaired (bad
//! UTF-8, cut values, cleared parents, repeated keys) stays repaired.

mod columns;
#[cfg(test)]
mod tests;
mod value;

use arrow::array::RecordBatch;
use daytwo_storage::schema::{PROMOTED, PromotedType, RAW_START_LETTER as RAW_START, col};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;

use columns::Columns;
use value::{attribute, attributes_of, events_of, links_of, typed};

/// Why a batch cannot be encoded.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// A column of the span table is missing or has another type.
    #[error("the batch has no column '{0}' of the span table's type")]
    Column(&'static str),
    /// A cell does not hold what its column documents.
    #[error("column '{column}' of row {row}: {reason}")]
    Cell {
        /// The column.
        column: &'static str,
        /// The row, from 0.
        row: usize,
        /// What is wrong.
        reason: String,
    },
}

/// The spans of a batch, which has the span table's columns in any string representation, as the bytes of one
/// `ExportTraceServiceRequest`. Neighbours of the same resource and scope share them.
///
/// # Errors
/// [`EncodeError`]: the batch is not one of the span table.
pub fn protobuf(batch: &RecordBatch) -> Result<Vec<u8>, EncodeError> {
    let columns = Columns::new(batch)?;
    let mut resource_spans: Vec<ResourceSpans> = Vec::new();
    for row in 0..batch.num_rows() {
        let same_resource = row > 0 && columns.repeats(row, RESOURCE);
        let same_scope = same_resource && columns.repeats(row, SCOPE);
        if !same_resource {
            resource_spans.push(resource_of(&columns, row)?);
        }
        let Some(resource) = resource_spans.last_mut() else { continue };
        if !same_scope {
            resource.scope_spans.push(scope_of(&columns, row)?);
        }
        if let Some(scope) = resource.scope_spans.last_mut() {
            scope.spans.push(span_of(&columns, row)?);
        }
    }
    Ok(ExportTraceServiceRequest { resource_spans }.encode_to_vec())
}

/// Columns that all spans of a resource share.
const RESOURCE: &[&str] = &[
    col::SERVICE_NAME,
    col::SERVICE_NAMESPACE,
    col::SERVICE_VERSION,
    col::SERVICE_INSTANCE_ID,
    col::ENVIRONMENT,
    col::RESOURCE_ATTRIBUTES,
    col::RESOURCE_SCHEMA_URL,
];
/// Attributes of a resource with a column of their own.
const IDENTITY: &[(&str, &str)] = &[
    ("service.name", col::SERVICE_NAME),
    ("service.namespace", col::SERVICE_NAMESPACE),
    ("service.version", col::SERVICE_VERSION),
    ("service.instance.id", col::SERVICE_INSTANCE_ID),
    ("deployment.environment.name", col::ENVIRONMENT),
];
/// Columns that all spans of a scope share.
const SCOPE: &[&str] = &[col::SCOPE_NAME, col::SCOPE_VERSION, col::SCOPE_ATTRIBUTES, col::SCOPE_SCHEMA_URL];

fn resource_of(columns: &Columns, row: usize) -> Result<ResourceSpans, EncodeError> {
    let json = columns.text(row, col::RESOURCE_ATTRIBUTES);
    let (rest, dropped_attributes_count) = attributes_of(json, row, col::RESOURCE_ATTRIBUTES)?;
    let stands = |key: &str| rest.iter().find(|one| one.key == key).and_then(|one| one.value.as_ref());
    let mut attributes = Vec::with_capacity(rest.len().saturating_add(IDENTITY.len()));
    for &(key, column) in IDENTITY {
        let value = columns.text(row, column).map(|text| Value::StringValue(text.to_owned()));
        // A value that is no text stays among the rest, under its key; so does the older key of the environment.
        let older = stands("deployment.environment").filter(|_| column == col::ENVIRONMENT);
        let is_older = older.is_some_and(|older| older.value == value);
        attributes.extend(value.filter(|_| !is_older && stands(key).is_none()).map(|value| attribute(key, value)));
    }
    attributes.extend(rest);
    let resource = Resource { attributes, dropped_attributes_count, ..Resource::default() };
    let schema_url = columns.text_or_empty(row, col::RESOURCE_SCHEMA_URL);
    Ok(ResourceSpans { resource: Some(resource), scope_spans: Vec::new(), schema_url })
}

fn scope_of(columns: &Columns, row: usize) -> Result<ScopeSpans, EncodeError> {
    let json = columns.text(row, col::SCOPE_ATTRIBUTES);
    let (attributes, dropped_attributes_count) = attributes_of(json, row, col::SCOPE_ATTRIBUTES)?;
    let scope = InstrumentationScope {
        name: columns.text_or_empty(row, col::SCOPE_NAME),
        version: columns.text_or_empty(row, col::SCOPE_VERSION),
        attributes,
        dropped_attributes_count,
    };
    let schema_url = columns.text_or_empty(row, col::SCOPE_SCHEMA_URL);
    Ok(ScopeSpans { scope: Some(scope), spans: Vec::new(), schema_url })
}

fn span_of(columns: &Columns, row: usize) -> Result<Span, EncodeError> {
    let number = |column| columns.number(row, column).unwrap_or(0);
    let (start_time_unix_nano, end_time_unix_nano) = times_of(columns, row);
    Ok(Span {
        trace_id: columns.id(row, col::TRACE_ID),
        span_id: columns.id(row, col::SPAN_ID),
        parent_span_id: columns.id(row, col::PARENT_SPAN_ID),
        trace_state: columns.text_or_empty(row, col::TRACE_STATE),
        flags: low_32_bits(number(col::FLAGS)),
        name: columns.text_or_empty(row, col::NAME),
        kind: i32::try_from(number(col::KIND)).unwrap_or_default(),
        start_time_unix_nano,
        end_time_unix_nano,
        attributes: span_attributes(columns, row)?,
        events: events_of(columns.text(row, col::EVENTS), row)?,
        links: links_of(columns.text(row, col::LINKS), row)?,
        status: Some(Status {
            message: columns.text_or_empty(row, col::STATUS_MESSAGE),
            code: i32::try_from(number(col::STATUS_CODE)).unwrap_or_default(),
        }),
        dropped_attributes_count: low_32_bits(number(col::DROPPED_ATTRIBUTES_COUNT)),
        dropped_events_count: low_32_bits(number(col::DROPPED_EVENTS_COUNT)),
        dropped_links_count: low_32_bits(number(col::DROPPED_LINKS_COUNT)),
    })
}

/// Start and end as sent.
fn times_of(columns: &Columns, row: usize) -> (u64, u64) {
    const LAST: u64 = i64::MAX.cast_unsigned();
    let number = |column| columns.number(row, column).and_then(|number| u64::try_from(number).ok()).unwrap_or(0);
    let (start, duration) = (number(col::START), number(col::DURATION));
    let end = columns.number(row, col::RAW_END).map_or(start.saturating_add(duration), i64::cast_unsigned);
    if start < LAST {
        return (start, end);
    }
    // The column ends there, so the start may lie beyond; how far, an entry of its own tells, or the other two.
    let by_end = if end > LAST { end.saturating_sub(duration) } else { start };
    (raw_start(columns, row).unwrap_or(by_end), end)
}

fn raw_start(columns: &Columns, row: usize) -> Option<u64> {
    let (_, text, _) = entries(columns, row).find(|(.., letter)| *letter == RAW_START)?;
    text?.parse().ok()
}

/// The entries of the map: key, text and letter.
fn entries(columns: &Columns, row: usize) -> impl Iterator<Item = (&str, Option<&str>, char)> {
    let letters = columns.text(row, col::ATTRIBUTE_TYPES).unwrap_or_default();
    let letters = letters.chars().chain(std::iter::repeat('s'));
    columns.attributes(row).zip(letters).map(|((key, text), letter)| (key, text, letter))
}

fn low_32_bits(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn span_attributes(columns: &Columns, row: usize) -> Result<Vec<KeyValue>, EncodeError> {
    let mut attributes = Vec::new();
    for promoted in PROMOTED {
        let value = match promoted.kind {
            PromotedType::Text => columns.text(row, promoted.column).map(|text| Value::StringValue(text.to_owned())),
            PromotedType::Integer => columns.number(row, promoted.column).map(Value::IntValue),
        };
        attributes.extend(value.map(|value| attribute(promoted.key, value)));
    }
    for (key, text, letter) in entries(columns, row).filter(|(.., letter)| *letter != RAW_START) {
        let value = typed(text, letter);
        let value = value.map_err(|reason| EncodeError::Cell {
            column: col::ATTRIBUTES,
            row,
            reason: format!("{key}: {reason}"),
        });
        attributes.push(KeyValue { key: key.to_owned(), value: value?, ..KeyValue::default() });
    }
    Ok(attributes)
}

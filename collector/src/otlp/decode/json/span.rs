//! One span object with its events, links and status.

use daytwo_storage::{SpanId, TraceId};

use super::scalar::{self, FieldError};
use super::scan::Value;
use super::value::read_attributes;
use crate::otlp::decode::Limits;
use crate::otlp::decode::attributes::AttributeList;
use crate::otlp::decode::rejection::Reason;
use crate::otlp::decode::span::{EventDraft, ItemList, LinkDraft, Parent, Scratch, SpanDraft, Unreadable};

const KINDS: &[&str] = &[
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];

const STATUS_CODES: &[&str] = &["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];

/// Reads a span; its lists go to `scratch`.
pub(super) fn read<'a>(
    object: Value<'a>,
    scratch: &mut Scratch<'a>,
    limits: &Limits,
) -> Result<SpanDraft<'a>, Unreadable> {
    let mut span = SpanDraft::default();
    let mut current: &[u8] = b"";
    match read_fields(object, &mut span, scratch, limits, &mut current) {
        Ok(()) => Ok(span),
        Err(error) => {
            let trace = span.trace_id.map_or_else(String::new, |id| format!("in trace {id} "));
            let detail = format!("{trace}({}: {error})", String::from_utf8_lossy(current));
            Err(Unreadable { reason: Reason::InvalidField, detail })
        }
    }
}

fn read_fields<'a>(
    object: Value<'a>,
    span: &mut SpanDraft<'a>,
    scratch: &mut Scratch<'a>,
    limits: &Limits,
    current: &mut &'a [u8],
) -> Result<(), FieldError> {
    let Scratch { attributes, inner, events, links } = scratch;
    let anomalies = &mut span.anomalies;
    let text_max = limits.value_bytes_max;
    if object.is_null() {
        return Err(FieldError("a span object"));
    }
    for (name, field) in object.entries().ok_or(FieldError("a span object"))? {
        *current = name;
        match name {
            b"traceId" => span.trace_id = id_text(field).and_then(|text| TraceId::from_hex(text).ok()),
            b"spanId" => span.span_id = id_text(field).and_then(|text| SpanId::from_hex(text).ok()),
            b"parentSpanId" => span.parent = parent(field),
            b"traceState" => span.trace_state = scalar::string(field, text_max, anomalies)?,
            b"flags" => span.flags = scalar::u32(field)?,
            b"name" => span.name = scalar::string(field, text_max, anomalies)?,
            b"kind" => span.kind = scalar::enumeration(field, KINDS)?,
            b"startTimeUnixNano" => span.start_time_unix_nano = scalar::u64(field)?,
            b"endTimeUnixNano" => span.end_time_unix_nano = scalar::u64(field)?,
            b"attributes" => read_attributes(field, attributes, limits, anomalies)?,
            b"droppedAttributesCount" => span.dropped_attributes_count = scalar::u32(field)?,
            b"events" => read_events(field, events, inner, limits, anomalies)?,
            b"droppedEventsCount" => span.dropped_events_count = scalar::u32(field)?,
            b"links" => read_links(field, links, inner, limits, anomalies)?,
            b"droppedLinksCount" => span.dropped_links_count = scalar::u32(field)?,
            b"status" => {
                for (name, field) in field.entries().ok_or(FieldError("a status object"))? {
                    match name {
                        b"message" => span.status_message = scalar::string(field, text_max, anomalies)?,
                        b"code" => span.status_code = scalar::enumeration(field, STATUS_CODES)?,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// The text of an id; one with escapes or other bytes than ASCII is no id.
fn id_text(field: Value<'_>) -> Option<&str> {
    field.quoted().and_then(|quoted| std::str::from_utf8(quoted).ok())
}

fn parent(field: Value<'_>) -> Parent {
    if field.is_null() {
        return Parent::None;
    }
    match id_text(field) {
        Some("" | "0000000000000000") => Parent::None,
        Some(text) => SpanId::from_hex(text).map_or(Parent::Bad, Parent::Of),
        None => Parent::Bad,
    }
}

fn read_events<'a>(
    array: Value<'a>,
    events: &mut ItemList,
    attributes: &mut AttributeList<'a>,
    limits: &Limits,
    anomalies: &mut i64,
) -> Result<(), FieldError> {
    for element in array.elements().ok_or(FieldError("an array of events"))? {
        if !events.has_room(limits, anomalies) {
            continue;
        }
        attributes.clear();
        match read_event(element, attributes, limits, anomalies) {
            Ok(event) => events.push_event(&event, attributes),
            Err(_) => events.leave_out_malformed(anomalies),
        }
    }
    Ok(())
}

fn read_event<'a>(
    object: Value<'a>,
    attributes: &mut AttributeList<'a>,
    limits: &Limits,
    anomalies: &mut i64,
) -> Result<EventDraft<'a>, FieldError> {
    let mut event = EventDraft::default();
    for (name, field) in object.entries().ok_or(FieldError("an event object"))? {
        match name {
            b"timeUnixNano" => event.time_unix_nano = scalar::u64(field)?,
            b"name" => event.name = scalar::string(field, limits.value_bytes_max, anomalies)?,
            b"attributes" => read_attributes(field, attributes, limits, anomalies)?,
            b"droppedAttributesCount" => event.dropped_attributes_count = scalar::u32(field)?,
            _ => {}
        }
    }
    Ok(event)
}

fn read_links<'a>(
    array: Value<'a>,
    links: &mut ItemList,
    attributes: &mut AttributeList<'a>,
    limits: &Limits,
    anomalies: &mut i64,
) -> Result<(), FieldError> {
    for element in array.elements().ok_or(FieldError("an array of links"))? {
        if !links.has_room(limits, anomalies) {
            continue;
        }
        attributes.clear();
        match read_link(element, attributes, limits, anomalies) {
            Ok(link) => links.push_link(&link, attributes),
            Err(_) => links.leave_out_malformed(anomalies),
        }
    }
    Ok(())
}

fn read_link<'a>(
    object: Value<'a>,
    attributes: &mut AttributeList<'a>,
    limits: &Limits,
    anomalies: &mut i64,
) -> Result<LinkDraft<'a>, FieldError> {
    let mut link = LinkDraft::default();
    for (name, field) in object.entries().ok_or(FieldError("a link object"))? {
        match name {
            b"traceId" => link.trace_id = link_id(field, "00000000000000000000000000000000", TraceId::from_hex)?,
            b"spanId" => link.span_id = link_id(field, "0000000000000000", SpanId::from_hex)?,
            b"traceState" => link.trace_state = scalar::string(field, limits.value_bytes_max, anomalies)?,
            b"attributes" => read_attributes(field, attributes, limits, anomalies)?,
            b"droppedAttributesCount" => link.dropped_attributes_count = scalar::u32(field)?,
            b"flags" => link.flags = scalar::u32(field)?,
            _ => {}
        }
    }
    Ok(link)
}

/// A whole id, or `None` for an empty or zero one: a link may carry attributes only.
fn link_id<T, E>(
    field: Value<'_>,
    zero: &str,
    read: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, FieldError> {
    const EXPECTED: FieldError = FieldError("a hexadecimal id");
    if field.is_null() {
        return Ok(None);
    }
    match id_text(field).ok_or(EXPECTED)? {
        "" => Ok(None),
        text if text == zero => Ok(None),
        text => read(text).map(Some).map_err(|_| EXPECTED),
    }
}

//! One `Span` message with its events, links and status.

use daytwo_storage::{SpanId, TraceId};

use super::value::read_key_value;
use super::wire::{Reader, WireError};
use super::{Limits, as_i32, bytes, fixed32, fixed64, low_32_bits, string, varint};
use crate::otlp::decode::attributes::AttributeList;
use crate::otlp::decode::rejection::Reason;
use crate::otlp::decode::span::{EventDraft, ItemList, LinkDraft, Parent, Scratch, SpanDraft, Unreadable};

/// Reads a span; its lists go to `scratch`.
pub(super) fn read<'a>(
    message: &'a [u8],
    scratch: &mut Scratch<'a>,
    limits: &Limits,
) -> Result<SpanDraft<'a>, Unreadable> {
    let mut span = SpanDraft::default();
    match read_fields(message, &mut span, scratch, limits) {
        Ok(()) => Ok(span),
        Err(error) => {
            let trace = span.trace_id.map_or_else(String::new, |id| format!("in trace {id} "));
            Err(Unreadable { reason: Reason::Malformed, detail: format!("{trace}({error})") })
        }
    }
}

fn read_fields<'a>(
    message: &'a [u8],
    span: &mut SpanDraft<'a>,
    scratch: &mut Scratch<'a>,
    limits: &Limits,
) -> Result<(), WireError> {
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next()? {
        match number {
            1 => span.trace_id = TraceId::from_bytes(bytes(number, field)?).ok(),
            2 => span.span_id = SpanId::from_bytes(bytes(number, field)?).ok(),
            3 => span.trace_state = string(number, field, limits, &mut span.anomalies)?,
            4 => span.parent = Parent::from_bytes(bytes(number, field)?),
            5 => span.name = string(number, field, limits, &mut span.anomalies)?,
            6 => span.kind = as_i32(varint(number, field)?),
            7 => span.start_time_unix_nano = fixed64(number, field)?,
            8 => span.end_time_unix_nano = fixed64(number, field)?,
            9 => read_key_value(bytes(number, field)?, &mut scratch.attributes, limits, &mut span.anomalies)?,
            10 => span.dropped_attributes_count = low_32_bits(varint(number, field)?),
            11 => {
                push_event(bytes(number, field)?, &mut scratch.events, &mut scratch.inner, limits, &mut span.anomalies)
            }
            12 => span.dropped_events_count = low_32_bits(varint(number, field)?),
            13 => push_link(bytes(number, field)?, &mut scratch.links, &mut scratch.inner, limits, &mut span.anomalies),
            14 => span.dropped_links_count = low_32_bits(varint(number, field)?),
            15 => read_status(bytes(number, field)?, span, limits)?,
            16 => span.flags = fixed32(number, field)?,
            _ => {}
        }
    }
    Ok(())
}

fn read_status<'a>(message: &'a [u8], span: &mut SpanDraft<'a>, limits: &Limits) -> Result<(), WireError> {
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next()? {
        match number {
            2 => span.status_message = string(number, field, limits, &mut span.anomalies)?,
            3 => span.status_code = as_i32(varint(number, field)?),
            _ => {}
        }
    }
    Ok(())
}

fn push_event<'a>(
    message: &'a [u8],
    events: &mut ItemList,
    attributes: &mut AttributeList<'a>,
    limits: &Limits,
    anomalies: &mut i64,
) {
    if !events.has_room(limits, anomalies) {
        return;
    }
    attributes.clear();
    match read_event(message, attributes, limits, anomalies) {
        Ok(event) => events.push_event(&event, attributes),
        Err(_) => events.leave_out_malformed(anomalies),
    }
}

fn read_event<'a>(
    message: &'a [u8],
    attributes: &mut AttributeList<'a>,
    limits: &Limits,
    anomalies: &mut i64,
) -> Result<EventDraft<'a>, WireError> {
    let mut event = EventDraft::default();
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next()? {
        match number {
            1 => event.time_unix_nano = fixed64(number, field)?,
            2 => event.name = string(number, field, limits, anomalies)?,
            3 => read_key_value(bytes(number, field)?, attributes, limits, anomalies)?,
            4 => event.dropped_attributes_count = low_32_bits(varint(number, field)?),
            _ => {}
        }
    }
    Ok(event)
}

fn push_link<'a>(
    message: &'a [u8],
    links: &mut ItemList,
    attributes: &mut AttributeList<'a>,
    limits: &Limits,
    anomalies: &mut i64,
) {
    if !links.has_room(limits, anomalies) {
        return;
    }
    attributes.clear();
    match read_link(message, attributes, limits, anomalies) {
        Ok(Some(link)) => links.push_link(&link, attributes),
        Ok(None) | Err(_) => links.leave_out_malformed(anomalies),
    }
}

/// `None` when an id has a wrong length. Empty ids are allowed: a link may carry attributes only.
fn read_link<'a>(
    message: &'a [u8],
    attributes: &mut AttributeList<'a>,
    limits: &Limits,
    anomalies: &mut i64,
) -> Result<Option<LinkDraft<'a>>, WireError> {
    let mut link = LinkDraft::default();
    let (mut trace_id, mut span_id) = (&[][..], &[][..]);
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next()? {
        match number {
            1 => trace_id = bytes(number, field)?,
            2 => span_id = bytes(number, field)?,
            3 => link.trace_state = string(number, field, limits, anomalies)?,
            4 => read_key_value(bytes(number, field)?, attributes, limits, anomalies)?,
            5 => link.dropped_attributes_count = low_32_bits(varint(number, field)?),
            6 => link.flags = fixed32(number, field)?,
            _ => {}
        }
    }
    if !matches!(trace_id.len(), 0 | 16) || !matches!(span_id.len(), 0 | 8) {
        return Ok(None);
    }
    link.trace_id = TraceId::from_bytes(trace_id).ok();
    link.span_id = SpanId::from_bytes(span_id).ok();
    Ok(Some(link))
}

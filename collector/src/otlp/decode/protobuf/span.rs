//! One `Span` message with its events, links and status.

use daytwo_storage::{SpanId, TraceId};

use super::value::read_key_value;
use super::wire::{self, Reader, WireError};
use super::{Limits, as_i32, low_32_bits, string};
use crate::otlp::decode::attributes::AttributeList;
use crate::otlp::decode::rejection::Reason;
use crate::otlp::decode::span::{EventDraft, ItemList, LinkDraft, Parent, Scratch, SpanDraft, Unreadable};

/// Keys of `Span`.
mod key {
    use super::super::wire::{bytes, fixed32, fixed64, varint};

    pub(super) const TRACE_ID: u32 = bytes(1);
    pub(super) const SPAN_ID: u32 = bytes(2);
    pub(super) const TRACE_STATE: u32 = bytes(3);
    pub(super) const PARENT_SPAN_ID: u32 = bytes(4);
    pub(super) const NAME: u32 = bytes(5);
    pub(super) const KIND: u32 = varint(6);
    pub(super) const START: u32 = fixed64(7);
    pub(super) const END: u32 = fixed64(8);
    pub(super) const ATTRIBUTES: u32 = bytes(9);
    pub(super) const DROPPED_ATTRIBUTES: u32 = varint(10);
    pub(super) const EVENTS: u32 = bytes(11);
    pub(super) const DROPPED_EVENTS: u32 = varint(12);
    pub(super) const LINKS: u32 = bytes(13);
    pub(super) const DROPPED_LINKS: u32 = varint(14);
    pub(super) const STATUS: u32 = bytes(15);
    pub(super) const FLAGS: u32 = fixed32(16);
}

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
    let Scratch { attributes, inner, events, links } = scratch;
    let mut reader = Reader::new(message);
    while let Some(key) = reader.key()? {
        match key {
            key::ATTRIBUTES => {
                read_key_value(reader.bytes()?, attributes, limits, &mut span.anomalies)?;
                while let Some(next) = reader.short(key::ATTRIBUTES) {
                    read_key_value(next, attributes, limits, &mut span.anomalies)?;
                }
            }
            key::TRACE_ID => span.trace_id = TraceId::from_bytes(reader.bytes()?).ok(),
            key::SPAN_ID => span.span_id = SpanId::from_bytes(reader.bytes()?).ok(),
            key::TRACE_STATE => span.trace_state = string(&mut reader, limits, &mut span.anomalies)?,
            key::PARENT_SPAN_ID => span.parent = Parent::from_bytes(reader.bytes()?),
            key::NAME => span.name = string(&mut reader, limits, &mut span.anomalies)?,
            key::KIND => span.kind = as_i32(reader.varint()?),
            key::START => span.start_time_unix_nano = reader.fixed64()?,
            key::END => span.end_time_unix_nano = reader.fixed64()?,
            key::DROPPED_ATTRIBUTES => span.dropped_attributes_count = low_32_bits(reader.varint()?),
            key::EVENTS => push_event(reader.bytes()?, events, inner, limits, &mut span.anomalies),
            key::DROPPED_EVENTS => span.dropped_events_count = low_32_bits(reader.varint()?),
            key::LINKS => push_link(reader.bytes()?, links, inner, limits, &mut span.anomalies),
            key::DROPPED_LINKS => span.dropped_links_count = low_32_bits(reader.varint()?),
            key::STATUS => read_status(reader.bytes()?, span, limits)?,
            key::FLAGS => span.flags = reader.fixed32()?,
            _ => reader.skip(key)?,
        }
    }
    Ok(())
}

fn read_status<'a>(message: &'a [u8], span: &mut SpanDraft<'a>, limits: &Limits) -> Result<(), WireError> {
    const MESSAGE: u32 = wire::bytes(2);
    const CODE: u32 = wire::varint(3);
    let mut reader = Reader::new(message);
    while let Some(key) = reader.key()? {
        match key {
            MESSAGE => span.status_message = string(&mut reader, limits, &mut span.anomalies)?,
            CODE => span.status_code = as_i32(reader.varint()?),
            _ => reader.skip(key)?,
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
    const TIME: u32 = wire::fixed64(1);
    const NAME: u32 = wire::bytes(2);
    const ATTRIBUTES: u32 = wire::bytes(3);
    const DROPPED_ATTRIBUTES: u32 = wire::varint(4);
    let mut event = EventDraft::default();
    let mut reader = Reader::new(message);
    while let Some(key) = reader.key()? {
        match key {
            TIME => event.time_unix_nano = reader.fixed64()?,
            NAME => event.name = string(&mut reader, limits, anomalies)?,
            ATTRIBUTES => read_key_value(reader.bytes()?, attributes, limits, anomalies)?,
            DROPPED_ATTRIBUTES => event.dropped_attributes_count = low_32_bits(reader.varint()?),
            _ => reader.skip(key)?,
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
    const TRACE_ID: u32 = wire::bytes(1);
    const SPAN_ID: u32 = wire::bytes(2);
    const TRACE_STATE: u32 = wire::bytes(3);
    const ATTRIBUTES: u32 = wire::bytes(4);
    const DROPPED_ATTRIBUTES: u32 = wire::varint(5);
    const FLAGS: u32 = wire::fixed32(6);
    let mut link = LinkDraft::default();
    let (mut trace_id, mut span_id) = (&[][..], &[][..]);
    let mut reader = Reader::new(message);
    while let Some(key) = reader.key()? {
        match key {
            TRACE_ID => trace_id = reader.bytes()?,
            SPAN_ID => span_id = reader.bytes()?,
            TRACE_STATE => link.trace_state = string(&mut reader, limits, anomalies)?,
            ATTRIBUTES => read_key_value(reader.bytes()?, attributes, limits, anomalies)?,
            DROPPED_ATTRIBUTES => link.dropped_attributes_count = low_32_bits(reader.varint()?),
            FLAGS => link.flags = reader.fixed32()?,
            _ => reader.skip(key)?,
        }
    }
    if !matches!(trace_id.len(), 0 | 16) || !matches!(span_id.len(), 0 | 8) {
        return Ok(None);
    }
    link.trace_id = TraceId::from_bytes(trace_id).ok();
    link.span_id = SpanId::from_bytes(span_id).ok();
    Ok(Some(link))
}

//! [`SpanDraft`] and its parts: a span as a reader found it, before the checks that both encodings share.

use std::borrow::Cow;

use daytwo_storage::schema::anomaly;
use daytwo_storage::{SpanId, TraceId};

use super::Limits;
use super::attributes::AttributeList;
use super::rejection::Reason;
use super::text::{push_hex, push_json_string, push_number};

/// What a reader found out about a parent id.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) enum Parent {
    /// Empty: a root span.
    #[default]
    None,
    /// A whole id.
    Of(SpanId),
    /// Something else: cleared and flagged.
    Bad,
}

impl Parent {
    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        // All zero is how some exporters write "no parent".
        match SpanId::from_bytes(bytes) {
            Ok(id) => Self::Of(id),
            Err(_) if bytes.is_empty() || bytes == [0; 8] => Self::None,
            Err(_) => Self::Bad,
        }
    }
}

/// The scalar fields of a span as sent; the lists are in [`Scratch`].
#[derive(Debug, Default)]
pub(super) struct SpanDraft<'a> {
    pub(super) trace_id: Option<TraceId>,
    pub(super) span_id: Option<SpanId>,
    pub(super) parent: Parent,
    pub(super) trace_state: Cow<'a, str>,
    pub(super) flags: u32,
    pub(super) name: Cow<'a, str>,
    pub(super) kind: i32,
    pub(super) start_time_unix_nano: u64,
    pub(super) end_time_unix_nano: u64,
    pub(super) status_code: i32,
    pub(super) status_message: Cow<'a, str>,
    pub(super) dropped_attributes_count: u32,
    pub(super) dropped_events_count: u32,
    pub(super) dropped_links_count: u32,
    pub(super) anomalies: i64,
}

/// Why a reader gave a span up, or all spans of a group.
#[derive(Debug)]
pub(super) struct Unreadable {
    pub(super) reason: Reason,
    pub(super) detail: String,
}

impl Unreadable {
    /// A resource or scope (`what`) with a damaged encoding.
    pub(super) fn group(what: &str, error: impl std::fmt::Display) -> Self {
        Self { reason: Reason::MalformedGroup, detail: format!("({what}: {error})") }
    }

    /// A resource or scope over the limit.
    pub(super) fn large_group(what: &str, encoded_bytes: usize, limits: &Limits) -> Option<Self> {
        let limit = limits.span_bytes_max;
        let detail = || format!("({what}: {encoded_bytes} bytes, limit {limit})");
        (encoded_bytes > limit).then(|| Self { reason: Reason::TooLarge, detail: detail() })
    }
}

/// An event before it is written.
#[derive(Debug, Default)]
pub(super) struct EventDraft<'a> {
    pub(super) time_unix_nano: u64,
    pub(super) name: Cow<'a, str>,
    pub(super) dropped_attributes_count: u32,
}

/// A link before it is written.
#[derive(Debug, Default)]
pub(super) struct LinkDraft<'a> {
    pub(super) trace_id: Option<TraceId>,
    pub(super) span_id: Option<SpanId>,
    pub(super) trace_state: Cow<'a, str>,
    pub(super) dropped_attributes_count: u32,
    pub(super) flags: u32,
}

/// A JSON array of events or links, written item by item.
#[derive(Debug, Default)]
pub(super) struct ItemList {
    json: String,
    written: usize,
    /// Items left out, because malformed or past the limit.
    pub(super) left_out: u32,
}

impl ItemList {
    pub(super) fn clear(&mut self) {
        self.json.clear();
        self.written = 0;
        self.left_out = 0;
    }

    /// Whether another item may be written; if not, it is counted as left out.
    pub(super) fn has_room(&mut self, limits: &Limits, anomalies: &mut i64) -> bool {
        if self.written < limits.items_max {
            return true;
        }
        *anomalies |= anomaly::COUNT_CUT;
        self.left_out = self.left_out.saturating_add(1);
        false
    }

    /// Counts a malformed item.
    pub(super) fn leave_out_malformed(&mut self, anomalies: &mut i64) {
        *anomalies |= anomaly::BAD_EVENT_OR_LINK;
        self.left_out = self.left_out.saturating_add(1);
    }

    fn begin_item(&mut self) -> &mut String {
        self.json.push(if self.written == 0 { '[' } else { ',' });
        self.written = self.written.saturating_add(1);
        &mut self.json
    }

    pub(super) fn push_event(&mut self, event: &EventDraft<'_>, attributes: &AttributeList<'_>) {
        let out = self.begin_item();
        push_number(out, format_args!("{{\"time_unix_nano\":{},\"name\":", event.time_unix_nano));
        push_json_string(out, &event.name);
        push_attributes(out, attributes, event.dropped_attributes_count);
        out.push('}');
    }

    pub(super) fn push_link(&mut self, link: &LinkDraft<'_>, attributes: &AttributeList<'_>) {
        let out = self.begin_item();
        out.push_str("{\"trace_id\":\"");
        push_hex(out, link.trace_id.as_ref().map_or(&[], |id| id.as_bytes().as_slice()));
        out.push_str("\",\"span_id\":\"");
        push_hex(out, link.span_id.as_ref().map_or(&[], |id| id.as_bytes().as_slice()));
        out.push('"');
        if !link.trace_state.is_empty() {
            out.push_str(",\"trace_state\":");
            push_json_string(out, &link.trace_state);
        }
        if link.flags != 0 {
            push_number(out, format_args!(",\"flags\":{}", link.flags));
        }
        push_attributes(out, attributes, link.dropped_attributes_count);
        out.push('}');
    }

    /// Closes the array; `None` when there is no item.
    pub(super) fn finish(&mut self) -> Option<&str> {
        if self.written == 0 {
            return None;
        }
        self.json.push(']');
        Some(&self.json)
    }
}

fn push_attributes(out: &mut String, attributes: &AttributeList<'_>, dropped: u32) {
    if !attributes.is_empty() {
        out.push_str(",\"attributes\":");
        attributes.push_json_object(out, 0);
    }
    let dropped = dropped.saturating_add(attributes.cut);
    if dropped > 0 {
        push_number(out, format_args!(",\"dropped_attributes_count\":{dropped}"));
    }
}

/// The lists of the span being read, reused from span to span.
#[derive(Debug)]
pub(super) struct Scratch<'a> {
    /// The span's own attributes.
    pub(super) attributes: AttributeList<'a>,
    /// Those of one event or link, resource or scope.
    pub(super) inner: AttributeList<'a>,
    pub(super) events: ItemList,
    pub(super) links: ItemList,
}

impl Scratch<'_> {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            attributes: AttributeList::new(limits),
            inner: AttributeList::new(limits),
            events: ItemList::default(),
            links: ItemList::default(),
        }
    }

    pub(super) fn clear(&mut self) {
        self.attributes.clear();
        self.events.clear();
        self.links.clear();
    }
}

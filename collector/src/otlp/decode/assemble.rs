//! [`Assembler`]: checks spans and appends the good ones to the batch. It knows positions and groups, not encodings.

use std::borrow::Cow;

use daytwo_storage::batch::{ResourceRow, ScopeRow, SpanBatchBuilder, SpanRow};
use daytwo_storage::schema::anomaly;
use daytwo_storage::{SpanId, UnixNanos};

use super::attributes::AttributeList;
use super::rejection::{Reason, Rejections};
use super::span::{Parent, Scratch, SpanDraft, Unreadable};
use super::{DecodeError, Decoded, Limits, Room};

/// How much is taken of the room at a time.
const STEP_BYTES: usize = 16 << 10;
/// From so many spans it is told how large the columns will be.
const SAMPLE_SPANS: usize = 32;

/// A resource or scope: its row, and what is odd about it, which all its spans inherit.
#[derive(Debug)]
struct Group<R> {
    row: R,
    anomalies: i64,
    damage: Option<Unreadable>,
    /// Whether the builder has it. It gets it with its first span, so that empty groups cost nothing.
    begun: bool,
}

impl<R: Default> Default for Group<R> {
    fn default() -> Self {
        Self { row: R::default(), anomalies: 0, damage: None, begun: false }
    }
}

/// Builds the batch of one request.
pub(super) struct Assembler<'a, 'l> {
    limits: &'l Limits,
    builder: SpanBatchBuilder,
    resource: Group<ResourceRow<'a>>,
    scope: Group<ScopeRow<'a>>,
    /// Bytes of the whole request, until room was made for what it holds.
    body_bytes: Option<usize>,
    /// Bytes of the spans read so far.
    read_bytes: usize,
    /// Spans seen so far.
    position: u32,
    rejected: Vec<u32>,
    reasons: Rejections,
    /// Positions to pass over, ascending: what was rejected when the frame was written.
    skip: &'l [u32],
    room: Option<Room<'l>>,
    /// Taken of it.
    taken: usize,
    /// Why no more spans are read.
    stopped: Option<DecodeError>,
}

impl<'a, 'l> Assembler<'a, 'l> {
    pub(super) fn new(body_bytes: usize, received: UnixNanos, limits: &'l Limits, skip: &'l [u32]) -> Self {
        Self {
            limits,
            builder: SpanBatchBuilder::new(received.0),
            resource: Group::default(),
            scope: Group::default(),
            body_bytes: Some(body_bytes),
            read_bytes: 0,
            position: 0,
            rejected: Vec::new(),
            reasons: Rejections::default(),
            skip,
            room: None,
            taken: 0,
            stopped: None,
        }
    }

    /// The same with a limit of memory.
    pub(super) fn within(self, room: Room<'l>) -> Self {
        Self { room: Some(room), ..self }
    }

    pub(super) fn limits(&self) -> &'l Limits {
        self.limits
    }

    /// Starts a resource; `damage` says why it cannot be read, which rejects its spans.
    pub(super) fn begin_resource(
        &mut self,
        attributes: &mut AttributeList<'a>,
        dropped: u32,
        schema_url: Cow<'a, str>,
        anomalies: i64,
        damage: Option<Unreadable>,
    ) {
        let row = resource_row(attributes, dropped, schema_url);
        self.resource = Group { row, anomalies, damage, begun: false };
        self.scope = Group::default();
    }

    /// Starts an instrumentation scope of the current resource.
    pub(super) fn begin_scope(&mut self, row: ScopeRow<'a>, anomalies: i64, damage: Option<Unreadable>) {
        self.scope = Group { row, anomalies, damage, begun: false };
    }

    /// Takes the next span of `encoded_bytes`; `read` is only called when the span is wanted.
    pub(super) fn span(
        &mut self,
        scratch: &mut Scratch<'a>,
        encoded_bytes: usize,
        read: impl FnOnce(&mut Scratch<'a>, &Limits) -> Result<SpanDraft<'a>, Unreadable>,
    ) {
        let position = self.position;
        self.position = position.saturating_add(1);
        if let Some((&next, rest)) = self.skip.split_first()
            && next == position
        {
            self.skip = rest;
            return;
        }
        if self.stopped.is_some() {
            return;
        }
        self.judge(position, scratch, encoded_bytes, read);
        self.read_bytes = self.read_bytes.saturating_add(encoded_bytes);
        self.stopped = self.expect_more().and_then(|()| self.take_room()).err();
    }

    fn judge(
        &mut self,
        position: u32,
        scratch: &mut Scratch<'a>,
        encoded_bytes: usize,
        read: impl FnOnce(&mut Scratch<'a>, &Limits) -> Result<SpanDraft<'a>, Unreadable>,
    ) {
        if let Some(Unreadable { reason, detail }) = self.resource.damage.as_ref().or(self.scope.damage.as_ref()) {
            let (reason, detail) = (*reason, detail.clone());
            return self.reject(position, reason, || detail);
        }
        if encoded_bytes > self.limits.span_bytes_max {
            let limit = self.limits.span_bytes_max;
            return self.reject(position, Reason::TooLarge, || format!("({encoded_bytes} bytes, limit {limit})"));
        }
        scratch.clear();
        match read(scratch, self.limits) {
            Ok(draft) => self.check_and_append(position, draft, scratch),
            Err(Unreadable { reason, detail }) => self.reject(position, reason, || detail),
        }
    }

    /// After the first spans, makes room for as many as the rest of the request holds if it goes on like that.
    fn expect_more(&mut self) -> Result<(), DecodeError> {
        if self.builder.len() < SAMPLE_SPANS {
            return Ok(());
        }
        let Some(body_bytes) = self.body_bytes.take() else { return Ok(()) };
        let rows = SAMPLE_SPANS.saturating_mul(body_bytes).checked_div(self.read_bytes).unwrap_or(0);
        Ok(self.builder.expect(rows)?)
    }

    /// Takes what the spans so far need and was not taken yet.
    fn take_room(&mut self) -> Result<(), DecodeError> {
        let Some(room) = &mut self.room else { return Ok(()) };
        let needed = self.builder.bytes().saturating_add(self.rejected.len().saturating_mul(size_of::<u32>()));
        if needed <= self.taken {
            return Ok(());
        }
        if needed > room.bytes_max {
            return Err(DecodeError::TooLarge { bytes_max: room.bytes_max });
        }
        let step = needed.saturating_sub(self.taken).max(STEP_BYTES.min(room.bytes_max.saturating_sub(self.taken)));
        self.taken = self.taken.saturating_add(step);
        if (room.take)(step) { Ok(()) } else { Err(DecodeError::NoRoom) }
    }

    fn reject(&mut self, position: u32, reason: Reason, detail: impl FnOnce() -> String) {
        self.rejected.push(position);
        self.reasons.add(position, reason, detail);
    }

    fn check_and_append(&mut self, position: u32, draft: SpanDraft<'a>, scratch: &mut Scratch<'a>) {
        let Some(trace_id) = draft.trace_id else {
            return self.reject(position, Reason::InvalidTraceId, || named(&draft.name));
        };
        let Some(span_id) = draft.span_id else {
            return self.reject(position, Reason::InvalidSpanId, || format!("in trace {trace_id}"));
        };
        self.begin_groups();
        let (parent_span_id, parent_anomaly) = checked_parent(draft.parent, span_id);
        let Scratch { attributes, events, links, .. } = scratch;
        let (events_left_out, links_left_out) = (events.left_out, links.left_out);
        let row = SpanRow {
            trace_id,
            span_id,
            parent_span_id,
            trace_state: draft.trace_state,
            flags: draft.flags,
            name: draft.name,
            kind: draft.kind,
            start_time_unix_nano: draft.start_time_unix_nano,
            end_time_unix_nano: draft.end_time_unix_nano,
            status_code: draft.status_code,
            status_message: draft.status_message,
            events_json: events.finish(),
            links_json: links.finish(),
            dropped_attributes_count: draft.dropped_attributes_count.saturating_add(attributes.cut),
            dropped_events_count: draft.dropped_events_count.saturating_add(events_left_out),
            dropped_links_count: draft.dropped_links_count.saturating_add(links_left_out),
            anomalies: draft.anomalies | parent_anomaly | self.resource.anomalies | self.scope.anomalies,
        };
        self.builder.append(&row, attributes.iter());
    }

    fn begin_groups(&mut self) {
        if !self.resource.begun {
            self.builder.begin_resource(&self.resource.row);
            self.resource.begun = true;
        }
        if !self.scope.begun {
            self.builder.begin_scope(&self.scope.row);
            self.scope.begun = true;
        }
    }

    pub(super) fn finish(self) -> Result<Decoded, DecodeError> {
        let Self { builder, position, rejected, reasons, stopped, .. } = self;
        stopped.map_or(Ok(()), Err)?;
        Ok(Decoded { batch: builder.finish()?, received: position, rejected, reasons })
    }
}

fn named(name: &str) -> String {
    format!("named {:?}", name.get(..name.floor_char_boundary(60)).unwrap_or_default())
}

fn checked_parent(parent: Parent, span_id: SpanId) -> (Option<SpanId>, i64) {
    match parent {
        Parent::None => (None, 0),
        Parent::Of(id) if id == span_id => (None, anomaly::SELF_PARENT),
        Parent::Of(id) => (Some(id), 0),
        Parent::Bad => (None, anomaly::BAD_PARENT),
    }
}

/// Moves the attributes with a column of their own out of the list; the rest becomes JSON.
fn resource_row<'a>(attributes: &mut AttributeList<'a>, dropped: u32, schema_url: Cow<'a, str>) -> ResourceRow<'a> {
    let mut row = ResourceRow {
        service_name: attributes.take_text("service.name"),
        service_namespace: attributes.take_text("service.namespace"),
        service_version: attributes.take_text("service.version"),
        service_instance_id: attributes.take_text("service.instance.id"),
        environment: attributes.take_text("deployment.environment.name"),
        attributes_json: None,
        schema_url: nonempty(schema_url),
    };
    if row.environment.is_none() {
        // The older key stays in the JSON too, so that what was sent can be told from the column.
        row.environment = attributes.text("deployment.environment");
    }
    row.attributes_json = attributes_json(attributes, dropped);
    row
}

/// The list as a JSON object, `None` when there is nothing to say.
pub(super) fn attributes_json(attributes: &AttributeList<'_>, dropped: u32) -> Option<Cow<'static, str>> {
    let dropped = dropped.saturating_add(attributes.cut);
    if attributes.is_empty() && dropped == 0 {
        return None;
    }
    let mut out = String::new();
    attributes.push_json_object(&mut out, dropped);
    Some(Cow::Owned(out))
}

/// `None` for an empty text.
pub(super) fn nonempty(text: Cow<'_, str>) -> Option<Cow<'_, str>> {
    (!text.is_empty()).then_some(text)
}

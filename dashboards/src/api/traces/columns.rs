//! A stitched trace as columns: one array per field, row `i` of each is one span, in depth-first order.
//!
//! 50,000 spans are a few megabytes this way; as objects they would be tens, and slow to parse. Attributes are not here,
//! a page asks for those of the span it shows.

use std::collections::HashMap;
use std::sync::Arc;

use daytwo_query::trace::{CriticalSegment, StitchedSpan, StitchedTrace, kind};
use serde::Serialize;
use utoipa::ToSchema;

/// The parent is named and not there.
const MISSING_PARENT: u8 = 1;
/// The clock of the span's process disagrees with its parent's.
const SKEWED: u8 = 2;
/// The span carries events.
const HAS_EVENTS: u8 = 4;
/// The span carries links.
const HAS_LINKS: u8 = 8;

/// Row `i` of every array is one span.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct Columns {
    pub(super) span_id: Vec<String>,
    /// Row of the parent, always smaller than the own row; -1 for none.
    pub(super) parent: Vec<i64>,
    pub(super) depth: Vec<u64>,
    /// Index into `services`.
    pub(super) service: Vec<u64>,
    /// Index into `operations`.
    pub(super) operation: Vec<u64>,
    /// `SERVER`, `CLIENT`, …
    pub(super) kind: Vec<&'static str>,
    /// OTLP status: 0 unset, 1 ok, 2 error.
    pub(super) status: Vec<i32>,
    /// Nanoseconds after the trace's start, clock skew taken out.
    pub(super) start_offset_ns: Vec<i64>,
    pub(super) duration_ns: Vec<i64>,
    /// Duration less what children cover.
    pub(super) self_ns: Vec<i64>,
    /// Bit 1 parent missing, 2 skewed, 4 has events, 8 has links.
    pub(super) flags: Vec<u8>,
}

/// The columns and the names that they refer to.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) start_ns: i64,
    pub(super) end_ns: i64,
    pub(super) services: Vec<Arc<str>>,
    pub(super) operations: Vec<Arc<str>>,
    pub(super) columns: Columns,
}

/// Names in order of appearance, each once.
#[derive(Debug, Default)]
struct Names {
    index: HashMap<Arc<str>, u64>,
    all: Vec<Arc<str>>,
}

impl Names {
    fn number(&mut self, name: &Arc<str>) -> u64 {
        if let Some(number) = self.index.get(name) {
            return *number;
        }
        let number = self.all.len() as u64;
        self.index.insert(Arc::clone(name), number);
        self.all.push(Arc::clone(name));
        number
    }
}

/// Lays a trace out in columns.
pub(super) fn table(trace: &StitchedTrace) -> Table {
    let start_ns = trace.spans.iter().map(|row| row.adjusted_start_ns).min().unwrap_or(0);
    let end_ns = trace.spans.iter().map(StitchedSpan::adjusted_end_ns).max().unwrap_or(0);
    let (mut services, mut operations) = (Names::default(), Names::default());
    let mut columns = Columns::default();
    for row in &trace.spans {
        columns.span_id.push(row.span.span_id.to_string());
        columns.parent.push(row.parent.map_or(-1, |parent| i64::try_from(parent).unwrap_or(-1)));
        columns.depth.push(row.depth as u64);
        columns.service.push(services.number(&row.span.resource.service));
        columns.operation.push(operations.number(&row.span.operation));
        columns.kind.push(kind::name(row.span.kind));
        columns.status.push(row.span.status);
        columns.start_offset_ns.push(row.adjusted_start_ns.saturating_sub(start_ns));
        columns.duration_ns.push(row.span.duration_ns);
        columns.self_ns.push(row.self_ns);
        columns.flags.push(flags(row));
    }
    Table { start_ns, end_ns, services: services.all, operations: operations.all, columns }
}

fn flags(row: &StitchedSpan) -> u8 {
    let flag = |holds: bool, bit: u8| if holds { bit } else { 0 };
    flag(row.missing_parent, MISSING_PARENT)
        | flag(row.is_skewed(), SKEWED)
        | flag(row.span.has_events, HAS_EVENTS)
        | flag(row.span.has_links, HAS_LINKS)
}

/// A stretch of the critical path.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PathSegment {
    row: u64,
    start_offset_ns: i64,
    end_offset_ns: i64,
}

/// The critical path, against the trace's start.
pub(super) fn path(segments: &[CriticalSegment], start_ns: i64) -> Vec<PathSegment> {
    let segment = |segment: &CriticalSegment| PathSegment {
        row: segment.row as u64,
        start_offset_ns: segment.start_ns.saturating_sub(start_ns),
        end_offset_ns: segment.end_ns.saturating_sub(start_ns),
    };
    segments.iter().map(segment).collect()
}

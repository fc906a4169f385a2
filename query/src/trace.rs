//! Traces: spans of one trace, put together.
//!
//! [`stitch`] turns spans in any order, with any faults, into a [`StitchedTrace`]: rows in depth-first order with
//! parents, self times and edge gaps. What is odd about a trace is data ([`Anomaly`]), never an error.
//! [`extract_spans`] reads the spans from either Arrow form of the span table. Nothing here does I/O.

use std::sync::Arc;

use daytwo_storage::{SpanId, TraceId};

mod critical_path;
mod extract;
pub(crate) mod flags;
pub(crate) mod identity;
mod own_time;
mod self_time;
mod stitch;
#[cfg(test)]
pub(crate) mod testing;
mod weight;

pub(crate) use critical_path::path_from;
pub use critical_path::{CriticalSegment, critical_path};
pub(crate) use extract::{EXTRACTED_COLUMNS, columns_with_flags};
pub use extract::{ResourceCache, extract_spans};
pub use flags::Evaluation;
pub(crate) use stitch::same_span;
pub use stitch::stitch;
pub use weight::Weight;

/// OTLP span kinds that the engine tells apart.
pub mod kind {
    /// Handles a request from another process.
    pub const SERVER: i32 = 2;
    /// Waits for another process.
    pub const CLIENT: i32 = 3;
    /// Hands a message over and does not wait.
    pub const PRODUCER: i32 = 4;
    /// Handles a message.
    pub const CONSUMER: i32 = 5;

    /// The name that the API shows.
    pub fn name(kind: i32) -> &'static str {
        match kind {
            1 => "INTERNAL",
            SERVER => "SERVER",
            CLIENT => "CLIENT",
            PRODUCER => "PRODUCER",
            CONSUMER => "CONSUMER",
            _ => "UNSPECIFIED",
        }
    }
}

/// OTLP status code of a failed span.
pub const STATUS_ERROR: i32 = 2;

/// What the spans of one process share. Texts are empty where the process named none.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanResource {
    /// `service.name`.
    pub service: Arc<str>,
    /// `service.version`; without one, what else the process is known by, as in `revision:9d59409`.
    pub version: Arc<str>,
    /// `deployment.environment.name`.
    pub environment: Arc<str>,
    /// `service.instance.id`.
    pub instance: Arc<str>,
    /// Resource attributes that identify what runs or may explain a difference between versions, by key.
    pub traits: Arc<[(Arc<str>, Arc<str>)]>,
}

/// One span, as light as stitching and measuring allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceSpan {
    /// The trace it belongs to.
    pub trace_id: TraceId,
    /// Its id within the trace.
    pub span_id: SpanId,
    /// The span it was started by.
    pub parent_span_id: Option<SpanId>,
    /// Its process.
    pub resource: Arc<SpanResource>,
    /// Span name.
    pub operation: Arc<str>,
    /// OTLP kind as sent; see [`kind`].
    pub kind: i32,
    /// Start, nanoseconds since the Unix epoch.
    pub start_ns: i64,
    /// Duration in nanoseconds, never negative.
    pub duration_ns: i64,
    /// OTLP status code as sent.
    pub status: i32,
    /// Whether it carries events.
    pub has_events: bool,
    /// Whether it carries links.
    pub has_links: bool,
    /// When this server received it, nanoseconds since the Unix epoch.
    pub received_ns: i64,
    /// For how many spans it stands.
    pub weight: Weight,
    /// Feature flags that were asked for under it, sorted; `None` when there were none.
    pub flags: Option<Arc<[Evaluation]>>,
}

impl TraceSpan {
    /// End, nanoseconds since the Unix epoch.
    pub fn end_ns(&self) -> i64 {
        self.start_ns.saturating_add(self.duration_ns)
    }

    /// Whether the span failed.
    pub fn is_error(&self) -> bool {
        self.status == STATUS_ERROR
    }
}

/// What was odd about a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AnomalyKind {
    /// A span names a parent that is not there.
    MissingParent,
    /// More than one span has no parent.
    SeveralRoots,
    /// Spans were each other's ancestors; the circle was opened at the earliest.
    Cycle,
    /// Two different spans share an id; both are kept.
    Duplicate,
    /// A span lies outside its parent although they must overlap: the clocks of two hosts disagree.
    ClockSkew,
    /// More spans than the limit; the rest is left out.
    Truncated,
}

impl AnomalyKind {
    /// The name that the API shows.
    pub fn name(self) -> &'static str {
        match self {
            Self::MissingParent => "missing_parent",
            Self::SeveralRoots => "several_roots",
            Self::Cycle => "cycle",
            Self::Duplicate => "duplicate",
            Self::ClockSkew => "clock_skew",
            Self::Truncated => "truncated",
        }
    }
}

/// One oddity, with the span it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anomaly {
    /// Which.
    pub kind: AnomalyKind,
    /// The span, when it is about one.
    pub span_id: Option<SpanId>,
    /// In words.
    pub message: String,
}

/// One row of a stitched trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StitchedSpan {
    /// The span as received.
    pub span: TraceSpan,
    /// Row of the parent, always smaller than the own row.
    pub parent: Option<usize>,
    /// Steps from the root.
    pub depth: usize,
    /// First row after the subtree.
    pub subtree_end: usize,
    /// Start after clock skew was taken out; equal to `span.start_ns` when there was none.
    pub adjusted_start_ns: i64,
    /// Duration less the time that children cover.
    pub self_ns: i64,
    /// Self time less the time in which the same request had a call to another service under way.
    pub own_ns: i64,
    /// For a call whose other side is known: client duration less server duration, never negative.
    pub gap_ns: Option<i64>,
    /// Whether the span failed and no child of it did.
    pub own_error: bool,
    /// Whether its parent is named and not there.
    pub missing_parent: bool,
}

impl StitchedSpan {
    /// Whether the clock of this span's process was found to disagree with its parent's.
    pub fn is_skewed(&self) -> bool {
        self.adjusted_start_ns != self.span.start_ns
    }

    /// End after clock skew was taken out.
    pub fn adjusted_end_ns(&self) -> i64 {
        self.adjusted_start_ns.saturating_add(self.span.duration_ns)
    }
}

/// Spans of one trace in depth-first order, children by start time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StitchedTrace {
    /// The rows.
    pub spans: Vec<StitchedSpan>,
    /// Rows without a parent, ascending; a span whose parent is missing is one of them.
    pub roots: Vec<usize>,
    /// What was odd, in row order.
    pub anomalies: Vec<Anomaly>,
    /// Identical copies that were dropped.
    pub duplicates_dropped: usize,
}

impl StitchedTrace {
    /// Earliest start, as received.
    pub fn start_ns(&self) -> i64 {
        self.spans.iter().map(|row| row.span.start_ns).min().unwrap_or(0)
    }

    /// Latest end, as received.
    pub fn end_ns(&self) -> i64 {
        self.spans.iter().map(|row| row.span.end_ns()).max().unwrap_or(0)
    }

    /// Rows of the children of `row`, in order.
    pub fn children(&self, row: usize) -> impl Iterator<Item = usize> + '_ {
        let end = self.spans.get(row).map_or(0, |span| span.subtree_end);
        let mut next = row.saturating_add(1);
        std::iter::from_fn(move || {
            let child = (next < end).then_some(next)?;
            next = self.spans.get(child).map_or(end, |span| span.subtree_end);
            Some(child)
        })
    }
}

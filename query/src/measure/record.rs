//! [`TraceRecord`]: what one trace says about every node of its call tree, one value per node.
//!
//! The trace is the sampling unit of every test, because spans of one trace are not independent.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use daytwo_storage::{TraceId, UnixNanos};

use super::cells::{CellEntry, CellKey};
use super::entry::{Entry, entries_of, is_of};
use super::flags::{TraceFlag, flags_of};
use crate::trace::{SpanResource, StitchedSpan, StitchedTrace, Weight, flags, kind};

/// A node of the call tree.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NodeKey {
    /// Self time of an operation.
    Operation {
        /// Service name.
        service: Arc<str>,
        /// Span name.
        operation: Arc<str>,
    },
    /// Self time of a service, all operations together.
    Service {
        /// Service name.
        service: Arc<str>,
    },
    /// Client time less server time, all calls from one service to another.
    Edge {
        /// Who calls.
        caller: Arc<str>,
        /// Who is called.
        callee: Arc<str>,
    },
    /// Time from entry to answer of a service.
    Total {
        /// Service name.
        service: Arc<str>,
    },
    /// The whole trace, from the start of its root to its end.
    Journey,
}

impl NodeKey {
    /// The service that the node is charged to; the callee of an edge.
    pub fn service(&self) -> Option<&Arc<str>> {
        match self {
            Self::Operation { service, .. } | Self::Service { service } | Self::Total { service } => Some(service),
            Self::Edge { callee, .. } => Some(callee),
            Self::Journey => None,
        }
    }
}

/// One trace's value of a node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NodeValue {
    /// Nanoseconds, summed over the node's spans in the trace.
    pub ns: i64,
    /// Spans (calls, for an edge).
    pub calls: u32,
    /// Own errors among them.
    pub own_errors: u32,
    /// All errors among them.
    pub errors: u32,
}

/// One closed trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceRecord {
    /// The trace.
    pub trace_id: TraceId,
    /// Its earliest start.
    pub start: UnixNanos,
    /// When its root was received, by our clock.
    pub received: UnixNanos,
    /// Duration of its root.
    pub duration_ns: i64,
    /// Root service and operation, then the first call it led to in another service: the stratum.
    pub journey: Arc<str>,
    /// Processes in it, sorted, distinct.
    pub resources: Vec<Arc<SpanResource>>,
    /// Nodes in it, sorted, distinct.
    pub nodes: Vec<(Arc<NodeKey>, NodeValue)>,
    /// Feature flags that it saw, sorted by environment and key.
    pub flags: Vec<Arc<TraceFlag>>,
    /// For how many traces it stands: the weight of its root.
    pub weight: Weight,
    /// First calls of services that run several versions in it, or are sampled otherwise than its root.
    pub entries: Box<[Entry]>,
}

impl TraceRecord {
    /// The only version of the service in this trace; `None` without the service or with several versions of it.
    pub fn version_of(&self, service: &str, environment: &str) -> Option<&Arc<str>> {
        let mut versions = self
            .resources
            .iter()
            .filter(|resource| *resource.service == *service && *resource.environment == *environment)
            .map(|resource| &resource.version);
        let first = versions.next()?;
        versions.all(|version| version == first).then_some(first)
    }

    /// The version that the trace's first call of a service went to, and for how many traces that call stands.
    pub fn entered(&self, service: &str, environment: &str) -> Option<(&Arc<str>, Weight)> {
        let told = self.entries.iter().find(|entry| is_of(&entry.resource, service, environment));
        match told {
            Some(entry) => Some((&entry.resource.version, entry.weight)),
            None => Some((self.version_of(service, environment)?, self.weight)),
        }
    }

    /// What the trace saw of a flag.
    pub fn flag(&self, key: &str, environment: &str) -> Option<&Arc<TraceFlag>> {
        self.flags.iter().find(|flag| *flag.key == *key && *flag.environment == *environment)
    }

    /// Value of a node, when the trace has it.
    pub fn value(&self, node: &NodeKey) -> Option<NodeValue> {
        let at = self.nodes.binary_search_by(|(key, _)| (**key).cmp(node)).ok()?;
        self.nodes.get(at).map(|(_, value)| *value)
    }

    /// Bytes held, roughly.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>()
            + self.resources.capacity() * size_of::<Arc<SpanResource>>()
            + self.nodes.capacity() * size_of::<(Arc<NodeKey>, NodeValue)>()
            + self.flags.capacity() * size_of::<Arc<TraceFlag>>()
            + self.entries.len() * size_of::<Entry>()
    }
}

/// How far a start may lie before its reception and still be believed: an hour of buffering and a day of skew.
const BELIEVED_BEFORE_NS: i64 = 25 * 3600 * 1_000_000_000;
/// How far a start may lie after its reception and still be believed.
const BELIEVED_AFTER_NS: i64 = 300 * 1_000_000_000;

/// When a span happened for the purpose of cells: its start, or its reception when its clock is hours off.
pub(crate) fn event_time(start_ns: i64, received_ns: i64) -> UnixNanos {
    let age = received_ns.saturating_sub(start_ns);
    let believed = (-BELIEVED_AFTER_NS..=BELIEVED_BEFORE_NS).contains(&age);
    UnixNanos(if believed { start_ns } else { received_ns })
}

/// Whether a row is where its service is entered.
fn is_entry(trace: &StitchedTrace, row: &StitchedSpan) -> bool {
    let parent = row.parent.and_then(|parent| trace.spans.get(parent));
    matches!(row.span.kind, kind::SERVER | kind::CONSUMER)
        || parent.is_none_or(|parent| parent.span.resource.service != row.span.resource.service)
}

/// Whether a row is no span but stands for a log record: that a flag was asked for. It takes no time and is measured nowhere.
fn is_mark(row: &StitchedSpan) -> bool {
    row.span.duration_ns == 0 && row.span.flags.is_some() && *row.span.operation == *flags::EVENT
}

/// The first root that is a span.
fn root_of(trace: &StitchedTrace) -> Option<&StitchedSpan> {
    trace.roots.iter().filter_map(|row| trace.spans.get(*row)).find(|row| !is_mark(row))
}

/// What a trace's spans count for in cells, made one by one: a trace may be long.
pub fn cell_entries<'a>(
    trace: &'a StitchedTrace,
    record: &'a TraceRecord,
) -> impl Iterator<Item = CellEntry> + use<'a> {
    // Whose first span has a parent that is still missing, nobody knows where it began.
    let unknown = root_of(trace).is_none_or(|root| root.missing_parent);
    let journey = if unknown { &*NOBODY } else { &record.journey };
    let measured = trace.spans.iter().enumerate().filter(|(_, row)| !is_mark(row));
    measured.map(move |(row, span)| cell_entry(trace, row, span, journey))
}

/// The record of a trace; `None` for one without spans, or of which only log records are known.
pub fn measure_trace(trace: &StitchedTrace) -> Option<TraceRecord> {
    let root = root_of(trace)?;
    let journey: Arc<str> = journey(trace, root).into();
    let mut resources: Vec<_> = trace.spans.iter().map(|row| Arc::clone(&row.span.resource)).collect();
    // Most spans share theirs with another: what is the same in memory need not be compared text by text.
    resources.sort_by_key(|resource| Arc::as_ptr(resource).addr());
    resources.dedup_by(|one, other| Arc::ptr_eq(one, other));
    resources.sort();
    resources.dedup();
    let calls = trace.spans.iter().filter(|row| is_entry(trace, row) && !is_mark(row));
    let entries_told = entries_of(trace, root, &resources, calls);
    Some(TraceRecord {
        trace_id: root.span.trace_id,
        start: event_time(root.span.start_ns, root.span.received_ns),
        received: UnixNanos(root.span.received_ns),
        duration_ns: root.span.duration_ns,
        journey,
        resources,
        nodes: nodes(trace, root).into_iter().map(|(key, value)| (Arc::new(key), value)).collect(),
        flags: flags_of(trace),
        weight: root.span.weight,
        entries: entries_told,
    })
}

/// Between a journey's root and the first call that it led to.
pub(crate) const FIRST_CALL: &str = " > ";

/// The root, then the first call into another service: gateways name every root alike, and what they call tells requests apart.
fn journey(trace: &StitchedTrace, root: &StitchedSpan) -> String {
    let service = &root.span.resource.service;
    let elsewhere = trace.spans.iter().filter(|row| row.span.resource.service != *service && !is_mark(row));
    let first = elsewhere.min_by(|left, right| {
        let key = |row: &StitchedSpan| row.adjusted_start_ns;
        key(left).cmp(&key(right)).then_with(|| left.span.span_id.cmp(&right.span.span_id))
    });
    let tail =
        first.map_or(String::new(), |row| format!("{FIRST_CALL}{}:{}", row.span.resource.service, row.span.operation));
    format!("{service}:{}{tail}", root.span.operation)
}

/// The name of a service that is not there.
static NOBODY: LazyLock<Arc<str>> = LazyLock::new(|| "".into());

/// The service that answered a call; empty when none did.
fn peer(trace: &StitchedTrace, row: usize, span: &StitchedSpan) -> Arc<str> {
    if span.gap_ns.is_none() {
        return Arc::clone(&NOBODY);
    }
    let own = &span.span.resource.service;
    let children = trace.children(row).filter_map(|child| trace.spans.get(child));
    let mut answers = children.filter(|child| child.span.kind == kind::SERVER && child.span.resource.service != *own);
    answers.next().map_or_else(|| Arc::clone(&NOBODY), |answer| Arc::clone(&answer.span.resource.service))
}

fn cell_entry(trace: &StitchedTrace, number: usize, row: &StitchedSpan, journey: &Arc<str>) -> CellEntry {
    let resource = &row.span.resource;
    CellEntry {
        key: CellKey {
            environment: Arc::clone(&resource.environment),
            service: Arc::clone(&resource.service),
            version: Arc::clone(&resource.version),
            operation: Arc::clone(&row.span.operation),
            kind: row.span.kind,
            peer: peer(trace, number, row),
            journey: Arc::clone(journey),
        },
        at: event_time(row.span.start_ns, row.span.received_ns),
        duration_ns: row.span.duration_ns,
        self_ns: Some(row.self_ns),
        gap_ns: row.gap_ns,
        error: row.span.is_error(),
        own_error: row.own_error,
        weight: row.span.weight,
        trace_id: row.span.trace_id,
    }
}

fn nodes(trace: &StitchedTrace, root: &StitchedSpan) -> BTreeMap<NodeKey, NodeValue> {
    let mut nodes = BTreeMap::new();
    add(&mut nodes, NodeKey::Journey, root.span.duration_ns, root);
    for row in trace.spans.iter().filter(|row| !is_mark(row)) {
        let service = &row.span.resource.service;
        // The gap of a call belongs to the edge; counting it as self time would blame the caller for the network.
        let own_ns = row.own_ns;
        let operation = Arc::clone(&row.span.operation);
        add(&mut nodes, NodeKey::Operation { service: Arc::clone(service), operation }, own_ns, row);
        add(&mut nodes, NodeKey::Service { service: Arc::clone(service) }, own_ns, row);
        if is_entry(trace, row) {
            add(&mut nodes, NodeKey::Total { service: Arc::clone(service) }, row.span.duration_ns, row);
            add_edge(&mut nodes, trace, row);
        }
    }
    nodes
}

/// Adds the call that led into a service; its gap is known when the caller recorded a client span.
fn add_edge(nodes: &mut BTreeMap<NodeKey, NodeValue>, trace: &StitchedTrace, row: &StitchedSpan) {
    let Some(parent) = row.parent.and_then(|parent| trace.spans.get(parent)) else { return };
    let caller = &parent.span.resource.service;
    if *caller == row.span.resource.service {
        return;
    }
    let key = NodeKey::Edge { caller: Arc::clone(caller), callee: Arc::clone(&row.span.resource.service) };
    add(nodes, key, parent.gap_ns.unwrap_or(0), row);
}

fn add(nodes: &mut BTreeMap<NodeKey, NodeValue>, key: NodeKey, ns: i64, row: &StitchedSpan) {
    let value = nodes.entry(key).or_default();
    value.ns = value.ns.saturating_add(ns.max(0));
    value.calls = value.calls.saturating_add(1);
    value.own_errors = value.own_errors.saturating_add(u32::from(row.own_error));
    value.errors = value.errors.saturating_add(u32::from(row.span.is_error()));
}

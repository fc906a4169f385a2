//! Spans by hand, for tests.

use std::sync::Arc;

use daytwo_storage::{SpanId, TraceId};

use super::{SpanResource, TraceSpan, Weight, kind};

/// A process of a service.
pub(crate) fn resource(service: &str, version: &str) -> Arc<SpanResource> {
    Arc::new(SpanResource {
        service: service.into(),
        version: version.into(),
        environment: "".into(),
        instance: "".into(),
        traits: Arc::from([]),
    })
}

/// A span of a process that names no version.
pub(crate) fn span(
    id: u64,
    parent: Option<u64>,
    service: &str,
    operation: &str,
    kind: i32,
    start_ns: i64,
    duration_ns: i64,
) -> TraceSpan {
    TraceSpan {
        trace_id: TraceId::from_bytes(&[7; 16]).unwrap(),
        span_id: SpanId::from_bytes(&id.to_be_bytes()).unwrap(),
        parent_span_id: parent.map(|parent| SpanId::from_bytes(&parent.to_be_bytes()).unwrap()),
        resource: resource(service, ""),
        operation: operation.into(),
        kind,
        start_ns,
        duration_ns,
        status: 0,
        has_events: false,
        has_links: false,
        received_ns: start_ns,
        weight: Weight::default(),
        flags: None,
    }
}

/// A SERVER span.
pub(crate) fn server(id: u64, parent: Option<u64>, service: &str, name: &str, start: i64, duration: i64) -> TraceSpan {
    span(id, parent, service, name, kind::SERVER, start, duration)
}

/// A CLIENT span.
pub(crate) fn client(id: u64, parent: Option<u64>, service: &str, name: &str, start: i64, duration: i64) -> TraceSpan {
    span(id, parent, service, name, kind::CLIENT, start, duration)
}

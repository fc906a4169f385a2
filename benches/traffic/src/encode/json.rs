//! OTLP/JSON: the protobuf JSON mapping with hexadecimal ids, 64-bit integers as strings and enums as numbers.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use serde_json::{Map, Value, json};

/// The body of an OTLP/JSON request.
pub fn encode(message: &ExportTraceServiceRequest) -> Bytes {
    let resource_spans: Vec<Value> = message.resource_spans.iter().map(resource_spans).collect();
    json!({ "resourceSpans": resource_spans }).to_string().into()
}

fn resource_spans(of: &ResourceSpans) -> Value {
    let resource = of.resource.as_ref().map(|resource| json!({ "attributes": attributes(&resource.attributes) }));
    json!({
        "resource": resource,
        "scopeSpans": of.scope_spans.iter().map(scope_spans).collect::<Vec<_>>(),
        "schemaUrl": of.schema_url,
    })
}

fn scope_spans(of: &ScopeSpans) -> Value {
    let scope = of.scope.as_ref().map(|scope| json!({ "name": scope.name, "version": scope.version }));
    json!({
        "scope": scope,
        "spans": of.spans.iter().map(span).collect::<Vec<_>>(),
        "schemaUrl": of.schema_url,
    })
}

fn span(of: &Span) -> Value {
    let mut out = Map::new();
    let mut put = |key: &str, value: Value| drop(out.insert(key.into(), value));
    put("traceId", hex(&of.trace_id).into());
    put("spanId", hex(&of.span_id).into());
    if !of.parent_span_id.is_empty() {
        put("parentSpanId", hex(&of.parent_span_id).into());
    }
    put("flags", of.flags.into());
    put("name", of.name.as_str().into());
    put("kind", of.kind.into());
    put("startTimeUnixNano", of.start_time_unix_nano.to_string().into());
    put("endTimeUnixNano", of.end_time_unix_nano.to_string().into());
    put("attributes", attributes(&of.attributes));
    if !of.events.is_empty() {
        put("events", of.events.iter().map(event).collect());
    }
    if !of.links.is_empty() {
        put("links", of.links.iter().map(link).collect());
    }
    if let Some(status) = &of.status {
        put("status", json!({ "code": status.code, "message": status.message }));
    }
    out.into()
}

fn event(of: &Event) -> Value {
    json!({
        "timeUnixNano": of.time_unix_nano.to_string(),
        "name": of.name,
        "attributes": attributes(&of.attributes),
    })
}

fn link(of: &Link) -> Value {
    json!({ "traceId": hex(&of.trace_id), "spanId": hex(&of.span_id), "flags": of.flags })
}

fn attributes(of: &[KeyValue]) -> Value {
    of.iter().map(|entry| json!({ "key": entry.key, "value": any(entry.value.as_ref()) })).collect()
}

/// The model makes no bytes and no nested lists of pairs; they become values with nothing set.
fn any(of: Option<&AnyValue>) -> Value {
    match of.and_then(|any| any.value.as_ref()) {
        Some(Any::StringValue(text)) => json!({ "stringValue": text }),
        Some(Any::IntValue(number)) => json!({ "intValue": number.to_string() }),
        Some(Any::DoubleValue(number)) => json!({ "doubleValue": number }),
        Some(Any::BoolValue(truth)) => json!({ "boolValue": truth }),
        Some(Any::ArrayValue(array)) => {
            let values: Vec<Value> = array.values.iter().map(|value| any(Some(value))).collect();
            json!({ "arrayValue": { "values": values } })
        }
        _ => json!({}),
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        // Writing to a String cannot fail.
        write!(out, "{byte:02x}").ok();
        out
    })
}

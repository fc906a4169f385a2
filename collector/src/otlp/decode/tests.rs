//! Differential tests: what prost encodes, our reader must read; what it reads must be what was sent.

use std::borrow::Cow;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int32Type, Int64Type};
use daytwo_storage::batch::{AttributeKey, AttributeValue, ResourceRow, ScopeRow, SpanBatchBuilder, SpanRow};
use daytwo_storage::schema::{anomaly, col};
use daytwo_storage::{Frame, PayloadCompression, PayloadFormat, Replay, SpanId, TraceId};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value::Value,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span};
use proptest::prelude::*;
use prost::Message;

use super::*;

const RECEIVED: UnixNanos = UnixNanos(1_700_000_000_000_000_000);

mod amplifiers;
mod fuzz;
mod hostile;
mod json_equality;
mod properties;
mod strategies;

pub(in crate::otlp) use strategies::request as request_strategy;

fn of(value: Value) -> Option<AnyValue> {
    Some(AnyValue { value: Some(value) })
}

pub(in crate::otlp) fn text(key: &str, value: &str) -> KeyValue {
    KeyValue { key: key.into(), value: of(Value::StringValue(value.into())), ..KeyValue::default() }
}

/// A valid span numbered `id`.
fn span(id: u64) -> Span {
    Span {
        trace_id: vec![7; 16],
        span_id: id.to_be_bytes().to_vec(),
        name: format!("span {id}"),
        start_time_unix_nano: 1_700_000_000_000_000_000,
        end_time_unix_nano: 1_700_000_000_000_000_500,
        ..Span::default()
    }
}

fn request(spans: Vec<Span>) -> ExportTraceServiceRequest {
    let resource = Resource { attributes: vec![text("service.name", "cart")], ..Resource::default() };
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans { resource: Some(resource), scope_spans, ..ResourceSpans::default() }],
    }
}

fn decode(request: &ExportTraceServiceRequest) -> Decoded {
    protobuf(&request.encode_to_vec(), RECEIVED, &Limits::default()).unwrap()
}

fn anomalies(decoded: &Decoded) -> Vec<i64> {
    numbers(decoded, col::ANOMALIES)
}

fn numbers(decoded: &Decoded, column: &str) -> Vec<i64> {
    decoded.batch.record_batch().column_by_name(column).unwrap().as_primitive::<Int64Type>().values().to_vec()
}

fn texts(decoded: &Decoded, column: &str) -> Vec<Option<String>> {
    let array = decoded.batch.record_batch().column_by_name(column).unwrap();
    let plain = arrow::compute::cast(array, &arrow::datatypes::DataType::Utf8).unwrap();
    plain.as_string::<i32>().iter().map(|value| value.map(str::to_owned)).collect()
}

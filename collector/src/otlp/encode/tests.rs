//! What is encoded, decoded again.

use arrow::array::RecordBatch;
use arrow::compute::cast;
use daytwo_storage::UnixNanos;
use daytwo_storage::schema::{col, file_schema};
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::otlp::decode::tests::{request_strategy, text};
use crate::otlp::decode::{self, Limits};

const RECEIVED: UnixNanos = UnixNanos(1_700_000_000_000_000_000);

fn decoded(body: &[u8]) -> RecordBatch {
    decode::protobuf(body, RECEIVED, &Limits::default()).unwrap().batch.record_batch().clone()
}

/// The batch as a file holds it. What the first decoding repaired needs no repair again, so `anomalies` may differ.
fn as_stored(batch: &RecordBatch) -> RecordBatch {
    let schema = file_schema();
    let columns = schema
        .fields()
        .iter()
        .map(|field| cast(batch.column_by_name(field.name()).unwrap(), field.data_type()).unwrap());
    let stored = RecordBatch::try_new(std::sync::Arc::clone(&schema), columns.collect()).unwrap();
    let kept: Vec<usize> = (0..schema.fields().len()).filter(|&at| schema.field(at).name() != col::ANOMALIES).collect();
    stored.project(&kept).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// Scenario: requests of every shape, decoded, encoded from memory and from the form of a file, and decoded again.
    /// Guarantees: the rows are the same, value for value.
    #[test]
    fn spans_survive_the_round_trip(request in request_strategy()) {
        let first = decoded(&request.encode_to_vec());
        let again = decoded(&protobuf(&first).unwrap());
        let stored = as_stored(&first);
        for (left, right) in as_stored(&again).columns().iter().zip(stored.columns()) {
            prop_assert_eq!(left, right);
        }
        prop_assert_eq!(protobuf(&stored).unwrap(), protobuf(&first).unwrap());
    }
}

/// Scenario: a request without anything to repair, whose attributes have columns of their own or types that need a letter.
/// Guarantees: encoding gives the request that was sent.
#[test]
fn a_clean_request_comes_back_as_sent() {
    let value = |value| Some(opentelemetry_proto::tonic::common::v1::AnyValue { value: Some(value) });
    let attribute = |key: &str, of: Value| KeyValue { key: key.into(), value: value(of), ..KeyValue::default() };
    let span = Span {
        trace_id: vec![7; 16],
        span_id: vec![1; 8],
        parent_span_id: vec![2; 8],
        trace_state: "a=b".into(),
        flags: 0x101,
        name: "GET /".into(),
        kind: 2,
        start_time_unix_nano: 1_700_000_000_000_000_000,
        end_time_unix_nano: 1_700_000_000_000_000_500,
        attributes: vec![
            text("http.route", "/cart"),
            attribute("http.response.status_code", Value::IntValue(200)),
            attribute("pi", Value::DoubleValue(3.25)),
            attribute("raw", Value::BytesValue(vec![0, 255])),
            attribute("ok", Value::BoolValue(true)),
        ],
        status: Some(Status { message: "bad".into(), code: 2 }),
        dropped_attributes_count: 3,
        ..Span::default()
    };
    let scope = InstrumentationScope { name: "lib".into(), version: "1".into(), ..InstrumentationScope::default() };
    let scope_spans = ScopeSpans { scope: Some(scope), spans: vec![span], schema_url: "s".into() };
    let attributes = vec![text("service.name", "cart"), text("deployment.environment", "prod"), text("host.name", "h")];
    let resource = Resource { attributes, dropped_attributes_count: 1, ..Resource::default() };
    let resource_spans =
        ResourceSpans { resource: Some(resource), scope_spans: vec![scope_spans], schema_url: "r".into() };
    let sent = ExportTraceServiceRequest { resource_spans: vec![resource_spans] };
    let bytes = protobuf(&decoded(&sent.encode_to_vec())).unwrap();
    assert_eq!(ExportTraceServiceRequest::decode(bytes.as_slice()).unwrap(), sent);
}

/// Scenario: starts and ends at both ends of 64 bits, at and around 2^63.
/// Guarantees: encoding gives them as they were sent.
#[test]
fn times_come_back_as_sent() {
    let half = 1_u64 << 63;
    let pairs = [
        (0, 0),
        (9, 5),
        (1, half - 1),
        (1, half),
        (1, u64::MAX),
        (0, u64::MAX),
        (half - 1, half - 1),
        (half - 1, half),
    ];
    let beyond = [
        (half, half),
        (half, half + 7),
        (half + 5, u64::MAX),
        (u64::MAX, u64::MAX),
        (half, half - 1),
        (u64::MAX, 5),
        (u64::MAX, half),
        (half + 9, 0),
    ];
    for (start, end) in pairs.into_iter().chain(beyond) {
        let span = Span {
            trace_id: vec![7; 16],
            span_id: vec![1; 8],
            start_time_unix_nano: start,
            end_time_unix_nano: end,
            ..Span::default()
        };
        let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
        let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
        let sent = ExportTraceServiceRequest { resource_spans };
        let bytes = protobuf(&decoded(&sent.encode_to_vec())).unwrap();
        let back = ExportTraceServiceRequest::decode(bytes.as_slice()).unwrap();
        let span = &back.resource_spans[0].scope_spans[0].spans[0];
        assert_eq!((span.start_time_unix_nano, span.end_time_unix_nano), (start, end));
        assert!(span.attributes.is_empty());
    }
}

/// Scenario: a batch that lacks a column of the span table.
/// Guarantees: an error names the column.
#[test]
fn a_missing_column_is_named() {
    let batch = decoded(&[]);
    let kept: Vec<usize> = (1..batch.num_columns()).collect();
    let error = protobuf(&batch.project(&kept).unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "the batch has no column 'trace_id' of the span table's type");
}

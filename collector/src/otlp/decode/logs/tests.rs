//! Log records made with the published messages, and what is read of them with the published messages.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use proptest::prelude::*;
use prost::Message;

use super::*;

const TRACE: [u8; 16] = [0x0a; 16];
const SPAN: [u8; 8] = [0xb7; 8];

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.into())) });
    KeyValue { key: key.into(), value, ..KeyValue::default() }
}

fn evaluation(variant: &str) -> LogRecord {
    LogRecord {
        time_unix_nano: 1_700_000_000_000_000_000,
        severity_text: "INFO".into(),
        attributes: vec![
            text("feature_flag.key", "new-tax"),
            text("feature_flag.result.variant", variant),
            text("feature_flag.result.reason", "split"),
        ],
        trace_id: TRACE.into(),
        span_id: SPAN.into(),
        event_name: EVENT.into(),
        flags: 1,
        ..LogRecord::default()
    }
}

fn request(records: Vec<LogRecord>) -> ExportLogsServiceRequest {
    ExportLogsServiceRequest {
        resource_logs: vec![
            ResourceLogs {
                resource: Some(Resource { attributes: vec![text("service.name", "checkout")], ..Resource::default() }),
                schema_url: "https://opentelemetry.io/schemas/1.37.0".into(),
                scope_logs: vec![ScopeLogs {
                    scope: Some(InstrumentationScope { name: "openfeature".into(), ..InstrumentationScope::default() }),
                    log_records: records,
                    schema_url: "https://opentelemetry.io/schemas/1.36.0".into(),
                }],
            },
            ResourceLogs::default(),
        ],
    }
}

fn read(request: &ExportLogsServiceRequest) -> (Evaluations, Vec<Span>) {
    let found = Evaluations::read(&request.encode_to_vec(), PayloadFormat::Protobuf).unwrap();
    let spans = ExportTraceServiceRequest::decode(found.payload.as_slice()).unwrap();
    let spans = spans.resource_spans.into_iter().flat_map(|group| group.scope_spans).flat_map(|scope| scope.spans);
    let spans = spans.collect();
    (found, spans)
}

/// What is wrong with a record, and what should be said of it.
fn unwanted() -> Vec<(LogRecord, Unwanted)> {
    let good = || evaluation("on");
    vec![
        (LogRecord { event_name: String::new(), ..good() }, Unwanted::NotAnEvaluation),
        (LogRecord { event_name: "exception".into(), ..good() }, Unwanted::NotAnEvaluation),
        (LogRecord::default(), Unwanted::NotAnEvaluation),
        (LogRecord { trace_id: Vec::new(), ..good() }, Unwanted::NoContext),
        (LogRecord { trace_id: vec![0; 16], ..good() }, Unwanted::NoContext),
        (LogRecord { span_id: vec![7; 7], ..good() }, Unwanted::NoContext),
        (LogRecord { attributes: vec![text("feature_flag.key", "new-tax")], ..good() }, Unwanted::NoVariant),
        (LogRecord { attributes: vec![text("feature_flag.result.variant", "on")], ..good() }, Unwanted::NoVariant),
        (LogRecord { time_unix_nano: 0, ..good() }, Unwanted::NoTime),
    ]
}

/// Scenario: an evaluation, one of an older SDK (the event's name is an attribute, the time that of its observation), and every kind of record
/// that is none, in protobuf.
/// Guarantees: the published messages read one span each for the two, below the span that was named, with resource, scope and attributes as
/// they were sent; the others are counted by reason, and said in words.
#[test]
fn evaluations_become_spans_and_nothing_else_does() {
    let mut older = evaluation("off");
    older.event_name = String::new();
    older.attributes.push(text("event.name", "feature_flag"));
    (older.observed_time_unix_nano, older.time_unix_nano) = (older.time_unix_nano, 0);
    let mut records = vec![evaluation("on"), older.clone()];
    records.extend(unwanted().into_iter().map(|(record, _)| record));
    let request = request(records);
    let (found, spans) = read(&request);
    assert_eq!(found.kept, 2);
    let expected: BTreeMap<Unwanted, u64> =
        [(Unwanted::NotAnEvaluation, 3), (Unwanted::NoContext, 3), (Unwanted::NoVariant, 2), (Unwanted::NoTime, 1)]
            .into();
    assert_eq!(found.unwanted, expected);
    assert!(
        found.message().starts_with("9 of 11 log records rejected: 3 not events named feature_flag.evaluation"),
        "{}",
        found.message()
    );
    for (span, record) in spans.iter().zip([evaluation("on"), older]) {
        assert_eq!((span.trace_id.as_slice(), span.parent_span_id.as_slice()), (&TRACE[..], &SPAN[..]));
        assert_eq!((span.name.as_str(), span.kind, &span.attributes), (EVENT, 1, &record.attributes));
        assert_eq!(
            (span.start_time_unix_nano, span.end_time_unix_nano, span.flags),
            (1_700_000_000_000_000_000, 1_700_000_000_000_000_000, 1)
        );
        assert_eq!(span.span_id.len(), 8);
    }
    assert_ne!(spans[0].span_id, spans[1].span_id);
    let whole = ExportTraceServiceRequest::decode(found.payload.as_slice()).unwrap();
    let group = &whole.resource_spans[0];
    assert_eq!(whole.resource_spans.len(), 1);
    assert_eq!(
        (&group.resource, &group.schema_url),
        (&request.resource_logs[0].resource, &request.resource_logs[0].schema_url)
    );
    let scope = &request.resource_logs[0].scope_logs[0];
    assert_eq!((&group.scope_spans[0].scope, &group.scope_spans[0].schema_url), (&scope.scope, &scope.schema_url));
}

/// Scenario: each kind of record alone.
/// Guarantees: exactly its reason; a request in which nothing is kept holds no spans at all.
#[test]
fn each_reason_is_told() {
    for (record, why) in unwanted() {
        let (found, spans) = read(&request(vec![record.clone()]));
        assert_eq!((found.unwanted, spans.len(), found.payload.len()), ([(why, 1)].into(), 0, 0), "{record:?}");
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The same request in OTLP's JSON.
fn as_json(request: &ExportLogsServiceRequest) -> serde_json::Value {
    use serde_json::json;
    let attributes = |list: &[KeyValue]| -> Vec<serde_json::Value> {
        let value = |one: &KeyValue| match one.value.as_ref().and_then(|any| any.value.as_ref()) {
            Some(Value::StringValue(text)) => json!({"stringValue": text}),
            _ => json!({}),
        };
        list.iter().map(|one| json!({"key": one.key, "value": value(one)})).collect()
    };
    let record = |record: &LogRecord| {
        json!({
            "timeUnixNano": record.time_unix_nano.to_string(),
            "observedTimeUnixNano": record.observed_time_unix_nano,
            "severityText": record.severity_text,
            "attributes": attributes(&record.attributes),
            "traceId": hex(&record.trace_id),
            "spanId": hex(&record.span_id),
            "eventName": record.event_name,
        })
    };
    let group = |group: &ResourceLogs| {
        let scopes = group.scope_logs.iter().map(|scope| {
            let name = scope.scope.as_ref().map_or("", |scope| scope.name.as_str());
            json!({"scope": {"name": name}, "schemaUrl": scope.schema_url, "logRecords": scope.log_records.iter().map(record).collect::<Vec<_>>()})
        });
        let resource = group.resource.as_ref().map_or_else(Vec::new, |resource| attributes(&resource.attributes));
        json!({"resource": {"attributes": resource}, "schemaUrl": group.schema_url, "scopeLogs": scopes.collect::<Vec<_>>()})
    };
    json!({"resourceLogs": request.resource_logs.iter().map(group).collect::<Vec<_>>()})
}

/// Scenario: the requests above in JSON; a null list; a body that is no JSON, one of another shape, and nothing at all.
/// Guarantees: JSON keeps and rejects the same records as protobuf for the same reasons, the spans are what our own decoder reads of both;
/// what is damaged is malformed.
#[test]
fn json_says_the_same() {
    let mut records = vec![evaluation("on"), evaluation("off")];
    records.extend(unwanted().into_iter().map(|(record, _)| record));
    let request = request(records);
    let body = as_json(&request).to_string();
    let found = Evaluations::read(body.as_bytes(), PayloadFormat::Json).unwrap();
    let (expected, spans) = read(&request);
    assert_eq!((found.kept, &found.unwanted), (expected.kept, &expected.unwanted));
    let json: serde_json::Value = serde_json::from_slice(&found.payload).unwrap();
    let group = &json["resourceSpans"][0];
    assert_eq!(group["resource"], as_json(&request)["resourceLogs"][0]["resource"]);
    let read = group["scopeSpans"][0]["spans"].as_array().unwrap();
    assert_eq!(read.len(), spans.len());
    for (json, span) in read.iter().zip(&spans) {
        assert_eq!(
            (json["traceId"].as_str().unwrap(), json["parentSpanId"].as_str().unwrap()),
            (hex(&span.trace_id).as_str(), hex(&span.parent_span_id).as_str())
        );
        assert_eq!(
            (&json["startTimeUnixNano"], &json["endTimeUnixNano"]),
            (&"1700000000000000000".into(), &"1700000000000000000".into())
        );
        assert_eq!(json["attributes"].as_array().unwrap().len(), span.attributes.len());
    }
    let received = daytwo_storage::UnixNanos(1_700_000_000_500_000_000);
    let limits = super::super::Limits::default();
    let ours = super::super::json(&found.payload, received, &limits).unwrap();
    let theirs = super::super::protobuf(&expected.payload, received, &limits).unwrap();
    assert_eq!((ours.received, ours.rejected.len()), (2, 0));
    let names = [
        "trace_id",
        "parent_span_id",
        "name",
        "kind",
        "start_time_unix_nano",
        "duration_time_unix_nano",
        "attributes",
        "service_name",
    ];
    for name in names {
        let column = |decoded: &super::super::Decoded| {
            decoded.batch.record_batch().column_by_name(name).map(std::sync::Arc::clone)
        };
        assert_eq!(&column(&ours), &column(&theirs), "{name}");
    }
    for empty in ["", "{}", r#"{"resourceLogs":null}"#, r#"{"resourceLogs":[]}"#] {
        assert_eq!(
            Evaluations::read(empty.as_bytes(), PayloadFormat::Json).unwrap(),
            Evaluations::default(),
            "{empty}"
        );
    }
    for bad in ["{", "[]", r#"{"resourceLogs":{}}"#, r#"{"resourceLogs":[{"scopeLogs":[7]}]}"#] {
        assert!(Evaluations::read(bad.as_bytes(), PayloadFormat::Json).is_err(), "{bad}");
    }
    assert!(Evaluations::read(&[0x0a, 0x05, 1], PayloadFormat::Protobuf).is_err());
}

proptest! {
    /// Scenario: bytes of any kind, and good requests with a few bytes changed or cut off, in either format.
    /// Guarantees: reading ends with an answer or a reason; what it makes of them is a request that our own decoder reads, of as many spans as
    /// were kept, and at most four times as long.
    #[test]
    fn any_bytes_are_answered(noise in prop::collection::vec(any::<u8>(), 0..200), at in 0_usize..400, value: u8, cut in 0_usize..400, json: bool) {
        let good = request(vec![evaluation("on"), evaluation("off")]);
        let (mut body, format) = if json { (as_json(&good).to_string().into_bytes(), PayloadFormat::Json) } else { (good.encode_to_vec(), PayloadFormat::Protobuf) };
        if let Some(byte) = body.get_mut(at) { *byte = value; }
        body.truncate(body.len().saturating_sub(cut.saturating_sub(200)));
        for body in [noise, body] {
            let Ok(found) = Evaluations::read(&body, format) else { continue };
            prop_assert!(found.payload.len() <= 4 * body.len());
            prop_assert_eq!(found.payload.is_empty(), found.kept == 0);
            let received = daytwo_storage::UnixNanos(1);
            let limits = super::super::Limits::default();
            let decoded = match format {
                PayloadFormat::Json => super::super::json(&found.payload, received, &limits),
                PayloadFormat::Protobuf => super::super::protobuf(&found.payload, received, &limits),
            };
            prop_assert_eq!(u64::from(decoded.unwrap().received), found.kept);
        }
    }
}

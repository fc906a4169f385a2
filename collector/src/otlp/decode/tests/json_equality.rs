//! The JSON reader against the protobuf reader, and against what senders write.

use serde_json::json;

use super::properties::assert_same_rows;
use super::*;

fn decode_json(body: &str) -> Decoded {
    json(body.as_bytes(), RECEIVED, &Limits::default()).unwrap_or_else(|error| panic!("{error}: {body}"))
}

/// A request with one span whose fields are `fields`, after valid ids.
fn one(fields: &str) -> Decoded {
    decode_json(&format!(
        r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331"{fields}}}]}}]}}]}}"#
    ))
}

fn any_json(value: Option<&AnyValue>) -> serde_json::Value {
    match value.and_then(|value| value.value.as_ref()) {
        None | Some(Value::StringValueStrindex(_)) => json!({}),
        Some(Value::StringValue(text)) => json!({"stringValue": text}),
        Some(Value::BoolValue(value)) => json!({"boolValue": value}),
        Some(Value::IntValue(number)) => json!({"intValue": number.to_string()}),
        Some(Value::DoubleValue(number)) if number.is_nan() => json!({"doubleValue": "NaN"}),
        Some(Value::DoubleValue(number)) => json!({"doubleValue": format!("{number:?}").replace("inf", "Infinity")}),
        Some(Value::BytesValue(bytes)) => {
            use base64::Engine;
            json!({"bytesValue": base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)})
        }
        Some(Value::ArrayValue(array)) => {
            json!({"arrayValue": {"values": array.values.iter().map(|value| any_json(Some(value))).collect::<Vec<_>>()}})
        }
        Some(Value::KvlistValue(list)) => json!({"kvlistValue": {"values": attributes_json(&list.values)}}),
    }
}

fn attributes_json(attributes: &[KeyValue]) -> Vec<serde_json::Value> {
    attributes.iter().map(|entry| json!({"key": entry.key, "value": any_json(entry.value.as_ref())})).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

fn span_json(span: &Span) -> serde_json::Value {
    let events: Vec<_> = span
        .events
        .iter()
        .map(|event| {
            json!({"timeUnixNano": event.time_unix_nano.to_string(), "name": event.name,
            "attributes": attributes_json(&event.attributes), "droppedAttributesCount": event.dropped_attributes_count})
        })
        .collect();
    let links: Vec<_> = span
        .links
        .iter()
        .map(|link| {
            json!({"traceId": hex(&link.trace_id), "spanId": hex(&link.span_id), "traceState": link.trace_state,
            "attributes": attributes_json(&link.attributes), "droppedAttributesCount": link.dropped_attributes_count,
            "flags": link.flags})
        })
        .collect();
    json!({"traceId": hex(&span.trace_id), "spanId": hex(&span.span_id), "parentSpanId": hex(&span.parent_span_id),
        "traceState": span.trace_state, "flags": span.flags, "name": span.name, "kind": span.kind,
        "startTimeUnixNano": span.start_time_unix_nano, "endTimeUnixNano": span.end_time_unix_nano.to_string(),
        "attributes": attributes_json(&span.attributes), "events": events, "links": links,
        "droppedAttributesCount": span.dropped_attributes_count, "droppedEventsCount": span.dropped_events_count,
        "droppedLinksCount": span.dropped_links_count, "unknownField": {"deep": [1, {"x": null}]},
        "status": span.status.as_ref().map(|status| json!({"message": status.message, "code": status.code}))})
}

pub(super) fn request_json(request: &ExportTraceServiceRequest) -> String {
    let groups = request.resource_spans.iter().map(|group| {
        let scopes = group.scope_spans.iter().map(|scope_spans| {
            let scope = scope_spans.scope.as_ref().map(|scope| {
                json!({"name": scope.name, "version": scope.version, "attributes": attributes_json(&scope.attributes),
                    "droppedAttributesCount": scope.dropped_attributes_count})
            });
            json!({"scope": scope, "schemaUrl": scope_spans.schema_url,
                "spans": scope_spans.spans.iter().map(span_json).collect::<Vec<_>>()})
        });
        let resource = group.resource.as_ref().map(|resource| {
            json!({"attributes": attributes_json(&resource.attributes),
                "droppedAttributesCount": resource.dropped_attributes_count})
        });
        json!({"resource": resource, "schemaUrl": group.schema_url, "scopeSpans": scopes.collect::<Vec<_>>()})
    });
    json!({"resourceSpans": groups.collect::<Vec<_>>()}).to_string()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// Scenario: generated requests in both encodings, the JSON one written by another library.
    /// Guarantees: the same rows and the same rejected positions.
    #[test]
    fn both_encodings_give_the_same_rows(request in strategies::request()) {
        let from_protobuf = decode(&request);
        let from_json = decode_json(&request_json(&request));
        prop_assert_eq!(&from_json.rejected, &from_protobuf.rejected);
        assert_same_rows(&from_json.batch, &from_protobuf.batch);
    }
}

/// Scenario: enums as names, numbers, unknown numbers and unknown names (O-51).
/// Guarantees: names and numbers are kept, an unknown name rejects the span alone.
#[test]
fn enums_are_lenient() {
    let kind = |decoded: &Decoded| {
        decoded.batch.record_batch().column_by_name(col::KIND).unwrap().as_primitive::<Int32Type>().values().to_vec()
    };
    assert_eq!(kind(&one(r#","kind":"SPAN_KIND_SERVER""#)), [2]);
    assert_eq!(kind(&one(r#","kind":99"#)), [99]);
    assert_eq!(kind(&one(r#","kind":null"#)), [0]);
    let unknown = one(r#","kind":"SERVER""#);
    assert_eq!((unknown.rejected, unknown.reasons.counts().next()), (vec![0], Some((Reason::InvalidField, 1))));
}

/// Scenario: snake case, unknown fields of every shape, nulls, empty values, strindex (O-52 to O-56).
/// Guarantees: ignored or empty, never an error.
#[test]
fn unknown_and_empty_are_ignored() {
    let decoded = one(r#","dropped_attributes_count":7,"x":[[[{}]]],"events":null,"status":null,"attributes":[
        {"key":"a","value":{"arrayValue":{}}},{"key":"b","value":{"kvlistValue":{}}},{"key":"c","value":{}},{"key":"d"},
        {"key":"e","value":null},{"keyStrindex":4,"value":{"stringValueStrindex":1}},{"key":"f","value":{"intValue":null}}]"#);
    assert_eq!(decoded.rejected, Vec::<u32>::new());
    assert_eq!(numbers(&decoded, col::DROPPED_ATTRIBUTES_COUNT), [0]);
    assert_eq!(texts(&decoded, col::ATTRIBUTE_TYPES), [Some("jjnnnnn".to_owned())]);
}

/// Scenario: ids that are base64, short, odd, not hexadecimal, zero or empty (O-50).
/// Guarantees: the span is rejected, never read as base64.
#[test]
fn ids_are_hexadecimal_only() {
    for id in ["7+8py1==", "", "0af7651916cd43dd8448eb211c80319", "zaf7651916cd43dd8448eb211c80319c", &"0".repeat(32)] {
        let decoded = one(&format!(r#","traceId":"{id}""#));
        assert_eq!(decoded.reasons.counts().collect::<Vec<_>>(), [(Reason::InvalidTraceId, 1)], "{id}");
    }
}

/// Scenario: attribute values nested to any depth (O-80).
/// Guarantees: cut at 16 levels and flagged; the document is read however deep it is.
#[test]
fn depth_is_cut() {
    for depth in [1, 15, 16, 17, 32, 100, 3_000] {
        let open = r#"{"arrayValue":{"values":["#.repeat(depth - 1);
        let close = "]}}".repeat(depth - 1);
        let decoded = one(&format!(r#","attributes":[{{"key":"k","value":{open}{{"intValue":"1"}}{close}}}]"#));
        let expected = anomaly::TIME_MISSING | if depth > 16 { anomaly::DEPTH_CUT } else { 0 };
        assert_eq!(anomalies(&decoded), [expected], "{depth}");
    }
}

/// Scenario: envelopes of the wrong shape, broken documents (O-57), a damaged resource between good ones.
/// Guarantees: the request fails, or only the resource's spans do.
#[test]
fn damage_costs_what_it_touches() {
    for body in ["{", "[]", "3", "\"x\"", "{}{}", r#"{"resourceSpans":{}}"#, r#"{"resourceSpans":[1]}"#, "{\"a\":1e}"] {
        assert!(
            matches!(json(body.as_bytes(), RECEIVED, &Limits::default()), Err(DecodeError::Malformed(_))),
            "{body}"
        );
    }
    for body in ["", "{}", "null", "\u{FEFF}{}", r#"{"resourceSpans":null}"#, r#"{"resourceSpans":[{}]}"#] {
        assert_eq!(decode_json(body).received, 0);
    }
    let group = |resource: &str| {
        format!(
            r#"{{"resource":{resource},"scopeSpans":[{{"spans":[{{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331"}}]}}]}}"#
        )
    };
    let decoded = decode_json(&format!(r#"{{"resourceSpans":[{},{},{}]}}"#, group("{}"), group("7"), group("null")));
    assert_eq!((decoded.rejected, decoded.batch.len()), (vec![1], 2));
}

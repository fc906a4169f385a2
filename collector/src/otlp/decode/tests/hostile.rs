//! Hostile and odd input, one span at a time, always between two good neighbours.

use super::properties::request_of_raw_spans;
use super::*;

/// Decodes `victim` between two good spans; returns the anomalies of the three, or of the two that are left.
fn between_neighbours(victim: Vec<u8>) -> Decoded {
    let body = request_of_raw_spans(&[span(1).encode_to_vec(), victim, span(3).encode_to_vec()]);
    let decoded = protobuf(&body, RECEIVED, &Limits::default()).unwrap();
    let names = texts(&decoded, col::NAME);
    assert_eq!((names.first().unwrap().as_deref(), names.last().unwrap().as_deref()), (Some("span 1"), Some("span 3")));
    decoded
}

fn kept_with(victim: Span, expected: i64) -> Decoded {
    let decoded = between_neighbours(victim.encode_to_vec());
    assert_eq!(anomalies(&decoded), [0, expected, 0]);
    decoded
}

fn rejected_for(victim: Vec<u8>, reason: Reason) {
    let decoded = between_neighbours(victim);
    assert_eq!(decoded.rejected, [1]);
    assert_eq!(decoded.reasons.counts().collect::<Vec<_>>(), [(reason, 1)]);
}

/// Scenario: ids of every wrong shape (O-70).
/// Guarantees: the span is rejected for its own reason, its neighbours are stored.
#[test]
fn bad_ids_reject_one_span() {
    for id in [vec![], vec![0; 16], vec![1; 15], vec![1; 17], vec![1; 8]] {
        rejected_for(Span { trace_id: id, ..span(2) }.encode_to_vec(), Reason::InvalidTraceId);
    }
    for id in [vec![], vec![0; 8], vec![1; 7], vec![1; 16]] {
        rejected_for(Span { span_id: id, ..span(2) }.encode_to_vec(), Reason::InvalidSpanId);
    }
}

/// Scenario: parents of every shape (O-71).
/// Guarantees: the span is kept; a parent that cannot be is cleared and flagged.
#[test]
fn bad_parents_are_cleared() {
    let parent = |id: Vec<u8>| Span { parent_span_id: id, ..span(2) };
    kept_with(parent(vec![]), 0);
    kept_with(parent(vec![0; 8]), 0);
    kept_with(parent(vec![1; 7]), anomaly::BAD_PARENT);
    kept_with(parent(2_u64.to_be_bytes().to_vec()), anomaly::SELF_PARENT);
}

/// Scenario: times at the ends of their range, kinds and codes out of theirs, all flag bits (O-72 to O-74).
/// Guarantees: the span is kept with what was sent, flagged, duration never negative.
#[test]
fn odd_numbers_are_kept() {
    let timed = |start, end| Span { start_time_unix_nano: start, end_time_unix_nano: end, ..span(2) };
    kept_with(timed(0, 0), anomaly::TIME_MISSING);
    let backwards = kept_with(timed(9, 5), anomaly::END_BEFORE_START);
    assert_eq!(numbers(&backwards, col::DURATION)[1], 0);
    kept_with(timed(1, u64::MAX), anomaly::TIME_OVERFLOW);
    let future = 1_800_000_000_000_000_000;
    kept_with(timed(future, future), anomaly::TIME_IN_FUTURE);
    let odd = Span { kind: 99, flags: u32::MAX, status: Some(Status { code: -7, ..Status::default() }), ..span(2) };
    let decoded = kept_with(odd, 0);
    let kinds = decoded.batch.record_batch().column_by_name(col::KIND).unwrap().as_primitive::<Int32Type>().value(1);
    assert_eq!((kinds, numbers(&decoded, col::FLAGS)[1]), (99, i64::from(u32::MAX)));
}

/// Scenario: invalid UTF-8 in the name, in an attribute's key and value, and in a resource attribute (O-81).
/// Guarantees: repaired and flagged, on all spans of the resource where it was the resource's.
#[test]
fn invalid_utf8_is_repaired() {
    let mut victim = Span { name: "XX".into(), attributes: vec![text("KK", "VV")], ..span(2) }.encode_to_vec();
    for byte in &mut victim {
        if matches!(*byte, b'X' | b'K' | b'V') {
            *byte = 0xFF;
        }
    }
    let decoded = between_neighbours(victim);
    assert_eq!(anomalies(&decoded), [0, anomaly::INVALID_UTF8, 0]);
    assert_eq!(texts(&decoded, col::NAME)[1].as_deref(), Some("\u{FFFD}\u{FFFD}"));
    let mut body = request(vec![span(1), span(2)]).encode_to_vec();
    let at = body.windows(4).position(|window| window == b"cart").unwrap();
    body[at] = 0xC0;
    let decoded = protobuf(&body, RECEIVED, &Limits::default()).unwrap();
    assert_eq!(anomalies(&decoded), [anomaly::INVALID_UTF8; 2]);
    assert_eq!(texts(&decoded, col::SERVICE_NAME)[0].as_deref(), Some("\u{FFFD}art"));
}

/// An attribute nested `depth` arrays or lists deep, encoded from the inside out.
fn nested(depth: usize, list: bool) -> Vec<u8> {
    let field = |number: u32, bytes: &[u8]| {
        let mut out = Vec::new();
        prost::encoding::encode_key(number, prost::encoding::WireType::LengthDelimited, &mut out);
        prost::encoding::encode_varint(bytes.len() as u64, &mut out);
        out.extend_from_slice(bytes);
        out
    };
    let mut value = field(1, b"leaf");
    for _ in 1..depth {
        value = if list { field(6, &field(1, &field(2, &value))) } else { field(5, &field(1, &value)) };
    }
    let mut span = span(2).encode_to_vec();
    span.extend(field(9, &[field(1, b"deep"), field(2, &value)].concat()));
    span
}

/// Scenario: attribute values nested 1 to 20,000 levels deep (O-80).
/// Guarantees: 16 levels are kept whole; what is deeper is cut and flagged, and the neighbours are stored.
#[test]
fn depth_is_cut_at_sixteen() {
    for list in [false, true] {
        for depth in [1, 2, 15, 16, 17, 31, 32, 100, 20_000] {
            let decoded = between_neighbours(nested(depth, list));
            let expected = if depth > 16 { anomaly::DEPTH_CUT } else { 0 };
            assert_eq!(anomalies(&decoded), [0, expected, 0], "{depth}");
            let maps = decoded.batch.record_batch().column_by_name(col::ATTRIBUTES).unwrap().as_map().value(1);
            let shown = maps.column(1).as_string::<i32>().value(0).to_owned();
            assert_eq!(shown.contains("leaf"), depth <= 16, "{depth} {shown}");
        }
    }
}

/// Scenario: values, keys, counts and a whole span over their limits (O-82).
/// Guarantees: cut or counted and flagged; only the span over 1 MiB is rejected.
#[test]
fn sizes_are_limited() {
    let long = "é".repeat(40_000);
    let decoded =
        kept_with(Span { attributes: vec![text("k", &long)], name: long.clone(), ..span(2) }, anomaly::VALUE_CUT);
    assert_eq!(texts(&decoded, col::NAME)[1].as_ref().unwrap().len(), 65_536);
    let many = |count: u32| (0..count).map(|n| text(&format!("k{n}"), "v")).collect::<Vec<_>>();
    kept_with(Span { attributes: many(1024), ..span(2) }, 0);
    let decoded =
        kept_with(Span { attributes: many(1030), dropped_attributes_count: 1, ..span(2) }, anomaly::COUNT_CUT);
    assert_eq!(numbers(&decoded, col::DROPPED_ATTRIBUTES_COUNT)[1], 7);
    let events = vec![span::Event::default(); 1025];
    let decoded = kept_with(Span { events, ..span(2) }, anomaly::COUNT_CUT);
    assert_eq!(numbers(&decoded, col::DROPPED_EVENTS_COUNT)[1], 1);
    let links = vec![span::Link::default(); 2000];
    let decoded = kept_with(Span { links, ..span(2) }, anomaly::COUNT_CUT);
    assert_eq!(numbers(&decoded, col::DROPPED_LINKS_COUNT)[1], 976);
    let array = of(Value::ArrayValue(ArrayValue { values: vec![of(Value::IntValue(7)).unwrap(); 50_000] }));
    let nested = KeyValue { key: "a".into(), value: array, ..KeyValue::default() };
    let decoded = kept_with(Span { attributes: vec![nested], ..span(2) }, anomaly::VALUE_CUT);
    let shown = decoded.batch.record_batch().column_by_name(col::ATTRIBUTES).unwrap().as_map().value(1);
    let shown: Vec<serde_json::Value> = serde_json::from_str(shown.column(1).as_string::<i32>().value(0)).unwrap();
    assert_eq!(shown.last(), Some(&serde_json::json!("…truncated")));
    rejected_for(Span { name: "x".repeat(1 << 20), ..span(2) }.encode_to_vec(), Reason::TooLarge);
}

/// Scenario: damage of the wire format inside a span, an event, a resource, and of the framing itself (O-83).
/// Guarantees: it costs the span, the event, the resource's spans, or the request, and never more.
#[test]
fn damage_costs_what_it_touches() {
    let damaged = |mut bytes: Vec<u8>, tail: &[u8]| {
        bytes.extend_from_slice(tail);
        bytes
    };
    for tail in [
        &[0x4A, 0x7F][..],
        &[0x0B],
        &[0x0C],
        &[0x00, 0x00],
        &[0x2E],
        &[0x80; 11],
        &[0x4A, 0xFF, 0xFF, 0xFF, 0xFF, 0x07],
    ] {
        rejected_for(damaged(span(2).encode_to_vec(), tail), Reason::Malformed);
    }
    // A known field with another wire type than its own, a group: unknown fields both.
    for tail in [&[0x28, 0x01][..], &[0x0D, 1, 2, 3, 4], &[0x4B, 0x08, 1, 0x4C]] {
        assert_eq!(anomalies(&between_neighbours(damaged(span(2).encode_to_vec(), tail))), [0; 3]);
    }
    let bad_event = damaged(span(2).encode_to_vec(), &[0x5A, 2, 0x12, 9]);
    assert_eq!(anomalies(&between_neighbours(bad_event)), [0, anomaly::BAD_EVENT_OR_LINK, 0]);
    let good = request(vec![span(1)]).encode_to_vec();
    let bad_resource = [0x0A, 46, 0x0A, 2, 0x0A, 9, 0x12, 40, 0x12, 38];
    let mut body = bad_resource.to_vec();
    let short = Span {
        name: String::new(),
        trace_id: vec![1; 16],
        span_id: vec![1; 8],
        start_time_unix_nano: 1,
        ..Span::default()
    };
    let encoded = short.encode_to_vec();
    body.extend_from_slice(&encoded);
    body[1] = u8::try_from(6 + 2 + encoded.len()).unwrap();
    body[7] = u8::try_from(2 + encoded.len()).unwrap();
    body[9] = u8::try_from(encoded.len()).unwrap();
    body.extend_from_slice(&good);
    let decoded = protobuf(&body, RECEIVED, &Limits::default()).unwrap();
    assert_eq!((decoded.rejected.as_slice(), decoded.batch.len()), (&[0][..], 1));
    assert_eq!(decoded.reasons.counts().next(), Some((Reason::MalformedGroup, 1)));
    for framing in [&good[..good.len() - 1], &[0x0A, 0x05, 1][..], &[0x08, 0x01][..], b"garbage"] {
        assert!(matches!(protobuf(framing, RECEIVED, &Limits::default()), Err(DecodeError::Malformed(_))));
    }
}

/// Scenario: nothing at all, empty envelopes, unknown fields everywhere, and groups without spans (O-31, O-77).
/// Guarantees: accepted without complaint.
#[test]
fn empty_and_unknown_are_fine() {
    let unknown = [0xFA, 0x7F, 3, 1, 2, 3];
    for body in [&[][..], &[0x0A, 0], &[0x0A, 2, 0x12, 0], &unknown, &[0x0A, 0].repeat(100_000)] {
        let decoded = protobuf(body, RECEIVED, &Limits::default()).unwrap();
        assert_eq!((decoded.received, decoded.batch.len()), (0, 0));
    }
    let mut victim = span(2).encode_to_vec();
    victim.extend_from_slice(&unknown);
    assert_eq!(anomalies(&between_neighbours(victim)), [0, 0, 0]);
}

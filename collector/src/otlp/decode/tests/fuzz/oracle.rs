//! What must hold for any input.

use super::super::json_equality::request_json;
use super::super::properties::{assert_same_rows, model};
use super::mutate::{fields, tokens};
use super::*;

/// Columns take at most this many times their body, by what the budget is charged (ADR 0024), and a few pieces of 16 KiB.
const TIMES_MAX: usize = 16;
const PIECES_BYTES: usize = 64 << 10;

/// Reads an input; what it says of itself has to hold.
fn counted(body: &[u8], format: PayloadFormat) -> Option<Decoded> {
    let (limits, bytes_max) = (Limits::default(), body.len() * TIMES_MAX + PIECES_BYTES);
    match within(body, format, RECEIVED, &limits, Room { bytes_max, take: &mut |_| true }) {
        Ok(decoded) => {
            assert_eq!(decoded.received as usize, decoded.batch.len() + decoded.rejected.len());
            assert_eq!(decoded.reasons.total(), decoded.rejected.len() as u64);
            assert!(decoded.rejected.is_sorted_by(|one, next| one < next));
            Some(decoded)
        }
        Err(DecodeError::Malformed(_)) => None,
        Err(other) => panic!("{other}"),
    }
}

fn assert_same(one: &Decoded, other: &Decoded) {
    assert_eq!(one.rejected, other.rejected, "rejected spans");
    assert_same_rows(&one.batch, &other.batch);
}

pub(super) fn check_protobuf(body: &[u8]) {
    let ours = counted(body, PayloadFormat::Protobuf);
    let Ok(theirs) = ExportTraceServiceRequest::decode(body) else { return };
    let ours = ours.expect("prost takes it");
    if !is_within_limits(&theirs) || differs_by_design("request", body) {
        return;
    }
    let mut builder = SpanBatchBuilder::new(RECEIVED.0);
    assert_eq!(ours.rejected, model(&theirs, &mut builder), "rejected spans");
    assert_same_rows(&ours.batch, &builder.finish().unwrap());
    let from_json = counted(request_json(&theirs).as_bytes(), PayloadFormat::Json);
    assert_same(&from_json.expect("it is a request in JSON"), &ours);
}

/// Which fields of a message are messages.
const MESSAGES: &[(&str, u64, &str)] = &[
    ("request", 1, "group"),
    ("group", 1, "resource"),
    ("group", 2, "scope group"),
    ("resource", 1, "entry"),
    ("scope group", 1, "scope"),
    ("scope group", 2, "span"),
    ("scope", 3, "entry"),
    ("span", 9, "entry"),
    ("span", 11, "event"),
    ("span", 13, "link"),
    ("span", 15, "status"),
    ("event", 3, "entry"),
    ("link", 4, "entry"),
    ("entry", 2, "value"),
    ("value", 5, "array"),
    ("value", 6, "list"),
    ("array", 1, "value"),
    ("list", 1, "entry"),
];

/// Whether there is something that prost reads otherwise, as `docs/adr/gaps.md` says: a group, which proto3 does not have any more and
/// which we take for damage; or a value that stands twice, of which we take the last and prost puts lists together.
fn differs_by_design(message: &str, bytes: &[u8]) -> bool {
    let Some(found) = fields(bytes) else { return true };
    let values = found.iter().filter(|field| match message {
        "entry" => field.key >> 3 == 2,
        "value" => matches!(field.key >> 3, 5 | 6),
        _ => false,
    });
    values.count() > 1
        || found.iter().any(|field| {
            let inner = MESSAGES.iter().find(|(outer, number, _)| *outer == message && *number == field.key >> 3);
            inner.zip(field.content).is_some_and(|((_, _, inner), content)| differs_by_design(inner, content))
        })
}

/// Whether nothing in a request is cut, which the model does not do.
fn is_within_limits(request: &ExportTraceServiceRequest) -> bool {
    let encoded = request.encoded_len() < 32 << 10;
    encoded && values(request).into_iter().all(|value| depth(value) <= Limits::default().depth_max)
}

fn values(request: &ExportTraceServiceRequest) -> Vec<&AnyValue> {
    let mut found: Vec<&KeyValue> = Vec::new();
    for group in &request.resource_spans {
        found.extend(group.resource.iter().flat_map(|resource| &resource.attributes));
        for scope_spans in &group.scope_spans {
            found.extend(scope_spans.scope.iter().flat_map(|scope| &scope.attributes));
            for span in &scope_spans.spans {
                found.extend(&span.attributes);
                found.extend(span.events.iter().flat_map(|event| &event.attributes));
                found.extend(span.links.iter().flat_map(|link| &link.attributes));
            }
        }
    }
    found.into_iter().filter_map(|entry| entry.value.as_ref()).collect()
}

fn depth(value: &AnyValue) -> usize {
    1 + match &value.value {
        Some(Value::ArrayValue(array)) => array.values.iter().map(depth).max().unwrap_or(0),
        Some(Value::KvlistValue(list)) => {
            list.values.iter().filter_map(|entry| entry.value.as_ref()).map(depth).max().unwrap_or(0)
        }
        _ => 0,
    }
}

pub(super) fn check_json(body: &[u8]) {
    let ours = counted(body, PayloadFormat::Json);
    let text = body.strip_prefix("\u{FEFF}".as_bytes()).unwrap_or(body);
    match (ours, serde_json::from_slice::<serde_json::Value>(text)) {
        (Some(_), Err(error)) => assert!(is_lenient(text, &error), "serde_json does not take it: {error}"),
        (Some(ours), Ok(value)) if !repeats_a_member(text, &value) && !is_rounded(&value) => {
            let anew = counted(value.to_string().as_bytes(), PayloadFormat::Json);
            assert_same(&anew.expect("serde_json has written it"), &ours);
        }
        (None, Ok(value)) => assert!(!is_envelope(&value) || repeats_a_member(text, &value), "serde_json takes it"),
        (Some(_), Ok(_)) | (None, Err(_)) => {}
    }
}

/// What we take and `serde_json` does not (O-57, O-81): text that is repaired, numbers past its range, depth past its stack, no document.
fn is_lenient(text: &[u8], error: &serde_json::Error) -> bool {
    let said = error.to_string();
    let repaired =
        ["unicode code point", "surrogate", "unexpected end of hex escape", "number out of range", "recursion limit"];
    std::str::from_utf8(text).is_err()
        || text.iter().all(u8::is_ascii_whitespace)
        || repaired.iter().any(|what| said.contains(what))
}

/// Whether a number may have been rounded: we read those that have to be whole exactly, also when they have an exponent.
fn is_rounded(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Number(number) => {
            number.is_f64() && number.as_f64().is_some_and(|number| !(1e-300..9e15).contains(&number.abs()))
        }
        serde_json::Value::Array(items) => items.iter().any(is_rounded),
        serde_json::Value::Object(object) => object.values().any(is_rounded),
        _ => false,
    }
}

/// Whether some object has a name twice: `serde_json` keeps the last.
fn repeats_a_member(text: &[u8], value: &serde_json::Value) -> bool {
    fn members(value: &serde_json::Value) -> usize {
        match value {
            serde_json::Value::Array(items) => items.iter().map(members).sum(),
            serde_json::Value::Object(object) => object.len() + object.values().map(members).sum::<usize>(),
            _ => 0,
        }
    }
    tokens(text).into_iter().filter(|token| text[token.start] == b':').count() != members(value)
}

/// Whether a document has the outline of a request, down to its spans: what is deeper costs a span or a group, never the request.
fn is_envelope(value: &serde_json::Value) -> bool {
    has_outline(value, &["resourceSpans", "scopeSpans", "spans"])
}

fn has_outline(value: &serde_json::Value, lists: &[&str]) -> bool {
    let Some((list, deeper)) = lists.split_first() else { return true };
    match value {
        serde_json::Value::Null => true,
        serde_json::Value::Object(object) => match object.get(*list) {
            None | Some(serde_json::Value::Null) => true,
            Some(serde_json::Value::Array(items)) => items.iter().all(|item| has_outline(item, deeper)),
            Some(_) => false,
        },
        _ => false,
    }
}

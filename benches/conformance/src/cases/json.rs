//! JSON documents that no encoder makes (O-50 to O-57). What an encoder can make is among the golden inputs.

use super::{must, ours};
use crate::answer::Answer;
use crate::answer::code::INVALID_ARGUMENT;
use crate::client::Call;
use crate::model::{Attribute, Request, Span, Value, hex};
use crate::suite::Suite;
use crate::transport::{Compression, Transport};

pub(super) async fn run(suite: &Suite) {
    syntax(suite).await;
    accepted(suite).await;
    envelope(suite).await;
    depth(suite).await;
}

fn post(body: &[u8]) -> Call {
    Call::export(Transport::HttpJson, Compression::None, body)
}

async fn syntax(suite: &Suite) {
    let case = must("O-57", "documents that are no JSON", "400, with a Status");
    let documents: [&[u8]; 20] = [
        b"{",
        b"{}}",
        b"{} {}",
        b"nul",
        b"{\"a\":1,}",
        b"{\"a\" 1}",
        b"{'a':1}",
        b"{a:1}",
        b"{\"a\":01}",
        b"{\"a\":+1}",
        b"{\"a\":.5}",
        b"{\"a\":1.}",
        b"{\"a\":NaN}",
        b"{\"a\":\"\\x\"}",
        b"{\"a\":\"\\u12\"}",
        b"{\"a\":\"\x01\"}",
        b"{\"a\":\"",
        b"{\"a\":[1 2]}",
        b"/* */{}",
        b"{\"resourceSpans\":[]}\0",
    ];
    for document in documents {
        suite.check(case, post(document), |answer| answer.refused(&[400], &[])).await;
    }
}

/// A span written in an unusual way, and what it means.
struct Unusual {
    item: &'static str,
    case: &'static str,
    /// Members behind the ids.
    members: &'static str,
    times: &'static str,
    name: &'static [u8],
    kind: i32,
    attributes: Vec<Attribute>,
}

const TIMES: &str = r#""startTimeUnixNano":"1544712660000000000","endTimeUnixNano":1544712660000000001"#;
const EXPONENTS: &str = r#""startTimeUnixNano":154471266E10,"endTimeUnixNano":"1.544712660000000001e+18""#;

fn unusual(item: &'static str, case: &'static str, members: &'static str) -> Unusual {
    Unusual { item, case, members, times: TIMES, name: b"", kind: 0, attributes: Vec::new() }
}

/// The same with one attribute `a`.
fn valued(item: &'static str, case: &'static str, members: &'static str, value: Value) -> Unusual {
    Unusual { attributes: vec![(b"a".to_vec(), value)], ..unusual(item, case, members) }
}

fn documents() -> Vec<Unusual> {
    let empty = |key: &str| (key.as_bytes().to_vec(), Value::Empty);
    let strindex = r#""attributes":[{"key":"a","keyStrindex":3,"value":{"stringValueStrindex":4}}]"#;
    let snake_case = r#""parent_span_id":"00f067aa0ba902b7","dropped_attributes_count":3,"trace_state":"a=b""#;
    let twice = unusual("O-57", "a member twice: the last one counts", r#""name":"first","name":"last""#);
    let escaped = unusual("O-57", "escapes of NUL and of a pair of surrogates", r#""name":"\u0000\uD83D\uDE00\/""#);
    let lone = unusual("O-57", "a lone surrogate becomes U+FFFD", r#""name":"\ud800x""#);
    let minus_zero = r#""attributes":[{"key":"a","value":{"intValue":-0}}]"#;
    let huge = r#""attributes":[{"key":"a","value":{"doubleValue":1e400}}]"#;
    let no_value = r#""attributes":[{"key":"a"},{"key":"b","value":null}]"#;
    vec![
        Unusual { name: b"last", ..twice },
        Unusual { name: "\0😀/".as_bytes(), ..escaped },
        // One byte that is no UTF-8 leaves the same in the store.
        Unusual { name: b"\xFFx", ..lone },
        valued("O-57", "minus zero", minus_zero, Value::Integer(0)),
        valued("O-54", "a double beyond the range is infinite", huge, Value::Double(f64::INFINITY)),
        Unusual { times: EXPONENTS, ..unusual("O-54", "times with an exponent, exactly", r#""name":"""#) },
        Unusual { attributes: vec![empty("a"), empty("b")], ..unusual("O-55", "attributes without a value", no_value) },
        valued("O-56", "string indexes, which traces do not have", strindex, Value::Empty),
        unusual("O-53", "only snake_case names", snake_case),
        Unusual { kind: 2, ..unusual("O-51", "an enum number in quotes", r#""kind":"2""#) },
    ]
}

async fn accepted(suite: &Suite) {
    for Unusual { item, case, members, times, name, kind, attributes } in documents() {
        let span = suite.span();
        let (trace_id, span_id) = (hex(&span.trace_id), hex(&span.span_id));
        let document = format!(
            r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"conformance"}}}}]}},
            "scopeSpans":[{{"scope":{{"name":"conformance"}},
            "spans":[{{"traceId":"{trace_id}","spanId":"{span_id}",{times},{members}}}]}}]}}]}}"#
        );
        let request = Request::of(vec![Span { name: name.to_vec(), kind, attributes, ..span }]);
        let case = ours(item, case, "success, with one meaning, the same each time");
        suite.accepts_call(case, post(document.as_bytes()), &request).await;
    }
}

async fn envelope(suite: &Suite) {
    let case = ours("O-57", "envelopes of another type", "400, with a Status");
    for document in [
        r#"{"resourceSpans":5}"#,
        r#"{"resourceSpans":[5]}"#,
        r#"{"resourceSpans":[{"scopeSpans":"x"}]}"#,
        r#"{"resourceSpans":[{"scopeSpans":[[]]}]}"#,
        r#"{"resourceSpans":[{"scopeSpans":[{"spans":{}}]}]}"#,
        r#""text""#,
        "17",
    ] {
        suite.check(case, post(document.as_bytes()), |answer| answer.refused(&[400], &[])).await;
    }
    let case = must("O-42", "JSON sent as protobuf, and protobuf as JSON", "400");
    let bodies: [(Transport, &[u8]); 2] = [(Transport::HttpProtobuf, b"{}"), (Transport::HttpJson, &[0x0A, 0])];
    for (transport, body) in bodies {
        let call = Call::export(transport, Compression::None, body);
        suite.check(case, call, |answer| answer.refused(&[400], &[INVALID_ARGUMENT])).await;
    }
}

/// Depth where nobody looks: unknown members may be nested as deep as they like.
async fn depth(suite: &Suite) {
    let case = ours("O-57", "an unknown member nested 1,000,000 levels deep", "success or 400, and the server lives");
    let nested = [b"{\"x\":".as_slice(), &b"[".repeat(1_000_000), &b"]".repeat(1_000_000), b"}"].concat();
    let survives = |answer: &Answer| if answer.is_success() { answer.full() } else { answer.refused(&[400], &[]) };
    suite.check(case, post(&nested), survives).await;
}

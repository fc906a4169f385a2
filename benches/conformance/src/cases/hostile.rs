//! Hostile input (O-80 to O-83): each is answered, costs no more than itself, and leaves the spans beside it stored.

use super::ours;
use crate::answer::Answer;
use crate::answer::code::{INVALID_ARGUMENT, RESOURCE_EXHAUSTED};
use crate::client::Call;
use crate::model::{Event, Link, Request, Span, Value, hex};
use crate::report::Verdict;
use crate::suite::{Suite, written};
use crate::transport::{Compression, Transport};
use crate::wire::Message;

pub(super) async fn run(suite: &Suite) {
    depths(suite).await;
    counts(suite).await;
    envelopes(suite).await;
    wire(suite).await;
}

/// An attribute nested so deep, built from the inside out, for a model of it would need the stack.
fn deep_protobuf(span: &Span, depth: usize, as_list: bool) -> Vec<u8> {
    let mut value = Message::new().bytes(1, b"leaf");
    for _ in 1..depth {
        value = if as_list {
            Message::new().message(6, &Message::new().message(1, &Message::new().bytes(1, b"n").message(2, &value)))
        } else {
            Message::new().message(5, &Message::new().message(1, &value))
        };
    }
    let attribute = Message::new().bytes(1, b"deep").message(2, &value);
    let span = Message::new()
        .bytes(1, &span.trace_id)
        .bytes(2, &span.span_id)
        .bytes(5, &span.name)
        .fixed64(7, span.start)
        .fixed64(8, span.end)
        .message(9, &attribute);
    Message::new().message(1, &Message::new().message(2, &Message::new().message(2, &span))).into_bytes()
}

fn deep_json(span: &Span, depth: usize, as_list: bool) -> Vec<u8> {
    let (open, close) = if as_list {
        (r#"{"kvlistValue":{"values":[{"key":"n","value":"#, "}]}}")
    } else {
        (r#"{"arrayValue":{"values":["#, "]}}")
    };
    let value = [&open.repeat(depth - 1), r#"{"stringValue":"leaf"}"#, &close.repeat(depth - 1)].concat();
    let (trace_id, span_id) = (hex(&span.trace_id), hex(&span.span_id));
    let attributes = format!(r#"[{{"key":"deep","value":{value}}}]"#);
    let span = format!(r#"{{"traceId":"{trace_id}","spanId":"{span_id}","name":"single","attributes":{attributes}}}"#);
    format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{span}]}}]}}]}}"#).into_bytes()
}

/// Taken, or the one span rejected: never an error for the whole request.
fn survives(answer: &Answer) -> Verdict {
    answer.full().or_else(|_| answer.rejects(1))
}

/// Sends a call with so many spans that the ledger does not know, and counts them as the server does.
async fn sent(suite: &Suite, call: Call, judge: impl FnOnce(&Answer) -> Verdict, spans: u64) -> Verdict {
    let answer = suite.client.send(call).await?;
    if answer.is_success() {
        let rejected = answer.partial()?.map_or(0, |partial| partial.rejected_spans);
        let mut ledger = suite.ledger();
        ledger.received += spans;
        ledger.rejected += u64::try_from(rejected).unwrap_or(0);
    }
    judge(&answer)
}

async fn depths(suite: &Suite) {
    let cases: [(&str, &[usize]); 2] =
        [("values nested 17 to 100 levels deep", &[17, 31, 32, 100]), ("values nested 10,000 levels deep", &[10_000])];
    for transport in Transport::ALL {
        for (name, depths) in cases {
            let case = ours("O-80", name, "success, or that span rejected");
            for (&depth, as_list) in depths.iter().flat_map(|depth| [(depth, false), (depth, true)]) {
                let span = suite.span();
                let body = match transport {
                    Transport::HttpJson => deep_json(&span, depth, as_list),
                    Transport::Grpc | Transport::HttpProtobuf => deep_protobuf(&span, depth, as_list),
                };
                let verdict = sent(suite, Call::export(transport, Compression::None, &body), survives, 1).await;
                suite.expect_any(&span);
                suite.note(case, Some(transport), verdict);
            }
        }
    }
}

/// Spans with too much of one thing.
fn oversized(suite: &Suite) -> [(&'static str, Span); 4] {
    let many = (0..100_000).map(|number| (format!("key{number}").into_bytes(), Value::Bool(true))).collect();
    let big = vec![(b"big".to_vec(), Value::Text(vec![b'x'; 16 << 20]))];
    let event = Event { name: b"e".to_vec(), ..Event::default() };
    [
        ("an attribute of 16 MiB", Span { attributes: big, ..suite.span() }),
        ("100,000 attributes in a span", Span { attributes: many, ..suite.span() }),
        ("100,000 events in a span", Span { events: vec![event; 100_000], ..suite.span() }),
        ("100,000 links in a span", Span { links: vec![Link::default(); 100_000], ..suite.span() }),
    ]
}

/// Each of them between two good ones, which have to be stored.
async fn counts(suite: &Suite) {
    for transport in Transport::ALL {
        for (name, victim) in oversized(suite) {
            let case = ours("O-82", name, "success, or that span rejected; its neighbours stored");
            let (before, after) = (suite.span(), suite.span());
            let neighbours = [&before, &after].map(|span| Request::of(vec![span.clone()]));
            suite.expect_any(&victim);
            let whole = Request::of(vec![before, victim, after]);
            let call = Call::export(transport, Compression::Gzip, &written(transport, &whole));
            let verdict = sent(suite, call, survives, 1).await;
            if verdict.is_ok() {
                neighbours.iter().for_each(|request| suite.expect_stored("O-82", name, transport, request));
            }
            suite.note(case, Some(transport), verdict);
        }
    }
}

async fn envelopes(suite: &Suite) {
    let case = ours("O-82", "1,000,000 resources without a span", "success");
    let protobuf = [0x0A, 0].repeat(1_000_000);
    for transport in [Transport::Grpc, Transport::HttpProtobuf] {
        suite.check(case, Call::export(transport, Compression::None, &protobuf), Answer::full).await;
    }
    let json = format!(r#"{{"resourceSpans":[{}{{}}]}}"#, "{},".repeat(999_999));
    suite.check(case, Call::export(Transport::HttpJson, Compression::None, json.as_bytes()), Answer::full).await;
    let case = ours("O-82", "1,000,000 spans of no bytes", "success with all rejected, or refused for good");
    let spans = Message::new().raw(&[0x12, 0].repeat(1_000_000));
    let protobuf = Message::new().message(1, &Message::new().message(2, &spans)).into_bytes();
    let json = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{}{{}}]}}]}}]}}"#, "{},".repeat(999_999));
    let all = |answer: &Answer| {
        if answer.is_success() {
            answer.rejects(1_000_000)
        } else {
            answer.refused(&[400, 413], &[INVALID_ARGUMENT, RESOURCE_EXHAUSTED])
        }
    };
    for transport in Transport::ALL {
        let body = if transport == Transport::HttpJson { json.as_bytes() } else { &protobuf };
        let verdict = sent(suite, Call::export(transport, Compression::None, body), all, 1_000_000).await;
        suite.note(case, Some(transport), verdict);
    }
}

/// Damage of the framing itself, where no span can be told from the next.
async fn wire(suite: &Suite) {
    let case = ours("O-83", "lengths and numbers that lie", "400 or INVALID_ARGUMENT");
    let bodies: [&[u8]; 8] = [
        // 2 GiB announced in six bytes; a length of 2^64-1; one level deeper; a number in eleven bytes.
        &[0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0x07],
        &[0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01],
        &[0x0A, 6, 0x12, 0xFF, 0xFF, 0xFF, 0xFF, 0x07],
        &[0x8A, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00],
        // Groups that do not end, nested; field number 0; wire types 6 and 7.
        &[0x0B; 1000],
        &[0x02, 0],
        &[0x0E, 1],
        &[0x0F, 1],
    ];
    for transport in [Transport::Grpc, Transport::HttpProtobuf] {
        for body in bodies {
            let call = Call::export(transport, Compression::None, body);
            suite.check(case, call, |answer| answer.refused(&[400], &[INVALID_ARGUMENT])).await;
        }
    }
}

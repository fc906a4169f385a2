//! The limit of a request, to the byte, and of an answer (O-20, O-21).

use bytes::Bytes;

use super::{must, ours};
use crate::answer::Answer;
use crate::answer::code::RESOURCE_EXHAUSTED;
use crate::client::Call;
use crate::model::{Request, Span};
use crate::suite::{Suite, written};
use crate::transport::{Compression, Transport};

pub(super) async fn run(suite: &Suite) {
    let limit = suite.target.request_bytes_max;
    let within = must("O-20", "a request of the limit, and one byte less", "success");
    let over = must(
        "O-20",
        "a request one byte over the limit, and half as much again",
        "413 or RESOURCE_EXHAUSTED, not to be sent again",
    );
    for transport in Transport::ALL {
        for (case, length) in [(within, limit - 1), (within, limit), (over, limit + 1), (over, limit + limit / 2)] {
            let body = padded(transport, length);
            for compression in suite.target.golden.compressions.clone() {
                let call = Call::export(transport, compression, &body);
                let judge = |answer: &Answer| {
                    if length > limit { answer.refused(&[413], &[RESOURCE_EXHAUSTED]) } else { answer.full() }
                };
                suite.check(case, call, judge).await;
            }
        }
    }
    declared(suite).await;
    answer_size(suite).await;
}

/// A request of exactly so many bytes with no span in it: an unknown field takes the room.
fn padded(transport: Transport, length: usize) -> Vec<u8> {
    if transport == Transport::HttpJson {
        let frame = br#"{"pad":""}"#;
        let (head, tail) = frame.split_at(frame.len() - 2);
        return [head, &vec![b'x'; length - frame.len()], tail].concat();
    }
    // Field 2047, wire type 2, and a length in five bytes, as long as needed or longer.
    let room = u32::try_from(length - 7).unwrap_or(u32::MAX);
    let mut out = vec![0xFA, 0x7F];
    out.extend((0..5).map(|index| {
        let seven = u8::try_from(room >> (7 * index) & 0x7F).unwrap_or(0);
        if index < 4 { seven | 0x80 } else { seven }
    }));
    out.resize(length, b'x');
    out
}

/// The length that gRPC's prefix claims counts, before any of the body is there.
async fn declared(suite: &Suite) {
    let case = must("O-20", "a gRPC prefix that claims 4 GiB", "RESOURCE_EXHAUSTED, not to be sent again");
    let call = Call::packed(Transport::Grpc, None, Bytes::new()).raw_body(&[0, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3]);
    suite.check(case, call, |answer| answer.refused(&[], &[RESOURCE_EXHAUSTED])).await;
}

async fn answer_size(suite: &Suite) {
    let case = ours("O-21", "the answer about 20,000 bad spans with long names", "at most 4 KiB of error_message");
    let bad = Span { span_id: vec![], name: b"long ".repeat(40), ..suite.span() };
    let request = Request::of(vec![bad; 20_000]);
    for transport in Transport::ALL {
        let call = Call::export(transport, Compression::Gzip, &written(transport, &request));
        let short = |answer: &Answer| {
            answer.rejects(20_000)?;
            let length = answer.partial()?.map_or(0, |partial| partial.error_message.len());
            if length <= 4096 { Ok(answer.shown()) } else { Err(format!("{length} bytes")) }
        };
        suite.check(case, call, short).await;
        let mut ledger = suite.ledger();
        ledger.received += 20_000;
        ledger.rejected += 20_000;
    }
}

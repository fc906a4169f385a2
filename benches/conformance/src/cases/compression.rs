//! Compression (O-10 to O-13).

use std::io::Read;

use bytes::Bytes;

use super::{must, ours, should};
use crate::answer::Answer;
use crate::answer::code::{INTERNAL, INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNIMPLEMENTED};
use crate::client::Call;
use crate::model::Request;
use crate::suite::{Suite, written};
use crate::transport::{Compression, Transport, gzip};

pub(super) async fn run(suite: &Suite) {
    encodings(suite).await;
    malformed(suite).await;
    unknown(suite).await;
    members(suite).await;
    bombs(suite).await;
    answers(suite).await;
}

async fn encodings(suite: &Suite) {
    let none = must("O-10", "no compression", "success");
    let gzip = must("O-10", "gzip", "success");
    let zstd = ours("O-10", "zstd", "success");
    for transport in Transport::ALL {
        for (case, compression) in [(none, Compression::None), (gzip, Compression::Gzip), (zstd, Compression::Zstd)] {
            let request = suite.request();
            let call = Call::export(transport, compression, &written(transport, &request));
            suite.accepts_call(case, call, &request).await;
        }
    }
    let case = must("O-10", "gzip in another case, identity by name", "success");
    for transport in Transport::HTTP {
        for (name, compression) in [("GZIP", Compression::Gzip), ("identity", Compression::None)] {
            let request = suite.request();
            let body = compression.apply(&written(transport, &request));
            suite.accepts_call(case, Call::packed(transport, Some(name), body.into()), &request).await;
        }
    }
    let case = must("O-10", "grpc-encoding with a message that is not compressed", "success");
    for name in ["gzip", "identity"] {
        let request = suite.request();
        let call = Call::packed(Transport::Grpc, Some(name), written(Transport::Grpc, &request).into()).flagged(0);
        suite.accepts_call(case, call, &request).await;
    }
}

async fn malformed(suite: &Suite) {
    let gzip_case = must("O-11", "gzip that is none, cut off, or with a wrong checksum", "400 or INVALID_ARGUMENT");
    let zstd_case =
        ours("O-11", "zstd that is none, cut off, or wants a window above 8 MiB", "400 or INVALID_ARGUMENT");
    for transport in Transport::ALL {
        let body = written(transport, &suite.request());
        let whole = gzip(&body);
        let mut wrong_sum = whole.clone();
        if let Some(byte) = wrong_sum.iter_mut().rev().nth(6) {
            *byte ^= 0xFF;
        }
        for bytes in [b"no gzip".to_vec(), whole[..whole.len() - 9].to_vec(), whole[..5].to_vec(), wrong_sum] {
            let call = Call::packed(transport, Some("gzip"), bytes.into());
            suite.check(gzip_case, call, |answer| answer.refused(&[400], &[INVALID_ARGUMENT])).await;
        }
        let whole = Compression::Zstd.apply(&body);
        for bytes in [b"no zstd".to_vec(), whole[..whole.len() - 3].to_vec(), zstd_with_window(&body)] {
            let call = Call::packed(transport, Some("zstd"), bytes.into());
            suite.check(zstd_case, call, |answer| answer.refused(&[400], &[INVALID_ARGUMENT])).await;
        }
    }
}

/// One raw block in a frame that asks for a window of 128 MiB.
fn zstd_with_window(content: &[u8]) -> Vec<u8> {
    // Descriptor 0: a window byte follows and no size; exponent 17 above 2^10.
    let mut frame = vec![0x28, 0xB5, 0x2F, 0xFD, 0x00, 17 << 3];
    let header = u32::try_from(content.len()).unwrap_or(0) << 3 | 1;
    frame.extend(header.to_le_bytes().iter().take(3));
    frame.extend_from_slice(content);
    frame
}

async fn unknown(suite: &Suite) {
    let case = must("O-11", "a compression that nobody knows, or several", "415, 400 or UNIMPLEMENTED");
    for transport in Transport::ALL {
        for name in ["br2", "x-none", "gzip, gzip"] {
            let body = gzip(&gzip(&written(transport, &suite.request())));
            let call = Call::packed(transport, Some(name), body.into());
            suite.check(case, call, |answer| answer.refused(&[415, 400], &[UNIMPLEMENTED])).await;
        }
    }
    let case =
        ours("O-12", "snappy, lz4 and deflate that claim 2 GiB", "415, 400, 413, UNIMPLEMENTED or RESOURCE_EXHAUSTED");
    for transport in Transport::ALL {
        for (name, bytes) in [
            ("snappy", &[0xFF, 0xFF, 0xFF, 0xFF, 0x07][..]),
            ("lz4", &[0x04, 0x22, 0x4D, 0x18, 0x68, 0x70, 0xFF, 0xFF, 0xFF, 0x7F, 0, 0, 0, 0, 0x73]),
            ("deflate", &[0x78, 0x9C, 0xFF]),
        ] {
            let codes = [UNIMPLEMENTED, RESOURCE_EXHAUSTED, INVALID_ARGUMENT];
            let call = Call::packed(transport, Some(name), Bytes::from_static(bytes));
            suite.check(case, call, |answer| answer.refused(&[415, 400, 413], &codes)).await;
        }
    }
    let case = must("O-11", "an unknown compression is told the known ones", "grpc-accept-encoding with gzip");
    let call = Call::packed(Transport::Grpc, Some("br2"), Bytes::from_static(b"x"));
    let told = |answer: &Answer| {
        let known = answer.header("grpc-accept-encoding").to_owned();
        if known.contains("gzip") { Ok(known) } else { Err(format!("{}: {known:?}", answer.shown())) }
    };
    suite.check(case, call, told).await;
    let case = must("O-11", "a message marked as compressed without grpc-encoding", "INTERNAL");
    let call = Call::packed(Transport::Grpc, None, Bytes::from_static(b"x")).flagged(1);
    suite.check(case, call, |answer| answer.refused(&[], &[INTERNAL])).await;
}

/// Gzip allows several members in a row, and only one layer is asked for.
async fn members(suite: &Suite) {
    let several = ours("O-12", "gzip of several members", "success with all of them");
    let layers = must("O-12", "gzip within gzip", "400 or INVALID_ARGUMENT: one layer is taken off");
    let garbage = ours("O-12", "gzip with other bytes behind it", "400 or INVALID_ARGUMENT");
    for transport in Transport::ALL {
        let request = Request::of(vec![suite.span(), suite.span()]);
        let body = written(transport, &request);
        let (head, tail) = body.split_at(body.len() / 2);
        let call = Call::packed(transport, Some("gzip"), [gzip(head), gzip(tail)].concat().into());
        suite.accepts_call(several, call, &request).await;
        let body = written(transport, &suite.request());
        let refused = |answer: &Answer| answer.refused(&[400], &[INVALID_ARGUMENT]);
        suite.check(layers, Call::packed(transport, Some("gzip"), gzip(&gzip(&body)).into()), refused).await;
        let body = [gzip(&body), b"garbage behind".to_vec()].concat();
        suite.check(garbage, Call::packed(transport, Some("gzip"), body.into()), refused).await;
    }
}

async fn bombs(suite: &Suite) {
    let case = must("O-12", "a bomb: 10 GiB in 10 MB of gzip", "413 or RESOURCE_EXHAUSTED, not to be sent again");
    let member = gzip(&vec![b' '; suite.target.request_bytes_max + 1]);
    let times = (10 << 30) / (suite.target.request_bytes_max + 1);
    let bomb = Bytes::from(member.repeat(times.min(10_000)));
    let too_large = |answer: &Answer| answer.refused(&[413], &[RESOURCE_EXHAUSTED]);
    for transport in Transport::ALL {
        suite.check(case, Call::packed(transport, Some("gzip"), bomb.clone()), too_large).await;
    }
    let case = ours("O-12", "a bomb: 1 GiB in 33 KB of zstd", "413 or RESOURCE_EXHAUSTED, not to be sent again");
    let bomb = Bytes::from(zstd_bomb());
    for transport in Transport::ALL {
        suite.check(case, Call::packed(transport, Some("zstd"), bomb.clone()), too_large).await;
    }
}

/// A frame of 8,192 blocks that repeat one byte 128 Ki times.
fn zstd_bomb() -> Vec<u8> {
    // A window of 8 MiB, the most that a receiver has to grant.
    let mut frame = vec![0x28, 0xB5, 0x2F, 0xFD, 0x00, 13 << 3];
    for _ in 0..8192 {
        let header: u32 = (128 << 10) << 3 | 1 << 1;
        frame.extend(header.to_le_bytes().iter().take(3));
        frame.push(b' ');
    }
    frame
}

async fn answers(suite: &Suite) {
    let case = should("O-13", "the answer is compressed only for those who ask", "no Content-Encoding");
    for transport in Transport::HTTP {
        let body = written(transport, &Request::default());
        let plain = |answer: &Answer| match answer.header("content-encoding") {
            "" | "identity" => answer.full(),
            other => Err(other.to_owned()),
        };
        suite.check(case, Call::export(transport, Compression::None, &body), plain).await;
    }
    let case = must("O-13", "the answer to those who ask for gzip", "gzip or nothing, and readable");
    for transport in Transport::HTTP {
        let call = Call::export(transport, Compression::Gzip, &written(transport, &Request::default()));
        let readable = |answer: &Answer| match answer.header("content-encoding") {
            "" | "identity" => answer.full(),
            "gzip" => {
                let mut body = Vec::new();
                let read = flate2::read::GzDecoder::new(&*answer.body).read_to_end(&mut body);
                read.map_err(|error| error.to_string())?;
                Answer { body: body.into(), ..answer.clone() }.full()
            }
            other => Err(other.to_owned()),
        };
        suite.check(case, call.with("accept-encoding", "gzip"), readable).await;
    }
}

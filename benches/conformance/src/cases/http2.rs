//! HTTP/2 by hand, frame by frame, on the gRPC port (O-08, O-84).

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{must, ours};
use crate::answer::code::{DEADLINE_EXCEEDED, UNAVAILABLE};
use crate::client::{RETRY_FOR, RETRY_PAUSE};
use crate::report::Verdict;
use crate::suite::Suite;
use crate::transport::Transport;

/// How long an answer may take; a guard against hanging.
const PATIENCE: Duration = Duration::from_secs(120);

/// What clients with keepalive wait at least between two pings.
const PING_PAUSE: Duration = Duration::from_secs(10);

/// How long a flood is sent for.
const FLOOD_MAX: Duration = Duration::from_secs(30);

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

pub(super) async fn run(suite: &Suite) {
    tokio::join!(streams(suite), pings(suite), deadline(suite), stalled(suite), floods(suite));
}

#[derive(Debug)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

struct Connection {
    stream: TcpStream,
    headers: Vec<u8>,
}

impl Connection {
    /// Connects and sends the preface and empty settings.
    async fn open(suite: &Suite) -> Result<Self, String> {
        let stream =
            TcpStream::connect(&suite.client.grpc).await.map_err(|error| format!("cannot connect: {error}"))?;
        let mut connection = Self { stream, headers: export_headers(suite) };
        connection.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await?;
        connection.send(SETTINGS, 0, 0, &[]).await?;
        Ok(connection)
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.stream.write_all(bytes).await.map_err(|error| format!("closed: {error}"))
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Result<(), String> {
        self.write(&frame(kind, flags, stream, payload)).await
    }

    /// Begins an export on a stream.
    async fn begin(&mut self, stream: u32, more: &[u8], flags: u8) -> Result<(), String> {
        let block = [&self.headers, more].concat();
        self.send(HEADERS, flags | END_HEADERS, stream, &block).await
    }

    async fn read(&mut self) -> Result<Frame, String> {
        let closed = |error| format!("closed: {error}");
        let reading = async {
            let mut head = [0; 9];
            self.stream.read_exact(&mut head).await.map_err(closed)?;
            let [a, b, c, kind, flags, s @ ..] = head;
            let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap_or(0);
            let mut payload = vec![0; length];
            self.stream.read_exact(&mut payload).await.map_err(closed)?;
            Ok(Frame { kind, flags, stream: u32::from_be_bytes(s) & 0x7FFF_FFFF, payload })
        };
        tokio::time::timeout(PATIENCE, reading).await.unwrap_or_else(|_| Err(format!("nothing within {PATIENCE:?}")))
    }

    /// Reads until a frame is of that kind; a GOAWAY before it is an error.
    async fn wait_for(&mut self, kind: u8, is_ack: bool) -> Result<Frame, String> {
        loop {
            let frame = self.read().await?;
            if frame.kind == kind && (frame.flags & ACK != 0) == is_ack {
                return Ok(frame);
            }
            if frame.kind == PING && frame.flags & ACK == 0 {
                self.send(PING, ACK, 0, &frame.payload).await?;
            }
            if frame.kind == GOAWAY {
                return Err(format!("GOAWAY {:?}", frame.payload));
            }
        }
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(0).to_be_bytes();
    [length.get(1..).unwrap_or_default(), &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// HPACK: a header that enters no table, neither part compressed. Texts shorter than 127 bytes.
fn header(name: &str, value: &str) -> Vec<u8> {
    let length = |text: &str| u8::try_from(text.len()).unwrap_or(0) & 0x7F;
    [&[0, length(name)], name.as_bytes(), &[length(value)], value.as_bytes()].concat()
}

fn export_headers(suite: &Suite) -> Vec<u8> {
    let mut block = [
        header(":method", "POST"),
        header(":scheme", "http"),
        header(":path", "/opentelemetry.proto.collector.trace.v1.TraceService/Export"),
        header(":authority", "conformance"),
        header("content-type", "application/grpc"),
        header("te", "trailers"),
    ]
    .concat();
    if let Some(token) = &suite.client.token {
        block.extend(header("authorization", &format!("Bearer {token}")));
    }
    block
}

async fn streams(suite: &Suite) {
    let case = ours("O-08", "SETTINGS_MAX_CONCURRENT_STREAMS", "absent, or at least 100");
    let exchange = async {
        let settings = Connection::open(suite).await?.wait_for(SETTINGS, false).await?;
        let streams = settings.payload.chunks_exact(6).find_map(|setting| match setting {
            [0, 3, value @ ..] => Some(u32::from_be_bytes(value.try_into().ok()?)),
            _ => None,
        });
        match streams {
            Some(few @ 0..100) => Err(few.to_string()),
            Some(enough) => Ok(enough.to_string()),
            None => Ok("no limit".to_owned()),
        }
    };
    suite.note(case, Some(Transport::Grpc), exchange.await);
}

async fn pings(suite: &Suite) {
    let case = must("O-08", "a PING", "its bytes, acknowledged");
    let exchange = async {
        let mut connection = Connection::open(suite).await?;
        connection.send(PING, 0, 0, b"12345678").await?;
        let pong = connection.wait_for(PING, true).await?;
        if pong.payload == b"12345678" { Ok("acknowledged".to_owned()) } else { Err(format!("{:?}", pong.payload)) }
    };
    suite.note(case, Some(Transport::Grpc), exchange.await);
    let case = ours("O-08", "an idle connection pinged every 10 s", "no GOAWAY");
    let exchange = async {
        let mut connection = Connection::open(suite).await?;
        for _ in 0..2 {
            connection.send(PING, 0, 0, b"12345678").await?;
            connection.wait_for(PING, true).await?;
            tokio::time::sleep(PING_PAUSE).await;
        }
        connection.send(PING, 0, 0, b"87654321").await?;
        connection.wait_for(PING, true).await.map(|_| "no GOAWAY".to_owned())
    };
    suite.note(case, Some(Transport::Grpc), exchange.await);
}

/// The blocks of headers and trailers of stream 1, up to its end.
async fn grpc_status(connection: &mut Connection) -> Result<Vec<u8>, String> {
    let mut blocks = Vec::new();
    loop {
        let frame = connection.read().await?;
        match frame.kind {
            HEADERS | CONTINUATION if frame.stream == 1 => {
                blocks.extend(frame.payload);
                if frame.flags & END_STREAM != 0 {
                    return Ok(blocks);
                }
            }
            RST_STREAM if frame.stream == 1 => return Err(format!("the stream was reset: {:?}", frame.payload)),
            GOAWAY => return Err(format!("GOAWAY {:?}", frame.payload)),
            _ => {}
        }
    }
}

/// Whether a block of headers has this gRPC code: as digits, or in HPACK's Huffman code.
fn has_code(block: &[u8], code: i64) -> bool {
    // RFC 7541, appendix B: digits 0 to 2 have five bits, 3 to 9 six; padded with ones.
    let bits = |digit: u8| match digit {
        0..=2 => (5, u32::from(digit)),
        _ => (6, 0x19 + u32::from(digit) - 3),
    };
    let digits = code.to_string();
    let (mut length, mut packed) = (0, 0_u32);
    for digit in digits.bytes() {
        let (count, value) = bits(digit - b'0');
        packed = packed << count | value;
        length += count;
    }
    let bytes = u32::div_ceil(length, 8);
    let padded = packed << (bytes * 8 - length) | ((1 << (bytes * 8 - length)) - 1);
    let huffman: Vec<u8> = padded.to_be_bytes().into_iter().skip(usize::try_from(4 - bytes).unwrap_or(0)).collect();
    let plain = digits.into_bytes();
    let of = |flag: u8, text: &[u8]| [&[flag | u8::try_from(text.len()).unwrap_or(0)], text].concat();
    [of(0, &plain), of(0x80, &huffman)].iter().any(|value| block.windows(value.len()).any(|window| window == value))
}

/// A message that never comes whole, with a deadline of its own.
async fn deadline(suite: &Suite) {
    let case = ours("O-08", "grpc-timeout of 500 ms on a message that does not end", "DEADLINE_EXCEEDED");
    let limit = tokio::time::Instant::now() + RETRY_FOR;
    let verdict = loop {
        match status_of_endless(suite, &header("grpc-timeout", "500m")).await {
            Ok(block) if has_code(&block, DEADLINE_EXCEEDED) => break Ok("DEADLINE_EXCEEDED".to_owned()),
            // The server may have no room just now.
            Ok(block) if has_code(&block, UNAVAILABLE) && tokio::time::Instant::now() < limit => {
                tokio::time::sleep(RETRY_PAUSE).await;
            }
            Ok(block) => break Err(format!("{block:?}")),
            Err(error) => break Err(error),
        }
    };
    suite.note(case, Some(Transport::Grpc), verdict);
}

/// What a message that never comes whole is answered.
async fn status_of_endless(suite: &Suite, headers: &[u8]) -> Result<Vec<u8>, String> {
    let mut connection = Connection::open(suite).await?;
    connection.begin(1, headers, 0).await?;
    connection.send(DATA, 0, 1, &[0, 0, 0, 0, 100, 1]).await?;
    grpc_status(&mut connection).await
}

async fn stalled(suite: &Suite) {
    let case = ours("O-43", "a body that stops halfway", "UNAVAILABLE, or the stream or connection closed");
    let verdict = match status_of_endless(suite, &[]).await {
        Ok(block) if has_code(&block, UNAVAILABLE) => Ok("UNAVAILABLE".to_owned()),
        Ok(block) => Err(format!("{block:?}")),
        // Reset, told to go, or closed; but not silent, and not absent.
        Err(error) if error.starts_with("nothing") || error.starts_with("cannot connect") => Err(error),
        Err(error) => Ok(error),
    };
    suite.note(case, Some(Transport::Grpc), verdict);
}

async fn floods(suite: &Suite) {
    let case = ours(
        "O-84",
        "20,000 streams begun and reset at once",
        "the connection closed or served; an export after it succeeds",
    );
    let flood = async {
        let mut connection = Connection::open(suite).await?;
        for index in 0..20_000 {
            connection.begin(index * 2 + 1, &[], 0).await?;
            connection.send(RST_STREAM, 0, index * 2 + 1, &[0, 0, 0, 8]).await?;
        }
        Ok::<_, String>(())
    };
    tolerated(flood).await;
    suite.accepts(case, Transport::Grpc, &suite.request()).await;

    let case = ours("O-84", "headers that do not end, 64 MiB of CONTINUATION", "the connection closed before");
    suite.note(case, Some(Transport::Grpc), continuations(suite).await);

    let case =
        ours("O-84", "100,000 empty DATA frames", "the connection closed or served; an export after it succeeds");
    let flood = async {
        let mut connection = Connection::open(suite).await?;
        connection.begin(1, &[], 0).await?;
        let empty = frame(DATA, 0, 1, &[]).repeat(1000);
        for _ in 0..100 {
            connection.write(&empty).await?;
        }
        Ok::<_, String>(())
    };
    tolerated(flood).await;
    suite.accepts(case, Transport::Grpc, &suite.request()).await;
}

/// Sends a flood to its end. Being closed is as good as being served, and so is being left to wait.
async fn tolerated(flood: impl Future<Output = Result<(), String>>) {
    tokio::time::timeout(FLOOD_MAX, flood).await.ok();
}

async fn continuations(suite: &Suite) -> Verdict {
    let mut connection = Connection::open(suite).await?;
    let block = connection.headers.clone();
    connection.send(HEADERS, 0, 1, &block).await?;
    let part = frame(CONTINUATION, 0, 1, &header("x-flood", &"y".repeat(100)).repeat(140));
    for sent in 0..(64 << 20) / part.len() {
        let written = tokio::time::timeout(PATIENCE, connection.write(&part)).await;
        if written.map_err(|_| "neither closed nor read".to_owned())?.is_err() {
            return Ok(format!("closed within {} KiB", ((sent + 1) * part.len()) >> 10));
        }
    }
    Err("64 MiB were taken".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: blocks of headers with codes of one and two digits, plain and in Huffman code, from the RFC's tables.
    /// Guarantees: each is found as itself and as no other.
    #[test]
    fn codes_are_read_from_header_blocks() {
        // "4" is 011010, "14" is 00001 011010.
        assert!(has_code(&[0x40, 0x01, b'4'], 4) && has_code(&[0x81, 0b0110_1011], 4));
        assert!(has_code(&[2, b'1', b'4'], 14) && has_code(&[0x82, 0b0000_1011, 0b0101_1111], 14));
        assert!(!has_code(&[0x81, 0b0110_1011], 14) && !has_code(&[1, b'4'], 5));
    }
}

//! HTTP/1.1 by hand (O-06, O-43, O-84): what a client library is too polite to send.

use std::time::Duration;

use futures::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{must, ours};
use crate::answer::Answer;
use crate::client::{RETRY_FOR, RETRY_PAUSE};
use crate::report::Verdict;
use crate::suite::{Suite, written};
use crate::transport::Transport;

/// How long an answer may take; a guard against hanging.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a server that waits for no sender may take at most: twice its own limits, and some for a busy machine.
const SLOW_MAX: Duration = Duration::from_secs(90);

pub(super) async fn run(suite: &Suite) {
    tokio::join!(
        in_step(suite),
        chunked(suite),
        expectations(suite),
        slow(suite),
        idle(suite),
        never_begun(suite),
        broken_off(suite)
    );
}

/// A connection with what was read and not yet used.
struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
    transport: Transport,
    headers: String,
}

impl Connection {
    async fn open(suite: &Suite, transport: Transport) -> Result<Self, String> {
        let stream =
            TcpStream::connect(&suite.client.http).await.map_err(|error| format!("cannot connect: {error}"))?;
        let token = suite.client.token.as_ref().map(|token| format!("authorization: Bearer {token}\r\n"));
        let headers = format!("host: {}\r\n{}", suite.client.http, token.unwrap_or_default());
        Ok(Self { stream, read: Vec::new(), transport, headers })
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.stream.write_all(bytes).await.map_err(|error| format!("cannot write: {error}"))
    }

    /// The head of a POST, with `more` headers.
    async fn post(&mut self, path: &str, content_type: &str, more: &str) -> Result<(), String> {
        let head = format!("POST {path} HTTP/1.1\r\n{}content-type: {content_type}\r\n{more}\r\n", self.headers);
        self.write(head.as_bytes()).await
    }

    /// Sends a request and takes its answer, again while it is refused for now; on a new connection after one that is closed.
    async fn exchange(&mut self, suite: &Suite, path: &str, kind: &str, body: &[u8]) -> Result<Answer, String> {
        let deadline = tokio::time::Instant::now() + RETRY_FOR;
        loop {
            self.post(path, kind, &length(body)).await?;
            self.write(body).await?;
            let answer = self.answer().await?;
            suite.client.count(self.transport, Some(&answer));
            if answer.header("connection").eq_ignore_ascii_case("close") {
                *self = Self::open(suite, self.transport).await?;
            }
            if !answer.is_overload() || tokio::time::Instant::now() > deadline {
                return Ok(answer);
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    /// The next answer. One of 100 to 199 has no body.
    async fn answer(&mut self) -> Result<Answer, String> {
        let reading = async {
            loop {
                if let Some(answer) = self.take_answer()? {
                    return Ok(answer);
                }
                let mut buffer = [0; 4096];
                let count = self.stream.read(&mut buffer).await.map_err(|error| format!("cannot read: {error}"))?;
                if count == 0 {
                    return Err("closed without an answer".to_owned());
                }
                self.read.extend(buffer.iter().take(count));
            }
        };
        tokio::time::timeout(PATIENCE, reading).await.unwrap_or_else(|_| Err(format!("no answer within {PATIENCE:?}")))
    }

    /// An answer, once all of it is there.
    fn take_answer(&mut self) -> Result<Option<Answer>, String> {
        let Some(end) = self.read.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
        let head = String::from_utf8_lossy(self.read.get(..end).unwrap_or_default()).into_owned();
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).ok_or("no status line")?;
        let mut headers = http::HeaderMap::new();
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let name = http::HeaderName::try_from(name).map_err(|error| error.to_string())?;
            headers.append(name, http::HeaderValue::try_from(value.trim()).map_err(|error| error.to_string())?);
        }
        let length = headers.get("content-length").and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0);
        if self.read.len() < end + 4 + length {
            return Ok(None);
        }
        let body = self.read.drain(..end + 4 + length).skip(end + 4).collect();
        Ok(Some(Answer { transport: self.transport, status, headers, body }))
    }
}

/// Whether the server closes the connection, with an answer or without.
async fn until_closed(mut stream: TcpStream) -> Verdict {
    let mut rest = Vec::new();
    match tokio::time::timeout(SLOW_MAX, stream.read_to_end(&mut rest)).await {
        Ok(_) => Ok("closed".to_owned()),
        Err(_) => Err(format!("still open after {SLOW_MAX:?}")),
    }
}

fn length(bytes: &[u8]) -> String {
    format!("content-length: {}\r\n", bytes.len())
}

/// Requests good and bad on one connection: each answer has to belong to its request.
async fn in_step(suite: &Suite) {
    let case = must(
        "O-06",
        "good and refused requests on one connection",
        "each its own answer, or a connection that is closed",
    );
    for transport in Transport::HTTP {
        let verdict = in_step_on(suite, transport).await;
        suite.note(case, Some(transport), verdict);
    }
}

async fn in_step_on(suite: &Suite, transport: Transport) -> Verdict {
    let kind = transport.content_type();
    let mut connection = Connection::open(suite, transport).await?;
    for round in 0..3 {
        let request = suite.request();
        let good = written(transport, &request);
        let steps: [(&str, &str, &[u8], &[u16]); 5] = [
            ("/v1/traces", kind, &good, &[200]),
            ("/v1/traces", "text/plain", b"hello", &[415, 400]),
            ("/v1/none", kind, b"lost", &[404]),
            ("/v1/traces", kind, b"garbage", &[400]),
            ("/v1/traces", kind, b"", &[200, 400]),
        ];
        for (path, content_type, body, allowed) in steps {
            let answer = connection.exchange(suite, path, content_type, body).await?;
            if !allowed.contains(&answer.status.as_u16()) {
                return Err(format!("round {round}, POST {path} as {content_type}: {}", answer.shown()));
            }
            if answer.status == http::StatusCode::OK && !body.is_empty() {
                answer.full()?;
                suite.expect_stored("O-06", "good and refused requests on one connection", transport, &request);
            }
        }
    }
    Ok("each its own".to_owned())
}

/// Does an exchange on a connection of its own, again while it is refused for now.
async fn patiently<F>(suite: &Suite, transport: Transport, exchange: impl Fn(Connection) -> F) -> Result<Answer, String>
where
    F: Future<Output = Result<Answer, String>>,
{
    let deadline = tokio::time::Instant::now() + RETRY_FOR;
    loop {
        let answer = exchange(Connection::open(suite, transport).await?).await?;
        suite.client.count(transport, Some(&answer));
        if !answer.is_overload() || tokio::time::Instant::now() > deadline {
            return Ok(answer);
        }
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

async fn chunked(suite: &Suite) {
    let case = must("O-06", "a body in chunks, without Content-Length", "success");
    for transport in Transport::HTTP {
        let request = suite.request();
        let body = &written(transport, &request);
        let exchange = |mut connection: Connection| async move {
            connection.post("/v1/traces", transport.content_type(), "transfer-encoding: chunked\r\n").await?;
            for chunk in body.chunks(7) {
                connection.write(format!("{:x}\r\n", chunk.len()).as_bytes()).await?;
                connection.write(chunk).await?;
                connection.write(b"\r\n").await?;
            }
            connection.write(b"0\r\n\r\n").await?;
            connection.answer().await
        };
        let verdict = patiently(suite, transport, exchange).await.and_then(|answer| answer.full());
        if verdict.is_ok() {
            suite.expect_stored(case.item, case.name, transport, &request);
        }
        suite.note(case, Some(transport), verdict);
    }
}

/// A client that waits to be told to go on.
async fn expectations(suite: &Suite) {
    let case = must("O-06", "Expect: 100-continue", "100, then success");
    for transport in Transport::HTTP {
        let request = suite.request();
        let body = &written(transport, &request);
        let exchange = |mut connection: Connection| async move {
            let more = format!("{}expect: 100-continue\r\n", length(body));
            connection.post("/v1/traces", transport.content_type(), &more).await?;
            let first = connection.answer().await?;
            match first.status.as_u16() {
                100 => {
                    connection.write(body).await?;
                    connection.answer().await
                }
                _ if first.is_overload() => Ok(first),
                _ => Err(format!("{} before the body", first.shown())),
            }
        };
        let verdict = patiently(suite, transport, exchange).await.and_then(|answer| answer.full());
        if verdict.is_ok() {
            suite.expect_stored(case.item, case.name, transport, &request);
        }
        suite.note(case, Some(transport), verdict);
    }
}

/// A body that stops coming: whoever sent it must not lose its spans over that.
async fn slow(suite: &Suite) {
    let case = ours(
        "O-43",
        "a body that stops halfway",
        "429 or 503 with Status and Retry-After of 1 s or more, or a closed connection",
    );
    let stalled = |transport| async move {
        let mut connection = Connection::open(suite, transport).await?;
        connection.post("/v1/traces", transport.content_type(), "content-length: 100\r\n").await?;
        connection.write(b"{").await?;
        match connection.answer().await {
            Ok(answer) => answer.postponed(),
            Err(error) if error.starts_with("closed") || error.starts_with("cannot read") => Ok("closed".to_owned()),
            Err(error) => Err(error),
        }
    };
    let [protobuf, json] = Transport::HTTP;
    let verdicts = tokio::join!(stalled(protobuf), stalled(json));
    suite.note(case, Some(protobuf), verdicts.0);
    suite.note(case, Some(json), verdicts.1);
}

/// Connections that say nothing, or half a head.
async fn idle(suite: &Suite) {
    let case = ours("O-84", "200 connections that stop in the middle of a head", "each closed");
    let stalled = |_| async move {
        let mut connection = Connection::open(suite, Transport::HttpJson).await?;
        connection.write(b"POST /v1/traces HTTP/1.1\r\nhost: x\r\nx-slow: ").await?;
        until_closed(connection.stream).await
    };
    let verdicts: Vec<Verdict> = futures::stream::iter(0..200).map(stalled).buffer_unordered(200).collect().await;
    verdicts.into_iter().for_each(|verdict| suite.note(case, None, verdict));
    let case = must("O-84", "an export after connections were held open", "success");
    suite.accepts(case, Transport::HttpJson, &suite.request()).await;
}

/// Connections that never come to a first request, on both ports.
async fn never_begun(suite: &Suite) {
    let case = ours("O-84", "connections that send nothing, or half of HTTP/2's preface", "each closed");
    let silent = |(address, bytes): (String, &'static [u8])| async move {
        let mut stream = TcpStream::connect(address).await.map_err(|error| format!("cannot connect: {error}"))?;
        stream.write_all(bytes).await.map_err(|error| format!("cannot write: {error}"))?;
        until_closed(stream).await
    };
    let addresses = [&suite.client.grpc, &suite.client.http];
    let attempts = addresses
        .into_iter()
        .flat_map(|address| [&b""[..], b"PRI * HTTP/2.0\r\n"].map(|bytes| (address.clone(), bytes)));
    let verdicts: Vec<Verdict> = futures::stream::iter(attempts).map(silent).buffer_unordered(4).collect().await;
    verdicts.into_iter().for_each(|verdict| suite.note(case, None, verdict));
}

/// Clients that leave in the middle of a body, or before the answer.
async fn broken_off(suite: &Suite) {
    let case = ours("O-84", "50 bodies that break off", "an export after them succeeds");
    for transport in Transport::HTTP {
        for _ in 0..50 {
            let leaving = async {
                let mut connection = Connection::open(suite, transport).await?;
                connection.post("/v1/traces", transport.content_type(), "content-length: 100\r\n").await?;
                connection.write(b"{").await
            };
            if let Err(error) = leaving.await {
                suite.note(case, Some(transport), Err(error));
            }
        }
        suite.accepts(case, transport, &suite.request()).await;
    }
}

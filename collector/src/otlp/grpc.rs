//! OTLP/gRPC: `TraceService/Export` and `LogsService/Export`, and what calls to other paths are answered, on plain HTTP/2.
//!
//! An export shows its token, where one is asked for, before anything of its body is read; the health check ([`health`]) is open to all.
//!
//! The framing of a unary call is five bytes and two trailers. Doing it here keeps the body as the bytes that came, takes the
//! budget before they are read, and answers oversize and overload as OTLP wants, which no off-the-shelf codec does.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use daytwo_storage::{PayloadCompression, PayloadFormat};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request as HttpRequest, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Empty, Full};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use prost::Message;
use tonic::{Code, Status};

use super::Reply;
use super::body::{Collected, drain, read};
use super::export::{Answer, Ingest, Request, Signal};
use super::health;
use super::status::{Refusal, Shed};
use crate::server::Caller;
use crate::telemetry::Transport;

const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const EXPORT_LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
const HEALTH: &str = "/grpc.health.v1.Health/Check";
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const ACCEPTED_ENCODINGS: HeaderValue = HeaderValue::from_static("identity,gzip,zstd");
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// A message's prefix: one byte "compressed", four bytes length.
pub(super) const PREFIX_BYTES: usize = 5;

/// Answers one request.
pub(crate) async fn serve<B>(ingest: Arc<Ingest>, caller: &Caller, request: HttpRequest<B>) -> Reply
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: std::fmt::Display,
{
    if let Some(refused) = not_grpc(&request) {
        return refused;
    }
    match request.uri().path() {
        path @ (EXPORT | EXPORT_LOGS) => {
            let signal = if path == EXPORT { Signal::Traces } else { Signal::Logs };
            let _in_work = ingest.telemetry().begin_request();
            let (parts, mut body) = request.into_parts();
            let result = with_timeout(&parts.headers, export(&ingest, signal, caller, &parts.headers, &mut body)).await;
            ingest.telemetry().count_request(Transport::Grpc);
            match result {
                Ok(answer) => unary(&response(answer).encode_to_vec()),
                Err(refusal) => {
                    ingest.count_refusal(&refusal);
                    if !body.is_end_stream() && !caller.may_break_off(&refusal, parts.version) {
                        ingest.tasks().spawn(drain(body, ingest.config().request_bytes_max));
                    }
                    refused(&refusal)
                }
            }
        }
        HEALTH => health::check(|| ingest.is_ready(), request.into_body()).await,
        other => refused(&Refusal::NotFound(other.to_owned())),
    }
}

/// The plain HTTP answer to what is no gRPC call.
fn not_grpc<B>(request: &HttpRequest<B>) -> Option<Reply> {
    let kind = request.headers().get(CONTENT_TYPE).map_or(&[][..], HeaderValue::as_bytes);
    let status = if request.method() != Method::POST {
        StatusCode::METHOD_NOT_ALLOWED
    } else if !kind.to_ascii_lowercase().starts_with(b"application/grpc") {
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    } else {
        return None;
    };
    let mut reply = Response::new(Empty::new().boxed_unsync());
    *reply.status_mut() = status;
    Some(reply)
}

async fn export<B>(
    ingest: &Arc<Ingest>,
    signal: Signal,
    caller: &Caller,
    headers: &HeaderMap,
    body: &mut B,
) -> Result<Answer, Refusal>
where
    B: Body<Data = Bytes> + Send + Unpin,
    B::Error: std::fmt::Display,
{
    ingest.authenticate(headers)?;
    let compression = compression(headers)?;
    let framed = body.size_hint().exact().and_then(|length| usize::try_from(length).ok());
    let length = framed.map(|length| length.saturating_sub(PREFIX_BYTES));
    let mut share = ingest.admit(caller.peer, length, compression.is_some())?;
    let limits = ingest.body_limits(ingest.config().request_bytes_max.saturating_add(PREFIX_BYTES));
    let reading =
        read(body, limits, &mut share, framed_length, |length| ingest.likely_cost(length, compression.is_some()));
    let mut framed = tokio::select! {
        framed = reading => framed.map_err(|refusal| without_prefix(refusal, ingest.config().request_bytes_max))?,
        () = ingest.deadline().cancelled() => return Err(stopping()),
    };
    let Some(&[flag, a, b, c, d]) = framed.first_chunk::<PREFIX_BYTES>() else {
        return Err(Refusal::Malformed("the call carries no message".to_owned()));
    };
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    let payload = framed.split_off(PREFIX_BYTES);
    if payload.len() != length {
        return Err(Refusal::Malformed(format!("the message has {} of {length} bytes", payload.len())));
    }
    let compression = match (flag, compression) {
        (0, _) => PayloadCompression::None,
        (1, Some(compression)) => compression,
        (1, None) => return Err(Refusal::EncodingMissing),
        _ => return Err(Refusal::Malformed(format!("a message's first byte is {flag}, not 0 or 1"))),
    };
    let (transport, format) = (Transport::Grpc, PayloadFormat::Protobuf);
    ingest.take(signal, Request { transport, payload, format, compression, share }).await
}

/// The length of the framed message, once its prefix is there.
fn framed_length(collected: &Collected) -> Result<Option<usize>, Refusal> {
    let Some([_, a, b, c, d]) = collected.head::<PREFIX_BYTES>() else { return Ok(None) };
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    Ok(Some(length.saturating_add(PREFIX_BYTES)))
}

/// The client knows the limit of a message, not of message and prefix.
fn without_prefix(refusal: Refusal, bytes_max: usize) -> Refusal {
    if let Refusal::TooLarge { .. } = refusal { Refusal::TooLarge { bytes_max } } else { refusal }
}

pub(super) fn stopping() -> Refusal {
    Refusal::Shed(Shed::ShuttingDown, "the server is stopping; send the request again".into())
}

/// How messages marked as compressed are compressed.
fn compression(headers: &HeaderMap) -> Result<Option<PayloadCompression>, Refusal> {
    let Some(encoding) = headers.get(GRPC_ENCODING) else { return Ok(None) };
    match encoding.as_bytes() {
        b"identity" | b"" => Ok(None),
        b"gzip" => Ok(Some(PayloadCompression::Gzip)),
        b"zstd" => Ok(Some(PayloadCompression::Zstd)),
        other => Err(Refusal::UnsupportedEncoding(String::from_utf8_lossy(other).into_owned())),
    }
}

async fn with_timeout(
    headers: &HeaderMap,
    work: impl Future<Output = Result<Answer, Refusal>>,
) -> Result<Answer, Refusal> {
    match headers.get(GRPC_TIMEOUT).and_then(|value| parse_timeout(value.to_str().ok()?)) {
        Some(limit) => tokio::time::timeout(limit, work).await.unwrap_or(Err(Refusal::DeadlineExceeded)),
        None => work.await,
    }
}

/// At most eight digits and a unit.
fn parse_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count.saturating_mul(3600))),
        "M" => Some(Duration::from_secs(count.saturating_mul(60))),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

/// `partial_success` is unset unless spans were rejected. The answer to log records has the same fields under the same numbers.
pub(super) fn response(answer: Answer) -> ExportTraceServiceResponse {
    let partial_success = (answer.rejected > 0).then(|| ExportTracePartialSuccess {
        rejected_spans: i64::try_from(answer.rejected).unwrap_or(i64::MAX),
        error_message: answer.message,
    });
    ExportTraceServiceResponse { partial_success }
}

/// One message, then status OK.
pub(super) fn unary(message: &[u8]) -> Reply {
    let mut framed = BytesMut::with_capacity(message.len().saturating_add(PREFIX_BYTES));
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put_slice(message);
    let mut trailers = HeaderMap::new();
    trailers.insert(GRPC_STATUS, HeaderValue::from_static("0"));
    let body = Full::new(framed.freeze()).with_trailers(async move { Some(Ok::<_, Infallible>(trailers)) });
    grpc_reply(body.boxed_unsync())
}

fn refused(refusal: &Refusal) -> Reply {
    failed(&refusal.to_grpc())
}

/// A status alone.
pub(super) fn failed(status: &Status) -> Reply {
    let mut reply = grpc_reply(Empty::new().boxed_unsync());
    if let Err(status) = status.add_header(reply.headers_mut()) {
        tracing::error!(%status, "a status cannot be written as headers");
        reply.headers_mut().insert(GRPC_STATUS, HeaderValue::from(i32::from(Code::Unavailable)));
    }
    reply
}

fn grpc_reply(body: super::ReplyBody) -> Reply {
    let mut reply = Response::new(body);
    reply.headers_mut().insert(CONTENT_TYPE, GRPC);
    reply.headers_mut().insert(GRPC_ACCEPT_ENCODING, ACCEPTED_ENCODINGS);
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: deadlines as gRPC writes them, and malformed ones.
    /// Guarantees: each unit is understood; what is malformed is no deadline.
    #[test]
    fn timeouts_are_parsed() {
        assert_eq!(parse_timeout("10S"), Some(Duration::from_secs(10)));
        assert_eq!(parse_timeout("250m"), Some(Duration::from_millis(250)));
        assert_eq!(parse_timeout("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        for bad in ["", "S", "10", "-1S", "123456789S", "1x", "é"] {
            assert_eq!(parse_timeout(bad), None, "{bad}");
        }
    }
}

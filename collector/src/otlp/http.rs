//! OTLP/HTTP: `POST /v1/traces` and `/v1/logs`, protobuf and JSON by content type, over HTTP/1.1 and HTTP/2.
//!
//! Every refusal has a `google.rpc.Status` as its body, in the request's own encoding, or in JSON when that is unknown.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use daytwo_storage::{PayloadCompression, PayloadFormat};
use http::header::{
    ALLOW, CONTENT_ENCODING, CONTENT_TYPE, EXPECT, HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{Method, Request as HttpRequest, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use prost::Message;

use super::body::{drain, read};
use super::export::{Answer, Ingest, Request, Signal};
use super::grpc::{response, stopping};
use super::status::Refusal;
use super::{Reply, cors};
use crate::server::Caller;
use crate::telemetry::Transport;

const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Answers one request.
pub(crate) async fn serve<B>(ingest: Arc<Ingest>, caller: &Caller, request: HttpRequest<B>) -> Reply
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: std::fmt::Display,
{
    let (parts, body) = request.into_parts();
    let origins = &ingest.config().cors_allowed_origins;
    let mut reply = match cors::preflight(origins, &parts) {
        Some(reply) => reply,
        None => answer(&ingest, caller, &parts, body).await,
    };
    cors::show(origins, &parts.headers, &mut reply);
    reply
}

async fn answer<B>(ingest: &Arc<Ingest>, caller: &Caller, parts: &http::request::Parts, mut body: B) -> Reply
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: std::fmt::Display,
{
    let _in_work = ingest.telemetry().begin_request();
    let format = format(&parts.headers);
    let signal = signal(parts.uri.path());
    let result = export(ingest, signal, caller, parts, &format, &mut body).await;
    ingest.telemetry().count_request(format.as_ref().map_or(Transport::HttpOther, |format| transport(*format)));
    let format = format.unwrap_or(PayloadFormat::Json);
    match result {
        Ok(answer) => accepted(answer, signal, format),
        Err(refusal) => {
            ingest.count_refusal(&refusal);
            // Reading on would tell a client that waits for 100-continue to send what nobody wants.
            let wanted = !body.is_end_stream() && !parts.headers.contains_key(EXPECT);
            if wanted && !caller.may_break_off(&refusal, parts.version) {
                ingest.tasks().spawn(drain(body, ingest.config().request_bytes_max));
            }
            refused(&refusal, format)
        }
    }
}

async fn export<B>(
    ingest: &Arc<Ingest>,
    signal: Option<Signal>,
    caller: &Caller,
    parts: &http::request::Parts,
    format: &Result<PayloadFormat, Refusal>,
    body: &mut B,
) -> Result<Answer, Refusal>
where
    B: Body<Data = Bytes> + Send + Unpin,
    B::Error: std::fmt::Display,
{
    let signal = signal.ok_or_else(|| Refusal::NotFound(parts.uri.path().to_owned()))?;
    if parts.method != Method::POST {
        return Err(Refusal::MethodNotAllowed);
    }
    ingest.authenticate(&parts.headers)?;
    let format = format.clone()?;
    let compression = compression(&parts.headers)?;
    let declared = body.size_hint().exact().map(|length| usize::try_from(length).unwrap_or(usize::MAX));
    let compressed = compression != PayloadCompression::None;
    let mut share = ingest.admit(caller.peer, declared, compressed)?;
    let limits = ingest.body_limits(ingest.config().request_bytes_max);
    let reading = read(body, limits, &mut share, |_| Ok(declared), |length| ingest.likely_cost(length, compressed));
    let payload = tokio::select! {
        payload = reading => payload?,
        () = ingest.deadline().cancelled() => return Err(stopping()),
    };
    ingest.take(signal, Request { transport: transport(format), payload, format, compression, share }).await
}

fn signal(path: &str) -> Option<Signal> {
    match path {
        "/v1/traces" | "/v1/traces/" => Some(Signal::Traces),
        "/v1/logs" | "/v1/logs/" => Some(Signal::Logs),
        _ => None,
    }
}

fn format(headers: &HeaderMap) -> Result<PayloadFormat, Refusal> {
    let kind = headers.get(CONTENT_TYPE).map_or(&[][..], HeaderValue::as_bytes);
    let essence = kind.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
    if essence.eq_ignore_ascii_case(b"application/x-protobuf") {
        Ok(PayloadFormat::Protobuf)
    } else if essence.eq_ignore_ascii_case(b"application/json") {
        Ok(PayloadFormat::Json)
    } else {
        Err(Refusal::UnsupportedContentType(shown(kind)))
    }
}

fn transport(format: PayloadFormat) -> Transport {
    match format {
        PayloadFormat::Protobuf => Transport::HttpProtobuf,
        PayloadFormat::Json => Transport::HttpJson,
    }
}

fn compression(headers: &HeaderMap) -> Result<PayloadCompression, Refusal> {
    let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
    let (first, second) = (encodings.next(), encodings.next());
    let encoding = first.map_or(&[][..], HeaderValue::as_bytes).trim_ascii();
    if second.is_some() {
        return Err(Refusal::UnsupportedEncoding("several".to_owned()));
    }
    match encoding.to_ascii_lowercase().as_slice() {
        b"" | b"none" | b"identity" => Ok(PayloadCompression::None),
        b"gzip" | b"x-gzip" => Ok(PayloadCompression::Gzip),
        b"zstd" => Ok(PayloadCompression::Zstd),
        _ => Err(Refusal::UnsupportedEncoding(shown(encoding))),
    }
}

/// What a client sent, cut to what an error message can carry.
fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.get(..100).unwrap_or(bytes)).into_owned()
}

fn accepted(answer: Answer, signal: Option<Signal>, format: PayloadFormat) -> Reply {
    let body = match format {
        PayloadFormat::Protobuf => response(answer).encode_to_vec(),
        PayloadFormat::Json if answer.rejected == 0 => b"{}".to_vec(),
        PayloadFormat::Json => {
            let Answer { rejected, message } = answer;
            let what = if signal == Some(Signal::Logs) { "rejectedLogRecords" } else { "rejectedSpans" };
            let partial = serde_json::json!({what: rejected.to_string(), "errorMessage": message});
            serde_json::json!({ "partialSuccess": partial }).to_string().into_bytes()
        }
    };
    reply(body, format)
}

fn refused(refusal: &Refusal, format: PayloadFormat) -> Reply {
    let body = match format {
        PayloadFormat::Protobuf => refusal.to_protobuf(),
        PayloadFormat::Json => refusal.to_json(),
    };
    let mut reply = reply(body, format);
    *reply.status_mut() = refusal.http_status();
    if let Some(delay) = refusal.retry_after() {
        reply.headers_mut().insert(RETRY_AFTER, HeaderValue::from(whole_seconds(delay)));
    }
    if *refusal == Refusal::Unauthenticated {
        reply.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if *refusal == Refusal::MethodNotAllowed {
        reply.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    }
    reply
}

/// To the nearest second, and not to none.
fn whole_seconds(delay: Duration) -> u64 {
    delay.saturating_add(Duration::from_millis(500)).as_secs().max(1)
}

fn reply(body: Vec<u8>, format: PayloadFormat) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(body)).boxed_unsync());
    let kind = match format {
        PayloadFormat::Protobuf => PROTOBUF,
        PayloadFormat::Json => JSON,
    };
    reply.headers_mut().insert(CONTENT_TYPE, kind);
    reply
}

//! `grpc.health.v1.Health/Check`: whether the server takes spans, as a whole or by the name of one of its services.
//! Other names are `NOT_FOUND`, as the protocol wants it.

use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use http_body_util::{BodyExt, Limited};
use prost::Message;
use tonic::Status;

use super::Reply;
use super::grpc::{PREFIX_BYTES, failed, unary};

/// The server as a whole, and what it receives.
const SERVICES: [&str; 3] =
    ["", "opentelemetry.proto.collector.trace.v1.TraceService", "opentelemetry.proto.collector.logs.v1.LogsService"];
/// A check is a name: 4 KiB, within 5 s.
const BODY_BYTES_MAX: usize = 4096;
const WAIT: Duration = Duration::from_secs(5);

/// `HealthCheckResponse { status: SERVING }`, and `NOT_SERVING`.
const SERVING: &[u8] = &[0x08, 0x01];
const NOT_SERVING: &[u8] = &[0x08, 0x02];

#[derive(Clone, PartialEq, Eq, Message)]
struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    service: String,
}

/// Answers a check.
pub(super) async fn check<B>(is_ready: impl Fn() -> bool, body: B) -> Reply
where
    B: Body<Data = Bytes> + Send + Unpin,
    B::Error: std::fmt::Display,
{
    match asked(body).await {
        Ok(service) if SERVICES.contains(&service.as_str()) => unary(if is_ready() { SERVING } else { NOT_SERVING }),
        Ok(service) => failed(&Status::not_found(format!("there is no service {service:?} here"))),
        Err(status) => failed(&status),
    }
}

/// The service that a check asks for.
async fn asked<B>(body: B) -> Result<String, Status>
where
    B: Body<Data = Bytes> + Send + Unpin,
    B::Error: std::fmt::Display,
{
    let body = Limited::new(body.map_err(|error| error.to_string()), BODY_BYTES_MAX);
    let read = tokio::time::timeout(WAIT, body.collect()).await;
    let read = read.map_err(|_| Status::deadline_exceeded("the check did not come"))?;
    let framed =
        read.map_err(|error| Status::invalid_argument(format!("the check cannot be read: {error}")))?.to_bytes();
    let Some((&[flag, a, b, c, d], message)) = framed.split_first_chunk::<PREFIX_BYTES>() else {
        return Err(Status::invalid_argument("the call carries no message"));
    };
    if flag != 0 {
        return Err(Status::unimplemented("compressed checks are not taken"));
    }
    if u32::try_from(message.len()).ok() != Some(u32::from_be_bytes([a, b, c, d])) {
        return Err(Status::invalid_argument("the call carries part of a message, or more than one"));
    }
    let request = HealthCheckRequest::decode(message);
    request.map(|request| request.service).map_err(|error| Status::invalid_argument(error.to_string()))
}

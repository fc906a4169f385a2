//! Sending OTLP requests as SDKs do: over gRPC or HTTP, as protobuf or JSON, compressed or not.
//!
//! gRPC is framed here, on a plain HTTP/2 client, because a body that is encoded and compressed once can then
//! be sent again as it is. What an answer means for the sender follows the OTLP specification.

mod answer;
mod retry;

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{Request, Uri, header};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use crate::encode::json;
use crate::shop::Export;
pub use answer::Answer;
pub use retry::{RetryPolicy, Sent, send_until_answered};

const GRPC_PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const HTTP_PATH: &str = "/v1/traces";

/// Why an exporter or a shop cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The endpoint is not `http://host:port`.
    #[error("endpoint {endpoint:?} is not of the form http://host:port")]
    Endpoint {
        /// What was given.
        endpoint: String,
    },
}

/// Where requests go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    /// `http://host:port` of OTLP/gRPC.
    pub grpc: Uri,
    /// `http://host:port` of OTLP/HTTP.
    pub http: Uri,
}

impl Endpoints {
    /// Reads the endpoints from `host:port` texts.
    ///
    /// # Errors
    /// [`SetupError::Endpoint`] when one is something else.
    pub fn new(grpc: &str, http: &str) -> Result<Self, SetupError> {
        let uri = |text: &str| {
            let build = Uri::builder().scheme("http").authority(text).path_and_query("/").build();
            build.map_err(|_| SetupError::Endpoint { endpoint: text.into() })
        };
        Ok(Self { grpc: uri(grpc)?, http: uri(http)? })
    }
}

/// A connection to the collector, opened when first needed and again when lost.
#[derive(Debug)]
pub struct Exporter {
    client: Client<HttpConnector, Full<Bytes>>,
    uri: Uri,
    export: Export,
    timeout: Duration,
}

impl Exporter {
    /// An exporter of that kind. A request that gets no answer within `timeout` counts as lost.
    ///
    /// # Errors
    /// [`SetupError::Endpoint`] when the endpoint has no host.
    pub fn new(export: Export, endpoints: &Endpoints, timeout: Duration) -> Result<Self, SetupError> {
        let (base, path) = if is_grpc(export) { (&endpoints.grpc, GRPC_PATH) } else { (&endpoints.http, HTTP_PATH) };
        let wrong = || SetupError::Endpoint { endpoint: base.to_string() };
        let authority = base.authority().ok_or_else(wrong)?.clone();
        let uri = Uri::builder().scheme("http").authority(authority).path_and_query(path).build();
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).http2_only(is_grpc(export)).build(connector);
        Ok(Self { client, uri: uri.map_err(|_| wrong())?, export, timeout })
    }

    /// Turns an encoded protobuf request into the body that goes over the wire, and that may be sent repeatedly.
    pub fn prepare(&self, protobuf: &Bytes) -> Bytes {
        prepare(self.export, protobuf)
    }

    /// Sends a prepared body once.
    pub async fn send(&self, body: Bytes) -> Answer {
        let request = match self.request(body) {
            Ok(request) => request,
            Err(error) => return Answer::Refused { reason: error.to_string() },
        };
        match tokio::time::timeout(self.timeout, self.exchange(request)).await {
            Ok(answer) => answer,
            Err(_) => Answer::Lost { reason: format!("no answer within {:?}", self.timeout) },
        }
    }

    fn request(&self, body: Bytes) -> Result<Request<Full<Bytes>>, http::Error> {
        let mut request = Request::post(self.uri.clone()).header(header::USER_AGENT, "daytwo-traffic");
        request = match self.export {
            Export::Grpc | Export::GrpcGzip => {
                request.header(header::CONTENT_TYPE, "application/grpc").header(header::TE, "trailers")
            }
            Export::Http | Export::HttpGzip => request.header(header::CONTENT_TYPE, "application/x-protobuf"),
            Export::HttpJson => request.header(header::CONTENT_TYPE, "application/json"),
        };
        request = match self.export {
            Export::GrpcGzip => request.header("grpc-encoding", "gzip"),
            Export::HttpGzip => request.header(header::CONTENT_ENCODING, "gzip"),
            Export::Grpc | Export::Http | Export::HttpJson => request,
        };
        request.body(Full::new(body))
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Answer {
        match self.client.request(request).await {
            // A connection that was never made cannot have carried the request.
            Err(error) if error.is_connect() => Answer::Retry { after: None, reason: error_chain(&error) },
            Err(error) => Answer::Lost { reason: error_chain(&error) },
            Ok(response) if is_grpc(self.export) => answer::read_grpc(response).await,
            Ok(response) => answer::read_http(response).await,
        }
    }
}

fn is_grpc(export: Export) -> bool {
    matches!(export, Export::Grpc | Export::GrpcGzip)
}

/// The wire form of an encoded protobuf request: compressed, framed or translated as the kind of export asks.
pub fn prepare(export: Export, protobuf: &Bytes) -> Bytes {
    match export {
        Export::Grpc => grpc_frame(0, protobuf),
        Export::GrpcGzip => grpc_frame(1, &gzip(protobuf)),
        Export::Http => protobuf.clone(),
        Export::HttpGzip => gzip(protobuf).into(),
        // The model made these bytes; were they damaged, the server would see an empty request.
        Export::HttpJson => json::encode(&ExportTraceServiceRequest::decode(protobuf.clone()).unwrap_or_default()),
    }
}

fn grpc_frame(compressed: u8, message: &[u8]) -> Bytes {
    let mut frame = Vec::with_capacity(message.len() + 5);
    frame.push(compressed);
    frame.extend(u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    frame.extend(message);
    frame.into()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::new(6));
    // Writing to a Vec cannot fail.
    encoder.write_all(bytes).and_then(|()| encoder.finish()).unwrap_or_default()
}

fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests;

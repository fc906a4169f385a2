//! A collector that answers as it is told, on a port of its own.

use std::convert::Infallible;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::export::Endpoints;

/// What the collector does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Takes it.
    Accept,
    /// Asks to come back later.
    Busy,
    /// Says that it is invalid.
    Invalid,
    /// Reads it and closes the connection.
    HangUp,
    /// Reads it and says nothing.
    Never,
}

#[derive(Default)]
struct Seen {
    requests: AtomicUsize,
    spans: AtomicUsize,
}

pub(crate) struct FakeCollector {
    pub(crate) endpoints: Endpoints,
    seen: Arc<Seen>,
    accepting: JoinHandle<()>,
}

impl Drop for FakeCollector {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

type Body = UnsyncBoxBody<Bytes, Infallible>;
type Script = Arc<dyn Fn(usize) -> Reply + Send + Sync>;

impl FakeCollector {
    /// Starts one whose reply to the n-th request, from 0, is `script(n)`.
    pub(crate) async fn start(script: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (seen, script) = (Arc::new(Seen::default()), Arc::new(script) as Script);
        let accepting = tokio::spawn(accept(listener, Arc::clone(&seen), script));
        Self { endpoints: Endpoints::new(&address, &address).unwrap(), seen, accepting }
    }

    /// Requests received.
    pub(crate) fn requests(&self) -> usize {
        self.seen.requests.load(Ordering::SeqCst)
    }

    /// Spans in accepted requests.
    pub(crate) fn spans(&self) -> usize {
        self.seen.spans.load(Ordering::SeqCst)
    }
}

async fn accept(listener: TcpListener, seen: Arc<Seen>, script: Script) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (seen, script) = (Arc::clone(&seen), Arc::clone(&script));
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, Arc::clone(&seen), Arc::clone(&script)));
            // A hang-up ends the connection with an error, as it should.
            auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await.ok();
        });
    }
}

async fn answer(request: Request<Incoming>, seen: Arc<Seen>, script: Script) -> Result<Response<Body>, HungUp> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| HungUp)?.to_bytes();
    let reply = script(seen.requests.fetch_add(1, Ordering::SeqCst));
    if reply == Reply::Accept {
        seen.spans.fetch_add(count_spans(&head.headers, &body), Ordering::SeqCst);
    }
    let grpc = content_type(&head.headers) == "application/grpc";
    match reply {
        Reply::HangUp => Err(HungUp),
        Reply::Never => std::future::pending().await,
        _ if grpc => Ok(grpc_answer(reply)),
        _ => Ok(http_answer(reply)),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("hung up")]
struct HungUp;

fn grpc_answer(reply: Reply) -> Response<Body> {
    let code = match reply {
        Reply::Accept => "0",
        Reply::Busy => "14",
        _ => "3",
    };
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", code.parse().unwrap());
    let body = Full::new(Bytes::from_static(&[0; 5])).with_trailers(std::future::ready(Some(Ok(trailers))));
    Response::builder().header("content-type", "application/grpc").body(body.boxed_unsync()).unwrap()
}

fn http_answer(reply: Reply) -> Response<Body> {
    let status = match reply {
        Reply::Accept => 200,
        Reply::Busy => 503,
        _ => 400,
    };
    Response::builder().status(status).body(Empty::new().boxed_unsync()).unwrap()
}

fn content_type(headers: &HeaderMap) -> &str {
    headers["content-type"].to_str().unwrap()
}

fn count_spans(headers: &HeaderMap, body: &[u8]) -> usize {
    let message = match content_type(headers) {
        "application/json" => return count_json_spans(body),
        "application/grpc" => {
            let length = u32::from_be_bytes(body[1..5].try_into().unwrap());
            assert_eq!(usize::try_from(length).unwrap(), body.len() - 5);
            assert_eq!(body[0] == 1, headers.contains_key("grpc-encoding"));
            if body[0] == 1 { gunzip(&body[5..]) } else { body[5..].to_vec() }
        }
        _ if headers.contains_key("content-encoding") => gunzip(body),
        _ => body.to_vec(),
    };
    let message = ExportTraceServiceRequest::decode(message.as_slice()).unwrap();
    let scopes = message.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    scopes.map(|scope| scope.spans.len()).sum()
}

fn count_json_spans(body: &[u8]) -> usize {
    let json: serde_json::Value = serde_json::from_slice(body).unwrap();
    let resources = json["resourceSpans"].as_array().unwrap().iter();
    let scopes = resources.flat_map(|resource| resource["scopeSpans"].as_array().unwrap());
    scopes.map(|scope| scope["spans"].as_array().unwrap().len()).sum()
}

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut out).unwrap();
    out
}

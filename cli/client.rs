//! A small HTTP client for the commands that ask a running server.

use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, Uri, header};
use hyper_util::client::legacy::{Client as HyperClient, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use super::Failure;

/// How long a server may take to start answering; queries have a shorter limit of their own.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);

/// Bytes read of an error's body.
const ERROR_BYTES_MAX: usize = 64 << 10;

/// Asks one server.
#[derive(Debug)]
pub(crate) struct Client {
    base: String,
    http: HyperClient<HttpConnector, Full<Bytes>>,
}

impl Client {
    /// A client of the server at `url`, as in `http://127.0.0.1:8080`.
    pub(crate) fn new(url: &str) -> Result<Self, Failure> {
        let base = url.trim_end_matches('/').to_owned();
        let parsed: Option<Uri> = base.parse().ok();
        if !parsed.is_some_and(|uri| uri.scheme_str() == Some("http") && uri.host().is_some()) {
            return Err(Failure::Usage(format!("--url {url:?} is not an address like http://127.0.0.1:8080")));
        }
        Ok(Self { base, http: HyperClient::builder(TokioExecutor::new()).build_http() })
    }

    /// `GET path` as JSON.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, Failure> {
        let answer = self.send(Method::GET, path, "application/json", Bytes::new()).await?;
        let body = answer.into_body().collect().await.map_err(|error| self.unreachable(&error))?.to_bytes();
        serde_json::from_slice(&body).map_err(|error| self.unreachable(&error))
    }

    /// Sends a request; an answer that is no success becomes the failure that it names.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        accept: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>, Failure> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(header::ACCEPT, accept)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| self.unreachable(&error))?;
        let sent = tokio::time::timeout(ANSWER_TIMEOUT, self.http.request(request)).await;
        let answer = sent
            .map_err(|_| self.unreachable(&"no answer in two minutes"))?
            .map_err(|error| self.unreachable(&chain(&error)))?;
        if answer.status().is_success() { Ok(answer) } else { Err(refused(answer).await) }
    }

    /// The failure of not getting an answer.
    pub(crate) fn unreachable(&self, reason: &dyn std::fmt::Display) -> Failure {
        Failure::Unreachable { url: self.base.clone(), reason: reason.to_string() }
    }
}

async fn refused(answer: Response<Incoming>) -> Failure {
    let status = answer.status();
    let body = http_body_util::Limited::new(answer.into_body(), ERROR_BYTES_MAX).collect().await;
    let bytes = body.map(|body| body.to_bytes()).unwrap_or_default();
    let problem: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let message =
        problem["error"]["message"].as_str().map_or_else(|| format!("the server answered {status}"), str::to_owned);
    Failure::Refused { status: status.as_u16(), message }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(next) = deepest.source() {
        deepest = next;
    }
    deepest.to_string()
}

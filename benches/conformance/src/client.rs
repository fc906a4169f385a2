//! [`Client`]: sends requests as an exporter does, or as none would, and keeps count of what it was answered.

mod call;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::answer::Answer;
use crate::transport::Transport;
pub(crate) use call::Call;

/// How long an answer may take; a guard against hanging, not a demand.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);

/// How long a request that is refused for now is sent again, as every exporter has to.
pub(crate) const RETRY_FOR: Duration = Duration::from_secs(300);
pub(crate) const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// More than this no answer may have.
const ANSWER_BYTES_MAX: usize = 8 << 20;

/// How the outcome of a request that was refused for now ends.
pub(crate) const AGAIN: &str = ", to be sent again";

/// Answers of the whole run, by transport and outcome.
pub(crate) type Outcomes = BTreeMap<(Transport, String), u64>;

/// Connections to the endpoint.
#[derive(Debug)]
pub(crate) struct Client {
    http1: legacy::Client<HttpConnector, Full<Bytes>>,
    http2: legacy::Client<HttpConnector, Full<Bytes>>,
    pub(crate) grpc: String,
    pub(crate) http: String,
    /// Shown with every request.
    pub(crate) token: Option<String>,
    outcomes: Mutex<Outcomes>,
}

impl Client {
    pub(crate) fn new(grpc: String, http: String, token: Option<String>) -> Self {
        let builder = || legacy::Client::builder(TokioExecutor::new());
        let http2 = builder().http2_only(true).build_http();
        Self { http1: builder().build_http(), http2, grpc, http, token, outcomes: Mutex::default() }
    }

    /// What all requests so far were answered.
    pub(crate) fn outcomes(&self) -> Outcomes {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether any request was refused for now. It may be stored all the same, and be a duplicate when it is sent again.
    pub(crate) fn was_postponed(&self) -> bool {
        self.outcomes().keys().any(|(_, outcome)| outcome.ends_with(AGAIN))
    }

    /// Sends a call, again while it is refused for now.
    pub(crate) async fn send(&self, call: Call) -> Result<Answer, String> {
        let deadline = tokio::time::Instant::now() + RETRY_FOR;
        loop {
            let answer = self.send_once(call.clone()).await?;
            if !answer.is_overload() || tokio::time::Instant::now() > deadline {
                return Ok(answer);
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    /// Sends a call once.
    pub(crate) async fn send_once(&self, call: Call) -> Result<Answer, String> {
        let transport = call.transport;
        let http2 = call.http2 || transport == Transport::Grpc;
        let request = self.request(call).map_err(|error| error.to_string())?;
        let client = if http2 { &self.http2 } else { &self.http1 };
        let exchange = async {
            let response = client.request(request).await.map_err(|error| chain(&error))?;
            let (head, body) = response.into_parts();
            let collected = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
            let collected = collected.map_err(|error| format!("the answer broke off: {error}"))?;
            let mut headers = head.headers;
            headers.extend(collected.trailers().cloned().unwrap_or_default());
            Ok(Answer { transport, status: head.status, headers, body: collected.to_bytes() })
        };
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, exchange).await;
        let answer = answer.unwrap_or_else(|_| Err(format!("no answer within {ANSWER_TIMEOUT:?}")));
        self.count(transport, answer.as_ref().ok());
        answer
    }

    /// Counts an answer among those of the run.
    pub(crate) fn count(&self, transport: Transport, answer: Option<&Answer>) {
        let outcome = answer.map_or_else(|| "no answer".to_owned(), outcome);
        *self.outcomes.lock().unwrap_or_else(PoisonError::into_inner).entry((transport, outcome)).or_default() += 1;
    }

    fn request(&self, call: Call) -> Result<Request<Full<Bytes>>, http::Error> {
        let address = if call.transport == Transport::Grpc { &self.grpc } else { &self.http };
        let uri = Uri::builder().scheme("http").authority(address.as_str()).path_and_query(call.path).build()?;
        let mut request = Request::builder().method(call.method).uri(uri);
        if let Some(token) = self.token.as_ref().filter(|_| !call.without_token) {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in call.headers {
            request = request.header(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
        }
        request.body(Full::new(call.body))
    }

    /// A JSON answer of a web API.
    pub(crate) async fn ask(&self, url: &str, body: Option<Bytes>) -> Result<serde_json::Value, String> {
        let request = match body {
            Some(body) => Request::builder()
                .method(Method::POST)
                .header("content-type", "application/json")
                .uri(url)
                .body(Full::new(body)),
            None => Request::builder().uri(url).body(Full::default()),
        };
        let request = request.map_err(|error| error.to_string())?;
        let response = self.http1.request(request).await.map_err(|error| chain(&error))?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|error| chain(&error))?.to_bytes();
        if !status.is_success() {
            return Err(format!("{url}: {status}: {}", String::from_utf8_lossy(&body)));
        }
        serde_json::from_slice(&body).map_err(|error| error.to_string())
    }
}

/// What an answer counts as, for the rules about the whole run.
fn outcome(answer: &Answer) -> String {
    let retryable = if answer.is_retryable() { AGAIN } else { "" };
    let code = match answer.transport {
        Transport::Grpc => answer.header("grpc-status").to_owned(),
        Transport::HttpProtobuf | Transport::HttpJson => answer.status.as_u16().to_string(),
    };
    format!("{code}{retryable}")
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

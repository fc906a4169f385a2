//! One request to a webhook: its name is resolved once, the connection goes to the address that was checked, nothing is followed, and
//! nothing of the answer but its status is looked at.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use super::address;
use super::config::{Target, WebhookConfig};

/// From resolving the name to the status of the answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(if cfg!(test) { 2 } else { 5 });
/// 64 KiB: the most that is taken in of an answer's head.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// A receiver that names a time to come back is heard up to this.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

/// Why a request did not succeed.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    /// The name has no address that may be connected to.
    #[error("{host} has no address that is allowed ({found}); only public ones are, and allow_networks of the webhook")]
    Forbidden {
        /// The name.
        host: String,
        /// The addresses found.
        found: String,
    },
    /// No answer.
    #[error("cannot {action} {authority}: {reason}")]
    Unreachable {
        /// What was attempted.
        action: &'static str,
        /// Host and port.
        authority: String,
        /// What went wrong.
        reason: String,
    },
    /// No answer in time.
    #[error("{authority} has not answered in time")]
    Timeout {
        /// Host and port.
        authority: String,
    },
    /// An answer that is no success.
    #[error("{authority} answered {status}{}", if status.is_redirection() { "; redirects are not followed" } else { "" })]
    Refused {
        /// Host and port.
        authority: String,
        /// The status.
        status: StatusCode,
        /// When it wants to be asked again.
        retry_after: Option<Duration>,
    },
}

impl SendError {
    /// Whether it is about what was sent, so that something else may be taken.
    pub(super) fn is_about_the_body(&self) -> bool {
        matches!(self, Self::Refused { status, .. }
            if matches!(*status, StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY))
    }

    /// How long the receiver wants to be left alone.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            Self::Forbidden { .. } | Self::Unreachable { .. } | Self::Timeout { .. } => None,
        }
    }
}

/// How names become addresses.
#[derive(Debug, Clone)]
pub(super) enum Resolver {
    /// As the machine does it.
    System,
    /// As a test says: one answer for each time that is asked, the last one again and again.
    #[cfg(test)]
    Fixed(Arc<std::sync::Mutex<std::collections::VecDeque<Vec<SocketAddr>>>>),
}

impl Resolver {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        match self {
            Self::System => Ok(tokio::net::lookup_host((host, port)).await?.collect()),
            #[cfg(test)]
            Self::Fixed(answers) => {
                let mut answers = answers.lock().unwrap();
                let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
                Ok(answer.unwrap_or_default())
            }
        }
    }
}

/// Sends to one webhook.
#[derive(Debug)]
pub(super) struct Client {
    config: WebhookConfig,
    resolver: Resolver,
    tls: Option<Arc<ClientConfig>>,
}

impl Client {
    /// A client of the webhook.
    ///
    /// # Errors
    /// Why its certificates cannot be used.
    pub(super) fn new(config: WebhookConfig, resolver: Resolver) -> Result<Self, String> {
        let tls = if config.target.tls { Some(Arc::new(tls(config.ca_pem.as_deref())?)) } else { None };
        Ok(Self { config, resolver, tls })
    }

    fn target(&self) -> &Target {
        &self.config.target
    }

    fn unreachable(&self, action: &'static str, reason: &dyn std::fmt::Display) -> SendError {
        SendError::Unreachable { action, authority: self.target().authority.clone(), reason: reason.to_string() }
    }

    /// Sends a body and waits for the status of the answer. `signed_at` is the time that the signature holds, in seconds.
    pub(super) async fn send(&self, body: Bytes, signed_at: i64) -> Result<(), SendError> {
        let request = self.request(body, signed_at)?;
        let sent = tokio::time::timeout(REQUEST_TIMEOUT, self.exchange(request)).await;
        sent.unwrap_or_else(|_| Err(SendError::Timeout { authority: self.target().authority.clone() }))
    }

    fn request(&self, body: Bytes, signed_at: i64) -> Result<Request<Full<Bytes>>, SendError> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(self.target().path.as_str())
            .header(header::HOST, self.target().authority.as_str())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("daytwo/", env!("CARGO_PKG_VERSION")))
            .header(header::CONNECTION, "close");
        if let Some(token) = &self.config.bearer_token {
            let value = HeaderValue::from_str(&format!("Bearer {}", token.reveal()));
            let mut value =
                value.map_err(|_| self.unreachable("write the token for", &"it is no text for a header"))?;
            value.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, value);
        }
        if let Some(key) = &self.config.signing_key {
            let signature = format!("sha256={}", signature(key.reveal(), signed_at, &body));
            request = request.header("x-daytwo-timestamp", signed_at).header("x-daytwo-signature", signature);
        }
        request.body(Full::new(body)).map_err(|error| self.unreachable("write a request for", &error))
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<(), SendError> {
        let stream = self.connect().await?;
        let Some(tls) = &self.tls else { return self.converse(stream, request).await };
        let name = ServerName::try_from(self.target().host.clone());
        let name = name.map_err(|error| self.unreachable("name", &error))?;
        let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await;
        self.converse(stream.map_err(|error| self.unreachable("make a safe connection to", &error))?, request).await
    }

    /// A connection to an address that was checked: the name is not asked for again.
    async fn connect(&self) -> Result<TcpStream, SendError> {
        let Target { host, port, .. } = self.target();
        let found = self.resolver.resolve(host, *port).await.map_err(|error| self.unreachable("find", &error))?;
        let allowed: Vec<SocketAddr> = found
            .iter()
            .copied()
            .filter(|address| address::is_allowed(address.ip(), &self.config.allow_networks))
            .collect();
        if allowed.is_empty() {
            let found: Vec<String> = found.iter().map(|address| address.ip().to_string()).collect();
            return Err(SendError::Forbidden { host: host.clone(), found: found.join(", ") });
        }
        let connected = TcpStream::connect(allowed.as_slice()).await;
        connected.map_err(|error| self.unreachable("connect to", &error))
    }

    async fn converse<S>(&self, stream: S, request: Request<Full<Bytes>>) -> Result<(), SendError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let handshake = http1::Builder::new().max_buf_size(HEAD_BYTES_MAX).handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| self.unreachable("talk to", &error))?;
        let mut connection = pin!(connection);
        let mut answer = pin!(sender.send_request(request));
        let answer = tokio::select! {
            answer = answer.as_mut() => answer,
            // The connection has ended; what it has read of the answer is there.
            _ = connection.as_mut() => answer.await,
        };
        let answer = answer.map_err(|error| self.unreachable("talk to", &error))?;
        if answer.status().is_success() {
            return Ok(());
        }
        let seconds = answer.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        Err(SendError::Refused {
            authority: self.target().authority.clone(),
            status: answer.status(),
            retry_after: seconds.map(|seconds| Duration::from_secs(seconds).min(RETRY_AFTER_MAX)),
        })
    }
}

/// Trusts the given certificates, or the machine's.
fn tls(ca_pem: Option<&[u8]>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    match ca_pem {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|error| format!("the certificates cannot be read: {error}"))?;
                roots.add(certificate).map_err(|error| format!("a certificate cannot be used: {error}"))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() {
        return Err("there is no certificate to trust; name some with ca_file".to_owned());
    }
    let provider = Arc::new(crypto::aws_lc_rs::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(versions.map_err(|error| error.to_string())?.with_root_certificates(roots).with_no_client_auth())
}

/// HMAC-SHA256 over the time, a dot and the body, in hexadecimal.
pub(super) fn signature(key: &str, signed_at: i64, body: &[u8]) -> String {
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key.as_bytes());
    let mut text = format!("{signed_at}.").into_bytes();
    text.extend_from_slice(body);
    let tag = aws_lc_rs::hmac::sign(&key, &text);
    tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

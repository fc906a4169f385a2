//! Listeners and connections: accept, shake hands by TLS, serve HTTP/1.1 or HTTP/2, retire old connections, drain at shutdown.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::otlp::export::Ingest;
use crate::otlp::{Reply, grpc, http as otlp_http};

/// HTTP/2 flow-control window of a stream: a typical batch in one go.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// The same of a connection: two streams at full speed; more only share it.
const CONNECTION_WINDOW_BYTES: u32 = 2 << 20;
/// Streams at once on a connection.
const STREAMS_MAX: u32 = 256;
/// Idle time after which a connection is pinged, and how long the pong may take.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest block of request headers.
const HEADER_BYTES_MAX: u32 = 16 << 10;
/// Pause after the operating system refuses to accept, usually for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Which protocol a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Grpc,
    Http,
}

/// Serves a listener until `shutdown`, then waits for its connections. `kill` drops those that remain.
pub(crate) async fn serve(
    listener: TcpListener,
    protocol: Protocol,
    ingest: Arc<Ingest>,
    shutdown: CancellationToken,
    kill: CancellationToken,
) {
    let slots = Arc::new(Semaphore::new(ingest.config().connections_max));
    let connections = TaskTracker::new();
    let mut accepted = 0_u64;
    loop {
        let stream = tokio::select! {
            stream = accept(&listener) => stream,
            () = shutdown.cancelled() => break,
        };
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            ingest.telemetry().count_closed_connection();
            continue;
        };
        accepted = accepted.wrapping_add(1);
        // Spread over a fifth of the age, so that connections opened together do not all come back together.
        let age = ingest.config().connection_age_max;
        let age = age.saturating_add(age / 100 * u32::try_from(accepted % 20).unwrap_or(0));
        let terms = Terms { protocol, ingest: Arc::clone(&ingest), shutdown: shutdown.clone(), age };
        let kill = kill.clone();
        connections.spawn(async move {
            tokio::select! {
                ended = terms.serve(stream) => {
                    if let Err(error) = ended {
                        debug!(%error, "connection ended with an error");
                    }
                }
                () = kill.cancelled() => {}
            }
            drop(slot);
        });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                warn!(error = &error as &dyn Error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Under what a connection is served.
struct Terms {
    protocol: Protocol,
    ingest: Arc<Ingest>,
    shutdown: CancellationToken,
    age: Duration,
}

impl Terms {
    /// Serves a connection to its end: first byte, TLS where it is configured, requests.
    async fn serve(self, stream: TcpStream) -> Result<(), Box<dyn Error + Send + Sync>> {
        stream.set_nodelay(true)?;
        self.in_time(first_byte(&stream)).await?;
        let Some(tls) = self.ingest.access().tls(self.protocol) else { return self.converse(stream).await };
        let accepted = self.in_time(TlsAcceptor::from(tls).accept(stream)).await;
        let mut stream = accepted.inspect_err(|_| self.ingest.telemetry().count_failed_handshake())?;
        // A client that has shaken hands and says nothing more is as silent as one that never began.
        self.in_time(stream.fill_buf()).await.map(drop)?;
        Box::pin(self.converse(stream)).await
    }

    /// Does a step on the way to the first request, which has the read timeout and ends with the server.
    async fn in_time<T>(&self, step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        tokio::select! {
            done = tokio::time::timeout(self.ingest.config().read_timeout, step) => done?,
            () = self.shutdown.cancelled() => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }

    async fn converse<S>(self, stream: S) -> Result<(), Box<dyn Error + Send + Sync>>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let Self { protocol, ingest, shutdown, age } = self;
        let builder = builder(protocol, ingest.config().read_timeout);
        let service = service_fn(move |request: Request<Incoming>| {
            let ingest = Arc::clone(&ingest);
            async move { Ok::<Reply, Infallible>(answer(protocol, ingest, request).await) }
        });
        let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
        tokio::pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => return ended,
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(age) => {}
        }
        connection.as_mut().graceful_shutdown();
        connection.await
    }
}

/// Waits until there is something to read.
async fn first_byte(stream: &TcpStream) -> io::Result<()> {
    match stream.peek(&mut [0]).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

async fn answer(protocol: Protocol, ingest: Arc<Ingest>, request: Request<Incoming>) -> Reply {
    match protocol {
        Protocol::Grpc => grpc::serve(ingest, request).await,
        Protocol::Http => otlp_http::serve(ingest, request).await,
    }
}

fn builder(protocol: Protocol, read_timeout: Duration) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(read_timeout);
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADER_BYTES_MAX)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    match protocol {
        Protocol::Grpc => builder.http2_only(),
        Protocol::Http => builder,
    }
}

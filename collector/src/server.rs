//! Listeners and connections: accept, shake hands by TLS, serve HTTP/1.1 or HTTP/2, close silent connections and retire old ones,
//! drain at shutdown.

mod caller;
mod quiet;

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::IpAddr;
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

use crate::CollectorConfig;
use crate::otlp::export::Ingest;
use crate::otlp::{Reply, grpc, http as otlp_http};
pub(crate) use caller::Caller;
use quiet::{Activity, Watched};

/// HTTP/2 flow-control window of a stream: a typical batch in three goes. It is also what a refused request may have sent before it knows.
const STREAM_WINDOW_BYTES: u32 = 128 << 10;
/// The same of a connection: sixteen streams at full speed; more only share it.
const CONNECTION_WINDOW_BYTES: u32 = 2 << 20;
/// Room to read HTTP/1 into.
const HTTP1_BUFFER_BYTES: usize = 64 << 10;
/// Streams at once on a connection.
const STREAMS_MAX: u32 = 256;
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
        let (stream, peer) = tokio::select! {
            accepted = accept(&listener) => accepted,
            () = shutdown.cancelled() => break,
        };
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            ingest.telemetry().count_closed_connection("too_many");
            continue;
        };
        accepted = accepted.wrapping_add(1);
        // Spread over a fifth of the age, so that connections opened together do not all come back together.
        let age = ingest.config().connection_age_max;
        let age = age.saturating_add(age / 100 * u32::try_from(accepted % 20).unwrap_or(0));
        let terms = Terms { protocol, peer, ingest: Arc::clone(&ingest), shutdown: shutdown.clone(), age };
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

async fn accept(listener: &TcpListener) -> (TcpStream, IpAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer.ip()),
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
    peer: IpAddr,
    ingest: Arc<Ingest>,
    shutdown: CancellationToken,
    age: Duration,
}

impl Terms {
    /// Serves a connection to its end: first byte, TLS where it is configured, requests.
    async fn serve(self, stream: TcpStream) -> Result<(), Box<dyn Error + Send + Sync>> {
        stream.set_nodelay(true)?;
        self.in_time(first_byte(&stream)).await.inspect_err(|error| self.count_silent(error))?;
        let Some(tls) = self.ingest.access().tls(self.protocol) else { return self.converse(stream).await };
        let accepted = self.in_time(TlsAcceptor::from(tls).accept(stream)).await;
        let mut stream = accepted.inspect_err(|_| self.ingest.telemetry().count_failed_handshake())?;
        // A client that has shaken hands and says nothing more is as silent as one that never began.
        self.in_time(stream.fill_buf()).await.map(drop).inspect_err(|error| self.count_silent(error))?;
        Box::pin(self.converse(stream)).await
    }

    /// Does a step on the way to the first request, which has the read timeout and ends with the server.
    async fn in_time<T>(&self, step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        tokio::select! {
            done = tokio::time::timeout(self.ingest.config().read_timeout, step) => done?,
            () = self.shutdown.cancelled() => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }

    fn count_silent(&self, error: &io::Error) {
        if error.kind() == io::ErrorKind::TimedOut {
            self.ingest.telemetry().count_closed_connection("silent");
        }
    }

    async fn converse<S>(self, stream: S) -> Result<(), Box<dyn Error + Send + Sync>>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let Self { protocol, peer, ingest, shutdown, age } = self;
        let (config, telemetry) = (ingest.config(), ingest.telemetry());
        let activity = Activity::default();
        let caller = Arc::new(Caller::new(peer));
        let service = service_fn(|request: Request<Incoming>| {
            let (ingest, caller, in_work) = (Arc::clone(&ingest), Arc::clone(&caller), activity.request());
            async move {
                let reply = answer(protocol, ingest, &caller, request).await;
                drop(in_work);
                Ok::<Reply, Infallible>(reply)
            }
        });
        let stream = TokioIo::new(Watched::new(stream, activity.clone()));
        let builder = builder(protocol, config);
        let connection = builder.serve_connection(stream, service);
        tokio::pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => return ended,
            begun = activity.falls_silent(config.read_timeout, config.connection_idle_max) => {
                telemetry.count_closed_connection(if begun { "idle" } else { "silent" });
                if !begun {
                    return Ok(());
                }
            }
            () = tokio::time::sleep(age) => telemetry.count_closed_connection("age"),
            () = shutdown.cancelled() => {}
        }
        connection.as_mut().graceful_shutdown();
        tokio::time::timeout(config.connection_age_grace, connection).await?
    }
}

/// Waits until there is something to read.
async fn first_byte(stream: &TcpStream) -> io::Result<()> {
    match stream.peek(&mut [0]).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

async fn answer(protocol: Protocol, ingest: Arc<Ingest>, caller: &Caller, request: Request<Incoming>) -> Reply {
    match protocol {
        Protocol::Grpc => grpc::serve(ingest, caller, request).await,
        Protocol::Http => otlp_http::serve(ingest, caller, request).await,
    }
}

fn builder(protocol: Protocol, config: &CollectorConfig) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // Hyper takes the pause between two requests for a slow head. Both are silence here, which is counted.
    builder.http1().header_read_timeout(None).max_buf_size(HTTP1_BUFFER_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADER_BYTES_MAX)
        .keep_alive_interval(config.keepalive_interval)
        .keep_alive_timeout(config.keepalive_timeout);
    match protocol {
        Protocol::Grpc => builder.http2_only(),
        Protocol::Http => builder,
    }
}

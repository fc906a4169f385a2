//! Listeners and connections: accept, serve HTTP/1.1 or HTTP/2, retire old connections, drain at shutdown.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
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
        let (ingest, shutdown, kill) = (Arc::clone(&ingest), shutdown.clone(), kill.clone());
        connections.spawn(async move {
            tokio::select! {
                () = serve_connection(stream, protocol, ingest, shutdown, age) => {}
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
                warn!(error = &error as &dyn std::error::Error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve_connection(
    stream: TcpStream,
    protocol: Protocol,
    ingest: Arc<Ingest>,
    shutdown: CancellationToken,
    age: Duration,
) {
    if let Err(error) = ready(&stream, ingest.config().read_timeout, &shutdown).await {
        debug!(%error, "connection ended before its first byte");
        return;
    }
    let builder = builder(protocol, ingest.config().read_timeout);
    let service = service_fn(move |request: Request<Incoming>| {
        let ingest = Arc::clone(&ingest);
        async move { Ok::<Reply, Infallible>(answer(protocol, ingest, request).await) }
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        () = tokio::time::sleep(age) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "connection ended with an error");
    }
}

async fn answer(protocol: Protocol, ingest: Arc<Ingest>, request: Request<Incoming>) -> Reply {
    match protocol {
        Protocol::Grpc => grpc::serve(ingest, request).await,
        Protocol::Http => otlp_http::serve(ingest, request).await,
    }
}

/// Waits for the first byte.
async fn ready(stream: &TcpStream, limit: Duration, shutdown: &CancellationToken) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut first = [0];
    tokio::select! {
        peeked = tokio::time::timeout(limit, stream.peek(&mut first)) => peeked.map_err(io::Error::from)?.map(drop),
        () = shutdown.cancelled() => Err(io::ErrorKind::ConnectionAborted.into()),
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

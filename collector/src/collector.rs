//! [`Collector`]: binds the two listeners; [`BoundCollector`]: serves them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use daytwo_storage::{Clock, Store};
use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::access::Access;
use crate::error::{CollectorError, Result};
use crate::otlp::export::{Ingest, Sink};
use crate::server::{Protocol, serve};
use crate::{CollectorConfig, IngestTelemetry};

/// The last part of the drain, in which requests still in work are answered "stopping" and the answers go out.
const LAST_ANSWERS: Duration = Duration::from_millis(500);

/// What the receivers are given besides their settings and the store.
pub struct Surroundings {
    /// Who may export, and how connections are protected.
    pub access: Access,
    /// A random number that clients cannot know: it keeps them from choosing attribute keys that are slow to tell apart.
    pub seed: u64,
    /// Whether the server is ready, which gRPC's health check answers.
    pub ready: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl Default for Surroundings {
    /// Everybody may export, to a server that is always ready.
    fn default() -> Self {
        Self { access: Access::default(), seed: 0, ready: Arc::new(|| true) }
    }
}

impl std::fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surroundings").field("access", &self.access).finish_non_exhaustive()
    }
}

/// The OTLP receivers.
#[derive(Debug, Clone, Copy)]
pub struct Collector;

impl Collector {
    /// Takes both addresses; nothing is accepted before [`BoundCollector::serve`].
    ///
    /// # Errors
    /// [`CollectorError::Config`] for settings out of range, [`CollectorError::Bind`] for an address that cannot be had.
    pub async fn bind(
        config: CollectorConfig,
        surroundings: Surroundings,
        store: Arc<Store>,
        clock: Arc<dyn Clock>,
    ) -> Result<BoundCollector> {
        Self::bind_sink(config, surroundings, store, clock).await
    }

    pub(crate) async fn bind_sink(
        config: CollectorConfig,
        surroundings: Surroundings,
        sink: Arc<dyn Sink>,
        clock: Arc<dyn Clock>,
    ) -> Result<BoundCollector> {
        let problems = config.problems();
        if !problems.is_empty() {
            return Err(CollectorError::Config { problems });
        }
        let (grpc, grpc_addr) = listen(config.grpc_addr, "collector.grpc_addr", config.connections_max)?;
        let (http, http_addr) = listen(config.http_addr, "collector.http_addr", config.connections_max)?;
        let ingest = Arc::new(Ingest::new(config, surroundings, sink, clock));
        Ok(BoundCollector { grpc, grpc_addr, http, http_addr, ingest })
    }
}

/// Listens with room for as many connections as there may be, as far as the system allows: those of all exporters may come at once, and one that finds
/// no room tries again after a second.
fn listen(addr: SocketAddr, key: &'static str, connections_max: usize) -> Result<(TcpListener, SocketAddr)> {
    let failed = |source| CollectorError::Bind { addr, key, source };
    let listener = listener(addr, u32::try_from(connections_max).unwrap_or(u32::MAX)).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

fn listener(addr: SocketAddr, waiting_max: u32) -> io::Result<TcpListener> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // So that a restart need not wait for the connections of before.
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(waiting_max)
}

/// The receivers with their ports, ready to serve.
pub struct BoundCollector {
    grpc: TcpListener,
    grpc_addr: SocketAddr,
    http: TcpListener,
    http_addr: SocketAddr,
    ingest: Arc<Ingest>,
}

impl std::fmt::Debug for BoundCollector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BoundCollector")
            .field("grpc_addr", &self.grpc_addr)
            .field("http_addr", &self.http_addr)
            .finish_non_exhaustive()
    }
}

impl BoundCollector {
    /// Where OTLP/gRPC listens.
    pub fn grpc_addr(&self) -> SocketAddr {
        self.grpc_addr
    }

    /// Where OTLP/HTTP listens.
    pub fn http_addr(&self) -> SocketAddr {
        self.http_addr
    }

    /// The receivers' counters; they outlive the receivers.
    pub fn telemetry(&self) -> Arc<IngestTelemetry> {
        Arc::clone(self.ingest.telemetry())
    }

    /// Serves until `shutdown` is cancelled. Then nothing new is accepted, requests in work get `drain_timeout` to
    /// finish, and those that do not are answered as retryable. The store may be closed once this returns.
    pub async fn serve(self, shutdown: CancellationToken) {
        let Self { grpc, grpc_addr, http, http_addr, ingest } = self;
        info!(%grpc_addr, %http_addr, access = ?ingest.access(), "OTLP receivers are listening");
        let local = grpc_addr.ip().is_loopback() && http_addr.ip().is_loopback();
        if ingest.access().shows_tokens_to_the_network() && !local {
            warn!("tokens travel without encryption; set collector.tls_cert_file, or put a proxy with TLS in front");
        }
        let kill = CancellationToken::new();
        let listeners = async {
            tokio::join!(
                serve(grpc, Protocol::Grpc, Arc::clone(&ingest), shutdown.clone(), kill.clone()),
                serve(http, Protocol::Http, Arc::clone(&ingest), shutdown.clone(), kill.clone()),
            );
            ingest.tasks().close();
            ingest.tasks().wait().await;
        };
        let drain_timeout = ingest.config().drain_timeout;
        let watchdog = async {
            shutdown.cancelled().await;
            tokio::time::sleep(drain_timeout.saturating_sub(LAST_ANSWERS)).await;
            ingest.deadline().cancel();
            tokio::time::sleep(LAST_ANSWERS).await;
            kill.cancel();
            tokio::time::sleep(LAST_ANSWERS).await;
            warn!("some requests did not finish within the drain time");
        };
        tokio::select! {
            () = listeners => info!("OTLP receivers have drained"),
            () = watchdog => {}
            () = Arc::clone(ingest.access()).keep() => {}
        }
    }
}

#[cfg(test)]
mod tests;

//! The server: its parts, how they are connected, and in which order they start and stop.

mod facts;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use daytwo_collector::{Collector, OtlpReplay};
use daytwo_dashboards::{AppState, Parts, RateMeter, Readiness};
use daytwo_storage::{Clock, Store, SystemClock};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::Failure;
use super::config::Config;

/// How long running requests may take to finish once the server stops.
const DRAIN: Duration = Duration::from_secs(5);

/// How often the counter of spans is read for the rate.
const RATE_INTERVAL: Duration = Duration::from_secs(1);

/// Where the server listens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Addresses {
    pub(crate) grpc: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) web: SocketAddr,
}

/// A running server. Every task in it is owned here and joined by [`Server::stop`].
#[derive(Debug)]
pub(crate) struct Server {
    addresses: Addresses,
    readiness: Readiness,
    store: Arc<Store>,
    stop: Stop,
    tasks: JoinSet<&'static str>,
}

/// Tells the parts to stop, one group after the other.
#[derive(Debug, Default)]
struct Stop {
    collector: CancellationToken,
    web: CancellationToken,
    rest: CancellationToken,
}

impl Server {
    /// Opens ports and store, and serves requests once this returns.
    ///
    /// Ports first: an occupied one is found before a long recovery. Clients that connect meanwhile wait in the
    /// operating system's queue.
    pub(crate) async fn start(config: &Config) -> Result<Self, Failure> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let started = clock.now();
        let web = listen("the board", config.dashboards.addr).await?;
        let store = Store::open(config.storage.settings(), Arc::clone(&clock), Arc::new(OtlpReplay)).await?;
        let collector = Collector::bind(config.collector.settings(), Arc::clone(&store), Arc::clone(&clock)).await?;
        let addresses = Addresses {
            grpc: collector.grpc_addr(),
            http: collector.http_addr(),
            web: local(&web, "the board", config.dashboards.addr)?,
        };
        let readiness = Readiness::default();
        let rate = Arc::new(RateMeter::default());
        let stored = Arc::clone(&store);
        let state = AppState::new(Parts {
            clock: Arc::clone(&clock),
            identity: facts::identity(config, &addresses, started),
            ingest: facts::ingest(collector.telemetry()),
            storage: Arc::new(move || stored.status()),
            readiness: readiness.clone(),
            rate: Arc::clone(&rate),
        });
        let stop = Stop::default();
        let mut tasks = JoinSet::new();
        let token = stop.collector.clone();
        tasks.spawn(async move {
            collector.serve(token).await;
            "the collector"
        });
        let token = stop.web.clone();
        let router = daytwo_dashboards::router(state.clone());
        tasks.spawn(async move {
            daytwo_dashboards::serve(web, router, token, DRAIN).await;
            "the web port"
        });
        let token = stop.rest.clone();
        tasks.spawn(async move {
            token.run_until_cancelled(read_rate(state)).await;
            "the rate meter"
        });
        readiness.set(true);
        info!(web = %addresses.web, grpc = %addresses.grpc, http = %addresses.http, data_dir = %config.storage.data_dir.display(), "serving");
        Ok(Self { addresses, readiness, store, stop, tasks })
    }

    /// Where it listens.
    pub(crate) fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Waits until a part ends that should not; never returns otherwise.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn part_ended(&mut self) -> Failure {
        match self.tasks.join_next().await {
            Some(Ok(part)) => Failure::PartEnded { part, detail: String::new() },
            Some(Err(error)) => Failure::PartEnded { part: "a task", detail: format!(": {error}") },
            None => Failure::PartEnded { part: "the server", detail: String::new() },
        }
    }

    /// Stops in order: no more readiness; exports under way are answered; then requests of the web port; then the rest, and the
    /// store writes what is in memory to files.
    pub(crate) async fn stop(mut self) -> Result<(), Failure> {
        self.readiness.set(false);
        self.stop.collector.cancel();
        self.join_until("the collector").await;
        self.stop.web.cancel();
        self.join_until("the web port").await;
        self.stop.rest.cancel();
        self.join_until("").await;
        self.store.close().await?;
        info!("stopped");
        Ok(())
    }

    /// Joins tasks until the one of that name has ended, or all have.
    async fn join_until(&mut self, part: &str) {
        while let Some(ended) = self.tasks.join_next().await {
            match ended {
                Ok(name) if name == part => return,
                Ok(_) => {}
                Err(error) => error!(%error, "a part failed"),
            }
        }
    }
}

async fn read_rate(state: AppState) {
    let mut ticks = tokio::time::interval(RATE_INTERVAL);
    loop {
        ticks.tick().await;
        state.rate.read(state.clock.now(), (state.ingest)().accepted_spans);
    }
}

async fn listen(what: &'static str, addr: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(addr).await.map_err(|source| Failure::Listen { what, addr, source })
}

fn local(listener: &TcpListener, what: &'static str, addr: SocketAddr) -> Result<SocketAddr, Failure> {
    listener.local_addr().map_err(|source| Failure::Listen { what, addr, source })
}

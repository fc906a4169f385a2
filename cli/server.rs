//! The server: its parts, how they are connected, and in which order they start and stop.

mod facts;
mod tasks;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use daytwo_collector::{Access, Collector, FileReader, Surroundings};
use daytwo_dashboards::{ALERTS_BYTES_MAX, Alerts, AppState, Parts, RateMeter, Readiness};
use daytwo_query::{Correlator, QueryEngine};
use daytwo_storage::{Clock, Store, SystemClock};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::config::Config;
use super::config::alerts::WebhookSection;
use super::objectives::Objectives;
use super::{Failure, files, signals, store};
use tasks::Tasks;

/// How long running requests of the web port may take to finish once the server stops.
const DRAIN: Duration = Duration::from_secs(5);

/// How often the counter of spans is read for the rate.
const RATE_INTERVAL: Duration = Duration::from_secs(1);

const COLLECTOR: &str = "the collector";
const WEB: &str = "the web port";
const ENGINE: &str = "the correlation engine";
const ALERTS: &str = "the alerts";

/// Where declared deployments are kept, below the data folder.
const DECLARED_FILE: &str = "deployments.json";
/// 16 MiB: a thousand declarations, each with every field at its limit and every byte of it escaped.
const DECLARED_BYTES_MAX: usize = 16 << 20;
/// Where declared weights of flags are kept.
const FLAGS_FILE: &str = "flags.json";
/// 16 MiB: a thousand declarations of sixteen variants, each with every field at its limit and every byte of it escaped.
const FLAGS_BYTES_MAX: usize = 16 << 20;
/// Where budgets are kept.
const BUDGETS_FILE: &str = "budgets.json";
/// 256 MiB: 2,000 objectives with an event in each of the 8,064 slots of 28 days.
const BUDGETS_BYTES_MAX: usize = 256 << 20;
/// Where cells are kept by the hour.
const CELLS_FOLDER: &str = "cells";
/// 256 MiB: all the memory that cells may have, in one hour.
const CELLS_BYTES_MAX: usize = 256 << 20;
/// Where it is kept which alerts were told.
const ALERTS_FILE: &str = "alerts.json";

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
    state: AppState,
    store: Arc<Store>,
    stop: Stop,
    tasks: Tasks,
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
    /// The web port and certificates come first: when it is occupied or they are no good, that is found before a long recovery. Clients that connect meanwhile
    /// wait in the operating system's queue.
    pub(crate) async fn start(config: &Config, objectives: Objectives) -> Result<Self, Failure> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let started = clock.now();
        let (web, web_addr) = listen(config.dashboards.addr).await?;
        let reader: FileReader = Arc::new(files::read_regular);
        let access = Access::open(&config.collector.access(), &reader)?;
        let store = store::open(config, Arc::clone(&clock)).await?;
        let settings = config.collector.settings();
        let readiness = Readiness::default();
        let ready = readiness.clone();
        let surroundings = Surroundings { access, seed: rand::random(), ready: Arc::new(move || ready.get()) };
        let collector = Collector::bind(settings, surroundings, Arc::clone(&store), Arc::clone(&clock)).await?;
        let addresses = Addresses { grpc: collector.grpc_addr(), http: collector.http_addr(), web: web_addr };
        let correlator = Correlator::new(config.engine_settings(), Arc::clone(&clock));
        correlator.keep_declared_in(store.document(DECLARED_FILE, DECLARED_BYTES_MAX))?;
        correlator.keep_declared_flags_in(store.document(FLAGS_FILE, FLAGS_BYTES_MAX))?;
        let cells = store.document_folder(CELLS_FOLDER, CELLS_BYTES_MAX);
        correlator.keep_history_in(store.document(BUDGETS_FILE, BUDGETS_BYTES_MAX), cells)?;
        let alerts = alerts(config, &store, &clock)?;
        let queries = QueryEngine::new(
            config.query_settings(&config.storage.data_dir),
            Arc::clone(&store),
            Arc::clone(&clock),
            Arc::clone(&correlator) as Arc<dyn daytwo_query::EngineTables>,
        )?;
        let stored = Arc::clone(&store);
        let state = AppState::new(Parts {
            queries,
            correlator,
            clock,
            identity: facts::identity(config, &addresses, started),
            ingest: facts::ingest(collector.telemetry()),
            storage: Arc::new(move || stored.status()),
            alerts,
            readiness,
            rate: Arc::new(RateMeter::default()),
        });
        let mut server = Self { addresses, state, store, stop: Stop::default(), tasks: Tasks::default() };
        server.tasks.spawn(COLLECTOR, collector.serve(server.stop.collector.clone()));
        server.run_web(web);
        server.run_engine(objectives)?;
        server.state.readiness.set(true);
        let data_dir = server.state.identity.data_dir.as_str();
        let [memory, requests, buffer] = facts::budgets(config);
        info!(memory, requests, buffer, "budgets; those without a value of their own follow the memory there is");
        info!(web = %addresses.web, grpc = %addresses.grpc, http = %addresses.http, data_dir, "serving");
        Ok(server)
    }

    fn run_web(&mut self, listener: TcpListener) {
        let router = daytwo_dashboards::router(self.state.clone());
        self.tasks.spawn(WEB, daytwo_dashboards::serve(listener, router, self.stop.web.clone(), DRAIN));
        let (state, stop) = (self.state.clone(), self.stop.rest.clone());
        self.tasks.spawn("the rate meter", async move {
            stop.run_until_cancelled(read_rate(state)).await;
        });
    }

    fn run_engine(&mut self, objectives: Objectives) -> Result<(), Failure> {
        let correlator = &self.state.correlator;
        let keep = objectives.keep(Arc::clone(correlator), signals::hangup()?);
        let stop = self.stop.rest.clone();
        self.tasks.spawn("the watch on objectives", async move {
            stop.run_until_cancelled(keep).await;
        });
        let alerts = Arc::clone(&self.state.alerts).run(Arc::clone(correlator), self.stop.rest.clone());
        self.tasks.spawn(ENGINE, Arc::clone(correlator).run(Arc::clone(&self.store), self.stop.rest.clone()));
        self.tasks.spawn(ALERTS, alerts);
        Ok(())
    }

    /// Where it listens.
    pub(crate) fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// What its API shows.
    pub(crate) fn state(&self) -> &AppState {
        &self.state
    }

    /// Waits until a part ends that should not.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn part_ended(&mut self) -> Failure {
        let (part, reason) = self.tasks.next_ended().await;
        Failure::PartEnded { part, detail: reason.map_or_else(String::new, |reason| format!(" ({reason})")) }
    }

    /// Stops in order: no more readiness; exports under way are answered; then requests of the web port; then the rest, and the
    /// store writes what is in memory to files.
    pub(crate) async fn stop(mut self) -> Result<(), Failure> {
        self.state.readiness.set(false);
        self.stop.collector.cancel();
        self.tasks.join(COLLECTOR).await;
        self.stop.web.cancel();
        self.tasks.join(WEB).await;
        self.stop.rest.cancel();
        self.tasks.join_all().await;
        self.store.close().await?;
        info!("stopped");
        Ok(())
    }
}

/// The alerts, with secrets from files and the environment.
fn alerts(config: &Config, store: &Store, clock: &Arc<dyn Clock>) -> Result<Arc<Alerts>, Failure> {
    let environment = super::environment();
    let settings = |webhook: &WebhookSection| webhook.settings(&environment);
    let webhooks = config.alerts.webhook.iter().map(settings).collect::<Result<_, _>>().map_err(Failure::Alerts)?;
    let board = Some(config.alerts.board_url.clone()).filter(|url| !url.is_empty());
    let document = store.document(ALERTS_FILE, ALERTS_BYTES_MAX);
    Alerts::new(webhooks, board, document, Arc::clone(clock)).map_err(Failure::Alerts)
}

async fn read_rate(state: AppState) {
    let mut ticks = tokio::time::interval(RATE_INTERVAL);
    loop {
        ticks.tick().await;
        state.rate.read(state.clock.now(), (state.ingest)().accepted_spans);
    }
}

async fn listen(addr: SocketAddr) -> Result<(TcpListener, SocketAddr), Failure> {
    let failed = |source| Failure::Listen { what: "the board", addr, source };
    let listener = TcpListener::bind(addr).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

//! `daytwo demo`: the whole server on a local folder, and a shop that talks to it over loopback as SDKs do.

use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use daytwo_dashboards::AppState;
use daytwo_query::slo::SloFile;
use daytwo_query::{Deployment, DeploymentFilter, DeploymentKind, TimeWindow};
use daytwo_traffic::export::Endpoints;
use daytwo_traffic::{Progress, RunningShop, SLO_FILES, ShopConfig, demo_scenario, run_shop};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::config::{Config, Span};
use super::objectives::Objectives;
use super::serve::publish;
use super::server::{Addresses, Server};
use super::signals::Signals;
use super::{Failure, Outcome, log, runtime, say};
use crate::DemoArgs;

/// How long the demo's releases are judged: long enough for the bad one, short enough to see a verdict close.
const BAKE: Duration = Duration::from_secs(300);

/// How often a line of progress is written.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

/// The log of the demo: its progress lines are for people, the rest only when something is wrong.
const LOG_LEVEL: &str = "warn";

/// `daytwo demo …`.
pub(crate) fn demo(args: DemoArgs) -> Outcome {
    let config = configuration(&args);
    log::start(&config.log.level);
    runtime()?.block_on(async {
        let mut signals = Signals::listen()?;
        let objectives =
            SLO_FILES.iter().map(|(name, text)| SloFile { name: (*name).to_owned(), text: (*text).to_owned() });
        let mut server = Server::start(&config, Objectives::Fixed(objectives.collect())).await?;
        let addresses = server.addresses();
        say(&welcome(&addresses, &config))?;
        publish(args.addr_file.as_deref(), &addresses)?;
        let closing = CancellationToken::new();
        let shop = open_shop(&addresses, server.state(), closing.clone())?;
        let state = server.state().clone();
        let ended = tokio::select! {
            signal = signals.stop() => { info!(signal, "stopping"); None }
            () = time_is_up(args.stop_after) => None,
            failure = server.part_ended() => Some(failure),
            failure = report_progress(&state, &shop) => Some(failure),
        };
        signals.stop_at_once_on_the_next();
        closing.cancel();
        let closed = shop.closed.await;
        let stopped = server.stop().await;
        match (ended, closed) {
            (Some(failure), _) => Err(failure),
            (None, Err(error)) => Err(Failure::PartEnded { part: "the shop", detail: format!(" ({error})") }),
            (None, Ok(())) => stopped.map(|()| ExitCode::SUCCESS),
        }
    })
}

/// The defaults on a folder of its own; where a port is taken, any free one.
fn configuration(args: &DemoArgs) -> Config {
    let mut config = Config::default();
    config.storage.data_dir.clone_from(&args.data_dir);
    config.log.level = LOG_LEVEL.to_owned();
    config.engine.bake = Span(BAKE);
    let web = config.dashboards.addr;
    config.dashboards.addr = args.port.map_or_else(|| free_or_any(web), |port| SocketAddr::new(web.ip(), port));
    config.collector.grpc_addr = free_or_any(config.collector.grpc_addr);
    config.collector.http_addr = free_or_any(config.collector.http_addr);
    config
}

/// `addr` if it can be had now, else the same address with any free port.
fn free_or_any(addr: SocketAddr) -> SocketAddr {
    match TcpListener::bind(addr) {
        Ok(_) => addr,
        Err(_) => SocketAddr::new(addr.ip(), 0),
    }
}

fn welcome(addresses: &Addresses, config: &Config) -> String {
    format!(
        "daytwo demo: open http://{}\n  a shop of {} services sends spans to {} (gRPC) and {} (HTTP); they are stored in {}\n  \
         in 30 seconds one of them gets a bad release; Ctrl-C stops\n",
        addresses.web,
        daytwo_traffic::shop::SERVICES.len(),
        addresses.grpc,
        addresses.http,
        config.storage.data_dir.display(),
    )
}

fn open_shop(addresses: &Addresses, state: &AppState, stop: CancellationToken) -> Result<RunningShop, Failure> {
    let setup = |error: daytwo_traffic::export::SetupError| Failure::PartEnded {
        part: "the shop",
        detail: format!(" ({error})"),
    };
    let endpoints = Endpoints::new(&addresses.grpc.to_string(), &addresses.http.to_string()).map_err(setup)?;
    let clock = Arc::clone(&state.clock);
    let now = Arc::new(move || u64::try_from(clock.now().0).unwrap_or(0));
    run_shop(ShopConfig::new(endpoints, demo_scenario()), now, stop).map_err(setup)
}

async fn time_is_up(after: Option<Duration>) {
    match after {
        Some(after) => tokio::time::sleep(after).await,
        None => std::future::pending().await,
    }
}

/// Writes a line every few seconds; ends only when that fails.
async fn report_progress(state: &AppState, shop: &RunningShop) -> Failure {
    let started = Instant::now();
    let mut ticks = tokio::time::interval_at(started + PROGRESS_INTERVAL, PROGRESS_INTERVAL);
    loop {
        ticks.tick().await;
        let progress = shop.progress.borrow().clone();
        if let Err(failure) = say(&progress_line(started.elapsed(), state, &progress)) {
            return failure;
        }
    }
}

fn progress_line(elapsed: Duration, state: &AppState, progress: &Progress) -> String {
    let now = state.clock.now();
    let window = TimeWindow { from: now.saturating_sub(Duration::from_secs(3600)), to: now };
    let services = state.correlator.services(window, None).len();
    let releases = state.correlator.deployments(&DeploymentFilter::default());
    let judged: Vec<String> = releases.iter().filter(|one| one.kind != DeploymentKind::First).map(words).collect();
    let judged = if judged.is_empty() { "no release yet".to_owned() } else { judged.join("; ") };
    let trouble = progress.last_error.as_ref().map(|error| format!("; last export error: {error}")).unwrap_or_default();
    format!(
        "{:>4} s: {} spans accepted, {services} services; {judged}{trouble}\n",
        elapsed.as_secs(),
        progress.spans_acked
    )
}

fn words(release: &Deployment) -> String {
    let class = release.class.map(|class| format!(" ({})", class.name())).unwrap_or_default();
    format!("{} {} {}{class}", release.service, release.version, release.state.name())
}

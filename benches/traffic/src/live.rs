//! The shop, open: journeys begin as the clock goes, pods batch the spans that end, services export the batches.
//!
//! One task makes spans; one task per service exports. Between them stands a bounded queue per service: when the
//! collector is away for long the queue fills and further batches are dropped and counted, as in a real SDK.

mod exporting;
mod floor;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::demo::Scenario;
use crate::export::{Endpoints, RetryPolicy, SetupError};
use crate::model::{Model, ModelConfig};
use exporting::Exporting;

/// How the shop runs.
#[derive(Debug, Clone)]
pub struct ShopConfig {
    /// Where spans go.
    pub endpoints: Endpoints,
    /// Journeys per second and releases.
    pub scenario: Scenario,
    /// Seed of everything random.
    pub seed: u64,
    /// `deployment.environment.name`.
    pub environment: String,
    /// Spans at which a pod's batch is full.
    pub batch_spans: usize,
    /// Longest that a finished span waits for its batch to fill.
    pub batch_delay: Duration,
    /// Batches that wait per service; further ones are dropped.
    pub queue_batches: usize,
    /// How long a request may take.
    pub timeout: Duration,
    /// How long a closing shop tries to send what it has left; what it cannot send by then is counted as dropped.
    pub closing_time: Duration,
    /// When and how often requests are sent again.
    pub retry: RetryPolicy,
    /// History sent at start as fast as it is taken, as SDKs do after an outage; zero for none.
    pub backfill: Duration,
}

impl ShopConfig {
    /// The usual shop: batches of 512 spans or 1 s, no history.
    pub fn new(endpoints: Endpoints, scenario: Scenario) -> Self {
        Self {
            endpoints,
            scenario,
            seed: 1,
            environment: "production".into(),
            batch_spans: 512,
            batch_delay: Duration::from_secs(1),
            queue_batches: 256,
            timeout: Duration::from_secs(10),
            closing_time: Duration::from_secs(5),
            retry: RetryPolicy::default(),
            backfill: Duration::ZERO,
        }
    }
}

/// What has happened in the shop so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Journeys begun.
    pub journeys: u64,
    /// Spans that ended.
    pub spans: u64,
    /// Spans in accepted requests, without those rejected.
    pub spans_acked: u64,
    /// Spans that the collector rejected one by one.
    pub spans_rejected: u64,
    /// Spans given up: queue full, request refused or attempts used up.
    pub spans_dropped: u64,
    /// Requests accepted.
    pub requests_acked: u64,
    /// Attempts after the first.
    pub retries: u64,
    /// The last reason why a request was not accepted.
    pub last_error: Option<String>,
    /// Releases begun: service and version.
    pub releases: Vec<(String, String)>,
}

/// Tells the time in nanoseconds since the Unix epoch.
pub type Now = Arc<dyn Fn() -> u64 + Send + Sync>;

/// A shop that is open.
pub struct RunningShop {
    /// What has happened so far; changes with every batch.
    pub progress: watch::Receiver<Progress>,
    /// Ends once the shop is closed and what it had left is sent or given up.
    pub closed: JoinHandle<()>,
}

impl fmt::Debug for RunningShop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningShop").field("progress", &*self.progress.borrow()).finish_non_exhaustive()
    }
}

/// Opens the shop on the current Tokio runtime; it closes when `stop` is cancelled. Releases count from now.
///
/// # Errors
/// [`SetupError`] when an endpoint cannot be used.
pub fn run_shop(config: ShopConfig, now: Now, stop: CancellationToken) -> Result<RunningShop, SetupError> {
    let origin = now();
    let model = Arc::new(Model::new(ModelConfig {
        seed: config.seed,
        origin_unix_nano: origin,
        releases: config.scenario.releases.clone(),
        environment: config.environment.clone(),
        flags: config.scenario.flags.clone(),
    }));
    let (progress, receiver) = watch::channel(Progress::default());
    let progress = Arc::new(progress);
    let exporting = Exporting::start(&config, &progress, &stop)?;
    let closed = tokio::spawn(async move {
        let backfill = floor::backfill(&config, &model, (origin, exporting.queues()), &progress, &stop);
        let floor = floor::Floor::new(&config, Arc::clone(&model), (origin, exporting.queues()), Arc::clone(&progress));
        tokio::join!(backfill, floor.run(now, &stop));
        exporting.close(config.closing_time).await;
    });
    Ok(RunningShop { progress: receiver, closed })
}

#[cfg(test)]
mod tests;

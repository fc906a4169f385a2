//! [`Correlator`]: follows accepted spans, closes traces, and keeps what the board shows.
//!
//! One lock guards the state; every call under it is short except the tick, which judges. The state is a pure
//! fold over spans and the time, so a rebuild from the store ends where the follower was.

mod at_rest;
mod backtest;
mod config;
mod flags;
mod follow;
mod keep;
mod late;
mod open;
mod recent;
mod state;
mod tables;
#[cfg(test)]
mod tests;
mod versions;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use daytwo_storage::{Clock, Document, SpanBatch, UnixNanos};

pub use at_rest::EngineAtRest;
pub use backtest::{GateRule, GateSettings, GateTrial};
pub use config::EngineConfig;
use state::State;

use crate::deployment::{Deployment, DeploymentFilter, SharePoint};
use crate::flag::Flag;
use crate::sli::{self, OperationSli, ServiceSli, SliRow, TimeWindow};
use crate::slo::{self, Parsed, SloBoard, SloDetail, SloFile};
use crate::verdict::{QuantilesMs, Verdict};

/// Counters for `/metrics` and the status page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineStatus {
    /// Spans seen since start, rebuilds included.
    pub observed_spans: u64,
    /// Traces still open.
    pub open_traces: u64,
    /// Spans held for open and just closed traces.
    pub open_spans: u64,
    /// Traces closed since start.
    pub closed_traces: u64,
    /// Traces closed early because too many spans were held.
    pub evicted_traces: u64,
    /// Cells held.
    pub cells: u64,
    /// Bytes that they take.
    pub cell_bytes: u64,
    /// Spans that came after their trace had been closed; their trace was measured again.
    pub late_spans: u64,
    /// Late spans whose trace was no longer held and could not be read again: measured without it.
    pub fragment_spans: u64,
    /// Traces that were read again from the store because spans came late.
    pub read_again_traces: u64,
    /// Traces that wait to be read again.
    pub waiting_traces: u64,
    /// Closed traces forgotten early because there were too many: a late span of theirs begins a trace of its own.
    pub forgotten_early_traces: u64,
    /// Spans counted under `~other` because there were too many operations.
    pub overflowed_spans: u64,
    /// Traces counted under the journey `~other` because there were too many journeys.
    pub overflowed_journeys: u64,
    /// Cells dropped early because memory was full.
    pub dropped_cells: u64,
    /// Trace records held for deployments to come.
    pub recent_traces: u64,
    /// Feature flags that are followed.
    pub flags: u64,
    /// Their variants.
    pub flag_variants: u64,
    /// Evaluations of flags that were too long or too many to be followed.
    pub left_out_evaluations: u64,
    /// Variants under judgement.
    pub judged_variants: u64,
    /// Deployments under judgement.
    pub judged_deployments: u64,
    /// Declared deployments that are kept.
    pub declared_deployments: u64,
    /// Declared deployments that went because there were too many.
    pub dropped_declarations: u64,
    /// Declared weights of flags that are kept.
    pub declared_flags: u64,
    /// Declared weights of flags that went because there were too many.
    pub dropped_flag_declarations: u64,
    /// Rebuilds from the store.
    pub rebuilds: u64,
    /// Batches that could not be read.
    pub unreadable_batches: u64,
    /// Whether answers are behind the store because a rebuild is under way.
    pub lagging: bool,
    /// Whether everything is known that the store and the files of objectives hold, so that what is not there is over.
    pub settled: bool,
}

/// One bin of a latency distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DistributionBin {
    /// Lower bound.
    pub low_ms: f64,
    /// Upper bound.
    pub high_ms: f64,
    /// Share of the old version's traces.
    pub before: f64,
    /// Share of the new version's traces.
    pub after: f64,
}

/// Self time per trace of an operation, before and after.
#[derive(Debug, Clone, PartialEq)]
pub struct Distribution {
    /// The operation; `None` for the whole service.
    pub operation: Option<String>,
    /// Bins, ascending.
    pub bins: Vec<DistributionBin>,
    /// Quantiles of the old version.
    pub before: Option<QuantilesMs>,
    /// Quantiles of the new version.
    pub after: Option<QuantilesMs>,
}

/// The correlation engine.
#[derive(Debug)]
pub struct Correlator {
    config: EngineConfig,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// Where declared deployments are kept; its lock is held while they change.
    declared: Mutex<Option<Document>>,
    /// Where declared weights of flags are kept; its lock is held while they change.
    declared_flags: Mutex<Option<Document>>,
    /// Where cells and budgets are kept.
    history: Mutex<Option<keep::History>>,
    /// Held while a back-test is under way.
    backtesting: Mutex<()>,
}

impl Correlator {
    /// An engine that has seen nothing.
    pub fn new(config: EngineConfig, clock: Arc<dyn Clock>) -> Arc<Self> {
        let state = Mutex::new(State::new(config.clone()));
        Arc::new(Self {
            config,
            clock,
            state,
            declared: Mutex::new(None),
            declared_flags: Mutex::new(None),
            history: Mutex::new(None),
            backtesting: Mutex::new(()),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes accepted spans. A batch that cannot be read is counted and left out.
    pub fn observe(&self, batch: &SpanBatch) {
        let now = self.clock.now();
        let mut state = self.state();
        state.observe(batch.record_batch());
        state.make_room(now);
    }

    /// Closes traces that are quiet; on every tenth second also judges and forgets what is old.
    pub fn tick(&self) {
        let now = self.clock.now();
        self.state().tick(now);
    }

    /// The instant up to which answers are complete.
    pub fn as_of(&self) -> UnixNanos {
        self.clock.now().saturating_sub(self.config.idle)
    }

    /// Counters.
    pub fn status(&self) -> EngineStatus {
        self.state().status()
    }

    /// Services with traffic in the window.
    pub fn services(&self, window: TimeWindow, environment: Option<&str>) -> Vec<ServiceSli> {
        sli::services(&self.state().cells, window, environment)
    }

    /// Operations of a service with traffic in the window.
    pub fn operations(&self, service: &str, window: TimeWindow, environment: Option<&str>) -> Vec<OperationSli> {
        sli::operations(&self.state().cells, window, service, environment)
    }

    /// Cells of the window.
    pub fn sli_rows(&self, window: TimeWindow) -> Vec<SliRow> {
        sli::rows(&self.state().cells, window)
    }

    /// Replaces the objectives. What is wrong with one document keeps only that out; objectives that did not
    /// change keep their counters, new ones count from the stored spans after the next rebuild.
    pub fn set_slos(&self, files: &[SloFile]) {
        self.set_parsed_slos(slo::parse(files));
    }

    /// As [`Correlator::set_slos`], of files that somebody has read, who may have put the last good state of one in the place of a broken one.
    pub fn set_parsed_slos(&self, mut parsed: Parsed) {
        parsed.problems.sort();
        self.state().set_slos(parsed);
    }

    /// Every objective, worst budget first.
    pub fn slos(&self, environment: Option<&str>) -> SloBoard {
        self.state().slos(self.clock.now(), environment)
    }

    /// One objective in detail.
    pub fn slo_detail(&self, id: &str) -> Option<SloDetail> {
        self.state().slo_detail(id, self.clock.now())
    }

    /// Deployments, newest first.
    pub fn deployments(&self, filter: &DeploymentFilter) -> Vec<Deployment> {
        self.state().deployments(filter, self.clock.now())
    }

    /// Feature flags, worst first.
    pub fn flags(&self, environment: Option<&str>) -> Vec<Flag> {
        self.state().flags(environment, self.clock.now())
    }

    /// A version's share of its service's traces by the minute, since `from`; at most the newest 360 minutes.
    pub fn shares(&self, service: &str, version: &str, environment: &str, from: UnixNanos) -> Vec<SharePoint> {
        self.state().shares(service, version, environment, from)
    }

    /// The latest verdict of a deployment; of the newest one that matches when `environment` is `None`.
    pub fn verdict(&self, service: &str, version: &str, environment: Option<&str>) -> Option<Arc<Verdict>> {
        let state = self.state();
        let judged = state.verdict(service, version, environment);
        judged.or_else(|| state.unseen(service, version, environment, self.clock.now()))
    }

    /// The latest verdict of every deployment.
    pub fn verdicts(&self) -> Vec<Arc<Verdict>> {
        self.state().verdicts()
    }

    /// Self time of an operation (or the whole service), before and after a deployment.
    pub fn distribution(
        &self,
        service: &str,
        version: &str,
        operation: Option<&str>,
        environment: Option<&str>,
    ) -> Option<Distribution> {
        self.state().distribution(service, version, operation, environment)
    }
}

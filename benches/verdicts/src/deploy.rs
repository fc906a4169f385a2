//! Making deployments out of traces: some go through v1 of a service, the others through v2.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use daytwo_query::UnixNanos;
use daytwo_query::measure::{TraceRecord, measure_trace};
use daytwo_query::trace::{SpanResource, TraceSpan, stitch};
use daytwo_query::verdict::{Class, CohortKey, Cohorts, State, Verdict, VerdictConfig, judge, prior_window};

use crate::dataset::Window;

/// The old version.
pub(crate) const OLD: &str = "v1";
/// The new version.
pub(crate) const NEW: &str = "v2";

/// What each trace says, in order.
pub(crate) fn records<'a>(traces: impl Iterator<Item = &'a [TraceSpan]>) -> Vec<TraceRecord> {
    traces.filter_map(|spans| measure_trace(&stitch(spans.to_vec()))).collect()
}

/// Services of the records.
pub(crate) fn services(records: &[TraceRecord]) -> BTreeSet<Arc<str>> {
    records.iter().flat_map(|record| &record.resources).map(|resource| Arc::clone(&resource.service)).collect()
}

/// A deployment that can be looked at as its traces come.
#[derive(Debug)]
pub(crate) struct Deployment<'a> {
    cohorts: Cohorts,
    prior_traces: u64,
    config: &'a VerdictConfig,
}

impl<'a> Deployment<'a> {
    /// A version of `service` that came at `first_seen`.
    pub(crate) fn new(service: &str, first_seen: i64, config: &'a VerdictConfig) -> Self {
        let key = CohortKey {
            environment: "".into(),
            service: service.into(),
            flag: None,
            candidate: NEW.into(),
            baseline: Some(OLD.into()),
            first_seen: UnixNanos(first_seen),
        };
        Self { cohorts: Cohorts::new(key, config.lookback, config.bake), prior_traces: 0, config }
    }

    /// Traces of the old version that started then. They are counted as the engine counts them, for the plan, and not compared.
    pub(crate) fn preceded_by(&mut self, starts: impl IntoIterator<Item = i64>) {
        let (from, to) = prior_window(self.cohorts.key().first_seen, self.config);
        let counted = starts.into_iter().filter(|start| (from..to).contains(start)).count();
        self.prior_traces = self.prior_traces.saturating_add(counted as u64);
        self.cohorts.set_prior_traces(self.prior_traces);
    }

    /// Adds a trace through the new version or the old.
    pub(crate) fn add(&mut self, record: &TraceRecord, new: bool) {
        let service = Arc::clone(&self.cohorts.key().service);
        if !new && record.resources.iter().any(|resource| resource.service == service) {
            self.preceded_by([record.start.0]);
        }
        let mut record = record.clone();
        for resource in record.resources.iter_mut().filter(|resource| resource.service == service) {
            let version = if new { NEW } else { OLD }.into();
            *resource = Arc::new(SpanResource { version, ..(**resource).clone() });
        }
        self.cohorts.add(&record);
    }

    /// The verdict at an instant.
    pub(crate) fn judge(&self, now: i64) -> Verdict {
        judge(&self.cohorts, UnixNanos(now), self.config)
    }
}

/// The rule with a past as long as from one window's start to the other's.
pub(crate) fn reaching_back(config: &VerdictConfig, before: Window, after: Window) -> VerdictConfig {
    let nanos = u64::try_from(after.0.saturating_sub(before.0)).unwrap_or(0);
    VerdictConfig { lookback: Duration::from_nanos(nanos), ..config.clone() }
}

/// All traffic moves to a new version of `service` at the start of the second window.
pub(crate) fn before_after(
    records: &[TraceRecord],
    service: &str,
    before: Window,
    after: Window,
    config: &VerdictConfig,
) -> Verdict {
    let config = reaching_back(config, before, after);
    let mut deployment = Deployment::new(service, after.0, &config);
    records.iter().for_each(|record| deployment.add(record, record.start.0 >= after.0));
    deployment.judge(after.1)
}

/// Whether a verdict says that its own service is to blame, be it as FAIL or as WARN.
pub(crate) fn names_it(verdict: &Verdict) -> bool {
    matches!(verdict.state, State::Fail | State::Warn)
        && matches!(verdict.class, Some(Class::Own | Class::Edge | Class::Induced))
}

/// Where the verdict's own service stands among its suspects: what time it explains counts before what calls it changed.
pub(crate) fn suspicion(verdict: &Verdict) -> Option<(bool, f64)> {
    let own = verdict.suspects.iter().find(|suspect| suspect.service == verdict.service)?;
    Some((own.calls_ms <= 0.0, own.score_ms))
}

//! What the state answers: objectives, deployments, verdicts, distributions, counters.

use super::{
    Arc, Deployment, DeploymentFilter, Distribution, EngineStatus, Judged, LastDeployment, Objective, SloBoard,
    SloCounter, SloDetail, SloProblem, State, UnixNanos, Verdict, slo,
};
use crate::verdict::{Finding, FindingNode, Signal, State as Outcome};

impl State {
    pub(in crate::correlator) fn status(&self) -> EngineStatus {
        EngineStatus {
            observed_spans: self.observed,
            open_traces: self.open.open() as u64,
            open_spans: self.open.spans() as u64,
            closed_traces: self.closed,
            evicted_traces: self.open.evicted,
            cells: self.cells.len() as u64,
            late_spans: self.open.late_spans,
            fragment_spans: self.open.fragment_spans,
            overflowed_spans: self.cells.overflowed(),
            dropped_cells: self.cells.dropped(),
            recent_traces: self.recent.len() as u64,
            judged_deployments: self.judged.values().filter(|judged| judged.cohorts.is_some()).count() as u64,
            rebuilds: self.rebuilds,
            unreadable_batches: self.unreadable,
            lagging: self.lagging,
        }
    }

    /// Takes new objectives; counters of those that stayed the same stay.
    pub(in crate::correlator) fn set_slos(&mut self, objectives: Vec<Objective>, problems: Vec<SloProblem>) {
        let mut known = std::mem::take(&mut self.objectives);
        for objective in objectives {
            let same = known.iter().position(|(old, _)| *old == objective);
            let counter = same.map(|at| known.swap_remove(at).1);
            self.wants_rebuild |= counter.is_none() && self.observed > 0;
            self.objectives.push((objective, counter.unwrap_or_default()));
        }
        self.problems = problems;
    }

    /// The objectives without their counters, for a rebuild.
    pub(in crate::correlator) fn fresh(&self) -> Self {
        let mut fresh = Self::new(self.config.clone());
        let objectives = self.objectives.iter().map(|(objective, _)| (objective.clone(), SloCounter::default()));
        fresh.objectives = objectives.collect();
        fresh.problems = self.problems.clone();
        fresh
    }

    /// Takes the place of a state that fell behind. The objectives of now stay, as they may have changed meanwhile.
    pub(in crate::correlator) fn replace(&mut self, mut rebuilt: Self) {
        self.take_counters(&mut rebuilt);
        rebuilt.problems = std::mem::take(&mut self.problems);
        rebuilt.rebuilds = self.rebuilds.saturating_add(1);
        rebuilt.observed = rebuilt.observed.saturating_add(self.observed);
        rebuilt.closed = rebuilt.closed.saturating_add(self.closed);
        rebuilt.unreadable = rebuilt.unreadable.saturating_add(self.unreadable);
        *self = rebuilt;
    }

    /// Gives every objective of now what the rebuild counted of it; one that it did not count wants another rebuild.
    fn take_counters(&mut self, rebuilt: &mut Self) {
        let mut counted = std::mem::take(&mut rebuilt.objectives);
        for (objective, mut counter) in std::mem::take(&mut self.objectives) {
            match counted.iter().position(|(other, _)| *other == objective) {
                Some(at) => counter.fill_from(counted.swap_remove(at).1),
                None => rebuilt.wants_rebuild |= rebuilt.observed > 0,
            }
            rebuilt.objectives.push((objective, counter));
        }
    }

    fn last_deployment(&self, service: &str) -> Option<LastDeployment> {
        let of_service = self.judged.values().filter(|judged| *judged.arrival.key.1 == *service);
        of_service.max_by_key(|judged| judged.arrival.first_seen).map(|judged| LastDeployment {
            service: service.to_owned(),
            version: judged.arrival.version.to_string(),
            state: judged.verdict.state,
        })
    }

    pub(in crate::correlator) fn slos(&self, now: UnixNanos, environment: Option<&str>) -> SloBoard {
        let wanted = |objective: &Objective| {
            environment.is_none_or(|environment| objective.environment.as_ref().is_none_or(|own| **own == *environment))
        };
        let wanted = self.objectives.iter().filter(|(objective, _)| wanted(objective));
        let report = |(objective, counter): &(Objective, SloCounter)| {
            slo::report(objective, counter, now, self.last_deployment(&objective.service))
        };
        let mut slos: Vec<_> = wanted.map(report).collect();
        slos.sort_by(|left, right| {
            let left_budget = left.budget_left.unwrap_or(f64::INFINITY);
            left_budget.total_cmp(&right.budget_left.unwrap_or(f64::INFINITY)).then_with(|| left.id.cmp(&right.id))
        });
        SloBoard { slos, problems: self.problems.clone() }
    }

    pub(in crate::correlator) fn slo_detail(&self, id: &str, now: UnixNanos) -> Option<SloDetail> {
        let (objective, counter) = self.objectives.iter().find(|(objective, _)| objective.id == id)?;
        let report = slo::report(objective, counter, now, self.last_deployment(&objective.service));
        Some(slo::detail(objective, counter, now, report))
    }

    pub(in crate::correlator) fn deployments(&self, filter: &DeploymentFilter) -> Vec<Deployment> {
        let wanted = |judged: &&Judged| {
            let (environment, service) = &judged.arrival.key;
            filter.service.as_ref().is_none_or(|wanted| **wanted == **service)
                && filter.environment.as_ref().is_none_or(|wanted| **wanted == **environment)
        };
        let mut found: Vec<_> = self.judged.values().filter(wanted).map(deployment).collect();
        found.sort_by(|left, right| {
            right.first_seen_unix_nano.cmp(&left.first_seen_unix_nano).then_with(|| left.service.cmp(&right.service))
        });
        found
    }

    /// The newest deployment of this version.
    fn judged(&self, service: &str, version: &str, environment: Option<&str>) -> Option<&Judged> {
        let wanted = |judged: &&Judged| {
            *judged.arrival.key.1 == *service
                && *judged.arrival.version == *version
                && environment.is_none_or(|environment| *judged.arrival.key.0 == *environment)
        };
        self.judged.values().filter(wanted).max_by_key(|judged| judged.arrival.first_seen)
    }

    pub(in crate::correlator) fn verdict(
        &self,
        service: &str,
        version: &str,
        environment: Option<&str>,
    ) -> Option<Arc<Verdict>> {
        self.judged(service, version, environment).map(|judged| Arc::clone(&judged.verdict))
    }

    /// All current verdicts.
    pub(in crate::correlator) fn verdicts(&self) -> Vec<Arc<Verdict>> {
        self.judged.values().map(|judged| Arc::clone(&judged.verdict)).collect()
    }

    pub(in crate::correlator) fn distribution(
        &self,
        service: &str,
        version: &str,
        operation: Option<&str>,
        environment: Option<&str>,
    ) -> Option<Distribution> {
        let cohorts = self.judged(service, version, environment)?.cohorts.as_ref()?;
        crate::verdict::distribution(cohorts, operation, &self.config.verdict)
    }
}

fn deployment(judged: &Judged) -> Deployment {
    let (arrival, verdict) = (&judged.arrival, &judged.verdict);
    let regressed = verdict.findings.iter().filter(|finding| matches!(finding.state, Outcome::Fail | Outcome::Warn));
    let inherited = verdict.affected.iter().filter(|finding| finding.state == Outcome::Inherited);
    let total = verdict.findings.iter().find(|finding| finding.node == FindingNode::Total);
    let own_errors =
        |row: &&Finding| row.signal == Signal::Errors && row.operation.is_none() && row.node == FindingNode::SelfTime;
    let errors = verdict.findings.iter().find(own_errors);
    let quantiles = total.and_then(|total| total.before_ms.zip(total.after_ms));
    Deployment {
        service: arrival.key.1.to_string(),
        environment: arrival.key.0.to_string(),
        version: arrival.version.to_string(),
        previous_version: arrival.previous.as_ref().map(ToString::to_string),
        first_seen_unix_nano: arrival.first_seen.0,
        last_seen_unix_nano: arrival.last_seen.0,
        share: arrival.share,
        kind: arrival.kind,
        state: verdict.state,
        class: verdict.class,
        headline: verdict.headline.clone(),
        regressed_operations: regressed.filter(|finding| finding.operation.is_some()).count() as u64,
        inherited_services: inherited.count() as u64,
        rate_change: rate_change(verdict),
        p95_change: quantiles
            .filter(|(before, _)| before.p95 > 0.0)
            .map(|(before, after)| after.p95 / before.p95 - 1.0),
        errors_change: errors.and_then(|row| Some(row.errors_after? - row.errors_before?)),
    }
}

/// Traces per second, new over old, less one. With concurrent traffic it says how the traffic is split.
#[expect(clippy::cast_precision_loss, reason = "counts and times for show")]
fn rate_change(verdict: &Verdict) -> Option<f64> {
    let rate = |traces: u64, from: i64, to: i64| traces as f64 / (to.saturating_sub(from)) as f64;
    let (before, after) = (&verdict.baseline, &verdict.candidate);
    let old = rate(before.traces, before.from_unix_nano, before.to_unix_nano);
    let new = rate(after.traces, after.from_unix_nano, after.to_unix_nano);
    Some(new / old - 1.0).filter(|change| change.is_finite())
}

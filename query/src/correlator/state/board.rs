//! What the state answers: objectives, deployments, verdicts, distributions, counters.

use super::{
    Arc, Distribution, EngineStatus, Judged, KeptCounters, LastDeployment, Objective, SliCells, SloBoard, SloCounter,
    SloDetail, SloProblem, State, UnixNanos, Verdict, slo,
};

impl State {
    pub(in crate::correlator) fn status(&self) -> EngineStatus {
        let (declared_deployments, dropped_declarations) = self.declared.counts();
        EngineStatus {
            declared_deployments,
            dropped_declarations,
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
            settled: self.rebuilds > 0 && self.objectives_known && !self.lagging && !self.wants_rebuild,
        }
    }

    /// Takes new objectives. What was counted already stays counted, whatever else of an objective changed; what counts no more is kept.
    pub(in crate::correlator) fn set_slos(&mut self, objectives: Vec<Objective>, problems: Vec<SloProblem>) {
        let mut known = std::mem::take(&mut self.objectives);
        for objective in objectives {
            let selector = objective.selector();
            let twin = || self.objectives.iter().find(|(other, _)| other.selector() == selector);
            let same = known.iter().position(|(old, _)| old.selector() == selector);
            let counter = same.map(|at| known.swap_remove(at).1).or_else(|| twin().map(|(_, counter)| counter.clone()));
            self.wants_rebuild |= counter.is_none() && self.observed > 0;
            let counter = counter.or_else(|| self.kept.remove(&selector)).unwrap_or_default();
            self.objectives.push((objective, counter));
        }
        self.kept.extend(known.into_iter().map(|(objective, counter)| (objective.selector(), counter)));
        self.problems = problems;
        self.objectives_known = true;
    }

    /// Every counter, by what it counts.
    pub(in crate::correlator) fn counters(&self) -> KeptCounters {
        let mut counters = self.kept.clone();
        counters.extend(self.objectives.iter().map(|(objective, counter)| (objective.selector(), counter.clone())));
        counters
    }

    /// The objectives without their counters, for a rebuild.
    pub(in crate::correlator) fn fresh(&self) -> Self {
        let mut fresh = Self::new(self.config.clone());
        let objectives = self.objectives.iter().map(|(objective, _)| (objective.clone(), SloCounter::default()));
        fresh.objectives = objectives.collect();
        fresh.problems = self.problems.clone();
        fresh.declared = Arc::clone(&self.declared);
        fresh
    }

    /// Takes the place of a state that fell behind. The objectives of now stay, as they may have changed meanwhile.
    pub(in crate::correlator) fn replace(&mut self, mut rebuilt: Self) {
        self.take_counters(&mut rebuilt);
        rebuilt.problems = std::mem::take(&mut self.problems);
        rebuilt.declared = Arc::clone(&self.declared);
        rebuilt.objectives_known = self.objectives_known;
        rebuilt.kept = std::mem::take(&mut self.kept);
        let none = SliCells::new(self.config.series_max, self.config.cells_bytes_max);
        rebuilt.cells.fill_from(std::mem::replace(&mut self.cells, none));
        rebuilt.lagging = self.lagging;
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
            match counted.iter().position(|(other, _)| other.selector() == objective.selector()) {
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

//! What the state answers: objectives, deployments, verdicts, distributions, counters.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::{
    Arc, Cohorts, DeploymentFilter, DeploymentKey, Distribution, EngineStatus, Judged, KeptCounters, LastDeployment,
    SliCells, SloBoard, SloCounter, SloDetail, State, Tracked, UnixNanos, Verdict, slo,
};
use crate::slo::{Member, Parsed, Selector, SloReport, View};

/// Counters by what they count, and which of them somebody has taken.
struct Known(BTreeMap<Selector, (SloCounter, bool)>);

impl Known {
    fn of(objectives: Vec<Tracked>) -> Self {
        let mut known = Self(BTreeMap::new());
        for Tracked { objective, counters } in objectives {
            for (member, counter) in objective.members.iter().zip(counters) {
                match known.0.entry(member.calls.selector()) {
                    Entry::Vacant(place) => {
                        place.insert((counter, false));
                    }
                    // Of two windows the longer one has more.
                    Entry::Occupied(mut place) => place.get_mut().0.fill_from(counter),
                }
            }
        }
        known
    }

    /// A counter for one more objective: several may count the same.
    fn take(&mut self, selector: &Selector) -> Option<SloCounter> {
        let (counter, taken) = self.0.get_mut(selector)?;
        *taken = true;
        Some(counter.clone())
    }

    /// Those that nobody took.
    fn left(self) -> impl Iterator<Item = (Selector, SloCounter)> {
        self.0.into_iter().filter(|(_, (_, taken))| !taken).map(|(selector, (counter, _))| (selector, counter))
    }
}

impl State {
    pub(in crate::correlator) fn status(&self) -> EngineStatus {
        let (declared_deployments, dropped_declarations) = self.declared.counts();
        let (declared_flags, dropped_flag_declarations) = self.declared_flags.counts();
        let [flags, flag_variants, left_out] = self.flags.counts();
        EngineStatus {
            declared_deployments,
            dropped_declarations,
            declared_flags,
            dropped_flag_declarations,
            observed_spans: self.observed,
            open_traces: self.open.open() as u64,
            open_spans: self.open.spans() as u64,
            closed_traces: self.closed,
            evicted_traces: self.open.evicted,
            cells: self.cells.len() as u64,
            cell_bytes: self.cells.bytes() as u64,
            late_spans: self.open.late_spans,
            fragment_spans: self.open.fragment_spans,
            read_again_traces: self.open.read_again,
            waiting_traces: self.open.waiting() as u64,
            forgotten_early_traces: self.open.forgotten_early(),
            overflowed_spans: self.cells.overflowed(),
            overflowed_journeys: self.cells.overflowed_journeys(),
            dropped_cells: self.cells.dropped(),
            recent_traces: self.recent.len() as u64,
            flags,
            flag_variants,
            left_out_evaluations: left_out.saturating_add(self.cache.flags_left_out()),
            judged_variants: self.judged_flags.followed(),
            judged_deployments: self.judged.values().filter(|judged| judged.cohorts.is_some()).count() as u64,
            rebuilds: self.rebuilds,
            unreadable_batches: self.unreadable,
            lagging: self.lagging,
            settled: self.rebuilds > 0 && self.objectives_known && !self.lagging && !self.wants_rebuild,
        }
    }

    /// Takes new objectives. What was counted already stays counted, whatever else of an objective changed; what counts no more is kept.
    pub(in crate::correlator) fn set_slos(&mut self, parsed: Parsed) {
        let mut known = Known::of(std::mem::take(&mut self.objectives));
        for objective in parsed.objectives {
            let counter = |member: &Member| {
                let counter = known.take(&member.calls.selector());
                self.wants_rebuild |= counter.is_none() && self.observed > 0;
                counter.or_else(|| self.kept.remove(&member.calls.selector())).unwrap_or_default()
            };
            let counters = objective.members.iter().map(counter).collect();
            self.objectives.push(Tracked { objective, counters });
        }
        self.kept.extend(known.left());
        (self.problems, self.notes) = (parsed.problems, parsed.notes);
        self.objectives_known = true;
    }

    /// Every counter, by what it counts; of several with different windows all that any of them has.
    pub(in crate::correlator) fn counters(&self) -> KeptCounters {
        let mut counters = self.kept.clone();
        for Tracked { objective, counters: own } in &self.objectives {
            for (member, counter) in objective.members.iter().zip(own) {
                match counters.entry(member.calls.selector()) {
                    Entry::Vacant(place) => {
                        place.insert(counter.clone());
                    }
                    Entry::Occupied(mut place) => place.get_mut().fill_from(counter.clone()),
                }
            }
        }
        counters
    }

    /// The objectives without their counters, for a rebuild.
    pub(in crate::correlator) fn fresh(&self) -> Self {
        let mut fresh = Self::new(self.config.clone());
        let empty = |tracked: &Tracked| Tracked {
            objective: tracked.objective.clone(),
            counters: vec![SloCounter::default(); tracked.counters.len()],
        };
        fresh.cells.reserve_journeys_of(&self.cells);
        fresh.objectives = self.objectives.iter().map(empty).collect();
        fresh.problems = self.problems.clone();
        fresh.notes = self.notes.clone();
        fresh.declared = Arc::clone(&self.declared);
        fresh.declared_flags = Arc::clone(&self.declared_flags);
        fresh
    }

    /// Takes the place of a state that fell behind. The objectives of now stay, as they may have changed meanwhile.
    pub(in crate::correlator) fn replace(&mut self, mut rebuilt: Self) {
        self.take_counters(&mut rebuilt);
        rebuilt.problems = std::mem::take(&mut self.problems);
        rebuilt.notes = std::mem::take(&mut self.notes);
        rebuilt.declared = Arc::clone(&self.declared);
        rebuilt.declared_flags = Arc::clone(&self.declared_flags);
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
        let mut counted = Known::of(std::mem::take(&mut rebuilt.objectives));
        for Tracked { objective, mut counters } in std::mem::take(&mut self.objectives) {
            for (member, counter) in objective.members.iter().zip(&mut counters) {
                match counted.take(&member.calls.selector()) {
                    Some(again) => counter.fill_from(again),
                    None => rebuilt.wants_rebuild |= rebuilt.observed > 0,
                }
            }
            rebuilt.objectives.push(Tracked { objective, counters });
        }
    }

    fn last_deployment(&self, service: &str) -> Option<LastDeployment> {
        let of_service = self.judged.values().filter(|judged| *judged.arrival.key.1 == *service);
        of_service.max_by_key(|judged| judged.arrival.first_seen).map(|judged| LastDeployment {
            service: service.to_owned(),
            version: judged.arrival.version.to_string(),
            first_seen: judged.arrival.first_seen,
            state: judged.verdict.state,
        })
    }

    pub(in crate::correlator) fn slos(&self, now: UnixNanos, environment: Option<&str>) -> SloBoard {
        let wanted = |tracked: &&Tracked| {
            let of = |own: &Option<Arc<str>>| {
                environment.is_none_or(|environment| own.as_ref().is_none_or(|own| **own == *environment))
            };
            tracked.objective.members.iter().any(|member| of(&member.calls.environment))
        };
        let report = |tracked: &Tracked| self.slo_report(tracked, now).1;
        let mut slos: Vec<_> = self.objectives.iter().filter(wanted).map(report).collect();
        slos.sort_by(|left, right| {
            let left_budget = left.budget_left.unwrap_or(f64::INFINITY);
            left_budget.total_cmp(&right.budget_left.unwrap_or(f64::INFINITY)).then_with(|| left.id.cmp(&right.id))
        });
        SloBoard { slos, problems: self.problems.clone(), notes: self.notes.clone() }
    }

    fn slo_report<'a>(&self, tracked: &'a Tracked, now: UnixNanos) -> (View<'a>, SloReport) {
        let view = View::new(&tracked.objective, &tracked.counters, now);
        (view, slo::report(&view, self.last_deployment(&tracked.objective.service)))
    }

    pub(in crate::correlator) fn slo_detail(&self, id: &str, now: UnixNanos) -> Option<SloDetail> {
        let tracked = self.objectives.iter().find(|tracked| tracked.objective.id == id)?;
        let (view, report) = self.slo_report(tracked, now);
        Some(slo::detail(&view, report))
    }

    /// Deployments whose traces are held and that have something to be compared with, newest first.
    pub(in crate::correlator) fn judged_keys(&self, filter: &DeploymentFilter) -> Vec<DeploymentKey> {
        let held =
            self.judged.iter().filter(|(_, judged)| judged.cohorts.is_some() && judged.arrival.previous.is_some());
        let mut keys: Vec<DeploymentKey> =
            held.map(|(key, _)| key.clone()).filter(|key| filter.wants(&key.1, &key.0)).collect();
        keys.sort_by(|left, right| right.3.cmp(&left.3).then_with(|| left.cmp(right)));
        keys
    }

    /// A copy of a deployment's traces, while they are held.
    pub(in crate::correlator) fn held_cohorts(&self, key: &DeploymentKey) -> Option<Cohorts> {
        self.judged.get(key)?.cohorts.clone()
    }

    /// Feature flags, worst first.
    pub(in crate::correlator) fn flags(&self, environment: Option<&str>, now: UnixNanos) -> Vec<crate::flag::Flag> {
        let mut flags = self.flags.answer(&self.judged_flags, environment, now, self.config.verdict.bake);
        for flag in &mut flags {
            for variant in &mut flag.variants {
                variant.weight = self.declared_flags.weight_of(&flag.environment, &flag.key, &variant.variant, now);
            }
        }
        flags
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

//! What is computed once for all services that one pair of cohorts judges, and the services of a flag one after the other.

use std::sync::Arc;

use daytwo_storage::UnixNanos;

use super::super::attribution::{Attribution, OtherService};
use super::super::baseline::{Comparison, Table, tabulate};
use super::super::cohort::{AFTER, ARMS, Cohorts};
use super::super::floors::Floors;
use super::super::gate::Gate;
use super::super::node_test::Yardstick;
use super::super::sequential::{Tuning, tuning};
use super::super::split::{self, Split};
use super::super::suspects::Evidences;
use super::super::{CohortKey, State, Suspect, Verdict, VerdictConfig};
use super::{Case, coverage};
use crate::measure::NodeKey;

/// What is the same for every service that is judged by one pair of cohorts.
pub(super) struct Basis<'a> {
    cohorts: &'a Cohorts,
    config: &'a VerdictConfig,
    pub(super) comparison: Comparison,
    table: Table,
    floors: Floors,
    planned_traces: u64,
    tuning: Tuning,
    services: Vec<OtherService>,
    suspects: Vec<Suspect>,
    splits: Vec<Split>,
    baked: bool,
}

/// A service judged by the variants of a flag.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Judgement {
    /// The record.
    pub(crate) verdict: Verdict,
    /// Logarithm of the evidence that the variant makes the service worse, all its nodes together.
    pub(crate) ln_e: f64,
    /// Share of the variant's traces that go through the service.
    pub(crate) share: f64,
}

/// Services of one flag's traces that are judged, those with most traces first.
const FLAG_SERVICES_MAX: usize = 32;

/// Judges every service of a flag's traces by its variants, in the order of their names.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub(crate) fn judge_services(cohorts: &Cohorts, now: UnixNanos, config: &VerdictConfig) -> Vec<Judgement> {
    let basis = Basis::of(cohorts, now, config);
    let traces = |service: &Arc<str>| traces_of(&basis.table, &NodeKey::Service { service: Arc::clone(service) });
    let mut services: Vec<(Arc<str>, [u64; ARMS])> =
        basis.services.iter().map(|other| (Arc::clone(&other.service), traces(&other.service))).collect();
    services.sort_by(|left, right| right.1[AFTER].cmp(&left.1[AFTER]).then_with(|| left.0.cmp(&right.0)));
    services.truncate(FLAG_SERVICES_MAX);
    services.sort();
    let all = traces_of(&basis.table, &NodeKey::Journey)[AFTER].max(1) as f64;
    let judged = |(service, traces): (Arc<str>, [u64; ARMS])| {
        let case = basis.case(service, traces);
        let (state, reason) = case.decide();
        let share = traces[AFTER] as f64 / all;
        // Cohorts that are not alike are no evidence.
        let ln_e = if state == State::Skewed { 0.0 } else { case.gate.ln_e(basis.tuning) };
        Judgement { verdict: case.record(now, state, reason), ln_e, share }
    };
    services.into_iter().map(judged).collect()
}

fn traces_of(table: &Table, node: &NodeKey) -> [u64; ARMS] {
    let mut sums = [0_u64; ARMS];
    for cells in table.get(node).into_iter().flat_map(|journeys| journeys.values()) {
        sums.iter_mut().zip(cells).for_each(|(sum, cell)| *sum = sum.saturating_add(cell.traces));
    }
    sums
}

impl<'a> Basis<'a> {
    pub(super) fn of(cohorts: &'a Cohorts, now: UnixNanos, config: &'a VerdictConfig) -> Self {
        let comparison = Comparison::choose(cohorts, config);
        let table = tabulate(cohorts, &comparison);
        let floors = Floors::of(&table, config);
        let planned_traces = cohorts.planned_traces(config);
        let tuning = tuning(planned_traces);
        let yardstick = Yardstick { config, floors: &floors, tuning, stratum_min: config.stratum_min };
        let services = OtherService::all(&table, yardstick);
        let suspects = Evidences::of(&table, Yardstick { stratum_min: config.ranked_min, ..yardstick }).rank();
        let splits = split::splits(cohorts);
        let baked = now >= cohorts.key.first_seen.saturating_add(config.bake);
        Self { cohorts, config, comparison, table, floors, planned_traces, tuning, services, suspects, splits, baked }
    }

    pub(super) fn case(&self, service: Arc<str>, traces: [u64; ARMS]) -> Case<'_> {
        let config = self.config;
        let tuning = self.tuning;
        let yardstick = Yardstick { config, floors: &self.floors, tuning, stratum_min: config.stratum_min };
        let gate = Gate::of(&self.table, &service, yardstick);
        let key = CohortKey { service, ..self.cohorts.key.clone() };
        let attribution =
            Attribution::of(&self.table, &gate, (self.cohorts, &key), &self.comparison, (&self.services, yardstick));
        let coverage = coverage(&self.table, &key.service, config);
        Case {
            cohorts: self.cohorts,
            key,
            config,
            comparison: &self.comparison,
            table: &self.table,
            floors: &self.floors,
            planned_traces: self.planned_traces,
            tuning,
            gate,
            attribution,
            suspects: &self.suspects,
            splits: &self.splits,
            coverage,
            traces,
            baked: self.baked,
        }
    }
}

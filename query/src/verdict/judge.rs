//! From cohorts to a verdict: choose the comparison, test, attribute, decide, and put it in words.

use std::sync::Arc;

use daytwo_storage::UnixNanos;

use super::attribution::Attribution;
use super::baseline::{Comparison, Table};
use super::cohort::{AFTER, ARMS, BEFORE, Cohorts, NodeCell};
use super::floors::Floors;
use super::gate::Gate;
use super::sequential::Tuning;
use super::split::{self, Split};
use super::{Class, CohortKey, Rung, State, Suspect, Verdict, VerdictConfig};
use crate::measure::NodeKey;

mod basis;
mod before_after;
mod findings;
mod pass;
mod power;
mod summary;

use basis::Basis;
pub(crate) use basis::judge_services;

/// One journey's cells of a node.
type Arms = [NodeCell; ARMS];

/// The judgement's working set.
struct Case<'a> {
    cohorts: &'a Cohorts,
    /// The cohorts' key, with the judged service.
    key: CohortKey,
    config: &'a VerdictConfig,
    comparison: &'a Comparison,
    table: &'a Table,
    floors: &'a Floors,
    /// Traces of each cohort that the tests are tuned for.
    planned_traces: u64,
    tuning: Tuning,
    gate: Gate,
    attribution: Attribution,
    suspects: &'a [Suspect],
    /// How traffic was split where that was declared.
    splits: &'a [Split],
    coverage: f64,
    /// Traces of either cohort through the judged service.
    traces: [u64; ARMS],
    baked: bool,
}

/// Judges a deployment by everything in its cohorts. Exemplars are left empty; see [`super::pick_exemplars`].
pub fn judge(cohorts: &Cohorts, now: UnixNanos, config: &VerdictConfig) -> Verdict {
    let basis = Basis::of(cohorts, now, config);
    let case = basis.case(Arc::clone(&cohorts.key.service), basis.comparison.traces);
    let (state, reason) = case.decide();
    case.record(now, state, reason)
}

/// Share of the candidate's traces in journeys that have enough traces on both sides.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn coverage(table: &Table, service: &Arc<str>, config: &VerdictConfig) -> f64 {
    let Some(journeys) = table.get(&NodeKey::Service { service: Arc::clone(service) }) else { return 0.0 };
    let all: u64 = journeys.values().map(|cells| cells[AFTER].traces).sum();
    let usable = journeys.values().filter(|cells| cells.iter().all(|cell| cell.traces >= config.stratum_min));
    let compared: u64 = usable.map(|cells| cells[AFTER].traces).sum();
    if all == 0 { 0.0 } else { compared as f64 / all as f64 }
}

impl Case<'_> {
    fn decide(&self) -> (State, String) {
        let rung = self.comparison.rung;
        let traces = self.traces;
        if rung == Rung::D {
            return (State::NoData, "there is no traffic of an older version to compare with".to_owned());
        }
        if let Some(skewed) = split::worst(self.splits) {
            return (State::Skewed, skewed.reason());
        }
        if traces.iter().any(|count| *count < self.config.traces_min) {
            let reason = format!(
                "{} traces of the new and {} of the old version; no claim is made under {} of each",
                traces[AFTER], traces[BEFORE], self.config.traces_min
            );
            return (self.undecided(), reason);
        }
        match self.attribution.class {
            Some(Class::Inherited) => (State::Inherited, self.inherited_reason()),
            Some(class) => self.regressed(class),
            None => self.not_regressed(),
        }
    }

    fn undecided(&self) -> State {
        if self.baked { State::Inconclusive } else { State::Continue }
    }

    fn inherited_reason(&self) -> String {
        match &self.attribution.culprit {
            Some(culprit) => format!("own time did not rise; {culprit}, which it calls, became slower"),
            None => "own time did not rise; the calls it makes take longer on their way".to_owned(),
        }
    }

    fn regressed(&self, class: Class) -> (State, String) {
        let what = match class {
            Class::Own => "its own time or errors rose",
            Class::Edge => "calls take longer on their way, outside the spans of the called service",
            Class::Induced => "services below it do more because of it",
            Class::Inherited => "something else explains it",
        };
        if matches!(self.comparison.rung, Rung::A | Rung::B) {
            if let Some(other) = self.moved_along(class) {
                return (
                    State::Confounded,
                    format!("{what}, but {other} runs other versions in the two cohorts and may be the reason"),
                );
            }
            return (State::Fail, self.fail_reason(what));
        }
        self.before_after(what)
    }

    fn fail_reason(&self, what: &str) -> String {
        let level = self.config.alpha;
        match &self.key.flag {
            None => format!("{what}; concurrent traffic of the old version did not ({level} false-alarm rate)"),
            Some(_) if self.cohorts.is_randomised() => format!(
                "{what}; in concurrent traffic of the control it did not, and variants were drawn by lot: the variant is the cause ({level} \
                 false-alarm rate)"
            ),
            Some(_) => format!(
                "{what} with the variant; in concurrent traffic of the control it did not ({level} false-alarm rate). Who got which variant was \
                 not drawn by lot, so what decides that may be the reason instead"
            ),
        }
    }

    /// Another service whose versions differ between the cohorts, when what was found may be its doing: own time is the judged
    /// service's alone, ways and callees are not.
    fn moved_along(&self, class: Class) -> Option<&Arc<str>> {
        let mixed = &self.attribution.mixed;
        // A variant may be served by one version of the judged service only.
        let itself = mixed.get(&self.key.service).filter(|_| self.key.flag.is_some());
        itself.or_else(|| matches!(class, Class::Edge | Class::Induced).then(|| mixed.first()).flatten())
    }
}

//! Back-tests as JSON.

use daytwo_query as query;
use daytwo_query::slo::{Firing, ObjectiveOutcome, ObjectiveTrial};
use daytwo_query::verdict::Class;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::{Freshness, nanos, nanos_of};
use crate::time::TimeRange;

/// What objectives would have done.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ObjectiveBacktest {
    #[serde(flatten)]
    freshness: Freshness,
    from_unix_nano: String,
    to_unix_nano: String,
    /// Thresholds in their order, and for each the targets in theirs.
    objectives: Vec<TriedObjective>,
}

impl ObjectiveBacktest {
    pub(super) fn new(freshness: Freshness, range: TimeRange, objectives: Vec<TriedObjective>) -> Self {
        Self { freshness, from_unix_nano: nanos(range.from), to_unix_nano: nanos(range.to), objectives }
    }
}

/// What one objective would have done.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TriedObjective {
    /// In words: `availability`, `latency <= 300 ms`.
    objective: String,
    target: f64,
    window_s: u64,
    good: u64,
    bad: u64,
    /// Of the bad ones, so many may be counted twice: they failed and were slow.
    bad_uncertain: u64,
    sli: Option<f64>,
    /// At the end: 1 untouched, 0 spent, negative overspent.
    budget_left: Option<f64>,
    /// How often someone would have been woken.
    pages: u64,
    tickets: u64,
    /// Seconds during which any alert would have fired.
    firing_s: u64,
    /// The first hundred.
    firings: Vec<WouldFire>,
    /// Seconds between looks: what lasted less may be missing.
    step_s: u64,
    /// The first instant at which any call was found.
    first_unix_nano: Option<String>,
}

impl TriedObjective {
    pub(super) fn new(trial: &ObjectiveTrial, outcome: ObjectiveOutcome) -> Self {
        Self {
            objective: trial.calls.words(),
            target: trial.target,
            window_s: trial.window.as_secs(),
            good: outcome.good,
            bad: outcome.bad,
            bad_uncertain: outcome.bad_uncertain,
            sli: outcome.sli,
            budget_left: outcome.budget_left,
            pages: outcome.pages,
            tickets: outcome.tickets,
            firing_s: outcome.firing_s,
            firings: outcome.firings.into_iter().map(WouldFire::from).collect(),
            step_s: outcome.step_s,
            first_unix_nano: outcome.first_unix_nano.map(nanos_of),
        }
    }
}

/// An alert that would have fired.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WouldFire {
    /// `page` or `ticket`.
    severity: &'static str,
    long: String,
    short: String,
    from_unix_nano: String,
    /// Null while it still burnt at the end.
    to_unix_nano: Option<String>,
}

impl From<Firing> for WouldFire {
    fn from(firing: Firing) -> Self {
        Self {
            severity: firing.severity.name(),
            long: firing.long,
            short: firing.short,
            from_unix_nano: nanos_of(firing.from_unix_nano),
            to_unix_nano: firing.to_unix_nano.map(nanos_of),
        }
    }
}

/// What a gate would have said.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GateBacktest {
    #[serde(flatten)]
    freshness: Freshness,
    in_force: Rule,
    tried: Rule,
    /// Deployments that ended in FAIL or had one, with the numbers in force and with those tried.
    failed: Pair,
    /// The same of PASS.
    passed: Pair,
    /// Newest first; those whose traces are still held.
    deployments: Vec<TriedDeployment>,
}

impl GateBacktest {
    pub(super) fn new(freshness: Freshness, in_force: Rule, tried: Rule, deployments: Vec<TriedDeployment>) -> Self {
        let count = |of: fn(&TriedDeployment) -> bool| deployments.iter().filter(|one| of(one)).count() as u64;
        let failed = Pair {
            in_force: count(|one| one.in_force.failed_after_s.is_some()),
            tried: count(|one| one.tried.failed_after_s.is_some()),
        };
        let passed = Pair {
            in_force: count(|one| one.in_force.passed_after_s.is_some()),
            tried: count(|one| one.tried.passed_after_s.is_some()),
        };
        Self { freshness, in_force, tried, failed, passed, deployments }
    }
}

/// A number with the rule in force, and with the one that was tried.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Pair {
    in_force: u64,
    tried: u64,
}

/// The numbers of a gate.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Rule {
    alpha: f64,
    material: f64,
    margin: f64,
    floor_ms: f64,
}

impl From<&query::GateRule> for Rule {
    fn from(rule: &query::GateRule) -> Self {
        Self {
            alpha: rule.alpha,
            material: rule.material,
            margin: rule.margin,
            floor_ms: rule.excess_floor.as_secs_f64() * 1e3,
        }
    }
}

/// A deployment judged twice.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TriedDeployment {
    service: String,
    environment: String,
    version: String,
    previous_version: Option<String>,
    first_seen_unix_nano: String,
    in_force: GateOutcome,
    tried: GateOutcome,
}

/// What a gate would have said of one deployment.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GateOutcome {
    /// At the last look.
    state: &'static str,
    class: Option<&'static str>,
    /// Seconds from the version's first trace until the first FAIL; null when there was none.
    failed_after_s: Option<u64>,
    /// The same of PASS.
    passed_after_s: Option<u64>,
    headline: String,
}

impl From<query::GateOutcome> for GateOutcome {
    fn from(outcome: query::GateOutcome) -> Self {
        Self {
            state: outcome.state.name(),
            class: outcome.class.map(Class::name),
            failed_after_s: outcome.failed_after_s,
            passed_after_s: outcome.passed_after_s,
            headline: outcome.headline,
        }
    }
}

impl From<query::GateTrial> for TriedDeployment {
    fn from(trial: query::GateTrial) -> Self {
        Self {
            service: trial.service,
            environment: trial.environment,
            version: trial.version,
            previous_version: trial.previous_version,
            first_seen_unix_nano: nanos(trial.first_seen),
            in_force: trial.in_force.into(),
            tried: trial.tried.into(),
        }
    }
}

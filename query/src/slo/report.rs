//! What the board shows of an objective.

use std::time::Duration;

use daytwo_storage::{TraceId, UnixNanos};

use super::budget::SloCounter;
use super::{Objective, ObjectiveKind, SloProblem, burn};
use crate::verdict::State;

/// How an objective stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SloState {
    /// Within budget, no alert.
    Ok,
    /// A ticket-level pair of windows burns.
    BurningTicket,
    /// A page-level pair of windows burns.
    BurningPage,
    /// The budget is spent.
    Spent,
    /// Too few events to say.
    LowTraffic,
    /// No event in the window.
    NoData,
}

impl SloState {
    /// The name that the API shows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::BurningTicket => "burning_ticket",
            Self::BurningPage => "burning_page",
            Self::Spent => "spent",
            Self::LowTraffic => "low_traffic",
            Self::NoData => "no_data",
        }
    }
}

/// Whom an alert wakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Someone, now.
    Page,
    /// Someone, in working hours.
    Ticket,
}

impl Severity {
    /// The name that the API shows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Ticket => "ticket",
        }
    }
}

/// Burn rate over one window: 1 spends the budget exactly by the end of the SLO window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BurnRate {
    /// The window, as shown.
    pub window: &'static str,
    /// `None` without events.
    pub rate: Option<f64>,
}

/// A pair of windows that must both burn.
#[derive(Debug, Clone, PartialEq)]
pub struct BurnAlert {
    /// Whom it wakes.
    pub severity: Severity,
    /// Long window, as shown.
    pub long: String,
    /// Short window, as shown.
    pub short: String,
    /// Burn rate that both must pass.
    pub threshold: f64,
    /// Burn rate over the long window.
    pub long_rate: Option<f64>,
    /// Burn rate over the short window.
    pub short_rate: Option<f64>,
    /// Whether it fires.
    pub firing: bool,
}

/// Budget left at an instant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BudgetPoint {
    /// The instant.
    pub t_unix_nano: i64,
    /// 1 untouched, 0 spent, negative overspent; `None` without events.
    pub budget_left: Option<f64>,
}

/// A release that may matter to the objective.
#[derive(Debug, Clone, PartialEq)]
pub struct LastDeployment {
    /// Service.
    pub service: String,
    /// Version.
    pub version: String,
    /// Its verdict.
    pub state: State,
}

/// One objective on the board.
#[derive(Debug, Clone, PartialEq)]
pub struct SloReport {
    /// Unique name.
    pub id: String,
    /// Name.
    pub name: String,
    /// Name for people.
    pub display_name: String,
    /// Service.
    pub service: String,
    /// `availability` or `latency`.
    pub kind: &'static str,
    /// In words.
    pub objective: String,
    /// Promised share of good events.
    pub target: f64,
    /// The window as written.
    pub window: String,
    /// Share of good events, `None` without events.
    pub sli: Option<f64>,
    /// Good events.
    pub good: u64,
    /// Bad events.
    pub bad: u64,
    /// All events.
    pub total: u64,
    /// Budget left: 1 untouched, 0 spent, negative overspent.
    pub budget_left: Option<f64>,
    /// Seconds until the budget is spent at the rate of the last hour.
    pub exhausted_in_s: Option<f64>,
    /// Burn rates.
    pub burn: Vec<BurnRate>,
    /// Pairs of windows.
    pub alerts: Vec<BurnAlert>,
    /// How it stands.
    pub state: SloState,
    /// Why, when it is not plain.
    pub state_reason: Option<String>,
    /// Budget over the window, oldest first.
    pub budget_series: Vec<BudgetPoint>,
    /// Newest deployment of the service.
    pub last_deployment: Option<LastDeployment>,
}

/// Every objective, and what kept others away.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SloBoard {
    /// Worst budget first.
    pub slos: Vec<SloReport>,
    /// What is wrong with the files.
    pub problems: Vec<SloProblem>,
}

/// Events of one step of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SloPoint {
    /// Start of the step.
    pub t_unix_nano: i64,
    /// Good events.
    pub good: u64,
    /// Bad events.
    pub bad: u64,
    /// Share of good events.
    pub sli: Option<f64>,
    /// Burn rate over the last hour.
    pub burn_long: Option<f64>,
    /// Burn rate over the last five minutes.
    pub burn_short: Option<f64>,
}

/// Who spent the budget.
#[derive(Debug, Clone, PartialEq)]
pub struct BadShare {
    /// Operation.
    pub operation: String,
    /// Version.
    pub version: String,
    /// Bad events.
    pub bad: u64,
    /// Share of all bad events.
    pub share: f64,
}

/// One objective in detail.
#[derive(Debug, Clone, PartialEq)]
pub struct SloDetail {
    /// As on the board.
    pub slo: SloReport,
    /// The document it was read from.
    pub yaml: String,
    /// Events over time, oldest first.
    pub series: Vec<SloPoint>,
    /// Who spent the budget, most first.
    pub by_operation: Vec<BadShare>,
    /// Newest traces with a bad event.
    pub bad_traces: Vec<TraceId>,
    /// SQL over `spans` that counts the same events.
    pub sql: String,
}

/// Steps of a day kept on the board's little chart.
const BOARD_POINTS: usize = 60;
/// Steps of the detail page's chart.
const DETAIL_POINTS: usize = 300;

/// The objective as the board shows it.
pub(crate) fn report(
    objective: &Objective,
    counter: &SloCounter,
    now: UnixNanos,
    last_deployment: Option<LastDeployment>,
) -> SloReport {
    let events = counter.last(now, objective.window);
    let burn = burn::rates(counter, objective, now);
    let alerts = burn::alerts(counter, objective, now);
    let budget_left = burn::budget_left(events, objective.target);
    let hour = burn::rate(counter.last(now, Duration::from_secs(3600)), objective.target);
    let (state, state_reason) = state(objective, counter, now, budget_left, &alerts);
    SloReport {
        id: objective.id.clone(),
        name: objective.name.clone(),
        display_name: objective.display_name.clone(),
        service: objective.service.to_string(),
        kind: match objective.kind {
            ObjectiveKind::Availability => "availability",
            ObjectiveKind::Latency { .. } => "latency",
        },
        objective: objective.words(),
        target: objective.target,
        window: objective.window_text.clone(),
        sli: share(events.good, events.total()),
        good: events.good,
        bad: events.bad,
        total: events.total(),
        budget_left,
        exhausted_in_s: exhausted_in_s(budget_left, hour, objective.window),
        burn,
        alerts,
        state,
        state_reason,
        budget_series: budget_series(objective, counter, now),
        last_deployment,
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Seconds until nothing is left, if the burn rate of the last hour stays; `None` when it is 1 or less.
fn exhausted_in_s(budget_left: Option<f64>, hour: Option<f64>, window: Duration) -> Option<f64> {
    let (left, rate) = (budget_left?, hour?);
    (left > 0.0 && rate > 1.0).then(|| left * window.as_secs_f64() / rate)
}

fn state(
    objective: &Objective,
    counter: &SloCounter,
    now: UnixNanos,
    budget_left: Option<f64>,
    alerts: &[BurnAlert],
) -> (SloState, Option<String>) {
    let Some(left) = budget_left else { return (SloState::NoData, Some("no call in the window".to_owned())) };
    let firing = |severity| alerts.iter().any(|alert| alert.firing && alert.severity == severity);
    let events = counter.last(now, objective.window);
    let needed = burn::events_needed(objective.target);
    if firing(Severity::Page) {
        return (SloState::BurningPage, None);
    }
    if events.total() < needed {
        return (SloState::LowTraffic, Some(format!("{} events, needs {needed}", events.total())));
    }
    match () {
        () if left <= 0.0 => (SloState::Spent, None),
        () if firing(Severity::Ticket) => (SloState::BurningTicket, None),
        () => (SloState::Ok, None),
    }
}

/// Budget of the current window as it was spent, thinned to the chart's points.
fn budget_series(objective: &Objective, counter: &SloCounter, now: UnixNanos) -> Vec<BudgetPoint> {
    let total = counter.last(now, objective.window).total();
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    let allowed = total as f64 * (1.0 - objective.target);
    let mut bad = 0_u64;
    let point = |(t_unix_nano, events): (i64, super::budget::Events)| {
        bad = bad.saturating_add(events.bad);
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
        let left = 1.0 - bad as f64 / allowed;
        BudgetPoint { t_unix_nano, budget_left: Some(left).filter(|left| left.is_finite()) }
    };
    thin(counter.steps(now.saturating_sub(objective.window), now).map(point).collect(), BOARD_POINTS)
}

/// At most so many points, evenly, the last one always.
fn thin<T: Copy>(points: Vec<T>, max: usize) -> Vec<T> {
    let step = points.len().div_ceil(max).max(1);
    let last = points.len().saturating_sub(1);
    points
        .into_iter()
        .enumerate()
        .filter(|(at, _)| last.saturating_sub(*at) % step == 0)
        .map(|(_, point)| point)
        .collect()
}

/// The objective as its own page shows it.
pub(crate) fn detail(objective: &Objective, counter: &SloCounter, now: UnixNanos, slo: SloReport) -> SloDetail {
    let mut shares: Vec<BadShare> = counter
        .shares()
        .map(|(operation, version, bad)| BadShare {
            operation: operation.to_string(),
            version: version.to_string(),
            bad,
            share: share(bad, slo.bad.max(bad)).unwrap_or(0.0),
        })
        .collect();
    shares.sort_by(|left, right| right.bad.cmp(&left.bad).then_with(|| left.operation.cmp(&right.operation)));
    SloDetail {
        yaml: objective.yaml.clone(),
        series: series(objective, counter, now),
        by_operation: shares,
        bad_traces: counter.bad_traces(),
        sql: sql(objective),
        slo,
    }
}

fn series(objective: &Objective, counter: &SloCounter, now: UnixNanos) -> Vec<SloPoint> {
    let steps: Vec<_> = counter.steps(now.saturating_sub(objective.window), now).collect();
    let mut points = Vec::with_capacity(steps.len());
    let mut hour = std::collections::VecDeque::new();
    for (t_unix_nano, events) in steps {
        hour.push_back((t_unix_nano, events));
        while hour.front().is_some_and(|(start, _)| *start <= t_unix_nano - 3_600_000_000_000) {
            hour.pop_front();
        }
        let mut long = super::budget::Events::default();
        hour.iter().for_each(|(_, events)| long.add(*events));
        points.push(SloPoint {
            t_unix_nano,
            good: events.good,
            bad: events.bad,
            sli: share(events.good, events.total()),
            burn_long: burn::rate(long, objective.target),
            burn_short: burn::rate(events, objective.target),
        });
    }
    thin(points, DETAIL_POINTS)
}

/// SQL over `spans` that counts the same events.
fn sql(objective: &Objective) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let good = match objective.kind {
        ObjectiveKind::Availability => "status_code <> 2".to_owned(),
        ObjectiveKind::Latency { threshold_ns } => {
            format!("status_code <> 2 AND duration_time_unix_nano <= {threshold_ns}")
        }
    };
    let mut wanted = format!("service_name = {} AND kind IN (2, 5)", quoted(&objective.service));
    if let Some(operation) = &objective.operation {
        wanted.push_str(&format!(" AND name = {}", quoted(operation)));
    }
    if let Some(environment) = &objective.environment {
        wanted.push_str(&format!(" AND coalesce(deployment_environment_name, '') = {}", quoted(environment)));
    }
    format!(
        "SELECT count(*) FILTER (WHERE {good}) AS good, count(*) FILTER (WHERE NOT ({good})) AS bad, count(*) AS total FROM spans WHERE {wanted}"
    )
}

//! Objectives as JSON.

use daytwo_query::slo;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::traces::TraceSummary;
use super::super::{Freshness, nanos_of};

/// All objectives, the worst budget first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Slos {
    #[serde(flatten)]
    pub(super) freshness: Freshness,
    pub(super) slos: Vec<Slo>,
    /// Files that cannot be used; the last good state of each stays in force.
    pub(super) problems: Vec<SloProblem>,
}

/// What is wrong with an objective's file.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SloProblem {
    pub(super) file: String,
    pub(super) line: Option<u64>,
    pub(super) message: String,
}

/// An objective and where it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Slo {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) display_name: String,
    pub(super) service: String,
    /// `availability` or `latency`.
    pub(super) kind: String,
    /// `availability` or, for example, `latency <= 300 ms`.
    pub(super) objective: String,
    /// 0..1.
    pub(super) target: f64,
    /// The window of the budget, as in `28d`.
    pub(super) window: String,
    pub(super) sli: Option<f64>,
    pub(super) good: u64,
    pub(super) bad: u64,
    pub(super) total: u64,
    /// What is left of the budget; negative when more than all is spent.
    pub(super) budget_left: Option<f64>,
    /// Seconds until the budget is spent at the present rate.
    pub(super) exhausted_in_s: Option<f64>,
    pub(super) burn: Vec<Burn>,
    pub(super) alerts: Vec<Alert>,
    /// `ok`, `burning_ticket`, `burning_page`, `spent`, `low_traffic` or `no_data`.
    pub(super) state: String,
    pub(super) state_reason: Option<String>,
    pub(super) budget_series: Vec<BudgetPoint>,
    pub(super) last_deployment: Option<LastDeployment>,
}

/// How fast the budget burns over one window; 1 spends it exactly.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Burn {
    pub(super) window: String,
    pub(super) rate: Option<f64>,
}

/// A pair of windows that alert together.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Alert {
    /// `page` or `ticket`.
    pub(super) severity: String,
    pub(super) long: String,
    pub(super) short: String,
    pub(super) threshold: f64,
    pub(super) long_rate: Option<f64>,
    pub(super) short_rate: Option<f64>,
    pub(super) firing: bool,
}

/// The budget at one time.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BudgetPoint {
    pub(super) t_unix_nano: String,
    pub(super) budget_left: Option<f64>,
}

/// The newest release of the objective's service.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LastDeployment {
    pub(super) service: String,
    pub(super) version: String,
    pub(super) state: String,
}

/// One objective in full.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SloDetail {
    #[serde(flatten)]
    pub(super) freshness: Freshness,
    pub(super) slo: Slo,
    /// The objective as its file has it.
    pub(super) yaml: String,
    pub(super) series: Vec<SloPoint>,
    pub(super) by_operation: Vec<BadOperation>,
    pub(super) bad_traces: Vec<TraceSummary>,
    /// The query that repeats the numbers.
    pub(super) sql: String,
}

/// Events of one step of time.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SloPoint {
    pub(super) t_unix_nano: String,
    pub(super) good: u64,
    pub(super) bad: u64,
    pub(super) sli: Option<f64>,
    pub(super) burn_long: Option<f64>,
    pub(super) burn_short: Option<f64>,
}

/// An operation's share of the bad events.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BadOperation {
    pub(super) operation: String,
    pub(super) version: String,
    pub(super) bad: u64,
    pub(super) share: f64,
}

impl From<slo::SloProblem> for SloProblem {
    fn from(problem: slo::SloProblem) -> Self {
        Self { file: problem.file, line: problem.line, message: problem.message }
    }
}

impl From<slo::SloReport> for Slo {
    fn from(report: slo::SloReport) -> Self {
        Self {
            id: report.id,
            name: report.name,
            display_name: report.display_name,
            service: report.service,
            kind: report.kind.to_owned(),
            objective: report.objective,
            target: report.target,
            window: report.window,
            sli: report.sli,
            good: report.good,
            bad: report.bad,
            total: report.total,
            budget_left: report.budget_left,
            exhausted_in_s: report.exhausted_in_s,
            burn: report
                .burn
                .into_iter()
                .map(|burn| Burn { window: burn.window.to_owned(), rate: burn.rate })
                .collect(),
            alerts: report.alerts.into_iter().map(Alert::from).collect(),
            state: report.state.name().to_owned(),
            state_reason: report.state_reason,
            budget_series: report.budget_series.into_iter().map(BudgetPoint::from).collect(),
            last_deployment: report.last_deployment.map(LastDeployment::from),
        }
    }
}

impl From<slo::BurnAlert> for Alert {
    fn from(alert: slo::BurnAlert) -> Self {
        Self {
            severity: alert.severity.name().to_owned(),
            long: alert.long,
            short: alert.short,
            threshold: alert.threshold,
            long_rate: alert.long_rate,
            short_rate: alert.short_rate,
            firing: alert.firing,
        }
    }
}

impl From<slo::BudgetPoint> for BudgetPoint {
    fn from(point: slo::BudgetPoint) -> Self {
        Self { t_unix_nano: nanos_of(point.t_unix_nano), budget_left: point.budget_left }
    }
}

impl From<slo::LastDeployment> for LastDeployment {
    fn from(last: slo::LastDeployment) -> Self {
        Self { service: last.service, version: last.version, state: last.state.name().to_owned() }
    }
}

impl From<slo::SloPoint> for SloPoint {
    fn from(point: slo::SloPoint) -> Self {
        Self {
            t_unix_nano: nanos_of(point.t_unix_nano),
            good: point.good,
            bad: point.bad,
            sli: point.sli,
            burn_long: point.burn_long,
            burn_short: point.burn_short,
        }
    }
}

impl From<slo::BadShare> for BadOperation {
    fn from(share: slo::BadShare) -> Self {
        Self { operation: share.operation, version: share.version, bad: share.bad, share: share.share }
    }
}

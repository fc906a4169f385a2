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
    /// What of the files is accepted and has no effect.
    pub(super) notes: Vec<SloProblem>,
}

/// What is wrong with an objective's file, or has no effect.
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
    /// `availability`, `latency`, `journey` or `composite`.
    pub(super) kind: String,
    /// `availability` or, for example, `latency <= 300 ms`; of journeys their root and conditions, of a composite its members and their weights.
    pub(super) objective: String,
    /// 0..1.
    pub(super) target: f64,
    /// The window of the budget, as in `28d` or `1M (calendar, Europe/Berlin)`.
    pub(super) window: String,
    pub(super) window_from_unix_nano: String,
    /// When the budget starts anew; null for a rolling window.
    pub(super) window_to_unix_nano: Option<String>,
    pub(super) sli: Option<f64>,
    pub(super) good: u64,
    pub(super) bad: u64,
    pub(super) total: u64,
    /// Journeys of which too little was seen to say; they are in no other count.
    pub(super) unknown: u64,
    /// `sli`, were all unknown journeys bad; null without unknown ones.
    pub(super) sli_low: Option<f64>,
    /// `sli`, were all unknown journeys good.
    pub(super) sli_high: Option<f64>,
    /// Of journeys what their conditions could say, each counted for itself.
    pub(super) bounds: Option<Bounds>,
    /// What is left of the budget; negative when more than all is spent.
    pub(super) budget_left: Option<f64>,
    /// Seconds until the budget is spent at the present rate.
    pub(super) exhausted_in_s: Option<f64>,
    pub(super) burn: Vec<Burn>,
    pub(super) alerts: Vec<Alert>,
    /// `ok`, `burning_ticket`, `burning_page`, `spent`, `low_traffic` or `no_data`.
    pub(super) state: String,
    /// Why, when it is not plain; of a composite which members burnt, of journeys who is charged.
    pub(super) state_reason: Option<String>,
    /// The members of a composite; none of a plain objective.
    pub(super) members: Vec<Member>,
    pub(super) budget_series: Vec<BudgetPoint>,
    pub(super) last_deployment: Option<LastDeployment>,
}

/// What is known of good journeys from how often each condition was met.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Bounds {
    pub(super) conditions: Vec<Condition>,
    /// The share of good journeys, were the conditions independent.
    pub(super) product: f64,
    /// The least that it can be (Fréchet).
    pub(super) low: f64,
    /// The largest that it can be.
    pub(super) high: f64,
}

/// A condition of journeys, counted for itself.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Condition {
    pub(super) name: String,
    /// Share of the journeys that met it.
    pub(super) sli: f64,
}

/// A member of a composite objective.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Member {
    pub(super) name: String,
    pub(super) service: String,
    /// As of an objective.
    pub(super) objective: String,
    pub(super) target: f64,
    pub(super) weight: f64,
    /// Null without events: the member is left out of the average then.
    pub(super) sli: Option<f64>,
    pub(super) good: u64,
    pub(super) bad: u64,
    /// Share of the composite's budget that it burnt; the members' add up to what is not left.
    pub(super) burnt: Option<f64>,
    /// Its share of what all members burnt; null when nothing is.
    pub(super) burnt_share: Option<f64>,
}

/// How fast the budget burns over one window; 1 spends it exactly.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Burn {
    pub(super) window: String,
    pub(super) rate: Option<f64>,
}

/// A pair of windows that alert together, or a condition of an AlertPolicy.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Alert {
    /// The policy of a condition; null for a pair.
    pub(super) policy: Option<String>,
    /// `page` or `ticket`.
    pub(super) severity: String,
    /// Of a condition `lookbackWindow`.
    pub(super) long: String,
    /// Of a condition `alertAfter`.
    pub(super) short: String,
    pub(super) threshold: f64,
    pub(super) long_rate: Option<f64>,
    /// Of a condition the least rate over `long` at any instant of the last `short`.
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
    pub(super) first_seen_unix_nano: String,
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
    /// Of journeys who is charged for the bad ones of the window, most first.
    pub(super) by_service: Vec<BadPlace>,
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

/// Who is charged for bad journeys.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BadPlace {
    /// The service; of a way between two the one that was called. Null for what nobody explains.
    pub(super) service: Option<String>,
    /// Of a way between two services the caller.
    pub(super) caller: Option<String>,
    pub(super) version: String,
    /// Bad journeys, in parts and by what they stand for; over all places as many as there are.
    pub(super) bad: f64,
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
            window_from_unix_nano: nanos_of(report.window_from.0),
            window_to_unix_nano: report.window_to.map(|to| nanos_of(to.0)),
            sli: report.sli,
            good: report.good,
            bad: report.bad,
            total: report.total,
            unknown: report.unknown,
            sli_low: report.sli_low,
            sli_high: report.sli_high,
            bounds: report.bounds.map(Bounds::from),
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
            members: report.members.into_iter().map(Member::from).collect(),
            budget_series: report.budget_series.into_iter().map(BudgetPoint::from).collect(),
            last_deployment: report.last_deployment.map(LastDeployment::from),
        }
    }
}

impl From<slo::Bounds> for Bounds {
    fn from(bounds: slo::Bounds) -> Self {
        let condition = |condition: slo::ConditionReport| Condition { name: condition.name, sli: condition.sli };
        Self {
            conditions: bounds.conditions.into_iter().map(condition).collect(),
            product: bounds.product,
            low: bounds.low,
            high: bounds.high,
        }
    }
}

impl From<slo::PlaceShare> for BadPlace {
    fn from(share: slo::PlaceShare) -> Self {
        let slo::PlaceShare { service, caller, version, bad, share } = share;
        Self { service, caller, version, bad, share }
    }
}

impl From<slo::MemberReport> for Member {
    fn from(member: slo::MemberReport) -> Self {
        Self {
            name: member.name,
            service: member.service,
            objective: member.objective,
            target: member.target,
            weight: member.weight,
            sli: member.sli,
            good: member.good,
            bad: member.bad,
            burnt: member.burnt,
            burnt_share: member.burnt_share,
        }
    }
}

impl From<slo::BurnAlert> for Alert {
    fn from(alert: slo::BurnAlert) -> Self {
        Self {
            policy: alert.policy,
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
        Self {
            service: last.service,
            version: last.version,
            first_seen_unix_nano: nanos_of(last.first_seen.0),
            state: last.state.name().to_owned(),
        }
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

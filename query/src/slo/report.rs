//! What the board shows of an objective.

mod fill;
mod journeys;
mod sql;

use daytwo_storage::{TraceId, UnixNanos};

use super::SloProblem;
use crate::verdict::State;

pub(crate) use fill::{detail, report};

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

impl Severity {
    /// What a condition's `severity` means; its letters' case does not matter.
    pub(super) fn of_openslo(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "page" | "critical" | "high" => Some(Self::Page),
            "ticket" | "warning" | "medium" | "low" | "info" => Some(Self::Ticket),
            _ => None,
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

/// A pair of windows that must both burn, or a condition of a policy.
#[derive(Debug, Clone, PartialEq)]
pub struct BurnAlert {
    /// The policy that a condition belongs to; `None` for a pair.
    pub policy: Option<String>,
    /// Whom it wakes.
    pub severity: Severity,
    /// Long window, as shown; of a condition `lookbackWindow`.
    pub long: String,
    /// Short window, as shown; of a condition `alertAfter`.
    pub short: String,
    /// Burn rate that both must pass.
    pub threshold: f64,
    /// Burn rate over the long window.
    pub long_rate: Option<f64>,
    /// Burn rate over the short window; of a condition the least rate over `long` at any instant of the last `short`.
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
    /// When it was first seen.
    pub first_seen: UnixNanos,
    /// Its verdict.
    pub state: State,
}

/// A member of a composite objective.
#[derive(Debug, Clone, PartialEq)]
pub struct MemberReport {
    /// Name for people.
    pub name: String,
    /// Whose calls.
    pub service: String,
    /// In words.
    pub objective: String,
    /// Promised share of good events.
    pub target: f64,
    /// Weight in the average.
    pub weight: f64,
    /// Share of good events, `None` without events: it is left out of the average then.
    pub sli: Option<f64>,
    /// Good events.
    pub good: u64,
    /// Bad events.
    pub bad: u64,
    /// Share of the composite's budget that it burnt; the members' add up to what is not left.
    pub burnt: Option<f64>,
    /// Its share of what all members burnt; `None` when nothing is.
    pub burnt_share: Option<f64>,
}

/// A condition of a journey, counted for itself.
#[derive(Debug, Clone, PartialEq)]
pub struct ConditionReport {
    /// In words.
    pub name: String,
    /// Share of the journeys that met it.
    pub sli: f64,
}

/// What is known of good journeys from how often each condition was met, as an SLO put together from several could say it.
#[derive(Debug, Clone, PartialEq)]
pub struct Bounds {
    /// The conditions.
    pub conditions: Vec<ConditionReport>,
    /// The share of good journeys, were the conditions independent.
    pub product: f64,
    /// The least that it can be (Fréchet).
    pub low: f64,
    /// The largest that it can be.
    pub high: f64,
}

/// Who is charged for bad journeys.
#[derive(Debug, Clone, PartialEq)]
pub struct PlaceShare {
    /// The service; of a way between two the one that was called. `None` for what nobody explains.
    pub service: Option<String>,
    /// Of a way between two services the caller.
    pub caller: Option<String>,
    /// Version of the service.
    pub version: String,
    /// Bad journeys, in parts and by what they stand for: over all places as many as there are.
    pub bad: f64,
    /// Share of all bad journeys.
    pub share: f64,
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
    /// `availability`, `latency`, `journey` or `composite`.
    pub kind: &'static str,
    /// In words.
    pub objective: String,
    /// Promised share of good events.
    pub target: f64,
    /// The window as written.
    pub window: String,
    /// Begin of the window.
    pub window_from: UnixNanos,
    /// When the budget starts anew; `None` for a rolling window.
    pub window_to: Option<UnixNanos>,
    /// Share of good events, a sampled one counted as often as it stands for; `None` without events.
    pub sli: Option<f64>,
    /// Good events as they came.
    pub good: u64,
    /// Bad events.
    pub bad: u64,
    /// All events.
    pub total: u64,
    /// Journeys of which too little was seen to say; they are in no other count.
    pub unknown: u64,
    /// The share of good events, were all unknown ones bad; `None` without unknown ones.
    pub sli_low: Option<f64>,
    /// The same, were all of them good.
    pub sli_high: Option<f64>,
    /// Of an objective of journeys what its conditions could say, each counted for itself.
    pub bounds: Option<Bounds>,
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
    /// Why, when it is not plain; of a composite which members burnt, of journeys who is charged.
    pub state_reason: Option<String>,
    /// The members of a composite; none of a plain objective.
    pub members: Vec<MemberReport>,
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
    /// What of the files is accepted and ignored.
    pub notes: Vec<SloProblem>,
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
    /// Of journeys who is charged, most first.
    pub by_service: Vec<PlaceShare>,
    /// Newest traces with a bad event.
    pub bad_traces: Vec<TraceId>,
    /// SQL over `spans` that counts the same events.
    pub sql: String,
}

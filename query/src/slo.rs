//! Service-level objectives: OpenSLO files in, budgets and burn rates out.

pub(crate) mod backtest;
mod budget;
mod burn;
pub(crate) mod journey;
mod length;
mod objective;
mod openslo;
mod report;
mod tally;
mod window;

pub use backtest::{Firing, ObjectiveOutcome, ObjectiveTrial};
pub use budget::SloCounter;
pub(crate) use budget::{Event, kept};
pub use journey::{Journey, Step};
pub(crate) use objective::Selector;
pub use objective::{Alerting, BurnCondition, Calls, Member, Objective, ObjectiveKind, SloFile, SloProblem};
pub use openslo::{Parsed, parse, rewrite};
pub use report::{
    BadShare, Bounds, BudgetPoint, BurnAlert, BurnRate, ConditionReport, LastDeployment, MemberReport, PlaceShare,
    Severity, SloBoard, SloDetail, SloPoint, SloReport, SloState,
};
pub(crate) use report::{detail, report};
pub(crate) use tally::View;
pub use window::{Calendar, Unit, Window};

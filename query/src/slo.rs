//! Service-level objectives: OpenSLO files in, budgets and burn rates out.

mod budget;
mod burn;
mod length;
mod objective;
mod openslo;
mod report;
mod tally;
mod window;

pub use budget::SloCounter;
pub(crate) use budget::{Event, kept};
pub(crate) use objective::Selector;
pub use objective::{Alerting, BurnCondition, Calls, Member, Objective, ObjectiveKind, SloFile, SloProblem};
pub use openslo::{Parsed, parse, rewrite};
pub use report::{
    BadShare, BudgetPoint, BurnAlert, BurnRate, LastDeployment, MemberReport, Severity, SloBoard, SloDetail, SloPoint,
    SloReport, SloState,
};
pub(crate) use report::{detail, report};
pub(crate) use tally::View;
pub use window::{Calendar, Unit, Window};

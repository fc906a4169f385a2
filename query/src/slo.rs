//! Service-level objectives: OpenSLO files in, budgets and burn rates out.

mod budget;
mod burn;
mod objective;
mod openslo;
mod report;

pub use budget::SloCounter;
pub(crate) use budget::{Event, kept};
pub(crate) use objective::Selector;
pub use objective::{Objective, ObjectiveKind, SloFile, SloProblem};
pub use openslo::parse;
pub use report::{
    BadShare, BudgetPoint, BurnAlert, BurnRate, LastDeployment, Severity, SloBoard, SloDetail, SloPoint, SloReport,
    SloState,
};
pub(crate) use report::{detail, report};

//! Verdicts: did this deployment make anything worse?
//!
//! [`Cohorts`] holds, for one deployment, the traces through the new and the old version as one value per trace
//! and node, by journey and 10 s. [`judge`] is a pure function of them and the time: the same traces in any order
//! and partition give the same record. ADR 0007 states the rule and its false-alarm rate.

mod attribution;
mod backtest;
mod baseline;
mod cohort;
mod distribution;
mod ebh;
mod errors;
mod exemplars;
mod floors;
mod gate;
mod judge;
mod node_test;
mod parity;
mod plan;
mod rank_test;
mod record;
mod sequential;
mod split;
mod strata;
mod structure;
mod suspects;
mod tail_test;
#[cfg(test)]
mod tests;
mod words;

pub use backtest::GateOutcome;
pub(crate) use backtest::replay;
pub use cohort::{CohortKey, Cohorts};
pub use distribution::distribution;
pub(crate) use ebh::{FALSE_DISCOVERIES, Family, hierarchical, ln_threshold};
pub use exemplars::pick as pick_exemplars;
pub use judge::judge;
pub(crate) use judge::judge_services;
pub use plan::prior_window;
pub use record::{
    Baseline, Candidate, Class, Exemplar, ExemplarRole, Finding, FindingNode, Parity, ParityState, ParityValue,
    QuantilesMs, Rung, Signal, State, StructureChange, Suspect, Verdict,
};

pub use split::Split;

use std::time::Duration;

/// The rule's numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct VerdictConfig {
    /// False-alarm rate per deployment, however often one looks.
    pub alpha: f64,
    /// A ratio of at most 1 + this is not material.
    pub material: f64,
    /// PASS needs the ratio shown to be below 1 + this.
    pub margin: f64,
    /// PASS needs the share of failed traces shown to have risen by less than this.
    pub error_margin: f64,
    /// A rise of the share of failed traces below this is not material.
    pub error_floor: f64,
    /// Excess below this is not material.
    pub excess_floor: Duration,
    /// Excess below this share of the journey's median is not material.
    pub excess_floor_share: f64,
    /// No claim with fewer traces in either cohort.
    pub traces_min: u64,
    /// A journey with fewer traces in either cohort is not compared.
    pub stratum_min: u64,
    /// A journey with fewer traces in either cohort does not count for the ranking of suspects.
    pub ranked_min: u64,
    /// Traces per cohort at which the test is tuned to be sharpest; `None` follows the old version's traffic before the new one came.
    /// It must not follow the data that are compared.
    pub planned_traces: Option<u64>,
    /// How long a version is judged.
    pub bake: Duration,
    /// How much of the old version's past is compared with when there is no concurrent traffic.
    pub lookback: Duration,
}

impl Default for VerdictConfig {
    fn default() -> Self {
        Self {
            alpha: 0.005,
            material: 0.05,
            margin: 0.10,
            error_margin: 0.01,
            error_floor: 0.002,
            excess_floor: Duration::from_micros(300),
            excess_floor_share: 0.01,
            traces_min: 10,
            stratum_min: 10,
            ranked_min: 3,
            planned_traces: None,
            bake: Duration::from_secs(3_600),
            lookback: Duration::from_secs(900),
        }
    }
}

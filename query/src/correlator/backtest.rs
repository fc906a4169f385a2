//! Back-tests over what the engine holds: one at a time, and off the lock as far as it goes.

use std::sync::{Arc, MutexGuard, TryLockError};
use std::time::Duration;

use daytwo_storage::UnixNanos;

use super::Correlator;
use super::state::DeploymentKey;
use crate::deployment::DeploymentFilter;
use crate::sli::TimeWindow;
use crate::slo::{ObjectiveOutcome, ObjectiveTrial, backtest};
use crate::verdict::{Cohorts, GateOutcome, VerdictConfig, replay};

/// Numbers of the gate to try; those that are `None` stay as they are.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GateSettings {
    /// False-alarm rate per deployment.
    pub alpha: Option<f64>,
    /// A ratio of at most 1 + this is not material.
    pub material: Option<f64>,
    /// PASS needs the ratio shown to be below 1 + this.
    pub margin: Option<f64>,
    /// Excess below this is not material.
    pub excess_floor: Option<Duration>,
}

/// The numbers of a gate that can be tried.
#[derive(Debug, Clone, PartialEq)]
pub struct GateRule {
    /// False-alarm rate per deployment.
    pub alpha: f64,
    /// A ratio of at most 1 + this is not material.
    pub material: f64,
    /// PASS needs the ratio shown to be below 1 + this.
    pub margin: f64,
    /// Excess below this is not material.
    pub excess_floor: Duration,
}

impl GateRule {
    /// The rule with other numbers.
    #[must_use]
    pub fn with(&self, settings: &GateSettings) -> Self {
        Self {
            alpha: settings.alpha.unwrap_or(self.alpha),
            material: settings.material.unwrap_or(self.material),
            margin: settings.margin.unwrap_or(self.margin),
            excess_floor: settings.excess_floor.unwrap_or(self.excess_floor),
        }
    }
}

/// A deployment judged by the rule in force and by another.
#[derive(Debug, Clone, PartialEq)]
pub struct GateTrial {
    /// Service.
    pub service: String,
    /// Environment, empty when missing.
    pub environment: String,
    /// The version that came.
    pub version: String,
    /// The version before it.
    pub previous_version: Option<String>,
    /// Its first trace.
    pub first_seen: UnixNanos,
    /// With the numbers in force.
    pub in_force: GateOutcome,
    /// With those tried.
    pub tried: GateOutcome,
}

impl Correlator {
    /// The right to run a back-test, unless another has it.
    fn alone(&self) -> Option<MutexGuard<'_, ()>> {
        match self.backtesting.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// The numbers of the gate in force.
    pub fn gate_settings(&self) -> GateRule {
        let rule = &self.config.verdict;
        GateRule { alpha: rule.alpha, material: rule.material, margin: rule.margin, excess_floor: rule.excess_floor }
    }

    /// Judges the deployments whose traces are held again, newest first, with other numbers and with those in force; `None` while another
    /// back-test is under way. Takes seconds: not for a thread that must not wait.
    pub fn backtest_gate(&self, settings: &GateSettings, filter: &DeploymentFilter) -> Option<Vec<GateTrial>> {
        let _one_at_a_time = self.alone()?;
        let rule = &self.config.verdict;
        let other = self.gate_settings().with(settings);
        let tried = VerdictConfig {
            alpha: other.alpha,
            material: other.material,
            margin: other.margin,
            excess_floor: other.excess_floor,
            ..rule.clone()
        };
        let (keys, now) = (self.state().judged_keys(filter), self.clock.now());
        let mut found = Vec::new();
        for key in keys {
            // A copy, so that the engine goes on while it is judged.
            let held = self.state().held_cohorts(&key);
            let outcomes = held.as_ref().map(|held| replay(held, now, &[rule.clone(), tried.clone()]));
            if let (Some(held), Some([in_force, tried])) = (held, outcomes.as_deref()) {
                found.push(trial(&key, &held, in_force, tried));
            }
        }
        Some(found)
    }

    /// Tries objectives over the stored cells; `None` while another back-test is under way.
    pub fn backtest_objectives(&self, trials: &[ObjectiveTrial], range: TimeWindow) -> Option<Vec<ObjectiveOutcome>> {
        let _one_at_a_time = self.alone()?;
        let outcome = |trial: &ObjectiveTrial| {
            // Only the cells are read under the lock.
            let history = backtest::History::of(&self.state().cells, trial, range);
            history.replay(trial, range)
        };
        Some(trials.iter().map(outcome).collect())
    }
}

fn trial(key: &DeploymentKey, held: &Cohorts, in_force: &GateOutcome, tried: &GateOutcome) -> GateTrial {
    let (environment, service, version, first_seen) = key;
    GateTrial {
        service: service.to_string(),
        environment: environment.to_string(),
        version: version.to_string(),
        previous_version: held.key().baseline.as_ref().map(<Arc<str>>::to_string),
        first_seen: *first_seen,
        in_force: in_force.clone(),
        tried: tried.clone(),
    }
}

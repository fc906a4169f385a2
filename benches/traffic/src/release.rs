//! Releases: which version of a service runs where and when, and what the new one does worse.

use std::time::Duration;

/// A new version of a service on its way into the shop.
#[derive(Debug, Clone, PartialEq)]
pub struct Release {
    /// `service.name` of the released service.
    pub service: String,
    /// Version that runs before.
    pub from_version: String,
    /// Version that comes.
    pub to_version: String,
    /// When the roll-out begins, counted from the model's origin.
    pub at: Duration,
    /// How the new version takes over.
    pub rollout: Rollout,
    /// What the new version does worse.
    pub effect: Effect,
}

/// How a new version takes over.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rollout {
    /// It gets this share of the calls and stays there.
    Canary {
        /// Share of calls, 0 to 1.
        share: f64,
    },
    /// It gets all calls at once.
    Cutover,
    /// Its share grows evenly from nothing to all.
    Rolling {
        /// How long that takes.
        over: Duration,
    },
}

/// What a new version does worse.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Nothing: a harmless release.
    None,
    /// One operation's own work takes longer; its callers only wait longer.
    SlowerSelf {
        /// Name of the operation's server span.
        operation: String,
        /// Own work is multiplied by this.
        factor: f64,
        /// And then takes this much longer.
        add: Duration,
    },
    /// One operation fails more often, by its own fault.
    Errors {
        /// Name of the operation's server span.
        operation: String,
        /// Share of calls that fail on top of the usual ones.
        fraction: f64,
    },
    /// Calls from this service to another take longer on the way there.
    SlowerEdge {
        /// `service.name` of the called service.
        callee: String,
        /// How much longer.
        add: Duration,
    },
}

impl Release {
    /// Share of the service's calls that the new version handles, `since_origin` after the model's origin.
    pub fn share(&self, since_origin: Duration) -> f64 {
        let Some(running) = since_origin.checked_sub(self.at) else {
            return 0.0;
        };
        match self.rollout {
            Rollout::Canary { share } => share,
            Rollout::Cutover => 1.0,
            Rollout::Rolling { over } if running < over => running.as_secs_f64() / over.as_secs_f64(),
            Rollout::Rolling { .. } => 1.0,
        }
    }
}

impl Effect {
    /// Factor and addition, in milliseconds, to the own work of `operation`.
    pub(crate) fn on_self(&self, operation: &str) -> (f64, f64) {
        match self {
            Self::SlowerSelf { operation: slower, factor, add } if slower == operation => {
                (*factor, add.as_secs_f64() * 1e3)
            }
            _ => (1.0, 0.0),
        }
    }

    /// Additional share of calls of `operation` that fail.
    pub(crate) fn on_faults(&self, operation: &str) -> f64 {
        match self {
            Self::Errors { operation: failing, fraction } if failing == operation => *fraction,
            _ => 0.0,
        }
    }

    /// Additional time, in milliseconds, on the way to `callee`.
    pub(crate) fn on_edge(&self, callee: &str) -> f64 {
        match self {
            Self::SlowerEdge { callee: slower, add } if slower == callee => add.as_secs_f64() * 1e3,
            _ => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: each kind of roll-out, before, during and after.
    /// Guarantees: the share is 0 before, as declared during, and never above 1.
    #[test]
    fn shares_follow_the_rollout() {
        let release = |rollout| Release {
            service: "payment".into(),
            from_version: "v1".into(),
            to_version: "v2".into(),
            at: Duration::from_secs(30),
            rollout,
            effect: Effect::None,
        };
        let share = |rollout, seconds| release(rollout).share(Duration::from_secs(seconds));
        let rolling = Rollout::Rolling { over: Duration::from_secs(20) };
        let cases = [
            (Rollout::Canary { share: 0.25 }, 29, 0.0),
            (Rollout::Canary { share: 0.25 }, 30, 0.25),
            (Rollout::Cutover, 29, 0.0),
            (Rollout::Cutover, 30, 1.0),
            (rolling, 30, 0.0),
            (rolling, 40, 0.5),
            (rolling, 99, 1.0),
            (Rollout::Rolling { over: Duration::ZERO }, 30, 1.0),
        ];
        for (rollout, seconds, expected) in cases {
            assert!((share(rollout, seconds) - expected).abs() < 1e-9, "{rollout:?} after {seconds} s");
        }
    }
}

//! What an SLO file declares, once it is found valid.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::journey::Journey;
use super::{Severity, Window};

/// One OpenSLO file as handed over by whoever reads files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SloFile {
    /// Its name, for messages.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Why (part of) an SLO file was not taken, or what of it is ignored.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SloProblem {
    /// File name.
    pub file: String,
    /// Line, counted from 1, where it is known.
    pub line: Option<u64>,
    /// What is wrong and what to do.
    pub message: String,
}

/// Which events are good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectiveKind {
    /// Calls that did not fail.
    Availability,
    /// Calls that did not fail and took at most so many nanoseconds.
    Latency {
        /// The threshold.
        threshold_ns: i64,
    },
}

/// The calls that are counted, and which of them are good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calls {
    /// Whose calls.
    pub service: Arc<str>,
    /// Only this operation.
    pub operation: Option<Arc<str>>,
    /// Only this environment.
    pub environment: Option<Arc<str>>,
    /// Which events are good.
    pub kind: ObjectiveKind,
    /// Set when whole traces are counted whose root is such a call: what they must do beyond it.
    pub journey: Option<Journey>,
}

/// A part of an objective that is measured on its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// Name for people.
    pub name: String,
    /// What it counts.
    pub calls: Calls,
    /// Share of good events that is promised of this part.
    pub target: f64,
    /// Its weight in the average, above 0.
    pub weight: f64,
}

/// When an objective alerts.
#[derive(Debug, Clone, PartialEq)]
pub enum Alerting {
    /// By the usual pairs of windows, scaled to the objective's.
    Pairs,
    /// By its own conditions, and by nothing else.
    Conditions(Vec<BurnCondition>),
}

/// A burn rate that must last.
#[derive(Debug, Clone, PartialEq)]
pub struct BurnCondition {
    /// The policy that it belongs to.
    pub policy: String,
    /// Whom it wakes.
    pub severity: Severity,
    /// The burn rate that is too much.
    pub threshold: f64,
    /// Whether the threshold itself is too much (`gte`).
    pub inclusive: bool,
    /// Over how long the rate is taken.
    pub lookback: Duration,
    /// For how long it must be too much before it fires.
    pub after: Duration,
}

/// One objective of an SLO, or several of them as one composite.
#[derive(Debug, Clone, PartialEq)]
pub struct Objective {
    /// Unique: the SLO's name, with the objective's number when there are several.
    pub id: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.displayName`, or the name.
    pub display_name: String,
    /// The service that it is listed under.
    pub service: Arc<str>,
    /// What is measured: one part, or those of a composite. Never empty.
    pub members: Vec<Member>,
    /// Share of good events that is promised, between 0 and 1; of a composite the weighted average of its members'.
    pub target: f64,
    /// The time over which the budget counts.
    pub window: Window,
    /// The window as written.
    pub window_text: String,
    /// When it alerts.
    pub alerting: Alerting,
    /// The file of the SLO.
    pub file: String,
    /// The documents it was read from: the SLO, and below it what it refers to.
    pub yaml: String,
}

/// Which events are counted, and which of them are good: two with the same selector have the same counters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Selector {
    pub(crate) service: String,
    pub(crate) operation: Option<String>,
    pub(crate) environment: Option<String>,
    /// `None` for availability.
    pub(crate) threshold_ns: Option<i64>,
    /// Of journeys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) journey: Option<Journey>,
}

impl Calls {
    /// What they are counted by.
    pub(crate) fn selector(&self) -> Selector {
        Selector {
            service: self.service.to_string(),
            operation: self.operation.as_ref().map(ToString::to_string),
            environment: self.environment.as_ref().map(ToString::to_string),
            threshold_ns: match self.kind {
                ObjectiveKind::Availability => None,
                ObjectiveKind::Latency { threshold_ns } => Some(threshold_ns),
            },
            journey: self.journey.clone(),
        }
    }

    /// What makes a call good, in words: `availability` or `latency <= 300 ms`; of a journey its root and all its conditions.
    pub fn words(&self) -> String {
        if self.journey.is_none() {
            return self.kind.words();
        }
        let operation = self.operation.as_deref().unwrap_or_default();
        format!("journey {}:{operation}: {}", self.service, self.conditions().join(", "))
    }

    /// Whether a finished call is good.
    pub fn is_good(&self, duration_ns: i64, error: bool) -> bool {
        match self.kind {
            ObjectiveKind::Availability => !error,
            ObjectiveKind::Latency { threshold_ns } => !error && duration_ns <= threshold_ns,
        }
    }
}

impl ObjectiveKind {
    pub(crate) fn words(self) -> String {
        match self {
            Self::Availability => "availability".to_owned(),
            Self::Latency { threshold_ns } => {
                let milliseconds = Duration::from_nanos(u64::try_from(threshold_ns).unwrap_or(0)).as_secs_f64() * 1e3;
                format!("latency <= {milliseconds} ms")
            }
        }
    }
}

impl Objective {
    /// The objective in words: `availability`, `latency <= 300 ms`, or the members of a composite with their weights.
    pub fn words(&self) -> String {
        match self.members.as_slice() {
            [one] => one.calls.words(),
            members => {
                let parts: Vec<String> =
                    members.iter().map(|member| format!("{} (weight {})", member.name, member.weight)).collect();
                format!("weighted average of {}", parts.join(", "))
            }
        }
    }

    /// Whether a member of it counts whole traces.
    pub(crate) fn is_of_journeys(&self) -> bool {
        self.members.iter().any(|member| member.calls.journey.is_some())
    }

    /// `availability`, `latency`, `journey` or `composite`.
    pub fn kind(&self) -> &'static str {
        match self.members.as_slice() {
            [one] if one.calls.journey.is_some() => "journey",
            [one] => match one.calls.kind {
                ObjectiveKind::Availability => "availability",
                ObjectiveKind::Latency { .. } => "latency",
            },
            _ => "composite",
        }
    }
}

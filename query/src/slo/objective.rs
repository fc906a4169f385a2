//! What an SLO file declares, once it is found valid.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One OpenSLO file as handed over by whoever reads files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SloFile {
    /// Its name, for messages.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Why (part of) an SLO file was not taken.
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

/// One objective of an SLO.
#[derive(Debug, Clone, PartialEq)]
pub struct Objective {
    /// Unique: the SLO's name, with the objective's number when there are several.
    pub id: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.displayName`, or the name.
    pub display_name: String,
    /// Whose calls.
    pub service: Arc<str>,
    /// Only this operation.
    pub operation: Option<Arc<str>>,
    /// Only this environment.
    pub environment: Option<Arc<str>>,
    /// Which events are good.
    pub kind: ObjectiveKind,
    /// Share of good events that is promised, between 0 and 1.
    pub target: f64,
    /// Rolling window.
    pub window: Duration,
    /// The window as written.
    pub window_text: String,
    /// The document it was read from.
    pub yaml: String,
}

/// Which events an objective counts, and which of them are good: two objectives with the same selector have the same counters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Selector {
    pub(crate) service: String,
    pub(crate) operation: Option<String>,
    pub(crate) environment: Option<String>,
    /// `None` for availability.
    pub(crate) threshold_ns: Option<i64>,
}

impl Objective {
    /// What it counts.
    pub(crate) fn selector(&self) -> Selector {
        Selector {
            service: self.service.to_string(),
            operation: self.operation.as_ref().map(ToString::to_string),
            environment: self.environment.as_ref().map(ToString::to_string),
            threshold_ns: match self.kind {
                ObjectiveKind::Availability => None,
                ObjectiveKind::Latency { threshold_ns } => Some(threshold_ns),
            },
        }
    }

    /// The objective in words: `availability` or `latency <= 300 ms`.
    pub fn words(&self) -> String {
        match self.kind {
            ObjectiveKind::Availability => "availability".to_owned(),
            ObjectiveKind::Latency { threshold_ns } => {
                let milliseconds = Duration::from_nanos(u64::try_from(threshold_ns).unwrap_or(0)).as_secs_f64() * 1e3;
                format!("latency <= {milliseconds} ms")
            }
        }
    }

    /// Whether a finished call meets the objective.
    pub fn is_good(&self, duration_ns: i64, error: bool) -> bool {
        match self.kind {
            ObjectiveKind::Availability => !error,
            ObjectiveKind::Latency { threshold_ns } => !error && duration_ns <= threshold_ns,
        }
    }
}

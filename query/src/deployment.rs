//! Deployments: a version of a service that was not there before, found in the traffic itself.

use crate::verdict::{Class, State};

/// How a version came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeploymentKind {
    /// The first version ever seen of the service.
    First,
    /// A version not seen before.
    Release,
    /// A version seen before, come back.
    Rollback,
}

impl DeploymentKind {
    /// The name that the API shows.
    pub fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Release => "release",
            Self::Rollback => "rollback",
        }
    }
}

/// Which deployments are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeploymentFilter {
    /// Only this service.
    pub service: Option<String>,
    /// Only this environment.
    pub environment: Option<String>,
}

/// One row of the deployments list.
#[derive(Debug, Clone, PartialEq)]
pub struct Deployment {
    /// Service name.
    pub service: String,
    /// Environment, empty when missing.
    pub environment: String,
    /// The version that came.
    pub version: String,
    /// The version with most traffic before it.
    pub previous_version: Option<String>,
    /// Start of its first trace.
    pub first_seen_unix_nano: i64,
    /// Start of its latest trace.
    pub last_seen_unix_nano: i64,
    /// Its share of the service's traces in the last minute that had any.
    pub share: Option<f64>,
    /// How it came.
    pub kind: DeploymentKind,
    /// Outcome so far.
    pub state: State,
    /// Whose doing.
    pub class: Option<Class>,
    /// One sentence built from the numbers.
    pub headline: String,
    /// Own operations that got worse.
    pub regressed_operations: u64,
    /// Other services that inherit it.
    pub inherited_services: u64,
    /// Traces per second, new over old, less one.
    pub rate_change: Option<f64>,
    /// 95th percentile of the service's total time, new over old, less one.
    pub p95_change: Option<f64>,
    /// Share of traces with an error, new less old.
    pub errors_change: Option<f64>,
}

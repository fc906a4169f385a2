//! Deployments: a version of a service that was not there before, found in the traffic itself or declared by who deployed it.

mod declared;
mod share;

use crate::verdict::{Class, State};

pub(crate) use declared::DeclaredSet;
pub use declared::{DECLARED_MAX, Declaration, DeclaredKind, VersionNames};
pub(crate) use share::in_order;
pub use share::{STEPS_MAX, TrafficShare, WeightStep};

/// How a version came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeploymentKind {
    /// The first version ever seen of the service.
    First,
    /// A version not seen before.
    Release,
    /// A version seen before, come back.
    Rollback,
    /// Declared, and no span of it seen yet.
    Declared,
}

impl DeploymentKind {
    /// The name that the API shows.
    pub fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Release => "release",
            Self::Rollback => "rollback",
            Self::Declared => "declared",
        }
    }
}

/// What a note is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NoteKind {
    /// It ran beside the old version for a while.
    Canary,
    /// All traffic moved at once.
    BlueGreen,
    /// Every instance was replaced, the version stayed.
    Restart,
    /// Several builds under one version.
    Rebuilt,
    /// Several pod templates under one version.
    Reconfigured,
    /// An instance names two versions.
    Contradiction,
    /// The version that serves changes again and again.
    Flapping,
    /// The traffic went back to an older version.
    Withdrawn,
    /// The traffic went on to a newer version.
    Replaced,
    /// No traffic.
    Idle,
    /// Declared while it was running: a restart, or another configuration.
    Redeployed,
}

impl NoteKind {
    /// The name that the API shows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Canary => "canary",
            Self::BlueGreen => "blue_green",
            Self::Restart => "restart",
            Self::Rebuilt => "rebuilt",
            Self::Reconfigured => "reconfigured",
            Self::Contradiction => "contradiction",
            Self::Flapping => "flapping",
            Self::Withdrawn => "withdrawn",
            Self::Replaced => "replaced",
            Self::Idle => "idle",
            Self::Redeployed => "redeployed",
        }
    }
}

/// Something to know about a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What it is about.
    pub kind: NoteKind,
    /// When it happened.
    pub at_unix_nano: i64,
    /// One sentence.
    pub text: String,
}

/// What a version is known by beside its name; several values when processes disagree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// Revisions in version control.
    pub revisions: Vec<String>,
    /// Digests of container images.
    pub image_digests: Vec<String>,
    /// Tags of container images.
    pub image_tags: Vec<String>,
    /// Hashes of pod templates.
    pub pod_template_hashes: Vec<String>,
}

/// A version's share of its service's traces in one minute.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SharePoint {
    /// Start of the minute.
    pub t_unix_nano: i64,
    /// The share, 0 to 1.
    pub share: f64,
    /// Traces of all versions in that minute.
    pub traces: u64,
}

/// Which deployments are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeploymentFilter {
    /// Only this service.
    pub service: Option<String>,
    /// Only this environment.
    pub environment: Option<String>,
}

impl DeploymentFilter {
    /// Whether a service of an environment is asked for.
    pub(crate) fn wants(&self, service: &str, environment: &str) -> bool {
        self.service.as_ref().is_none_or(|wanted| *wanted == *service)
            && self.environment.as_ref().is_none_or(|wanted| *wanted == *environment)
    }
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
    /// Start of its first trace; when it was declared, while there is none.
    pub first_seen_unix_nano: i64,
    /// Start of its latest trace; when it was declared, while there is none.
    pub last_seen_unix_nano: i64,
    /// Its share of the service's traces in the last minute that had any.
    pub share: Option<f64>,
    /// How it came.
    pub kind: DeploymentKind,
    /// What it is known by.
    pub identity: Identity,
    /// Instances seen of it.
    pub instances: u64,
    /// What else there is to know, oldest first.
    pub notes: Vec<Note>,
    /// What was declared of it last.
    pub declared: Option<Declaration>,
    /// Outcome so far.
    pub state: State,
    /// Whose doing.
    pub class: Option<Class>,
    /// One sentence built from the numbers.
    pub headline: String,
    /// The service that explains a slowdown which this one only inherits.
    pub explained_by: Option<String>,
    /// Own operations that got worse.
    pub regressed_operations: u64,
    /// Other services that inherit it.
    pub inherited_services: u64,
    /// Traces per second, new over old, less one.
    pub rate_change: Option<f64>,
    /// Median of the service's total time, new over old, less one.
    pub p50_change: Option<f64>,
    /// 95th percentile of the service's total time, new over old, less one.
    pub p95_change: Option<f64>,
    /// 99th percentile of the service's total time, new over old, less one.
    pub p99_change: Option<f64>,
    /// Share of traces with an error, new less old.
    pub errors_change: Option<f64>,
}

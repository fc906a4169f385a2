//! Feature flags: who saw which variant, and whether a variant makes anything worse.
//!
//! A flag's variants are cohorts of traces as two versions of a service are; what is different is that every service of these traces is
//! judged, and that how the variants were handed out says what may be concluded. ADR 0028 has the rules.

mod declared;

use std::sync::Arc;

use crate::deployment::{SharePoint, TrafficShare};
use crate::verdict::{Class, State, Verdict};

pub(crate) use declared::DeclaredFlags;
pub use declared::{FLAGS_DECLARED_MAX, FlagDeclaration};

/// How variants were handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Assignment {
    /// By lot (`feature_flag.result.reason` is `split` for nearly all): a difference is the variant's doing.
    Randomised,
    /// By rules, or nobody says: what decides about the variant may be the reason of a difference.
    Observational,
}

impl Assignment {
    /// The name that the API shows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Randomised => "randomised",
            Self::Observational => "observational",
        }
    }

    /// What may be concluded, in words.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Randomised => "variants are drawn by lot, so a difference between them is caused by the variant",
            Self::Observational => {
                "variants are not drawn by lot, so a difference may be caused by the variant or by what decides who gets it"
            }
        }
    }
}

/// How the control was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ControlRule {
    /// By its name.
    Name,
    /// It was seen in an earlier minute than the others.
    Oldest,
    /// Of those seen first in the same minute it has most traces.
    Largest,
}

impl ControlRule {
    /// The name that the API shows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Oldest => "oldest",
            Self::Largest => "largest",
        }
    }
}

/// What changed about a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FlagChangeKind {
    /// A variant was seen for the first time.
    Variant,
    /// A version of the flag was seen for the first time.
    Version,
    /// A variant's share of the traces moved.
    Share,
}

impl FlagChangeKind {
    /// The name that the API shows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Variant => "variant",
            Self::Version => "version",
            Self::Share => "share",
        }
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagChange {
    /// What changed.
    pub kind: FlagChangeKind,
    /// When.
    pub at_unix_nano: i64,
    /// One sentence.
    pub text: String,
}

/// One variant of a flag.
#[derive(Debug, Clone, PartialEq)]
pub struct FlagVariant {
    /// Its name.
    pub variant: String,
    /// Whether the others are compared with it.
    pub control: bool,
    /// Traces that saw it, of the last day.
    pub traces: u64,
    /// Its share of the traces in the last two minutes that had any.
    pub share: Option<f64>,
    /// The share that was declared for it last, of all that ask.
    pub weight: Option<TrafficShare>,
    /// Start of its first trace.
    pub first_seen_unix_nano: i64,
    /// Start of its latest trace.
    pub last_seen_unix_nano: i64,
    /// Its share by the minute, oldest first; minutes without a trace left out; the newest ones.
    pub share_series: Vec<SharePoint>,
}

/// A service judged by a flag's variants.
#[derive(Debug, Clone, PartialEq)]
pub struct FlagService {
    /// The record. Its state is FAIL only where the evidence is enough among all flags and services.
    pub verdict: Arc<Verdict>,
    /// Share of the variant's traces that go through the service.
    pub share: f64,
    /// Evidence that anything of the service is worse, all its nodes together.
    pub e_value: f64,
    /// What the evidence has to reach to be a discovery among the services of a selected flag, if it were the only one.
    pub e_needed: f64,
    /// Whether it is a discovery.
    pub discovery: bool,
}

/// A variant compared with the control.
#[derive(Debug, Clone, PartialEq)]
pub struct FlagComparison {
    /// The variant.
    pub variant: String,
    /// What it is compared with.
    pub control: String,
    /// Outcome over all services.
    pub state: State,
    /// Whose doing in the service that is worst.
    pub class: Option<Class>,
    /// One sentence built from the numbers.
    pub headline: String,
    /// Why this state and not another.
    pub reason: String,
    /// From when traces count: the variant's first, or the flag's newest version.
    pub judged_from_unix_nano: i64,
    /// When it was judged.
    pub judged_at_unix_nano: i64,
    /// Services, worst first.
    pub services: Vec<FlagService>,
    /// What else differs between the traces with the variant and with the control.
    pub confounders: Vec<String>,
}

/// A flag in an environment.
#[derive(Debug, Clone, PartialEq)]
pub struct Flag {
    /// Environment, empty when missing.
    pub environment: String,
    /// Its key.
    pub key: String,
    /// The variant that the others are compared with.
    pub control: String,
    /// Why this one.
    pub control_rule: ControlRule,
    /// How variants were handed out.
    pub assignment: Assignment,
    /// Traces that saw one variant, of the last day.
    pub traces: u64,
    /// Traces that saw several; they are counted and not judged.
    pub mixed_traces: u64,
    /// Variants, the control first, then by traces.
    pub variants: Vec<FlagVariant>,
    /// Reasons that were given, with traces, most first.
    pub reasons: Vec<(String, u64)>,
    /// Versions of the flag, by when they were first seen.
    pub versions: Vec<String>,
    /// Services that asked, with traces, most first.
    pub asked_by: Vec<(String, u64)>,
    /// What changed, oldest first; the newest ones.
    pub changes: Vec<FlagChange>,
    /// Outcome of the worst comparison.
    pub state: State,
    /// Whose doing there.
    pub class: Option<Class>,
    /// One sentence built from the numbers.
    pub headline: String,
    /// Evidence that any variant makes any service worse.
    pub e_value: f64,
    /// What the evidence has to reach to be a discovery among all flags, if it were the only one.
    pub e_needed: f64,
    /// Whether it is a discovery.
    pub discovery: bool,
    /// One for each variant that is not the control.
    pub comparisons: Vec<FlagComparison>,
}

//! Flags as JSON.

use daytwo_query as query;
use daytwo_query::verdict::Class;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::deployments::dto::{SharePoint, Verdict};
use super::super::{Freshness, nanos_of};

/// Feature flags, the worst first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Flags {
    #[serde(flatten)]
    pub(super) freshness: Freshness,
    pub(super) flags: Vec<Flag>,
}

/// One flag with the judgement of every service by its variants.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FlagDetail {
    #[serde(flatten)]
    freshness: Freshness,
    flag: Flag,
    /// Each variant's share of the traces by the minute.
    share_series: Vec<VariantShares>,
    /// The judgements in full, in the order of `flag.comparisons` and their services.
    verdicts: Vec<VariantVerdicts>,
}

impl FlagDetail {
    pub(super) fn new(freshness: Freshness, mut flag: query::Flag) -> Self {
        let shares = |variant: &mut query::FlagVariant| VariantShares {
            variant: variant.variant.clone(),
            series: std::mem::take(&mut variant.share_series).into_iter().map(Into::into).collect(),
        };
        let share_series = flag.variants.iter_mut().map(shares).collect();
        let verdicts = flag.comparisons.iter().map(|one| VariantVerdicts {
            variant: one.variant.clone(),
            services: one.services.iter().map(ServiceVerdict::from).collect(),
        });
        let verdicts = verdicts.collect();
        Self { freshness, share_series, verdicts, flag: flag.into() }
    }
}

/// A variant's share of the traces by the minute, oldest first; minutes without a trace are left out.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VariantShares {
    variant: String,
    series: Vec<SharePoint>,
}

/// The judgements of one variant.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VariantVerdicts {
    variant: String,
    services: Vec<ServiceVerdict>,
}

/// The judgement of one service by a variant: `candidate.version` is the variant, `baseline.version` the control.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServiceVerdict {
    service: String,
    verdict: Verdict,
}

impl From<&query::FlagService> for ServiceVerdict {
    fn from(service: &query::FlagService) -> Self {
        Self { service: service.verdict.service.clone(), verdict: Verdict::from(service.verdict.as_ref()) }
    }
}

/// A flag in an environment.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Flag {
    key: String,
    /// Of the services that asked; empty when they name none.
    environment: String,
    /// The variant that the others are compared with.
    control: String,
    /// Why this one: `name` (control, default, off, false, disabled or baseline), `oldest`, or `largest` of those that came in one minute.
    control_rule: &'static str,
    /// `randomised` or `observational`.
    assignment: &'static str,
    /// What may be concluded from a difference.
    assignment_meaning: &'static str,
    state: &'static str,
    class: Option<&'static str>,
    /// One sentence built from the numbers.
    headline: String,
    /// Traces of the last day that saw one variant.
    traces: u64,
    /// Traces that saw several; counted and not judged.
    mixed_traces: u64,
    /// The control first.
    variants: Vec<FlagVariant>,
    comparisons: Vec<FlagComparison>,
    /// Reasons that were given, most first.
    reasons: Vec<NamedTraces>,
    /// Services that asked, most first.
    asked_by: Vec<NamedTraces>,
    /// Versions of the flag, by when they were first seen.
    versions: Vec<String>,
    /// What changed, oldest first.
    changes: Vec<FlagChange>,
    /// Evidence that any variant makes any service worse.
    e_value: f64,
    /// What it has to reach among all flags if it were the only discovery (e-BH at 0.05).
    e_needed: f64,
    discovery: bool,
}

/// A name with its traces.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NamedTraces {
    name: String,
    traces: u64,
}

/// One variant.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FlagVariant {
    variant: String,
    control: bool,
    traces: u64,
    /// Of the last two minutes, 0..1.
    share: Option<f64>,
    /// The share of the traffic that was declared for it last, 0..1.
    weight: Option<f64>,
    first_seen_unix_nano: String,
    last_seen_unix_nano: String,
}

/// Something that changed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FlagChange {
    /// `variant`, `version` or `share`.
    kind: &'static str,
    at_unix_nano: String,
    text: String,
}

/// A variant compared with the control.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FlagComparison {
    variant: String,
    control: String,
    state: &'static str,
    class: Option<&'static str>,
    headline: String,
    reason: String,
    /// From when traces count: the variant's first, or the flag's newest version.
    judged_from_unix_nano: String,
    judged_at_unix_nano: String,
    /// Worst first; at most 32.
    services: Vec<FlagService>,
    /// What else differs between the traces with the variant and with the control, in words.
    confounders: Vec<String>,
}

/// How a service does with a variant.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FlagService {
    service: String,
    state: &'static str,
    class: Option<&'static str>,
    headline: String,
    /// Of the variant's traces, 0..1.
    share: f64,
    traces_before: u64,
    traces_after: u64,
    /// Evidence that anything of the service is worse.
    e_value: f64,
    /// What it has to reach among the services and variants of the flag if it were the only discovery.
    e_needed: f64,
    discovery: bool,
}

impl From<&query::FlagService> for FlagService {
    fn from(service: &query::FlagService) -> Self {
        let verdict = &service.verdict;
        Self {
            service: verdict.service.clone(),
            state: verdict.state.name(),
            class: verdict.class.map(Class::name),
            headline: verdict.headline.clone(),
            share: service.share,
            traces_before: verdict.baseline.traces,
            traces_after: verdict.candidate.traces,
            e_value: service.e_value,
            e_needed: service.e_needed,
            discovery: service.discovery,
        }
    }
}

impl From<query::FlagComparison> for FlagComparison {
    fn from(comparison: query::FlagComparison) -> Self {
        Self {
            variant: comparison.variant,
            control: comparison.control,
            state: comparison.state.name(),
            class: comparison.class.map(Class::name),
            headline: comparison.headline,
            reason: comparison.reason,
            judged_from_unix_nano: nanos_of(comparison.judged_from_unix_nano),
            judged_at_unix_nano: nanos_of(comparison.judged_at_unix_nano),
            services: comparison.services.iter().map(FlagService::from).collect(),
            confounders: comparison.confounders,
        }
    }
}

impl From<query::FlagVariant> for FlagVariant {
    fn from(variant: query::FlagVariant) -> Self {
        Self {
            variant: variant.variant,
            control: variant.control,
            traces: variant.traces,
            share: variant.share,
            weight: variant.weight.map(query::TrafficShare::share),
            first_seen_unix_nano: nanos_of(variant.first_seen_unix_nano),
            last_seen_unix_nano: nanos_of(variant.last_seen_unix_nano),
        }
    }
}

impl From<query::FlagChange> for FlagChange {
    fn from(change: query::FlagChange) -> Self {
        Self { kind: change.kind.name(), at_unix_nano: nanos_of(change.at_unix_nano), text: change.text }
    }
}

impl From<query::Flag> for Flag {
    fn from(flag: query::Flag) -> Self {
        let named =
            |rows: Vec<(String, u64)>| rows.into_iter().map(|(name, traces)| NamedTraces { name, traces }).collect();
        Self {
            key: flag.key,
            environment: flag.environment,
            control: flag.control,
            control_rule: flag.control_rule.name(),
            assignment: flag.assignment.name(),
            assignment_meaning: flag.assignment.meaning(),
            state: flag.state.name(),
            class: flag.class.map(Class::name),
            headline: flag.headline,
            traces: flag.traces,
            mixed_traces: flag.mixed_traces,
            variants: flag.variants.into_iter().map(FlagVariant::from).collect(),
            comparisons: flag.comparisons.into_iter().map(FlagComparison::from).collect(),
            reasons: named(flag.reasons),
            asked_by: named(flag.asked_by),
            versions: flag.versions,
            changes: flag.changes.into_iter().map(FlagChange::from).collect(),
            e_value: flag.e_value,
            e_needed: flag.e_needed,
            discovery: flag.discovery,
        }
    }
}

//! Deployments and their verdicts as JSON.

use daytwo_query as query;
use daytwo_query::verdict;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::{Freshness, nanos_of};
use super::declare::Declared;
use split::Split;

mod split;

/// Releases, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Deployments {
    #[serde(flatten)]
    pub(super) freshness: Freshness,
    pub(super) deployments: Vec<Deployment>,
}

/// One release and its judgement.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeploymentDetail {
    #[serde(flatten)]
    pub(super) freshness: Freshness,
    pub(super) deployment: Deployment,
    /// Its share of the service's traces by the minute, oldest first; minutes without a trace are left out.
    pub(super) share_series: Vec<SharePoint>,
    pub(super) verdict: Verdict,
}

/// The judgement alone, with a short result for programs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VerdictAnswer {
    #[serde(flatten)]
    pub(super) freshness: Freshness,
    #[serde(flatten)]
    pub(super) verdict: Verdict,
    pub(super) result: GateResult,
}

/// What a gate does with the release.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GateResult {
    /// `pass`, `fail`, `continue` or `inconclusive`.
    pub(super) verdict: &'static str,
    /// Whether it is `pass`.
    pub(super) ok: bool,
}

/// A version of a service that was not there before.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Deployment {
    service: String,
    /// Empty when the service names none.
    environment: String,
    version: String,
    previous_version: Option<String>,
    first_seen_unix_nano: String,
    last_seen_unix_nano: String,
    /// Its share of the service's traffic, 0..1.
    share: Option<f64>,
    /// `first`, `release`, `rollback`, or `declared` while no span of it has come.
    kind: &'static str,
    identity: Identity,
    /// Instances that were seen of it.
    instances: u64,
    /// What else there is to know, oldest first.
    notes: Vec<Note>,
    declared: Option<Declared>,
    state: &'static str,
    class: Option<&'static str>,
    /// One sentence built from the numbers.
    headline: String,
    /// The service that explains the slowdown, of a release that only inherits it.
    explained_by: Option<String>,
    regressed_operations: u64,
    inherited_services: u64,
    rate_change: Option<f64>,
    /// Of the service's total time, as the two below.
    p50_change: Option<f64>,
    p95_change: Option<f64>,
    p99_change: Option<f64>,
    errors_change: Option<f64>,
}

impl From<query::Deployment> for Deployment {
    fn from(deployment: query::Deployment) -> Self {
        Self {
            service: deployment.service,
            environment: deployment.environment,
            version: deployment.version,
            previous_version: deployment.previous_version,
            first_seen_unix_nano: nanos_of(deployment.first_seen_unix_nano),
            last_seen_unix_nano: nanos_of(deployment.last_seen_unix_nano),
            share: deployment.share,
            kind: deployment.kind.name(),
            identity: deployment.identity.into(),
            instances: deployment.instances,
            notes: deployment.notes.into_iter().map(Note::from).collect(),
            declared: deployment.declared.map(Declared::from),
            state: deployment.state.name(),
            class: deployment.class.map(verdict::Class::name),
            headline: deployment.headline,
            explained_by: deployment.explained_by,
            regressed_operations: deployment.regressed_operations,
            inherited_services: deployment.inherited_services,
            rate_change: deployment.rate_change,
            p50_change: deployment.p50_change,
            p95_change: deployment.p95_change,
            p99_change: deployment.p99_change,
            errors_change: deployment.errors_change,
        }
    }
}

/// What a version is known by beside its name; several values when processes disagree.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Identity {
    revisions: Vec<String>,
    image_digests: Vec<String>,
    image_tags: Vec<String>,
    pod_template_hashes: Vec<String>,
}

impl From<query::Identity> for Identity {
    fn from(identity: query::Identity) -> Self {
        Self {
            revisions: identity.revisions,
            image_digests: identity.image_digests,
            image_tags: identity.image_tags,
            pod_template_hashes: identity.pod_template_hashes,
        }
    }
}

/// Something to know about a release.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Note {
    /// `canary`, `blue_green`, `restart`, `rebuilt`, `reconfigured`, `contradiction`, `flapping`, `withdrawn`, `replaced`, `idle` or
    /// `redeployed`.
    kind: &'static str,
    at_unix_nano: String,
    text: String,
}

impl From<query::Note> for Note {
    fn from(note: query::Note) -> Self {
        Self { kind: note.kind.name(), at_unix_nano: nanos_of(note.at_unix_nano), text: note.text }
    }
}

/// A release's share of its service's traces in one minute.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SharePoint {
    t_unix_nano: String,
    share: f64,
    /// Traces of all versions.
    traces: u64,
}

impl From<query::SharePoint> for SharePoint {
    fn from(point: query::SharePoint) -> Self {
        Self { t_unix_nano: nanos_of(point.t_unix_nano), share: point.share, traces: point.traces }
    }
}

/// The judgement of a release, with every number that led to it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Verdict {
    /// `PASS`, `FAIL`, `WARN`, `CONTINUE`, `INCONCLUSIVE`, `INHERITED`, `SKEWED`, `CONFOUNDED`, `NOISY` or `NO_DATA`.
    state: &'static str,
    /// `OWN`, `EDGE`, `INDUCED` or `INHERITED`.
    class: Option<&'static str>,
    headline: String,
    reason: String,
    judged_at_unix_nano: String,
    looks: u64,
    baseline: Baseline,
    candidate: Candidate,
    /// False-alarm rate of this judgement, however often one looks.
    alpha: f64,
    /// A ratio up to this is not material.
    material_ratio: f64,
    /// Traces of each cohort for which the test is sharpest: by the old version's traffic before the new one came, or as configured.
    planned_traces: u64,
    /// The smallest ratio that these data would have shown.
    mde_ratio: Option<f64>,
    traces_needed: Option<u64>,
    seconds_needed: Option<u64>,
    /// Share of the candidate's traces that could be compared.
    coverage: f64,
    findings: Vec<Finding>,
    affected: Vec<Finding>,
    /// Services of these traces by what they explain of the change, most first, whatever the state.
    suspects: Vec<Suspect>,
    structure: Vec<StructureChange>,
    exemplars: Vec<Exemplar>,
    /// How the traffic was split in each window of a declared weight, oldest first.
    splits: Vec<Split>,
    /// What else differs between the cohorts, in words.
    confounders: Vec<String>,
    /// What the cohorts ran on, attribute by attribute, differences first.
    parity: Vec<Parity>,
    what_would_change: String,
    /// The query that repeats the comparison.
    sql: String,
}

impl From<&verdict::Verdict> for Verdict {
    fn from(verdict: &verdict::Verdict) -> Self {
        let verdict = verdict.clone();
        Self {
            state: verdict.state.name(),
            class: verdict.class.map(verdict::Class::name),
            headline: verdict.headline,
            reason: verdict.reason,
            judged_at_unix_nano: nanos_of(verdict.judged_at_unix_nano),
            looks: verdict.looks,
            baseline: Baseline::new(verdict.baseline, verdict.flag.is_some()),
            candidate: verdict.candidate.into(),
            alpha: verdict.alpha,
            material_ratio: verdict.material_ratio,
            planned_traces: verdict.planned_traces,
            mde_ratio: verdict.mde_ratio,
            traces_needed: verdict.traces_needed,
            seconds_needed: verdict.seconds_needed,
            coverage: verdict.coverage,
            findings: verdict.findings.into_iter().map(Finding::from).collect(),
            affected: verdict.affected.into_iter().map(Finding::from).collect(),
            suspects: verdict.suspects.into_iter().map(Suspect::from).collect(),
            structure: verdict.structure.into_iter().map(StructureChange::from).collect(),
            exemplars: verdict.exemplars.into_iter().map(Exemplar::from).collect(),
            splits: verdict.splits.into_iter().map(Split::from).collect(),
            confounders: verdict.confounders,
            parity: verdict.parity.into_iter().map(Parity::from).collect(),
            what_would_change: verdict.what_would_change,
            sql: verdict.sql,
        }
    }
}

/// One attribute of what the cohorts ran on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Parity {
    /// The judged service; another one for its version.
    service: String,
    attribute: String,
    /// `differs`, `unknown` (too few processes) or `alike`.
    state: &'static str,
    /// Share of the processes that would have to change for the cohorts to be the same.
    distance: f64,
    values: Vec<ParityValue>,
}

impl From<verdict::Parity> for Parity {
    fn from(parity: verdict::Parity) -> Self {
        let value =
            |value: verdict::ParityValue| ParityValue { value: value.value, before: value.before, after: value.after };
        Self {
            service: parity.service,
            attribute: parity.attribute,
            state: parity.state.name(),
            distance: parity.distance,
            values: parity.values.into_iter().map(value).collect(),
        }
    }
}

/// How common a value is among the processes of each cohort.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ParityValue {
    /// `~absent` for processes that do not send the attribute, `~other` for values beyond the first nine.
    value: String,
    before: f64,
    after: f64,
}

/// What the release was compared with.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Baseline {
    /// How good the comparison is: `A` (best) to `D` (none).
    rung: &'static str,
    version: Option<String>,
    meaning: &'static str,
    from_unix_nano: String,
    to_unix_nano: String,
    traces: u64,
}

impl Baseline {
    fn new(baseline: verdict::Baseline, of_flag: bool) -> Self {
        Self {
            rung: baseline.rung.name(),
            version: baseline.version,
            meaning: if of_flag { baseline.rung.meaning_of_variants() } else { baseline.rung.meaning() },
            from_unix_nano: nanos_of(baseline.from_unix_nano),
            to_unix_nano: nanos_of(baseline.to_unix_nano),
            traces: baseline.traces,
        }
    }
}

/// The release's own traffic.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Candidate {
    version: String,
    from_unix_nano: String,
    to_unix_nano: String,
    traces: u64,
}

impl From<verdict::Candidate> for Candidate {
    fn from(candidate: verdict::Candidate) -> Self {
        Self {
            version: candidate.version,
            from_unix_nano: nanos_of(candidate.from_unix_nano),
            to_unix_nano: nanos_of(candidate.to_unix_nano),
            traces: candidate.traces,
        }
    }
}

/// One node of the call tree, before and after.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Finding {
    /// `self`, `edge` or `total`.
    node: &'static str,
    service: String,
    operation: Option<String>,
    /// The caller, for an edge.
    peer: Option<String>,
    class: Option<&'static str>,
    state: &'static str,
    /// `latency` or `errors`.
    signal: &'static str,
    traces_before: u64,
    traces_after: u64,
    before_ms: Option<Quantiles>,
    after_ms: Option<Quantiles>,
    /// After over before, within strata.
    ratio: Option<f64>,
    ratio_low: Option<f64>,
    ratio_high: Option<f64>,
    excess_ms: Option<f64>,
    errors_before: Option<f64>,
    errors_after: Option<f64>,
    z: Option<f64>,
    e_value: Option<f64>,
    p_value: Option<f64>,
    strata: u64,
    own_share: Option<f64>,
    why: String,
}

impl From<verdict::Finding> for Finding {
    fn from(finding: verdict::Finding) -> Self {
        Self {
            node: finding.node.name(),
            service: finding.service,
            operation: finding.operation,
            peer: finding.peer,
            class: finding.class.map(verdict::Class::name),
            state: finding.state.name(),
            signal: finding.signal.name(),
            traces_before: finding.traces_before,
            traces_after: finding.traces_after,
            before_ms: finding.before_ms.map(Quantiles::from),
            after_ms: finding.after_ms.map(Quantiles::from),
            ratio: finding.ratio,
            ratio_low: finding.ratio_low,
            ratio_high: finding.ratio_high,
            excess_ms: finding.excess_ms,
            errors_before: finding.errors_before,
            errors_after: finding.errors_after,
            z: finding.z,
            e_value: finding.e_value,
            p_value: finding.p_value,
            strata: finding.strata,
            own_share: finding.own_share,
            why: finding.why,
        }
    }
}

/// Three quantiles in milliseconds.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Quantiles {
    p50: f64,
    p95: f64,
    p99: f64,
}

impl From<verdict::QuantilesMs> for Quantiles {
    fn from(quantiles: verdict::QuantilesMs) -> Self {
        Self { p50: quantiles.p50, p95: quantiles.p95, p99: quantiles.p99 }
    }
}

/// A service that may be behind the change.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Suspect {
    service: String,
    /// Milliseconds per trace that it explains, less what its callees explain better.
    score_ms: f64,
    /// Share of all excess in these traces that it explains.
    share: f64,
    /// Milliseconds per trace of its own time.
    own_ms: f64,
    /// Milliseconds per trace on the way to and from it.
    edge_ms: f64,
    /// Milliseconds per trace of work below it that it adds, or leaves undone.
    calls_ms: f64,
}

impl From<verdict::Suspect> for Suspect {
    fn from(suspect: verdict::Suspect) -> Self {
        Self {
            service: suspect.service,
            score_ms: suspect.score_ms,
            share: suspect.share,
            own_ms: suspect.own_ms,
            edge_ms: suspect.edge_ms,
            calls_ms: suspect.calls_ms,
        }
    }
}

/// Calls from one service to another that became more or fewer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StructureChange {
    caller: String,
    callee: String,
    calls_per_trace_before: f64,
    calls_per_trace_after: f64,
}

impl From<verdict::StructureChange> for StructureChange {
    fn from(change: verdict::StructureChange) -> Self {
        Self {
            caller: change.caller,
            callee: change.callee,
            calls_per_trace_before: change.calls_per_trace_before,
            calls_per_trace_after: change.calls_per_trace_after,
        }
    }
}

/// A trace that shows the worst finding.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Exemplar {
    trace_id: String,
    /// `candidate_slow`, `candidate_median`, `baseline_median` or `error`.
    role: &'static str,
    duration_ms: f64,
    node_ms: f64,
    start_unix_nano: String,
}

impl From<verdict::Exemplar> for Exemplar {
    fn from(exemplar: verdict::Exemplar) -> Self {
        Self {
            trace_id: exemplar.trace_id.to_string(),
            role: exemplar.role.name(),
            duration_ms: exemplar.duration_ms,
            node_ms: exemplar.node_ms,
            start_unix_nano: nanos_of(exemplar.start_unix_nano),
        }
    }
}

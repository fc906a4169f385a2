//! The verdict record: what was decided about a deployment, with every number that led to it.

use daytwo_storage::TraceId;

use super::split::Split;

/// Outcome of a judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// Shown to be no worse than the margin.
    Pass,
    /// Shown to be worse.
    Fail,
    /// Worse, but the comparison is too weak to blame the version alone.
    Warn,
    /// Not decided yet; the record says how many traces are missing.
    Continue,
    /// The bake time ended undecided.
    Inconclusive,
    /// Slower only because something else is.
    Inherited,
    /// The cohorts did not get the traffic their weights promised.
    Skewed,
    /// Another deployment moved with this one.
    Confounded,
    /// Ordinary variation is too large to judge.
    Noisy,
    /// Nothing to compare.
    NoData,
}

impl State {
    /// The name that the API shows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::Warn => "WARN",
            Self::Continue => "CONTINUE",
            Self::Inconclusive => "INCONCLUSIVE",
            Self::Inherited => "INHERITED",
            Self::Skewed => "SKEWED",
            Self::Confounded => "CONFOUNDED",
            Self::Noisy => "NOISY",
            Self::NoData => "NO_DATA",
        }
    }
}

/// Whose doing a change is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// The service's own time or errors.
    Own,
    /// The way to the service: client time that its server spans do not show.
    Edge,
    /// Its callees do more because of it.
    Induced,
    /// Something else in the same traces explains it.
    Inherited,
}

impl Class {
    /// The name that the API shows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Own => "OWN",
            Self::Edge => "EDGE",
            Self::Induced => "INDUCED",
            Self::Inherited => "INHERITED",
        }
    }
}

/// What the candidate was compared with, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rung {
    /// A fresh baseline deployed at the same time.
    A,
    /// Concurrent traffic of the old version.
    B,
    /// The old version before the new one came.
    C,
    /// Nothing.
    D,
}

impl Rung {
    /// The name that the API shows.
    pub fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
            Self::D => "D",
        }
    }

    /// What the rung means for variants of a flag, in words.
    pub fn meaning_of_variants(self) -> &'static str {
        match self {
            Self::A | Self::B => "concurrent traffic with the control",
            Self::C => "traffic with the control before the variant came",
            Self::D => "nothing to compare with",
        }
    }

    /// What the rung means, in words.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::A => "a baseline of the old version deployed at the same time",
            Self::B => "concurrent traffic of the old version",
            Self::C => "traffic of the old version before the new one came",
            Self::D => "nothing to compare with",
        }
    }
}

/// What a finding measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FindingNode {
    /// Self time of an operation or service.
    SelfTime,
    /// Client time less server time of a call.
    Edge,
    /// Time from the service's entry to its answer.
    Total,
}

impl FindingNode {
    /// The name that the API shows.
    pub fn name(self) -> &'static str {
        match self {
            Self::SelfTime => "self",
            Self::Edge => "edge",
            Self::Total => "total",
        }
    }
}

/// Latency or errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    /// Milliseconds.
    Latency,
    /// Failed calls.
    Errors,
}

impl Signal {
    /// The name that the API shows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::Errors => "errors",
        }
    }
}

/// Three quantiles in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuantilesMs {
    /// Median.
    pub p50: f64,
    /// 95th percentile.
    pub p95: f64,
    /// 99th percentile.
    pub p99: f64,
}

/// One node of the call tree, before and after.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// What was measured.
    pub node: FindingNode,
    /// The service.
    pub service: String,
    /// The operation; `None` for the whole service.
    pub operation: Option<String>,
    /// The caller, for an edge.
    pub peer: Option<String>,
    /// Whose doing, once something moved.
    pub class: Option<Class>,
    /// Outcome for this node.
    pub state: State,
    /// Latency or errors.
    pub signal: Signal,
    /// Baseline traces that have the node.
    pub traces_before: u64,
    /// Candidate traces that have the node.
    pub traces_after: u64,
    /// Baseline quantiles of the time per trace.
    pub before_ms: Option<QuantilesMs>,
    /// Candidate quantiles.
    pub after_ms: Option<QuantilesMs>,
    /// Candidate over baseline, within strata.
    pub ratio: Option<f64>,
    /// Lower end of its interval.
    pub ratio_low: Option<f64>,
    /// Upper end.
    pub ratio_high: Option<f64>,
    /// Milliseconds more per trace.
    pub excess_ms: Option<f64>,
    /// Share of baseline traces with an own error.
    pub errors_before: Option<f64>,
    /// Share of candidate traces with one.
    pub errors_after: Option<f64>,
    /// Rank statistic against "no change", in standard deviations.
    pub z: Option<f64>,
    /// Evidence against "at most the material ratio"; 1/e bounds the false-alarm rate however often one looks.
    pub e_value: Option<f64>,
    /// The anytime-valid p-value that goes with it.
    pub p_value: Option<f64>,
    /// Strata (journeys) that were compared.
    pub strata: u64,
    /// Share of the service's slowdown that its own time explains.
    pub own_share: Option<f64>,
    /// One sentence built from the numbers.
    pub why: String,
}

/// Calls from one service to another.
#[derive(Debug, Clone, PartialEq)]
pub struct StructureChange {
    /// Who calls.
    pub caller: String,
    /// Who is called.
    pub callee: String,
    /// Calls per trace of the baseline.
    pub calls_per_trace_before: f64,
    /// Calls per trace of the candidate.
    pub calls_per_trace_after: f64,
}

/// A service that may be behind the change.
#[derive(Debug, Clone, PartialEq)]
pub struct Suspect {
    /// The service.
    pub service: String,
    /// Milliseconds per trace that it explains, less what its callees explain better.
    pub score_ms: f64,
    /// Share of all excess in these traces that it explains.
    pub share: f64,
    /// Milliseconds per trace of its own time.
    pub own_ms: f64,
    /// Milliseconds per trace on the way to and from it.
    pub edge_ms: f64,
    /// Milliseconds per trace of work below that it adds, or leaves undone, by calling more or less.
    pub calls_ms: f64,
}

/// Why a trace was picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ExemplarRole {
    /// A slow candidate trace.
    CandidateSlow,
    /// A middling candidate trace.
    CandidateMedian,
    /// A middling baseline trace.
    BaselineMedian,
    /// A failed candidate trace.
    Error,
}

impl ExemplarRole {
    /// The name that the API shows.
    pub fn name(self) -> &'static str {
        match self {
            Self::CandidateSlow => "candidate_slow",
            Self::CandidateMedian => "candidate_median",
            Self::BaselineMedian => "baseline_median",
            Self::Error => "error",
        }
    }
}

/// A trace that shows the finding.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    /// Which trace.
    pub trace_id: TraceId,
    /// Why this one.
    pub role: ExemplarRole,
    /// Duration of the whole trace.
    pub duration_ms: f64,
    /// Time of the finding's node in it.
    pub node_ms: f64,
    /// When it started.
    pub start_unix_nano: i64,
}

/// The traces of the old version.
#[derive(Debug, Clone, PartialEq)]
pub struct Baseline {
    /// How good the comparison is.
    pub rung: Rung,
    /// The old version.
    pub version: Option<String>,
    /// Start of the window.
    pub from_unix_nano: i64,
    /// End of the window.
    pub to_unix_nano: i64,
    /// Traces in it.
    pub traces: u64,
}

/// The traces of the new version.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The new version.
    pub version: String,
    /// Start of the window.
    pub from_unix_nano: i64,
    /// End of the window.
    pub to_unix_nano: i64,
    /// Traces in it.
    pub traces: u64,
}

/// Whether the cohorts are alike in an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ParityState {
    /// They are not: it may explain what the version is blamed for.
    Differs,
    /// Too few processes to tell.
    Unknown,
    /// They are, within what chance does.
    Alike,
}

impl ParityState {
    /// The name that the API shows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Differs => "differs",
            Self::Unknown => "unknown",
            Self::Alike => "alike",
        }
    }
}

/// How common a value of an attribute is.
#[derive(Debug, Clone, PartialEq)]
pub struct ParityValue {
    /// The value; `~absent` for processes that do not send the attribute, `~other` for values beyond the first nine.
    pub value: String,
    /// Share of the old version's processes, each counted once a trace.
    pub before: f64,
    /// Share of the new version's.
    pub after: f64,
}

/// One attribute of what the cohorts ran on.
#[derive(Debug, Clone, PartialEq)]
pub struct Parity {
    /// The judged service; another one for its version.
    pub service: String,
    /// The attribute.
    pub attribute: String,
    /// Whether the cohorts are alike in it.
    pub state: ParityState,
    /// Share of the processes that would have to change for the cohorts to be the same.
    pub distance: f64,
    /// Its values, most common first.
    pub values: Vec<ParityValue>,
}

/// The judgement of one deployment.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The judged service.
    pub service: String,
    /// The flag whose variants are compared, where `version` stands for a variant; `None` for a deployment.
    pub flag: Option<String>,
    /// Its environment.
    pub environment: String,
    /// Outcome.
    pub state: State,
    /// Whose doing, for a FAIL, WARN or INHERITED.
    pub class: Option<Class>,
    /// One sentence built from the numbers.
    pub headline: String,
    /// Why this state and not another.
    pub reason: String,
    /// When it was judged.
    pub judged_at_unix_nano: i64,
    /// Looks so far, one each tick since the version was first seen.
    pub looks: u64,
    /// The old version's traces.
    pub baseline: Baseline,
    /// The new version's traces.
    pub candidate: Candidate,
    /// False-alarm rate per deployment.
    pub alpha: f64,
    /// A ratio up to this is not material.
    pub material_ratio: f64,
    /// Traces of each cohort for which the tests are tuned, known before the first trace of the new version.
    pub planned_traces: u64,
    /// Smallest ratio that these data would have shown, with a chance of 80 %.
    pub mde_ratio: Option<f64>,
    /// Traces still needed of the new version.
    pub traces_needed: Option<u64>,
    /// Seconds they take at the present rate.
    pub seconds_needed: Option<u64>,
    /// Share of the candidate's traces in strata that could be compared.
    pub coverage: f64,
    /// The judged service's own nodes, worst first.
    pub findings: Vec<Finding>,
    /// Other services in the same traces, worst first.
    pub affected: Vec<Finding>,
    /// Services of these traces by what they explain of the change, most first, whatever the state.
    pub suspects: Vec<Suspect>,
    /// Calls per trace that changed.
    pub structure: Vec<StructureChange>,
    /// Traces that show the worst finding.
    pub exemplars: Vec<Exemplar>,
    /// How the traffic was split in each window of a declared weight, oldest first.
    pub splits: Vec<Split>,
    /// What else differs between the cohorts.
    pub confounders: Vec<String>,
    /// What the cohorts ran on, attribute by attribute, differences first.
    pub parity: Vec<Parity>,
    /// What would change the verdict.
    pub what_would_change: String,
    /// SQL over `spans` that repeats the comparison.
    pub sql: String,
}

impl Verdict {
    /// This verdict where its evidence is not enough among all that was asked at once: `why` says among what.
    pub(crate) fn held_back(&self, baked: bool, why: &str) -> Self {
        let state = if baked { State::Inconclusive } else { State::Continue };
        let reason = format!("{}, but {why}", self.reason);
        let headline = format!("{} is not decided yet: {why}", self.service);
        Self { state, class: None, reason, headline, ..self.clone() }
    }

    /// This verdict once its deployment is no longer followed because more than `judged_max` newer ones are: an open one ends.
    pub(crate) fn given_up(&self, judged_max: usize) -> Self {
        if self.state != State::Continue {
            return self.clone();
        }
        let reason = format!("no longer judged: {judged_max} newer releases are; until then {}", self.reason);
        let headline = format!("{} {} stays undecided: {reason}", self.service, self.candidate.version);
        Self { state: State::Inconclusive, reason, headline, ..self.clone() }
    }
}

//! Journeys: one outcome for a whole stitched trace, and whom a bad one is charged to.
//!
//! A journey is good when its root succeeded, in time where there is a threshold, every required step succeeded and no error began in a
//! critical service. What is seen decides; only where a required step was not seen and spans may be missing the outcome is unknown.

mod blame;

use std::sync::Arc;

use daytwo_storage::{TraceId, UnixNanos};
use serde::{Deserialize, Serialize};

use super::{Calls, ObjectiveKind};
use crate::measure::event_time;
use crate::trace::{AnomalyKind, StitchedSpan, StitchedTrace, Weight, kind};
pub(crate) use blame::{Blamed, Place, Times};

/// An operation that a journey has to go through.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Step {
    /// Its service.
    pub service: String,
    /// Its span name.
    pub operation: String,
}

impl Step {
    fn is(&self, row: &StitchedSpan) -> bool {
        *self.service == *row.span.resource.service && *self.operation == *row.span.operation
    }
}

/// What a journey asks for beyond its root.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Journey {
    /// Each of them must succeed at least once.
    pub steps: Vec<Step>,
    /// Services in which no error may begin.
    pub critical: Vec<String>,
}

/// What became of a journey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Good,
    Bad,
    /// Spans that would tell are missing.
    Unknown,
}

/// Whom a bad journey is charged to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Where its error began.
    Error(Blamed),
    /// Whoever took longer than usual.
    Slow,
    /// Nobody that can be named.
    Unattributed,
}

/// A trace as one event of an objective.
#[derive(Debug, Clone)]
pub(crate) struct Travelled<'t> {
    pub(crate) at: UnixNanos,
    pub(crate) trace_id: TraceId,
    pub(crate) weight: Weight,
    pub(crate) operation: &'t Arc<str>,
    pub(crate) version: &'t Arc<str>,
    pub(crate) outcome: Outcome,
    /// Conditions that were not met, in the order of [`Calls::conditions`].
    pub(crate) failed: Vec<u16>,
    pub(crate) cause: Cause,
    pub(crate) duration_ns: i64,
    /// Time on the critical path; none of an unknown journey.
    pub(crate) times: Times,
}

impl Calls {
    /// The conditions of a journey, in words: first its root's, then its steps', then its critical services'. Empty for plain calls.
    pub(crate) fn conditions(&self) -> Vec<String> {
        let Some(journey) = &self.journey else { return Vec::new() };
        let mut words = vec!["the root succeeds".to_owned()];
        if let ObjectiveKind::Latency { .. } = self.kind {
            words.push(self.kind.words());
        }
        words.extend(journey.steps.iter().map(|step| format!("{}:{} succeeds", step.service, step.operation)));
        words.extend(journey.critical.iter().map(|service| format!("no error begins in {service}")));
        words
    }
}

/// What the trace is to a journey; `None` when it is none of its kind. A trace without its root is one when it shows a required step.
/// Of a `fragment` other spans were seen before.
pub(crate) fn travelled<'t>(calls: &Calls, trace: &'t StitchedTrace, fragment: bool) -> Option<Travelled<'t>> {
    let journey = calls.journey.as_ref()?;
    let is_here = |row: &&StitchedSpan| {
        calls.environment.as_ref().is_none_or(|environment| *environment == row.span.resource.environment)
    };
    let roots = trace.roots.iter().filter_map(|at| Some((*at, trace.spans.get(*at)?)));
    let Some((at, root)) = roots.into_iter().find(|(_, row)| !row.missing_parent) else {
        let step = trace.spans.iter().filter(is_here).find(|row| journey.steps.iter().any(|step| step.is(row)))?;
        return Some(event(step, Outcome::Unknown));
    };
    let is_root = root.span.resource.service == calls.service
        && calls.operation.as_ref().is_some_and(|operation| *operation == root.span.operation);
    if !is_root || !is_here(&root) {
        return None;
    }
    let found = Found::of(calls, journey, trace, root);
    let outcome = match () {
        () if !found.failed.is_empty() => Outcome::Bad,
        () if found.unseen && (fragment || may_lack_spans(trace)) => Outcome::Unknown,
        () if found.unseen => Outcome::Bad,
        () => Outcome::Good,
    };
    let cause = if outcome == Outcome::Bad { found.cause(journey, trace, at) } else { Cause::Unattributed };
    let failed = if outcome == Outcome::Bad { found.all_failed(fragment || may_lack_spans(trace)) } else { Vec::new() };
    let times = if outcome == Outcome::Unknown { Times::default() } else { blame::times(trace, at) };
    Some(Travelled { failed, cause, times, ..event(root, outcome) })
}

fn event(row: &StitchedSpan, outcome: Outcome) -> Travelled<'_> {
    Travelled {
        at: event_time(row.span.start_ns, row.span.received_ns),
        trace_id: row.span.trace_id,
        weight: row.span.weight,
        operation: &row.span.operation,
        version: &row.span.resource.version,
        outcome,
        failed: Vec::new(),
        cause: Cause::Unattributed,
        duration_ns: row.span.duration_ns,
        times: Times::default(),
    }
}

/// Whether spans of the trace may be missing: its parts do not hang together, or a call or message has no other side.
fn may_lack_spans(trace: &StitchedTrace) -> bool {
    let cut = trace.anomalies.iter().any(|anomaly| anomaly.kind == AnomalyKind::Truncated);
    let is_open = |(at, row): (usize, &StitchedSpan)| {
        matches!(row.span.kind, kind::CLIENT | kind::PRODUCER) && row.subtree_end == at.saturating_add(1)
    };
    cut || trace.roots.len() > 1 || trace.spans.iter().enumerate().any(is_open)
}

/// What is seen of each condition.
#[derive(Debug, Default)]
struct Found {
    /// Conditions known not to be met.
    failed: Vec<u16>,
    root_failed: bool,
    too_slow: bool,
    /// Steps of which only failures were seen.
    failed_steps: Vec<usize>,
    /// Conditions of the steps that were not seen.
    unseen_steps: Vec<u16>,
    unseen: bool,
}

impl Found {
    fn of(calls: &Calls, journey: &Journey, trace: &StitchedTrace, root: &StitchedSpan) -> Self {
        let mut found = Self { root_failed: root.span.is_error(), ..Self::default() };
        let mut condition = 0_u16;
        let mut next = |found: &mut Self, is_met: bool| {
            if !is_met {
                found.failed.push(condition);
            }
            condition = condition.saturating_add(1);
            condition.saturating_sub(1)
        };
        next(&mut found, !root.span.is_error());
        if let ObjectiveKind::Latency { threshold_ns } = calls.kind {
            found.too_slow = root.span.duration_ns > threshold_ns;
            let in_time = !found.too_slow;
            next(&mut found, in_time);
        }
        for (number, step) in journey.steps.iter().enumerate() {
            let mut seen = trace.spans.iter().filter(|row| step.is(row)).map(|row| row.span.is_error()).peekable();
            let was_seen = seen.peek().is_some();
            let failed = was_seen && seen.all(|error| error);
            let own = next(&mut found, !failed);
            if failed {
                found.failed_steps.push(number);
            }
            if !was_seen {
                found.unseen = true;
                found.unseen_steps.push(own);
            }
        }
        for service in &journey.critical {
            let began = trace.spans.iter().any(|row| row.own_error && *row.span.resource.service == **service);
            next(&mut found, !began);
        }
        found
    }

    /// The conditions that a bad journey did not meet: steps that were not seen count where nothing can be missing.
    fn all_failed(&self, may_lack_spans: bool) -> Vec<u16> {
        let unseen = self.unseen_steps.iter().filter(|_| !may_lack_spans);
        let mut failed: Vec<u16> = self.failed.iter().chain(unseen).copied().collect();
        failed.sort_unstable();
        failed
    }

    /// Errors first, since a journey that failed is often slow or short for that reason.
    fn cause(&self, journey: &Journey, trace: &StitchedTrace, root: usize) -> Cause {
        if self.root_failed {
            return Cause::Error(blame::origin(trace, root));
        }
        let began = |row: &StitchedSpan| {
            row.own_error && journey.critical.iter().any(|service| **service == *row.span.resource.service)
        };
        if let Some(row) = blame::deepest(trace, began) {
            return Cause::Error(blame::place_of(trace, row));
        }
        let failed = |row: &StitchedSpan| {
            row.span.is_error()
                && self.failed_steps.iter().filter_map(|at| journey.steps.get(*at)).any(|step| step.is(row))
        };
        match blame::deepest(trace, failed) {
            Some(row) => Cause::Error(blame::origin(trace, row)),
            None if self.too_slow => Cause::Slow,
            None => Cause::Unattributed,
        }
    }
}

#[cfg(test)]
mod tests;

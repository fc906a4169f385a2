//! The record of a judgement: its numbers gathered, and its sentences.

use daytwo_storage::UnixNanos;

use super::super::cohort::{AFTER, BEFORE};
use super::super::gate::GateCall;
use super::super::{Baseline, Candidate, Finding, Parity, State, StructureChange, Verdict, parity, strata, words};
use super::Case;
use crate::measure::FINE;

impl Case<'_> {
    pub(super) fn record(&self, now: UnixNanos, state: State, reason: String) -> Verdict {
        let key = &self.key;
        let [(before_from, before_to), (from, to)] = self.comparison.windows;
        let (mut findings, mut affected) = (self.findings(state), self.affected());
        if state == State::Skewed {
            findings.iter_mut().chain(&mut affected).for_each(withhold);
        }
        let waiting = matches!(state, State::Continue | State::Inconclusive);
        let traces_needed = waiting.then(|| self.traces_needed());
        let parity = self.parity();
        let class = matches!(state, State::Fail | State::Warn | State::Inherited | State::Noisy | State::Confounded)
            .then_some(self.attribution.class)
            .flatten();
        let mut verdict = Verdict {
            service: key.service.to_string(),
            flag: key.flag.as_ref().map(ToString::to_string),
            environment: key.environment.to_string(),
            state,
            class,
            headline: String::new(),
            reason,
            judged_at_unix_nano: now.0,
            looks: (now.since(key.first_seen).as_nanos() / FINE.as_nanos()).try_into().unwrap_or(u64::MAX),
            baseline: Baseline {
                rung: self.comparison.rung,
                version: key.baseline.as_ref().map(ToString::to_string),
                from_unix_nano: before_from,
                to_unix_nano: before_to,
                traces: self.traces[BEFORE],
            },
            candidate: Candidate {
                version: key.candidate.to_string(),
                from_unix_nano: from,
                to_unix_nano: to,
                traces: self.traces[AFTER],
            },
            alpha: self.config.alpha,
            material_ratio: 1.0 + self.config.material,
            planned_traces: self.planned_traces,
            mde_ratio: self.mde_ratio(),
            traces_needed,
            seconds_needed: traces_needed.and_then(|traces| self.seconds_needed(traces)),
            coverage: self.coverage,
            findings,
            affected,
            suspects: self.suspects.to_vec(),
            structure: self.structure(),
            exemplars: Vec::new(),
            splits: self.splits.to_vec(),
            confounders: self.confounders(&parity),
            parity,
            what_would_change: String::new(),
            sql: words::sql(key, before_from.min(from), to),
        };
        verdict.headline = self.headline(&verdict);
        verdict.what_would_change = what_would_change(&verdict);
        if key.flag.is_some() { words::of_a_flag(verdict) } else { verdict }
    }

    fn structure(&self) -> Vec<StructureChange> {
        let calls = self.gate.calls.iter().filter(|call| call.more || (call.test.after - call.test.before).abs() > 0.1);
        let change = |call: &GateCall| StructureChange {
            caller: self.key.service.to_string(),
            callee: call.callee.to_string(),
            calls_per_trace_before: call.test.before,
            calls_per_trace_after: call.test.after,
        };
        calls.map(change).collect()
    }

    /// What the cohorts ran on; nothing to be said while one of them is empty.
    fn parity(&self) -> Vec<Parity> {
        if self.traces.contains(&0) { Vec::new() } else { parity::rows(self.cohorts) }
    }

    /// What else differs between the cohorts: attributes, and for a flag its share of the journeys.
    fn confounders(&self, parity: &[Parity]) -> Vec<String> {
        let mut found = parity::differences(parity);
        if self.key.flag.is_some() {
            found.extend(strata::differences(self.table, &self.key.candidate));
        }
        found
    }

    fn headline(&self, verdict: &Verdict) -> String {
        let who = match &self.key.flag {
            Some(flag) => format!("{} with {flag}={}", verdict.service, verdict.candidate.version),
            None => format!("{} {}", verdict.service, verdict.candidate.version),
        };
        let worst = verdict
            .findings
            .iter()
            .find(|finding| matches!(finding.state, State::Fail | State::Warn))
            .map(words::worst);
        let traces = format!("{} against {} traces", verdict.candidate.traces, verdict.baseline.traces);
        match verdict.state {
            State::Fail | State::Warn | State::Noisy | State::Confounded => {
                let made = if verdict.state == State::Fail { "made it worse" } else { "looks worse" };
                format!("{who} {made}: {}, {traces}", worst.unwrap_or_else(|| verdict.reason.clone()))
            }
            State::Pass => {
                let ratio = self.gate.service().map_or(1.0, |node| node.test.ratio);
                format!("{who} is no worse: own time {}, {traces}", words::change(ratio))
            }
            State::Inherited => format!("{who} is slower, but not by itself: {}, {traces}", verdict.reason),
            State::Skewed => format!("{who} is not judged: {}", verdict.reason),
            State::NoData => format!("{who} cannot be compared: {}", verdict.reason),
            _ => format!("{who} is not decided yet: {}", verdict.reason),
        }
    }
}

/// Cohorts that are not alike support no claim, neither for the better nor for the worse: the numbers stay, without a judgement.
fn withhold(finding: &mut Finding) {
    let moved = matches!(finding.state, State::Fail | State::Warn | State::Noisy | State::Inherited);
    finding.state = if moved { State::Skewed } else { State::Continue };
    finding.class = None;
}

fn what_would_change(verdict: &Verdict) -> String {
    let needed = verdict
        .traces_needed
        .map_or(String::new(), |traces| format!("about {traces} more traces of {}", verdict.candidate.version));
    match verdict.state {
        State::Continue => format!("{needed} decide it"),
        State::Inconclusive => format!("the bake time has ended; {needed} would have been needed"),
        State::Fail => "a rollback, or evidence that the two versions did not get the same kind of traffic".to_owned(),
        State::Warn | State::Noisy => {
            "concurrent traffic of both versions (a canary) would turn this into FAIL or PASS".to_owned()
        }
        State::Confounded => "the same comparison with one version of every other service".to_owned(),
        State::Skewed => "traffic split as it was declared, or the weight declared that is in force".to_owned(),
        State::Pass => format!("a ratio above {:.2} on any journey would", verdict.material_ratio),
        State::Inherited => "the service below becoming fast again".to_owned(),
        _ => "traffic of an older version to compare with".to_owned(),
    }
}

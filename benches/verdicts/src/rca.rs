//! Labelled faults as deployments: recall, precision, localisation, class and time to detect.
//!
//! A case becomes a deployment by giving a service v1 before its instant and v2 from then on (before/after, all traffic at once).
//! Every service of the traces is judged so, one at a time: the faulty one, and all others as decoys at the same instant. A service
//! is named by FAIL or WARN of class OWN, EDGE or INDUCED. The ranking is by what each explains in its own verdict.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use daytwo_query::measure::TraceRecord;
use daytwo_query::verdict::{Class, State, Verdict, VerdictConfig};

use crate::Failure;
use crate::baselines;
use crate::dataset::{Case, Folder, Traces, within};
use crate::deploy::{Deployment, before_after, names_it, reaching_back, records, services, suspicion};

/// Width of a look while waiting for detection.
const LOOK_NS: i64 = 10_000_000_000;

/// What became of one group of cases.
#[derive(Debug, Clone, Default)]
pub(crate) struct Score {
    /// Cases.
    pub(crate) cases: usize,
    named: usize,
    failed: usize,
    first: usize,
    third: usize,
    class_right: usize,
    innocents: usize,
    innocents_failed: usize,
    decoys: usize,
    seconds: Vec<i64>,
    states: BTreeMap<&'static str, usize>,
    rivals: [[usize; 2]; baselines::NAMES.len()],
}

/// The class that a fault of this kind should get.
fn expected(fault: &str) -> Class {
    if fault.contains("network") { Class::Edge } else { Class::Own }
}

impl Score {
    /// Adds a case with the verdicts of all services.
    pub(crate) fn add(&mut self, case: &Case, verdicts: &BTreeMap<Arc<str>, Verdict>) {
        self.cases += 1;
        for (service, verdict) in verdicts {
            let (named, failed) = (names_it(verdict), names_it(verdict) && verdict.state == State::Fail);
            if Some(&**service) == case.culprit.as_deref() {
                self.named += usize::from(named);
                self.failed += usize::from(failed);
                self.class_right += usize::from(named && verdict.class == Some(expected(&case.fault)));
                *self.states.entry(verdict.state.name()).or_default() += 1;
            } else {
                self.decoys += 1;
                self.innocents += usize::from(named);
                self.innocents_failed += usize::from(failed);
            }
        }
        let rank = rank_of(case, verdicts);
        self.first += usize::from(rank == Some(0));
        self.third += usize::from(rank.is_some_and(|rank| rank < 3));
    }

    fn add_rivals(&mut self, case: &Case, traces: &Traces) {
        let rankings = baselines::rankings([within(traces, case.before), within(traces, case.after)]);
        for (hits, ranking) in self.rivals.iter_mut().zip(&rankings) {
            let rank = ranking.iter().position(|service| Some(&**service) == case.culprit.as_deref());
            hits[0] += usize::from(rank == Some(0));
            hits[1] += usize::from(rank.is_some_and(|rank| rank < 3));
        }
    }

    fn row(&self, name: &str) -> String {
        let mut seconds = self.seconds.clone();
        seconds.sort_unstable();
        let detected = seconds.get(seconds.len() / 2).map_or("-".to_owned(), |median| format!("{median} s"));
        format!(
            "| {name} | {} | {} | {} | {} | {} | {} | {} of {} | {} | {} | {detected} |",
            self.cases,
            share(self.named, self.cases),
            share(self.failed, self.cases),
            share(self.first, self.cases),
            share(self.third, self.cases),
            share(self.class_right, self.named),
            self.innocents,
            self.decoys,
            share(self.named, self.named + self.innocents),
            share(self.failed, self.failed + self.innocents_failed),
        )
    }
}

/// A part of a whole in per cent, with both counts.
#[expect(clippy::cast_precision_loss, reason = "small counts")]
pub(crate) fn share(part: usize, whole: usize) -> String {
    if whole == 0 { "-".to_owned() } else { format!("{:.1} % ({part}/{whole})", 100.0 * part as f64 / whole as f64) }
}

/// Place of the culprit among the services, by suspicion.
fn rank_of(case: &Case, verdicts: &BTreeMap<Arc<str>, Verdict>) -> Option<usize> {
    let mut ranked: Vec<(&Arc<str>, (bool, f64))> =
        verdicts.iter().filter_map(|(service, verdict)| Some((service, suspicion(verdict)?))).collect();
    ranked.sort_by(|left, right| right.1.0.cmp(&left.1.0).then_with(|| right.1.1.total_cmp(&left.1.1)));
    ranked.iter().position(|(service, _)| Some(&***service) == case.culprit.as_deref())
}

/// Seconds from the fault until the culprit is named, looking every ten.
fn seconds_to_name(case: &Case, culprit: &str, records: &[TraceRecord], config: &VerdictConfig) -> Option<i64> {
    let config = reaching_back(config, case.before, case.after);
    let mut deployment = Deployment::new(culprit, case.after.0, &config);
    let mut rest = records.iter().peekable();
    let mut now = case.after.0;
    while now < case.after.1 {
        now = now.saturating_add(LOOK_NS);
        while let Some(record) = rest.next_if(|record| record.start.0 < now) {
            deployment.add(record, record.start.0 >= case.after.0);
        }
        if names_it(&deployment.judge(now)) {
            return Some(now.saturating_sub(case.after.0) / 1_000_000_000);
        }
    }
    None
}

/// What was decided in a case: the culprit's verdict, and those that name their service.
pub(crate) fn say(case: &Case, verdicts: &BTreeMap<Arc<str>, Verdict>, out: &mut String) -> std::fmt::Result {
    let culprit = case.culprit.as_deref().unwrap_or("nothing");
    writeln!(out, "{} {culprit} {}: rank {:?}", case.set, case.fault, rank_of(case, verdicts).map(|rank| rank + 1))?;
    for (service, verdict) in verdicts {
        if **service == *culprit || names_it(verdict) {
            let (old, new) = (verdict.baseline.traces, verdict.candidate.traces);
            writeln!(out, "  {} {old}/{new} {service}: {}", verdict.state.name(), verdict.reason)?;
            let suspects = verdict.suspects.iter().take(3);
            let named = suspects.map(|suspect| format!("{} {:.1} ms", suspect.service, suspect.score_ms));
            writeln!(out, "    suspects: {}", named.collect::<Vec<_>>().join(", "))?;
        }
    }
    if case.culprit.as_deref().is_some_and(|culprit| !verdicts.contains_key(culprit)) {
        writeln!(out, "  no verdict on {culprit}, one on each of {} other services", verdicts.len())?;
    }
    Ok(())
}

/// Scores by set and class, then by set and fault.
pub(crate) fn measure(
    folder: &Folder,
    config: &VerdictConfig,
    verbose: Option<&mut String>,
    thorough: bool,
) -> Result<BTreeMap<String, Score>, Failure> {
    let mut scores: BTreeMap<String, Score> = BTreeMap::new();
    let mut said = String::new();
    for set in folder.sets() {
        let traces = folder.traces(set)?;
        for case in folder.cases.iter().filter(|case| case.set == set) {
            let windows = within(&traces, case.before).iter().chain(within(&traces, case.after));
            let records = records(windows.map(|(_, spans)| spans.as_slice()));
            let of = |service: Arc<str>| {
                let verdict = before_after(&records, &service, case.before, case.after, config);
                (service, verdict)
            };
            let verdicts: BTreeMap<Arc<str>, Verdict> = services(&records).into_iter().map(of).collect();
            say(case, &verdicts, &mut said)?;
            let seconds = case.culprit.as_deref().filter(|_| thorough);
            let seconds = seconds.and_then(|culprit| seconds_to_name(case, culprit, &records, config));
            let fault = format!("{set} {} {}", case.class, case.fault);
            let groups = std::iter::once(format!("{set} {}", case.class)).chain((case.class != "aa").then_some(fault));
            for group in groups {
                let score = scores.entry(group).or_default();
                score.add(case, &verdicts);
                score.seconds.extend(seconds);
                if thorough {
                    score.add_rivals(case, &traces);
                }
            }
        }
    }
    if let Some(verbose) = verbose {
        verbose.push_str(&said);
    }
    Ok(scores)
}

/// The head of the table of scores.
pub(crate) const HEAD: &str = "| cases | n | named | named by FAIL | AS@1 | AS@3 | class right | decoys named | precision | precision of FAIL | median time to name |\n\
|---|---|---|---|---|---|---|---|---|---|---|";

/// The tables.
pub(crate) fn report(scores: &BTreeMap<String, Score>, unusable: usize) -> String {
    let mut out = format!("{HEAD}\n");
    scores.iter().for_each(|(name, score)| out.push_str(&format!("{}\n", score.row(name))));
    out.push_str(&format!("\n{unusable} cases have fewer than 50 traces in a window and are left out.\n\n"));
    out.push_str("| AS@1 / AS@3 | daytwo |");
    baselines::NAMES.iter().for_each(|name| out.push_str(&format!(" {name} |")));
    out.push_str("\n|---|---|---|---|---|---|\n");
    for (name, score) in scores.iter().filter(|(name, _)| !name.ends_with("aa")) {
        out.push_str(&format!("| {name} | {}/{} of {} |", score.first, score.third, score.cases));
        score.rivals.iter().for_each(|hits| out.push_str(&format!(" {}/{} |", hits[0], hits[1])));
        out.push('\n');
    }
    out
}

/// One line: what a change of the rule's numbers does.
pub(crate) fn summary(scores: &BTreeMap<String, Score>) -> String {
    let sum = |wanted: &dyn Fn(&str) -> bool| {
        let mut all = Score::default();
        for (_, score) in scores.iter().filter(|(name, _)| name.matches(' ').count() == 1 && wanted(name)) {
            all.cases += score.cases;
            all.named += score.named;
            all.first += score.first;
            all.innocents += score.innocents;
        }
        all
    };
    let (faults, resource) = (sum(&|name| !name.ends_with(" aa")), sum(&|name| name.ends_with(" resource")));
    let quiet = sum(&|name| name.ends_with(" aa"));
    format!(
        "{} | {} | {} | {} | {}",
        share(resource.first, resource.cases),
        share(resource.named, resource.cases),
        share(faults.first, faults.cases),
        share(faults.named, faults.named + faults.innocents),
        quiet.innocents
    )
}

//! Following references: from the documents of a folder to objectives.

mod calls;
mod journey;
mod policy;

use std::sync::Arc;

use super::document::{Body, Document, Given, Goal, Kind, Sli, Slo, TimeWindow};
use super::fields::Faults;
use super::source::Source;
use super::yaml::Text;
use super::{Folder, JOURNEYS_MAX, OBJECTIVES_MAX, Parsed};
use crate::slo::{Calls, Member, Objective, Window};

/// What is found out about one document.
pub(super) struct Findings<'f> {
    pub(super) faults: Faults,
    pub(super) notes: Faults,
    /// The documents that it refers to.
    used: std::cell::RefCell<Vec<&'f Source<'f>>>,
}

impl Findings<'_> {
    fn new() -> Self {
        Self { faults: Faults::default(), notes: Faults::default(), used: std::cell::RefCell::default() }
    }
}

impl<'a> Folder<'a> {
    /// Checks each indicator and policy on its own, so that its faults are named where they are, once, and not where it is referred to.
    pub(super) fn check_alone(&mut self) {
        let (mut bad, mut problems) = (Vec::new(), Vec::new());
        for (source, document) in &self.documents {
            let findings = Findings::new();
            self.check_one(document, &findings);
            if !findings.faults.is_empty() {
                problems.extend(findings.faults.into_inner().into_iter().map(|fault| source.problem(fault)));
                bad.push((document.body.kind(), document.metadata.name.value.clone()));
            }
        }
        self.problems.extend(problems);
        for key in bad {
            self.named.insert(key, None);
        }
    }

    /// What it says is looked at again when an SLO refers to it; here its faults alone matter.
    fn check_one(&self, document: &Document, findings: &Findings<'a>) {
        match &document.body {
            Body::Sli(sli) if calls::is_ours(sli) => {
                // The service may be the SLO's.
                let unknown = Text { value: "?".to_owned(), line: 0 };
                self.calls(sli, Some(&unknown), findings);
            }
            Body::AlertPolicy(policy) => {
                self.conditions(&document.metadata.name.value, policy, findings);
            }
            _ => {}
        }
    }

    /// Every objective of every SLO without a fault.
    pub(super) fn objectives(mut self) -> Parsed {
        let mut parsed = Parsed { problems: std::mem::take(&mut self.problems), ..Parsed::default() };
        for (source, document) in &self.documents {
            let findings = Findings::new();
            let read = match &document.body {
                Body::Slo(slo) => self.slo(source, document, slo, &findings),
                other => {
                    ignored(other, &findings.notes);
                    None
                }
            };
            let as_problem = |fault| source.problem(fault);
            parsed.notes.extend(findings.notes.into_inner().into_iter().map(as_problem));
            if findings.faults.is_empty() {
                read.into_iter().flatten().for_each(|objective| admit(source, document, objective, &mut parsed));
            }
            parsed.problems.extend(findings.faults.into_inner().into_iter().map(as_problem));
        }
        parsed
    }

    /// The document of this kind and name; a fault at the reference when there is none to use.
    fn look_up(&self, kind: Kind, name: &Text, findings: &Findings<'a>) -> Option<&Document> {
        let at = match self.named.get(&(kind, name.value.clone())) {
            Some(Some(at)) => *at,
            Some(None) => {
                let message = format!("the {} {} has a problem of its own", kind.name(), name.value);
                findings.faults.add(name.line, message);
                return None;
            }
            None => {
                findings.faults.add(name.line, format!("no {} document is named {}", kind.name(), name.value));
                return None;
            }
        };
        let (source, document) = self.documents.get(at)?;
        findings.used.borrow_mut().push(*source);
        Some(document)
    }

    fn slo(
        &self,
        source: &Source<'_>,
        document: &Document,
        slo: &Slo,
        findings: &Findings<'a>,
    ) -> Option<Vec<Objective>> {
        let members = self.members(document, slo, findings);
        let alerting = self.alerting(&slo.policies, findings);
        let (members, alerting) = (members?, alerting?);
        let name = &document.metadata.name.value;
        let shown = document.metadata.display_name.as_ref().map_or_else(|| name.clone(), |shown| shown.value.clone());
        let first = members.first()?;
        let service =
            slo.service.as_ref().map_or_else(|| Arc::clone(&first.calls.service), |text| text.value.as_str().into());
        let base = Objective {
            id: name.clone(),
            name: name.clone(),
            display_name: shown,
            service,
            members: Vec::new(),
            target: 0.0,
            window: slo.window.window,
            window_text: window_words(&slo.window),
            alerting,
            file: source.file.to_owned(),
            yaml: whole_text(source, findings),
        };
        if slo.objectives.iter().any(|goal| goal.weight.is_some()) {
            return Some(vec![Objective { target: average_target(&members), members, ..base }]);
        }
        let several = members.len() > 1;
        let one = |(number, (member, goal)): (usize, (Member, &Goal))| {
            let named = |id: &str| if several { format!("{id}-{}", number.saturating_add(1)) } else { id.to_owned() };
            let own = goal.display_name.as_ref().filter(|_| several).map(|text| text.value.clone());
            Objective {
                id: named(&base.id),
                display_name: own.unwrap_or_else(|| base.display_name.clone()),
                service: Arc::clone(&member.calls.service),
                target: member.target,
                members: vec![member],
                ..base.clone()
            }
        };
        Some(members.into_iter().zip(&slo.objectives).enumerate().map(one).collect())
    }

    /// What each objective of the SLO measures, in their order.
    fn members(&self, document: &Document, slo: &Slo, findings: &Findings<'a>) -> Option<Vec<Member>> {
        let weighted = slo.objectives.iter().any(|goal| goal.weight.is_some());
        let common = slo.indicator.as_ref().and_then(|given| self.indicator(given, slo.service.as_ref(), findings));
        let member = |goal: &Goal| {
            ignored_of(goal, findings);
            let calls = match (&slo.indicator, &goal.indicator) {
                (Some(_), Some(_)) => {
                    let message = "the objective has an indicator and so has spec; keep those of one level";
                    findings.faults.add(goal.line.line, message);
                    None
                }
                (Some(_), None) => common.clone(),
                (None, Some(own)) => self.indicator(own, slo.service.as_ref(), findings),
                (None, None) => {
                    let message = "spec needs indicator or indicatorRef, or else each objective its own";
                    findings.faults.add(slo.line.line, message);
                    None
                }
            }?;
            Some(Member {
                name: goal_name(document, goal),
                calls,
                target: goal.target.share(),
                weight: goal.weight.as_ref().map_or(1.0, |weight| weight.value),
            })
        };
        let members: Vec<Option<Member>> = slo.objectives.iter().map(member).collect();
        if weighted && slo.indicator.is_some() {
            let message = "compositeWeight needs an indicator or indicatorRef of each objective's own";
            findings.faults.add(slo.line.line, message);
        }
        members.into_iter().collect()
    }

    /// What an indicator counts.
    fn indicator(&self, given: &Given<Sli>, service: Option<&Text>, findings: &Findings<'a>) -> Option<Calls> {
        match given {
            Given::Here(_, sli) => self.calls(sli, service, findings),
            Given::Named(name) => {
                let Body::Sli(sli) = &self.look_up(Kind::Sli, name, findings)?.body else { return None };
                // Lines of another document would mislead; faults point at the reference.
                let own = Findings::new();
                let calls = self.calls(sli, service, &own);
                for (_, message) in own.faults.into_inner() {
                    findings.faults.add(name.line, format!("the SLI {}: {message}", name.value));
                }
                findings.used.borrow_mut().extend(own.used.into_inner());
                calls
            }
        }
    }
}

fn is_of_journeys(objective: &&Objective) -> bool {
    objective.is_of_journeys()
}

fn admit(source: &Source<'_>, document: &Document, objective: Objective, parsed: &mut Parsed) {
    let line = document.metadata.name.line;
    if parsed.objectives.iter().any(|other| other.id == objective.id) {
        let message = format!("a second objective is named {}; the first one stays", objective.id);
        parsed.problems.push(source.problem((line, message)));
    } else if parsed.objectives.len() >= OBJECTIVES_MAX {
        let message = format!("more than {OBJECTIVES_MAX} objectives; {} is left out", objective.id);
        parsed.problems.push(source.problem((line, message)));
    } else if objective.is_of_journeys() && parsed.objectives.iter().filter(is_of_journeys).count() >= JOURNEYS_MAX {
        let message = format!("more than {JOURNEYS_MAX} objectives of journeys; {} is left out", objective.id);
        parsed.problems.push(source.problem((line, message)));
    } else {
        parsed.objectives.push(objective);
    }
}

/// The name of a member of a composite: what it is called, or what it refers to.
fn goal_name(document: &Document, goal: &Goal) -> String {
    let shown = goal.display_name.as_ref().map(|text| text.value.clone());
    let indicator = || match goal.indicator.as_ref()? {
        Given::Named(name) => Some(name.value.clone()),
        Given::Here(metadata, _) => metadata.as_ref().map(|metadata| metadata.name.value.clone()),
    };
    shown.or_else(indicator).unwrap_or_else(|| document.metadata.name.value.clone())
}

/// What a composite promises: its members' promises, weighted as their errors are.
fn average_target(members: &[Member]) -> f64 {
    let weight: f64 = members.iter().map(|member| member.weight).sum();
    members.iter().map(|member| member.weight * member.target).sum::<f64>() / weight
}

fn window_words(window: &TimeWindow) -> String {
    match window.window {
        Window::Rolling(_) => window.duration.value.clone(),
        Window::Calendar(calendar) => format!("{} (calendar, {})", window.duration.value, calendar.zone),
    }
}

/// The SLO's document and those that it refers to, each once.
fn whole_text(source: &Source<'_>, findings: &Findings<'_>) -> String {
    let mut texts = vec![source.text.as_str()];
    for used in findings.used.borrow().iter() {
        if !texts.contains(&used.text.as_str()) {
            texts.push(&used.text);
        }
    }
    texts.join("---\n")
}

fn ignored_of(goal: &Goal, findings: &Findings<'_>) {
    for (what, line) in
        [("op", goal.op.as_ref().map(|op| op.line)), ("value", goal.value.as_ref().map(|value| value.line))]
    {
        if let Some(line) = line {
            findings
                .notes
                .add(line, format!("{what} has no effect: it is for thresholdMetric, and ratios are measured"));
        }
    }
}

/// Says what of an accepted document has no effect.
fn ignored(body: &Body, notes: &Faults) {
    match body {
        Body::AlertNotificationTarget(_) => {
            notes.add(1, "AlertNotificationTarget has no effect: webhooks are set in the configuration (`[alerts]`)");
        }
        Body::DataSource(source) => {
            if let Some(details) = &source.connection {
                notes
                    .add(details.line, "connectionDetails have no effect: spans are read from this server's own store");
            }
            if let Some(kind) = source.kind.as_ref().filter(|kind| kind.value != calls::OURS) {
                let message = format!("DataSource of type {} is not read; only type {} is", kind.value, calls::OURS);
                notes.add(kind.line, message);
            }
        }
        Body::AlertPolicy(policy) => policy::ignored(policy, notes),
        Body::Slo(_) | Body::Sli(_) | Body::AlertCondition(_) | Body::Service(_) => {}
    }
}

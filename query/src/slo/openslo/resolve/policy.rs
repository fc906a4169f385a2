//! When an objective alerts: the conditions of its policies.

use std::time::Duration;

use super::super::document::{AlertCondition, AlertPolicy, Body, Given, Kind, Metadata};
use super::super::fields::Faults;
use super::{Findings, Folder};
use crate::slo::{Alerting, BurnCondition, Severity, length};

/// Conditions of one objective.
const CONDITIONS_MAX: usize = 20;

impl<'a> Folder<'a> {
    /// What the policies say; the usual pairs when there is none. `None` after a fault.
    pub(super) fn alerting(&self, policies: &[Given<AlertPolicy>], findings: &Findings<'a>) -> Option<Alerting> {
        if policies.is_empty() {
            return Some(Alerting::Pairs);
        }
        let mut conditions = Vec::new();
        for given in policies {
            match given {
                Given::Here(metadata, policy) => {
                    ignored(policy, &findings.notes);
                    conditions.extend(self.conditions(&title(metadata.as_ref()), policy, findings)?);
                }
                Given::Named(name) => {
                    let Body::AlertPolicy(policy) = &self.look_up(Kind::AlertPolicy, name, findings)?.body else {
                        return None;
                    };
                    // Its own faults were found before: it would not be here.
                    conditions.extend(self.conditions(&name.value, policy, findings)?);
                }
            }
        }
        if conditions.len() > CONDITIONS_MAX {
            let line = policies.first().map_or(0, line_of);
            findings.faults.add(line, format!("{} alert conditions, at most {CONDITIONS_MAX}", conditions.len()));
            return None;
        }
        Some(Alerting::Conditions(conditions))
    }

    pub(super) fn conditions(
        &self,
        policy: &str,
        given: &AlertPolicy,
        findings: &Findings<'a>,
    ) -> Option<Vec<BurnCondition>> {
        let condition = |given: &Given<AlertCondition>| match given {
            Given::Here(_, condition) => burn_condition(policy, condition),
            Given::Named(name) => match &self.look_up(Kind::AlertCondition, name, findings)?.body {
                Body::AlertCondition(condition) => burn_condition(policy, condition),
                _ => None,
            },
        };
        given.conditions.iter().map(condition).collect()
    }
}

fn line_of(given: &Given<AlertPolicy>) -> u64 {
    match given {
        Given::Here(metadata, _) => metadata.as_ref().map_or(0, |metadata| metadata.name.line),
        Given::Named(name) => name.line,
    }
}

fn title(metadata: Option<&Metadata>) -> String {
    metadata.map_or_else(|| "policy".to_owned(), |metadata| metadata.name.value.clone())
}

/// Every field was found valid when the document was read.
fn burn_condition(policy: &str, condition: &AlertCondition) -> Option<BurnCondition> {
    Some(BurnCondition {
        policy: policy.to_owned(),
        severity: Severity::of_openslo(&condition.severity.value)?,
        threshold: condition.threshold.value,
        inclusive: condition.op.as_ref().is_none_or(|op| op.value == "gte"),
        lookback: length::read(&condition.lookback.value)?,
        after: condition.after.as_ref().map_or(Some(Duration::ZERO), |after| length::read(&after.value))?,
    })
}

/// Says what of a policy has no effect.
pub(super) fn ignored(policy: &AlertPolicy, notes: &Faults) {
    if let Some(flag) = policy.when_no_data.as_ref().filter(|flag| flag.value) {
        notes.add(
            flag.line,
            "alertWhenNoData has no effect: an objective without events has the state no_data and no alert",
        );
    }
    if let Some(flag) = policy.when_resolved.as_ref().filter(|flag| !flag.value) {
        notes.add(flag.line, "alertWhenResolved has no effect: the end of an alert is always told");
    }
    if let Some(flag) = policy.when_breaching.as_ref().filter(|flag| !flag.value) {
        notes.add(flag.line, "alertWhenBreaching has no effect: a condition that holds always alerts");
    }
    if let Some(targets) = &policy.targets {
        notes.add(
            targets.line,
            "notificationTargets have no effect: webhooks are set in the configuration (`[alerts]`)",
        );
    }
}

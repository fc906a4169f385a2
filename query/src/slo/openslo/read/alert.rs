//! Kinds AlertPolicy and AlertCondition.

use super::super::document::{AlertCondition, AlertPolicy, Given, Kind};
use super::super::fields::Fields;
use super::super::yaml::{At, Node, Text};
use super::in_place;
use crate::slo::length;

/// An entry of `alertPolicies` of an SLO.
pub(super) fn policy_of(slo: &Fields<'_>, item: At<Node>) -> Option<Given<AlertPolicy>> {
    let mut fields = slo.item(item, "alertPolicies")?;
    match fields.text("alertPolicyRef") {
        Some(name) => {
            fields.end();
            Some(Given::Named(name))
        }
        None => in_place(fields, Kind::AlertPolicy, policy),
    }
}

pub(super) fn policy(mut spec: Fields<'_>) -> Option<AlertPolicy> {
    let description = spec.text("description");
    let when_no_data = spec.flag("alertWhenNoData");
    let when_resolved = spec.flag("alertWhenResolved");
    let when_breaching = spec.flag("alertWhenBreaching");
    let line = spec.line();
    let listed = spec.list("conditions").map(|list| list.value).unwrap_or_default();
    if listed.is_empty() {
        spec.fault(line, "spec.conditions needs a condition, in place or as conditionRef");
    }
    let conditions = listed.into_iter().filter_map(|item| condition_of(&spec, item)).collect();
    let targets = spec.list("notificationTargets");
    spec.end();
    Some(AlertPolicy { description, when_no_data, when_resolved, when_breaching, conditions, targets })
}

fn condition_of(policy: &Fields<'_>, item: At<Node>) -> Option<Given<AlertCondition>> {
    let mut fields = policy.item(item, "conditions")?;
    match fields.text("conditionRef") {
        Some(name) => {
            fields.end();
            Some(Given::Named(name))
        }
        None => in_place(fields, Kind::AlertCondition, condition),
    }
}

pub(super) fn condition(mut spec: Fields<'_>) -> Option<AlertCondition> {
    let description = spec.text("description");
    let severity =
        spec.need_text("severity", "write page or ticket").filter(|severity| known_severity(&spec, severity));
    let inner = spec.need_inner("condition", "");
    spec.end();
    let mut inner = inner?;
    burn_rate_only(&mut inner);
    let op = inner.text("op");
    if let Some(op) = op.as_ref().filter(|op| !["gt", "gte"].contains(&op.value.as_str())) {
        inner.fault(op.line, format!("op {} makes no sense of a burn rate; write gt or gte", op.value));
    }
    let threshold = inner.need("threshold", "").and_then(|node| inner.as_number("threshold", node));
    if let Some(threshold) = threshold.as_ref().filter(|threshold| threshold.value <= 0.0) {
        inner.fault(threshold.line, format!("threshold {} must be above 0", threshold.value));
    }
    let lookback = inner.need_text("lookbackWindow", "write it like 1h");
    let after = inner.text("alertAfter");
    for (length, least) in [(lookback.as_ref(), 10), (after.as_ref(), 0)] {
        length.into_iter().for_each(|length| check_length(&inner, length, least));
    }
    inner.end();
    Some(AlertCondition { description, severity: severity?, op, threshold: threshold?, lookback: lookback?, after })
}

fn burn_rate_only(inner: &mut Fields<'_>) {
    if let Some(other) = inner.need_text("kind", "write burnrate").filter(|kind| kind.value != "burnrate") {
        inner.fault(other.line, format!("condition kind {} is not known; write burnrate", other.value));
    }
}

fn known_severity(spec: &Fields<'_>, severity: &Text) -> bool {
    let known = crate::slo::Severity::of_openslo(&severity.value).is_some();
    if !known {
        let message = format!("severity {} is not known; write page (critical, high) or ticket", severity.value);
        spec.fault(severity.line, message);
    }
    known
}

/// 90 days at most, as rolling windows.
fn check_length(inner: &Fields<'_>, length: &Text, least: u64) {
    let read = length::read(&length.value).map(|length| length.as_secs());
    if !read.is_some_and(|seconds| (least..=90 * 86_400).contains(&seconds)) {
        inner.fault(length.line, format!("{} must be a time like 5m or 1h, up to 90d", length.value));
    }
}

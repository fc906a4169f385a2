//! SQL over `spans` that counts what an objective counts, for people to look closer.

use crate::slo::{Calls, Journey, Member, Objective, ObjectiveKind};

/// SQL over `spans` that counts the same events: a row for each member.
pub(super) fn of(objective: &Objective) -> String {
    match objective.members.as_slice() {
        [one] => counting(&one.calls, ""),
        members => {
            let named = |member: &Member| counting(&member.calls, &format!("{} AS member, ", text(&member.name)));
            members.iter().map(named).collect::<Vec<_>>().join(" UNION ALL ")
        }
    }
}

fn text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn counting(calls: &Calls, first: &str) -> String {
    if let Some(journey) = &calls.journey {
        return counting_journeys(calls, journey, first);
    }
    let good = match calls.kind {
        ObjectiveKind::Availability => "status_code <> 2".to_owned(),
        ObjectiveKind::Latency { threshold_ns } => {
            format!("status_code <> 2 AND duration_time_unix_nano <= {threshold_ns}")
        }
    };
    let mut wanted = format!("service_name = {} AND kind IN (2, 5)", text(&calls.service));
    if let Some(operation) = &calls.operation {
        wanted.push_str(&format!(" AND name = {}", text(operation)));
    }
    if let Some(environment) = &calls.environment {
        wanted.push_str(&format!(" AND coalesce(deployment_environment_name, '') = {}", text(environment)));
    }
    format!(
        "SELECT {first}count(*) FILTER (WHERE {good}) AS good, count(*) FILTER (WHERE NOT ({good})) AS bad, count(*) AS total FROM spans WHERE {wanted}"
    )
}

/// SQL that counts journeys. Spans do not say what is missing: those of which too little was seen are not good here.
fn counting_journeys(calls: &Calls, journey: &Journey, first: &str) -> String {
    let mut good = vec!["root.status_code <> 2".to_owned()];
    if let ObjectiveKind::Latency { threshold_ns } = calls.kind {
        good.push(format!("root.duration_time_unix_nano <= {threshold_ns}"));
    }
    let mut joins = String::new();
    for (number, step) in journey.steps.iter().enumerate() {
        good.push(format!("step_{number}.trace_id IS NOT NULL"));
        joins.push_str(&format!(
            " LEFT JOIN (SELECT DISTINCT trace_id FROM spans WHERE service_name = {} AND name = {} AND status_code <> 2) step_{number} \
             ON step_{number}.trace_id = root.trace_id",
            text(&step.service),
            text(&step.operation)
        ));
    }
    for (number, service) in journey.critical.iter().enumerate() {
        good.push(format!("began_{number}.trace_id IS NULL"));
        joins.push_str(&format!(
            " LEFT JOIN (SELECT DISTINCT own.trace_id FROM spans own LEFT JOIN spans child ON child.trace_id = own.trace_id AND \
             child.parent_span_id = own.span_id AND child.status_code = 2 WHERE own.service_name = {} AND own.status_code = 2 AND \
             child.span_id IS NULL) began_{number} ON began_{number}.trace_id = root.trace_id",
            text(service)
        ));
    }
    let mut wanted = format!("root.parent_span_id IS NULL AND root.service_name = {}", text(&calls.service));
    if let Some(operation) = &calls.operation {
        wanted.push_str(&format!(" AND root.name = {}", text(operation)));
    }
    if let Some(environment) = &calls.environment {
        wanted.push_str(&format!(" AND coalesce(root.deployment_environment_name, '') = {}", text(environment)));
    }
    let good = good.join(" AND ");
    format!(
        "SELECT {first}count(*) FILTER (WHERE good) AS good, count(*) FILTER (WHERE NOT good) AS bad_or_unknown, count(*) AS total \
         FROM (SELECT {good} AS good FROM spans root{joins} WHERE {wanted})"
    )
}

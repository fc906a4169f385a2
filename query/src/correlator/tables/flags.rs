//! The table `flags`: one row a variant that is compared with its flag's control.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray};
use serde_json::{Value, json};

use super::{numbers, reals, some_reals, some_texts, texts, whole};
use crate::flag::{Flag, FlagComparison, FlagService, FlagVariant};

/// A comparison, its flag and its two variants.
struct Row<'a> {
    flag: &'a Flag,
    comparison: &'a FlagComparison,
    variant: Option<&'a FlagVariant>,
    control: Option<&'a FlagVariant>,
}

pub(super) fn columns(flags: &[Flag]) -> Vec<ArrayRef> {
    let of_flag = |flag| {
        let flag: &Flag = flag;
        let named = |name: &str| flag.variants.iter().find(|variant| variant.variant == name);
        flag.comparisons.iter().map(move |comparison| Row {
            flag,
            comparison,
            variant: named(&comparison.variant),
            control: named(&comparison.control),
        })
    };
    let rows: Vec<Row<'_>> = flags.iter().flat_map(of_flag).collect();
    let traces = |variant: Option<&FlagVariant>| variant.map_or(0, |variant| whole(variant.traces));
    vec![
        texts(&rows, |row| row.flag.environment.clone()),
        texts(&rows, |row| row.flag.key.clone()),
        texts(&rows, |row| row.comparison.variant.clone()),
        texts(&rows, |row| row.comparison.control.clone()),
        texts(&rows, |row| row.flag.control_rule.name().to_owned()),
        texts(&rows, |row| row.flag.assignment.name().to_owned()),
        numbers(&rows, |row| traces(row.variant)),
        numbers(&rows, |row| traces(row.control)),
        numbers(&rows, |row| whole(row.flag.mixed_traces)),
        some_reals(&rows, |row| row.variant.and_then(|variant| variant.share)),
        numbers(&rows, |row| row.variant.map_or(0, |variant| variant.first_seen_unix_nano)),
        numbers(&rows, |row| row.variant.map_or(0, |variant| variant.last_seen_unix_nano)),
        numbers(&rows, |row| row.comparison.judged_from_unix_nano),
        numbers(&rows, |row| row.comparison.judged_at_unix_nano),
        texts(&rows, |row| row.comparison.state.name().to_owned()),
        some_texts(&rows, |row| row.comparison.class.map(|class| class.name().to_owned())),
        texts(&rows, |row| row.comparison.headline.clone()),
        texts(&rows, |row| row.comparison.reason.clone()),
        reals(&rows, |row| row.flag.e_value),
        Arc::new(BooleanArray::from_iter(rows.iter().map(|row| Some(row.flag.discovery)))),
        texts(&rows, |row| Value::Array(row.comparison.services.iter().map(service_json).collect()).to_string()),
        texts(&rows, |row| json!(row.comparison.confounders).to_string()),
        texts(&rows, |row| reasons_json(row.flag)),
        texts(&rows, |row| changes_json(row.flag)),
    ]
}

fn service_json(service: &FlagService) -> Value {
    let verdict = &service.verdict;
    json!({
        "service": verdict.service,
        "state": verdict.state.name(),
        "class": verdict.class.map(|class| class.name()),
        "headline": verdict.headline,
        "reason": verdict.reason,
        "share": service.share,
        "e_value": service.e_value,
        "e_needed": service.e_needed,
        "discovery": service.discovery,
        "traces_before": verdict.baseline.traces,
        "traces_after": verdict.candidate.traces,
        "sql": verdict.sql,
    })
}

fn reasons_json(flag: &Flag) -> String {
    let reason = |(reason, traces): &(String, u64)| json!({"reason": reason, "traces": traces});
    Value::Array(flag.reasons.iter().map(reason).collect()).to_string()
}

fn changes_json(flag: &Flag) -> String {
    let changes = flag.changes.iter().map(|change| {
        json!({"kind": change.kind.name(), "at_unix_nano": change.at_unix_nano.to_string(), "text": change.text})
    });
    Value::Array(changes.collect()).to_string()
}

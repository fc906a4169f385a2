//! Sentences built from the numbers, and the SQL that repeats a comparison.

use super::cohort::{AFTER, BEFORE, CohortKey};
use super::errors::ErrorTest;
use super::node_test::NodeTest;
use super::record::{Finding, FindingNode, Signal, Verdict};
use crate::measure::NodeKey;
use crate::trace::identity;

/// Milliseconds with three significant digits.
pub(super) fn ms(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0} ms"),
        size if size >= 10.0 => format!("{value:.1} ms"),
        size if size >= 0.1 => format!("{value:.2} ms"),
        _ => format!("{value:.3} ms"),
    }
}

/// A ratio as a signed percentage.
pub(super) fn change(ratio: f64) -> String {
    let percent = (ratio - 1.0) * 100.0;
    if percent.abs() < 10.0 { format!("{percent:+.1} %") } else { format!("{percent:+.0} %") }
}

/// A share as a percentage.
pub(super) fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

/// A share with as many digits as tell it from `other` by a tenth of the smaller side: "38 %", "0.4 %".
pub(super) fn share(share: f64, other: f64) -> String {
    let smaller = other.min(1.0 - other).max(1e-6) * 100.0;
    let digits = if smaller >= 10.0 {
        1
    } else if smaller >= 1.0 {
        2
    } else {
        4
    };
    let text = format!("{:.digits$}", share * 100.0);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

/// What a node is called in a sentence.
pub(super) fn node_name(node: &NodeKey) -> String {
    match node {
        NodeKey::Operation { operation, .. } => format!("self time of {operation}"),
        NodeKey::Service { service } => format!("self time of {service}"),
        NodeKey::Edge { caller, callee } => format!("time on the way from {caller} to {callee}"),
        NodeKey::Total { service } => format!("total time of {service}"),
        NodeKey::Journey => "time of the whole trace".to_owned(),
    }
}

/// "self time of POST /charge 52 -> 84 ms (+62 %, interval +48 % .. +80 %), 412 against 398 traces".
pub(super) fn latency(node: &NodeKey, test: &NodeTest) -> String {
    let medians = test
        .before
        .zip(test.after)
        .map_or(String::new(), |(before, after)| format!(" {} -> {}", ms(before.p50), ms(after.p50)));
    format!(
        "{}{medians} ({}, interval {} .. {}), {} against {} traces",
        node_name(node),
        change(test.ratio),
        change(test.low),
        change(test.high),
        test.traces[AFTER],
        test.traces[BEFORE],
    )
}

/// "POST /charge fails by itself in 4.10 % of traces, before 0.20 %; 412 against 398 traces".
pub(super) fn failures(name: &str, test: &ErrorTest) -> String {
    format!(
        "{name} fails by itself in {} of traces, before in {}; {} against {} traces",
        percent(test.after),
        percent(test.before),
        test.traces_after,
        test.traces_before,
    )
}

/// The headline's part about the worst finding.
pub(super) fn worst(finding: &Finding) -> String {
    let what = match (&finding.operation, &finding.peer, finding.node) {
        (Some(operation), ..) => operation.clone(),
        (None, Some(peer), FindingNode::Edge) => format!("the way from {peer} to {}", finding.service),
        _ => finding.service.clone(),
    };
    if finding.signal == Signal::Errors {
        let (before, after) = (finding.errors_before.unwrap_or(0.0), finding.errors_after.unwrap_or(0.0));
        return format!("{what} fails by itself in {} of traces instead of {}", percent(after), percent(before));
    }
    let medians = finding.before_ms.zip(finding.after_ms);
    let medians = medians.map_or(String::new(), |(before, after)| format!(", {} -> {}", ms(before.p50), ms(after.p50)));
    format!("{what} is {} slower{medians}", change(finding.ratio.unwrap_or(1.0)).trim_start_matches('+'))
}

/// A verdict on a flag's variant says "the variant" and "the control" where one on a release says "the new version" and "the old version".
pub(super) fn of_a_flag(verdict: Verdict) -> Verdict {
    let words = [
        ("traces of the new and ", "traces with the variant and "),
        (" of the old version; no claim", " with the control; no claim"),
        ("the new version's", "the variant's"),
        ("of both versions", "of both variants"),
        ("the new version", "the variant"),
        ("the old version", "the control"),
        ("traffic of an older version", "traffic with another variant"),
        ("the two versions", "the two variants"),
        ("a rollback", "turning the variant off"),
    ];
    let said = |text: String| words.iter().fold(text, |text, (from, to)| text.replace(from, to));
    Verdict {
        reason: said(verdict.reason),
        headline: said(verdict.headline),
        what_would_change: said(verdict.what_would_change),
        ..verdict
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The condition that a span is of this version: by its column, or by the attribute that stands in where the process names none.
fn is_version(version: &str) -> String {
    let named = format!("coalesce(service_version, '') = {}", quoted(version));
    match identity::value_of(version) {
        // The value ends the attribute's text, or the item of its list.
        Some(value) => format!(
            "({named} OR coalesce(service_version, '') = '' AND contains(coalesce(resource_attributes, ''), {}))",
            quoted(&format!("{value}\""))
        ),
        None => named,
    }
}

/// The condition that a span is an evaluation of the flag with this variant, in its attributes or in an event.
fn is_variant(flag: &str, variant: &str) -> String {
    let attribute = |name: &str| format!("attr(attributes, '{name}')");
    let named = |name: &str, value: &str| {
        let pair = format!("\"{name}\":{}", serde_json::Value::from(value));
        format!("contains(coalesce(events, ''), {})", quoted(&pair))
    };
    let names = ["feature_flag.result.variant", "feature_flag.variant", "feature_flag.result.value"];
    let shown = names.map(attribute).join(", ");
    let said = names.map(|name| named(name, variant)).join(" OR ");
    format!(
        "({} = {} AND coalesce({shown}) = {} OR {} AND ({said}))",
        attribute("feature_flag.key"),
        quoted(flag),
        quoted(variant),
        named("feature_flag.key", flag),
    )
}

/// SQL over `spans` that shows the traces of both variants side by side.
fn sql_of_flag(key: &CohortKey, flag: &str, from: i64, to: i64) -> String {
    let control = key.baseline.as_deref().unwrap_or_default();
    let (new, old) = (is_variant(flag, &key.candidate), is_variant(flag, control));
    format!(
        "WITH cohort AS (SELECT trace_id, min(variant) AS variant FROM (SELECT trace_id, CASE WHEN {new} THEN {} ELSE {} END AS variant \
         FROM spans WHERE ({new} OR {old}) AND coalesce(deployment_environment_name, '') = {} AND start_time_unix_nano >= {from} \
         AND start_time_unix_nano < {to}) AS evaluations GROUP BY trace_id HAVING count(DISTINCT variant) = 1) \
         SELECT spans.name, cohort.variant, count(DISTINCT spans.trace_id) AS traces, count(*) AS spans, \
         count(*) FILTER (WHERE status_code = 2) AS errors, \
         hdr_quantile(hdr_histogram(duration_time_unix_nano), 0.5) / 1e6 AS p50_ms, \
         hdr_quantile(hdr_histogram(duration_time_unix_nano), 0.95) / 1e6 AS p95_ms \
         FROM spans JOIN cohort ON spans.trace_id = cohort.trace_id WHERE service_name = {} \
         AND start_time_unix_nano >= {from} AND start_time_unix_nano < {to} GROUP BY 1, 2 ORDER BY 1, 2",
        quoted(&key.candidate),
        quoted(control),
        quoted(&key.environment),
        quoted(&key.service),
    )
}

/// SQL over `spans` that counts traces by where their first call of the service went, or by the variants they met.
pub(super) fn sql_of_split(key: &CohortKey, from: i64, to: i64) -> String {
    let new = key.flag.as_ref().map_or_else(|| is_version(&key.candidate), |flag| is_variant(flag, &key.candidate));
    let (wanted, first) = match &key.flag {
        Some(flag) => {
            let old = is_variant(flag, key.baseline.as_deref().unwrap_or_default());
            (format!("({new} OR {old})"), "CASE WHEN min(new) = max(new) THEN max(new) END")
        }
        None => {
            let asked = format!("service_name = {}", quoted(&key.service));
            (asked, "first_value(new ORDER BY start_time_unix_nano, span_id)")
        }
    };
    format!(
        "SELECT new, count(*) AS traces FROM (SELECT trace_id, {first} AS new FROM (SELECT trace_id, span_id, start_time_unix_nano, \
         CASE WHEN {new} THEN 1 ELSE 0 END AS new FROM spans WHERE {wanted} AND coalesce(deployment_environment_name, '') = {} \
         AND start_time_unix_nano >= {from} AND start_time_unix_nano < {to}) AS calls GROUP BY trace_id) AS traces GROUP BY new ORDER BY new",
        quoted(&key.environment),
    )
}

/// SQL over `spans` that shows both cohorts side by side.
pub(super) fn sql(key: &CohortKey, from: i64, to: i64) -> String {
    if let Some(flag) = &key.flag {
        return sql_of_flag(key, flag, from, to);
    }
    let new = is_version(&key.candidate);
    let (version, wanted) = match &key.baseline {
        Some(old) => (
            format!("CASE WHEN {new} THEN {} ELSE {} END", quoted(&key.candidate), quoted(old)),
            format!("({new} OR {})", is_version(old)),
        ),
        None => (quoted(&key.candidate), new),
    };
    format!(
        "SELECT name, {version} AS version, count(DISTINCT trace_id) AS traces, count(*) AS spans, \
         count(*) FILTER (WHERE status_code = 2) AS errors, \
         hdr_quantile(hdr_histogram(duration_time_unix_nano), 0.5) / 1e6 AS p50_ms, \
         hdr_quantile(hdr_histogram(duration_time_unix_nano), 0.95) / 1e6 AS p95_ms \
         FROM spans WHERE service_name = {} AND coalesce(deployment_environment_name, '') = {} \
         AND {wanted} AND start_time_unix_nano >= {from} AND start_time_unix_nano < {to} \
         GROUP BY 1, 2 ORDER BY 1, 2",
        quoted(&key.service),
        quoted(&key.environment),
    )
}

mod journeys;
mod kinds;
mod round_trip;

use std::time::Duration;

use super::*;
use crate::slo::{Alerting, ObjectiveKind, Window};

const GOOD: &str = r#"# checkout
apiVersion: openslo/v1
kind: SLO
metadata: {name: checkout-latency, displayName: Checkout is fast}
spec:
  service: checkout
  indicator:
    metadata: {name: inline}
    spec:
      ratioMetric:
        counter: true
        good: {metricSource: {type: daytwo, spec: {signal: latency, service: checkout, operation: "POST /checkout", threshold: "300ms"}}}
        total: {metricSource: {type: daytwo, spec: {service: checkout, operation: "POST /checkout"}}}
  timeWindow: [{duration: 28d, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{target: 0.99}]
---
apiVersion: openslo/v1
kind: SLI
metadata: {name: cart-ok}
spec:
  ratioMetric:
    good: {metricSource: {type: daytwo, spec: {signal: availability, service: cart}}}
    total: {metricSource: {type: daytwo, spec: {service: cart}}}
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: cart}
spec:
  indicatorRef: cart-ok
  timeWindow: [{duration: 4w, isRolling: true}]
  objectives: [{targetPercent: 99.9}, {displayName: Cart strict, target: 0.9999}]
"#;

fn file(text: &str) -> SloFile {
    SloFile { name: "slo.yaml".to_owned(), text: text.to_owned() }
}

/// Scenario: an inline indicator, a referenced one, and two objectives in one SLO.
/// Guarantees: every field arrives; ids are unique.
#[test]
fn valid_files_are_read() {
    let Parsed { objectives, problems, notes } = parse(&[file(GOOD)]);
    assert_eq!((problems, notes), (vec![], vec![]));
    let ids: Vec<_> = objectives.iter().map(|objective| (objective.id.as_str(), objective.target)).collect();
    assert_eq!(ids, [("checkout-latency", 0.99), ("cart-1", 0.9990000000000001), ("cart-2", 0.9999)]);
    let calls = &objectives[0].members[0].calls;
    assert_eq!(calls.kind, ObjectiveKind::Latency { threshold_ns: 300_000_000 });
    assert_eq!(objectives[0].words(), "latency <= 300 ms");
    assert_eq!(calls.operation.as_deref(), Some("POST /checkout"));
    assert_eq!(objectives[1].window, Window::Rolling(Duration::from_secs(28 * 86_400)));
    assert_eq!(objectives[1].alerting, Alerting::Pairs);
    assert!(objectives[1].yaml.contains("name: cart\n") || objectives[1].yaml.contains("name: cart}"));
    assert!(objectives[1].yaml.contains("kind: SLI"), "what it refers to is shown with it: {}", objectives[1].yaml);
    assert!(calls.is_good(300_000_000, false) && !calls.is_good(300_000_001, false));
}

/// Scenario: one thing wrong at a time, beside a valid file.
/// Guarantees: file, line and a reason that names the fault; the other objectives stay.
#[test]
fn problems_point_at_their_line() {
    let cases = [
        ("target: 0.99", "target: 1.5", Some(16), "between 0 and 1"),
        ("duration: 28d", "duration: forever", Some(14), "like 28d"),
        ("isRolling: true}]\n  budgeting", "isRolling: false}]\n  budgeting", Some(14), "calendar"),
        ("Occurrences", "Timeslices", Some(15), "Occurrences"),
        ("threshold: \"300ms\"", "threshold: \"fast\"", Some(12), "300ms"),
        ("signal: latency", "signal: speed", Some(12), "availability or latency"),
        (
            "openslo/v1\nkind: SLO\nmetadata: {name: checkout",
            "openslo/v9\nkind: SLO\nmetadata: {name: checkout",
            Some(2),
            "openslo/v1",
        ),
        ("indicatorRef: cart-ok", "indicatorRef: nobody", Some(30), "nobody"),
        (
            "service: checkout, operation: \"POST /checkout\"}}}",
            "service: other, operation: \"POST /checkout\"}}}",
            Some(12),
            "differs",
        ),
        ("metadata: {name: checkout-latency", "metadata: {name: [", Some(4), ""),
        (
            "kind: SLO\nmetadata: {name: cart}",
            "kind: SLOO\nmetadata: {name: cart}",
            Some(27),
            "SLOO is not one of OpenSLO v1",
        ),
        ("  budgetingMethod", "  budgetingMetod", Some(15), "unknown field `budgetingMetod` of spec"),
        ("target: 0.99}", "target: 0.99, tagret: 1}", Some(16), "unknown field `tagret`"),
        (
            "service: checkout, operation: \"POST /checkout\", threshold",
            "service: checkout, operation: \"POST /checkout\", treshold",
            Some(12),
            "unknown field `treshold`",
        ),
        ("{target: 0.99}", "{target: 0.99, targetPercent: 99}", Some(16), "exclude each other"),
        ("{target: 0.99}", "{}", Some(16), "needs target"),
        ("{target: 0.99}", "{target: \"0.99\"}", Some(16), "must be a number, not a text"),
        ("objectives: [{target: 0.99}]", "objectives: []", Some(16), "is empty"),
        ("true}]\n  budg", "true}, {duration: 7d}]\n  budg", Some(14), "has 2 entries"),
        ("Occurrences", "Sometimes", Some(15), "not known"),
        ("  timeWindow: [{duration: 28d, isRolling: true}]\n", "", Some(6), "timeWindow is missing"),
        (
            "type: daytwo, spec: {signal: latency",
            "type: prometheus, spec: {signal: latency",
            Some(12),
            "prometheus is not read",
        ),
        (
            "indicatorRef: cart-ok",
            "indicatorRef: cart-ok\n  indicator: {spec: {thresholdMetric: {}}}",
            Some(30),
            "exclude each other",
        ),
        ("service: checkout\n", "service: 7\n", Some(6), "must be a text in quotes, not a number"),
    ];
    for (from, to, line, reason) in cases {
        let broken = GOOD.replacen(from, to, 1);
        assert_ne!(broken, GOOD, "{from}");
        let Parsed { objectives, problems, .. } = parse(&[file(&broken)]);
        assert_eq!(problems.len(), 1, "{from}: {problems:?}");
        assert!(problems[0].message.contains(reason), "{from}: {problems:?}");
        assert!(reason.is_empty() || problems[0].line == line, "{from}: {problems:?}");
        assert!(!objectives.is_empty() && objectives.len() < 3, "{from}");
    }
}

/// Scenario: bytes that are no YAML at all, an empty file, and the same name twice.
/// Guarantees: one problem each where there is one; nothing else is lost.
#[test]
fn rubbish_is_a_problem_not_a_failure() {
    let Parsed { objectives, problems, .. } = parse(&[file("{{{{"), file(""), file(GOOD), file(GOOD)]);
    assert_eq!(objectives.len(), 3);
    assert_eq!(problems.len(), 4, "{problems:?}");
    assert!(problems.iter().any(|problem| problem.message.contains("a second SLI is named cart-ok")), "{problems:?}");
}

/// Scenario: the objectives that the demo ships.
/// Guarantees: every file is read without a problem.
#[test]
fn the_demos_objectives_are_valid() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../benches/traffic/slo");
    let files: Vec<SloFile> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| SloFile { name: path.display().to_string(), text: std::fs::read_to_string(path).unwrap() })
        .collect();
    let Parsed { objectives, problems, .. } = parse(&files);
    assert_eq!(problems, []);
    assert!(objectives.len() >= files.len() && !files.is_empty());
}

/// Scenario: the examples of the manual, the files of the full one and that of a journey, read together.
/// Guarantees: it is valid, nothing of it is without effect, and it is the objectives that the page speaks of.
#[test]
fn the_manuals_example_is_valid() {
    let page = include_str!("../../../../docs/slo.md");
    let blocks = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let files: Vec<SloFile> =
        blocks.enumerate().map(|(at, text)| SloFile { name: at.to_string(), text: text.to_owned() }).collect();
    assert_eq!(files.len(), 3);
    let Parsed { objectives, problems, notes } = parse(&files);
    assert_eq!((problems, notes), (vec![], vec![]));
    let ids: Vec<_> = objectives.iter().map(|objective| (objective.id.as_str(), objective.kind())).collect();
    let expected = [("checkout-joint", "journey"), ("payments-month", "availability"), ("buying", "composite")];
    assert_eq!(ids, expected);
}

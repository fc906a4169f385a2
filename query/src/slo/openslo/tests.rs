use super::*;

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
    let (objectives, problems) = parse(&[file(GOOD)]);
    assert_eq!(problems, []);
    let ids: Vec<_> = objectives.iter().map(|objective| (objective.id.as_str(), objective.target)).collect();
    assert_eq!(ids, [("checkout-latency", 0.99), ("cart-1", 0.9990000000000001), ("cart-2", 0.9999)]);
    assert_eq!(objectives[0].kind, ObjectiveKind::Latency { threshold_ns: 300_000_000 });
    assert_eq!(objectives[0].words(), "latency <= 300 ms");
    assert_eq!(objectives[0].operation.as_deref(), Some("POST /checkout"));
    assert_eq!(objectives[1].window, Duration::from_secs(28 * 86_400));
    assert!(objectives[0].is_good(300_000_000, false) && !objectives[0].is_good(300_000_001, false));
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
    ];
    for (from, to, line, reason) in cases {
        let broken = GOOD.replacen(from, to, 1);
        assert_ne!(broken, GOOD, "{from}");
        let (objectives, problems) = parse(&[file(&broken)]);
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
    let (objectives, problems) = parse(&[file("{{{{"), file(""), file(GOOD), file(GOOD)]);
    assert_eq!(objectives.len(), 3);
    assert_eq!(problems.len(), 4, "{problems:?}");
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
    let (objectives, problems) = parse(&files);
    assert_eq!(problems, []);
    assert!(objectives.len() >= files.len() && !files.is_empty());
}

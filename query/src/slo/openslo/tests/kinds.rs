//! Every kind and what joins them: references over files, calendars, policies, composites, and faults of each.

use chrono::NaiveDateTime;

use super::*;
use crate::slo::{BurnCondition, Calendar, Severity, Unit};

const SOURCES: &str = r#"apiVersion: openslo/v1
kind: DataSource
metadata: {name: spans}
spec: {type: daytwo, connectionDetails: {url: "http://x"}}
---
apiVersion: openslo/v1
kind: Service
metadata: {name: shop, displayName: The shop, labels: {team: [a, b]}, annotations: {x: y}}
spec: {description: sells things}
--- # a comment
apiVersion: openslo/v1
kind: SLI
metadata: {name: pay-ok}
spec:
  description: payments work
  ratioMetric:
    counter: true
    good: {metricSource: {metricSourceRef: spans, spec: {signal: availability, service: pay}}}
    total: {metricSource: {metricSourceRef: spans, spec: {service: pay}}}
---
apiVersion: openslo/v1
kind: SLI
metadata: {name: cart-fast}
spec:
  ratioMetric:
    good: {metricSource: {type: daytwo, spec: {signal: latency, service: cart, threshold: 50ms}}}
    total: {metricSource: {type: daytwo, spec: {service: cart}}}
---
apiVersion: openslo/v1
kind: SLI
metadata: {name: foreign}
spec: {thresholdMetric: {metricSource: {type: Prometheus, spec: {query: up}}}}
"#;

const POLICIES: &str = r#"apiVersion: openslo/v1
kind: AlertCondition
metadata: {name: slow}
spec: {severity: Warning, condition: {kind: burnrate, op: gt, threshold: 2.5, lookbackWindow: 6h}}
---
apiVersion: openslo/v1
kind: AlertPolicy
metadata: {name: both}
spec:
  alertWhenBreaching: true
  alertWhenNoData: true
  conditions:
    - conditionRef: slow
    - kind: AlertCondition
      metadata: {name: fast}
      spec: {severity: page, condition: {kind: burnrate, threshold: 14, lookbackWindow: 1h, alertAfter: 5m}}
  notificationTargets: [{targetRef: pager}]
---
apiVersion: openslo/v1
kind: AlertNotificationTarget
metadata: {name: pager}
spec: {target: pagerduty}
"#;

const SLOS: &str = r#"apiVersion: openslo/v1
kind: SLO
metadata: {name: month}
spec:
  service: shop
  indicatorRef: pay-ok
  timeWindow: [{duration: 1M, calendar: {startTime: 2026-01-01 00:00:00, timeZone: Europe/Berlin}, isRolling: false}]
  objectives: [{target: 0.99, op: lt}]
  alertPolicies: [{alertPolicyRef: both}]
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: shop}
spec:
  service: shop
  timeWindow: [{duration: 7d}]
  objectives:
    - {indicatorRef: pay-ok, target: 0.99, compositeWeight: 3}
    - {displayName: Cart, indicatorRef: cart-fast, target: 0.95, compositeWeight: 1}
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: apart}
spec:
  timeWindow: [{duration: 7d}]
  objectives: [{indicatorRef: pay-ok, target: 0.9}, {indicatorRef: cart-fast, target: 0.8}]
"#;

fn folder(slos: &str, policies: &str, sources: &str) -> Parsed {
    let file = |name: &str, text: &str| SloFile { name: name.to_owned(), text: text.to_owned() };
    parse(&[file("a.yaml", slos), file("b.yaml", policies), file("c.yaml", sources)])
}

/// Scenario: SLOs, indicators, a source, policies and conditions over three files that refer to one another.
/// Guarantees: every reference is followed; calendar, conditions and composite arrive with each field; what has no effect is said with its line.
#[test]
fn all_kinds_over_several_files() {
    let parsed = folder(SLOS, POLICIES, SOURCES);
    assert_eq!(parsed.problems, []);
    let ids: Vec<_> = parsed.objectives.iter().map(|one| (one.id.as_str(), one.kind(), &*one.service)).collect();
    let expected = [
        ("month", "availability", "pay"),
        ("shop", "composite", "shop"),
        ("apart-1", "availability", "pay"),
        ("apart-2", "latency", "cart"),
    ];
    assert_eq!(ids, expected);
    let [month, shop, apart, ..] = parsed.objectives.as_slice() else { panic!("{parsed:?}") };
    let start = NaiveDateTime::parse_from_str("2026-01-01 00:00:00", "%Y-%m-%d %H:%M:%S").unwrap();
    let zone = chrono_tz::Europe::Berlin;
    assert_eq!(month.window, Window::Calendar(Calendar { count: 1, unit: Unit::Month, start, zone }));
    assert_eq!(month.window_text, "1M (calendar, Europe/Berlin)");
    let condition = |severity, threshold, inclusive, hours: u64, minutes: u64| BurnCondition {
        policy: "both".to_owned(),
        severity,
        threshold,
        inclusive,
        lookback: Duration::from_secs(hours * 3_600),
        after: Duration::from_secs(minutes * 60),
    };
    let conditions = vec![condition(Severity::Ticket, 2.5, false, 6, 0), condition(Severity::Page, 14.0, true, 1, 5)];
    assert_eq!(month.alerting, Alerting::Conditions(conditions));
    for part in ["name: month", "name: pay-ok", "name: both", "name: slow", "name: spans"] {
        assert!(month.yaml.contains(part), "{part} in {}", month.yaml);
    }
    assert!((shop.target - (3.0 * 0.99 + 0.95) / 4.0).abs() < 1e-12);
    assert_eq!(shop.words(), "weighted average of pay-ok (weight 3), Cart (weight 1)");
    assert_eq!((apart.target, apart.members.len()), (0.9, 1));
    let notes: Vec<_> = parsed.notes.iter().map(|note| (note.file.as_str(), note.line.unwrap())).collect();
    let expected = [("a.yaml", 8), ("b.yaml", 11), ("b.yaml", 17), ("b.yaml", 19), ("c.yaml", 4)];
    assert_eq!(notes, expected, "{:?}", parsed.notes);
}

/// Scenario: one fault at a time, in a document or in what it refers to.
/// Guarantees: file, line and reason; only what depends on it is left out.
#[test]
fn faults_of_every_kind() {
    let cases: [(&str, &str, &str, u64, &str, usize); 26] = [
        ("alertPolicyRef: both", "alertPolicyRef: none", "a.yaml", 9, "no AlertPolicy document is named none", 3),
        ("alertPolicyRef: both", "policyRef: both", "a.yaml", 9, "unknown field `policyRef`", 3),
        ("conditionRef: slow", "conditionRef: none", "b.yaml", 13, "no AlertCondition document is named none", 3),
        ("Europe/Berlin", "Europe/Berlun", "a.yaml", 7, "IANA", 3),
        ("2026-01-01 00", "2026-02-30 00", "a.yaml", 7, "startTime 2026-02-30", 3),
        ("duration: 1M", "duration: 1h", "a.yaml", 7, "must be like 1d, 1w, 1M", 3),
        ("duration: 1M", "duration: 2Y", "a.yaml", 7, "up to a year", 3),
        ("duration: 1M", "duration: 0M", "a.yaml", 7, "must be like 1d, 1w, 1M", 3),
        ("isRolling: false", "isRolling: true", "a.yaml", 7, "rolling or has a calendar", 3),
        ("calendar: {startTime: 2026-01-01 00:00:00, timeZone: Europe/Berlin}, ", "", "a.yaml", 7, "needs calendar", 3),
        (", timeZone: Europe/Berlin", "", "a.yaml", 7, "calendar.timeZone is missing", 3),
        ("compositeWeight: 3", "compositeWeight: 0", "a.yaml", 18, "must be above 0", 3),
        ("indicatorRef: pay-ok, target: 0.99", "target: 0.99", "a.yaml", 15, "each objective its own", 3),
        ("service: shop\n  timeWindow", "indicatorRef: pay-ok\n  timeWindow", "a.yaml", 18, "those of one level", 3),
        ("target: 0.9}", "target: 0.9, timeSliceTarget: 0.9}", "a.yaml", 26, "time slices", 2),
        (
            "indicatorRef: pay-ok, target: 0.9}",
            "indicatorRef: foreign, target: 0.9}",
            "a.yaml",
            26,
            "thresholdMetric is not read",
            2,
        ),
        ("severity: Warning", "severity: loud", "b.yaml", 4, "severity loud", 3),
        ("op: gt", "op: lt", "b.yaml", 4, "makes no sense", 3),
        ("lookbackWindow: 6h", "lookbackWindow: 6M", "b.yaml", 4, "must be a time like", 3),
        ("threshold: 2.5", "threshold: -1", "b.yaml", 4, "above 0", 3),
        ("kind: burnrate, op", "kind: weather, op", "b.yaml", 4, "write burnrate", 3),
        ("kind: AlertCondition\n      meta", "kind: SLI\n      meta", "b.yaml", 14, "cannot stand here", 3),
        ("target: pagerduty", "target: pagerduty, url: x", "b.yaml", 22, "unknown field `url`", 4),
        ("type: daytwo, connectionDetails", "type: Datadog, connectionDetails", "a.yaml", 6, "Datadog is not read", 0),
        ("description: sells things", "descriptions: x", "c.yaml", 9, "unknown field `descriptions`", 4),
        ("threshold: 50ms", "threshold: 50", "c.yaml", 26, "must be a text in quotes", 1),
    ];
    for (from, to, file, line, reason, left) in cases {
        let texts = [SLOS, POLICIES, SOURCES].map(|text| text.replacen(from, to, 1));
        assert_ne!(texts, [SLOS, POLICIES, SOURCES].map(str::to_owned), "{from}");
        // Some words stand in several files; only the file at hand changes.
        let at = [SLOS, POLICIES, SOURCES].iter().position(|text| text.contains(from)).unwrap();
        let text = |number: usize, whole: &str| if number == at { texts[number].clone() } else { whole.to_owned() };
        let parsed = folder(&text(0, SLOS), &text(1, POLICIES), &text(2, SOURCES));
        let named = parsed.problems.iter().any(|problem| {
            (problem.file.as_str(), problem.line) == (file, Some(line)) && problem.message.contains(reason)
        });
        assert!(named, "{from} -> {to}: {:#?}", parsed.problems);
        assert_eq!(parsed.objectives.len(), left, "{from} -> {to}: {:#?}", parsed.problems);
    }
}

/// Scenario: a document with five faults beside a sound one, and names that come twice.
/// Guarantees: each fault is named; the first definition of a name stands, and a faulty one takes the name from nobody.
#[test]
fn all_faults_are_named_at_once() {
    let many = SLOS
        .replacen("target: 0.99, op: lt", "target: 2", 1)
        .replacen("Europe/Berlin", "Mars", 1)
        .replacen("duration: 1M", "duration: 1x", 1)
        .replacen("service: shop", "servise: shop", 1)
        .replacen("kind: SLO\nmetadata: {name: month}", "kind: SLO\nmetadata: {nam: month}", 1);
    let parsed = folder(&many, POLICIES, SOURCES);
    let lines: Vec<_> = parsed.problems.iter().map(|problem| problem.line.unwrap()).collect();
    // A name that is missing and one that is unknown are both said.
    assert_eq!(lines, [3, 3, 5, 7, 7, 8], "{:#?}", parsed.problems);
    assert_eq!(parsed.objectives.len(), 3);
    let broken = SOURCES.replacen("signal: availability", "signal: speed", 1);
    let files = [("a", SLOS), ("b", POLICIES), ("c", broken.as_str()), ("d", SOURCES)];
    let parsed = parse(&files.map(|(name, text)| SloFile { name: name.to_owned(), text: text.to_owned() }));
    assert!(parsed.problems.iter().any(|problem| problem.message.contains("a second SLI is named cart-fast")));
    assert!(parsed.problems.iter().any(|problem| problem.message.contains("signal speed")), "{:#?}", parsed.problems);
}

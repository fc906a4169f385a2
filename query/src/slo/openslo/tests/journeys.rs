//! Indicators of journeys: what is read, and each fault with its line.

use super::super::{parse, rewrite};
use super::file;
use crate::slo::{Journey, ObjectiveKind, Step};

const JOURNEY: &str = r#"apiVersion: openslo/v1
kind: SLO
metadata: {name: buying, displayName: Buying works}
spec:
  timeWindow: [{duration: 28d, isRolling: true}]
  indicator:
    spec:
      ratioMetric:
        counter: true
        good:
          metricSource:
            type: daytwo
            spec:
              scope: journey
              root: "web:POST /buy"
              environment: prod
              signal: latency
              threshold: 800ms
              steps: ["pay:POST /charge", "mail:send: order"]
              critical:
                - pay
                - cart
        total:
          metricSource:
            type: daytwo
            spec:
              scope: journey
              root: "web:POST /buy"
  objectives:
    - target: 0.99
"#;

/// Scenario: an objective of journeys with every field; the same read from what it is written as.
/// Guarantees: root, environment, threshold, steps and critical services arrive; it is listed under its root's service and says its conditions.
#[test]
fn a_journey_is_read_whole() {
    for text in [JOURNEY.to_owned(), rewrite(&file(JOURNEY))] {
        let parsed = parse(&[file(&text)]);
        assert_eq!((parsed.problems, parsed.notes), (vec![], vec![]));
        let [objective] = parsed.objectives.as_slice() else { panic!("{text}") };
        let calls = &objective.members[0].calls;
        let step =
            |service: &str, operation: &str| Step { service: service.to_owned(), operation: operation.to_owned() };
        let steps = vec![step("pay", "POST /charge"), step("mail", "send: order")];
        let critical = vec!["pay".to_owned(), "cart".to_owned()];
        assert_eq!(calls.journey, Some(Journey { steps, critical }));
        assert_eq!(
            (&*calls.service, calls.operation.as_deref(), calls.environment.as_deref()),
            ("web", Some("POST /buy"), Some("prod"))
        );
        assert_eq!(calls.kind, ObjectiveKind::Latency { threshold_ns: 800_000_000 });
        assert_eq!((objective.kind(), &*objective.service), ("journey", "web"));
        assert_eq!(
            objective.words(),
            "journey web:POST /buy: the root succeeds, latency <= 800 ms, pay:POST /charge succeeds, mail:send: order succeeds, \
             no error begins in pay, no error begins in cart"
        );
    }
}

/// Scenario: one fault at a time.
/// Guarantees: the line and the reason; no objective of it.
#[test]
fn faults_of_journeys() {
    let cases: [(&str, &str, u64, &str); 15] = [
        (
            "              scope: journey\n              root: \"web:POST /buy\"\n              env",
            "              root: \"web:POST /buy\"\n              env",
            14,
            "both need scope: journey",
        ),
        ("scope: journey", "scope: session", 14, "scope session is not known"),
        ("root: \"web:POST /buy\"\n              env", "env", 14, "a journey needs root"),
        ("root: \"web:POST /buy\"", "root: \"web\"", 15, "root differs"),
        ("root: \"web:POST /buy\"\n  obj", "root: \"web:POST /sell\"\n  obj", 15, "root differs"),
        ("environment: prod", "service: web", 16, "service has no place"),
        ("environment: prod", "operation: buy", 16, "operation has no place"),
        ("              signal: latency\n", "", 14, "good needs signal"),
        ("threshold: 800ms", "threshold: soon", 18, "threshold soon must be a time"),
        ("\"pay:POST /charge\",", "\"charge\",", 19, "step charge must be a service and an operation"),
        ("\"pay:POST /charge\",", "\"mail:send: order\",", 19, "stands twice in steps"),
        ("\"pay:POST /charge\",", "7,", 19, "must be a text in quotes"),
        ("steps: [\"pay:POST /charge\", \"mail:send: order\"]", "steps: charge", 19, "must be a list"),
        ("- cart", "- pay", 22, "pay stands twice in critical"),
        ("environment: prod", "where: \"root.status!='ERROR'\"", 16, "unknown field `where`"),
    ];
    for (from, to, line, reason) in cases {
        let text = JOURNEY.replacen(from, to, 1);
        assert_ne!(text, JOURNEY, "{from}");
        let parsed = parse(&[file(&text)]);
        let named =
            parsed.problems.iter().any(|problem| problem.line == Some(line) && problem.message.contains(reason));
        assert!(named, "{from} -> {to}: {:#?}", parsed.problems);
        assert_eq!(parsed.objectives.len(), 0, "{from} -> {to}");
    }
    let of_calls = JOURNEY.replace("              scope: journey\n", "");
    let parsed = parse(&[file(&of_calls)]);
    for (line, what) in [(14, "root"), (18, "steps"), (19, "critical")] {
        let message = format!("{what} needs scope: journey");
        assert!(
            parsed.problems.iter().any(|problem| problem.message == message),
            "{line} {message}: {:#?}",
            parsed.problems
        );
    }
    let many = JOURNEY.replacen(
        "\"pay:POST /charge\",",
        &(0..17).map(|number| format!("\"s{number}:x\",")).collect::<String>(),
        1,
    );
    let parsed = parse(&[file(&many)]);
    assert!(
        parsed.problems.iter().any(|problem| problem.message.contains("steps has 18 items")),
        "{:#?}",
        parsed.problems
    );
}

/// Scenario: a hundred and one objectives of journeys.
/// Guarantees: the last one is refused, by name.
#[test]
fn objectives_of_journeys_are_bounded() {
    let one = |number: u32| JOURNEY.replacen("name: buying", &format!("name: buying-{number:03}"), 1);
    let all: Vec<String> = (0..101).map(one).collect();
    let parsed = parse(&[file(&all.join("---\n"))]);
    assert_eq!(parsed.objectives.len(), 100);
    let [problem] = parsed.problems.as_slice() else { panic!("{:#?}", parsed.problems) };
    assert!(problem.message.contains("more than 100 objectives of journeys; buying-100 is left out"), "{problem:?}");
}

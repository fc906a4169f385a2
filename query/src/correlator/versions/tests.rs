//! Versions as simulated traffic shows them, minute by minute.

use daytwo_storage::TraceId;

use super::*;
use crate::deployment::{Declaration, DeclaredKind, Note, NoteKind, VersionNames};
use crate::trace::Weight;

/// A whole minute.
const START: i64 = 28_333_333 * MINUTE_NS;

/// Traffic of the service `pay`, written down minute by minute.
#[derive(Default)]
struct Shop {
    versions: Versions,
    traces: u64,
}

impl Shop {
    /// So many traces of a version on an instance, spread over a minute.
    fn send(&mut self, minute: i64, version: &str, instance: &str, traces: i64, traits: &[(&str, &str)]) {
        for number in 0..traces {
            self.traces += 1;
            let at = START + minute * MINUTE_NS + number * MINUTE_NS / traces;
            let mut id = [3_u8; 16];
            id[8..].copy_from_slice(&self.traces.to_be_bytes());
            let process = SpanResource {
                service: "pay".into(),
                version: version.into(),
                environment: "prod".into(),
                instance: instance.into(),
                traits: traits.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            };
            let record = TraceRecord {
                trace_id: TraceId::from_bytes(&id).unwrap(),
                start: UnixNanos(at),
                received: UnixNanos(at),
                duration_ns: 1,
                journey: "j".into(),
                resources: vec![Arc::new(process)],
                nodes: Vec::new(),
                flags: Vec::new(),
                weight: Weight::default(),
                entries: Box::default(),
            };
            self.versions.change(&record, true);
        }
    }

    /// The same traffic for several minutes.
    fn run(&mut self, minutes: std::ops::Range<i64>, mix: &[(&str, i64)]) {
        for minute in minutes {
            mix.iter().for_each(|(version, traces)| self.send(minute, version, version, *traces, &[]));
        }
    }

    fn arrivals(&self) -> Vec<(String, DeploymentKind, Option<String>)> {
        let found = self.versions.arrivals(20, &DeclaredSet::default()).into_iter();
        found
            .map(|one| (one.version.to_string(), one.kind, one.previous.map(|previous| previous.to_string())))
            .collect()
    }

    /// Notes on the latest arrival of a version.
    fn notes(&self, version: &str, minute: i64) -> Vec<Note> {
        let arrivals = self.versions.arrivals(1, &DeclaredSet::default());
        let arrival = arrivals.iter().rfind(|one| *one.version == *version).unwrap();
        let history = self.versions.history(&arrival.key, &arrival.version).unwrap();
        history.notes(arrival, UnixNanos(START + minute * MINUTE_NS))
    }

    fn kinds(&self, version: &str, minute: i64) -> Vec<NoteKind> {
        self.notes(version, minute).into_iter().map(|note| note.kind).collect()
    }
}

fn row(version: &str, kind: DeploymentKind, previous: Option<&str>) -> (String, DeploymentKind, Option<String>) {
    (version.to_owned(), kind, previous.map(str::to_owned))
}

/// Scenario: ten minutes of v1, four of v2, v1 again.
/// Guarantees: v1's return is a rollback from v2, although it was away for four minutes only; v2 is said to be withdrawn.
#[test]
fn a_quick_rollback_is_one() {
    let mut shop = Shop::default();
    shop.run(0..10, &[("v1", 30)]);
    shop.run(10..14, &[("v2", 30)]);
    shop.run(14..20, &[("v1", 30)]);
    let expected = [
        row("v1", DeploymentKind::First, None),
        row("v1", DeploymentKind::Rollback, Some("v2")),
        row("v2", DeploymentKind::Release, Some("v1")),
    ];
    assert_eq!(shop.arrivals(), expected);
    assert_eq!(shop.kinds("v2", 20), [NoteKind::BlueGreen, NoteKind::Withdrawn]);
    let withdrawn = &shop.notes("v2", 20)[1];
    assert_eq!(withdrawn.text, "withdrawn: the traffic went back to v1");
    assert!((START + 13 * MINUTE_NS..START + 14 * MINUTE_NS).contains(&withdrawn.at_unix_nano));
}

/// Scenario: a small canary of a quiet service: one trace of v2 in seven minutes beside 20 of v1 a minute, for four hours.
/// Guarantees: its silences are no absences: it comes once, and nothing is a rollback.
#[test]
fn a_sparse_canary_comes_once() {
    let mut shop = Shop::default();
    shop.run(0..240, &[("v1", 20)]);
    (10..240).step_by(7).for_each(|minute| shop.send(minute, "v2", "v2", 1, &[]));
    let expected = [row("v1", DeploymentKind::First, None), row("v2", DeploymentKind::Release, Some("v1"))];
    assert_eq!(shop.arrivals(), expected);
}

/// Scenario: a canary that gets 5, 10, 25 and 50 % for three minutes each, then everything.
/// Guarantees: it is called a canary, with its span of shares and its end; the series is the shares that were sent.
#[test]
fn a_canary_is_followed_step_by_step() {
    let mut shop = Shop::default();
    shop.run(0..10, &[("v1", 100)]);
    let steps = [5, 10, 25, 50];
    for (step, share) in (0..).zip(steps) {
        shop.run(10 + 3 * step..13 + 3 * step, &[("v1", 100 - share), ("v2", share)]);
    }
    shop.run(22..25, &[("v2", 100)]);
    let notes = shop.notes("v2", 25);
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert_eq!(notes[0].kind, NoteKind::Canary);
    assert_eq!(notes[0].text, "a canary: beside v1 for 12 min, with 5 % to 50 % of the traffic, then all of it");
    let arrivals = shop.versions.arrivals(20, &DeclaredSet::default());
    let history = shop.versions.history(&arrivals[1].key, &arrivals[1].version).unwrap();
    let got: Vec<f64> = history.shares(UnixNanos(START + 10 * MINUTE_NS)).iter().map(|point| point.share).collect();
    let mut expected: Vec<f64> =
        steps.iter().flat_map(|share| [f64::from(i32::try_from(*share).unwrap()) / 100.0; 3]).collect();
    expected.extend([1.0; 3]);
    assert_eq!(got, expected);
    assert_eq!(shop.kinds("v1", 25), [NoteKind::Replaced]);
}

/// Scenario: all traffic moves from v1 to v2 in the middle of a minute; and v3 comes after an hour without any traffic.
/// Guarantees: the first is blue/green; the second says that it came to an idle service, and is no comparison of the two.
#[test]
fn traffic_that_moves_at_once_is_told_from_idleness() {
    let mut shop = Shop::default();
    shop.run(0..10, &[("v1", 40)]);
    shop.run(10..11, &[("v1", 20), ("v2", 20)]);
    shop.run(11..20, &[("v2", 40)]);
    assert_eq!(shop.kinds("v2", 20), [NoteKind::BlueGreen]);
    shop.run(90..100, &[("v3", 40)]);
    let notes = shop.notes("v3", 100);
    assert_eq!(notes.iter().map(|note| note.kind).collect::<Vec<_>>(), [NoteKind::Idle]);
    assert_eq!(notes[0].text, "it came to an idle service: v2 had no trace in the hour before");
}

/// Scenario: a service without traffic for forty minutes, which then goes on with the same version.
/// Guarantees: while it is silent it is idle; afterwards nothing has happened: no deployment, no rollback, no note.
#[test]
fn an_idle_service_deploys_nothing() {
    let mut shop = Shop::default();
    shop.run(0..30, &[("v1", 40)]);
    let notes = shop.notes("v1", 70);
    assert_eq!(notes[0].kind, NoteKind::Idle);
    assert_eq!(notes[0].text, "the service is idle: no trace for 40 min");
    shop.run(70..80, &[("v1", 40)]);
    assert_eq!(shop.arrivals(), [row("v1", DeploymentKind::First, None)]);
    assert_eq!(shop.kinds("v1", 80), []);
}

/// Scenario: two instances give way to two others twice, under one version; in another service's life one instance only joins.
/// Guarantees: the latest restart is noted, with its time, and nothing is deployed; more instances are no restart.
#[test]
fn a_restart_is_no_deployment() {
    let mut shop = Shop::default();
    for (generation, minutes) in [(0, 0..10), (1, 10..20), (2, 20..30)] {
        for minute in minutes {
            shop.send(minute, "v1", &format!("a{generation}"), 20, &[]);
            shop.send(minute, "v1", &format!("b{generation}"), 20, &[]);
        }
    }
    let notes = shop.notes("v1", 30);
    assert_eq!(notes.iter().map(|note| note.kind).collect::<Vec<_>>(), [NoteKind::Restart]);
    assert_eq!(notes[0].at_unix_nano, START + 20 * MINUTE_NS);
    assert_eq!(notes[0].text, "restarted: 2 instances gave way to others, the version stayed");
    assert_eq!(shop.arrivals(), [row("v1", DeploymentKind::First, None)]);
    let mut grown = Shop::default();
    (0..20).for_each(|minute| grown.send(minute, "v1", "a", 20, &[]));
    (10..20).for_each(|minute| grown.send(minute, "v1", "b", 20, &[]));
    assert_eq!(grown.kinds("v1", 20), []);
}

/// Scenario: two versions take turns every three minutes; and a canary at half of the traffic, whose larger half changes by chance.
/// Guarantees: the first is flapping, for both versions; the second is not.
#[test]
fn flapping_is_told_from_chance() {
    let mut shop = Shop::default();
    for turn in 0..8 {
        shop.run(3 * turn..3 * turn + 3, &[(if turn % 2 == 0 { "v1" } else { "v2" }, 30)]);
    }
    for version in ["v1", "v2"] {
        assert!(shop.kinds(version, 24).contains(&NoteKind::Flapping), "{:?}", shop.notes(version, 24));
    }
    let mut canary = Shop::default();
    for minute in 0..24 {
        canary.run(minute..minute + 1, &[("v1", 15 + 5 * (minute % 2)), ("v2", 20 - 5 * (minute % 2))]);
    }
    assert!(!canary.kinds("v2", 24).contains(&NoteKind::Flapping));
}

/// Scenario: one instance names v1 and v2 in turn all the time; another is upgraded in place.
/// Guarantees: the first is a contradiction and names the instance; the second is none.
#[test]
fn an_instance_with_two_versions_is_named() {
    let mut shop = Shop::default();
    for minute in 0..10 {
        shop.send(minute, "v1", "pod-7", 20, &[]);
        shop.send(minute, "v2", "pod-7", 20, &[]);
    }
    let note = shop.notes("v2", 10).into_iter().find(|note| note.kind == NoteKind::Contradiction).unwrap();
    assert_eq!(note.text, "instance pod-7 names v1 at the same time");
    let mut host = Shop::default();
    (0..10).for_each(|minute| host.send(minute, "v1", "host-1", 20, &[]));
    (10..20).for_each(|minute| host.send(minute, "v2", "host-1", 20, &[]));
    assert!(!host.kinds("v2", 20).contains(&NoteKind::Contradiction));
}

/// Scenario: under one `service.version` first another revision, then another pod template comes.
/// Guarantees: both are noted, with what was seen and since when; the identity lists all of it.
#[test]
fn builds_under_one_version_are_told_apart() {
    let mut shop = Shop::default();
    let (revision, template) = (identity::REVISION, identity::TEMPLATE);
    (0..10).for_each(|minute| shop.send(minute, "1.0", "a", 20, &[(revision, "aaaa"), (template, "t1")]));
    (10..20).for_each(|minute| shop.send(minute, "1.0", "a", 20, &[(revision, "bbbb"), (template, "t1")]));
    (20..30).for_each(|minute| shop.send(minute, "1.0", "a", 20, &[(revision, "bbbb"), (template, "t2")]));
    let notes = shop.notes("1.0", 30);
    let expected = [
        Note {
            kind: NoteKind::Rebuilt,
            at_unix_nano: START + 10 * MINUTE_NS,
            text: "built from 2 revisions: aaaa, bbbb".to_owned(),
        },
        Note {
            kind: NoteKind::Reconfigured,
            at_unix_nano: START + 20 * MINUTE_NS,
            text: "run under 2 pod templates: t1, t2".to_owned(),
        },
    ];
    assert_eq!(notes, expected);
    let arrivals = shop.versions.arrivals(20, &DeclaredSet::default());
    let known_by = shop.versions.history(&arrivals[0].key, &arrivals[0].version).unwrap().identity();
    assert_eq!(
        (known_by.revisions, known_by.pod_template_hashes),
        (vec!["aaaa".into(), "bbbb".into()], vec!["t1".into(), "t2".into()])
    );
}

/// Scenario: three traces of v2, undeclared and declared.
/// Guarantees: a version that was declared counts as deployed from its first trace; another needs twenty.
#[test]
fn a_declared_version_needs_one_trace() {
    let mut shop = Shop::default();
    shop.run(0..10, &[("v1", 40)]);
    shop.run(10..11, &[("v2", 3)]);
    assert_eq!(shop.arrivals().len(), 1);
    let declaration = Declaration {
        id: "d".to_owned(),
        service: "pay".to_owned(),
        environment: "prod".to_owned(),
        names: VersionNames { version: Some("v2".to_owned()), ..VersionNames::default() },
        at: UnixNanos(START),
        kind: DeclaredKind::Deployed,
        actor: None,
        url: None,
        weight: None,
        earlier: Vec::new(),
    };
    let (declared, ..) = DeclaredSet::default().with(declaration);
    let versions: Vec<_> = shop.versions.arrivals(20, &declared).into_iter().map(|one| one.version).collect();
    assert_eq!(versions.iter().map(|version| &**version).collect::<Vec<_>>(), ["v1", "v2"]);
}

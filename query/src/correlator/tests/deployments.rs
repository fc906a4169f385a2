//! Declared deployments beside found ones, over a restart, and versions that have no name.

use daytwo_storage::Document;
use tempfile::TempDir;

use super::*;
use crate::deployment::{Declaration, DeclaredKind, NoteKind, VersionNames};

fn declared(version: Option<&str>, revision: Option<&str>, at: i64) -> Declaration {
    Declaration {
        id: "run-7".to_owned(),
        service: "pay".to_owned(),
        environment: "prod".to_owned(),
        names: VersionNames {
            version: version.map(str::to_owned),
            revision: revision.map(str::to_owned),
            ..VersionNames::default()
        },
        at: UnixNanos(at),
        kind: DeclaredKind::Upgraded,
        actor: Some("ci".to_owned()),
        url: None,
        weight: None,
        earlier: Vec::new(),
    }
}

fn of_pay(rig: &Rig) -> Vec<Deployment> {
    rig.engine.deployments(&DeploymentFilter { service: Some("pay".to_owned()), environment: None })
}

/// An engine that keeps what is declared in a folder.
fn keeping(folder: &TempDir) -> Rig {
    let rig = rig(EngineConfig::default());
    rig.engine.keep_declared_in(Document::in_folder(folder.path(), "deployments.json", 1 << 20)).unwrap();
    rig
}

/// So many traces of `pay`, one a second.
fn send(rig: &Rig, version: &'static str, traces: std::ops::Range<u64>) {
    for trace in traces {
        rig.send(&call(trace + 1, version, rig.clock.now().0, 20 * MS));
        rig.pass(1);
    }
    rig.pass(10);
}

/// Scenario: v2 is declared before any span of it; the server restarts; three traces of it come; it is declared again an hour later.
/// Guarantees: one deployment all along: declared without data, still so after the restart, then found with what was declared; the
/// later declaration is noted as a change of something running.
#[test]
fn a_declared_deployment_meets_the_found_one() {
    let folder = TempDir::new().unwrap();
    let first = keeping(&folder);
    send(&first, "p1", 0..30);
    assert!(!first.engine.declare(declared(Some("p2"), None, first.clock.now().0)).unwrap().1);
    let listed = of_pay(&first);
    assert_eq!((listed.len(), listed[0].kind, listed[0].state), (2, DeploymentKind::Declared, State::NoData));
    let verdict = first.engine.verdict("pay", "p2", Some("prod")).unwrap();
    assert_eq!((verdict.state, verdict.candidate.traces), (State::NoData, 0));
    assert!(verdict.headline.contains("no span of it has come yet"), "{}", verdict.headline);

    let again = keeping(&folder);
    let listed = of_pay(&again);
    assert_eq!((listed.len(), listed[0].version.as_str()), (1, "p2"));
    send(&again, "p1", 100..130);
    send(&again, "p2", 130..133);
    let listed = of_pay(&again);
    let rows: Vec<_> = listed.iter().map(|row| (row.version.as_str(), row.kind, row.declared.is_some())).collect();
    assert_eq!(rows, [("p2", DeploymentKind::Release, true), ("p1", DeploymentKind::First, false)]);
    assert_eq!(listed[0].declared.as_ref().unwrap().actor.as_deref(), Some("ci"));

    again.pass(3_600);
    let later = again.clock.now().0;
    send(&again, "p2", 133..136);
    assert!(again.engine.declare(declared(Some("p2"), None, later)).unwrap().1);
    let listed = of_pay(&again);
    assert_eq!(listed.len(), 2, "{listed:#?}");
    assert!(listed[0].notes.iter().any(|note| note.kind == NoteKind::Redeployed && note.at_unix_nano == later));
}

/// Scenario: the folder takes no more writes when a deployment is declared.
/// Guarantees: who declared it is told, and it is not shown, for a restart would not know it.
#[test]
fn what_is_not_kept_is_not_shown() {
    let folder = TempDir::new().unwrap();
    let rig = rig(EngineConfig::default());
    rig.engine.keep_declared_in(Document::in_folder(folder.path(), "deployments.json", 8)).unwrap();
    assert!(rig.engine.declare(declared(Some("p2"), None, START)).is_err());
    assert_eq!(of_pay(&rig), []);
}

/// Scenario: a service that names no version, built from one revision and then from another, of which the second was declared.
/// Guarantees: two versions, each known by its revision; the declaration by the short revision meets the second.
#[test]
fn a_version_without_a_name_is_known_by_its_revision() {
    let rig = rig(EngineConfig::default());
    for number in 0..60_u64 {
        let revision = if number < 30 { "aaaaaaaa11" } else { "bbbbbbbb22" };
        let json = format!(r#"{{"vcs.ref.head.revision":"{revision}","k8s.replicaset.name":"pay-5d4f8c7b9"}}"#);
        let span = daytwo_storage::testing::TestSpan::new(u128::from(number) + 1, 1)
            .service("pay")
            .environment("prod")
            .resource(&json)
            .at(rig.clock.now().0.try_into().unwrap());
        rig.engine.observe(&daytwo_storage::testing::batch_of(rig.clock.now(), &[span]));
        rig.pass(1);
    }
    rig.pass(20);
    rig.engine.declare(declared(None, Some("bbbbbbbb"), rig.clock.now().0)).unwrap();
    let rows = of_pay(&rig);
    let versions: Vec<_> = rows.iter().map(|row| (row.version.as_str(), row.declared.is_some())).collect();
    assert_eq!(versions, [("revision:bbbbbbbb22", true), ("revision:aaaaaaaa11", false)]);
    assert_eq!(rows[0].identity.pod_template_hashes, ["5d4f8c7b9"]);
    let sql = rig.engine.verdict("pay", "revision:bbbbbbbb22", None).unwrap().sql.clone();
    assert!(sql.contains(r#"contains(coalesce(resource_attributes, ''), 'bbbbbbbb22"')"#), "{sql}");
}

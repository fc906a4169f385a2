//! Declarations that are kept, and what they speak of.

use super::*;

fn declaration(id: &str, at: i64) -> Declaration {
    Declaration {
        id: id.to_owned(),
        service: "pay".to_owned(),
        environment: "prod".to_owned(),
        names: VersionNames { version: Some("v2".to_owned()), ..VersionNames::default() },
        at: UnixNanos(at),
        kind: DeclaredKind::Upgraded,
        actor: Some("ci".to_owned()),
        url: None,
        weight: None,
        earlier: Vec::new(),
    }
}

/// Scenario: more declarations than are kept, one of them sent again with another time, written and read back.
/// Guarantees: the newest stay in order, the repeated one is there once, and a restart changes nothing.
#[test]
fn the_newest_are_kept_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let document = Document::in_folder(folder.path(), "deployments.json", 4 << 20);
    let mut set = DeclaredSet::load(&document).unwrap();
    for number in 0..=DECLARED_MAX {
        set = set.with(declaration(&format!("d{number}"), i64::try_from(number).unwrap())).0;
    }
    let (set, _, known) = set.with(declaration("d500", 5_000));
    assert!(known);
    set.save(&document).unwrap();
    let read = DeclaredSet::load(&document).unwrap();
    let ids: Vec<&str> = read.iter().map(|one| one.id.as_str()).collect();
    assert_eq!((ids.len(), ids[0], ids[DECLARED_MAX - 1]), (DECLARED_MAX, "d1", "d500"));
    assert_eq!(read.declarations, set.declarations);
    assert!(read.concerns("pay", "prod") && !read.concerns("pay", ""));
}

/// Scenario: a file that is no JSON, and one of a later form.
/// Guarantees: the first is set aside and the list begins anew; the second stops the start, for writing would lose it.
#[test]
fn what_cannot_be_read_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let document = Document::in_folder(folder.path(), "deployments.json", 1 << 20);
    document.replace(b"{").unwrap();
    assert_eq!(DeclaredSet::load(&document).unwrap().iter().count(), 0);
    assert_eq!(std::fs::read(folder.path().join("deployments.json.damaged")).unwrap(), b"{");
    document.replace(br#"{"format":9,"deployments":[]}"#).unwrap();
    assert!(DeclaredSet::load(&document).unwrap_err().to_string().contains("form 9"));
}

/// Scenario: declarations by version, short revision, digest, tag and pod template, against what processes are known by.
/// Guarantees: each meets the version it speaks of and no other; a tag counts only where no version is declared.
#[test]
fn declarations_meet_what_was_found() {
    let known_by = Identity {
        revisions: vec!["9d59409acf479dfa0df1aa568182e43e43df8bbe".to_owned()],
        image_digests: vec!["sha256:22".to_owned()],
        image_tags: vec!["1.27".to_owned()],
        pod_template_hashes: vec!["5d4f8c7b9".to_owned()],
    };
    let blank = VersionNames::default();
    let text = |text: &str| Some(text.to_owned());
    for (names, meets) in [
        (VersionNames { version: text("v1"), ..blank.clone() }, true),
        (VersionNames { version: text("v2"), ..blank.clone() }, false),
        (VersionNames { revision: text("9d59409"), ..blank.clone() }, true),
        (VersionNames { revision: text("9d5"), ..blank.clone() }, false),
        (VersionNames { revision: text("9d59408"), ..blank.clone() }, false),
        (VersionNames { image: text("shop/pay@sha256:22"), ..blank.clone() }, true),
        (VersionNames { image: text("shop/pay:1.27"), ..blank.clone() }, true),
        (VersionNames { image: text("shop/pay:1.27"), version: text("v2"), ..blank.clone() }, false),
        (VersionNames { pod_template_hash: text("5d4f8c7b9"), ..blank.clone() }, true),
    ] {
        assert_eq!(names.meet("v1", &known_by), meets, "{names:?}");
    }
    let revision = VersionNames { revision: text("abcdef0"), ..blank };
    assert_eq!(revision.text(), "revision:abcdef0");
    assert!(revision.meet("revision:abcdef0", &Identity::default()));
}

/// Scenario: a canary declared under one id with a tenth, a half and, by mistake again, a half; the same version without a weight under another
/// id; then another version with a weight, and one without. All over a restart.
/// Guarantees: the steps with their times, each once; what says nothing of weights changes nothing for its own version and ends another's.
#[test]
fn weights_are_steps() {
    let folder = tempfile::tempdir().unwrap();
    let document = Document::in_folder(folder.path(), "deployments.json", 1 << 20);
    let weighed = |id: &str, at: i64, version: &str, weight: Option<f64>| Declaration {
        names: VersionNames { version: Some(version.to_owned()), ..VersionNames::default() },
        weight: weight.and_then(TrafficShare::of),
        ..declaration(id, at)
    };
    let mut set = DeclaredSet::default();
    for one in [
        weighed("run", 10, "v2", Some(0.1)),
        weighed("run", 20, "v2", Some(0.5)),
        weighed("run", 30, "v2", Some(0.5)),
        weighed("event", 35, "v2", None),
        weighed("other", 40, "v3", Some(0.1)),
        weighed("last", 50, "v4", None),
    ] {
        set = set.with(one).0;
    }
    set.save(&document).unwrap();
    let read = DeclaredSet::load(&document).unwrap();
    assert_eq!(read.declarations, set.declarations);
    let steps = |version: &str| -> Vec<(i64, Option<f64>)> {
        let found = read.weights_of("pay", "prod", version, &Identity::default());
        found.into_iter().map(|step| (step.at.0, step.share.map(TrafficShare::share))).collect()
    };
    assert_eq!(steps("v2"), [(10, Some(0.1)), (20, Some(0.5)), (50, None)]);
    assert_eq!(steps("v3"), [(40, Some(0.1)), (50, None)]);
    assert_eq!(steps("v4"), []);
}

/// Scenario: one deployment whose weight is told a hundred times, another each time.
/// Guarantees: the newest steps are kept, not all.
#[test]
fn steps_are_bounded() {
    let mut set = DeclaredSet::default();
    for number in 0..100_u32 {
        let weight = TrafficShare::of(f64::from(number) / 100.0);
        set = set.with(Declaration { weight, ..declaration("run", i64::from(number)) }).0;
    }
    let steps = set.weights_of("pay", "prod", "v2", &Identity::default());
    assert_eq!((steps.len(), steps[STEPS_MAX - 1].at), (STEPS_MAX, UnixNanos(99)));
    assert!(set.iter().next().unwrap().earlier.len() <= STEPS_MAX);
}

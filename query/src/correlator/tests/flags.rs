//! Flags from spans to verdicts: a variant that slows one service of a trace, one that does nothing, and what keeps a claim from being made.

use daytwo_storage::Document;
use daytwo_storage::testing::{TestSpan, batch_of};

use super::*;
use crate::deployment::TrafficShare;
use crate::flag::{Assignment, ControlRule, Flag, FlagChangeKind, FlagComparison, FlagDeclaration};
use crate::verdict::Class;

/// A number that looks drawn, and is the same every time.
fn drawn(trace: u64, salt: u64) -> u64 {
    let mut x = trace.wrapping_add(salt.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// What a test's flags do.
#[derive(Clone, Copy)]
struct Story {
    /// Of 100 traces so many have `ranking=on`.
    share: u64,
    /// Nanoseconds that `pay` needs more with it.
    slower: i64,
    reason: &'static str,
    /// Version of `pay` with and without it.
    versions: [&'static str; 2],
}

const STORY: Story = Story { share: 50, slower: 12 * MS, reason: "split", versions: ["p1", "p1"] };

fn word(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

/// A visit: `shop` asks for `ranking` (attributes of its root), calls `pay`, which asks for `banner` (an event).
fn visit(story: &Story, trace: u64, start: i64) -> Vec<TestSpan> {
    let on = drawn(trace, 1) % 100 < story.share;
    let banner = format!(
        r#"[{{"time_unix_nano":1,"name":"feature_flag.evaluation","attributes":{{"feature_flag.key":"banner","feature_flag.result.variant":"{}","feature_flag.result.reason":"split"}}}}]"#,
        word(drawn(trace, 2).is_multiple_of(2))
    );
    let wobble = i64::try_from(drawn(trace, 3) % 100).unwrap() * MS / 20;
    let work = 20 * MS + wobble + if on { story.slower } else { 0 };
    let at = |offset: i64| u64::try_from(start + offset).unwrap();
    let lasting = |length: i64| u64::try_from(length).unwrap();
    let span = |id: u64| TestSpan::new(u128::from(trace) + 1, id).environment("prod");
    let root = span(1).service("shop").version("s1").name("GET /").at(at(0)).lasting(lasting(work + 6 * MS));
    let root = root
        .text("feature_flag.key", "ranking")
        .text("feature_flag.result.variant", word(on))
        .text("feature_flag.result.reason", story.reason);
    let client =
        span(2).parent(1).service("shop").version("s1").name("call").kind(3).at(at(MS)).lasting(lasting(work + 2 * MS));
    let version = story.versions[usize::from(!on)];
    let mut pay =
        span(3).parent(2).service("pay").version(version).name("POST /pay").at(at(2 * MS)).lasting(lasting(work));
    pay.events = Some(banner);
    vec![root, client, pay]
}

/// The twenty visits of a second.
fn visits_of(story: &Story, second: u64, now: UnixNanos) -> Vec<TestSpan> {
    (0..20).flat_map(|part| visit(story, second * 20 + part, now.0 + i64::try_from(part).unwrap() * MS)).collect()
}

/// The twenty visits of a second with a bad variant.
pub(super) fn visits(second: u64, now: UnixNanos) -> Vec<TestSpan> {
    visits_of(&STORY, second, now)
}

/// Twenty visits a second for so long.
fn play(rig: &Rig, story: &Story, seconds: u64) {
    for second in 0..seconds {
        let now = rig.clock.now();
        rig.engine.observe(&batch_of(now, &visits_of(story, second, now)));
        rig.pass(1);
    }
    rig.pass(20);
}

fn flag(rig: &Rig, key: &str) -> Flag {
    rig.engine.flags(Some("prod")).into_iter().find(|flag| flag.key == key).unwrap()
}

fn classes(comparison: &FlagComparison) -> Vec<(&str, State, Option<Class>)> {
    comparison.services.iter().map(|row| (row.verdict.service.as_str(), row.verdict.state, row.verdict.class)).collect()
}

fn played(story: Story) -> Rig {
    let rig = rig(EngineConfig::default());
    play(&rig, &story, 90);
    rig
}

/// Scenario: half of the traces, drawn by lot, have a variant with which `pay` takes 12 ms longer; another flag does nothing.
/// Guarantees: the bad variant FAILs against `off` on `pay` and on nobody else, the caller inherits, the words are causal; the harmless flag
/// never fails; the worst flag comes first; SQL has a row each with the services' verdicts.
#[test]
fn a_bad_variant_is_caught_and_a_harmless_one_is_not() {
    let rig = played(STORY);
    let found: Vec<(String, State)> = rig.engine.flags(None).into_iter().map(|flag| (flag.key, flag.state)).collect();
    assert_eq!(found[0], ("ranking".to_owned(), State::Fail), "{found:?}");
    let ranking = flag(&rig, "ranking");
    assert_eq!((ranking.control.as_str(), ranking.control_rule), ("off", ControlRule::Name));
    assert_eq!(
        (ranking.assignment, ranking.discovery, ranking.class),
        (Assignment::Randomised, true, Some(Class::Own))
    );
    assert_eq!((ranking.traces, ranking.mixed_traces), (1_800, 0));
    assert_eq!(ranking.asked_by, [("shop".to_owned(), 1_800)]);
    let comparison = &ranking.comparisons[0];
    assert_eq!(
        classes(comparison),
        [("pay", State::Fail, Some(Class::Own)), ("shop", State::Inherited, Some(Class::Inherited))],
        "{comparison:#?}"
    );
    let verdict = &comparison.services[0].verdict;
    assert!(verdict.headline.starts_with("pay with ranking=on made it worse: "), "{}", verdict.headline);
    assert!(verdict.reason.contains("drawn by lot: the variant is the cause"), "{}", verdict.reason);
    assert_eq!(verdict.findings[0].operation.as_deref(), Some("POST /pay"));
    assert_eq!(verdict.exemplars.len(), 3);
    let banner = flag(&rig, "banner");
    assert_eq!(banner.asked_by, [("pay".to_owned(), 1_800)]);
    assert_ne!(banner.state, State::Fail, "{}", banner.headline);
    assert!(banner.comparisons[0].services.iter().all(|row| !row.discovery));
    let rows = rig.engine.table(EngineTable::Flags).unwrap();
    assert_eq!(rows.num_rows(), 2);
    let status = rig.engine.status();
    assert_eq!((status.flags, status.flag_variants, status.judged_variants, status.left_out_evaluations), (2, 4, 2, 0));
}

/// Scenario: 38 of 100 traces have the bad variant for five minutes, and a tenth was declared for it, over a restart; then 38 are declared.
/// Guarantees: nothing is claimed of any service, and none is a discovery; once the weight is the right one, the variant FAILs again; the harmless
/// flag, of which nothing was declared, is judged all along.
#[test]
fn variants_that_were_not_split_as_declared_are_not_compared() {
    let folder = tempfile::tempdir().unwrap();
    let document = || Document::in_folder(folder.path(), "flags.json", 1 << 20);
    let declaration = |on: f64, at: i64| {
        let of = |share| TrafficShare::of(share).unwrap();
        FlagDeclaration {
            id: "a".to_owned(),
            key: "ranking".to_owned(),
            environment: None,
            service: Some("shop".to_owned()),
            at_unix_nano: at,
            variants: [("on".to_owned(), of(on)), ("off".to_owned(), of(1.0 - on))].into(),
        }
    };
    let first = rig(EngineConfig::default());
    first.engine.keep_declared_flags_in(document()).unwrap();
    assert!(!first.engine.declare_flag(declaration(0.1, START)).unwrap());

    let rig = rig(EngineConfig::default());
    rig.engine.keep_declared_flags_in(document()).unwrap();
    play(&rig, &Story { share: 38, ..STORY }, 300);
    let ranking = flag(&rig, "ranking");
    assert_eq!((ranking.state, ranking.class, ranking.discovery), (State::Skewed, None, false), "{}", ranking.headline);
    assert!(ranking.headline.starts_with("ranking=on is not judged: traffic split 3"), "{}", ranking.headline);
    let comparison = &ranking.comparisons[0];
    assert_eq!(classes(comparison), [("pay", State::Skewed, None), ("shop", State::Skewed, None)]);
    assert!(comparison.services.iter().all(|row| !row.discovery && row.e_value <= 1.0));
    let split = &comparison.services[0].verdict.splits[0];
    assert_eq!((split.asker.as_deref(), split.mixed), (Some("shop"), 0));
    assert_eq!(flag(&rig, "banner").comparisons[0].services[0].verdict.splits, []);
    assert_ne!(flag(&rig, "banner").state, State::Skewed);

    assert!(rig.engine.declare_flag(declaration(0.38, START)).unwrap());
    rig.pass(20);
    assert_eq!(flag(&rig, "ranking").state, State::Fail, "{}", flag(&rig, "ranking").headline);
}

/// Scenario: the same variant is handed out by a rule; and a variant that is served by another version of `pay`.
/// Guarantees: the first still FAILs, and says that what decides about the variant may be the reason; the second is CONFOUNDED, by `pay`'s versions.
#[test]
fn what_was_not_drawn_says_so_and_versions_confound() {
    let rig = played(Story { reason: "targeting_match", ..STORY });
    let ranking = flag(&rig, "ranking");
    assert_eq!((ranking.state, ranking.assignment), (State::Fail, Assignment::Observational));
    let reason = &ranking.comparisons[0].services[0].verdict.reason;
    assert!(reason.contains("not drawn by lot, so what decides that may be the reason instead"), "{reason}");
    assert_eq!(ranking.reasons, [("targeting_match".to_owned(), 1_800)]);

    let rig = played(Story { versions: ["p2", "p1"], ..STORY });
    let ranking = flag(&rig, "ranking");
    assert_eq!(ranking.state, State::Confounded, "{}", ranking.headline);
    let confounders = &ranking.comparisons[0].confounders;
    assert!(confounders.iter().any(|text| text.starts_with("pay runs other versions")), "{confounders:?}");
}

/// Scenario: nothing slower, for long enough to show it.
/// Guarantees: PASS on every service, and the sentence says how many.
#[test]
fn a_harmless_variant_passes() {
    let rig = rig(EngineConfig::default());
    play(&rig, &Story { slower: 0, ..STORY }, 150);
    let ranking = flag(&rig, "ranking");
    assert_eq!(ranking.state, State::Pass, "{:#?}", ranking.comparisons);
    assert_eq!(
        ranking.headline,
        "ranking=on is no worse than off: 2 services with a tenth of its traces or more are shown to be no worse"
    );
}

/// Scenario: a share that goes from a tenth to a half, and a new version of the flag.
/// Guarantees: both are recorded with their time, and evidence counts afresh from the new version on.
#[test]
fn changes_are_recorded() {
    let rig = rig(EngineConfig::default());
    let mut last = 0;
    for (share, version, seconds) in [(10, "1", 120), (50, "1", 120), (50, "2", 60)] {
        for _ in 0..seconds {
            let now = rig.clock.now();
            for part in 0..5 {
                last += 1;
                let mut spans = visit(&Story { share, slower: 0, ..STORY }, last, now.0 + part * MS);
                spans[0] = spans[0].clone().text("feature_flag.version", version);
                rig.engine.observe(&batch_of(now, &spans));
            }
            rig.pass(1);
        }
    }
    rig.pass(20);
    let ranking = flag(&rig, "ranking");
    assert_eq!(ranking.versions, ["1", "2"]);
    let at = |kind: FlagChangeKind, text: &str| {
        let found = ranking.changes.iter().find(|change| change.kind == kind && change.text.contains(text));
        (found.unwrap_or_else(|| panic!("no {text} in {:?}", ranking.changes)).at_unix_nano - START) / 1_000_000_000
    };
    assert!((60..240).contains(&at(FlagChangeKind::Share, "the share of on went from 1")), "{:?}", ranking.changes);
    assert_eq!(at(FlagChangeKind::Version, "version 2"), 240);
    assert_eq!((ranking.comparisons[0].judged_from_unix_nano - START) / 1_000_000_000, 240);
    let share = ranking.variants.iter().find(|variant| variant.variant == "on").and_then(|variant| variant.share);
    assert!((0.35..0.65).contains(&share.unwrap()), "{share:?}");
}

/// A visit without its flags, and the span that stands for a log record of them.
fn visit_and_record(trace: u64, start: i64) -> (Vec<TestSpan>, TestSpan) {
    let mut spans = visit(&Story { slower: 0, ..STORY }, trace, start);
    let asked = std::mem::take(&mut spans[0].attributes);
    spans[2].events = None;
    let mut record = spans[0].clone().name("feature_flag.evaluation").kind(1).parent(1);
    (record.span, record.attributes, record.end) = (1_000_000 + trace, asked, record.start);
    (spans, record)
}

/// Scenario: evaluations that come as log records: before their trace's spans, with them, half a minute after, and of a trace that never comes.
/// Guarantees: each is joined to its trace however it came; what stands for a record is no operation, no call and no trace of its own.
#[test]
fn log_records_are_joined_whenever_they_come() {
    let rig = rig(EngineConfig::default());
    let mut late = Vec::new();
    for trace in 0..60 {
        let now = rig.clock.now();
        let (spans, record) = visit_and_record(trace, now.0);
        match trace % 3 {
            0 => {
                rig.engine.observe(&batch_of(now, std::slice::from_ref(&record)));
                rig.engine.observe(&batch_of(now, &spans));
            }
            1 => rig.engine.observe(&batch_of(now, &[spans, vec![record]].concat())),
            _ => {
                rig.engine.observe(&batch_of(now, &spans));
                late.push(record);
            }
        }
        rig.pass(1);
    }
    let (_, alone) = visit_and_record(9_999, rig.clock.now().0);
    rig.engine.observe(&batch_of(rig.clock.now(), &[alone]));
    rig.pass(10);
    assert_eq!(flag(&rig, "ranking").traces, 40, "those that have come");
    // Of the late ones those of the last minute are still held; the others need the store, which this engine has none of.
    let held: Vec<TestSpan> = late.into_iter().filter(|record| record.trace > 30).collect();
    rig.engine.observe(&batch_of(rig.clock.now(), &held));
    rig.pass(10);
    let ranking = flag(&rig, "ranking");
    assert_eq!(ranking.traces, 40 + held.len() as u64, "{:?}", rig.engine.status());
    assert_eq!(ranking.mixed_traces, 0);
    let shop: Vec<(String, u64)> =
        rig.engine.operations("shop", rig.window(), None).into_iter().map(|row| (row.operation, row.calls)).collect();
    assert_eq!(shop, [("GET /".to_owned(), 60), ("call".to_owned(), 60)]);
}

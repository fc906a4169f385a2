//! Flags as simulated traces show them, without the spans.

use daytwo_storage::TraceId;

use super::judged::JudgedService;
use super::*;
use crate::flag::Flag;
use crate::trace::Weight;
use crate::verdict::{CohortKey, Cohorts, State, Verdict, VerdictConfig, judge};

const START: i64 = 28_333_333 * 60_000_000_000;

fn record(number: u64, at: i64, flags: &[(&str, Option<&str>)]) -> TraceRecord {
    let mut id = [3_u8; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    let flag = |(key, variant): &(&str, Option<&str>)| {
        Arc::new(TraceFlag {
            environment: "prod".into(),
            key: (*key).into(),
            variant: variant.map(Into::into),
            reason: "split".into(),
            version: "".into(),
            service: "web".into(),
        })
    };
    TraceRecord {
        trace_id: TraceId::from_bytes(&id).unwrap(),
        start: UnixNanos(at),
        received: UnixNanos(at),
        duration_ns: 1,
        journey: "j".into(),
        resources: Vec::new(),
        nodes: Vec::new(),
        flags: flags.iter().map(flag).collect(),
        weight: Weight::default(),
        entries: Box::default(),
    }
}

/// So many traces of each variant, one a second, beginning at its minute.
fn flags(mix: &[(&str, i64, u64)]) -> Flags {
    let mut flags = Flags::default();
    for (variant, minute, traces) in mix {
        for number in 0..*traces {
            let at = START + minute * 60_000_000_000 + i64::try_from(number).unwrap() * 1_000_000_000;
            flags.change(&record(number, at, &[("f", Some(variant))]), true);
        }
    }
    flags
}

fn answer(flags: &Flags) -> Vec<Flag> {
    flags.answer(&JudgedFlags::default(), None, UnixNanos(START), Duration::from_secs(3_600))
}

/// Scenario: variants named as controls are in any case of letters, none named so but one older, several of the same minute.
/// Guarantees: the name decides, in the stated order; then the earliest minute; then the traces; then the name.
#[test]
fn the_control_is_chosen_by_the_stated_rule() {
    for (mix, control, rule) in [
        (vec![("on", 0, 9), ("Off", 5, 2)], "Off", ControlRule::Name),
        (vec![("off", 0, 9), ("Control", 5, 2), ("default", 0, 5)], "Control", ControlRule::Name),
        (vec![("blue", 1, 30), ("red", 0, 2)], "red", ControlRule::Oldest),
        (vec![("blue", 0, 3), ("red", 0, 9), ("green", 4, 40)], "red", ControlRule::Largest),
        (vec![("blue", 0, 9), ("red", 0, 9)], "blue", ControlRule::Largest),
    ] {
        let found = &answer(&flags(&mix))[0];
        assert_eq!((found.control.as_str(), found.control_rule), (control, rule), "{mix:?}");
        assert!(found.variants[0].control && found.variants.iter().filter(|one| one.control).count() == 1);
    }
}

/// Scenario: more variants of one flag and more flags than are followed, and traces that saw several variants.
/// Guarantees: the limits hold, what is over is counted, mixed traces are counted apart, and a flag that is only mixed is none.
#[test]
fn limits_are_kept_and_counted() {
    let mut flags = Flags::default();
    for number in 0..40_u64 {
        flags.change(&record(number, START, &[("many", Some(&format!("v{number:02}")))]), true);
    }
    assert_eq!(flags.counts(), [1, VARIANTS_MAX as u64, 40 - VARIANTS_MAX as u64]);
    for number in 0..2_000_u64 {
        flags.change(&record(number, START, &[(&format!("f{number}"), Some("on"))]), true);
    }
    let [known, variants, overflowed] = flags.counts();
    assert_eq!((variants, overflowed), (ALL_VARIANTS_MAX as u64, 2_040 - ALL_VARIANTS_MAX as u64));
    assert_eq!(known, 1 + (ALL_VARIANTS_MAX - VARIANTS_MAX) as u64);
    flags.change(&record(1, START, &[("many", None), ("only mixed", None)]), true);
    let found = answer(&flags);
    let many = found.iter().find(|flag| flag.key == "many").unwrap();
    assert_eq!((many.mixed_traces, many.traces), (1, VARIANTS_MAX as u64));
    assert!(!found.iter().any(|flag| flag.key == "only mixed"));
}

/// Scenario: traces are added in two orders, one of them is taken out again and put back; a day passes.
/// Guarantees: the answer is the same; after a day nothing is left.
#[test]
fn the_order_does_not_matter_and_a_day_is_kept() {
    let records: Vec<TraceRecord> = (0..60_u64)
        .map(|number| {
            record(
                number,
                START + i64::try_from(number).unwrap() * 7_000_000_000,
                &[("f", Some(if number % 3 == 0 { "on" } else { "off" }))],
            )
        })
        .collect();
    let (mut forward, mut backward) = (Flags::default(), Flags::default());
    records.iter().for_each(|record| forward.change(record, true));
    records.iter().rev().for_each(|record| backward.change(record, true));
    backward.change(&records[7], false);
    backward.change(&records[7], true);
    assert_eq!(answer(&forward), answer(&backward));
    assert_eq!(answer(&forward)[0].traces, 60);
    let contests = forward.contests(20);
    assert_eq!(contests.len(), 1);
    assert_eq!((&*contests[0].variant, &*contests[0].control, contests[0].from), ("on", "off", UnixNanos(START)));
    assert_eq!(forward.contests(21), []);
    forward.maintain(UnixNanos(START).saturating_add(KEPT).saturating_add(Duration::from_secs(3_600)));
    assert_eq!((answer(&forward), forward.counts()), (Vec::new(), [0, 0, 0]));
}

/// A service whose own rule says FAIL, with this much evidence.
fn failing(service: &str, e_value: f64) -> JudgedService {
    let key = CohortKey {
        environment: "prod".into(),
        service: service.into(),
        flag: Some("f".into()),
        candidate: "on".into(),
        baseline: Some("off".into()),
        first_seen: UnixNanos(START),
    };
    let rule = VerdictConfig::default();
    let empty = judge(&Cohorts::new(key, rule.lookback, rule.bake), UnixNanos(START), &rule);
    let verdict = Verdict { state: State::Fail, reason: "its own time rose".to_owned(), ..empty };
    JudgedService { verdict: Arc::new(verdict), ln_e: e_value.ln(), share: 0.5 }
}

/// Scenario: a flag with two services that fail by their own rule, with e-values 4,000 and 90, alone, and beside 99 flags without evidence.
/// Guarantees: alone both are found, for 2 / (0.05 * 2) = 20 do for two; beside the others the flag's mean of 2,045 is just enough for 100 /
/// 0.05 = 2,000, and its services are tested at 0.05 / 100, where 4,000 do and 90 do not: that one is open, and says why; with a little
/// less evidence nothing is claimed at all.
#[test]
fn the_same_evidence_counts_less_among_more_flags() {
    let outcome = |others: u64, best: f64| {
        let mut traffic = Flags::default();
        let mut judged = Vec::new();
        for number in 0..=others {
            let name = if number == 0 { "f".to_owned() } else { format!("other{number}") };
            for variant in ["off", "on"] {
                traffic.change(&record(number, START, &[(&name, Some(variant))]), true);
            }
            let contest = Contest {
                flag: ("prod".into(), name.as_str().into()),
                variant: "on".into(),
                control: "off".into(),
                from: UnixNanos(START),
            };
            let services =
                if number == 0 { vec![failing("a", best), failing("b", 90.0)] } else { vec![failing("a", 0.5)] };
            judged.push((contest, services));
        }
        let found = traffic.answer(&JudgedFlags::looked_at(judged), None, UnixNanos(START), Duration::from_secs(3_600));
        found.into_iter().find(|flag| flag.key == "f").unwrap()
    };
    let states = |flag: &Flag| -> Vec<(String, State)> {
        flag.comparisons[0].services.iter().map(|row| (row.verdict.service.clone(), row.verdict.state)).collect()
    };
    let both = |a, b| vec![("a".to_owned(), a), ("b".to_owned(), b)];
    let alone = outcome(0, 4_000.0);
    assert_eq!((states(&alone), alone.state, alone.discovery), (both(State::Fail, State::Fail), State::Fail, true));
    let among = outcome(99, 4_000.0);
    assert_eq!((states(&among), among.state), (both(State::Fail, State::Continue), State::Fail));
    assert!(
        (among.e_needed - 2_000.0).abs() < 1e-6 && (among.comparisons[0].services[0].e_needed - 4_000.0).abs() < 1e-6
    );
    let held = &among.comparisons[0].services[1].verdict;
    assert!(held.reason.contains("its own time rose, but that is not enough among 2 services"), "{}", held.reason);
    let less = outcome(99, 3_900.0);
    assert_eq!((states(&less), less.discovery), (both(State::Continue, State::Continue), false));
    assert!(less.comparisons[0].services[0].verdict.reason.contains("not enough among 100 flags"));
}

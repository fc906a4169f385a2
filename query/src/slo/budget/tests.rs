//! Counters of journeys: whatever is added and taken out, what is charged is what was bad.

use daytwo_storage::Document;
use proptest::prelude::*;

use super::*;
use crate::slo::journey::{Blamed, Cause, Journey, Place, Step};
use crate::slo::kept;
use crate::slo::objective::Selector;

const START: i64 = 1_795_343_400_000_000_000;
const SECOND: i64 = 1_000_000_000;

/// A journey to be counted.
#[derive(Debug, Clone)]
struct Made {
    second: i64,
    kind: u8,
    sampled: bool,
    /// Milliseconds in each of three services.
    ms: [i64; 3],
}

fn made() -> impl Strategy<Value = Made> {
    (0_i64..5_000, 0_u8..8, any::<bool>(), [1_i64..40, 1_i64..40, 1_i64..400])
        .prop_map(|(second, kind, sampled, ms)| Made { second, kind, sampled, ms })
}

const SERVICES: [&str; 3] = ["shop", "pay", "cart"];

fn place(service: &str) -> Place {
    Place { service: service.into(), caller: "".into() }
}

impl Made {
    fn outcome(&self) -> Outcome {
        match self.kind {
            0..=3 => Outcome::Good,
            4 => Outcome::Unknown,
            _ => Outcome::Bad,
        }
    }

    fn weight(&self) -> Weight {
        Weight::of(if self.sampled { "ot=th:c" } else { "" })
    }

    /// What it weighs, in units of [`Weight`].
    fn stands_for(&self) -> u64 {
        if self.sampled { 4 * Weight::ONE } else { Weight::ONE }
    }

    fn change(&self, counter: &mut SloCounter, add: bool) {
        let (operation, version): (Arc<str>, Arc<str>) = ("buy".into(), "v1".into());
        let service = SERVICES[usize::try_from(self.second).unwrap() % 3];
        let cause = match self.kind {
            5 => Cause::Error(Blamed { place: place(service), version: "v1".into() }),
            6 => Cause::Slow,
            _ => Cause::Unattributed,
        };
        let times = SERVICES.iter().zip(self.ms).map(|(service, ms)| (place(service), (ms * 1_000_000, "v1".into())));
        let journey = Travelled {
            at: UnixNanos(START + self.second * SECOND),
            trace_id: TraceId::from_bytes(&[1; 16]).unwrap(),
            weight: self.weight(),
            operation: &operation,
            version: &version,
            outcome: self.outcome(),
            failed: if self.outcome() == Outcome::Bad { vec![u16::from(self.kind)] } else { Vec::new() },
            cause,
            duration_ns: self.ms.iter().sum::<i64>() * 1_000_000,
            times: times.collect(),
        };
        counter.change_journey(&journey, add);
    }
}

/// Good, bad and unknown weight of some journeys from a second on.
fn weights<'m>(journeys: impl Iterator<Item = &'m Made>, from: i64) -> [u64; 3] {
    let mut sums = [0; 3];
    for journey in journeys.filter(|journey| journey.second >= from) {
        let place = match journey.outcome() {
            Outcome::Good => 0,
            Outcome::Bad => 1,
            Outcome::Unknown => 2,
        };
        sums[place] += journey.stands_for();
    }
    sums
}

proptest! {
    /// Scenario: journeys in any order over 83 minutes, sampled or not, good, slow, failed, unknown; then some of them are taken out again in another
    /// order, while what is usual has changed; a rebuild that saw the rest; a restart.
    /// Guarantees: good, bad and unknown are those of a ledger over any stretch; what is charged, and what failed, adds up to the bad ones' weight
    /// exactly; errors that nothing was taken out of are charged to their service alone; nothing is left when all are taken out.
    #[test]
    fn charges_add_up_to_what_was_bad(journeys in prop::collection::vec(made(), 0..120), order in any::<u64>(), from in 0_i64..5_000) {
        let mut counter = SloCounter::default();
        journeys.iter().for_each(|journey| journey.change(&mut counter, true));
        let by_service = |service: &str| {
            let own = |journey: &&Made| journey.kind == 5 && SERVICES[usize::try_from(journey.second).unwrap() % 3] == service;
            journeys.iter().filter(own).map(Made::stands_for).sum::<u64>()
        };
        let end = UnixNanos(START + 5_000 * SECOND);
        let check = |counter: &SloCounter, kept: &[&Made]| {
            for from in [0, from / 300 * 300] {
                let expected = weights(kept.iter().copied(), from);
                let since = UnixNanos(START + from * SECOND);
                prop_assert_eq!(counter.between(since, end).weights(), expected);
                let parts = counter.parts_between(since, end);
                prop_assert_eq!(parts.blamed.values().sum::<u64>(), expected[1]);
                prop_assert_eq!(parts.failed.values().sum::<u64>(), expected[1]);
            }
            let whole: u64 = counter.coarse_parts.values().flat_map(|parts| parts.blamed.values()).sum();
            prop_assert_eq!(whole, weights(kept.iter().copied(), 0)[1]);
            Ok(())
        };
        check(&counter, &journeys.iter().collect::<Vec<_>>())?;
        let charged = counter.parts_between(UnixNanos(START), end).blamed;
        for service in SERVICES {
            let least = by_service(service);
            let got: u64 = charged.iter().filter(|(who, _)| *who.place.service == *service).map(|(_, part)| *part).sum();
            prop_assert!(got >= least, "{} of {} for {}", got, least, service);
        }
        let (mut left, mut random) = (journeys.iter().collect::<Vec<_>>(), order);
        for _ in 0..journeys.len() / 2 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = usize::try_from(random >> 33).unwrap() % left.len();
            left.swap_remove(at).change(&mut counter, false);
            // Whoever is left becomes usual.
            counter.baseline = Baseline::default();
        }
        check(&counter, &left)?;
        let mut again = SloCounter::default();
        left.iter().for_each(|journey| journey.change(&mut again, true));
        again.fill_from(counter.clone());
        check(&again, &left)?;
        let folder = tempfile::tempdir().unwrap();
        let document = Document::in_folder(folder.path(), "budgets.json", 1 << 20);
        let step = Step { service: "pay".to_owned(), operation: "charge".to_owned() };
        let selector = Selector {
            service: "web".to_owned(),
            operation: Some("buy".to_owned()),
            environment: None,
            threshold_ns: None,
            journey: Some(Journey { steps: vec![step], critical: Vec::new() }),
        };
        document.replace(&kept::write(&[(selector.clone(), counter.clone())].into()).unwrap()).unwrap();
        let read = kept::read(&document).unwrap().remove(&selector).unwrap();
        check(&read, &left)?;
        prop_assert_eq!(&read.coarse_parts, &counter.coarse_parts);
        left.iter().for_each(|journey| journey.change(&mut counter, false));
        check(&counter, &[])?;
        prop_assert!(counter.fine_parts.is_empty() && counter.coarse_parts.is_empty());
    }
}

/// Scenario: a hundred good journeys of 10, 20 and 30 ms in three services, then a slow one of 10, 80 and 60; one whose places took as usual while the
/// whole did not; and one when nothing is known of what is usual.
/// Guarantees: a slow one is charged by what each took longer, two thirds and one; what no place explains, and what nothing is known of, is nobody's.
#[test]
fn slow_journeys_are_charged_by_what_took_longer() {
    let good = |number: i64| Made { second: number, kind: 0, sampled: false, ms: [10, 20, 30] };
    let mut counter = SloCounter::default();
    let slow = Made { second: 200, kind: 6, sampled: false, ms: [10, 80, 60] };
    slow.change(&mut counter, true);
    let charged = |counter: &SloCounter| {
        let parts = counter.parts_between(UnixNanos(START), UnixNanos(START + 400 * SECOND)).blamed;
        parts.into_iter().map(|(who, part)| (who.place.service.to_string(), part)).collect::<BTreeMap<_, _>>()
    };
    assert_eq!(charged(&counter), [(String::new(), Weight::ONE)].into());
    slow.change(&mut counter, false);
    (0..100).for_each(|number| good(number).change(&mut counter, true));
    slow.change(&mut counter, true);
    let parts = charged(&counter);
    assert_eq!(parts.values().sum::<u64>(), Weight::ONE);
    // Usual times are known to 2.2 %.
    let about = |service: &str, share: f64| {
        let got = parts.get(service).copied().unwrap_or(0) as f64 / Weight::ONE as f64;
        assert!((got - share).abs() < 0.02, "{service}: {got} for {share}");
    };
    about("pay", 60.0 / 90.0);
    about("cart", 30.0 / 90.0);
    about("shop", 0.0);
    slow.change(&mut counter, false);
    assert_eq!(charged(&counter), [].into());
    // A clock that was set: the root says more than its parts.
    let mut other = SloCounter::default();
    (0..100).for_each(|number| good(number).change(&mut other, true));
    let usual = other.baseline.at(UnixNanos(START + 200 * SECOND)).unwrap();
    let (operation, version): (Arc<str>, Arc<str>) = ("buy".into(), "v1".into());
    let whole = Travelled {
        at: UnixNanos(START + 200 * SECOND),
        trace_id: TraceId::from_bytes(&[1; 16]).unwrap(),
        weight: Weight::default(),
        operation: &operation,
        version: &version,
        outcome: Outcome::Bad,
        failed: vec![1],
        cause: Cause::Slow,
        duration_ns: 160_000_000,
        times: [(place("pay"), (70_000_000, "v1".into()))].into(),
    };
    let charges = parts::charges(&whole, Some(&usual));
    assert_eq!(charges.iter().map(|(_, part)| part).sum::<u64>(), Weight::ONE);
    let nobody = charges.iter().find(|(who, _)| *who == Blamed::nobody()).unwrap().1;
    assert!((nobody as f64 / Weight::ONE as f64 - 0.5).abs() < 0.03, "{nobody}");
}

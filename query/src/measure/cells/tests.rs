mod overflow;

use std::ops::Range;

use daytwo_storage::TraceId;
use proptest::prelude::*;

use super::*;
use crate::measure::LogHistogram;
use crate::trace::Weight;

const START: i64 = 1_795_341_600_000_000_000;
const SECOND: i64 = 1_000_000_000;
const DAY: Duration = Duration::from_secs(86_400);

/// A call of one of a few operations, so many seconds after [`START`].
fn call(operation: u8, second: i64, duration_ns: i64) -> CellEntry {
    CellEntry {
        key: CellKey {
            environment: "prod".into(),
            service: "pay".into(),
            version: "v1".into(),
            operation: format!("GET /{operation}").into(),
            kind: 2,
            peer: "".into(),
            journey: "".into(),
        },
        at: UnixNanos(START + second * SECOND),
        duration_ns,
        self_ns: Some(duration_ns / 2),
        gap_ns: (duration_ns % 3 == 0).then_some(duration_ns / 3),
        error: duration_ns % 2 == 0,
        own_error: false,
        weight: Weight::of(if duration_ns % 5 == 0 { "ot=th:c" } else { "" }),
        trace_id: TraceId::from_bytes(&[[1; 8], duration_ns.to_be_bytes()].concat()).unwrap(),
    }
}

/// What is asked of cells in a test.
#[derive(Debug, Clone)]
enum Step {
    Add(CellEntry),
    /// Takes out one of those added before.
    Remove(prop::sample::Index),
    /// Lets so many seconds pass, and looks after the cells then.
    Wait(i64),
    /// Puts in another count of calls like these.
    Fill(Vec<CellEntry>),
}

fn calls(seconds: Range<i64>) -> impl Strategy<Value = CellEntry> {
    (0_u8..4, seconds, 1_i64..1 << 30).prop_map(|(operation, second, duration)| call(operation, second, duration))
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => calls(0..6 * 3_600).prop_map(Step::Add),
        1 => any::<prop::sample::Index>().prop_map(Step::Remove),
        2 => (1_i64..2_000).prop_map(Step::Wait),
        1 => prop::collection::vec(calls(0..3_600), 1..8).prop_map(Step::Fill),
    ];
    prop::collection::vec(step, 1..80)
}

/// What all cells take, looked at one by one.
fn walked(cells: &SliCells) -> usize {
    let of = |(key, series): (&CellKey, &Series)| {
        let all = series.fine().values().chain(series.coarse().values());
        all.map(series::bytes_of).sum::<usize>() + key.bytes() + size_of::<Series>()
    };
    let names: BTreeSet<_> = cells.series.keys().map(|key| (&key.environment, &key.journey)).collect();
    let named = names.iter().filter(|(_, journey)| !journeys::needs_none(journey)).map(|(_, journey)| journey.len());
    cells.series.iter().map(of).sum::<usize>() + named.sum::<usize>()
}

/// Starts of all cells, with their widths.
fn starts(cells: &SliCells) -> Vec<(i64, Duration)> {
    let of = |series: &Series| {
        let fine: Vec<_> = series.fine().keys().map(|start| (*start, FINE)).collect();
        fine.into_iter().chain(series.coarse().keys().map(|start| (*start, COARSE))).collect::<Vec<_>>()
    };
    cells.series.values().flat_map(of).collect()
}

proptest! {
    /// Scenario: calls are added, taken out and put in from another count in any order, while time passes at any pace, with and without a limit
    /// of memory that is felt.
    /// Guarantees: what cells take is what a walk over all of them finds, at any moment; once they were looked after no cell is too old for its
    /// width, none is older than cells are kept, and the limit holds.
    #[test]
    fn what_cells_take_is_always_known(steps in steps(), felt: bool) {
        let bytes_max = if felt { 20_000 } else { usize::MAX };
        let (mut cells, mut now, mut added) = (SliCells::new(3, bytes_max), START, Vec::new());
        for step in steps {
            match step {
                Step::Add(entry) => {
                    cells.add(&entry);
                    added.push(entry);
                }
                Step::Remove(which) if !added.is_empty() => cells.remove(&added.swap_remove(which.index(added.len()))),
                Step::Remove(_) => {}
                Step::Fill(entries) => {
                    let mut other = SliCells::new(3, usize::MAX);
                    entries.iter().for_each(|entry| other.add(entry));
                    other.maintain(UnixNanos(now), DAY);
                    cells.fill_from(other);
                }
                Step::Wait(seconds) => {
                    now += seconds * SECOND;
                    cells.maintain(UnixNanos(now), Duration::from_secs(4 * 3_600));
                    let (fine_from, kept_from) = (slot_start(UnixNanos(now - 7_200 * SECOND), COARSE), now - 14_400 * SECOND);
                    for (start, width) in starts(&cells) {
                        let oldest = if width == FINE { fine_from } else { kept_from };
                        prop_assert!(start >= oldest, "{} {:?}", start, width);
                    }
                    prop_assert!(cells.bytes() <= bytes_max);
                    prop_assert_eq!(cells.len(), starts(&cells).len());
                }
            }
            prop_assert_eq!(cells.bytes(), walked(&cells));
        }
    }

    /// Scenario: calls over six hours come in any order, hours late some of them, while the clock goes on in steps of any length.
    /// Guarantees: each cell has the calls that a list of all of them, sorted into its slots, says it has.
    #[test]
    fn cells_hold_what_a_list_holds(entries in prop::collection::vec(calls(0..6 * 3_600), 1..120), pace in 1_i64..600) {
        let (mut cells, mut now) = (SliCells::new(100, usize::MAX), START + 6 * 3_600 * SECOND);
        for entry in &entries {
            cells.add(entry);
            now += pace * SECOND;
            cells.maintain(UnixNanos(now), DAY);
        }
        let mut expected: BTreeMap<(CellKey, i64), u64> = BTreeMap::new();
        // What is older than a day goes by cells, not by calls.
        for entry in entries.iter().filter(|entry| slot_start(entry.at, COARSE) >= now - 86_400 * SECOND) {
            let is_fine = slot_start(entry.at, COARSE) >= slot_start(UnixNanos(now - 7_200 * SECOND), COARSE);
            let slot = slot_start(entry.at, if is_fine { FINE } else { COARSE });
            *expected.entry((entry.key.clone(), slot)).or_default() += 1;
        }
        let ever = TimeWindow { from: UnixNanos(0), to: UnixNanos(i64::MAX) };
        let found: BTreeMap<(CellKey, i64), u64> =
            cells.iter(ever, |_| true).map(|(key, slot, cell)| ((key.clone(), slot.from_unix_nano), cell.calls)).collect();
        prop_assert_eq!(found, expected);
    }
}

/// Scenario: ten hours of calls of two operations, of which there is room for some two thirds.
/// Guarantees: the oldest go, of both operations alike, no more of them than must, and each is counted.
#[test]
fn the_oldest_cells_go_first() {
    let filled = |bytes_max| {
        let mut cells = SliCells::new(10, bytes_max);
        (0..7_200)
            .for_each(|number| cells.add(&call(u8::from(number % 2 == 0), number * 5, 1_000_000 + number * 7_919)));
        cells.maintain(UnixNanos(START + 36_000 * SECOND), DAY);
        cells
    };
    let whole = filled(usize::MAX);
    let limit = whole.bytes() * 2 / 3;
    let cut = filled(limit);
    assert!(cut.bytes() <= limit);
    assert_eq!(cut.dropped(), (whole.len() - cut.len()) as u64);
    let (mut before, mut after) = (starts(&whole), starts(&cut));
    before.sort();
    after.sort();
    assert!(before.ends_with(&after) && !after.is_empty());
    // One step more would have been enough: the cells of the youngest five minutes that went do not fit in.
    let youngest_gone = before[before.len() - after.len() - 1].0;
    let of_step = |series: &Series| {
        let all = series.coarse().iter().chain(series.fine());
        let start = slot_start(UnixNanos(youngest_gone), COARSE);
        all.filter(|(at, _)| (start..start + 300 * SECOND).contains(*at))
            .map(|(_, cell)| series::bytes_of(cell))
            .sum::<usize>()
    };
    assert!(cut.bytes() + whole.series.values().map(of_step).sum::<usize>() > limit);
}

/// Scenario: an hour of calls, three hours later.
/// Guarantees: a rolled-up cell takes what its buckets need, with no room to grow.
#[test]
fn rolled_up_cells_have_no_room_to_grow() {
    let mut cells = SliCells::new(10, usize::MAX);
    (0..3_600).for_each(|second| cells.add(&call(1, second, 1_000_000 + second * second * 7_919)));
    cells.maintain(UnixNanos(START + 4 * 3_600 * SECOND), DAY);
    let ever = TimeWindow { from: UnixNanos(0), to: UnixNanos(i64::MAX) };
    let rolled_up: Vec<&CellValue> = cells.iter(ever, |_| true).map(|(.., cell)| cell).collect();
    assert_eq!(rolled_up.len(), 12);
    for cell in rolled_up {
        let gap = cell.gap().unwrap();
        for histogram in [&cell.total, &cell.own, gap] {
            let needed = size_of::<LogHistogram>() + size_of_val(histogram.buckets());
            assert_eq!(histogram.memory_bytes(), needed);
        }
    }
}

/// A call in one of a few journeys.
fn call_in(journey: &str, operation: u8, second: i64, duration_ns: i64) -> CellEntry {
    let call = call(operation, second, duration_ns);
    CellEntry { key: CellKey { journey: journey.into(), ..call.key.clone() }, ..call }
}

/// Calls by operation and stretch of five minutes.
fn calls_by_slot(cells: &SliCells) -> BTreeMap<(String, i64), u64> {
    let ever = TimeWindow { from: UnixNanos(0), to: UnixNanos(i64::MAX) };
    let mut calls = BTreeMap::new();
    for (key, slot, cell) in cells.iter(ever, |_| true) {
        let at = slot_start(UnixNanos(slot.from_unix_nano), COARSE);
        *calls.entry((key.operation.to_string(), at)).or_default() += cell.calls;
    }
    calls
}

proptest! {
    /// Scenario: calls over three hours; one count has seen them all in their journeys, another, kept or not, some of them in other ones. Both
    /// are put together, either into the other; then all calls are taken out and put back in their journeys, as late spans do.
    /// Guarantees: every call counts once, whichever was put into which, and afterwards too.
    #[test]
    fn two_counts_in_other_journeys_make_one(
        calls in prop::collection::vec((calls(0..3 * 3_600), 0_u8..3, 0_u8..4), 1..60),
        swap: bool,
        kept: bool,
        rolled_up: bool,
    ) {
        let now = UnixNanos(START + 3 * 3_600 * SECOND);
        let journey = |number: u8| ["", "a:1", "a:1 > b:2", "~other"][usize::from(number)];
        let (mut whole, mut part) = (SliCells::new(100, usize::MAX), SliCells::new(100, usize::MAX));
        let entries: Vec<CellEntry> = calls
            .iter()
            .map(|(call, own, _)| CellEntry { key: CellKey { journey: journey(*own).into(), ..call.key.clone() }, ..call.clone() })
            .collect();
        entries.iter().for_each(|entry| whole.add(entry));
        for (call, _, other) in calls.iter().filter(|(.., other)| *other < 3) {
            part.add(&CellEntry { key: CellKey { journey: journey(*other).into(), ..call.key.clone() }, ..call.clone() });
        }
        let expected = calls_by_slot(&whole);
        if rolled_up {
            whole.maintain(now, DAY);
        }
        if kept {
            let hours = part.take_changed(now, true);
            part = SliCells::new(100, usize::MAX);
            hours.iter().rev().for_each(|hour| assert!(part.take_kept(&hour.bytes).unwrap() > 0));
        }
        let (mut into, from) = if swap { (part, whole) } else { (whole, part) };
        into.fill_from(from);
        prop_assert_eq!(calls_by_slot(&into), expected.clone());
        prop_assert_eq!(into.bytes(), walked(&into));
        entries.iter().for_each(|entry| {
            into.remove(entry);
            into.add(entry);
        });
        prop_assert_eq!(calls_by_slot(&into), expected);
        entries.iter().for_each(|entry| into.remove(entry));
        prop_assert_eq!(calls_by_slot(&into), BTreeMap::new());
        prop_assert!(into.is_empty() && into.bytes() == 0);
    }
}

/// Scenario: calls in a hundred journeys of two environments, then those of all but ten are taken out, and a hundred further journeys come.
/// Guarantees: sixty-four journeys of each environment have a name, first come; names that nobody has any more go to those that come next; what
/// has none is in `~other` and counted, once for all spans of a trace.
#[test]
fn sixty_four_journeys_have_a_name() {
    let mut cells = SliCells::new(1_000, usize::MAX);
    let entries = |from: i64| {
        (from..from + 100).flat_map(|number| {
            ["prod", "test"].map(|environment| {
                let call = call_in(&format!("shop:GET /{number}"), 1, 0, number + 1);
                CellEntry { key: CellKey { environment: environment.into(), ..call.key.clone() }, ..call }
            })
        })
    };
    let named = |cells: &SliCells, environment: &str| {
        let keys = cells.keys(&CellFilter { environments: Some(vec![environment.to_owned()]), ..CellFilter::ALL });
        keys.into_iter().map(|(key, _)| key.journey.to_string()).collect::<BTreeSet<String>>()
    };
    entries(0).for_each(|entry| cells.add(&entry));
    let names = |range: Range<i64>| range.map(|number| format!("shop:GET /{number}")).collect::<BTreeSet<String>>();
    let other = BTreeSet::from(["~other".to_owned()]);
    for environment in ["prod", "test"] {
        assert_eq!(named(&cells, environment), &names(0..64) | &other);
    }
    assert_eq!((cells.overflowed_journeys(), cells.overflowed()), (36, 0));
    entries(0).skip(20).for_each(|entry| cells.remove(&entry));
    assert_eq!(named(&cells, "prod"), names(0..10));
    entries(100).for_each(|entry| cells.add(&entry));
    assert_eq!(named(&cells, "test"), &(&names(0..10) | &names(100..154)) | &other);
    assert_eq!(cells.overflowed_journeys(), 36 + 46);
}

/// Scenario: more series than may be told apart, since every operation is called in several journeys.
/// Guarantees: journeys are given up before operations; as many operations as the limit says keep their name, and every call counts.
#[test]
fn journeys_cost_no_operation_its_name() {
    let mut cells = SliCells::new(20, usize::MAX);
    for operation in 0..30 {
        for journey in 0..10 {
            cells.add(&call_in(
                &format!("shop:GET /{journey}"),
                operation,
                0,
                1_000 + i64::from(operation) * 10 + journey,
            ));
        }
    }
    let operations: BTreeSet<String> =
        cells.keys(&CellFilter::ALL).into_iter().map(|(key, _)| key.operation.to_string()).collect();
    assert!(operations.len() > 20, "{operations:?}");
    assert!(cells.keys(&CellFilter::ALL).len() <= 41);
    assert_eq!(calls_by_slot(&cells).values().sum::<u64>(), 300);
    assert!(cells.overflowed_journeys() > 0);
}

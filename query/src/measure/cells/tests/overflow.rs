//! More operations, journeys and services than are told apart, over restarts and late spans: every span counts once.

use super::*;

/// A call of one of a few operations of one of a few services, in one of a few journeys.
fn any_call() -> impl Strategy<Value = CellEntry> {
    (calls(0..3 * 3_600), 0_u8..3, 0_u8..4).prop_map(|(call, service, journey)| {
        let journey = ["", "a:1", "a:1 > b:2", "c:3"][usize::from(journey)];
        let key = CellKey { service: format!("s{service}").into(), journey: journey.into(), ..call.key.clone() };
        CellEntry { key, ..call }
    })
}

/// Calls by stretch of five minutes, of all services together, in counts and in durations.
fn calls_in_all(cells: &SliCells) -> BTreeMap<i64, (u64, u64)> {
    let ever = TimeWindow { from: UnixNanos(0), to: UnixNanos(i64::MAX) };
    let mut calls: BTreeMap<i64, (u64, u64)> = BTreeMap::new();
    for (_, slot, cell) in cells.iter(ever, |_| true) {
        let sums = calls.entry(slot_start(UnixNanos(slot.from_unix_nano), COARSE)).or_default();
        *sums = (sums.0 + cell.calls, sums.1 + cell.total.count());
    }
    calls
}

proptest! {
    /// Scenario: two counts, each with room for few series, take calls of more operations and services in another order, one of them not all;
    /// either is kept or not, and put into the other; then all calls are taken out and put back, as late spans do.
    /// Guarantees: every call counts once, whatever each of the two told apart.
    #[test]
    fn two_counts_that_overflow_otherwise_make_one(
        entries in prop::collection::vec((any_call(), any::<bool>()), 1..60),
        series_max in 1_usize..8,
        swap: bool,
        kept: bool,
        rolled_up: bool,
    ) {
        let now = UnixNanos(START + 3 * 3_600 * SECOND);
        let empty = || SliCells::new(series_max, usize::MAX);
        let (mut whole, mut part) = (empty(), empty());
        entries.iter().for_each(|(entry, _)| whole.add(entry));
        entries.iter().rev().filter(|(_, both)| *both).for_each(|(entry, _)| part.add(entry));
        let expected = calls_in_all(&whole);
        if rolled_up {
            whole.maintain(now, DAY);
        }
        if kept {
            let hours = part.take_changed(now, true);
            part = empty();
            hours.iter().rev().for_each(|hour| assert!(part.take_kept(&hour.bytes).unwrap() > 0));
        }
        let (mut into, from) = if swap { (part, whole) } else { (whole, part) };
        into.fill_from(from);
        prop_assert_eq!(calls_in_all(&into), expected.clone());
        prop_assert_eq!((into.bytes(), into.dropped()), (walked(&into), 0));
        for (entry, _) in &entries {
            into.remove(entry);
            into.add(entry);
        }
        prop_assert_eq!(calls_in_all(&into), expected);
        entries.iter().for_each(|(entry, _)| into.remove(entry));
        prop_assert!(into.is_empty() && into.bytes() == 0);
    }
}

/// Scenario: four operations take all names there are, and two more come two hours later, which have none; the engine ends, and the next one reads
/// the spans of the last hour again, in which there are names enough. What was kept of the four is there, or has been forgotten.
/// Guarantees: the calls of the two count once, whether under their names or together; those of the four count as far as they were kept.
#[test]
fn an_engine_with_names_enough_counts_nothing_twice() {
    let mut before = SliCells::new(2, usize::MAX);
    let late: Vec<CellEntry> = (5..7).map(|operation| call(operation, 7_200, 1_000 + i64::from(operation))).collect();
    (1..5).for_each(|operation| before.add(&call(operation, 0, 1_000 + i64::from(operation))));
    late.iter().for_each(|entry| before.add(entry));
    assert_eq!(before.overflowed(), 2);
    let hours = before.take_changed(UnixNanos(START + 7_300 * SECOND), true);
    let early = BTreeMap::from([(START, (4, 4))]);
    for (hours, early) in [(&hours[..], early), (&hours[1..], BTreeMap::new())] {
        let mut kept = SliCells::new(2, usize::MAX);
        hours.iter().rev().for_each(|hour| assert!(kept.take_kept(&hour.bytes).unwrap() > 0));
        let mut again = SliCells::new(2, usize::MAX);
        late.iter().for_each(|entry| again.add(entry));
        again.fill_from(kept);
        let mut expected = early.clone();
        expected.insert(START + 7_200 * SECOND, (2, 2));
        assert_eq!(calls_in_all(&again), expected);
        late.iter().for_each(|entry| again.remove(entry));
        assert_eq!(calls_in_all(&again), early);
    }
}

/// Scenario: an hour of calls; then in one minute 64 journeys with names of 128 KiB, as clients may send them, each through 40 operations.
/// Guarantees: a name takes its room once, and not once for each operation, so that nobody's history goes for it.
#[test]
fn long_names_of_journeys_push_nobody_out() {
    let mut cells = SliCells::new(20_000, 64 << 20);
    (0..360).for_each(|number| cells.add(&call(1, number * 10, 1_000 + number)));
    let history = starts(&cells);
    for journey in 0..64 {
        let name = format!("{journey}:{}", "x".repeat(128 << 10));
        for operation in 0..40 {
            cells.add(&call_in(&name, operation, 3_600, 1_000));
        }
    }
    cells.maintain(UnixNanos(START + 3_660 * SECOND), DAY);
    assert!(history.iter().all(|start| starts(&cells).contains(start)));
    assert_eq!((cells.bytes(), cells.dropped()), (walked(&cells), 0));
    let named = cells.series.keys().filter(|key| !key.journey.is_empty());
    assert_eq!(named.map(|key| key.journey.as_ptr()).collect::<BTreeSet<_>>().len(), 64);
}

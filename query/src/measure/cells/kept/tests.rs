use std::collections::BTreeMap;

use super::super::{CellEntry, Slot};
use super::*;
use crate::sli::TimeWindow;
use crate::trace::Weight;

const START: i64 = 1_795_341_600_000_000_000;
const MINUTE: i64 = 60_000_000_000;

fn cells() -> SliCells {
    SliCells::new(1_000, 1 << 30)
}

fn entry(operation: &str, at: i64, duration_ns: i64) -> CellEntry {
    CellEntry {
        key: CellKey {
            environment: "prod".into(),
            service: "pay".into(),
            version: "v1".into(),
            operation: operation.into(),
            kind: if operation == "GET /b" { 3 } else { 2 },
            peer: if operation == "GET /b" { "bank" } else { "" }.into(),
            journey: "shop:GET /".into(),
        },
        at: UnixNanos(at),
        duration_ns,
        self_ns: Some(duration_ns / 2),
        gap_ns: (operation == "GET /b").then_some(duration_ns / 2),
        error: duration_ns % 3 == 0,
        own_error: duration_ns % 6 == 0,
        weight: Weight::of(if duration_ns % 5 == 0 { "ot=th:c" } else { "" }),
        trace_id: TraceId::from_bytes(&[[1; 8], duration_ns.to_be_bytes()].concat()).unwrap(),
    }
}

fn rows(cells: &SliCells) -> BTreeMap<(CellKey, i64), (Slot, CellValue)> {
    let ever = TimeWindow { from: UnixNanos(0), to: UnixNanos(i64::MAX) };
    cells
        .iter(ever, |_| true)
        .map(|(key, slot, value)| ((key.clone(), slot.from_unix_nano), (slot, value.clone())))
        .collect()
}

fn later(minutes: i64) -> UnixNanos {
    UnixNanos(START + minutes * MINUTE)
}

/// Calls of two operations, five a minute, over so many minutes.
fn filled(minutes: i64) -> SliCells {
    let mut cells = cells();
    for number in 0..minutes * 5 {
        let operation = if number % 2 == 0 { "GET /a" } else { "GET /b" };
        cells.add(&entry(operation, START + number * MINUTE / 5, 1_000_000 + number * 7_919));
    }
    cells
}

/// Scenario: three hours of calls four hours later; what has changed is taken, kept and taken up by an empty engine; again after nothing
/// happened, and after a late span.
/// Guarantees: each cell is there as it was, to the histogram's bit; nothing is written twice for nothing, a late span writes its hour alone.
#[test]
fn hours_are_kept_as_they_are() {
    let mut before = filled(180);
    before.maintain(later(420), Duration::from_secs(28 * 86_400));
    let kept = before.take_changed(later(420), false);
    assert_eq!(kept.iter().map(|hour| hour.start).collect::<Vec<_>>(), [0, 60, 120].map(|minute| later(minute).0));
    let mut after = cells();
    kept.iter().for_each(|hour| assert!(after.take_kept(&hour.bytes).unwrap() > 0));
    assert_eq!(rows(&after), rows(&before));
    assert_eq!(rows(&after).values().map(|(_, cell)| cell.calls).sum::<u64>(), 900);
    assert_eq!(before.take_changed(later(420), true), []);
    before.add(&entry("GET /a", START + 61 * MINUTE, 5));
    let again = before.take_changed(later(420), false);
    assert_eq!(again.iter().map(|hour| hour.start).collect::<Vec<_>>(), [later(60).0]);
    after.take_kept(&again[0].bytes).unwrap();
    assert_eq!(rows(&after), rows(&before), "the larger cell takes the smaller one's place");
}

/// Scenario: an hour and a half of calls that are still fine; taken on the way and at the end.
/// Guarantees: on the way nothing that may still grow is written; at the end everything is, rolled up, with no span lost.
#[test]
fn the_end_writes_what_is_still_fine() {
    let mut before = filled(90);
    before.maintain(later(91), Duration::from_secs(28 * 86_400));
    assert_eq!(before.take_changed(later(91), false), []);
    let kept = before.take_changed(later(91), true);
    assert_eq!(kept.len(), 2);
    let mut after = cells();
    kept.iter().for_each(|hour| assert!(after.take_kept(&hour.bytes).unwrap() > 0));
    let calls = |cells: &SliCells| rows(cells).values().map(|(_, cell)| cell.calls).sum::<u64>();
    assert_eq!((calls(&after), calls(&before)), (450, 450));
    assert!(rows(&after).values().all(|(slot, _)| slot.width_ns == slot_width(COARSE)));
}

/// Scenario: two counts of the same spans: one lacks the first hour and has fine cells, the other lacks the last half hour.
/// Guarantees: put together they have every span once, whichever is put into the other.
#[test]
fn two_counts_make_one() {
    let whole = filled(180);
    let part = |from: i64, to: i64| {
        let mut part = cells();
        for number in (0..900).filter(|number| (from * 5..to * 5).contains(number)) {
            let operation = if number % 2 == 0 { "GET /a" } else { "GET /b" };
            part.add(&entry(operation, START + number * MINUTE / 5, 1_000_000 + number * 7_919));
        }
        part
    };
    let by_operation = |cells: &SliCells| {
        let mut sums: BTreeMap<CellKey, (u64, u64, u64)> = BTreeMap::new();
        for ((key, _), (_, cell)) in rows(cells) {
            let sum = sums.entry(key).or_default();
            *sum = (sum.0 + cell.calls, sum.1 + cell.errors, sum.2 + cell.total.count());
        }
        sums
    };
    for swap in [false, true] {
        let (mut early, mut late) = (part(0, 150), part(60, 180));
        early.maintain(later(240), Duration::from_secs(28 * 86_400));
        late.maintain(later(181), Duration::from_secs(28 * 86_400));
        let (mut into, from) = if swap { (early, late) } else { (late, early) };
        into.fill_from(from);
        assert_eq!(by_operation(&into), by_operation(&whole), "{swap}");
    }
}

/// Scenario: an hour as it was written before cells had peers, gaps, weights and exemplars, byte by byte.
/// Guarantees: it is taken up; what it does not have is empty.
#[test]
fn hours_of_the_first_form_stay_readable() {
    let mut body = Vec::new();
    put_number(&mut body, START.unsigned_abs());
    ["prod", "pay", "v1", "GET /a"].iter().for_each(|text| put_text(&mut body, text));
    // Kind, cells, slot; calls, errors, own errors.
    [2, 1, 3, 5, 2, 1].iter().for_each(|count| put_number(&mut body, *count));
    // Durations: scale cut by one, no zeros, one bucket of five; self times: cut by one, two zeros, one bucket of three.
    [1, 0, 1, 701, 5, 1, 2, 1, 601, 3].iter().for_each(|part| put_number(&mut body, *part));
    let bytes = [b"DTCELLS1".as_slice(), &crc32c::crc32c(&body).to_le_bytes(), &body].concat();
    let mut after = cells();
    after.take_kept(&bytes).unwrap();
    let rows = rows(&after);
    let ((key, at), (_, cell)) = rows.first_key_value().unwrap();
    assert_eq!((&*key.operation, &*key.peer, *at), ("GET /a", "", START + 15 * MINUTE));
    assert_eq!((cell.calls, cell.errors, cell.own_errors), (5, 2, 1));
    assert_eq!((cell.total.buckets(), cell.own.buckets()), (&[(700, 5)][..], &[(600, 3)][..]));
    assert_eq!((cell.gap(), cell.adjusted_calls(), cell.exemplars().0.count()), (None, 5.0, 0));
}

/// Scenario: kept bytes with any one bit turned, and any beginning of them.
/// Guarantees: each is refused with a reason, and nothing of it is taken.
#[test]
fn damage_is_found() {
    let mut before = filled(10);
    let kept = before.take_changed(later(11), true).remove(0).bytes;
    for at in 0..kept.len() {
        let mut damaged = kept.clone();
        damaged[at] ^= 1 << (at % 8);
        let mut after = cells();
        assert!(after.take_kept(&damaged).is_err(), "{at}");
        assert!(after.take_kept(&kept[..at]).is_err(), "{at}");
        assert!(after.is_empty());
    }
}

//! Cells over a restart: an hour of them as bytes, and two counts of the same spans put together.
//!
//! An hour is written once its last fine cell was rolled up, again when a late span changed it, and in any case at the end. Neither of two
//! counts has a span twice, so of each cell the larger one is the more complete: the kept one where the stored spans that are read again do
//! not reach, the recounted one where the process ended before the hour was written.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use daytwo_storage::{TraceId, UnixNanos};

use super::exemplars::{EACH_MAX, Exemplar, Exemplars};
use super::series::bytes_of;
use super::value::More;
use super::{COARSE, CellKey, CellValue, FINE_KEPT, Series, SliCells, slot_start, slot_width};
use crate::measure::bytes::{number, put_number, put_text, text};
use crate::measure::{Count, LogHistogram};

/// What a file begins with.
const MAGIC: &[u8; 8] = b"DTCELLS2";
/// What a file began with before cells had peers, gaps, weights and exemplars.
const MAGIC_1: &[u8; 8] = b"DTCELLS1";
/// An hour.
const HOUR: Duration = Duration::from_secs(3_600);

/// An hour of cells as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeptHour {
    /// Its start.
    pub(crate) start: i64,
    /// The cells.
    pub(crate) bytes: Vec<u8>,
}

/// The hour that an instant lies in.
pub(super) fn hour_of(at: i64) -> i64 {
    slot_start(UnixNanos(at), HOUR)
}

impl SliCells {
    /// Hours that have changed since they were taken last: those that are rolled up whole, or all of them at the end.
    pub(crate) fn take_changed(&mut self, now: UnixNanos, at_the_end: bool) -> Vec<KeptHour> {
        let whole_until = slot_start(now.saturating_sub(FINE_KEPT), COARSE);
        if at_the_end {
            let fine = self.series.values().flat_map(|series| series.fine().keys()).map(|start| hour_of(*start));
            self.changed.extend(fine);
        }
        let due = |start: &i64| at_the_end || start.saturating_add(slot_width(HOUR)) <= whole_until;
        let hours: Vec<i64> = self.changed.iter().copied().filter(due).collect();
        hours.iter().for_each(|start| {
            self.changed.remove(start);
        });
        hours.into_iter().map(|start| KeptHour { start, bytes: self.encode(start) }).collect()
    }

    /// Says that an hour could not be written after all.
    pub(crate) fn keep_changed(&mut self, start: i64) {
        self.changed.insert(start);
    }

    fn encode(&self, start: i64) -> Vec<u8> {
        let mut keys: Vec<(&CellKey, &Series)> = self.series.iter().collect();
        keys.sort_by(|left, right| left.0.cmp(right.0));
        let mut body = Vec::new();
        put_number(&mut body, u64::try_from(start).unwrap_or(0));
        for (key, series) in keys {
            let cells = series.rolled_up(start);
            if cells.is_empty() {
                continue;
            }
            for text in [&key.environment, &key.service, &key.version, &key.operation, &key.peer] {
                put_text(&mut body, text);
            }
            put_number(&mut body, u64::try_from(key.kind).unwrap_or(0));
            put_number(&mut body, cells.len() as u64);
            for (at, cell) in cells {
                let slot = at.saturating_sub(start) / slot_width(COARSE);
                put_number(&mut body, u64::try_from(slot).unwrap_or(0));
                put_cell(&mut body, &cell);
            }
        }
        [MAGIC.as_slice(), &crc32c::crc32c(&body).to_le_bytes(), &body].concat()
    }

    /// Takes up an hour that was kept; how many bytes of memory its cells have.
    ///
    /// # Errors
    /// What is wrong with the bytes; nothing was taken then.
    pub(crate) fn take_kept(&mut self, bytes: &[u8]) -> Result<usize, &'static str> {
        let known = [(Form::Second, MAGIC), (Form::First, MAGIC_1)];
        let rest = known.into_iter().find_map(|(form, magic)| Some((form, bytes.strip_prefix(magic.as_slice())?)));
        let (form, rest) = rest.ok_or("it does not begin as cells do")?;
        let (sum, mut body) = rest.split_at_checked(4).ok_or("it is cut off")?;
        if crc32c::crc32c(body).to_le_bytes() != *sum {
            return Err("its checksum does not match");
        }
        let cells = decode(&mut body, form).ok_or("it holds something that is no cell")?;
        let memory = cells.iter().map(|(_, _, cell)| bytes_of(cell)).sum();
        for (key, at, cell) in cells {
            self.fill(key, at, cell);
        }
        Ok(memory)
    }

    /// Puts cells of another count of the same spans in where they are the more complete.
    pub(crate) fn fill_from(&mut self, other: Self) {
        self.overflowed = self.overflowed.max(other.overflowed);
        self.dropped = self.dropped.max(other.dropped);
        self.changed.extend(other.changed);
        for (key, series) in other.series {
            let (coarse, fine) = series.into_cells();
            coarse.into_iter().for_each(|(at, cell)| self.fill(key.clone(), at, cell));
            fine.into_iter().for_each(|(at, cell)| self.fill_fine(key.clone(), at, cell));
        }
    }

    /// Whether there is room for a cell of this key; else it counts as dropped.
    fn has_room_for(&mut self, key: &CellKey) -> bool {
        let has_room = self.series.contains_key(key) || self.series.len() < self.series_max.saturating_mul(2);
        self.dropped = self.dropped.saturating_add(u64::from(!has_room));
        has_room
    }

    fn fill(&mut self, key: CellKey, at: i64, cell: CellValue) {
        if self.has_room_for(&key) {
            self.with_series(key, |series| series.fill(at, cell));
            self.oldest_coarse = self.oldest_coarse.min(at);
        }
    }

    fn fill_fine(&mut self, key: CellKey, at: i64, cell: CellValue) {
        if self.has_room_for(&key) {
            self.with_series(key, |series| series.fill_fine(at, cell));
            self.oldest_fine = self.oldest_fine.min(at);
        }
    }
}

impl Series {
    /// The coarse cells of an hour, those included that are still fine.
    fn rolled_up(&self, start: i64) -> BTreeMap<i64, CellValue> {
        let hour = start..start.saturating_add(slot_width(HOUR));
        let mut cells: BTreeMap<i64, CellValue> =
            self.coarse().range(hour.clone()).map(|(at, cell)| (*at, cell.clone())).collect();
        for (at, cell) in self.fine().range(hour) {
            let coarse = cells.entry(slot_start(UnixNanos(*at), COARSE)).or_default();
            coarse.merge_coarsely(cell);
        }
        cells.retain(|_, cell| cell.calls > 0);
        cells
    }
}

/// How cells were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    First,
    Second,
}

fn decode(body: &mut &[u8], form: Form) -> Option<Vec<(CellKey, i64, CellValue)>> {
    let start = i64::try_from(number(body)?).ok()?;
    let slots = slot_width(HOUR) / slot_width(COARSE);
    let mut cells = Vec::new();
    while !body.is_empty() {
        let [environment, service, version, operation] =
            [text(body)?, text(body)?, text(body)?, text(body)?].map(Arc::from);
        let peer = if form == Form::Second { text(body)? } else { "" }.into();
        let kind = i32::try_from(number(body)?).ok()?;
        let key = CellKey { environment, service, version, operation, kind, peer };
        for _ in 0..number(body)? {
            let slot = i64::try_from(number(body)?).ok().filter(|slot| *slot < slots)?;
            let at = start.checked_add(slot.checked_mul(slot_width(COARSE))?)?;
            cells.push((key.clone(), at, take_cell(body, form)?));
        }
    }
    Some(cells)
}

/// Set when a cell has gaps.
const GAPS: u64 = 1;
/// Set when a cell has sampled spans.
const SAMPLED: u64 = 2;

fn put_cell(out: &mut Vec<u8>, cell: &CellValue) {
    put_counts(out, [cell.calls, cell.errors, cell.own_errors]);
    cell.total.put(out);
    cell.own.put(out);
    let gaps = if cell.gap.is_some() { GAPS } else { 0 };
    put_number(out, gaps + if cell.more.is_some() { SAMPLED } else { 0 });
    if let Some(gap) = &cell.gap {
        gap.put(out);
    }
    if let Some(more) = &cell.more {
        put_counts(out, [more.calls, more.errors, more.own_errors]);
        [&more.total, &more.own, &more.gap].into_iter().for_each(|histogram| histogram.put(out));
    }
    for exemplars in [&cell.slowest, &cell.failed] {
        put_number(out, exemplars.iter().len() as u64);
        for exemplar in exemplars.iter() {
            put_number(out, u64::try_from(exemplar.duration_ns).unwrap_or(0));
            out.extend_from_slice(exemplar.trace_id.as_bytes());
        }
    }
}

fn take_cell(body: &mut &[u8], form: Form) -> Option<CellValue> {
    let [calls, errors, own_errors] = take_counts(body)?;
    let (total, own) = (LogHistogram::take(body)?, LogHistogram::take(body)?);
    let mut cell = CellValue { calls, errors, own_errors, total, own, ..CellValue::default() };
    if form == Form::First {
        return Some(cell);
    }
    let has = number(body).filter(|has| *has <= GAPS + SAMPLED)?;
    if has & GAPS != 0 {
        cell.gap = Some(Box::new(LogHistogram::take(body)?));
    }
    if has & SAMPLED != 0 {
        cell.more = Some(Box::new(take_more(body)?));
    }
    cell.slowest = take_exemplars(body)?;
    cell.failed = take_exemplars(body)?;
    Some(cell)
}

fn take_more(body: &mut &[u8]) -> Option<More> {
    fn histogram<C: Count>(body: &mut &[u8]) -> Option<LogHistogram<C>> {
        LogHistogram::take(body)
    }
    let [calls, errors, own_errors] = take_counts(body)?;
    let (total, own, gap) = (histogram(body)?, histogram(body)?, histogram(body)?);
    Some(More { calls, errors, own_errors, total, own, gap })
}

fn take_exemplars(body: &mut &[u8]) -> Option<Exemplars> {
    let mut exemplars = Exemplars::default();
    for _ in 0..number(body).filter(|count| *count <= EACH_MAX as u64)? {
        let duration_ns = i64::try_from(number(body)?).ok()?;
        let (id, rest) = body.split_at_checked(16)?;
        *body = rest;
        exemplars.add(Exemplar { duration_ns, trace_id: TraceId::from_bytes(id).ok()? });
    }
    Some(exemplars)
}

fn put_counts(out: &mut Vec<u8>, counts: [u64; 3]) {
    counts.iter().for_each(|count| put_number(out, *count));
}

fn take_counts(body: &mut &[u8]) -> Option<[u64; 3]> {
    Some([number(body)?, number(body)?, number(body)?])
}

#[cfg(test)]
mod tests {
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
}

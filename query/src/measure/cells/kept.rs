//! Cells over a restart: an hour of them as bytes.
//!
//! An hour is written once its last fine cell was rolled up, again when a late span changed it, and in any case at the end. What is kept stands
//! where the stored spans that are read again do not reach, what these give where the process ended before the hour was written. The journeys
//! that have a name in an hour stand at its beginning; cells of older forms are of the journey that is not known.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use daytwo_storage::{TraceId, UnixNanos};

use super::exemplars::{EACH_MAX, Exemplar, Exemplars};
use super::series::{Cells, bytes_of};
use super::value::More;
use super::{COARSE, CellKey, CellValue, FINE_KEPT, Series, SliCells, slot_start, slot_width};
use crate::measure::bytes::{number, put_number, put_text, text};
use crate::measure::{Count, LogHistogram};

/// What a file begins with.
const MAGIC: &[u8; 8] = b"DTCELLS3";
/// What a file began with before cells had journeys.
const MAGIC_2: &[u8; 8] = b"DTCELLS2";
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
        let of_hour = |(key, series): (&CellKey, &Series)| Some((key.clone(), series.rolled_up(start)?));
        let mut series: Vec<(CellKey, Cells)> = self.series.iter().filter_map(of_hour).collect();
        series.sort_by(|left, right| left.0.cmp(&right.0));
        let names: BTreeSet<&str> = series.iter().map(|(key, _)| &*key.journey).collect();
        let names: Vec<&str> = names.into_iter().collect();
        let mut body = Vec::new();
        put_number(&mut body, u64::try_from(start).unwrap_or(0));
        put_number(&mut body, names.len() as u64);
        names.iter().for_each(|name| put_text(&mut body, name));
        for (key, cells) in &series {
            put_texts(&mut body, key);
            put_number(&mut body, names.binary_search(&&*key.journey).unwrap_or(0) as u64);
            put_cells(&mut body, key.kind, start, cells);
        }
        under_sum(MAGIC, &body)
    }

    /// Takes up an hour that was kept; how many bytes of memory its cells have.
    ///
    /// # Errors
    /// What is wrong with the bytes; nothing was taken then.
    pub(crate) fn take_kept(&mut self, bytes: &[u8]) -> Result<usize, &'static str> {
        let known = [(Form::Third, MAGIC), (Form::Second, MAGIC_2), (Form::First, MAGIC_1)];
        let rest = known.into_iter().find_map(|(form, magic)| Some((form, bytes.strip_prefix(magic.as_slice())?)));
        let (form, rest) = rest.ok_or("it does not begin as cells do")?;
        let (sum, mut body) = rest.split_at_checked(4).ok_or("it is cut off")?;
        if crc32c::crc32c(body).to_le_bytes() != *sum {
            return Err("its checksum does not match");
        }
        let series = decode(&mut body, form).ok_or("it holds something that is no cell")?;
        let memory = series.iter().flat_map(|(_, series)| series.coarse().values()).map(bytes_of).sum();
        self.put_together(series);
        Ok(memory)
    }
}

impl Series {
    /// The coarse cells of an hour, those included that are still fine; `None` without any.
    fn rolled_up(&self, start: i64) -> Option<Cells> {
        let hour = start..start.saturating_add(slot_width(HOUR));
        let mut cells: Cells = self.coarse().range(hour.clone()).map(|(at, cell)| (*at, cell.clone())).collect();
        for (at, cell) in self.fine().range(hour) {
            let coarse = cells.entry(slot_start(UnixNanos(*at), COARSE)).or_default();
            coarse.merge_coarsely(cell);
        }
        Some(cells).filter(|cells| !cells.is_empty())
    }
}

fn under_sum(magic: &[u8; 8], body: &[u8]) -> Vec<u8> {
    [magic.as_slice(), &crc32c::crc32c(body).to_le_bytes(), body].concat()
}

fn put_texts(out: &mut Vec<u8>, key: &CellKey) {
    for text in [&key.environment, &key.service, &key.version, &key.operation, &key.peer] {
        put_text(out, text);
    }
}

fn put_cells(out: &mut Vec<u8>, kind: i32, start: i64, cells: &Cells) {
    put_number(out, u64::try_from(kind).unwrap_or(0));
    put_number(out, cells.len() as u64);
    for (at, cell) in cells {
        let slot = at.saturating_sub(start) / slot_width(COARSE);
        put_number(out, u64::try_from(slot).unwrap_or(0));
        put_cell(out, cell);
    }
}

/// How cells were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    First,
    Second,
    Third,
}

fn decode(body: &mut &[u8], form: Form) -> Option<Vec<(CellKey, Series)>> {
    let start = i64::try_from(number(body)?).ok()?;
    let names = if form == Form::Third { take_names(body)? } else { vec!["".into()] };
    let mut series = Vec::new();
    while !body.is_empty() {
        let key = take_key(body, form, &names)?;
        let mut own = Series::of(&key);
        own.put_coarse(take_cells(body, form, start)?);
        series.push((key, own));
    }
    Some(series)
}

fn take_names(body: &mut &[u8]) -> Option<Vec<Arc<str>>> {
    let count = number(body)?;
    (0..count).map(|_| text(body).map(Arc::from)).collect()
}

fn take_key(body: &mut &[u8], form: Form, names: &[Arc<str>]) -> Option<CellKey> {
    let [environment, service, version, operation] =
        [text(body)?, text(body)?, text(body)?, text(body)?].map(Arc::from);
    let peer = if form == Form::First { "" } else { text(body)? }.into();
    let name = if form == Form::Third { number(body)? } else { 0 };
    let journey = names.get(usize::try_from(name).ok()?).map(Arc::clone)?;
    let kind = i32::try_from(number(body)?).ok()?;
    Some(CellKey { environment, service, version, operation, kind, peer, journey })
}

fn take_cells(body: &mut &[u8], form: Form, start: i64) -> Option<Cells> {
    let slots = slot_width(HOUR) / slot_width(COARSE);
    let mut cells = Cells::new();
    for _ in 0..number(body)? {
        let slot = i64::try_from(number(body)?).ok().filter(|slot| *slot < slots)?;
        let at = start.checked_add(slot.checked_mul(slot_width(COARSE))?)?;
        cells.insert(at, take_cell(body, form)?);
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

/// An hour as it was written before cells had journeys: an older version would have written it of the same spans.
#[cfg(test)]
pub(crate) fn in_second_form(bytes: &[u8]) -> Vec<u8> {
    use std::collections::BTreeMap;

    let mut body = bytes.get(12..).unwrap();
    let start = i64::try_from(number(&mut &*body).unwrap()).unwrap();
    let mut all: BTreeMap<CellKey, Cells> = BTreeMap::new();
    for (key, series) in decode(&mut body, Form::Third).unwrap() {
        let cells = all.entry(CellKey { journey: "".into(), ..key }).or_default();
        for (at, cell) in series.into_cells().0 {
            cells.entry(at).or_default().merge(&cell);
        }
    }
    let mut out = Vec::new();
    put_number(&mut out, u64::try_from(start).unwrap());
    for (key, cells) in &all {
        put_texts(&mut out, key);
        put_cells(&mut out, key.kind, start, cells);
    }
    under_sum(MAGIC_2, &out)
}

#[cfg(test)]
mod tests;

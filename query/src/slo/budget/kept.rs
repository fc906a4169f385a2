//! Counters as a file keeps them over a restart, by what they count and not by the objective's name or target: an edited objective goes on.

use std::collections::BTreeMap;
use std::time::Duration;

use daytwo_storage::{Document, TraceId, UnixNanos};
use serde::{Deserialize, Serialize};

use super::parts::{BLAMED_MAX, Parts};
use super::{BAD_TRACES_MAX, Events, SHARES_MAX, SloCounter};
use crate::error::{QueryError, Result};
use crate::measure::{COARSE, FINE};
use crate::slo::Selector;
use crate::slo::journey::{Blamed, Place};

/// The form in which counters are kept that are all of calls.
const FORMAT: u32 = 1;
/// The form with counters of journeys, which a reader of the first would take for calls.
const FORMAT_JOURNEYS: u32 = 2;
/// Counters that are kept; of those that no objective reads, the ones silent for longest go first.
pub(crate) const KEPT_MAX: usize = 2_000;

/// Counters by what they count.
pub(crate) type KeptCounters = BTreeMap<Selector, SloCounter>;

#[derive(Debug, Serialize, Deserialize)]
struct File {
    format: u32,
    counters: Vec<Kept>,
}

/// Slots are runs of three numbers: how many slots after the one before (the first: after the epoch), good events, bad events.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    selector: Selector,
    fine: Vec<u64>,
    coarse: Vec<u64>,
    /// Of slots with sampled events runs of three as well: what these stand for beyond themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    fine_more: Vec<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    coarse_more: Vec<u64>,
    /// Operation, version, bad events.
    shares: Vec<(String, String, u64)>,
    /// When it happened, and which trace.
    bad_traces: Vec<(i64, String)>,
    /// Of journeys runs of three: of how many too little was seen, and what these stand for beyond themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    fine_unknown: Vec<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    coarse_unknown: Vec<u64>,
    /// Service, caller and version of whoever is charged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    blamed: Vec<(String, String, String)>,
    /// Of each slot with bad journeys: its start in slots after the epoch, how many are charged, pairs of one's place in `blamed` and the weight,
    /// pairs of a condition's number and the weight that failed it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    fine_parts: Vec<Vec<u64>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    coarse_parts: Vec<Vec<u64>>,
}

/// Counters as bytes.
///
/// # Errors
/// Never in practice: these are numbers and texts.
pub(crate) fn write(counters: &KeptCounters) -> Result<Vec<u8>> {
    let kept = |(selector, counter): (&Selector, &SloCounter)| Kept {
        selector: selector.clone(),
        fine: runs(&counter.fine, FINE, RAW),
        coarse: runs(&counter.coarse, COARSE, RAW),
        fine_more: runs(&counter.fine, FINE, MORE),
        coarse_more: runs(&counter.coarse, COARSE, MORE),
        shares: counter
            .shares()
            .map(|(operation, version, bad)| (operation.to_string(), version.to_string(), bad))
            .collect(),
        bad_traces: counter.bad_traces.iter().map(|(at, trace)| (at.0, trace.to_string())).collect(),
        fine_unknown: runs(&counter.fine, FINE, UNKNOWN),
        coarse_unknown: runs(&counter.coarse, COARSE, UNKNOWN),
        fine_parts: kept_parts(&counter.fine_parts, FINE, &all_blamed(counter)),
        coarse_parts: kept_parts(&counter.coarse_parts, COARSE, &all_blamed(counter)),
        blamed: all_blamed(counter).into_iter().map(texts).collect(),
    };
    let has_journeys = counters.keys().any(|selector| selector.journey.is_some());
    let format = if has_journeys { FORMAT_JOURNEYS } else { FORMAT };
    let file = File { format, counters: counters.iter().map(kept).collect() };
    serde_json::to_vec(&file).map_err(|error| QueryError::internal(error.to_string()))
}

/// What a document keeps. One that cannot be understood is set aside: budgets begin with the stored spans then.
///
/// # Errors
/// When it cannot be read, or is of a later form: writing would lose it.
pub(crate) fn read(document: &Document) -> Result<KeptCounters> {
    let Some(bytes) = document.read()? else { return Ok(KeptCounters::new()) };
    match serde_json::from_slice::<File>(&bytes) {
        Ok(file) if matches!(file.format, FORMAT | FORMAT_JOURNEYS) => {
            Ok(file.counters.into_iter().take(KEPT_MAX).map(|kept| (kept.selector.clone(), counter(kept))).collect())
        }
        Ok(file) => Err(QueryError::internal(format!(
            "the budgets are kept in form {}, this version reads forms up to {FORMAT_JOURNEYS}",
            file.format
        ))),
        Err(error) => {
            let aside = document.set_aside()?;
            tracing::error!(%error, aside = %aside.display(), "the budgets cannot be read and were set aside");
            Ok(KeptCounters::new())
        }
    }
}

fn width(length: Duration) -> i64 {
    i64::try_from(length.as_nanos()).unwrap_or(i64::MAX)
}

/// Two numbers of a slot's events.
type Part = fn(&Events) -> (u64, u64);
const RAW: Part = |events| (events.good, events.bad);
const MORE: Part = |events| (events.more_good, events.more_bad);
const UNKNOWN: Part = |events| (events.unknown, events.more_unknown);

fn texts(who: &Blamed) -> (String, String, String) {
    (who.place.service.to_string(), who.place.caller.to_string(), who.version.to_string())
}

/// Whoever is charged, each once, in order.
fn all_blamed(counter: &SloCounter) -> Vec<&Blamed> {
    let slots = counter.fine_parts.values().chain(counter.coarse_parts.values());
    let mut all: Vec<&Blamed> = slots.flat_map(|parts| parts.blamed.keys()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn kept_parts(slots: &BTreeMap<i64, Parts>, length: Duration, all: &[&Blamed]) -> Vec<Vec<u64>> {
    let slot = |(start, parts): (&i64, &Parts)| {
        let start = u64::try_from(*start / width(length)).unwrap_or(0);
        let place = |who: &Blamed| all.binary_search(&who).unwrap_or(0) as u64;
        let blamed = parts.blamed.iter().flat_map(|(who, weight)| [place(who), *weight]);
        let failed = parts.failed.iter().flat_map(|(condition, weight)| [u64::from(*condition), *weight]);
        [start, parts.blamed.len() as u64].into_iter().chain(blamed).chain(failed).collect()
    };
    slots.iter().map(slot).collect()
}

fn parts(kept: &[Vec<u64>], length: Duration, all: &[Blamed]) -> BTreeMap<i64, Parts> {
    let slot = |numbers: &Vec<u64>| {
        let (start, rest) = numbers.split_first()?;
        let (blamed, rest) = rest.split_first()?;
        let (blamed, failed) = rest.split_at_checked(usize::try_from(*blamed).ok()?.checked_mul(2)?)?;
        let mut parts = Parts::default();
        for pair in blamed.as_chunks::<2>().0.iter().take(BLAMED_MAX.saturating_add(1)) {
            let [place, weight] = *pair;
            parts.blamed.insert(all.get(usize::try_from(place).ok()?)?.clone(), weight);
        }
        for [condition, weight] in failed.as_chunks::<2>().0 {
            parts.failed.insert(u16::try_from(*condition).ok()?, *weight);
        }
        Some((i64::try_from(*start).ok()?.checked_mul(width(length))?, parts))
    };
    kept.iter().filter_map(slot).collect()
}

fn runs(slots: &BTreeMap<i64, Events>, length: Duration, part: Part) -> Vec<u64> {
    let mut before = 0;
    let mut runs = Vec::with_capacity(slots.len().saturating_mul(3));
    for (start, events) in slots.iter().filter(|(start, events)| **start >= 0 && part(events) != (0, 0)) {
        let slot = start / width(length);
        let (good, bad) = part(events);
        runs.extend([u64::try_from(slot - before).unwrap_or(0), good, bad]);
        before = slot;
    }
    runs
}

fn slots(runs: &[u64], more: &[u64], unknown: &[u64], length: Duration) -> BTreeMap<i64, Events> {
    let mut slots: BTreeMap<i64, Events> = BTreeMap::new();
    each_run(runs, length, |start, good, bad| {
        slots.insert(start, Events { good, bad, ..Events::default() });
    });
    each_run(more, length, |start, more_good, more_bad| {
        if let Some(events) = slots.get_mut(&start) {
            (events.more_good, events.more_bad) = (more_good, more_bad);
        }
    });
    each_run(unknown, length, |start, unknown, more_unknown| {
        let events = slots.entry(start).or_default();
        (events.unknown, events.more_unknown) = (unknown, more_unknown);
    });
    slots
}

fn each_run(runs: &[u64], length: Duration, mut take: impl FnMut(i64, u64, u64)) {
    let mut slot = 0_i64;
    for run in runs.chunks_exact(3) {
        let [after, good, bad] = [0, 1, 2].map(|at: usize| run.get(at).copied().unwrap_or(0));
        slot = slot.saturating_add(i64::try_from(after).unwrap_or(i64::MAX));
        take(slot.saturating_mul(width(length)), good, bad);
    }
}

fn counter(kept: Kept) -> SloCounter {
    let shares = kept.shares.into_iter().take(SHARES_MAX);
    let trace = |(at, id): (i64, String)| Some((UnixNanos(at), TraceId::from_hex(&id).ok()?));
    let who = |(service, caller, version): (String, String, String)| Blamed {
        place: Place { service: service.into(), caller: caller.into() },
        version: version.into(),
    };
    let blamed: Vec<Blamed> = kept.blamed.into_iter().map(who).collect();
    SloCounter {
        fine: slots(&kept.fine, &kept.fine_more, &kept.fine_unknown, FINE),
        coarse: slots(&kept.coarse, &kept.coarse_more, &kept.coarse_unknown, COARSE),
        shares: shares.map(|(operation, version, bad)| ((operation.into(), version.into()), bad)).collect(),
        bad_traces: kept.bad_traces.into_iter().filter_map(trace).take(BAD_TRACES_MAX).collect(),
        fine_parts: parts(&kept.fine_parts, FINE, &blamed),
        coarse_parts: parts(&kept.coarse_parts, COARSE, &blamed),
        ..SloCounter::default()
    }
}

/// Brings counters that no objective reads to what is kept: nothing older than `kept`, nothing empty, not too many.
pub(crate) fn maintain(counters: &mut KeptCounters, now: UnixNanos, kept: Duration) {
    counters.values_mut().for_each(|counter| counter.maintain(now, kept));
    counters.retain(|_, counter| !counter.coarse.is_empty());
    while counters.len() > KEPT_MAX {
        let newest = |counter: &SloCounter| counter.coarse.keys().next_back().copied();
        let silent = counters.iter().min_by_key(|(_, counter)| newest(counter)).map(|(selector, _)| selector.clone());
        let Some(silent) = silent else { break };
        counters.remove(&silent);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::Event;
    use super::*;
    use crate::trace::Weight;

    fn selector(service: &str) -> Selector {
        let (service, threshold_ns) = (service.to_owned(), Some(50_000_000));
        Selector { service, operation: None, environment: None, threshold_ns, journey: None }
    }

    fn event(at: i64, good: bool, counter: &mut SloCounter) {
        let (operation, version): (Arc<str>, Arc<str>) = ("GET /".into(), "v1".into());
        let trace_id = TraceId::from_bytes(&u128::try_from(at + 1).unwrap().to_be_bytes()).ok();
        let event = Event {
            at: UnixNanos(at),
            good,
            operation: &operation,
            version: &version,
            trace_id,
            weight: Weight::of(if (at / 86_400_000_000) % 2 == 0 { "ot=th:c" } else { "" }),
        };
        counter.change(&event, true);
    }

    /// Scenario: a counter with events over two days, written and read back; then a file that is no JSON and one of a later form.
    /// Guarantees: every slot, share and bad trace is the same; the first bad file is set aside, the second stops the start.
    #[test]
    fn counters_are_read_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let document = Document::in_folder(folder.path(), "budgets.json", 1 << 20);
        let mut counter = SloCounter::default();
        let start = 1_795_343_400_000_000_000_i64;
        (0..2_000).for_each(|number| event(start + number * 86_400_000_000, number % 7 != 0, &mut counter));
        let counters = KeptCounters::from([(selector("pay"), counter.clone())]);
        document.replace(&write(&counters).unwrap()).unwrap();
        let read_back = read(&document).unwrap();
        assert_eq!(format!("{read_back:?}"), format!("{counters:?}"));
        assert_eq!(counter.coarse.values().map(|events| events.total()).sum::<u64>(), 2_000);
        assert_eq!(
            counter.coarse.values().map(|events| events.more_good + events.more_bad).sum::<u64>(),
            1_000 * 3 * Weight::ONE
        );
        document.replace(b"[").unwrap();
        assert!(read(&document).unwrap().is_empty());
        assert!(folder.path().join("budgets.json.damaged").exists());
        document.replace(br#"{"format":3,"counters":[]}"#).unwrap();
        assert!(read(&document).unwrap_err().to_string().contains("form 3"));
    }

    /// Scenario: counters that no objective reads: one silent for a month, and more than are kept.
    /// Guarantees: the old one goes, and of the others those silent for longest.
    #[test]
    fn what_nobody_reads_is_bounded() {
        let day = 86_400_000_000_000_i64;
        let mut counters = KeptCounters::new();
        for number in 0..=i64::try_from(KEPT_MAX).unwrap() {
            let mut counter = SloCounter::default();
            event(40 * day + number * 300_000_000_000, true, &mut counter);
            counters.insert(selector(&format!("s{number}")), counter);
        }
        let mut old = SloCounter::default();
        event(day, false, &mut old);
        counters.insert(selector("old"), old);
        maintain(&mut counters, UnixNanos(48 * day), Duration::from_secs(28 * 86_400));
        assert_eq!(counters.len(), KEPT_MAX);
        assert!(!counters.contains_key(&selector("old")) && !counters.contains_key(&selector("s0")));
        assert!(counters.contains_key(&selector("s1")));
    }
}

//! What a cell is about and what it holds.
//!
//! Counts are of spans as they came. What sampled spans stand for beyond themselves is kept beside them ([`More`]), in integers, and only in
//! cells that have such spans: what is adjusted is the one plus the other, whatever the order.

use std::borrow::Cow;
use std::sync::Arc;

use daytwo_storage::{TraceId, UnixNanos};

use super::exemplars::{Exemplar, Exemplars};
use crate::measure::{Count, LogHistogram};
use crate::trace::Weight;

/// Scale of rolled-up histograms: 1.1 % wide, so 0.55 % off at most.
const COARSE_SCALE: u32 = 6;

/// What a cell is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CellKey {
    /// Environment, empty when missing.
    pub environment: Arc<str>,
    /// Service name.
    pub service: Arc<str>,
    /// Version, empty when missing.
    pub version: Arc<str>,
    /// Span name.
    pub operation: Arc<str>,
    /// OTLP kind.
    pub kind: i32,
    /// Of a CLIENT span the service that answered; empty when none did, and for other kinds.
    pub peer: Arc<str>,
    /// Of the span's trace the root's service and operation and the first call into another service; empty while the root is missing and for
    /// fragments.
    pub journey: Arc<str>,
}

impl CellKey {
    /// Bytes held, roughly, itself and among those of its operation; its texts may be shared with others. The journey's is: it is counted with
    /// the names.
    pub(super) fn bytes(&self) -> usize {
        let texts = [&self.environment, &self.service, &self.version, &self.operation, &self.peer];
        2 * size_of::<Self>() + texts.iter().map(|text| text.len()).sum::<usize>()
    }
}

/// What a cell holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CellValue {
    /// Spans.
    pub calls: u64,
    /// Failed spans.
    pub errors: u64,
    /// Failed spans without a failed child.
    pub own_errors: u64,
    /// Durations in nanoseconds.
    pub total: LogHistogram,
    /// Self times in nanoseconds.
    pub own: LogHistogram,
    /// Edge gaps of answered calls in nanoseconds.
    pub(super) gap: Option<Box<LogHistogram>>,
    /// What the spans stand for beyond themselves.
    pub(super) more: Option<Box<More>>,
    pub(super) slowest: Exemplars,
    pub(super) failed: Exemplars,
}

/// Weights of sampled spans less one for each, in the unit of [`Weight`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct More {
    pub(super) calls: u64,
    pub(super) errors: u64,
    pub(super) own_errors: u64,
    pub(super) total: LogHistogram<u64>,
    pub(super) own: LogHistogram<u64>,
    pub(super) gap: LogHistogram<u64>,
}

/// Where a cell lies in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// Its start.
    pub from_unix_nano: i64,
    /// Its width.
    pub width_ns: i64,
}

/// One span's share of a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellEntry {
    /// Which cell.
    pub key: CellKey,
    /// When the span started.
    pub at: UnixNanos,
    /// Its duration.
    pub duration_ns: i64,
    /// Its self time; unknown (not counted) for spans that came after their trace was closed for good.
    pub self_ns: Option<i64>,
    /// Its edge gap, of a call that was answered.
    pub gap_ns: Option<i64>,
    /// Whether it failed.
    pub error: bool,
    /// Whether it failed and none of its children did.
    pub own_error: bool,
    /// For how many spans it stands.
    pub weight: Weight,
    /// Its trace.
    pub trace_id: TraceId,
}

impl CellEntry {
    fn exemplar(&self) -> Exemplar {
        Exemplar { duration_ns: self.duration_ns, trace_id: self.trace_id }
    }
}

fn change<C: Count>(histogram: &mut LogHistogram<C>, value: Option<i64>, times: u64, add: bool) {
    match value {
        Some(value) if add => histogram.record_many(value, times),
        Some(value) => histogram.unrecord_many(value, times),
        None => {}
    }
}

fn step(count: &mut u64, by: u64, add: bool) {
    *count = if add { count.saturating_add(by) } else { count.saturating_sub(by) };
}

impl CellValue {
    pub(super) fn add(&mut self, entry: &CellEntry) {
        self.change(entry, true);
        self.slowest.add(entry.exemplar());
        if entry.error {
            self.failed.add(entry.exemplar());
        }
    }

    pub(super) fn remove(&mut self, entry: &CellEntry) {
        self.change(entry, false);
        self.slowest.remove(entry.exemplar());
        self.failed.remove(entry.exemplar());
    }

    /// Whether a span may be among those counted here.
    pub(super) fn may_hold(&self, entry: &CellEntry) -> bool {
        let has_gap = |gap| self.gap.as_ref().is_some_and(|gaps| gaps.has(gap));
        self.calls > 0
            && self.errors >= u64::from(entry.error)
            && self.own_errors >= u64::from(entry.own_error)
            && self.total.has(entry.duration_ns)
            && entry.self_ns.is_none_or(|own| self.own.has(own))
            && entry.gap_ns.is_none_or(has_gap)
            && (entry.weight.more() == 0 || self.more.is_some())
    }

    fn change(&mut self, entry: &CellEntry, add: bool) {
        step(&mut self.calls, 1, add);
        step(&mut self.errors, u64::from(entry.error), add);
        step(&mut self.own_errors, u64::from(entry.own_error), add);
        change(&mut self.total, Some(entry.duration_ns), 1, add);
        change(&mut self.own, entry.self_ns, 1, add);
        if entry.gap_ns.is_some() {
            change(self.gap.get_or_insert_default(), entry.gap_ns, 1, add);
            self.gap.take_if(|gap| gap.count() == 0);
        }
        let more = entry.weight.more();
        if more > 0 {
            self.more.get_or_insert_default().change(entry, more, add);
            self.more.take_if(|more| more.calls == 0);
        }
    }

    /// Adds another cell.
    pub fn merge(&mut self, other: &Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.errors = self.errors.saturating_add(other.errors);
        self.own_errors = self.own_errors.saturating_add(other.own_errors);
        self.total.merge(&other.total);
        self.own.merge(&other.own);
        if let Some(gap) = &other.gap {
            self.gap.get_or_insert_default().merge(gap);
        }
        if let Some(more) = &other.more {
            self.more.get_or_insert_default().merge(more);
        }
        self.slowest.merge(&other.slowest);
        self.failed.merge(&other.failed);
    }

    /// Adds another cell to one that is rolled up, which will hardly grow any more.
    pub(super) fn merge_coarsely(&mut self, other: &Self) {
        fn coarse<C: Count>(histogram: &mut LogHistogram<C>) {
            histogram.downscale(COARSE_SCALE);
            histogram.shrink();
        }
        self.merge(other);
        coarse(&mut self.total);
        coarse(&mut self.own);
        if let Some(gap) = &mut self.gap {
            coarse(gap);
        }
        if let Some(more) = &mut self.more {
            more.histograms().for_each(coarse);
        }
    }

    /// Bytes held, roughly.
    pub(super) fn bytes(&self) -> usize {
        let gap = self.gap.as_ref().map_or(0, |gap| gap.memory_bytes());
        let more = self.more.as_ref().map_or(0, |more| more.bytes());
        size_of::<Self>()
            + self.total.memory_bytes()
            + self.own.memory_bytes()
            + gap
            + more
            + self.slowest.heap_bytes()
            + self.failed.heap_bytes()
    }

    /// For how many spans those of the cell stand.
    pub fn adjusted_calls(&self) -> f64 {
        adjusted(self.calls, self.more.as_ref().map_or(0, |more| more.calls))
    }

    /// For how many failed spans those of the cell stand.
    pub fn adjusted_errors(&self) -> f64 {
        adjusted(self.errors, self.more.as_ref().map_or(0, |more| more.errors))
    }

    /// For how many failed spans without a failed child those of the cell stand.
    pub fn adjusted_own_errors(&self) -> f64 {
        adjusted(self.own_errors, self.more.as_ref().map_or(0, |more| more.own_errors))
    }

    /// Durations, each as often as its span stands for, in the unit of [`Weight`].
    pub fn weighed_total(&self) -> LogHistogram<u64> {
        weighed(&self.total, self.more.as_ref().map(|more| &more.total))
    }

    /// Self times, weighed like durations.
    pub fn weighed_own(&self) -> LogHistogram<u64> {
        weighed(&self.own, self.more.as_ref().map(|more| &more.own))
    }

    /// Edge gaps, weighed like durations.
    pub fn weighed_gap(&self) -> LogHistogram<u64> {
        let gap = self.gap.as_ref().map_or(Cow::Owned(LogHistogram::default()), |gap| Cow::Borrowed(&**gap));
        weighed(&gap, self.more.as_ref().map(|more| &more.gap))
    }

    /// Edge gaps as they came.
    pub fn gap(&self) -> Option<&LogHistogram> {
        self.gap.as_deref()
    }

    /// The slowest traces, and the slowest that failed, which may be the same.
    pub fn exemplars(&self) -> (impl Iterator<Item = &Exemplar>, impl Iterator<Item = &Exemplar>) {
        (self.slowest.iter(), self.failed.iter())
    }
}

impl More {
    fn change(&mut self, entry: &CellEntry, more: u64, add: bool) {
        step(&mut self.calls, more, add);
        step(&mut self.errors, if entry.error { more } else { 0 }, add);
        step(&mut self.own_errors, if entry.own_error { more } else { 0 }, add);
        change(&mut self.total, Some(entry.duration_ns), more, add);
        change(&mut self.own, entry.self_ns, more, add);
        change(&mut self.gap, entry.gap_ns, more, add);
    }

    fn merge(&mut self, other: &Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.errors = self.errors.saturating_add(other.errors);
        self.own_errors = self.own_errors.saturating_add(other.own_errors);
        self.total.merge(&other.total);
        self.own.merge(&other.own);
        self.gap.merge(&other.gap);
    }

    fn histograms(&mut self) -> impl Iterator<Item = &mut LogHistogram<u64>> {
        [&mut self.total, &mut self.own, &mut self.gap].into_iter()
    }

    fn bytes(&self) -> usize {
        let histograms = [&self.total, &self.own, &self.gap];
        size_of::<Self>() + histograms.map(LogHistogram::memory_bytes).iter().sum::<usize>()
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn adjusted(count: u64, more: u64) -> f64 {
    count as f64 + more as f64 / Weight::ONE as f64
}

fn weighed(raw: &LogHistogram, more: Option<&LogHistogram<u64>>) -> LogHistogram<u64> {
    let mut weighed = raw.times(Weight::ONE);
    if let Some(more) = more {
        weighed.merge(more);
    }
    weighed
}

//! The engine's state: a fold over spans and ticks.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use daytwo_storage::UnixNanos;

use super::config::EngineConfig;
use super::flags::{Flags, JudgedFlags};
use super::late::{Found, Measured};
use super::open::{Closed, OpenTraces, Wanted};
use super::recent::RecentTraces;
use super::versions::{Arrival, Versions};
use super::{Distribution, EngineStatus};
use crate::deployment::{DeclaredSet, Deployment, DeploymentFilter, WeightStep};
use crate::flag::DeclaredFlags;
use crate::measure::{CellEntry, FINE, SliCells, TraceRecord, cell_entries, measure_trace, slot_start};
use crate::slo::kept::KeptCounters;
use crate::slo::{self, LastDeployment, Objective, SloBoard, SloCounter, SloDetail, SloProblem};
use crate::trace::{ResourceCache, StitchedTrace, TraceSpan, extract_spans, kind, stitch};
use crate::verdict::{self, CohortKey, Cohorts, Verdict};
use daytwo_storage::TraceId;

mod board;
mod deployments;

/// Environment, service, version and arrival: what tells deployments apart.
pub(super) type DeploymentKey = (Arc<str>, Arc<str>, Arc<str>, UnixNanos);

/// A deployment under judgement or judged.
#[derive(Debug)]
struct Judged {
    arrival: Arrival,
    cohorts: Option<Cohorts>,
    verdict: Arc<Verdict>,
}

/// An objective and what was counted of each of its members.
#[derive(Debug)]
struct Tracked {
    objective: Objective,
    counters: Vec<SloCounter>,
}

/// Everything the engine knows.
#[derive(Debug)]
pub(super) struct State {
    config: EngineConfig,
    cache: ResourceCache,
    open: OpenTraces,
    /// Which stored spans were measured; `None` before any were read.
    measured: Option<Measured>,
    pub(super) cells: SliCells,
    recent: RecentTraces,
    versions: Versions,
    flags: Flags,
    judged_flags: JudgedFlags,
    objectives: Vec<Tracked>,
    /// Counters that no objective reads now: of before the restart, or of a file that has gone and may come back.
    pub(super) kept: KeptCounters,
    problems: Vec<SloProblem>,
    notes: Vec<SloProblem>,
    pub(super) declared: Arc<DeclaredSet>,
    pub(super) declared_flags: Arc<DeclaredFlags>,
    judged: BTreeMap<DeploymentKey, Judged>,
    last_judged: i64,
    observed: u64,
    closed: u64,
    unreadable: u64,
    pub(super) rebuilds: u64,
    pub(super) lagging: bool,
    /// Set when objectives came that have not seen the stored spans.
    pub(super) wants_rebuild: bool,
    /// Set once somebody has said which objectives there are, if any.
    objectives_known: bool,
}

impl State {
    pub(super) fn new(config: EngineConfig) -> Self {
        Self {
            cache: ResourceCache::default(),
            open: OpenTraces::new(&config),
            measured: None,
            cells: SliCells::new(config.series_max, config.cells_bytes_max),
            recent: RecentTraces::default(),
            versions: Versions::default(),
            flags: Flags::default(),
            judged_flags: JudgedFlags::default(),
            objectives: Vec::new(),
            kept: KeptCounters::new(),
            problems: Vec::new(),
            notes: Vec::new(),
            declared: Arc::default(),
            declared_flags: Arc::default(),
            judged: BTreeMap::new(),
            last_judged: i64::MIN,
            observed: 0,
            closed: 0,
            unreadable: 0,
            rebuilds: 0,
            lagging: false,
            wants_rebuild: false,
            objectives_known: false,
            config,
        }
    }

    pub(super) fn observe(&mut self, batch: &RecordBatch) {
        match extract_spans(batch, &mut self.cache) {
            Ok(spans) => {
                self.observed = self.observed.saturating_add(spans.len() as u64);
                spans.into_iter().for_each(|span| self.open.add(span));
            }
            Err(error) => {
                self.unreadable = self.unreadable.saturating_add(1);
                tracing::warn!(%error, "a batch of spans could not be read and is not measured");
            }
        }
    }

    pub(super) fn tick(&mut self, now: UnixNanos) {
        self.close_quiet(now);
        let slot = slot_start(now, FINE);
        if slot > self.last_judged {
            self.last_judged = slot;
            self.judge_all(now);
            self.judge_flags(now);
            self.cells.maintain(now, self.config.retention);
            self.versions.maintain(now, self.config.retention);
            self.flags.maintain(now);
            for tracked in &mut self.objectives {
                let kept = tracked.objective.window.longest();
                tracked.counters.iter_mut().for_each(|counter| counter.maintain(now, kept));
            }
            // Until then nobody knows which of them an objective with a longer window will read.
            if self.objectives_known {
                slo::kept::maintain(&mut self.kept, now, self.config.retention);
            }
        }
    }

    /// Measures traces that are quiet.
    pub(super) fn close_quiet(&mut self, now: UnixNanos) {
        for closed in self.open.close(now) {
            self.measure(closed);
        }
    }

    /// Measures the oldest traces while too many spans are held: between two ticks much may come.
    pub(super) fn make_room(&mut self, now: UnixNanos) {
        if self.open.is_full() {
            self.close_quiet(now);
        }
    }

    /// Measures every trace, quiet or not: a state that is about to be compared with another must hold all that it has seen.
    pub(super) fn close_all(&mut self, now: UnixNanos) {
        for closed in self.open.close_all(now) {
            self.measure(closed);
        }
    }

    /// From here on traces can be read again, and these of the stored spans were measured.
    pub(super) fn can_read(&mut self, measured: Measured) {
        self.measured = Some(measured);
        self.open.can_read = true;
    }

    /// The traces to read again next.
    pub(super) fn take_waiting(&mut self) -> Vec<Wanted> {
        self.open.take_waiting(self.config.late_at_once)
    }

    /// How many traces wait to be read again.
    pub(super) fn waiting(&self) -> usize {
        self.open.waiting()
    }

    /// Lets traces wait again whose reading came to nothing.
    pub(super) fn wait_again(&mut self) {
        self.open.wait_again();
    }

    /// Measures traces that were read again.
    pub(super) fn put_together(&mut self, found: Vec<Found>, now: UnixNanos) {
        for Found { wanted, spans } in found {
            let oldest = wanted.received.saturating_sub(self.config.late_window);
            let measured = self.measured;
            let is_known = |span: &TraceSpan| {
                span.received_ns >= oldest.0 && measured.is_some_and(|measured| measured.holds(span))
            };
            if let Some(closed) = self.open.put_together(wanted.trace, spans, now, is_known) {
                self.measure(closed);
            }
        }
    }

    /// Puts a closed trace in place of what was measured of it before.
    fn measure(&mut self, closed: Closed) {
        let before = closed.spans.get(..closed.measured_before).filter(|spans| !spans.is_empty());
        let remembered = match before.map(|spans| stitch(spans.to_vec())) {
            Some(before) => {
                self.count_journeys(&before, false, false);
                measure_trace(&before).is_none_or(|record| self.take_out(&before, &record))
            }
            None => {
                self.closed = self.closed.saturating_add(1);
                true
            }
        };
        let whole = stitch(closed.spans);
        self.count_journeys(&whole, closed.fragment, true);
        let Some(record) = measure_trace(&whole) else { return };
        let entries = cell_entries(&whole, &record);
        if closed.fragment {
            let unknown: Arc<str> = "".into();
            self.change_cells(entries.map(|entry| of_fragment(entry, &unknown)), record.trace_id, true);
        } else {
            self.change_cells(entries, record.trace_id, true);
            self.put_in(record, remembered);
        }
    }

    /// Takes out what was measured of a trace; whether its record was still remembered.
    fn take_out(&mut self, trace: &StitchedTrace, record: &TraceRecord) -> bool {
        self.change_cells(cell_entries(trace, record), record.trace_id, false);
        self.versions.change(record, false);
        self.flags.change(record, false);
        let remembered = self.recent.remove(record);
        if remembered {
            self.cohorts().for_each(|cohorts| cohorts.remove(record));
            self.judged_flags.change(record, false);
        }
        remembered
    }

    /// Takes a record. Of a trace whose record there was no room for any more, cohorts keep what they have: nobody can tell whether they have it.
    fn put_in(&mut self, record: TraceRecord, remembered: bool) {
        self.versions.change(&record, true);
        self.flags.change(&record, true);
        if remembered {
            let record = self.recent.add(record, self.config.recent_bytes_max);
            self.cohorts().for_each(|cohorts| cohorts.add(&record));
            self.judged_flags.change(&record, true);
        }
    }

    fn cohorts(&mut self) -> impl Iterator<Item = &mut Cohorts> {
        self.judged.values_mut().filter_map(|judged| judged.cohorts.as_mut())
    }

    fn change_cells(&mut self, entries: impl Iterator<Item = CellEntry>, trace_id: TraceId, add: bool) {
        for entry in entries {
            if add {
                self.cells.add(&entry);
            } else {
                self.cells.remove(&entry);
            }
            self.count_objectives(&entry, trace_id, add);
        }
    }

    /// Adds a trace to the objectives of journeys, or takes it out.
    fn count_journeys(&mut self, trace: &StitchedTrace, fragment: bool, add: bool) {
        for Tracked { objective, counters } in &mut self.objectives {
            for (member, counter) in objective.members.iter().zip(counters) {
                if let Some(journey) = slo::journey::travelled(&member.calls, trace, fragment) {
                    counter.change_journey(&journey, add);
                }
            }
        }
    }

    fn count_objectives(&mut self, entry: &CellEntry, trace_id: TraceId, add: bool) {
        if !matches!(entry.key.kind, kind::SERVER | kind::CONSUMER) {
            return;
        }
        for Tracked { objective, counters } in &mut self.objectives {
            for (member, counter) in objective.members.iter().zip(counters) {
                let calls = &member.calls;
                let wanted = calls.journey.is_none()
                    && calls.service == entry.key.service
                    && calls.operation.as_ref().is_none_or(|operation| *operation == entry.key.operation)
                    && calls.environment.as_ref().is_none_or(|environment| *environment == entry.key.environment);
                if wanted {
                    let event = slo::Event {
                        at: entry.at,
                        good: calls.is_good(entry.duration_ns, entry.error),
                        operation: &entry.key.operation,
                        version: &entry.key.version,
                        trace_id: Some(trace_id),
                        weight: entry.weight,
                    };
                    counter.change(&event, add);
                }
            }
        }
    }

    /// Finds deployments and judges those whose bake time has not ended.
    fn judge_all(&mut self, now: UnixNanos) {
        let arrivals = self.versions.arrivals(self.config.deployment_traces_min, &self.declared);
        let keys: Vec<DeploymentKey> = arrivals.iter().map(key_of).collect();
        self.judged.retain(|key, _| keys.contains(key));
        for (key, arrival) in keys.into_iter().zip(arrivals) {
            self.judge_one(key, arrival, now);
        }
        self.bound_judged();
    }

    /// Compares the variants of flags, a few on every tick.
    fn judge_flags(&mut self, now: UnixNanos) {
        let contests = self.flags.contests(self.config.deployment_traces_min);
        self.judged_flags.tick(contests, (&self.recent, &self.declared_flags), now, &self.config.verdict);
    }

    fn judge_one(&mut self, key: DeploymentKey, arrival: Arrival, now: UnixNanos) {
        let rule = &self.config.verdict;
        let stale = |judged: &Judged| judged.arrival.previous != arrival.previous;
        if self.judged.get(&key).is_none_or(stale) {
            let cohorts = self.gather(&arrival);
            let verdict = Arc::new(verdict::judge(&cohorts, now, rule));
            self.judged.insert(key.clone(), Judged { arrival: arrival.clone(), cohorts: Some(cohorts), verdict });
        }
        let (weights, prior) = (self.weights_of(&arrival), self.prior_traces_of(&arrival, now));
        let Some(judged) = self.judged.get_mut(&key) else { return };
        judged.arrival = arrival;
        let Some(cohorts) = &mut judged.cohorts else { return };
        cohorts.set_weights(weights);
        if let Some(prior) = prior {
            cohorts.set_prior_traces(prior);
        }
        let mut verdict = verdict::judge(cohorts, now, rule);
        // Without a version before there is no claim to show.
        if cohorts.key().baseline.is_some() {
            verdict.exemplars = verdict::pick_exemplars(&verdict, cohorts, self.recent.iter(), rule);
        }
        judged.verdict = Arc::new(verdict);
    }

    /// The shares that were declared for the version that came.
    fn weights_of(&self, arrival: &Arrival) -> Vec<WeightStep> {
        let (environment, service) = &arrival.key;
        if !self.declared.concerns(service, environment) {
            return Vec::new();
        }
        let history = self.versions.history(&arrival.key, &arrival.version);
        let known_by = history.map(|history| history.identity()).unwrap_or_default();
        self.declared.weights_of(service, environment, &arrival.version, &known_by)
    }

    /// How many traces the version before had before this one came; `None` where those minutes were forgotten since, or a rebuild did not read
    /// all of them. How much of them it happened to read depends on the files, so a part does not count.
    fn prior_traces_of(&self, arrival: &Arrival, now: UnixNanos) -> Option<u64> {
        let window = verdict::prior_window(arrival.first_seen, &self.config.verdict);
        let read_from = self.measured.map_or(i64::MIN, |measured| measured.whole_from());
        let kept_from = now.saturating_sub(self.config.retention).0;
        let history = self.versions.history(&arrival.key, arrival.previous.as_ref()?)?;
        (window.0 >= read_from.max(kept_from)).then(|| history.between(window))
    }

    /// The cohorts of a deployment, filled from the traces still remembered.
    fn gather(&self, arrival: &Arrival) -> Cohorts {
        let key = CohortKey {
            environment: Arc::clone(&arrival.key.0),
            service: Arc::clone(&arrival.key.1),
            flag: None,
            candidate: Arc::clone(&arrival.version),
            baseline: arrival.previous.clone(),
            first_seen: arrival.first_seen,
        };
        let rule = &self.config.verdict;
        let mut cohorts = Cohorts::new(key, rule.lookback, rule.bake);
        self.recent.iter().for_each(|record| cohorts.add(record));
        cohorts
    }

    /// Lets the oldest deployments go: first versions first, which have nothing to be compared with. What was decided stays; what was open is
    /// INCONCLUSIVE from then on, and says why.
    fn bound_judged(&mut self) {
        let mut held: Vec<DeploymentKey> =
            self.judged.iter().filter(|(_, judged)| judged.cohorts.is_some()).map(|(key, _)| key.clone()).collect();
        let first_version =
            |key: &DeploymentKey| self.judged.get(key).is_some_and(|judged| judged.arrival.previous.is_none());
        held.sort_by_key(|key| (!first_version(key), key.3));
        let surplus = held.len().saturating_sub(self.config.judged_max);
        for key in held.into_iter().take(surplus) {
            if let Some(judged) = self.judged.get_mut(&key) {
                judged.cohorts = None;
                judged.verdict = Arc::new(judged.verdict.given_up(self.config.judged_max));
            }
        }
    }
}

/// Children may be missing, so what looks like self time is not, nor the first span the root.
fn of_fragment(mut entry: CellEntry, unknown: &Arc<str>) -> CellEntry {
    (entry.self_ns, entry.gap_ns) = (None, None);
    entry.key.journey = Arc::clone(unknown);
    entry
}

fn key_of(arrival: &Arrival) -> DeploymentKey {
    let (environment, service) = &arrival.key;
    (Arc::clone(environment), Arc::clone(service), Arc::clone(&arrival.version), arrival.first_seen)
}

//! [`Cohorts`]: the traces of one deployment as one value per trace and node, by journey and 10 s.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use daytwo_storage::UnixNanos;

use super::split::{Side, Tally};
use crate::deployment::WeightStep;
use crate::hash::HashMap;
use crate::measure::{FINE, LogHistogram, NodeKey, NodeValue, TraceRecord, slot_start};
use crate::trace::{Weight, identity};

/// Journeys times nodes that are told apart; more are counted and left out.
const SERIES_MAX: usize = 20_000;
/// Traits of either cohort that are told apart.
const TRAITS_MAX: usize = 2_048;

/// Which deployment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CohortKey {
    /// Environment, empty when missing.
    pub environment: Arc<str>,
    /// The judged service; empty when a flag tells the cohorts apart, whose services are judged one by one.
    pub service: Arc<str>,
    /// The flag whose variants are compared; `None` when it is the service's versions.
    pub flag: Option<Arc<str>>,
    /// The version that came, or the variant.
    pub candidate: Arc<str>,
    /// The version before, if there was one, or the control.
    pub baseline: Option<Arc<str>>,
    /// When the candidate was first seen, or a variant began to be judged.
    pub first_seen: UnixNanos,
}

impl CohortKey {
    /// A version without another to compare it with has nothing to explain: its own nodes say how it does.
    fn wants(&self, node: &NodeKey) -> bool {
        self.baseline.is_some() || node.service() == Some(&self.service)
    }
}

/// Traces of one node in one journey and cohort.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct NodeCell {
    pub(crate) ns: LogHistogram,
    pub(crate) traces: u64,
    pub(crate) calls: u64,
    pub(crate) call_squares: u64,
    pub(crate) own_failed: u64,
    pub(crate) failed: u64,
}

impl NodeCell {
    fn change(&mut self, value: NodeValue, add: bool) {
        let square = u64::from(value.calls).saturating_mul(u64::from(value.calls));
        let step = |count: &mut u64, by: u64| {
            *count = if add { count.saturating_add(by) } else { count.saturating_sub(by) };
        };
        step(&mut self.traces, 1);
        step(&mut self.calls, u64::from(value.calls));
        step(&mut self.call_squares, square);
        step(&mut self.own_failed, u64::from(value.own_errors > 0));
        step(&mut self.failed, u64::from(value.errors > 0));
        if add { self.ns.record(value.ns) } else { self.ns.unrecord(value.ns) }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.ns.merge(&other.ns);
        self.traces = self.traces.saturating_add(other.traces);
        self.calls = self.calls.saturating_add(other.calls);
        self.call_squares = self.call_squares.saturating_add(other.call_squares);
        self.own_failed = self.own_failed.saturating_add(other.own_failed);
        self.failed = self.failed.saturating_add(other.failed);
    }
}

/// Old version, new version.
pub(crate) const ARMS: usize = 2;
/// Index of the old version.
pub(crate) const BEFORE: usize = 0;
/// Index of the new version.
pub(crate) const AFTER: usize = 1;

/// Slots of one series, by cohort.
pub(crate) type Slots = [BTreeMap<i64, NodeCell>; ARMS];

/// Something about a trace that may explain a difference: a resource attribute or another service's version.
pub(crate) type Trait = (Arc<str>, Arc<str>, Arc<str>);

/// Trait that every process of the judged service has, so that those without an attribute are known.
pub(crate) const PRESENT: &str = "";

/// The traces of one deployment.
#[derive(Debug, Clone)]
pub struct Cohorts {
    pub(crate) key: CohortKey,
    /// By journey.
    pub(crate) series: HashMap<Arc<str>, HashMap<Arc<NodeKey>, Slots>>,
    /// How many there are in all journeys.
    series_held: usize,
    pub(crate) traits: BTreeMap<Trait, [u64; ARMS]>,
    lookback: Duration,
    bake: Duration,
    /// Of a flag: traces whose variant was drawn by lot, and all.
    pub(crate) drawn: [u64; 2],
    /// Where traces went since the candidate came, whether or not they are compared.
    pub(super) tally: Tally,
    /// Shares that were declared for the candidate.
    pub(super) weights: Vec<WeightStep>,
    /// Traces of the old version in [`super::prior_window`].
    pub(super) prior_traces: u64,
    overflowed: u64,
}

impl Cohorts {
    /// No traces yet.
    pub fn new(key: CohortKey, lookback: Duration, bake: Duration) -> Self {
        Self {
            key,
            series: HashMap::default(),
            series_held: 0,
            traits: BTreeMap::new(),
            lookback,
            bake,
            drawn: [0; 2],
            tally: Tally::default(),
            weights: Vec::new(),
            prior_traces: 0,
            overflowed: 0,
        }
    }

    /// Which deployment.
    pub fn key(&self) -> &CohortKey {
        &self.key
    }

    /// Takes up which shares of the traffic were declared for the candidate, in the order of time, in the place of what was known.
    pub fn set_weights(&mut self, weights: Vec<WeightStep>) {
        self.weights = weights;
    }

    /// Takes up how many traces the old version had in [`super::prior_window`], which the test is tuned by.
    pub fn set_prior_traces(&mut self, traces: u64) {
        self.prior_traces = traces;
    }

    /// Values left out because there were too many journeys and nodes.
    pub fn overflowed(&self) -> u64 {
        self.overflowed
    }

    /// What was known at an instant: the slots that began before it. Attributes of processes are not kept by time.
    pub(crate) fn until(&self, at: UnixNanos) -> Self {
        let mut part = Self::new(self.key.clone(), self.lookback, self.bake);
        for (journey, nodes) in &self.series {
            let known = nodes.iter().filter_map(|(node, slots)| {
                let before = |cells: &BTreeMap<i64, NodeCell>| -> BTreeMap<i64, NodeCell> {
                    cells.range(..at.0).map(|(slot, cell)| (*slot, cell.clone())).collect()
                };
                let slots = [before(&slots[BEFORE]), before(&slots[AFTER])];
                slots.iter().any(|cells| !cells.is_empty()).then(|| (Arc::clone(node), slots))
            });
            let known: HashMap<Arc<NodeKey>, Slots> = known.collect();
            if !known.is_empty() {
                part.series_held = part.series_held.saturating_add(known.len());
                part.series.insert(Arc::clone(journey), known);
            }
        }
        part.traits = self.traits.clone();
        part.drawn = self.drawn;
        part.prior_traces = self.prior_traces;
        part.tally = self.tally.until(at.0);
        part.weights = self.weights.iter().filter(|step| step.at <= at).cloned().collect();
        part
    }

    /// The cohort that a trace belongs to, if any: traces through both versions, or with both variants, belong to neither.
    pub(crate) fn arm_of(&self, record: &TraceRecord) -> Option<usize> {
        let oldest = self.key.first_seen.saturating_sub(self.lookback);
        let newest = self.key.first_seen.saturating_add(self.bake);
        if record.start < oldest || record.start >= newest {
            return None;
        }
        let version = match &self.key.flag {
            Some(flag) => record.flag(flag, &self.key.environment)?.variant.as_ref()?,
            None => record.version_of(&self.key.service, &self.key.environment)?,
        };
        match version {
            version if *version == self.key.candidate && record.start >= self.key.first_seen => Some(AFTER),
            version if Some(version) == self.key.baseline.as_ref() => Some(BEFORE),
            _ => None,
        }
    }

    /// Adds a trace.
    pub fn add(&mut self, record: &TraceRecord) {
        self.change(record, true);
    }

    /// Takes out a trace that was added.
    pub fn remove(&mut self, record: &TraceRecord) {
        self.change(record, false);
    }

    /// Where a trace went of which the candidate was meant to get a share, for how many it stands, and who asked.
    fn side_of(&self, record: &TraceRecord) -> Option<(Side, Weight, Option<Arc<str>>)> {
        let baseline = self.key.baseline.as_ref()?;
        let newest = self.key.first_seen.saturating_add(self.bake);
        if record.start < self.key.first_seen || record.start >= newest {
            return None;
        }
        let Some(flag) = &self.key.flag else {
            let (version, weight) = record.entered(&self.key.service, &self.key.environment)?;
            let side = if *version == self.key.candidate { Side::Candidate } else { Side::Elsewhere };
            return Some((side, weight, None));
        };
        let seen = record.flag(flag, &self.key.environment)?;
        let side = match &seen.variant {
            None => Side::Mixed,
            Some(variant) if *variant == self.key.candidate => Side::Candidate,
            Some(variant) if variant == baseline => Side::Elsewhere,
            Some(_) => return None,
        };
        Some((side, record.weight, Some(Arc::clone(&seen.service))))
    }

    fn change(&mut self, record: &TraceRecord, add: bool) {
        if let Some((side, weight, asker)) = self.side_of(record) {
            self.tally.change(slot_start(record.start, FINE), asker, side, weight, add);
        }
        let Some(arm) = self.arm_of(record) else { return };
        let slot = slot_start(record.start, FINE);
        let nodes = self.series.entry(Arc::clone(&record.journey)).or_default();
        for (node, value) in record.nodes.iter().filter(|(node, _)| self.key.wants(node)) {
            match slots_of(nodes, node, &mut self.series_held) {
                Some(slots) => change_slot(slots, arm, slot, *value, add),
                None => self.overflowed = self.overflowed.saturating_add(1),
            }
        }
        if nodes.is_empty() {
            self.series.remove(&record.journey);
        }
        self.change_traits(record, arm, add);
        self.change_drawn(record, add);
    }

    fn change_drawn(&mut self, record: &TraceRecord, add: bool) {
        let flag = self.key.flag.as_ref().and_then(|flag| record.flag(flag, &self.key.environment));
        let Some(flag) = flag else { return };
        for (count, by) in self.drawn.iter_mut().zip([u64::from(flag.is_split()), 1]) {
            *count = if add { count.saturating_add(by) } else { count.saturating_sub(by) };
        }
    }

    /// Whether nearly all variants were drawn by lot, so that a difference between the cohorts is the variant's doing.
    pub(crate) fn is_randomised(&self) -> bool {
        let [drawn, all] = self.drawn;
        all > 0 && all.saturating_sub(drawn).saturating_mul(50) <= all
    }

    fn change_traits(&mut self, record: &TraceRecord, arm: usize, add: bool) {
        let flag = self.key.flag.as_ref().and_then(|flag| record.flag(flag, &self.key.environment));
        // Of a flag's cohorts nothing is known to run one version: that of the service that asked is a trait like any other's.
        let judged = flag.map_or(&self.key.service, |flag| &flag.service);
        for resource in &record.resources {
            let own = resource.service == *judged;
            let version = ((!own || flag.is_some()) && !resource.version.is_empty())
                .then(|| ("service.version".into(), Arc::clone(&resource.version)));
            let explaining = |(name, _): &&(Arc<str>, Arc<str>)| own && !identity::is_part(name);
            let traits = resource.traits.iter().filter(explaining).cloned();
            let present = own.then(|| (PRESENT.into(), PRESENT.into()));
            for (name, value) in traits.chain(version).chain(present) {
                let key = (Arc::clone(&resource.service), name, value);
                if self.traits.len() >= TRAITS_MAX && !self.traits.contains_key(&key) {
                    continue;
                }
                if let Some(count) = self.traits.entry(key).or_default().get_mut(arm) {
                    *count = if add { count.saturating_add(1) } else { count.saturating_sub(1) };
                }
            }
        }
    }
}

/// The slots of a node, while there is room for it.
fn slots_of<'s>(
    nodes: &'s mut HashMap<Arc<NodeKey>, Slots>,
    node: &Arc<NodeKey>,
    held: &mut usize,
) -> Option<&'s mut Slots> {
    if !nodes.contains_key(node) {
        if *held >= SERIES_MAX {
            return None;
        }
        *held = held.saturating_add(1);
        nodes.insert(Arc::clone(node), Slots::default());
    }
    nodes.get_mut(node)
}

fn change_slot(slots: &mut Slots, arm: usize, slot: i64, value: NodeValue, add: bool) {
    let Some(cells) = slots.get_mut(arm) else { return };
    let cell = cells.entry(slot).or_default();
    cell.change(value, add);
    if cell.traces == 0 {
        cells.remove(&slot);
    }
}

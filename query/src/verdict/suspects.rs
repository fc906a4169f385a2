//! Who explains it: the services of these traces, ranked by how much of the change they account for.
//!
//! Evidence is the excess of a service's own time and of the calls between services. A call's excess belongs to the side whose
//! other calls are slow as well: to the callee when all its callers wait longer, to the caller when all its calls do. The
//! service that explains most is taken, its evidence is removed, and the rest is explained by what is left. The ranking needs
//! less than a verdict does: it says where to look, not that something is shown.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::baseline::Table;
use super::cohort::{AFTER, BEFORE};
use super::node_test::{self, Journeys, NodeTest, Yardstick};
use super::record::Suspect;
use super::structure::{self, CallCounts};
use crate::measure::{FIRST_CALL, NodeKey};

/// Evidence counts in full from this many standard deviations on.
const FULL_Z: f64 = 4.0;
/// Suspects that are named.
const SUSPECTS_MAX: usize = 10;
/// Less than this share of all evidence is not named.
const SHARE_MIN: f64 = 0.01;

/// Calls per trace may change by this share, and by this many, before it counts.
const CALLS_CHANGE_MIN: (f64, f64) = (0.2, 0.2);

/// Caller and callee.
type Edge = (Arc<str>, Arc<str>);

/// Excess of one node.
#[derive(Debug, Clone, Copy, Default)]
struct Evidence {
    /// Milliseconds per trace of the cohort, less the more it may be chance.
    ms: f64,
    /// How sure it is that the node moved, from 0 to 1.
    hit: f64,
    /// Calls of the candidate's traces.
    calls: f64,
}

/// Own time and calls of every service.
#[derive(Debug, Default)]
pub(super) struct Evidences {
    own: BTreeMap<Arc<str>, f64>,
    calls: BTreeMap<Edge, Evidence>,
    /// Work below that a service adds by calling more, or leaves undone by calling less.
    structure: BTreeMap<Arc<str>, f64>,
}

/// What speaks against a service.
#[derive(Debug, Clone, Copy, Default)]
struct Charge {
    own: f64,
    edges: f64,
    structure: f64,
    /// Evidence below the service that does not touch it.
    below: f64,
}

impl Charge {
    fn explained(self) -> f64 {
        self.own + self.edges + self.structure
    }

    fn score(self) -> f64 {
        let explained = self.explained();
        if explained > 0.0 { explained * explained / (explained + self.below) } else { 0.0 }
    }
}

fn evidence(test: Option<&NodeTest>, material: f64, share: f64, calls: f64) -> Evidence {
    let moved = test.filter(|test| {
        test.z > 0.0 && test.excess_ms > test.floor_ms && test.ratio > (1.0 + material) * test.calls_ratio
    });
    let Some(test) = moved else { return Evidence { calls, ..Evidence::default() } };
    let hit = (test.z / FULL_Z).powi(2).min(1.0);
    Evidence { ms: test.excess_ms * hit * share, hit, calls }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn candidate_traces(journeys: &Journeys) -> f64 {
    journeys.values().map(|cells| cells[AFTER].traces).sum::<u64>() as f64
}

impl Evidences {
    pub(super) fn of(table: &Table, yardstick: Yardstick<'_>) -> Self {
        let all = table.get(&NodeKey::Journey).map_or(0.0, candidate_traces).max(1.0);
        let material = yardstick.config.material;
        let mut found = Self::default();
        for (node, journeys) in table {
            let share = candidate_traces(journeys) / all;
            match &**node {
                NodeKey::Service { service } => {
                    let entries = table.get(&NodeKey::Total { service: Arc::clone(service) });
                    let test = node_test::test(journeys, entries, yardstick);
                    found.own.insert(Arc::clone(service), evidence(test.as_ref(), material, share, 0.0).ms);
                }
                NodeKey::Edge { caller, callee } => {
                    let test = node_test::test(journeys, Some(journeys), yardstick);
                    let calls = evidence(test.as_ref(), material, share, calls_of(journeys));
                    found.calls.insert((Arc::clone(caller), Arc::clone(callee)), calls);
                    let changed = changed_work_ms(table, caller, callee, journeys) / all;
                    *found.structure.entry(Arc::clone(caller)).or_default() += changed;
                }
                NodeKey::Operation { .. } | NodeKey::Total { .. } | NodeKey::Journey => {}
            }
        }
        found
    }

    fn total(&self) -> f64 {
        self.own.values().sum::<f64>()
            + self.structure.values().sum::<f64>()
            + self.calls.values().map(|calls| calls.ms).sum::<f64>()
    }

    /// Share of the calls that a service takes (or makes) which moved.
    fn moved_share(&self, of: impl Fn(&Edge) -> bool) -> f64 {
        let (mut moved, mut all) = (0.0, 0.0);
        for (_, calls) in self.calls.iter().filter(|(edge, _)| of(edge)) {
            moved += calls.hit * calls.calls;
            all += calls.calls;
        }
        if all > 0.0 { moved / all } else { 0.0 }
    }

    fn charge(&self, service: &Arc<str>) -> Charge {
        let into = self.moved_share(|edge| edge.1 == *service);
        let out = self.moved_share(|edge| edge.0 == *service);
        let sum = |of: &dyn Fn(&Edge) -> bool| -> f64 {
            self.calls.iter().filter(|(edge, _)| of(edge)).map(|(_, calls)| calls.ms).sum()
        };
        let edges = into * sum(&|edge| edge.1 == *service) + out * sum(&|edge| edge.0 == *service);
        let below = self.below(service);
        let apart = |edge: &Edge| edge.0 != *service && below.contains(&edge.0);
        let own_below: f64 = below.iter().filter_map(|name| self.own.get(name)).sum();
        let of = |map: &BTreeMap<Arc<str>, f64>| map.get(service).copied().unwrap_or(0.0);
        Charge { own: of(&self.own), edges, structure: of(&self.structure), below: own_below + sum(&apart) }
    }

    fn below(&self, start: &Arc<str>) -> BTreeSet<Arc<str>> {
        let mut found = BTreeSet::new();
        let mut open = vec![Arc::clone(start)];
        while let Some(service) = open.pop() {
            for (_, callee) in self.calls.keys().filter(|edge| edge.0 == service) {
                if callee != start && found.insert(Arc::clone(callee)) {
                    open.push(Arc::clone(callee));
                }
            }
        }
        found
    }

    /// Takes out what a service explains.
    fn explain_away(&mut self, service: &Arc<str>) {
        let into = self.moved_share(|edge| edge.1 == *service);
        let out = self.moved_share(|edge| edge.0 == *service);
        self.own.insert(Arc::clone(service), 0.0);
        self.structure.insert(Arc::clone(service), 0.0);
        for (edge, calls) in &mut self.calls {
            let part =
                f64::max(if edge.1 == *service { into } else { 0.0 }, if edge.0 == *service { out } else { 0.0 });
            calls.ms *= 1.0 - part;
            calls.hit *= 1.0 - part;
        }
    }

    /// The services by what they explain, most first. Calls change with the data and with what users do, not with versions alone, so
    /// they are asked only when no time has moved.
    pub(super) fn rank(mut self) -> Vec<Suspect> {
        let structure = std::mem::take(&mut self.structure);
        let ranked = self.rank_times();
        if !ranked.is_empty() {
            return ranked;
        }
        Self { structure, ..Self::default() }.rank_times()
    }

    fn rank_times(&mut self) -> Vec<Suspect> {
        let total = self.total();
        let names: BTreeSet<Arc<str>> = self.own.keys().chain(self.structure.keys()).map(Arc::clone).collect();
        let mut ranked: Vec<Suspect> = Vec::new();
        while ranked.len() < SUSPECTS_MAX {
            let left = names.iter().filter(|name| ranked.iter().all(|known| *known.service != ***name));
            let charged = left.map(|name| (self.charge(name), Arc::clone(name)));
            let worst = charged
                .max_by(|left, right| left.0.score().total_cmp(&right.0.score()).then_with(|| right.1.cmp(&left.1)));
            let Some((charge, service)) = worst.filter(|(charge, _)| charge.score() > SHARE_MIN * total) else { break };
            ranked.push(Suspect {
                service: service.to_string(),
                score_ms: charge.score(),
                share: charge.explained() / total,
                own_ms: charge.own,
                edge_ms: charge.edges,
                calls_ms: charge.structure,
            });
            self.explain_away(&service);
        }
        ranked
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn calls_of(journeys: &Journeys) -> f64 {
    journeys.values().map(|cells| cells[AFTER].calls).sum::<u64>() as f64
}

/// Traces, calls and their squares of one edge (or service) under each root, whatever was called first: what is called first is itself
/// structure.
fn by_root(all: &Journeys, calls: Option<&Journeys>) -> BTreeMap<String, CallCounts> {
    let mut roots: BTreeMap<String, CallCounts> = BTreeMap::new();
    for (journey, cells) in all {
        let root = journey.split(FIRST_CALL).next().unwrap_or_default();
        let counts = roots.entry(root.to_owned()).or_default();
        for arm in [BEFORE, AFTER] {
            let called = calls.and_then(|calls| calls.get(journey));
            counts.traces[arm] += cells[arm].traces;
            counts.calls[arm] += called.map_or(0, |cells| cells[arm].calls);
            counts.squares[arm] += called.map_or(0, |cells| cells[arm].call_squares);
        }
    }
    roots
}

/// Milliseconds of work of the callee, in all candidate traces, that the caller added or left undone beyond being called itself
/// more or less often.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn changed_work_ms(table: &Table, caller: &Arc<str>, callee: &Arc<str>, calls: &Journeys) -> f64 {
    let entered = |service: &Arc<str>| table.get(&NodeKey::Total { service: Arc::clone(service) });
    let (Some(entries), Some(work)) = (entered(caller), entered(callee)) else { return 0.0 };
    let strata = |of: Option<&Journeys>| by_root(entries, of).into_values().collect::<Vec<_>>();
    let (Some(made), Some(taken)) = (structure::test(&strata(Some(calls))), structure::test(&strata(Some(entries))))
    else {
        return 0.0;
    };
    let change = made.after - made.before * taken.after / taken.before.max(f64::MIN_POSITIVE);
    let (share, least) = CALLS_CHANGE_MIN;
    if change.abs() <= least || change.abs() <= share * made.before {
        return 0.0;
    }
    let hit = (made.z / FULL_Z).powi(2).min(1.0);
    let traces: u64 = entries.values().map(|cells| cells[AFTER].traces).sum();
    change.abs() * hit * traces as f64 * per_call_ms(work)
}

/// Milliseconds of one call in the middle of the baseline.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn per_call_ms(work: &Journeys) -> f64 {
    let (mut time, mut calls) = (0.0, 0.0);
    for cells in work.values() {
        let before = &cells[BEFORE];
        time += before.ns.quantile_ms(0.5).unwrap_or(0.0) * before.traces as f64;
        calls += before.calls as f64;
    }
    if calls > 0.0 { time / calls } else { 0.0 }
}

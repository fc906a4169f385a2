//! Own or propagated: whose doing is it that traces through the new version are slower?
//!
//! Evidence is taken on decomposed time (self time, edge gaps), so a caller of a slow service has none of its own. With
//! concurrent traffic the cohorts differ in the judged version only: whatever moved below it was moved by it, unless that
//! service's own version differs between the cohorts. Before/after, a service below that moved is itself the cause.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::baseline::{Comparison, Table};
use super::cohort::{AFTER, BEFORE, CohortKey, Cohorts};
use super::ebh::{FALSE_DISCOVERIES, e_bh};
use super::errors::{self, ErrorTest};
use super::gate::{Gate, entries_of};
use super::node_test::{self, NodeTest, Yardstick};
use super::{Class, Rung, VerdictConfig};
use crate::measure::NodeKey;

/// A version's share may differ by this much between the cohorts before it confounds.
const MIX_DIFFERENCE: f64 = 0.2;

/// Another service in the same traces.
#[derive(Debug, Clone)]
pub(super) struct OtherService {
    pub(super) service: Arc<str>,
    pub(super) own: Option<NodeTest>,
    pub(super) total: Option<NodeTest>,
    /// Set when it moved.
    pub(super) class: Option<Class>,
}

impl OtherService {
    /// Every service of the table by name, tested.
    pub(super) fn all(table: &Table, yardstick: Yardstick<'_>) -> Vec<Self> {
        let test_of = |node: NodeKey| node_test::test(table.get(&node)?, entries_of(table, &node), yardstick);
        let names: BTreeSet<&Arc<str>> = table.keys().filter_map(|node| node.service()).collect();
        let tested = |service: &Arc<str>| Self {
            service: Arc::clone(service),
            own: test_of(NodeKey::Service { service: Arc::clone(service) }),
            total: test_of(NodeKey::Total { service: Arc::clone(service) }),
            class: None,
        };
        names.into_iter().map(tested).collect()
    }
}

/// What explains the judged service's traces.
#[derive(Debug, Clone)]
pub(super) struct Attribution {
    /// Whether a flag tells the cohorts apart. Then all services of a trace have the variant, and one that calls a slower one has not
    /// brought that about.
    by_flag: bool,
    pub(super) class: Option<Class>,
    /// The service that is the cause, when it is another one.
    pub(super) culprit: Option<Arc<str>>,
    pub(super) total: Option<NodeTest>,
    /// Requests to the judged service that failed, whoever caused it.
    pub(super) failed: Option<ErrorTest>,
    pub(super) others: Vec<OtherService>,
    /// Other services whose version differs between the cohorts.
    pub(super) mixed: BTreeSet<Arc<str>>,
    /// Median ratio of the own time of services that the judged one cannot slow down.
    pub(super) control: Option<f64>,
    /// Whether errors of those services are shown not to have risen.
    pub(super) steady_errors: bool,
}

/// Shown to be slower, materially; for nodes outside the gate the family's level is split evenly.
fn moved(test: &NodeTest, config: &VerdictConfig, family: usize) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "a small count")]
    let level = config.alpha / family.max(1) as f64;
    let enough = test.traces.iter().all(|traces| *traces >= config.traces_min);
    enough && test.p() <= level && test.is_material(config)
}

/// Services reachable through calls, the start left out.
fn below(table: &Table, start: &Arc<str>) -> BTreeSet<Arc<str>> {
    let mut calls: BTreeMap<&Arc<str>, Vec<&Arc<str>>> = BTreeMap::new();
    for node in table.keys() {
        if let NodeKey::Edge { caller, callee } = &**node {
            calls.entry(caller).or_default().push(callee);
        }
    }
    let mut found = BTreeSet::new();
    let mut open = vec![start];
    while let Some(service) = open.pop() {
        for callee in calls.get(service).into_iter().flatten() {
            if *callee != start && found.insert(Arc::clone(callee)) {
                open.push(callee);
            }
        }
    }
    found
}

/// Services whose versions are not spread alike over the cohorts.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn mixed_versions(cohorts: &Cohorts) -> BTreeSet<Arc<str>> {
    let versions = || cohorts.traits.iter().filter(|((_, name, _), _)| &**name == "service.version");
    let mut sums: BTreeMap<&Arc<str>, [u64; 2]> = BTreeMap::new();
    for ((service, ..), counts) in versions() {
        let sum = sums.entry(service).or_default();
        sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum = sum.saturating_add(*count));
    }
    let uneven = |(service, counts): (&Arc<str>, &[u64; 2])| {
        let sum = sums.get(service).filter(|sum| sum.iter().all(|count| *count >= 20))?;
        let share =
            |arm: usize| counts.get(arm).zip(sum.get(arm)).map_or(0.0, |(part, all)| *part as f64 / *all as f64);
        ((share(AFTER) - share(BEFORE)).abs() > MIX_DIFFERENCE).then(|| Arc::clone(service))
    };
    versions().filter_map(|((service, ..), counts)| uneven((service, counts))).collect()
}

fn failed_requests(table: &Table, judged: &Arc<str>, config: &VerdictConfig) -> Option<ErrorTest> {
    let journeys = table.get(&NodeKey::Total { service: Arc::clone(judged) })?;
    let usable = journeys.values().filter(|cells| cells.iter().all(|cell| cell.traces >= config.stratum_min));
    errors::test(&usable.map(|cells| node_test::error_counts(cells, |cell| cell.failed)).collect::<Vec<_>>())
}

impl Attribution {
    pub(super) fn of(
        table: &Table,
        gate: &Gate,
        (cohorts, key): (&Cohorts, &CohortKey),
        comparison: &Comparison,
        (services, yardstick): (&[OtherService], Yardstick<'_>),
    ) -> Self {
        let config = yardstick.config;
        let judged = &key.service;
        let (own, others): (Vec<&OtherService>, Vec<&OtherService>) =
            services.iter().partition(|other| other.service == *judged);
        let mut attribution = Self {
            by_flag: key.flag.is_some(),
            class: None,
            culprit: None,
            total: own.first().and_then(|own| own.total.clone()),
            failed: failed_requests(table, judged, config),
            others: others.into_iter().cloned().collect(),
            mixed: mixed_versions(cohorts),
            control: None,
            steady_errors: false,
        };
        let below = below(table, judged);
        attribution.control = attribution.control_ratio(&below, config);
        attribution.steady_errors = attribution.errors_are_steady(&below, config);
        attribution.classify(gate, judged, &below, comparison.rung, config);
        attribution.classify_others(&below, comparison.rung, config);
        attribution
    }

    /// Services that the judged one does not call, with enough traces.
    fn controls(&self, below: &BTreeSet<Arc<str>>, config: &VerdictConfig) -> impl Iterator<Item = &NodeTest> {
        let usable = self.others.iter().filter(|other| !below.contains(&other.service));
        let enough = |test: &&NodeTest| test.traces.iter().all(|traces| *traces >= config.traces_min);
        usable.filter_map(|other| other.own.as_ref()).filter(enough)
    }

    fn errors_are_steady(&self, below: &BTreeSet<Arc<str>>, config: &VerdictConfig) -> bool {
        let steady = |test: &NodeTest| test.errors.is_some_and(|errors| errors.rise_high < config.error_margin);
        let mut controls = self.controls(below, config).peekable();
        controls.peek().is_some() && controls.all(steady)
    }

    fn control_ratio(&self, below: &BTreeSet<Arc<str>>, config: &VerdictConfig) -> Option<f64> {
        let mut ratios: Vec<f64> = self.controls(below, config).map(|test| test.ratio).collect();
        ratios.sort_by(f64::total_cmp);
        ratios.get(ratios.len() / 2).copied()
    }

    fn classify(
        &mut self,
        gate: &Gate,
        judged: &Arc<str>,
        below: &BTreeSet<Arc<str>>,
        rung: Rung,
        config: &VerdictConfig,
    ) {
        let hit = |wanted: &dyn Fn(&NodeKey) -> bool| {
            gate.nodes.iter().any(|node| (node.slower || node.failing) && wanted(&node.node))
        };
        let own = hit(&|node| matches!(node, NodeKey::Operation { .. } | NodeKey::Service { .. }));
        let into = hit(&|node| matches!(node, NodeKey::Edge { callee, .. } if callee == judged));
        let out = hit(&|node| matches!(node, NodeKey::Edge { caller, .. } if caller == judged));
        let culprit = self.slowest_below(below, config);
        let concurrent = matches!(rung, Rung::A | Rung::B);
        self.class = match () {
            () if own => Some(Class::Own),
            () if into => Some(Class::Edge),
            // Users and data change calls too; before/after they count only when they cost time.
            () if gate.calls.iter().any(|call| call.more) && (concurrent || self.total_moved(config)) => {
                Some(Class::Induced)
            }
            () if culprit
                .as_ref()
                .is_some_and(|service| !concurrent || self.by_flag || self.mixed.contains(service)) =>
            {
                self.culprit = culprit;
                Some(Class::Inherited)
            }
            () if out => Some(if concurrent { Class::Edge } else { Class::Inherited }),
            () if culprit.is_some() => Some(Class::Induced),
            () if concurrent && self.total_moved(config) => {
                Some(if self.by_flag { Class::Inherited } else { Class::Induced })
            }
            () => None,
        };
    }

    fn total_moved(&self, config: &VerdictConfig) -> bool {
        self.total.as_ref().is_some_and(|test| moved(test, config, self.others.len() + 1))
    }

    /// The service below whose own time rose most, if any did.
    fn slowest_below(&self, below: &BTreeSet<Arc<str>>, config: &VerdictConfig) -> Option<Arc<str>> {
        let family = self.others.len();
        let slower = self.others.iter().filter(|other| below.contains(&other.service)).filter_map(|other| {
            let own = other.own.as_ref().filter(|own| moved(own, config, family))?;
            Some((own.excess_ms, &other.service))
        });
        slower.max_by(|left, right| left.0.total_cmp(&right.0)).map(|(_, service)| Arc::clone(service))
    }

    fn classify_others(&mut self, below: &BTreeSet<Arc<str>>, rung: Rung, config: &VerdictConfig) {
        let moved = self.discoveries(config);
        let concurrent = matches!(rung, Rung::A | Rung::B);
        let (mixed, by_flag) = (self.mixed.clone(), self.by_flag);
        for (other, [own, total]) in self.others.iter_mut().zip(moved) {
            let moved_by_us =
                concurrent && !by_flag && below.contains(&other.service) && !mixed.contains(&other.service);
            other.class = match () {
                () if own && moved_by_us => Some(Class::Induced),
                () if own => Some(Class::Own),
                () if total => Some(Class::Inherited),
                () => None,
            };
        }
    }

    /// Which of the other services' own and total times moved: e-BH over all of them, which holds although the nodes of one trace depend on
    /// each other.
    fn discoveries(&self, config: &VerdictConfig) -> Vec<[bool; 2]> {
        let enough = |test: &&NodeTest| test.traces.iter().all(|traces| *traces >= config.traces_min);
        let tests: Vec<[Option<&NodeTest>; 2]> = self
            .others
            .iter()
            .map(|other| [&other.own, &other.total].map(|test| test.as_ref().filter(enough)))
            .collect();
        let evidence: Vec<f64> = tests.iter().flatten().flatten().map(|test| test.ln_e).collect();
        let mut found = e_bh(&evidence, FALSE_DISCOVERIES).into_iter();
        let mut moved = |test: Option<&NodeTest>| {
            test.is_some_and(|test| found.next().unwrap_or(false) && test.is_material(config))
        };
        tests.into_iter().map(|pair| pair.map(&mut moved)).collect()
    }
}

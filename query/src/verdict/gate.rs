//! The gate: which of the judged service's own nodes moved, with the family's error rate controlled (Holm).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::VerdictConfig;
use super::baseline::Table;
use super::cohort::{AFTER, ARMS, BEFORE, NodeCell};
use super::node_test::{self, Journeys, NodeTest, Yardstick, p_of};
use super::sequential::{Tuning, holm, ln_e_value, ln_mean};
use super::structure::{self, CallCounts, CallTest};
use crate::measure::NodeKey;

/// A node of the gate with what was found.
#[derive(Debug, Clone)]
pub(super) struct GateNode {
    pub(super) node: Arc<NodeKey>,
    pub(super) test: NodeTest,
    /// Shown to be slower, materially.
    pub(super) slower: bool,
    /// Shown to fail more, materially.
    pub(super) failing: bool,
}

/// A call of the judged service with what was found.
#[derive(Debug, Clone)]
pub(super) struct GateCall {
    pub(super) callee: Arc<str>,
    pub(super) test: CallTest,
    /// Shown to be made more often, materially.
    pub(super) more: bool,
}

/// Parts of the level for the latency of the whole service, of the calls into it, and of its operations and the calls it makes.
const LATENCY: [f64; 3] = [0.45, 0.15, 0.1];
/// Parts of the level for the errors of the whole service, of the calls into it (their errors are the service's), and of its operations.
const ERRORS: [f64; 3] = [0.2, 0.0, 0.05];
/// Part of the level for the number of calls that it makes.
const CALLS: f64 = 0.05;

/// The judged service's nodes and calls.
#[derive(Debug, Clone)]
pub(super) struct Gate {
    service: Arc<str>,
    pub(super) nodes: Vec<GateNode>,
    pub(super) calls: Vec<GateCall>,
}

/// The cells that count the calls into a node: those of its service, or of the edge itself.
pub(super) fn entries_of<'a>(table: &'a Table, node: &NodeKey) -> Option<&'a Journeys> {
    match node {
        NodeKey::Edge { .. } => table.get(node),
        NodeKey::Operation { service, .. } | NodeKey::Service { service } | NodeKey::Total { service } => {
            table.get(&NodeKey::Total { service: Arc::clone(service) })
        }
        NodeKey::Journey => None,
    }
}

/// Whether a node is charged to the service: its own work, the calls into it and the calls it makes.
fn belongs(node: &NodeKey, service: &Arc<str>) -> bool {
    match node {
        NodeKey::Operation { service: own, .. } | NodeKey::Service { service: own } => own == service,
        NodeKey::Edge { caller, callee } => caller == service || callee == service,
        NodeKey::Total { .. } | NodeKey::Journey => false,
    }
}

impl Gate {
    pub(super) fn of(table: &Table, service: &Arc<str>, yardstick: Yardstick<'_>) -> Self {
        let config = yardstick.config;
        let own = table.iter().filter(|(node, _)| belongs(node, service));
        let tested = own.filter_map(|(node, journeys)| {
            let test = node_test::test(journeys, entries_of(table, node), yardstick)?;
            let enough = test.traces.iter().all(|traces| *traces >= config.traces_min);
            let whole = matches!(**node, NodeKey::Service { .. });
            (enough && (whole || test.varies() || test.errors.is_some_and(|errors| errors.before + errors.after > 0.0)))
                .then(|| GateNode { node: Arc::clone(node), test, slower: false, failing: false })
        });
        let mut gate =
            Self { service: Arc::clone(service), nodes: tested.collect(), calls: calls(table, service, config) };
        gate.decide(yardstick);
        gate
    }

    /// One family: latency of every node, own errors of every operation, calls of every callee.
    #[expect(clippy::cast_precision_loss, reason = "a small count")]
    fn decide(&mut self, Yardstick { config, tuning, .. }: Yardstick<'_>) {
        let error_p = |node: &GateNode| node.test.errors.map_or(1.0, |errors| p_of(errors.ln_e));
        let call_p = |call: &GateCall| p_of(ln_e_value(call.test.z, call.test.information, tuning));
        let mut hypotheses: Vec<(f64, f64)> =
            self.nodes.iter().map(|node| (node.test.p(), self.weight(&node.node, LATENCY))).collect();
        hypotheses.extend(self.nodes.iter().map(|node| (error_p(node), self.weight(&node.node, ERRORS))));
        let of_calls = CALLS / self.calls.len().max(1) as f64;
        hypotheses.extend(self.calls.iter().map(|call| (call_p(call), of_calls)));
        let mut rejected = holm(&hypotheses, config.alpha).into_iter();
        for node in &mut self.nodes {
            node.slower = rejected.next().unwrap_or(false) && node.test.is_material(config);
        }
        for node in &mut self.nodes {
            let edge = matches!(*node.node, NodeKey::Edge { .. });
            let more = node.test.errors.is_some_and(|errors| errors.after > errors.before + config.error_floor);
            node.failing = rejected.next().unwrap_or(false) && more && !edge;
        }
        for call in &mut self.calls {
            call.more = rejected.next().unwrap_or(false) && call.test.is_material();
        }
    }

    /// A node's part of the level: its kind's, shared by the nodes of that kind.
    #[expect(clippy::cast_precision_loss, reason = "a small count")]
    fn weight(&self, node: &NodeKey, [service, into, rest]: [f64; 3]) -> f64 {
        let kind = |node: &NodeKey| match node {
            NodeKey::Service { .. } => 0,
            NodeKey::Edge { callee, .. } if *callee == self.service => 1,
            _ => 2,
        };
        let same = self.nodes.iter().filter(|other| kind(&other.node) == kind(node)).count();
        let part = match kind(node) {
            0 => service,
            1 => into,
            _ => rest,
        };
        part / same.max(1) as f64
    }

    /// Logarithm of the mean of all e-values, weighted as their levels are: evidence that anything of the service is worse.
    #[expect(clippy::cast_precision_loss, reason = "a small count")]
    pub(super) fn ln_e(&self, tuning: Tuning) -> f64 {
        let of_calls = CALLS / self.calls.len().max(1) as f64;
        let latency = self.nodes.iter().map(|node| (node.test.ln_e, self.weight(&node.node, LATENCY)));
        let errors =
            self.nodes.iter().filter_map(|node| Some((node.test.errors?.ln_e, self.weight(&node.node, ERRORS))));
        let calls = self.calls.iter().map(|call| (ln_e_value(call.test.z, call.test.information, tuning), of_calls));
        let all: Vec<(f64, f64)> = latency.chain(errors).chain(calls).filter(|(_, weight)| *weight > 0.0).collect();
        let sum: f64 = all.iter().map(|(_, weight)| weight).sum();
        if all.is_empty() {
            0.0
        } else {
            ln_mean(&all.iter().map(|(ln_e, weight)| (*ln_e, weight / sum)).collect::<Vec<_>>())
        }
    }

    /// Level of the whole service's own time, when nothing else is rejected.
    pub(super) fn level(&self, config: &VerdictConfig) -> f64 {
        config.alpha * LATENCY[0]
    }

    /// How many hypotheses the family has.
    pub(super) fn family(&self) -> usize {
        (2 * self.nodes.len() + self.calls.len()).max(1)
    }

    /// The whole service's own time.
    pub(super) fn service(&self) -> Option<&GateNode> {
        self.nodes.iter().find(|node| matches!(*node.node, NodeKey::Service { .. }))
    }
}

/// Calls per trace through the service, whether or not a trace has the call.
fn calls(table: &Table, service: &Arc<str>, config: &VerdictConfig) -> Vec<GateCall> {
    let Some(traces) = table.get(&NodeKey::Service { service: Arc::clone(service) }) else { return Vec::new() };
    let of_callee = |(node, journeys): (&Arc<NodeKey>, &BTreeMap<Arc<str>, [NodeCell; ARMS]>)| {
        let NodeKey::Edge { caller, callee } = &**node else { return None };
        let strata: Vec<CallCounts> =
            traces.iter().filter_map(|(journey, all)| stratum(all, journeys.get(journey), config)).collect();
        let test = structure::test(&strata).filter(|_| caller == service)?;
        Some(GateCall { callee: Arc::clone(callee), test, more: false })
    };
    table.iter().filter_map(of_callee).collect()
}

fn stratum(all: &[NodeCell; ARMS], calls: Option<&[NodeCell; ARMS]>, config: &VerdictConfig) -> Option<CallCounts> {
    let enough = all.iter().all(|cell| cell.traces >= config.stratum_min);
    let of = |arm: usize, count: fn(&NodeCell) -> u64| calls.and_then(|calls| calls.get(arm)).map_or(0, count);
    enough.then(|| CallCounts {
        traces: [all[BEFORE].traces, all[AFTER].traces],
        calls: [of(BEFORE, |cell| cell.calls), of(AFTER, |cell| cell.calls)],
        squares: [of(BEFORE, |cell| cell.call_squares), of(AFTER, |cell| cell.call_squares)],
    })
}

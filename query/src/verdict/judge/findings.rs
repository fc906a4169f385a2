//! The rows of a verdict: one per node of the judged service, one per other service that moved.

use std::sync::Arc;

use super::super::attribution::OtherService;
use super::super::cohort::{AFTER, BEFORE};
use super::super::errors::ErrorTest;
use super::super::gate::GateNode;
use super::super::node_test::{NodeTest, p_of};
use super::super::record::{Class, Finding, FindingNode, Signal, State};
use super::super::words;
use super::Case;
use crate::measure::NodeKey;

/// Rows of either list.
const ROWS_MAX: usize = 100;

fn blank(node: &NodeKey) -> Finding {
    let (kind, service, operation, peer) = match node {
        NodeKey::Operation { service, operation } => {
            (FindingNode::SelfTime, service.to_string(), Some(operation.to_string()), None)
        }
        NodeKey::Service { service } => (FindingNode::SelfTime, service.to_string(), None, None),
        NodeKey::Edge { caller, callee } => (FindingNode::Edge, callee.to_string(), None, Some(caller.to_string())),
        NodeKey::Total { service } => (FindingNode::Total, service.to_string(), None, None),
        NodeKey::Journey => (FindingNode::Total, String::new(), None, None),
    };
    Finding {
        node: kind,
        service,
        operation,
        peer,
        class: None,
        state: State::Continue,
        signal: Signal::Latency,
        traces_before: 0,
        traces_after: 0,
        before_ms: None,
        after_ms: None,
        ratio: None,
        ratio_low: None,
        ratio_high: None,
        excess_ms: None,
        errors_before: None,
        errors_after: None,
        z: None,
        e_value: None,
        p_value: None,
        strata: 0,
        own_share: None,
        why: String::new(),
    }
}

fn latency_row(node: &NodeKey, test: &NodeTest) -> Finding {
    Finding {
        traces_before: test.traces[BEFORE],
        traces_after: test.traces[AFTER],
        before_ms: test.before,
        after_ms: test.after,
        ratio: Some(test.ratio),
        ratio_low: Some(test.low),
        ratio_high: Some(test.high),
        excess_ms: Some(test.excess_ms),
        errors_before: test.errors.map(|errors| errors.before),
        errors_after: test.errors.map(|errors| errors.after),
        z: Some(test.z),
        e_value: Some(test.ln_e.min(700.0).exp()),
        p_value: Some(test.p()),
        strata: test.strata,
        why: words::latency(node, test),
        ..blank(node)
    }
}

fn errors_row(node: &NodeKey, errors: &ErrorTest) -> Finding {
    Finding {
        signal: Signal::Errors,
        traces_before: errors.traces_before,
        traces_after: errors.traces_after,
        errors_before: Some(errors.before),
        errors_after: Some(errors.after),
        z: Some(errors.z),
        e_value: Some(errors.ln_e.min(700.0).exp()),
        p_value: Some(p_of(errors.ln_e)),
        strata: errors.strata,
        ..blank(node)
    }
}

impl Case<'_> {
    /// The judged service's own nodes, worst first.
    pub(super) fn findings(&self, state: State) -> Vec<Finding> {
        let bad = if matches!(state, State::Fail | State::Warn | State::Noisy) { state } else { State::Warn };
        let mut rows: Vec<Finding> = Vec::new();
        for node in &self.gate.nodes {
            rows.push(self.latency_finding(node, bad));
            rows.extend(self.error_finding(node, bad));
        }
        if let Some(total) = &self.attribution.total {
            let node = NodeKey::Total { service: Arc::clone(&self.key.service) };
            rows.push(Finding {
                own_share: self.own_share(),
                state: self.quiet_state(total),
                ..latency_row(&node, total)
            });
        }
        rows.extend(self.induced_failures());
        sort(&mut rows);
        rows
    }

    /// A row for requests that fail more often while the service itself does not.
    fn induced_failures(&self) -> Option<Finding> {
        #[expect(clippy::cast_precision_loss, reason = "a small count")]
        let level = self.config.alpha / (self.gate.family() + 1) as f64;
        let enough = |test: &ErrorTest| test.traces_before.min(test.traces_after) >= self.config.traces_min;
        let risen = |test: &ErrorTest| p_of(test.ln_e) <= level && test.after > test.before + self.config.error_floor;
        let errors = self.attribution.failed.filter(|test| enough(test) && risen(test))?;
        let own = self.gate.nodes.iter().any(|node| node.failing);
        let node = NodeKey::Total { service: Arc::clone(&self.key.service) };
        (!own).then(|| Finding {
            state: State::Warn,
            class: Some(Class::Induced),
            why: format!(
                "requests to {} fail in {} of traces, before in {}, and not by its own doing",
                self.key.service,
                words::percent(errors.after),
                words::percent(errors.before)
            ),
            ..errors_row(&node, &errors)
        })
    }

    fn latency_finding(&self, node: &GateNode, bad: State) -> Finding {
        let edge = matches!(*node.node, NodeKey::Edge { .. });
        Finding {
            state: if node.slower { bad } else { self.quiet_state(&node.test) },
            class: node.slower.then_some(if edge { Class::Edge } else { Class::Own }),
            own_share: self.own_share().filter(|_| node.slower && !edge),
            ..latency_row(&node.node, &node.test)
        }
    }

    fn quiet_state(&self, test: &NodeTest) -> State {
        if test.is_harmless(self.config) { State::Pass } else { State::Continue }
    }

    /// A row for errors where they rose; the whole service always has one.
    fn error_finding(&self, node: &GateNode, bad: State) -> Option<Finding> {
        let errors = node.test.errors.filter(|_| !matches!(*node.node, NodeKey::Edge { .. }))?;
        let whole = matches!(*node.node, NodeKey::Service { .. });
        let row = errors_row(&node.node, &errors);
        let name = row.operation.as_ref().unwrap_or(&row.service).clone();
        let quiet = if errors.rise_high < self.config.error_margin { State::Pass } else { State::Continue };
        (node.failing || whole).then(|| Finding {
            state: if node.failing { bad } else { quiet },
            class: node.failing.then_some(Class::Own),
            why: words::failures(&name, &errors),
            ..row
        })
    }

    /// Share of the slowdown from entry to answer that the service's own time explains.
    fn own_share(&self) -> Option<f64> {
        let own = &self.gate.service()?.test;
        let total = self.attribution.total.as_ref()?;
        (total.excess_ms > 0.0).then(|| (own.excess_ms / total.excess_ms).clamp(0.0, 1.0))
    }

    /// Other services that moved, worst first.
    pub(super) fn affected(&self) -> Vec<Finding> {
        let mut rows: Vec<Finding> =
            self.attribution.others.iter().filter_map(|other| self.affected_row(other)).collect();
        sort(&mut rows);
        rows
    }

    fn affected_row(&self, other: &OtherService) -> Option<Finding> {
        let class = other.class?;
        let judged = &self.key;
        let (node, test, tail) = match class {
            Class::Inherited => {
                let culprit = self.attribution.culprit.as_ref().unwrap_or(&judged.service);
                let own = other
                    .own
                    .as_ref()
                    .map_or(String::new(), |own| format!(" ({} of its own)", words::change(own.ratio)));
                (
                    NodeKey::Total { service: Arc::clone(&other.service) },
                    other.total.as_ref()?,
                    format!("; inherited from {culprit}{own}"),
                )
            }
            Class::Induced => {
                let tail = format!("; it does more in traces through {} {}", judged.service, judged.candidate);
                (NodeKey::Service { service: Arc::clone(&other.service) }, other.own.as_ref()?, tail)
            }
            Class::Own | Class::Edge => (
                NodeKey::Service { service: Arc::clone(&other.service) },
                other.own.as_ref()?,
                "; its own time moved as well".to_owned(),
            ),
        };
        let row = latency_row(&node, test);
        let state = if class == Class::Inherited { State::Inherited } else { State::Warn };
        let why = format!("{}{tail}", row.why);
        Some(Finding { class: Some(class), state, why, ..row })
    }
}

/// Failures first, then warnings, then by excess; names make the order total.
fn sort(rows: &mut Vec<Finding>) {
    let rank = |row: &Finding| match row.state {
        State::Fail => 0,
        State::Warn | State::Noisy => 1,
        State::Inherited => 2,
        _ => 3,
    };
    let whole = |row: &Finding| row.operation.is_none() && row.node == FindingNode::SelfTime;
    rows.sort_by(|left, right| {
        rank(left)
            .cmp(&rank(right))
            .then_with(|| whole(left).cmp(&whole(right)))
            .then_with(|| right.excess_ms.unwrap_or(0.0).total_cmp(&left.excess_ms.unwrap_or(0.0)))
            .then_with(|| {
                (&left.service, &left.operation, &left.peer).cmp(&(&right.service, &right.operation, &right.peer))
            })
            .then_with(|| (left.node, left.signal).cmp(&(right.node, right.signal)))
    });
    rows.truncate(ROWS_MAX);
}

//! PASS: what is still open before a version may be said to be no worse.

use std::sync::Arc;

use super::super::cohort::AFTER;
use super::super::gate::GateNode;
use super::super::node_test::{self, INTERVAL_ALPHA, Yardstick};
use super::super::{State, words};
use super::{Arms, Case};
use crate::measure::NodeKey;

/// A journey with at least this share of the candidate's traces is gated on its own.
const GATED_SHARE: f64 = 0.1;
/// Less of the candidate's traces in compared journeys than this is no basis for PASS.
const COVERAGE_MIN: f64 = 0.8;

impl Case<'_> {
    pub(super) fn not_regressed(&self) -> (State, String) {
        match self.open_question() {
            None => {
                let margin = words::change(1.0 + self.config.margin);
                (
                    State::Pass,
                    format!(
                        "shown to be less than {margin} slower on every journey, and errors to rise by less than {}",
                        words::percent(self.config.error_margin)
                    ),
                )
            }
            Some(question) => (self.undecided(), question),
        }
    }

    /// What is still open before PASS can be said.
    fn open_question(&self) -> Option<String> {
        let Some(service) = self.gate.service() else {
            return Some("no journey has enough traces of both versions".to_owned());
        };
        if self.coverage < COVERAGE_MIN {
            return Some(format!(
                "only {} of the new version's traces are in journeys that can be compared",
                words::percent(self.coverage)
            ));
        }
        let suspicious =
            self.gate.nodes.iter().find(|node| node.test.p() < INTERVAL_ALPHA && node.test.is_material(self.config));
        if let Some(node) = suspicious {
            return Some(format!(
                "there is some evidence that it is slower: {}",
                words::latency(&node.node, &node.test)
            ));
        }
        let edge_into =
            |node: &&GateNode| matches!(&*node.node, NodeKey::Edge { callee, .. } if *callee == self.key.service);
        let open = std::iter::once(service).chain(self.gate.nodes.iter().filter(edge_into));
        let mut open = open.filter(|node| !node.test.is_harmless(self.config));
        if let Some(node) = open.next() {
            return Some(format!("not yet shown to be harmless: {}", words::latency(&node.node, &node.test)));
        }
        if let Some(question) = self.gated().into_iter().find_map(|(journey, cells)| self.open_on(journey, cells)) {
            return Some(question);
        }
        let rise = service.test.errors.map_or(1.0, |errors| errors.rise_high);
        let limit = self.config.error_margin;
        if rise >= limit {
            return Some(format!("errors may still have risen by up to {}", words::percent(rise)));
        }
        let rise = self.attribution.failed.map_or(1.0, |failed| failed.rise_high);
        let risen =
            || format!("failed requests, whoever caused them, may still have risen by up to {}", words::percent(rise));
        (rise >= limit).then(risen)
    }

    /// Journeys with much of the candidate's traffic.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    pub(super) fn gated(&self) -> Vec<(&Arc<str>, &Arms)> {
        let own = NodeKey::Service { service: Arc::clone(&self.key.service) };
        let Some(journeys) = self.table.get(&own) else { return Vec::new() };
        let all: u64 = journeys.values().map(|cells| cells[AFTER].traces).sum();
        journeys.iter().filter(|(_, cells)| cells[AFTER].traces as f64 >= GATED_SHARE * all as f64).collect()
    }

    /// What is still open on one journey.
    fn open_on(&self, journey: &Arc<str>, cells: &Arms) -> Option<String> {
        let alone = std::iter::once((Arc::clone(journey), cells.clone())).collect();
        let (config, floors) = (self.config, self.floors);
        let yardstick = Yardstick { config, floors, tuning: self.tuning, stratum_min: config.stratum_min };
        let test = node_test::test(&alone, None, yardstick);
        let Some(test) = test.filter(|test| test.is_harmless(self.config)) else {
            return Some(format!("not yet shown to be harmless on the journey {journey}"));
        };
        let rise = test.errors.map_or(1.0, |errors| errors.rise_high);
        let risen =
            || format!("errors on the journey {journey} may still have risen by up to {}", words::percent(rise));
        (rise >= self.config.error_margin).then(risen)
    }
}

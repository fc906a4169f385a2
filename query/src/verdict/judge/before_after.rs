//! Before/after: what may be said when the old version is gone, and only its past is left to compare with.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::cohort::{AFTER, BEFORE};
use super::super::gate::GateNode;
use super::super::sequential::ln_e_value;
use super::super::{State, rank_test, words};
use super::{Arms, Case};
use crate::measure::{FINE, LogHistogram, NodeKey};

/// Ordinary before/after variation beyond this is too large to judge.
const DISPERSION_MAX: f64 = 9.0;
/// Before/after, a service that explains less than this of what the first suspect explains is not held to be the cause.
const EXPLAINS_LITTLE: f64 = 0.5;
/// Blocks of the old version's past that estimate its ordinary variation.
const BLOCKS: i64 = 8;

impl Case<'_> {
    /// Before/after: WARN, unless ordinary variation is small and services that cannot be affected stood still.
    pub(super) fn before_after(&self, what: &str) -> (State, String) {
        if let Some(culprit) = self.better_explained() {
            return (State::Inherited, format!("{what}, but {culprit} explains most of it in the same traces"));
        }
        let hits = self.gate.nodes.iter().filter(|node| node.slower);
        let hits: Vec<(Option<f64>, &GateNode)> = hits.map(|node| (self.dispersion(&node.node), node)).collect();
        let known: Vec<f64> = hits.iter().filter_map(|(dispersion, _)| *dispersion).collect();
        if !known.is_empty() && known.len() == hits.len() && known.iter().all(|known| *known > DISPERSION_MAX) {
            let worst = known.iter().copied().fold(1.0, f64::max).sqrt();
            return (
                State::Noisy,
                format!("{what}, but the old version alone varies {worst:.1} times more than chance would"),
            );
        }
        let Some(control) = self.attribution.control else {
            return (State::Warn, format!("{what}; before/after, with no other service to tell it from the weather"));
        };
        let movement = words::change(control);
        if !(1.0 / (1.0 + self.config.material)..=1.0 + self.config.material).contains(&control) {
            return (State::Warn, format!("{what}; before/after, and other services moved by {movement} too"));
        }
        let slower =
            hits.iter().any(|(dispersion, node)| dispersion.is_some_and(|known| self.stands(node, known, control)));
        let failing = self.gate.nodes.iter().any(|node| node.failing);
        if slower || (failing && self.attribution.steady_errors) {
            return (State::Fail, format!("{what}; before/after, while other services stayed at {movement}"));
        }
        if !failing && known.len() == hits.len() && !hits.is_empty() {
            return (State::Noisy, format!("{what}, but it is within what the old version varies by itself"));
        }
        (State::Warn, format!("{what}; before/after, and {}", Self::doubt(failing)))
    }

    /// The service that explains most of a before/after change of which the judged one explains little. One thing changes at a
    /// time far more often than two do at once; with concurrent traffic this is not asked.
    fn better_explained(&self) -> Option<&str> {
        let first = self.suspects.first().filter(|first| *first.service != *self.key.service)?;
        let own = self.suspects.iter().find(|suspect| *suspect.service == *self.key.service);
        let little = own.is_none_or(|own| own.score_ms < EXPLAINS_LITTLE * first.score_ms);
        let failing = self.gate.nodes.iter().any(|node| node.failing);
        (little && !failing).then_some(&*first.service)
    }

    /// Why a before/after difference is not held against the new version.
    fn doubt(failing: bool) -> &'static str {
        if failing {
            "other services' errors are not shown to be steady"
        } else {
            "the old version had too few traces to know how much it varies by itself"
        }
    }

    /// Whether a hit is left after the controls' movement and the old version's ordinary variation are taken out.
    fn stands(&self, node: &GateNode, dispersion: f64, control: f64) -> bool {
        let Some(journeys) = self.table.get(&node.node) else { return false };
        let enough = |cells: &&Arms| cells.iter().all(|cell| cell.traces >= self.config.stratum_min);
        let strata: Vec<_> = journeys
            .values()
            .filter(enough)
            .map(|cells| rank_test::Stratum { before: &cells[BEFORE].ns, after: &cells[AFTER].ns })
            .collect();
        let shift = rank_test::shift_of((1.0 + self.config.material) * control.max(1.0));
        let statistic = rank_test::statistic(&strata, shift);
        let z = statistic.z() / dispersion.max(1.0).sqrt();
        #[expect(clippy::cast_precision_loss, reason = "a small count")]
        let level = (self.gate.family() as f64 / self.config.alpha).ln();
        ln_e_value(z, statistic.information(), self.tuning) >= level
    }

    /// Mean squared z between neighbouring blocks of the old version's past: 1 when only chance is at work, `None`
    /// when no two blocks have enough traces to tell.
    fn dispersion(&self, node: &Arc<NodeKey>) -> Option<f64> {
        let (from, to) = self.comparison.windows[BEFORE];
        let width = i64::try_from(FINE.as_nanos()).unwrap_or(i64::MAX);
        let block = ((to.saturating_sub(from)) / BLOCKS / width).max(1).saturating_mul(width);
        let mut squares = Vec::new();
        for number in 0..BLOCKS.saturating_sub(1) {
            let start = from.saturating_add(number.saturating_mul(block));
            let middle = start.saturating_add(block);
            let pair = [(start, middle), (middle, middle.saturating_add(block))];
            let merged = pair.map(|(from, to)| self.block(node, from, to));
            let strata: Vec<_> = merged[0]
                .iter()
                .filter_map(|(journey, before)| Some((before, merged[1].get(journey)?)))
                .filter(|(before, after)| before.count().min(after.count()) >= self.config.stratum_min)
                .map(|(before, after)| rank_test::Stratum { before, after })
                .collect();
            if !strata.is_empty() {
                squares.push(rank_test::statistic(&strata, 0).z().powi(2));
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "a small count")]
        let count = squares.len() as f64;
        (count > 0.0).then(|| (squares.iter().sum::<f64>() / count).max(1.0))
    }

    fn block(&self, node: &Arc<NodeKey>, from: i64, to: i64) -> BTreeMap<Arc<str>, LogHistogram> {
        let part = self.comparison.within(BEFORE, from, to);
        let mut merged: BTreeMap<Arc<str>, LogHistogram> = BTreeMap::new();
        let of_node = self.cohorts.series.iter().filter_map(|(journey, nodes)| Some((journey, nodes.get(node)?)));
        for (journey, slots) in of_node {
            for (_, cell) in slots[BEFORE].iter().filter(|(slot, _)| part.takes(BEFORE, **slot)) {
                merged.entry(Arc::clone(journey)).or_default().merge(&cell.ns);
            }
        }
        merged
    }
}

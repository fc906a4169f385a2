//! From cohorts to a verdict: choose the comparison, test, attribute, decide, and put it in words.

use std::sync::Arc;

use daytwo_storage::UnixNanos;

use super::attribution::Attribution;
use super::baseline::{Comparison, Table};
use super::cohort::{AFTER, ARMS, BEFORE, Cohorts, NodeCell};
use super::errors::traces_to_bound;
use super::floors::Floors;
use super::gate::{Gate, GateNode};
use super::node_test::{self, INTERVAL_ALPHA, LOCATION_WEIGHT, Yardstick};
use super::sequential::{critical_z, ln_e_value, normal_quantile, tuning};
use super::{
    Baseline, Candidate, Class, CohortKey, Parity, Rung, State, StructureChange, Suspect, Verdict, VerdictConfig,
    parity, rank_test, strata, words,
};
use crate::measure::{FINE, NodeKey};

mod basis;
mod findings;

use basis::Basis;
pub(crate) use basis::judge_services;

/// A journey with at least this share of the candidate's traces is gated on its own.
const GATED_SHARE: f64 = 0.1;
/// Less of the candidate's traces in compared journeys than this is no basis for PASS.
const COVERAGE_MIN: f64 = 0.8;
/// Chance of detection that the minimum detectable effect stands for.
const POWER: f64 = 0.8;
/// Ordinary before/after variation beyond this is too large to judge.
const DISPERSION_MAX: f64 = 9.0;
/// Before/after, a service that explains less than this of what the first suspect explains is not held to be the cause.
const EXPLAINS_LITTLE: f64 = 0.5;
/// Blocks of the old version's past that estimate its ordinary variation.
const BLOCKS: i64 = 8;

/// One journey's cells of a node.
type Arms = [NodeCell; ARMS];

/// The judgement's working set.
struct Case<'a> {
    cohorts: &'a Cohorts,
    /// The cohorts' key, with the judged service.
    key: CohortKey,
    config: &'a VerdictConfig,
    comparison: &'a Comparison,
    table: &'a Table,
    floors: &'a Floors,
    gate: Gate,
    attribution: Attribution,
    suspects: &'a [Suspect],
    coverage: f64,
    /// Traces of either cohort through the judged service.
    traces: [u64; ARMS],
    baked: bool,
}

/// Judges a deployment by everything in its cohorts. Exemplars are left empty; see [`super::pick_exemplars`].
pub fn judge(cohorts: &Cohorts, now: UnixNanos, config: &VerdictConfig) -> Verdict {
    let basis = Basis::of(cohorts, now, config);
    let case = basis.case(Arc::clone(&cohorts.key.service), basis.comparison.traces);
    let (state, reason) = case.decide();
    case.record(now, state, reason)
}

/// Share of the candidate's traces in journeys that have enough traces on both sides.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn coverage(table: &Table, service: &Arc<str>, config: &VerdictConfig) -> f64 {
    let Some(journeys) = table.get(&NodeKey::Service { service: Arc::clone(service) }) else { return 0.0 };
    let all: u64 = journeys.values().map(|cells| cells[AFTER].traces).sum();
    let usable = journeys.values().filter(|cells| cells.iter().all(|cell| cell.traces >= config.stratum_min));
    let compared: u64 = usable.map(|cells| cells[AFTER].traces).sum();
    if all == 0 { 0.0 } else { compared as f64 / all as f64 }
}

impl Case<'_> {
    fn decide(&self) -> (State, String) {
        let rung = self.comparison.rung;
        let traces = self.traces;
        if rung == Rung::D {
            return (State::NoData, "there is no traffic of an older version to compare with".to_owned());
        }
        if traces.iter().any(|count| *count < self.config.traces_min) {
            let reason = format!(
                "{} traces of the new and {} of the old version; no claim is made under {} of each",
                traces[AFTER], traces[BEFORE], self.config.traces_min
            );
            return (self.undecided(), reason);
        }
        match self.attribution.class {
            Some(Class::Inherited) => (State::Inherited, self.inherited_reason()),
            Some(class) => self.regressed(class),
            None => self.not_regressed(),
        }
    }

    fn undecided(&self) -> State {
        if self.baked { State::Inconclusive } else { State::Continue }
    }

    fn inherited_reason(&self) -> String {
        match &self.attribution.culprit {
            Some(culprit) => format!("own time did not rise; {culprit}, which it calls, became slower"),
            None => "own time did not rise; the calls it makes take longer on their way".to_owned(),
        }
    }

    fn regressed(&self, class: Class) -> (State, String) {
        let what = match class {
            Class::Own => "its own time or errors rose",
            Class::Edge => "calls take longer on their way, outside the spans of the called service",
            Class::Induced => "services below it do more because of it",
            Class::Inherited => "something else explains it",
        };
        if matches!(self.comparison.rung, Rung::A | Rung::B) {
            if let Some(other) = self.moved_along(class) {
                return (
                    State::Confounded,
                    format!("{what}, but {other} runs other versions in the two cohorts and may be the reason"),
                );
            }
            return (State::Fail, self.fail_reason(what));
        }
        self.before_after(what)
    }

    fn fail_reason(&self, what: &str) -> String {
        let level = self.config.alpha;
        match &self.key.flag {
            None => format!("{what}; concurrent traffic of the old version did not ({level} false-alarm rate)"),
            Some(_) if self.cohorts.is_randomised() => format!(
                "{what}; in concurrent traffic of the control it did not, and variants were drawn by lot: the variant is the cause ({level} \
                 false-alarm rate)"
            ),
            Some(_) => format!(
                "{what} with the variant; in concurrent traffic of the control it did not ({level} false-alarm rate). Who got which variant was \
                 not drawn by lot, so what decides that may be the reason instead"
            ),
        }
    }

    /// Before/after: WARN, unless ordinary variation is small and services that cannot be affected stood still.
    fn before_after(&self, what: &str) -> (State, String) {
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

    /// Another service whose versions differ between the cohorts, when what was found may be its doing: own time is the judged
    /// service's alone, ways and callees are not.
    fn moved_along(&self, class: Class) -> Option<&Arc<str>> {
        let mixed = &self.attribution.mixed;
        // A variant may be served by one version of the judged service only.
        let itself = mixed.get(&self.key.service).filter(|_| self.key.flag.is_some());
        itself.or_else(|| matches!(class, Class::Edge | Class::Induced).then(|| mixed.first()).flatten())
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
        ln_e_value(z, statistic.information(), tuning(self.config.planned_traces)) >= level
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

    fn block(
        &self,
        node: &Arc<NodeKey>,
        from: i64,
        to: i64,
    ) -> std::collections::BTreeMap<Arc<str>, crate::measure::LogHistogram> {
        let part = self.comparison.within(BEFORE, from, to);
        let mut merged: std::collections::BTreeMap<Arc<str>, crate::measure::LogHistogram> = Default::default();
        let of_node = self.cohorts.series.iter().filter_map(|(journey, nodes)| Some((journey, nodes.get(node)?)));
        for (journey, slots) in of_node {
            for (_, cell) in slots[BEFORE].iter().filter(|(slot, _)| part.takes(BEFORE, **slot)) {
                merged.entry(Arc::clone(journey)).or_default().merge(&cell.ns);
            }
        }
        merged
    }

    fn not_regressed(&self) -> (State, String) {
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
    fn gated(&self) -> Vec<(&Arc<str>, &Arms)> {
        let own = NodeKey::Service { service: Arc::clone(&self.key.service) };
        let Some(journeys) = self.table.get(&own) else { return Vec::new() };
        let all: u64 = journeys.values().map(|cells| cells[AFTER].traces).sum();
        journeys.iter().filter(|(_, cells)| cells[AFTER].traces as f64 >= GATED_SHARE * all as f64).collect()
    }

    /// What is still open on one journey.
    fn open_on(&self, journey: &Arc<str>, cells: &Arms) -> Option<String> {
        let alone = std::iter::once((Arc::clone(journey), cells.clone())).collect();
        let yardstick = Yardstick { config: self.config, floors: self.floors, stratum_min: self.config.stratum_min };
        let test = node_test::test(&alone, None, yardstick);
        let Some(test) = test.filter(|test| test.is_harmless(self.config)) else {
            return Some(format!("not yet shown to be harmless on the journey {journey}"));
        };
        let rise = test.errors.map_or(1.0, |errors| errors.rise_high);
        let risen =
            || format!("errors on the journey {journey} may still have risen by up to {}", words::percent(rise));
        (rise >= self.config.error_margin).then(risen)
    }

    /// Smallest ratio that would have been found, with the chance of [`POWER`].
    fn mde_ratio(&self) -> Option<f64> {
        let test = &self.gate.service()?.test;
        let level = self.gate.level(self.config) * LOCATION_WEIGHT;
        let critical = critical_z(test.information.max(1.0), tuning(self.config.planned_traces), level);
        let found = ((critical + normal_quantile(POWER)) * test.ln_error).exp();
        // What is found must be material too, and a true ratio at the limit looks material only half of the time.
        let ratio = found.max((1.0 + self.config.material) * (normal_quantile(POWER) * test.ln_error).exp());
        Some(ratio).filter(|ratio| ratio.is_finite())
    }

    /// Traces of the new version still needed for PASS if nothing is wrong.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "clamped counts"
    )]
    fn traces_needed(&self) -> u64 {
        let have = self.traces[AFTER];
        let least = self.config.traces_min.saturating_sub(have.min(self.traces[BEFORE]));
        let Some(service) = self.gate.service() else {
            return least.max(self.config.traces_min.saturating_sub(have)).max(1);
        };
        let test = &service.test;
        let critical = critical_z(test.information.max(1.0), tuning(self.config.planned_traces), INTERVAL_ALPHA / 2.0);
        let wanted = (1.0 + self.config.margin).ln() / (critical + normal_quantile(POWER));
        let latency = (have as f64 * (test.ln_error / wanted).powi(2)).min(1e9) as u64;
        let smallest = self.gated().iter().map(|(_, cells)| cells[AFTER].traces).min().unwrap_or(have).max(1);
        let share = (smallest as f64 / have.max(1) as f64).clamp(1e-3, 1.0);
        let errors = (traces_to_bound(self.config.error_margin) / share).min(1e9) as u64;
        latency.max(errors).saturating_sub(have).max(least).max(1)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "clamped counts"
    )]
    fn seconds_needed(&self, traces: u64) -> Option<u64> {
        let rate = self.traces[AFTER] as f64 / self.comparison.candidate_seconds();
        (rate > 0.0).then(|| (traces as f64 / rate).ceil().min(1e12) as u64)
    }

    fn record(&self, now: UnixNanos, state: State, reason: String) -> Verdict {
        let key = &self.key;
        let [(before_from, before_to), (from, to)] = self.comparison.windows;
        let findings = self.findings(state);
        let affected = self.affected();
        let waiting = matches!(state, State::Continue | State::Inconclusive);
        let traces_needed = waiting.then(|| self.traces_needed());
        let parity = self.parity();
        let class = matches!(state, State::Fail | State::Warn | State::Inherited | State::Noisy | State::Confounded)
            .then_some(self.attribution.class)
            .flatten();
        let mut verdict = Verdict {
            service: key.service.to_string(),
            flag: key.flag.as_ref().map(ToString::to_string),
            environment: key.environment.to_string(),
            state,
            class,
            headline: String::new(),
            reason,
            judged_at_unix_nano: now.0,
            looks: (now.since(key.first_seen).as_nanos() / FINE.as_nanos()).try_into().unwrap_or(u64::MAX),
            baseline: Baseline {
                rung: self.comparison.rung,
                version: key.baseline.as_ref().map(ToString::to_string),
                from_unix_nano: before_from,
                to_unix_nano: before_to,
                traces: self.traces[BEFORE],
            },
            candidate: Candidate {
                version: key.candidate.to_string(),
                from_unix_nano: from,
                to_unix_nano: to,
                traces: self.traces[AFTER],
            },
            alpha: self.config.alpha,
            material_ratio: 1.0 + self.config.material,
            mde_ratio: self.mde_ratio(),
            traces_needed,
            seconds_needed: traces_needed.and_then(|traces| self.seconds_needed(traces)),
            coverage: self.coverage,
            findings,
            affected,
            suspects: self.suspects.to_vec(),
            structure: self.structure(),
            exemplars: Vec::new(),
            confounders: self.confounders(&parity),
            parity,
            what_would_change: String::new(),
            sql: words::sql(key, before_from.min(from), to),
        };
        verdict.headline = self.headline(&verdict);
        verdict.what_would_change = what_would_change(&verdict);
        if key.flag.is_some() { words::of_a_flag(verdict) } else { verdict }
    }

    fn structure(&self) -> Vec<StructureChange> {
        let calls = self.gate.calls.iter().filter(|call| call.more || (call.test.after - call.test.before).abs() > 0.1);
        let change = |call: &super::gate::GateCall| StructureChange {
            caller: self.key.service.to_string(),
            callee: call.callee.to_string(),
            calls_per_trace_before: call.test.before,
            calls_per_trace_after: call.test.after,
        };
        calls.map(change).collect()
    }

    /// What the cohorts ran on; nothing to be said while one of them is empty.
    fn parity(&self) -> Vec<Parity> {
        if self.traces.contains(&0) { Vec::new() } else { parity::rows(self.cohorts) }
    }

    /// What else differs between the cohorts: attributes, and for a flag its share of the journeys.
    fn confounders(&self, parity: &[Parity]) -> Vec<String> {
        let mut found = parity::differences(parity);
        if self.key.flag.is_some() {
            found.extend(strata::differences(self.table, &self.key.candidate));
        }
        found
    }

    fn headline(&self, verdict: &Verdict) -> String {
        let who = match &self.key.flag {
            Some(flag) => format!("{} with {flag}={}", verdict.service, verdict.candidate.version),
            None => format!("{} {}", verdict.service, verdict.candidate.version),
        };
        let worst = verdict
            .findings
            .iter()
            .find(|finding| matches!(finding.state, State::Fail | State::Warn))
            .map(words::worst);
        let traces = format!("{} against {} traces", verdict.candidate.traces, verdict.baseline.traces);
        match verdict.state {
            State::Fail | State::Warn | State::Noisy | State::Confounded => {
                let made = if verdict.state == State::Fail { "made it worse" } else { "looks worse" };
                format!("{who} {made}: {}, {traces}", worst.unwrap_or_else(|| verdict.reason.clone()))
            }
            State::Pass => {
                let ratio = self.gate.service().map_or(1.0, |node| node.test.ratio);
                format!("{who} is no worse: own time {}, {traces}", words::change(ratio))
            }
            State::Inherited => format!("{who} is slower, but not by itself: {}, {traces}", verdict.reason),
            State::NoData => format!("{who} cannot be compared: {}", verdict.reason),
            _ => format!("{who} is not decided yet: {}", verdict.reason),
        }
    }
}

fn what_would_change(verdict: &Verdict) -> String {
    let needed = verdict
        .traces_needed
        .map_or(String::new(), |traces| format!("about {traces} more traces of {}", verdict.candidate.version));
    match verdict.state {
        State::Continue => format!("{needed} decide it"),
        State::Inconclusive => format!("the bake time has ended; {needed} would have been needed"),
        State::Fail => "a rollback, or evidence that the two versions did not get the same kind of traffic".to_owned(),
        State::Warn | State::Noisy => {
            "concurrent traffic of both versions (a canary) would turn this into FAIL or PASS".to_owned()
        }
        State::Confounded => "the same comparison with one version of every other service".to_owned(),
        State::Pass => format!("a ratio above {:.2} on any journey would", verdict.material_ratio),
        State::Inherited => "the service below becoming fast again".to_owned(),
        _ => "traffic of an older version to compare with".to_owned(),
    }
}

//! Flags as they are answered: traffic, verdicts, and what of these is left when all flags and services are asked at once (e-BH, flags first).

use std::sync::Arc;
use std::time::Duration;

use daytwo_storage::UnixNanos;

use super::changes::Totals;
use super::judged::{JudgedFlags, JudgedService, JudgedVariant};
use super::{FlagKey, FlagTraffic, Flags};
use crate::flag::{Assignment, Flag, FlagComparison, FlagService, FlagVariant};
use crate::verdict::{FALSE_DISCOVERIES, Family, State, hierarchical, ln_threshold};

/// Of the services with less of the variant's traces PASS is not asked.
const PASS_SHARE: f64 = 0.1;
/// An e-value is shown up to this, as its logarithm.
const LN_E_SHOWN: f64 = 700.0;

/// Worst first.
const SEVERITY: [State; 10] = [
    State::Fail,
    State::Skewed,
    State::Confounded,
    State::Warn,
    State::Noisy,
    State::Inherited,
    State::Continue,
    State::Inconclusive,
    State::NoData,
    State::Pass,
];

fn severity(state: State) -> usize {
    SEVERITY.iter().position(|one| *one == state).unwrap_or(SEVERITY.len())
}

/// A verdict for the worse, which needs evidence among everything that was asked.
fn is_claim(state: State) -> bool {
    matches!(state, State::Fail | State::Warn | State::Noisy | State::Confounded)
}

fn e_value(ln_e: f64) -> f64 {
    ln_e.min(LN_E_SHOWN).exp()
}

impl Flags {
    /// Every flag of an environment, or of all, worst first.
    pub(in crate::correlator) fn answer(
        &self,
        judged: &JudgedFlags,
        environment: Option<&str>,
        now: UnixNanos,
        bake: Duration,
    ) -> Vec<Flag> {
        let variants: Vec<Vec<&JudgedVariant>> = self.flags.keys().map(|key| judged.of(key).collect()).collect();
        let families: Vec<Vec<f64>> = variants
            .iter()
            .map(|variants| variants.iter().flat_map(|variant| &variant.services).map(|service| service.ln_e).collect())
            .collect();
        // A flag that nothing is asked of yet is no hypothesis.
        let asked: Vec<Vec<f64>> = families.iter().filter(|members| !members.is_empty()).cloned().collect();
        let mut found = hierarchical(&asked, FALSE_DISCOVERIES).into_iter();
        let flags = self.flags.iter().zip(variants).map(|((key, traffic), variants)| {
            let any = variants.iter().any(|variant| !variant.services.is_empty());
            let family = if any { found.next() } else { None };
            Case { key, traffic, variants, family, flags: asked.len(), now, bake }.flag()
        });
        let wanted = |flag: &Flag| environment.is_none_or(|wanted| *flag.environment == *wanted);
        let mut flags: Vec<Flag> = flags.flatten().filter(wanted).collect();
        flags.sort_by(|left, right| {
            let name = |flag: &Flag| (severity(flag.state), flag.key.clone(), flag.environment.clone());
            name(left).cmp(&name(right))
        });
        flags
    }
}

/// One flag and what was found of it.
struct Case<'a> {
    key: &'a FlagKey,
    traffic: &'a FlagTraffic,
    variants: Vec<&'a JudgedVariant>,
    /// `None` before anything was judged.
    family: Option<Family>,
    /// Flags that were asked.
    flags: usize,
    now: UnixNanos,
    bake: Duration,
}

impl Case<'_> {
    fn flag(&self) -> Option<Flag> {
        let (control, control_rule) = self.traffic.control()?;
        let totals = self.traffic.totals();
        let comparisons = self.comparisons(control);
        let worst = comparisons.iter().min_by_key(|one| severity(one.state));
        let nothing = || format!("{} has traces with one variant only", self.key.1);
        let ln_e = self.family.as_ref().map_or(0.0, |family| family.ln_e);
        let sorted = |names: &std::collections::BTreeMap<Arc<str>, u64>| {
            let mut rows: Vec<(String, u64)> = names
                .iter()
                .filter(|(_, traces)| **traces > 0)
                .map(|(name, traces)| (name.to_string(), *traces))
                .collect();
            rows.sort_by(|left, right| right.1.cmp(&left.1).then_with(|| left.0.cmp(&right.0)));
            rows
        };
        let mut versions: Vec<_> = self.traffic.versions.iter().collect();
        versions.sort_by_key(|(name, first)| (**first, Arc::clone(name)));
        Some(Flag {
            environment: self.key.0.to_string(),
            key: self.key.1.to_string(),
            control: control.to_string(),
            control_rule,
            assignment: self.assignment(),
            traces: self.traffic.variants.values().map(super::VariantTraffic::traces).sum(),
            mixed_traces: self.traffic.mixed.values().sum(),
            variants: self.variants_of(control, &totals),
            reasons: sorted(&self.traffic.reasons),
            versions: versions.into_iter().map(|(name, _)| name.to_string()).collect(),
            asked_by: sorted(&self.traffic.askers),
            changes: self.traffic.changes(&totals),
            state: worst.map_or(State::NoData, |one| one.state),
            class: worst.and_then(|one| one.class),
            headline: worst.map_or_else(nothing, |one| one.headline.clone()),
            e_value: e_value(ln_e),
            e_needed: ln_threshold(self.flags.max(1), 1, FALSE_DISCOVERIES).exp(),
            discovery: self.family.as_ref().is_some_and(|family| family.selected),
            comparisons,
        })
    }

    /// By lot where nearly all traces of the last day say so.
    fn assignment(&self) -> Assignment {
        let of = |wanted: fn(&str) -> bool| -> u64 {
            self.traffic.reasons.iter().filter(|(reason, _)| wanted(reason)).map(|(_, traces)| *traces).sum()
        };
        let (split, all) = (of(|reason| reason == crate::trace::flags::SPLIT), of(|_| true));
        let judged = self.variants.iter().filter(|variant| !variant.services.is_empty());
        let randomised = all > 0 && all.saturating_sub(split).saturating_mul(50) <= all;
        if randomised && judged.into_iter().all(|variant| variant.randomised) {
            Assignment::Randomised
        } else {
            Assignment::Observational
        }
    }

    fn variants_of(&self, control: &Arc<str>, totals: &Totals) -> Vec<FlagVariant> {
        let variant = |(name, traffic): (&Arc<str>, &super::VariantTraffic)| FlagVariant {
            variant: name.to_string(),
            control: name == control,
            traces: traffic.traces(),
            share: self.traffic.latest_share(name, totals),
            weight: None,
            first_seen_unix_nano: traffic.first.map_or(0, |first| first.0),
            last_seen_unix_nano: traffic.last.map_or(0, |last| last.0),
            share_series: self.traffic.shares(name, totals),
        };
        let mut rows: Vec<FlagVariant> = self.traffic.variants.iter().map(variant).collect();
        rows.sort_by(|left, right| {
            (right.control, right.traces)
                .cmp(&(left.control, left.traces))
                .then_with(|| left.variant.cmp(&right.variant))
        });
        rows
    }

    /// One for each variant beside the control, whether or not it has been looked at.
    fn comparisons(&self, control: &Arc<str>) -> Vec<FlagComparison> {
        let others = self.traffic.variants.keys().filter(|name| *name != control);
        let mut members = self.family.iter().flat_map(|family| family.members.iter().copied());
        let mut found: Vec<FlagComparison> = Vec::new();
        for variant in &self.variants {
            let services: Vec<(&JudgedService, bool)> = variant.services.iter().zip(members.by_ref()).collect();
            found.push(self.comparison(variant, services));
        }
        for name in others.filter(|name| !self.variants.iter().any(|variant| variant.contest.variant == **name)) {
            found.push(self.not_judged(name, control));
        }
        found.sort_by(|left, right| left.variant.cmp(&right.variant));
        found
    }

    fn not_judged(&self, variant: &Arc<str>, control: &Arc<str>) -> FlagComparison {
        let reason = "too few traces with the variant or with the control".to_owned();
        FlagComparison {
            variant: variant.to_string(),
            control: control.to_string(),
            state: State::NoData,
            class: None,
            headline: format!("{}={variant} cannot be compared: {reason}", self.key.1),
            reason,
            judged_from_unix_nano: self
                .traffic
                .variants
                .get(variant)
                .and_then(|traffic| traffic.first)
                .map_or(0, |at| at.0),
            judged_at_unix_nano: self.now.0,
            services: Vec::new(),
            confounders: Vec::new(),
        }
    }

    fn comparison(&self, judged: &JudgedVariant, services: Vec<(&JudgedService, bool)>) -> FlagComparison {
        let contest = &judged.contest;
        let baked = self.now >= contest.from.saturating_add(self.bake);
        let mut rows: Vec<FlagService> =
            services.into_iter().map(|(service, found)| self.service(service, found, baked)).collect();
        rows.sort_by(|left, right| {
            severity(left.verdict.state)
                .cmp(&severity(right.verdict.state))
                .then_with(|| right.e_value.total_cmp(&left.e_value))
                .then_with(|| left.verdict.service.cmp(&right.verdict.service))
        });
        let (state, reason) = outcome(&rows, baked);
        let worst = rows.first().filter(|row| row.verdict.state == state && is_claim(state));
        let headline = match (worst, state) {
            (Some(row), _) => row.verdict.headline.clone(),
            (None, State::Pass) => {
                format!("{}={} is no worse than {}: {reason}", contest.flag.1, contest.variant, contest.control)
            }
            (None, State::Skewed) => format!("{}={} is not judged: {reason}", contest.flag.1, contest.variant),
            (None, _) => format!("{}={} is not decided yet: {reason}", contest.flag.1, contest.variant),
        };
        let mut confounders: Vec<String> =
            rows.iter().flat_map(|row| row.verdict.confounders.iter().cloned()).collect();
        confounders.sort();
        confounders.dedup();
        FlagComparison {
            variant: contest.variant.to_string(),
            control: contest.control.to_string(),
            state,
            class: worst.and_then(|row| row.verdict.class),
            headline,
            reason,
            judged_from_unix_nano: contest.from.0,
            judged_at_unix_nano: judged.judged_at.unwrap_or(self.now).0,
            services: rows,
            confounders,
        }
    }

    fn service(&self, service: &JudgedService, discovery: bool, baked: bool) -> FlagService {
        let family = self.family.as_ref();
        let members = family.map_or(1, |family| family.members.len());
        let level = family.map_or(FALSE_DISCOVERIES, |family| family.level);
        let verdict = if is_claim(service.verdict.state) && !discovery {
            let selected = family.is_some_and(|family| family.selected);
            Arc::new(service.verdict.held_back(baked, &self.doubt(selected, members)))
        } else {
            Arc::clone(&service.verdict)
        };
        FlagService {
            verdict,
            share: service.share,
            e_value: e_value(service.ln_e),
            e_needed: ln_threshold(members.max(1), 1, level).exp(),
            discovery,
        }
    }

    fn doubt(&self, selected: bool, members: usize) -> String {
        if selected {
            format!("that is not enough among {members} services and variants of the flag (e-BH)")
        } else {
            format!("that is not enough among {} flags (e-BH)", self.flags)
        }
    }
}

/// The outcome over all services: the worst claim; PASS when every service with a tenth of the traces passed.
fn outcome(rows: &[FlagService], baked: bool) -> (State, String) {
    let open = if baked { State::Inconclusive } else { State::Continue };
    let Some(worst) = rows.first() else { return (open, "no service has been judged yet".to_owned()) };
    if is_claim(worst.verdict.state) || worst.verdict.state == State::Skewed {
        return (worst.verdict.state, worst.verdict.reason.clone());
    }
    let large: Vec<&FlagService> = rows.iter().filter(|row| row.share >= PASS_SHARE).collect();
    let undecided: Vec<&&FlagService> = large.iter().filter(|row| row.verdict.state != State::Pass).collect();
    match undecided.first() {
        None if !large.is_empty() => (
            State::Pass,
            format!("{} services with a tenth of its traces or more are shown to be no worse", large.len()),
        ),
        None => (open, "no service has a tenth of the traces".to_owned()),
        Some(first) => (
            open,
            format!(
                "{} of {} services are not decided, {} for one: {}",
                undecided.len(),
                large.len(),
                first.verdict.service,
                first.verdict.reason
            ),
        ),
    }
}

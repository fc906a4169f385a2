//! [`JudgedFlags`]: the cohorts of variants under judgement, a few of them looked at on every tick.

use std::collections::BTreeMap;
use std::sync::Arc;

use daytwo_storage::UnixNanos;

use super::super::recent::RecentTraces;
use super::{Contest, FlagKey};
use crate::flag::DeclaredFlags;
use crate::measure::TraceRecord;
use crate::verdict::{self, CohortKey, Cohorts, State as Outcome, Verdict, VerdictConfig};

/// Variants that are judged at the same time; those that came first keep their last verdict.
pub(super) const JUDGED_MAX: usize = 16;
/// Variants that are judged on one tick, those that waited longest: a look at one costs as much as one at all services of its traces.
const PER_TICK: usize = 4;

/// A service as it was judged last.
#[derive(Debug, Clone)]
pub(super) struct JudgedService {
    pub(super) verdict: Arc<Verdict>,
    pub(super) ln_e: f64,
    pub(super) share: f64,
}

/// A variant under judgement or judged.
#[derive(Debug)]
pub(super) struct JudgedVariant {
    pub(super) contest: Contest,
    /// `None` once it is no longer followed.
    cohorts: Option<Cohorts>,
    /// `None` before the first look.
    pub(super) judged_at: Option<UnixNanos>,
    pub(super) services: Vec<JudgedService>,
    pub(super) randomised: bool,
}

/// Every variant under judgement or judged.
#[derive(Debug, Default)]
pub(in crate::correlator) struct JudgedFlags {
    variants: BTreeMap<(FlagKey, Arc<str>), JudgedVariant>,
}

impl JudgedFlags {
    /// Adds a trace to the cohorts, or takes it out.
    pub(in crate::correlator) fn change(&mut self, record: &TraceRecord, add: bool) {
        if record.flags.is_empty() {
            return;
        }
        for cohorts in self.variants.values_mut().filter_map(|variant| variant.cohorts.as_mut()) {
            if add { cohorts.add(record) } else { cohorts.remove(record) }
        }
    }

    /// Takes up the contests there are now, lets go those that are no more, and looks at the ones that waited longest.
    pub(in crate::correlator) fn tick(
        &mut self,
        contests: Vec<Contest>,
        (recent, declared): (&RecentTraces, &DeclaredFlags),
        now: UnixNanos,
        rule: &VerdictConfig,
    ) {
        let key_of = |contest: &Contest| (contest.flag.clone(), Arc::clone(&contest.variant));
        self.variants.retain(|key, _| contests.iter().any(|contest| key_of(contest) == *key));
        for (place, contest) in contests.into_iter().enumerate() {
            let key = key_of(&contest);
            if self.variants.get(&key).is_none_or(|known| known.contest != contest) {
                self.variants.insert(key.clone(), JudgedVariant::new(contest, recent, rule));
            }
            if let Some(variant) = self.variants.get_mut(&key).filter(|_| place >= JUDGED_MAX) {
                variant.give_up();
            }
        }
        let mut waiting: Vec<&mut JudgedVariant> =
            self.variants.values_mut().filter(|variant| variant.cohorts.is_some()).collect();
        waiting.sort_by_key(|variant| variant.judged_at);
        waiting.into_iter().take(PER_TICK).for_each(|variant| variant.judge((recent, declared), now, rule));
    }

    /// The variants of one flag.
    pub(super) fn of<'a>(&'a self, flag: &'a FlagKey) -> impl Iterator<Item = &'a JudgedVariant> {
        self.variants.values().filter(move |variant| variant.contest.flag == *flag)
    }

    /// How many are followed.
    pub(in crate::correlator) fn followed(&self) -> u64 {
        self.variants.values().filter(|variant| variant.cohorts.is_some()).count() as u64
    }
}

#[cfg(test)]
impl JudgedFlags {
    /// Variants with these services, as if they had been looked at.
    pub(super) fn looked_at(variants: impl IntoIterator<Item = (Contest, Vec<JudgedService>)>) -> Self {
        let variant = |(contest, services): (Contest, Vec<JudgedService>)| {
            let key = (contest.flag.clone(), Arc::clone(&contest.variant));
            (key, JudgedVariant { judged_at: Some(contest.from), contest, cohorts: None, services, randomised: true })
        };
        Self { variants: variants.into_iter().map(variant).collect() }
    }
}

impl JudgedVariant {
    fn new(contest: Contest, recent: &RecentTraces, rule: &VerdictConfig) -> Self {
        let key = CohortKey {
            environment: Arc::clone(&contest.flag.0),
            service: "".into(),
            flag: Some(Arc::clone(&contest.flag.1)),
            candidate: Arc::clone(&contest.variant),
            baseline: Some(Arc::clone(&contest.control)),
            first_seen: contest.from,
        };
        let mut cohorts = Cohorts::new(key, rule.lookback, rule.bake);
        recent.iter().for_each(|record| cohorts.add(record));
        Self { contest, cohorts: Some(cohorts), judged_at: None, services: Vec::new(), randomised: false }
    }

    fn judge(&mut self, (recent, declared): (&RecentTraces, &DeclaredFlags), now: UnixNanos, rule: &VerdictConfig) {
        let Contest { flag: (environment, key), variant, control, .. } = &self.contest;
        let Some(cohorts) = &mut self.cohorts else { return };
        cohorts.set_weights(declared.steps_of(environment, key, variant, control));
        let cohorts = &*cohorts;
        let judged = verdict::judge_services(cohorts, now, rule).into_iter().map(|judgement| {
            let mut verdict = judgement.verdict;
            if matches!(verdict.state, Outcome::Fail | Outcome::Warn | Outcome::Noisy | Outcome::Confounded) {
                verdict.exemplars = verdict::pick_exemplars(&verdict, cohorts, recent.iter(), rule);
            }
            JudgedService { verdict: Arc::new(verdict), ln_e: judgement.ln_e, share: judgement.share }
        });
        self.services = judged.collect();
        self.randomised = cohorts.is_randomised();
        self.judged_at = Some(now);
    }

    /// Lets the traces go; what was decided stays, what was open ends.
    fn give_up(&mut self) {
        if self.cohorts.take().is_some() {
            for service in &mut self.services {
                service.verdict = Arc::new(service.verdict.given_up(JUDGED_MAX));
            }
        }
    }
}

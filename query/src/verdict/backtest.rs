//! What a gate would have done with other numbers: a deployment judged again, look by look, from the traces in its cohorts.

use daytwo_storage::UnixNanos;

use super::cohort::{AFTER, Cohorts};
use super::{Class, State, VerdictConfig, judge};
use crate::measure::{FINE, slot_start};

/// Looks at one deployment.
pub(crate) const LOOKS_MAX: u32 = 60;

/// What a gate would have said over time.
#[derive(Debug, Clone, PartialEq)]
pub struct GateOutcome {
    /// Seconds from the version's first trace until the first FAIL; `None` when there was none.
    pub failed_after_s: Option<u64>,
    /// The same of PASS.
    pub passed_after_s: Option<u64>,
    /// State at the last look.
    pub state: State,
    /// Whose doing, then.
    pub class: Option<Class>,
    /// One sentence, then.
    pub headline: String,
}

/// Judges a deployment at up to [`LOOKS_MAX`] instants, by every rule; one outcome a rule.
pub(crate) fn replay(cohorts: &Cohorts, now: UnixNanos, rules: &[VerdictConfig]) -> Vec<GateOutcome> {
    let first = cohorts.key.first_seen;
    let mut outcomes: Vec<Option<GateOutcome>> = rules.iter().map(|_| None).collect();
    for at in looks(cohorts, now) {
        let known = cohorts.until(at);
        for (rule, outcome) in rules.iter().zip(&mut outcomes) {
            let verdict = judge(&known, at, rule);
            let after = Some(at.since(first).as_secs());
            let (failed, passed) =
                outcome.as_ref().map_or((None, None), |known| (known.failed_after_s, known.passed_after_s));
            *outcome = Some(GateOutcome {
                failed_after_s: failed.or(after.filter(|_| verdict.state == State::Fail)),
                passed_after_s: passed.or(after.filter(|_| verdict.state == State::Pass)),
                state: verdict.state,
                class: verdict.class,
                headline: verdict.headline,
            });
        }
    }
    outcomes.into_iter().flatten().collect()
}

/// Ends of slots, spread evenly over the time that the version was judged, the last of them at its end.
fn looks(cohorts: &Cohorts, now: UnixNanos) -> Vec<UnixNanos> {
    let first = UnixNanos(slot_start(cohorts.key.first_seen, FINE));
    let slots = cohorts.series.values().flat_map(|nodes| nodes.values());
    let newest = slots.filter_map(|arms| arms.get(AFTER)?.keys().next_back().copied()).max();
    let width = FINE.as_nanos();
    let end = newest.map_or(first, |slot| UnixNanos(slot).saturating_add(FINE)).min(now);
    let all = u32::try_from(end.since(first).as_nanos() / width).unwrap_or(u32::MAX).max(1);
    let each = all.div_ceil(LOOKS_MAX);
    let step = FINE.saturating_mul(each);
    let mut looks: Vec<UnixNanos> =
        (1..=all / each).map(|number| first.saturating_add(step.saturating_mul(number))).collect();
    if looks.last().is_none_or(|last| *last < end) {
        looks.push(end);
    }
    looks
}

#[cfg(test)]
mod tests;

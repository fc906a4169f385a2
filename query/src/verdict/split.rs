//! Whether the traffic was split as declared: a canary that was meant to get a tenth of the traces and gets a third is not compared with its
//! like, for whatever sends it more may choose what it sends.
//!
//! Each declared weight begins a window. What went to the candidate in it, and what elsewhere ([`tally`]), is tested against the weight
//! ([`evidence`]) at every look. The unit is the trace, by its first call: what a service calls again, or calls a hundred times, is the router's
//! decision once.

mod evidence;
mod tally;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use daytwo_storage::UnixNanos;

use super::cohort::Cohorts;
use super::words;
use crate::deployment::{TrafficShare, WeightStep};
use crate::measure::{FINE, slot_start};
use evidence::Sample;
pub(super) use tally::{Side, Tally};

/// Chance that a comparison is ever called skewed when traffic is split as declared.
const ALPHA: f64 = 0.001;
/// Weights are declared with two digits, as 0.33 for a third: a share that is off by less than this part of the smaller side is no skew.
const MATERIAL: f64 = 0.02;
/// A weight is brought about within this time of its declaration, or of the candidate's first trace, ...
const SETTLING: Duration = Duration::from_secs(60);
/// ... and is declared at most this long after the traffic was moved.
const DECLARED_LATE: Duration = Duration::from_secs(30);
/// When one side is gone, somebody moved the traffic to the other and did not declare it, within this time before its last trace.
const LEAVING: Duration = Duration::from_secs(60);
/// An e-value is shown up to this, as its logarithm.
const LN_E_SHOWN: f64 = 700.0;

/// How the traffic was split while one declared weight was in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// The share that was declared for the candidate, of the service's traces, or of those with the variant or the control.
    pub declared: f64,
    /// The share seen; `None` without a trace.
    pub share: Option<f64>,
    /// Traces of the candidate, as they came.
    pub traces: u64,
    /// Traces that went elsewhere.
    pub elsewhere: u64,
    /// Traces that met both variants.
    pub mixed: u64,
    /// So many traces that are not sampled would say as much.
    pub effective: f64,
    /// The service that asks for the flag, where its traces alone were declared.
    pub asker: Option<String>,
    /// Start of the window.
    pub from_unix_nano: i64,
    /// End of the window.
    pub to_unix_nano: i64,
    /// Evidence that the share is another one.
    pub e_value: f64,
    /// Chance of so much evidence in this or an earlier window, however often one looks, if traffic is split as declared.
    pub p_value: f64,
    /// Whether the share is another one, and by enough to matter.
    pub skewed: bool,
    /// SQL over `spans` that counts the traces again.
    pub sql: String,
}

impl Split {
    /// Why nothing is claimed about cohorts that were split like this.
    pub(super) fn reason(&self) -> String {
        format!(
            "traffic split {} where {} was declared: the compared cohorts are not alike",
            words::share(self.share.unwrap_or(0.0), self.declared),
            words::share(self.declared, self.declared),
        )
    }
}

/// A declared weight and the time in which it is tested.
#[derive(Debug, Clone, PartialEq)]
struct Window {
    declared: TrafficShare,
    asker: Option<Arc<str>>,
    from: UnixNanos,
    /// Until the next step.
    to: UnixNanos,
    /// Which it is: later ones are tested more strictly, so that all together keep to [`ALPHA`].
    number: u32,
}

/// How traffic was split in each declared window, oldest first.
pub(super) fn splits(cohorts: &Cohorts) -> Vec<Split> {
    windows(&cohorts.weights, cohorts.key.first_seen).iter().filter_map(|window| split(cohorts, window)).collect()
}

/// The worst of those that are skewed.
pub(super) fn worst(splits: &[Split]) -> Option<&Split> {
    splits.iter().filter(|split| split.skewed).max_by(|left, right| left.e_value.total_cmp(&right.e_value))
}

/// The steps that leave something to both sides, with the time until the next one.
fn windows(steps: &[WeightStep], first_seen: UnixNanos) -> Vec<Window> {
    let mut chains: BTreeMap<&Option<Arc<str>>, Vec<&WeightStep>> = BTreeMap::new();
    steps.iter().for_each(|step| chains.entry(&step.asker).or_default().push(step));
    let mut found: Vec<Window> = Vec::new();
    for (step, next) in chains.values().flat_map(|chain| followed(chain)) {
        let Some(declared) = step.share.filter(|share| share.share() > 0.0 && share.share() < 1.0) else { continue };
        let window = Window {
            declared,
            asker: step.asker.clone(),
            from: step.at.max(first_seen).saturating_add(SETTLING),
            to: next.map_or(UnixNanos(i64::MAX), |next| next.at.saturating_sub(DECLARED_LATE)),
            number: u32::try_from(found.len().saturating_add(1)).unwrap_or(u32::MAX),
        };
        found.push(window);
    }
    found
}

/// Each step with the one after it.
fn followed<'a>(chain: &'a [&'a WeightStep]) -> impl Iterator<Item = (&'a WeightStep, Option<&'a WeightStep>)> {
    chain.iter().enumerate().map(|(at, step)| (*step, chain.get(at.saturating_add(1)).copied()))
}

/// Start of the first slot that begins at an instant or after it: only whole slots are counted.
fn next_slot(at: UnixNanos) -> i64 {
    let start = slot_start(at, FINE);
    if start == at.0 { start } else { UnixNanos(start).saturating_add(FINE).0 }
}

/// The test of one window; `None` when nothing can be counted in it.
///
/// Its end may follow the data, for the evidence holds wherever one stops; its start must not.
fn split(cohorts: &Cohorts, window: &Window) -> Option<Split> {
    let (from, tally) = (next_slot(window.from), &cohorts.tally);
    let last = |side| tally.last(from, &window.asker, side).map(|slot| UnixNanos(slot).saturating_add(FINE));
    // Without a trace the candidate was withdrawn before the window began.
    let candidate = last(Side::Candidate)?;
    let end = last(Side::Elsewhere).map_or(candidate, |elsewhere| candidate.min(elsewhere).saturating_sub(LEAVING));
    let to = slot_start(end.min(window.to), FINE);
    if to <= from {
        return None;
    }
    let counts = tally.between(from, to, &window.asker);
    let declared = window.declared.share();
    let usual = tally.between(i64::MIN, i64::MAX, &window.asker);
    let sample = Sample::of(&counts, &usual, declared);
    let ln_e = sample.map_or(0.0, |sample| sample.ln_e(declared));
    let windows = f64::from(window.number) * f64::from(window.number.saturating_add(1));
    let p_value = (windows.ln() - ln_e).exp().min(1.0);
    let material = |share: f64| (share - declared).abs() > MATERIAL * declared.min(1.0 - declared);
    Some(Split {
        declared,
        share: sample.map(|sample| sample.share),
        traces: counts.of(Side::Candidate).traces,
        elsewhere: counts.of(Side::Elsewhere).traces,
        mixed: counts.of(Side::Mixed).traces,
        effective: sample.map_or(0.0, |sample| sample.effective),
        asker: window.asker.as_ref().map(ToString::to_string),
        from_unix_nano: from,
        to_unix_nano: to,
        e_value: ln_e.min(LN_E_SHOWN).exp(),
        p_value,
        skewed: p_value < ALPHA && sample.is_some_and(|sample| material(sample.share)),
        sql: words::sql_of_split(&cohorts.key, from, to),
    })
}

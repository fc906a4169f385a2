//! Feature flags: which variants of which flags were seen when, by how many traces, and why.
//!
//! [`judged`] compares each variant with the flag's control, [`answer`] puts both together with the evidence of all flags, [`changes`] reads what
//! changed about a flag from its traffic.

mod answer;
mod changes;
mod judged;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use daytwo_storage::UnixNanos;

use crate::flag::ControlRule;
use crate::measure::{TraceFlag, TraceRecord, slot_start};
pub(super) use judged::JudgedFlags;

/// Traffic of variants is kept by the minute, ...
const MINUTE: Duration = Duration::from_secs(60);
/// ... for a day.
const KEPT: Duration = Duration::from_secs(86_400);
/// Variants of one flag that are followed.
const VARIANTS_MAX: usize = 16;
/// Variants of all flags that are followed: at 1,440 minutes of some 32 bytes each, 46 MB.
const ALL_VARIANTS_MAX: usize = 1_000;
/// Reasons, versions and asking services that are told apart of one flag.
const NAMES_MAX: usize = 32;
/// A version or variant is first seen at most this long before its trace was received, whatever the trace's clock says.
const SKEW_MAX: Duration = Duration::from_secs(300);
/// Names of controls, in lower case, the first of these that a flag has.
const CONTROLS: [&str; 6] = ["control", "default", "off", "false", "disabled", "baseline"];

/// Environment and key.
pub(super) type FlagKey = (Arc<str>, Arc<str>);

/// One variant's traces.
#[derive(Debug, Default)]
struct VariantTraffic {
    first: Option<UnixNanos>,
    last: Option<UnixNanos>,
    minutes: BTreeMap<i64, u64>,
}

impl VariantTraffic {
    fn traces(&self) -> u64 {
        self.minutes.values().sum()
    }
}

/// One flag's traces.
#[derive(Debug, Default)]
pub(super) struct FlagTraffic {
    variants: BTreeMap<Arc<str>, VariantTraffic>,
    mixed: BTreeMap<i64, u64>,
    reasons: BTreeMap<Arc<str>, u64>,
    askers: BTreeMap<Arc<str>, u64>,
    versions: BTreeMap<Arc<str>, UnixNanos>,
}

/// A variant to be compared with its flag's control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Contest {
    pub(super) flag: FlagKey,
    pub(super) variant: Arc<str>,
    pub(super) control: Arc<str>,
    /// From when traces count.
    pub(super) from: UnixNanos,
}

/// Traffic of every variant of every flag.
#[derive(Debug, Default)]
pub(super) struct Flags {
    flags: BTreeMap<FlagKey, FlagTraffic>,
    variants: usize,
    /// Evaluations of traces that were left out because there were too many flags or variants.
    overflowed: u64,
}

/// Counts one more or one less; names beyond the limit are not told apart.
fn count(names: &mut BTreeMap<Arc<str>, u64>, name: &Arc<str>, add: bool) {
    if names.len() >= NAMES_MAX && !names.contains_key(name) {
        return;
    }
    change(names.entry(Arc::clone(name)).or_default(), add);
}

fn change(count: &mut u64, add: bool) {
    *count = if add { count.saturating_add(1) } else { count.saturating_sub(1) };
}

impl Flags {
    /// Counts a trace for every flag that it saw, or takes it out again.
    pub(super) fn change(&mut self, record: &TraceRecord, add: bool) {
        for flag in &record.flags {
            let key = (Arc::clone(&flag.environment), Arc::clone(&flag.key));
            if self.has_room(&key, flag.variant.as_ref()) {
                let traffic = self.flags.entry(key).or_default();
                let before = traffic.variants.len();
                traffic.change(flag, record, add);
                self.variants = self.variants.saturating_add(traffic.variants.len().saturating_sub(before));
            } else if add {
                self.overflowed = self.overflowed.saturating_add(1);
            }
        }
    }

    fn has_room(&self, key: &FlagKey, variant: Option<&Arc<str>>) -> bool {
        let known = self.flags.get(key);
        let Some(variant) = variant else { return known.is_some() };
        if known.is_some_and(|known| known.variants.contains_key(variant)) {
            return true;
        }
        self.variants < ALL_VARIANTS_MAX && known.is_none_or(|known| known.variants.len() < VARIANTS_MAX)
    }

    /// Forgets minutes older than a day, and variants and flags that have none left.
    pub(super) fn maintain(&mut self, now: UnixNanos) {
        let from = now.saturating_sub(KEPT).0;
        for traffic in self.flags.values_mut() {
            for variant in traffic.variants.values_mut() {
                variant.minutes = variant.minutes.split_off(&from);
            }
            traffic.mixed = traffic.mixed.split_off(&from);
            traffic.variants.retain(|_, variant| variant.traces() > 0);
            traffic.reasons.retain(|_, traces| *traces > 0);
            traffic.askers.retain(|_, traces| *traces > 0);
        }
        self.flags.retain(|_, traffic| !traffic.variants.is_empty());
        self.variants = self.flags.values().map(|traffic| traffic.variants.len()).sum();
    }

    /// Every variant with enough traces of a flag whose control has enough, too; those that came last first.
    pub(super) fn contests(&self, traces_min: u64) -> Vec<Contest> {
        let mut found: Vec<Contest> =
            self.flags.iter().flat_map(|(key, traffic)| traffic.contests(key, traces_min)).collect();
        found.sort_by(|left, right| {
            right.from.cmp(&left.from).then_with(|| (&left.flag, &left.variant).cmp(&(&right.flag, &right.variant)))
        });
        found
    }

    /// Flags and variants that are followed, and evaluations left out.
    pub(super) fn counts(&self) -> [u64; 3] {
        [self.flags.len() as u64, self.variants as u64, self.overflowed]
    }
}

impl FlagTraffic {
    fn change(&mut self, flag: &TraceFlag, record: &TraceRecord, add: bool) {
        let minute = slot_start(record.start, MINUTE);
        let believed = record.start.max(record.received.saturating_sub(SKEW_MAX));
        count(&mut self.askers, &flag.service, add);
        if add
            && !flag.version.is_empty()
            && (self.versions.len() < NAMES_MAX || self.versions.contains_key(&flag.version))
        {
            let first = self.versions.entry(Arc::clone(&flag.version)).or_insert(believed);
            *first = (*first).min(believed);
        }
        let Some(name) = &flag.variant else {
            change(self.mixed.entry(minute).or_default(), add);
            return;
        };
        count(&mut self.reasons, &flag.reason, add);
        let variant = self.variants.entry(Arc::clone(name)).or_default();
        change(variant.minutes.entry(minute).or_default(), add);
        if add {
            variant.first = Some(variant.first.map_or(believed, |first| first.min(believed)));
            variant.last = Some(variant.last.map_or(record.start, |last| last.max(record.start)));
        }
    }

    /// The variant that the others are compared with: one named as controls are, else the one seen in the earliest minute, of several of
    /// these the one with most traces, else the first by name.
    fn control(&self) -> Option<(&Arc<str>, ControlRule)> {
        let named =
            CONTROLS.iter().find_map(|name| self.variants.keys().find(|variant| variant.to_lowercase() == *name));
        if let Some(named) = named {
            return Some((named, ControlRule::Name));
        }
        let minute = |traffic: &VariantTraffic| traffic.first.map(|first| slot_start(first, MINUTE));
        let earliest = self.variants.values().filter_map(minute).min()?;
        let mut oldest: Vec<(&Arc<str>, u64)> = self
            .variants
            .iter()
            .filter(|(_, traffic)| minute(traffic) == Some(earliest))
            .map(|(name, traffic)| (name, traffic.traces()))
            .collect();
        oldest.sort_by(|left, right| right.1.cmp(&left.1).then_with(|| left.0.cmp(right.0)));
        let rule = if oldest.len() > 1 { ControlRule::Largest } else { ControlRule::Oldest };
        oldest.first().map(|(name, _)| (*name, rule))
    }

    /// When the newest version of the flag was first seen.
    fn newest_version(&self) -> Option<UnixNanos> {
        self.versions.values().max().copied()
    }

    fn contests(&self, key: &FlagKey, traces_min: u64) -> Vec<Contest> {
        let Some((control, _)) = self.control() else { return Vec::new() };
        let enough = |traffic: &VariantTraffic| traffic.traces() >= traces_min;
        if !self.variants.get(control).is_some_and(enough) {
            return Vec::new();
        }
        let others = self.variants.iter().filter(|(name, traffic)| *name != control && enough(traffic));
        let contest = |(name, traffic): (&Arc<str>, &VariantTraffic)| {
            let first = traffic.first?;
            Some(Contest {
                flag: key.clone(),
                variant: Arc::clone(name),
                control: Arc::clone(control),
                from: self.newest_version().map_or(first, |version| version.max(first)),
            })
        };
        others.filter_map(contest).collect()
    }
}

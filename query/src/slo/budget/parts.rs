//! [`Parts`]: of the bad journeys of a slot whom they are charged to, and which conditions they did not meet.
//!
//! In units of [`Weight`]: what is charged in a slot adds up to the weight of its bad journeys exactly, whatever comes and goes.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::slo::journey::{Blamed, Cause, Travelled};
use crate::trace::Weight;

use super::baseline::Medians;

/// Who is told apart in a slot; the rest is one.
pub(crate) const BLAMED_MAX: usize = 64;

/// Sums of one slot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Parts {
    /// Weight charged to each.
    pub(crate) blamed: BTreeMap<Blamed, u64>,
    /// Weight of the journeys that did not meet a condition, by its number.
    pub(crate) failed: BTreeMap<u16, u64>,
}

impl Parts {
    pub(super) fn is_empty(&self) -> bool {
        self.blamed.is_empty() && self.failed.is_empty()
    }

    pub(super) fn change(&mut self, charges: &[(Blamed, u64)], failed: &[u16], weight: u64, add: bool) {
        for condition in failed {
            let sum = self.failed.entry(*condition).or_default();
            *sum = if add { sum.saturating_add(weight) } else { sum.saturating_sub(weight) };
        }
        if add {
            charges.iter().for_each(|(who, part)| self.charge(who, *part));
        } else {
            self.take_back(charges);
        }
        self.failed.retain(|_, sum| *sum > 0);
    }

    fn charge(&mut self, who: &Blamed, part: u64) {
        let is_known = self.blamed.contains_key(who) || self.blamed.len() < BLAMED_MAX;
        let place = if is_known { who.clone() } else { Blamed::others() };
        let sum = self.blamed.entry(place).or_default();
        *sum = sum.saturating_add(part);
    }

    /// Takes back what a journey was charged to. Where it was charged to others, since usual times were others then or there was no room, these
    /// give the rest, who have most first: the sum stays what the journeys that are left weigh.
    fn take_back(&mut self, charges: &[(Blamed, u64)]) {
        let mut missing = 0_u64;
        for (who, part) in charges {
            let taken = self.blamed.get_mut(who).map_or(0, |sum| {
                let taken = (*sum).min(*part);
                *sum = sum.saturating_sub(taken);
                taken
            });
            missing = missing.saturating_add(part.saturating_sub(taken));
        }
        while missing > 0 {
            let Some((_, most)) = self.blamed.iter_mut().max_by_key(|(_, sum)| **sum).filter(|(_, sum)| **sum > 0)
            else {
                break;
            };
            let taken = (*most).min(missing);
            *most = most.saturating_sub(taken);
            missing = missing.saturating_sub(taken);
        }
        self.blamed.retain(|_, sum| *sum > 0);
    }

    /// Adds another slot's, which may tell others apart.
    pub(crate) fn add(&mut self, other: &Self) {
        for (who, part) in &other.blamed {
            match self.blamed.get_mut(who) {
                Some(sum) => *sum = sum.saturating_add(*part),
                None => drop(self.blamed.insert(who.clone(), *part)),
            }
        }
        for (condition, weight) in &other.failed {
            let sum = self.failed.entry(*condition).or_default();
            *sum = sum.saturating_add(*weight);
        }
    }
}

/// Whom a bad journey is charged to, in parts that add up to its weight.
///
/// Of a slow one each place has as much as it took longer than it usually does, of what the whole took longer than usual; what no place explains
/// is nobody's.
pub(super) fn charges(journey: &Travelled<'_>, usual: Option<&Medians>) -> Vec<(Blamed, u64)> {
    let weight = Weight::ONE.saturating_add(journey.weight.more());
    match (&journey.cause, usual) {
        (Cause::Error(who), _) => vec![(who.clone(), weight)],
        (Cause::Slow, Some(usual)) => slow(journey, usual, weight),
        (Cause::Slow, None) | (Cause::Unattributed, _) => vec![(Blamed::nobody(), weight)],
    }
}

fn slow(journey: &Travelled<'_>, usual: &Medians, weight: u64) -> Vec<(Blamed, u64)> {
    let excess = |ns: i64, median: i64| u128::try_from(ns.saturating_sub(median)).unwrap_or(0);
    let places: Vec<(Blamed, u128)> = journey
        .times
        .iter()
        .map(|(place, (ns, version))| {
            (Blamed { place: place.clone(), version: Arc::clone(version) }, excess(*ns, usual.of(place, *ns)))
        })
        .filter(|(_, excess)| *excess > 0)
        .collect();
    let sum: u128 = places.iter().map(|(_, excess)| *excess).sum();
    let whole = sum.max(excess(journey.duration_ns, usual.whole_ns));
    if whole == 0 {
        return vec![(Blamed::nobody(), weight)];
    }
    let share = |excess: u128| u64::try_from(u128::from(weight).saturating_mul(excess) / whole).unwrap_or(0);
    let mut charges: Vec<(Blamed, u64)> = places.iter().map(|(who, excess)| (who.clone(), share(*excess))).collect();
    let left = weight.saturating_sub(charges.iter().map(|(_, part)| *part).sum());
    let largest = charges.iter_mut().max_by_key(|(_, part)| *part).filter(|_| sum == whole);
    match largest {
        // What rounding left over.
        Some((_, part)) => *part = part.saturating_add(left),
        None => charges.push((Blamed::nobody(), left)),
    }
    charges.retain(|(_, part)| *part > 0);
    charges
}

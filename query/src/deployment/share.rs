//! Declared shares of traffic: how much of it was meant for a version or a variant, and since when.

use std::collections::BTreeMap;
use std::sync::Arc;

use daytwo_storage::UnixNanos;
use serde::{Deserialize, Serialize};

/// Steps that are kept of one version or variant; the oldest goes first.
pub const STEPS_MAX: usize = 32;

/// A share of the traffic from 0 to 1, in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TrafficShare(u32);

impl TrafficShare {
    /// All of it.
    const WHOLE: u32 = 1_000_000;

    /// The share, to the nearest millionth; `None` for what is no number from 0 to 1.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to a million")]
    pub fn of(share: f64) -> Option<Self> {
        (0.0..=1.0).contains(&share).then(|| Self((share * f64::from(Self::WHOLE)).round() as u32))
    }

    /// The share, 0 to 1.
    pub fn share(self) -> f64 {
        f64::from(self.0.min(Self::WHOLE)) / f64::from(Self::WHOLE)
    }

    /// This share of what both have; `None` when one of them has nothing, for then there is nothing to compare.
    pub(crate) fn among(self, other: Self) -> Option<Self> {
        let (own, all) = (f64::from(self.0), f64::from(self.0) + f64::from(other.0));
        if self.0 == 0 || other.0 == 0 { None } else { Self::of(own / all) }
    }
}

/// A share that was declared, and since when it is meant to be in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightStep {
    /// Since when.
    pub at: UnixNanos,
    /// The share; `None` when what was declared before is over, and nothing is known.
    pub share: Option<TrafficShare>,
    /// The service that asks for the flag; `None` for all, and for versions.
    pub asker: Option<Arc<str>>,
}

/// Steps in the order of time by who asks, where each differs from the one before it; the newest of each.
pub(crate) fn in_order(mut steps: Vec<WeightStep>) -> Vec<WeightStep> {
    steps.sort_by_key(|step| step.at);
    let mut chains: BTreeMap<Option<Arc<str>>, Vec<WeightStep>> = BTreeMap::new();
    for step in steps {
        let chain = chains.entry(step.asker.clone()).or_default();
        if chain.last().and_then(|last| last.share) != step.share {
            chain.push(step);
        }
    }
    let newest = |mut chain: Vec<WeightStep>| chain.split_off(chain.len().saturating_sub(STEPS_MAX));
    chains.into_values().flat_map(newest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(at: i64, share: Option<f64>) -> WeightStep {
        WeightStep { at: UnixNanos(at), share: share.and_then(TrafficShare::of), asker: None }
    }

    /// Scenario: shares inside and outside of 0 to 1, a third of what two variants have, and one that has nothing.
    /// Guarantees: what is no share is none; the pair's share is that of both, to a millionth.
    #[test]
    fn only_shares_are_shares() {
        for wrong in [-0.1, 1.1, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(TrafficShare::of(wrong), None, "{wrong}");
        }
        let of = |share: f64| TrafficShare::of(share).unwrap();
        assert!((of(0.1).share() - 0.1).abs() < 1e-9 && (of(1.0).share() - 1.0).abs() < 1e-9);
        assert!((of(0.1).among(of(0.2)).unwrap().share() - 1.0 / 3.0).abs() < 1e-6);
        assert_eq!((of(0.0).among(of(0.2)), of(0.2).among(of(0.0))), (None, None));
    }

    /// Scenario: steps out of order, one of them sent twice, one that ends what was declared, and forty more.
    /// Guarantees: they are in the order of time, what changes nothing is left out, and the newest are kept.
    #[test]
    fn steps_are_in_order_and_bounded() {
        let found = in_order(vec![step(30, None), step(10, Some(0.1)), step(20, Some(0.1)), step(25, Some(0.5))]);
        assert_eq!(found, [step(10, Some(0.1)), step(25, Some(0.5)), step(30, None)]);
        assert_eq!(in_order(vec![step(5, None)]), []);
        let many = (0..40).map(|at| step(at, Some(f64::from(u32::try_from(at).unwrap()) / 100.0))).collect();
        let kept = in_order(many);
        assert_eq!((kept.len(), kept[0].at, kept[31].at), (STEPS_MAX, UnixNanos(8), UnixNanos(39)));
    }
}

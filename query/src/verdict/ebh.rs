//! Many hypotheses at once: e-BH, which bounds the expected share of false discoveries whatever the e-values' dependence (Wang and Ramdas
//! 2022), and its hierarchical form, families first.
//!
//! E-values are given by their logarithms. A mean of e-values is one, so a family's e-value is the mean of its members'; a family that is
//! selected tests its members at the level times the share of families selected (Benjamini and Bogomolov 2014).

use super::sequential::ln_mean;

/// Expected share of false discoveries among what is found: of the other services of a release's traces, of flags, and of the services of
/// the flags that are found.
pub(crate) const FALSE_DISCOVERIES: f64 = 0.05;

/// Which of the hypotheses are rejected at level `q`: the k largest e-values, for the largest k of which all are at least n / (q k).
pub(crate) fn e_bh(ln_e: &[f64], q: f64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..ln_e.len()).collect();
    let of = |at: &usize| ln_e.get(*at).copied().filter(|value| !value.is_nan()).unwrap_or(f64::NEG_INFINITY);
    order.sort_by(|left, right| of(right).total_cmp(&of(left)));
    let enough = |(place, at): (usize, &usize)| of(at) >= ln_threshold(ln_e.len(), place.saturating_add(1), q);
    let kept = order.iter().enumerate().rposition(enough).map_or(0, |last| last.saturating_add(1));
    let mut rejected = vec![false; ln_e.len()];
    for at in order.into_iter().take(kept) {
        if let Some(slot) = rejected.get_mut(at) {
            *slot = true;
        }
    }
    rejected
}

/// What the k-th largest of n e-values has to reach, as a logarithm.
#[expect(clippy::cast_precision_loss, reason = "small counts")]
pub(crate) fn ln_threshold(n: usize, k: usize, q: f64) -> f64 {
    (n as f64 / (q * k as f64)).ln()
}

/// What came of one family.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Family {
    /// Logarithm of the family's e-value.
    pub(crate) ln_e: f64,
    /// Whether there is something in it.
    pub(crate) selected: bool,
    /// Level at which its members were tested; that of the whole when it is not selected.
    pub(crate) level: f64,
    /// Which of its members are rejected; none when it is not selected.
    pub(crate) members: Vec<bool>,
}

/// Families first, then the members of those selected.
#[expect(clippy::cast_precision_loss, reason = "small counts")]
pub(crate) fn hierarchical(families: &[Vec<f64>], q: f64) -> Vec<Family> {
    let means: Vec<f64> = families.iter().map(|members| mean(members)).collect();
    let selected = e_bh(&means, q);
    let count = selected.iter().filter(|selected| **selected).count();
    let level = q * count as f64 / families.len().max(1) as f64;
    let family = |((members, ln_e), selected): ((&Vec<f64>, f64), bool)| {
        let rejected = if selected { e_bh(members, level) } else { vec![false; members.len()] };
        Family { ln_e, selected, level: if selected { level } else { q }, members: rejected }
    };
    families.iter().zip(means).zip(selected).map(family).collect()
}

/// Logarithm of the mean e-value; 0, no evidence, without members.
#[expect(clippy::cast_precision_loss, reason = "small counts")]
fn mean(members: &[f64]) -> f64 {
    let weight = 1.0 / members.len().max(1) as f64;
    if members.is_empty() { 0.0 } else { ln_mean(&members.iter().map(|one| (*one, weight)).collect::<Vec<_>>()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn logs(values: &[f64]) -> Vec<f64> {
        values.iter().map(|value| value.ln()).collect()
    }

    /// The rule as it is written down: of all sets that are self-consistent, the largest.
    fn naive(values: &[f64], q: f64) -> Vec<bool> {
        let n = values.len();
        let consistent = |set: usize| {
            let size = set.count_ones() as f64;
            (0..n).all(|at| set >> at & 1 == 0 || values[at] * q * size >= n as f64 * (1.0 - 1e-12))
        };
        let best = (0..1_usize << n).filter(|set| consistent(*set)).max_by_key(|set| set.count_ones()).unwrap();
        (0..n).map(|at| best >> at & 1 == 1).collect()
    }

    /// Scenario: the fifteen p-values of Benjamini and Hochberg (1995, section 3.2), turned into e-values by 1/p, for which the two rules are
    /// the same; and five e-values with thresholds 100, 50, 33.3, 25, 20 worked out by hand.
    /// Guarantees: the four of the published example are rejected at 0.05, and the first three of the other.
    #[test]
    fn the_published_example() {
        let p = [
            0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528,
            0.7590, 1.0,
        ];
        let rejected = e_bh(&logs(&p.map(|p| 1.0 / p)), 0.05);
        assert_eq!(rejected.iter().filter(|one| **one).count(), 4);
        assert!(rejected[..4].iter().all(|one| *one));
        assert_eq!(e_bh(&logs(&[12.0, 200.0, 50.0, 1.0, 100.0]), 0.05), [false, true, true, false, true]);
        assert_eq!(e_bh(&[], 0.05), Vec::<bool>::new());
        assert_eq!(e_bh(&[f64::NAN, 100.0_f64.ln()], 0.05), [false, true]);
    }

    /// Scenario: three flags: one with a strong member and a weak one, one with nothing, one with a member that would do alone but not
    /// among three families.
    /// Guarantees: the first is selected and only its strong member rejected, at a third of the level; the others are not looked into.
    #[test]
    fn families_come_first() {
        let families = [logs(&[2_000.0, 30.0, 1.0]), logs(&[1.0, 0.5]), logs(&[50.0, 0.1, 0.1, 0.1])];
        let found = hierarchical(&families, 0.05);
        assert_eq!(found.iter().map(|family| family.selected).collect::<Vec<_>>(), [true, false, false]);
        // 3 members at 0.05 / 3: 180 for the first, 90 for two.
        assert_eq!(found[0].members, [true, false, false]);
        assert!((found[0].level - 0.05 / 3.0).abs() < 1e-12);
        assert!((found[0].ln_e.exp() - 677.0).abs() < 1e-6);
        assert!(found[1].members.iter().chain(&found[2].members).all(|one| !one));
        assert_eq!(hierarchical(&[], 0.05), []);
        assert!(!hierarchical(&[Vec::new()], 0.05)[0].selected);
    }

    proptest! {
        /// Scenario: up to nine e-values of any size, ties among them, at several levels.
        /// Guarantees: as many are rejected as the definition's largest self-consistent set has, and they are the largest.
        #[test]
        fn as_the_definition_says(values in prop::collection::vec(prop_oneof![0.01_f64..500.0, Just(41.3), Just(97.7)], 0..9), q in prop_oneof![Just(0.05), Just(0.2), 0.01_f64..0.9]) {
            let (found, wanted) = (e_bh(&logs(&values), q), naive(&values, q));
            let count = |set: &[bool]| set.iter().filter(|one| **one).count();
            prop_assert_eq!(count(&found), count(&wanted), "{:?} {:?} {:?}", values, found, wanted);
            let least = values.iter().zip(&found).filter(|(_, one)| **one).map(|(value, _)| *value).fold(f64::INFINITY, f64::min);
            let most = values.iter().zip(&found).filter(|(_, one)| !**one).map(|(value, _)| *value).fold(0.0, f64::max);
            prop_assert!(least >= most);
        }
    }
}

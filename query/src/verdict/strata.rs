//! Whether the cohorts of a flag were spread alike over the journeys: where a variant was drawn by lot its share is the same on all of them.

use std::sync::Arc;

use statrs::function::gamma::gamma_ur;

use super::baseline::Table;
use super::cohort::{AFTER, BEFORE};
use super::words;
use crate::measure::NodeKey;

/// Chance below which a difference is no chance.
const P_MAX: f64 = 0.001;
/// A journey with fewer expected traces in either cohort is left out of the test.
const EXPECTED_MIN: f64 = 5.0;
/// Journeys that are named.
const NAMED_MAX: usize = 3;

/// Chance of a chi-square statistic at least as large.
pub(crate) fn chi_square_p(statistic: f64, degrees: f64) -> f64 {
    if degrees <= 0.0 || statistic <= 0.0 { 1.0 } else { gamma_ur(degrees / 2.0, statistic / 2.0) }
}

/// Journeys on which the variant's share differs, in a sentence.
pub(super) fn differences(table: &Table, variant: &str) -> Option<String> {
    let journeys = table.get(&NodeKey::Journey)?;
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    let counts: Vec<(&Arc<str>, [f64; 2])> = journeys
        .iter()
        .map(|(journey, cells)| (journey, [cells[BEFORE].traces as f64, cells[AFTER].traces as f64]))
        .collect();
    let [before, after] = counts.iter().fold([0.0, 0.0], |sum, (_, one)| [sum[0] + one[0], sum[1] + one[1]]);
    let share = after / (before + after).max(1.0);
    let mut moved: Vec<(f64, &Arc<str>, f64)> = counts
        .iter()
        .filter_map(|(journey, [before, after])| {
            let all = before + after;
            let enough = (all * share).min(all * (1.0 - share)) >= EXPECTED_MIN;
            let off = after - all * share;
            enough.then(|| (off * off / (all * share * (1.0 - share)), *journey, after / all))
        })
        .collect();
    #[expect(clippy::cast_precision_loss, reason = "a small count")]
    let degrees = moved.len().saturating_sub(1) as f64;
    let p = chi_square_p(moved.iter().map(|(part, ..)| part).sum(), degrees);
    if p >= P_MAX {
        return None;
    }
    moved.sort_by(|left, right| right.0.total_cmp(&left.0).then_with(|| left.1.cmp(right.1)));
    let named =
        moved.iter().take(NAMED_MAX).map(|(_, journey, share)| format!("{} on {journey}", words::percent(*share)));
    let list = named.collect::<Vec<_>>().join(", ");
    Some(format!("the share of {variant} differs between journeys: {} in all, {list}", words::percent(share)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::cohort::NodeCell;

    fn table(rows: &[(&str, u64, u64)]) -> Table {
        let cell = |traces| NodeCell { traces, ..NodeCell::default() };
        let journeys =
            rows.iter().map(|(name, before, after)| ((*name).into(), [cell(*before), cell(*after)])).collect();
        [(Arc::new(NodeKey::Journey), journeys)].into()
    }

    /// Scenario: values of the chi-square table; shares that chance explains, one journey with twice the share, and journeys too small to tell.
    /// Guarantees: the table's values; only the real difference is named, its journey first.
    #[test]
    fn a_share_that_differs_is_named() {
        for (statistic, degrees, p) in [(3.841, 1.0, 0.05), (10.828, 1.0, 0.001), (18.307, 10.0, 0.05)] {
            assert!((chi_square_p(statistic, degrees) - p).abs() < 1e-4, "{statistic}");
        }
        assert_eq!(differences(&table(&[("a", 500, 510), ("b", 300, 280), ("c", 40, 45)]), "on"), None);
        assert_eq!(differences(&table(&[("a", 500, 500), ("b", 1, 4)]), "on"), None);
        assert_eq!(differences(&table(&[]), "on"), None);
        let found = differences(&table(&[("a", 500, 500), ("b", 100, 300), ("c", 500, 500)]), "on").unwrap();
        assert!(found.starts_with("the share of on differs between journeys: 54.17 % in all, 75.00 % on b"), "{found}");
    }
}

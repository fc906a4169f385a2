//! Judgements of a seeded shop's canaries.

mod before_after;
mod concurrent;
mod restraint;
mod shop;

use proptest::prelude::*;

use super::{VerdictConfig, judge};
use crate::measure::TraceRecord;
use shop::{Effect, NOTHING, Shop, filled, now};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    /// Scenario: the same traces in another order, some of them added, taken out and added again.
    /// Guarantees: the same verdict, number for number.
    #[test]
    fn order_and_corrections_do_not_matter(seed in 0_u64..1_000, shuffle in any::<u64>()) {
        let config = VerdictConfig::default();
        let records = Shop::new(seed).records(&Effect { charge_factor: 1.2, ..NOTHING }, 10, 40);
        let expected = judge(&filled(&records, &config), now(40), &config);
        let mut order: Vec<&TraceRecord> = records.iter().collect();
        order.sort_by_key(|record| {
            let bytes: [u8; 8] = record.trace_id.as_bytes()[8..].try_into().unwrap();
            u64::from_be_bytes(bytes).wrapping_mul(shuffle | 1)
        });
        let mut cohorts = filled(order.iter().copied(), &config);
        for record in order.iter().take(50) {
            cohorts.remove(record);
            cohorts.add(record);
        }
        let got = judge(&cohorts, now(40), &config);
        prop_assert_eq!(format!("{got:?}"), format!("{expected:?}"));
    }
}

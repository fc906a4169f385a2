//! [`Earliest`]: when the first of many traces began, of which any may be taken out again.
//!
//! A trace is measured when it is quiet and again when a late span comes, and may begin later then: its first span to come may have been of a
//! process whose clock is behind, or the late one of another version. What is known of a version must not depend on that.

use std::collections::BTreeMap;

use daytwo_storage::UnixNanos;

/// Instants that are remembered: so many traces in a row may be taken out for good.
const HELD_MAX: usize = 64;

/// The first of some instants.
#[derive(Debug, Default)]
pub(super) struct Earliest {
    /// How often each of the earliest ones was added.
    held: BTreeMap<UnixNanos, u64>,
    /// The last one that was held, when none is left.
    gone: Option<UnixNanos>,
}

impl Earliest {
    pub(super) fn add(&mut self, at: UnixNanos) {
        let count = self.held.entry(at).or_default();
        *count = count.saturating_add(1);
        if self.held.len() > HELD_MAX {
            self.held.pop_last();
        }
    }

    /// Takes out an instant that was added.
    pub(super) fn remove(&mut self, at: UnixNanos) {
        let Some(count) = self.held.get_mut(&at) else { return };
        *count = count.saturating_sub(1);
        if *count == 0 {
            self.held.remove(&at);
            self.gone = Some(at);
        }
    }

    /// The first; `None` before any was added.
    pub(super) fn get(&self) -> Option<UnixNanos> {
        self.held.first_key_value().map(|(at, _)| *at).or(self.gone)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Scenario: hundreds of instants, some of them more than once; few are taken out again, of which some come back.
        /// Guarantees: the first is that of a list of those which are there.
        #[test]
        fn the_first_is_that_of_a_list(
            instants in prop::collection::vec(0_i64..500, 1..300),
            taken in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
        ) {
            let (mut earliest, mut list) = (Earliest::default(), Vec::new());
            for at in &instants {
                earliest.add(UnixNanos(*at));
                list.push(*at);
                prop_assert_eq!(earliest.get(), list.iter().min().map(|at| UnixNanos(*at)));
            }
            for which in taken {
                let at = list.swap_remove(which.index(list.len()));
                earliest.remove(UnixNanos(at));
                if at % 2 == 0 || list.is_empty() {
                    earliest.add(UnixNanos(at + 1));
                    list.push(at + 1);
                }
                prop_assert_eq!(earliest.get(), list.iter().min().map(|at| UnixNanos(*at)));
            }
        }
    }

    /// Scenario: the only instant is taken out.
    /// Guarantees: it is still known when the first was.
    #[test]
    fn the_last_to_go_is_remembered() {
        let mut earliest = Earliest::default();
        assert_eq!(earliest.get(), None);
        earliest.add(UnixNanos(5));
        earliest.remove(UnixNanos(5));
        assert_eq!(earliest.get(), Some(UnixNanos(5)));
        earliest.add(UnixNanos(9));
        assert_eq!(earliest.get(), Some(UnixNanos(9)));
    }
}

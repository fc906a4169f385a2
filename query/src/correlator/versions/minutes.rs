//! [`Minutes`]: traces by the minute, and the minutes that have none between two that do.
//!
//! Sums and gaps are kept as traces are counted: whoever asks every ten seconds must not go through four weeks of minutes.

use std::collections::BTreeMap;

use super::MINUTE_NS;

/// A gap of less than two whole minutes is none.
const GAP_MIN_NS: i64 = 3 * MINUTE_NS;

/// Traces by the start of their minute.
#[derive(Debug, Default)]
pub(super) struct Minutes {
    /// Counts above zero.
    counts: BTreeMap<i64, u64>,
    traces: u64,
    /// The minute before each gap, and the one after it.
    gaps: BTreeMap<i64, i64>,
}

impl Minutes {
    /// Counts a trace in a minute.
    pub(super) fn add(&mut self, minute: i64) {
        self.traces = self.traces.saturating_add(1);
        let count = self.counts.entry(minute).or_default();
        *count = count.saturating_add(1);
        if *count == 1 {
            let (before, after) = self.neighbours(minute);
            before.into_iter().for_each(|before| self.note(before, Some(minute)));
            self.note(minute, after);
        }
    }

    /// Takes out a trace that was counted.
    pub(super) fn remove(&mut self, minute: i64) {
        let Some(count) = self.counts.get_mut(&minute) else { return };
        self.traces = self.traces.saturating_sub(1);
        *count = count.saturating_sub(1);
        if *count == 0 {
            self.counts.remove(&minute);
            self.note(minute, None);
            let (before, after) = self.neighbours(minute);
            before.into_iter().for_each(|before| self.note(before, after));
        }
    }

    /// Forgets the minutes before one.
    pub(super) fn forget_before(&mut self, from: i64) {
        while let Some(first) = self.counts.first_entry().filter(|first| *first.key() < from) {
            let (minute, count) = first.remove_entry();
            self.traces = self.traces.saturating_sub(count);
            self.gaps.remove(&minute);
        }
    }

    /// All traces.
    pub(super) fn traces(&self) -> u64 {
        self.traces
    }

    /// Whether no minute has any.
    pub(super) fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Traces of the minutes that begin in a window.
    pub(super) fn between(&self, from: i64, to: i64) -> u64 {
        self.counts.range(from..to.max(from)).map(|(_, count)| *count).sum()
    }

    /// Traces of one minute.
    pub(super) fn at(&self, minute: i64) -> u64 {
        self.counts.get(&minute).copied().unwrap_or(0)
    }

    /// Minutes with traces from one on, ascending.
    pub(super) fn since(&self, from: i64) -> impl Iterator<Item = (i64, u64)> {
        self.counts.range(from..).map(|(minute, count)| (*minute, *count))
    }

    /// The latest minute with traces.
    pub(super) fn newest(&self) -> Option<i64> {
        self.counts.last_key_value().map(|(minute, _)| *minute)
    }

    /// The latest minute with traces before an instant.
    pub(super) fn last_before(&self, at: i64) -> Option<i64> {
        self.counts.range(..at).next_back().map(|(minute, _)| *minute)
    }

    /// Gaps that come after this minute, the latest first: the minute before each, and the one after it.
    pub(super) fn gaps_since(&self, from: i64) -> impl Iterator<Item = (i64, i64)> {
        self.gaps.range(from..).rev().map(|(gone, back)| (*gone, *back))
    }

    fn neighbours(&self, minute: i64) -> (Option<i64>, Option<i64>) {
        let after = self.counts.range(minute.saturating_add(1)..).next().map(|(minute, _)| *minute);
        (self.last_before(minute), after)
    }

    /// Notes which minute with traces comes after another.
    fn note(&mut self, gone: i64, back: Option<i64>) {
        match back.filter(|back| back.saturating_sub(gone) >= GAP_MIN_NS) {
            Some(back) => self.gaps.insert(gone, back),
            None => self.gaps.remove(&gone),
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Scenario: traces are counted and taken out again in minutes near and far from each other, and old minutes are forgotten.
        /// Guarantees: sums and gaps are those of a walk over all minutes that have traces.
        #[test]
        fn sums_and_gaps_are_those_of_a_walk(steps in prop::collection::vec((0_i64..40, 0_u8..10), 1..120)) {
            let (mut minutes, mut all) = (Minutes::default(), Vec::new());
            for (number, step) in steps {
                let minute = number * MINUTE_NS;
                match step {
                    0 => {
                        minutes.forget_before(minute / 2);
                        all.retain(|known| *known >= minute / 2);
                    }
                    1..=3 if !all.is_empty() => {
                        let taken = all.swap_remove(usize::try_from(number).unwrap() % all.len());
                        minutes.remove(taken);
                    }
                    _ => {
                        minutes.add(minute);
                        all.push(minute);
                    }
                }
                let mut seen = all.clone();
                seen.sort_unstable();
                seen.dedup();
                let pairs = seen.windows(2).map(|pair| (pair[0], pair[1]));
                let mut gaps: Vec<(i64, i64)> = pairs.filter(|(gone, back)| back - gone > 2 * MINUTE_NS).collect();
                gaps.retain(|(gone, _)| *gone >= minute);
                gaps.reverse();
                prop_assert_eq!(minutes.gaps_since(minute).collect::<Vec<_>>(), gaps);
                prop_assert_eq!(minutes.traces(), all.len() as u64);
                prop_assert_eq!(minutes.is_empty(), all.is_empty());
                prop_assert_eq!(minutes.newest(), seen.last().copied());
                prop_assert_eq!(minutes.last_before(minute), seen.iter().copied().rfind(|known| *known < minute));
                prop_assert_eq!(minutes.at(minute), all.iter().filter(|known| **known == minute).count() as u64);
                let of_window = all.iter().filter(|known| (minute..minute + 5 * MINUTE_NS).contains(*known)).count() as u64;
                prop_assert_eq!(minutes.between(minute, minute + 5 * MINUTE_NS), of_window);
            }
        }
    }
}

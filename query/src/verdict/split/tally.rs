//! [`Tally`]: how many traces, and standing for how many, went to the candidate and elsewhere, by 10 s.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::measure::FINE;
use crate::trace::Weight;

/// Slots times asking services that are told apart; beyond it services are not.
const ENTRIES_MAX: usize = 20_000;

/// Where a trace went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::verdict) enum Side {
    /// To the candidate.
    Candidate,
    /// To another version, or the control.
    Elsewhere,
    /// To both variants: nobody knows which it met first.
    Mixed,
}

const SIDES: usize = 3;

/// Traces of one side. Integers, so that no order of adding matters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::verdict) struct Count {
    pub(in crate::verdict) traces: u64,
    /// Sum of their weights, in units of [`Weight::ONE`].
    weight: u64,
    /// Sum of the squares of their weights.
    squares: u128,
}

impl Count {
    fn change(&mut self, weight: Weight, add: bool) {
        let units = weight.units();
        let square = u128::from(units).saturating_mul(u128::from(units));
        if add {
            self.traces = self.traces.saturating_add(1);
            self.weight = self.weight.saturating_add(units);
            self.squares = self.squares.saturating_add(square);
        } else {
            self.traces = self.traces.saturating_sub(1);
            self.weight = self.weight.saturating_sub(units);
            self.squares = self.squares.saturating_sub(square);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.traces = self.traces.saturating_add(other.traces);
        self.weight = self.weight.saturating_add(other.weight);
        self.squares = self.squares.saturating_add(other.squares);
    }

    /// For how many traces these stand.
    #[expect(clippy::cast_precision_loss, reason = "for statistics")]
    pub(in crate::verdict) fn stands_for(&self) -> f64 {
        self.weight as f64 / Weight::ONE as f64
    }

    /// The mean weight of the traces that they stand for: how much larger the variance of their sum is than theirs.
    #[expect(clippy::cast_precision_loss, reason = "for statistics")]
    pub(in crate::verdict) fn spread(&self) -> Option<f64> {
        (self.weight > 0).then(|| self.squares as f64 / self.weight as f64 / Weight::ONE as f64)
    }
}

/// Counts of the three sides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::verdict) struct Counts([Count; SIDES]);

impl Counts {
    pub(in crate::verdict) fn of(&self, side: Side) -> &Count {
        let [candidate, elsewhere, mixed] = &self.0;
        match side {
            Side::Candidate => candidate,
            Side::Elsewhere => elsewhere,
            Side::Mixed => mixed,
        }
    }

    pub(in crate::verdict) fn change(&mut self, side: Side, weight: Weight, add: bool) {
        let [candidate, elsewhere, mixed] = &mut self.0;
        match side {
            Side::Candidate => candidate.change(weight, add),
            Side::Elsewhere => elsewhere.change(weight, add),
            Side::Mixed => mixed.change(weight, add),
        }
    }

    fn merge(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(count, other)| count.merge(other));
    }
}

/// Who asked for the flag, when it is one.
type Asker = Option<Arc<str>>;

/// Traces since the candidate came.
#[derive(Debug, Clone, Default)]
pub(in crate::verdict) struct Tally(BTreeMap<(i64, Asker), Counts>);

impl Tally {
    /// Counts a trace of a slot, or takes it out.
    pub(in crate::verdict) fn change(&mut self, slot: i64, asker: Asker, side: Side, weight: Weight, add: bool) {
        let key = (slot, asker);
        let key = if self.0.len() < ENTRIES_MAX || self.0.contains_key(&key) { key } else { (slot, None) };
        let counts = self.0.entry(key.clone()).or_default();
        counts.change(side, weight, add);
        if *counts == Counts::default() {
            self.0.remove(&key);
        }
    }

    /// What was known at an instant: the slots that began before it.
    pub(in crate::verdict) fn until(&self, at: i64) -> Self {
        Self(self.0.range(..(at, None)).map(|(key, counts)| (key.clone(), *counts)).collect())
    }

    fn of<'a>(&'a self, from: i64, asker: &'a Asker) -> impl Iterator<Item = (i64, &'a Counts)> {
        let wanted = move |key: &(i64, Asker)| asker.is_none() || key.1 == *asker;
        self.0.range((from, None)..).filter(move |(key, _)| wanted(key)).map(|((slot, _), counts)| (*slot, counts))
    }

    /// The sums of the slots that lie between two instants.
    pub(in crate::verdict) fn between(&self, from: i64, to: i64, asker: &Asker) -> Counts {
        let width = i64::try_from(FINE.as_nanos()).unwrap_or(i64::MAX);
        let mut sums = Counts::default();
        for (_, counts) in self.of(from, asker).take_while(|(slot, _)| slot.saturating_add(width) <= to) {
            sums.merge(counts);
        }
        sums
    }

    /// The last slot from an instant on in which a side had traces.
    pub(in crate::verdict) fn last(&self, from: i64, asker: &Asker, side: Side) -> Option<i64> {
        self.of(from, asker).filter(|(_, counts)| counts.of(side).traces > 0).last().map(|(slot, _)| slot)
    }
}

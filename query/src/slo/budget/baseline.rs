//! [`Baseline`]: how long the places of a journey usually take, by its good ones of the last hour or less.
//!
//! What is usual at a minute is found once, when a slow journey of that minute first asks, and stays: the same journey taken out later is taken
//! from those that it was charged to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use daytwo_storage::UnixNanos;

use crate::measure::{LogHistogram, slot_start};
use crate::slo::journey::{Outcome, Place, Travelled};

/// Good journeys are put together over so long; two such stretches are looked at.
const STRETCH: Duration = Duration::from_secs(1_800);
/// Stretches that are held: one more than is looked at, for those that come late.
const STRETCHES: usize = 3;
/// What is usual is found for so long at once.
const MINUTE: Duration = Duration::from_secs(60);
/// Minutes that it is remembered for: longer than a trace is put together again for.
const MINUTES: usize = 240;
/// Fewer good journeys say nothing of what is usual.
const JOURNEYS_MIN: u64 = 20;
/// Places told apart; of others nothing is known, and nothing charged.
const PLACES_MAX: usize = 64;
/// Scale of the times: 4.4 % wide.
const SCALE: u32 = 4;

/// Times of good journeys.
#[derive(Debug, Clone, Default)]
struct Stretch {
    whole: LogHistogram,
    places: BTreeMap<Place, LogHistogram>,
}

/// Medians of the good journeys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Medians {
    /// Of the whole journey.
    pub(super) whole_ns: i64,
    places: BTreeMap<Place, i64>,
}

impl Medians {
    /// What a place usually takes; of one that good journeys do not have nothing, unless they have too many to know all.
    pub(super) fn of(&self, place: &Place, now_ns: i64) -> i64 {
        let unknown = if self.places.len() < PLACES_MAX { 0 } else { now_ns };
        self.places.get(place).copied().unwrap_or(unknown)
    }
}

/// What is usual, minute by minute.
#[derive(Debug, Clone, Default)]
pub(super) struct Baseline {
    stretches: BTreeMap<i64, Stretch>,
    medians: BTreeMap<i64, Arc<Medians>>,
}

fn change(histogram: &mut LogHistogram, ns: i64, add: bool) {
    if add {
        histogram.record(ns);
        histogram.downscale(SCALE);
    } else {
        histogram.unrecord(ns);
    }
}

impl Baseline {
    pub(super) fn is_empty(&self) -> bool {
        self.stretches.is_empty()
    }

    /// Adds a good journey, or takes it out; others are no example.
    pub(super) fn change(&mut self, journey: &Travelled<'_>, add: bool) {
        if journey.outcome != Outcome::Good {
            return;
        }
        let start = slot_start(journey.at, STRETCH);
        let is_old = self.stretches.first_key_value().is_some_and(|(first, _)| start < *first);
        if is_old && self.stretches.len() >= STRETCHES {
            return;
        }
        let stretch = self.stretches.entry(start).or_default();
        change(&mut stretch.whole, journey.duration_ns, add);
        for (place, (ns, _)) in &journey.times {
            if stretch.places.contains_key(place) || stretch.places.len() < PLACES_MAX {
                change(stretch.places.entry(place.clone()).or_default(), *ns, add);
            }
        }
        while self.stretches.len() > STRETCHES {
            self.stretches.pop_first();
        }
    }

    /// What is usual at an instant; `None` while there were too few good journeys.
    pub(super) fn at(&mut self, at: UnixNanos) -> Option<Arc<Medians>> {
        let minute = slot_start(at, MINUTE);
        if let Some(known) = self.medians.get(&minute) {
            return Some(Arc::clone(known));
        }
        let found = Arc::new(self.find(at)?);
        self.medians.insert(minute, Arc::clone(&found));
        while self.medians.len() > MINUTES {
            self.medians.pop_first();
        }
        Some(found)
    }

    fn find(&self, at: UnixNanos) -> Option<Medians> {
        let last = slot_start(at, STRETCH);
        let first = slot_start(at.saturating_sub(STRETCH), STRETCH);
        let mut all = Stretch::default();
        for stretch in self.stretches.range(first..=last).map(|(_, stretch)| stretch) {
            all.whole.merge(&stretch.whole);
            for (place, times) in &stretch.places {
                all.places.entry(place.clone()).or_default().merge(times);
            }
        }
        (all.whole.count() >= JOURNEYS_MIN).then(|| Medians {
            whole_ns: median(&all.whole),
            places: all.places.iter().map(|(place, times)| (place.clone(), median(times))).collect(),
        })
    }
}

fn median(times: &LogHistogram) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "nanoseconds below 2^63")]
    times.quantile(0.5).map_or(0, |ns| ns.round() as i64)
}

//! [`LatencyMeter`]: how long something takes, counted by fixed bounds, as Prometheus adds histograms up.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const BUCKETS: usize = 14;

/// Upper bounds of all buckets but the last, which has none: from a fast disk's sync to what no client waits for.
const BOUNDS: [Duration; BUCKETS] = [
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2500),
    Duration::from_secs(10),
];

/// Counts how long something takes.
#[derive(Debug, Default)]
pub struct LatencyMeter {
    buckets: [AtomicU64; BUCKETS],
    beyond: AtomicU64,
    ns_total: AtomicU64,
    ns_max: AtomicU64,
}

impl LatencyMeter {
    /// It took this long.
    pub fn record(&self, elapsed: Duration) {
        let ns = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.iter().position(|bound| elapsed <= *bound);
        let bucket = bucket.and_then(|bucket| self.buckets.get(bucket)).unwrap_or(&self.beyond);
        bucket.fetch_add(1, Ordering::Relaxed);
        self.ns_total.fetch_add(ns, Ordering::Relaxed);
        self.ns_max.fetch_max(ns, Ordering::Relaxed);
    }

    /// What was counted so far.
    pub fn read(&self) -> Latencies {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut count = 0_u64;
        let mut within = |bucket: &AtomicU64| {
            count = count.saturating_add(load(bucket));
            count
        };
        let buckets = self.buckets.iter().map(&mut within).collect();
        let count = within(&self.beyond);
        Latencies { buckets, count, ns_total: load(&self.ns_total), ns_max: load(&self.ns_max) }
    }
}

/// One reading of a [`LatencyMeter`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Latencies {
    /// How many took at most as long as the bound of the same place.
    buckets: Vec<u64>,
    /// All.
    pub count: u64,
    /// Nanoseconds of all together.
    pub ns_total: u64,
    /// The longest.
    pub ns_max: u64,
}

impl Latencies {
    /// Bounds, ascending, and how many took at most that long.
    pub fn within(&self) -> impl Iterator<Item = (Duration, u64)> + '_ {
        BOUNDS.into_iter().zip(self.buckets.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: times at a bound, above it, of nothing, and beyond all bounds.
    /// Guarantees: each bound has all times up to it, itself included; sum, count and maximum are those of all.
    #[test]
    fn bounds_hold_what_is_below_them() {
        let meter = LatencyMeter::default();
        let times = [0, 250, 251, 1_000, 9_999, 10_000_000, 10_000_001, 70_000_000].map(Duration::from_micros);
        times.iter().for_each(|time| meter.record(*time));
        let read = meter.read();
        for (bound, count) in read.within() {
            assert_eq!(count, times.iter().filter(|time| **time <= bound).count() as u64, "{bound:?}");
        }
        assert_eq!(read.within().count(), BUCKETS);
        let sum: Duration = times.iter().sum();
        assert_eq!((read.count, u128::from(read.ns_total), read.ns_max), (8, sum.as_nanos(), 70_000_000_000));
    }
}

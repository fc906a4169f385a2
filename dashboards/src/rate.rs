//! Spans per second, from a counter that is read once a second.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use daytwo_query::UnixNanos;

/// Readings kept: a window of ten seconds smooths batches of five seconds, the SDKs' default.
const READINGS: usize = 11;

/// Turns readings of a counter into a rate over the last ten seconds.
#[derive(Debug, Default)]
pub struct RateMeter(Mutex<VecDeque<(UnixNanos, u64)>>);

impl RateMeter {
    /// Takes a reading; `main` does so once a second.
    pub fn read(&self, now: UnixNanos, count: u64) {
        let mut readings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if readings.len() == READINGS {
            readings.pop_front();
        }
        readings.push_back((now, count));
    }

    /// The rate per second over the readings kept; `None` until there are two.
    pub fn per_second(&self) -> Option<f64> {
        let readings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (&(first, from), &(last, to)) = (readings.front()?, readings.back()?);
        let seconds = last.since(first).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "counts of ten seconds are far below 2^53")]
        (seconds > 0.0).then(|| to.saturating_sub(from) as f64 / seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: 100 spans a second for five seconds, then none for twenty.
    /// Guarantees: the rate is unknown first, then exact, and forgets what is older than the window.
    #[test]
    fn follows_the_counter() {
        let meter = RateMeter::default();
        let second = |n: i64| UnixNanos(n * 1_000_000_000);
        meter.read(second(0), 0);
        assert_eq!(meter.per_second(), None);
        (1..=5_u32).for_each(|n| meter.read(second(i64::from(n)), u64::from(n) * 100));
        assert_eq!(meter.per_second(), Some(100.0));
        (6..=25).for_each(|n| meter.read(second(n), 500));
        assert_eq!(meter.per_second(), Some(0.0));
    }
}

//! How fast requests are taken, and so when those that are told to come back should: each is given a time by which what came before it
//! can have been served.

use std::time::Duration;

use tokio::time::Instant;

/// Half of what is known of the rate is this old, counted in time at work.
const HALF_LIFE_SECONDS: f64 = 5.0;
/// Assumed until something is known: 64 MiB a second.
const FIRST_RATE: f64 = 67_108_864.0;
/// So much of what can be served is called back: those who are served send again at once.
const BOOKED: f64 = 0.5;
/// The least and the most that a client is told to wait.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Bytes served for each second in which there was work.
#[derive(Debug)]
pub(super) struct Rate {
    bytes: f64,
    seconds: f64,
    since: Instant,
}

impl Rate {
    pub(super) fn new(now: Instant) -> Self {
        Self { bytes: FIRST_RATE, seconds: 1.0, since: now }
    }

    /// Time has passed, at work or not.
    pub(super) fn pass(&mut self, at_work: bool, now: Instant) {
        let passed = now.saturating_duration_since(self.since).as_secs_f64();
        self.since = now;
        if at_work {
            let kept = (-passed / HALF_LIFE_SECONDS).exp2();
            self.bytes *= kept;
            self.seconds = self.seconds * kept + passed;
        }
    }

    /// So many bytes were served.
    pub(super) fn served(&mut self, bytes: usize) {
        self.bytes += as_f64(bytes);
    }

    fn bytes_per_second(&self) -> f64 {
        (self.bytes / self.seconds).max(1.0)
    }
}

/// Until when those of one address have been told to wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turns {
    until: Instant,
}

impl Turns {
    pub(super) fn new(now: Instant) -> Self {
        Self { until: now }
    }

    /// Nobody is at work, so nobody has to wait for those who were sent away before.
    pub(super) fn clear(&mut self, now: Instant) {
        self.until = now;
    }

    /// The pause for a request of `bytes`, one of `active` addresses that share the rate. `jitter` is between 0 and 1: up to half more.
    pub(super) fn next(&mut self, bytes: usize, rate: &Rate, active: usize, jitter: f64, now: Instant) -> Duration {
        let takes = as_f64(bytes) * as_f64(active.max(1)) / (rate.bytes_per_second() * BOOKED);
        let takes = Duration::try_from_secs_f64(takes).unwrap_or(PAUSE_MAX).min(PAUSE_MAX);
        let latest = now.checked_add(PAUSE_MAX).unwrap_or(now);
        self.until = self.until.max(now).checked_add(takes).unwrap_or(latest).min(latest);
        let pause = self.until.saturating_duration_since(now).max(PAUSE_MIN);
        pause.mul_f64(1.0 + jitter / 2.0).min(PAUSE_MAX)
    }
}

#[expect(clippy::cast_precision_loss, reason = "bytes of a budget, for an estimate")]
fn as_f64(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn later(now: Instant, millis: u64) -> Instant {
        now.checked_add(Duration::from_millis(millis)).unwrap()
    }

    /// Scenario: a server that serves 10 MB a second, idles for an hour, and works on.
    /// Guarantees: time without work does not count.
    #[test]
    fn idle_time_is_no_slowness() {
        let mut now = Instant::now();
        let mut rate = Rate::new(now);
        for pause in [0, 3_600_000] {
            now = later(now, pause);
            rate.pass(false, now);
            for _ in 0..400 {
                now = later(now, 100);
                rate.pass(true, now);
                rate.served(1_000_000);
            }
            let found = rate.bytes_per_second();
            assert!((9.5e6..11e6).contains(&found), "{found}");
        }
    }

    /// Scenario: 1,000 requests of 1 MB that are told to come back at once, by a server that serves 64 MiB a second; some of another
    /// address; more than 30 s hold.
    /// Guarantees: pauses grow, so that half of what can be served comes back in each second; each address waits for itself; none is below
    /// 1 s or above 30 s; jitter adds up to half; nobody waits for others once nobody is at work.
    #[test]
    fn pauses_follow_what_can_be_served() {
        let now = Instant::now();
        let (rate, mut turns) = (Rate::new(now), Turns::new(now));
        let pauses: Vec<f64> = (0..1000).map(|_| turns.next(1 << 20, &rate, 1, 0.0, now).as_secs_f64()).collect();
        assert!(pauses.is_sorted());
        assert!(pauses[..32].iter().all(|pause| *pause == 1.0));
        let second = |n: f64| pauses.iter().filter(|pause| (n..n + 1.0).contains(*pause)).count();
        assert!((31..=33).contains(&second(3.0)) && (31..=33).contains(&second(5.0)), "{}", second(3.0));
        assert_eq!(Turns::new(now).next(1 << 20, &rate, 2, 0.0, now), Duration::from_secs(1));
        assert_eq!(Turns::new(now).next(1 << 20, &rate, 2, 1.0, now), Duration::from_millis(1500));
        let shared = Turns::new(now).next(64 << 20, &rate, 4, 0.0, now);
        assert_eq!(shared, Duration::from_secs(8));
        for _ in 0..100 {
            assert!(turns.next(64 << 20, &rate, 1, 1.0, now) <= PAUSE_MAX);
        }
        turns.clear(now);
        assert_eq!(turns.next(1, &rate, 1, 0.0, now), PAUSE_MIN);
        assert!(turns.next(1, &rate, 1, 0.0, later(now, 3_600_000)) == PAUSE_MIN);
    }
}

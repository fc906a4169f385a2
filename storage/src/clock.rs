//! The one seam through which the libraries learn the time.

use std::fmt;
use std::time::Duration;

/// Nanoseconds since the Unix epoch, as OTLP counts them; negative before 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixNanos(pub i64);

impl UnixNanos {
    /// This instant moved later by `by`, stopping at the end of the range.
    pub fn saturating_add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// This instant moved earlier by `by`, stopping at the start of the range.
    pub fn saturating_sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero when it is not after.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// Tells the time. Everything below `main` gets one as an argument, so that tests can turn it by hand.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The wall clock now.
    fn now(&self) -> UnixNanos;
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the seam that the ban points to")]
    fn now(&self) -> UnixNanos {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        UnixNanos(since.map_or(0, |elapsed| i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX)))
    }
}

/// A clock that stands still until a test moves it.
#[cfg(any(test, feature = "testing"))]
#[derive(Debug, Default)]
pub struct ManualClock(std::sync::atomic::AtomicI64);

#[cfg(any(test, feature = "testing"))]
impl ManualClock {
    /// A clock that shows `start`.
    pub fn at(start: UnixNanos) -> Self {
        Self(std::sync::atomic::AtomicI64::new(start.0))
    }

    /// Moves the clock later.
    pub fn advance(&self, by: Duration) {
        let now = self.now().saturating_add(by);
        self.0.store(now.0, std::sync::atomic::Ordering::SeqCst);
    }
}

#[cfg(any(test, feature = "testing"))]
impl Clock for ManualClock {
    fn now(&self) -> UnixNanos {
        UnixNanos(self.0.load(std::sync::atomic::Ordering::SeqCst))
    }
}

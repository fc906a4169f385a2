//! Who is at the other end of a connection, and how often its requests were broken off.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::Version;
use tokio::time::Instant;

use crate::otlp::status::Refusal;

/// Streams of a connection that may be reset in `RESETS_WITHIN`, so that what still comes for them is known to belong to them: the HTTP/2
/// library remembers 50 for a second, and takes what comes for others for an attack.
const RESETS_MAX: u32 = 40;
const RESETS_WITHIN: Duration = Duration::from_millis(1100);

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct Caller {
    /// Its address.
    pub(crate) peer: IpAddr,
    /// Since when resets are counted, and how many there were.
    resets: Mutex<(Instant, u32)>,
}

impl Caller {
    pub(super) fn new(peer: IpAddr) -> Self {
        Self { peer, resets: Mutex::new((Instant::now(), 0)) }
    }

    /// Whether the body of a request that was refused for now may be broken off, which costs less than to read and forget it. Over HTTP/1
    /// the connection would have to go with it.
    pub(crate) fn may_break_off(&self, refusal: &Refusal, version: Version) -> bool {
        matches!(refusal, Refusal::Denied(_)) && version == Version::HTTP_2 && self.may_reset(Instant::now())
    }

    fn may_reset(&self, now: Instant) -> bool {
        let mut resets = self.resets.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(resets.0) >= RESETS_WITHIN {
            *resets = (now, 0);
        }
        resets.1 = resets.1.saturating_add(1);
        resets.1 <= RESETS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: a hundred refusals at once, and again a moment later.
    /// Guarantees: as many bodies are broken off each time as the library remembers.
    #[test]
    fn resets_have_a_limit() {
        let caller = Caller::new(IpAddr::from([127, 0, 0, 1]));
        let start = Instant::now();
        for now in [start, start + RESETS_WITHIN] {
            assert_eq!((0..100).filter(|_| caller.may_reset(now)).count(), 40);
        }
    }
}

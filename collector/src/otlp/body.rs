//! Reading a request's body within the byte budget and within time.

use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout, timeout_at};

use super::status::{Refusal, Shed};
use crate::admission::Share;

/// A body whose length is known gets this much memory at once, which holds most of them whole; a longer one doubles it as it comes.
const AHEAD_BYTES: usize = 512 << 10;

/// How long the rest of a refused body is read and thrown away, so that the client gets to read its answer.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// And how much of it, in lengths that a request may have: a client that sends somewhat too much is read to its end.
const DRAIN_TIMES: usize = 2;

/// A body that pauses for so long, or that comes more slowly than `PROMISED_RATE` after its first second, loses what was set aside
/// for the rest of it.
const PROMISED_PAUSE: Duration = Duration::from_millis(250);
const PROMISED_SECOND: Duration = Duration::from_secs(1);
/// 8 MiB a second.
const PROMISED_RATE: usize = 8 << 20;

/// Limits of reading one body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimits {
    /// Longest body.
    pub(crate) bytes_max: usize,
    /// In every stretch of this length `stretch_bytes_min` have to come, or the end.
    pub(crate) stretch: Duration,
    /// At least 1, so that no pause is longer than a stretch.
    pub(crate) stretch_bytes_min: usize,
    /// Longest time for all of it.
    pub(crate) time_max: Duration,
}

/// Collects the pieces of one body.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    first: Bytes,
    joined: Vec<u8>,
}

impl Collected {
    pub(crate) fn len(&self) -> usize {
        self.first.len().max(self.joined.len())
    }

    /// The first `N` bytes, once they are there.
    pub(crate) fn head<const N: usize>(&self) -> Option<[u8; N]> {
        let bytes: &[u8] = if self.joined.is_empty() { &self.first } else { &self.joined };
        bytes.first_chunk::<N>().copied()
    }

    fn push(&mut self, piece: Bytes, expected: usize) {
        if self.len() == 0 {
            self.first = piece;
            return;
        }
        if self.joined.is_empty() {
            self.reserve(self.first.len().saturating_add(piece.len()), expected);
            self.joined.extend_from_slice(&self.first);
        }
        self.reserve(piece.len(), expected);
        self.joined.extend_from_slice(&piece);
    }

    /// Makes room for `bytes` more, and for what is likely to follow: not for all that was announced.
    fn reserve(&mut self, bytes: usize, expected: usize) {
        let held = self.joined.len();
        if bytes > self.joined.capacity().saturating_sub(held) {
            let ahead = match expected.saturating_sub(held) {
                0 => held,
                rest => held.max(AHEAD_BYTES).min(rest),
            };
            self.joined.reserve_exact(bytes.max(ahead));
        }
    }

    pub(crate) fn into_bytes(self) -> Bytes {
        if self.joined.is_empty() { self.first } else { Bytes::from(self.joined) }
    }
}

/// How fast a body comes.
#[derive(Debug)]
struct Pace {
    limits: BodyLimits,
    began: Instant,
    end: Instant,
    stretch_end: Instant,
    /// Bytes that the stretch still wants.
    wanted: usize,
}

impl Pace {
    fn begin(limits: BodyLimits, now: Instant) -> Self {
        let mut pace = Self { limits, began: now, end: later(now, limits.time_max), stretch_end: now, wanted: 0 };
        pace.begin_stretch(now);
        pace
    }

    fn begin_stretch(&mut self, now: Instant) {
        self.stretch_end = later(now, self.limits.stretch);
        self.wanted = self.limits.stretch_bytes_min;
    }

    /// Until when the next piece has to come if the promise is to stand; `expected` bytes are announced.
    fn promised(&self, expected: usize, now: Instant) -> Instant {
        let millis = u64::try_from(expected / (PROMISED_RATE / 1000)).unwrap_or(u64::MAX);
        let whole = later(self.began, PROMISED_SECOND.saturating_add(Duration::from_millis(millis)));
        later(now, PROMISED_PAUSE).min(whole)
    }

    /// Until when the next piece has to come.
    fn deadline(&self) -> Instant {
        self.stretch_end.min(self.end)
    }

    /// Counts a piece that has come; with enough of them the next stretch begins.
    fn came(&mut self, bytes: usize, now: Instant) {
        self.wanted = self.wanted.saturating_sub(bytes);
        if self.wanted == 0 {
            self.begin_stretch(now);
        }
    }
}

fn later(now: Instant, by: Duration) -> Instant {
    now.checked_add(by).unwrap_or(now)
}

/// Reads `body` to its end. `length_of` tells its whole length as soon as the pieces so far show it, and `cost_of` what a body of that
/// length will take in all; so much is set aside then, for as long as the body keeps coming. A body that falls behind takes what comes.
pub(crate) async fn read<B>(
    body: &mut B,
    limits: BodyLimits,
    share: &mut Share,
    length_of: impl Fn(&Collected) -> Result<Option<usize>, Refusal>,
    cost_of: impl Fn(usize) -> usize,
) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let too_large = Refusal::TooLarge { bytes_max: limits.bytes_max };
    let mut pace = Pace::begin(limits, Instant::now());
    let mut collected = Collected::default();
    let (mut expected, mut promised) = (0, true);
    loop {
        if expected == 0 {
            expected = length_of(&collected)?.unwrap_or(0);
            if expected > limits.bytes_max {
                return Err(too_large);
            }
            let cost = cost_of(expected).saturating_sub(collected.len());
            if expected > 0 && promised && !share.set_aside(cost).await {
                return Err(Refusal::no_room());
            }
        }
        let until = promised.then(|| pace.promised(expected, Instant::now()));
        let piece = match until.filter(|until| *until < pace.deadline()) {
            Some(until) => timeout_at(until, next_piece(body, pace.deadline())).await,
            None => Ok(next_piece(body, pace.deadline()).await),
        };
        let Ok(piece) = piece else {
            share.give_back_unused();
            promised = false;
            continue;
        };
        let Some(piece) = piece? else { break };
        pace.came(piece.len(), Instant::now());
        if collected.len().saturating_add(piece.len()) > limits.bytes_max {
            return Err(too_large);
        }
        if !share.spend(piece.len()).await {
            return Err(Refusal::no_room());
        }
        collected.push(piece, expected);
    }
    Ok(collected.into_bytes())
}

async fn next_piece<B>(body: &mut B, deadline: Instant) -> Result<Option<Bytes>, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    loop {
        let Ok(frame) = timeout_at(deadline, body.frame()).await else {
            return Err(Refusal::Shed(Shed::SlowBody, "the body came too slowly; send it again".into()));
        };
        match frame {
            None => return Ok(None),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(piece) if !piece.is_empty() => return Ok(Some(piece)),
                Ok(_) | Err(_) => {}
            },
            Some(Err(error)) => {
                return Err(Refusal::Shed(Shed::SlowBody, format!("the body broke off: {error}").into()));
            }
        }
    }
}

/// Reads and throws away the rest, up to twice what a request may have, so that a client that writes its whole body before it reads
/// gets its answer.
pub(crate) async fn drain<B>(mut body: B, request_bytes_max: usize)
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut left = request_bytes_max.saturating_mul(DRAIN_TIMES);
    let pieces = async {
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            left = left.saturating_sub(length);
            if left == 0 {
                break;
            }
        }
    };
    timeout(DRAIN_TIMEOUT, pieces).await.unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: BodyLimits = BodyLimits {
        bytes_max: 1 << 20,
        stretch: Duration::from_secs(10),
        stretch_bytes_min: 100,
        time_max: Duration::from_secs(60),
    };

    fn second(start: Instant, seconds: u64) -> Instant {
        start.checked_add(Duration::from_secs(seconds)).unwrap()
    }

    /// Scenario: a body that brings a stretch's bytes at once and then one byte a second, and one at the least pace.
    /// Guarantees: the first has until the end of the stretch that brought too little, the second until the time for all of it.
    #[test]
    fn every_stretch_counts_by_itself() {
        let start = Instant::now();
        let mut pace = Pace::begin(LIMITS, start);
        assert_eq!(pace.deadline(), second(start, 10));
        pace.came(1000, second(start, 2));
        for n in 3..12 {
            pace.came(1, second(start, n));
        }
        assert_eq!(pace.deadline(), second(start, 12), "what came before the stretch does not help");
        let mut pace = Pace::begin(LIMITS, start);
        for n in 0..60 {
            pace.came(10, second(start, n));
            assert!(pace.deadline() > second(start, n), "{n}");
        }
        assert_eq!(pace.deadline(), second(start, 60));
    }

    /// Scenario: bodies of a known and of an unknown length, in pieces of 16 KiB.
    /// Guarantees: memory is there for twice what came at most (or half a MiB), never for what was announced alone.
    #[test]
    fn announced_bytes_cost_no_memory() {
        for expected in [0, 3 << 20, 64 << 20] {
            let mut collected = Collected::default();
            for n in 1..=(3 << 20) / (16 << 10) {
                collected.push(Bytes::from(vec![0; 16 << 10]), expected);
                let came = n * (16 << 10);
                assert_eq!(collected.len(), came);
                assert!(collected.joined.capacity() <= (2 * came).max(AHEAD_BYTES + came), "{came} of {expected}");
            }
            assert!(expected != 3 << 20 || collected.joined.capacity() == expected);
        }
    }
}

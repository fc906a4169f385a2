//! Requests seen lately: a retried one is answered, not stored again.
//!
//! A client that got no answer sends the same bytes again. The 128-bit hash of the decompressed body finds the first
//! one: stored already, or on its way, in which case the twin waits for the same outcome. The hashes stand in the WAL
//! frames themselves, so they are as durable as the data and come back at replay.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::wal::writer::Refusal;
use crate::{Committed, UnixNanos};

/// About 64 MiB with both indexes; at 1,700 requests a second this is still ten minutes.
const ENTRIES_MAX: usize = 1_000_000;

/// What a waiting caller gets.
pub(crate) type Answer = Result<Committed, Refusal>;

/// A stored request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Remembered {
    /// Hash of the decompressed body.
    pub(crate) hash: u128,
    /// Its position.
    pub(crate) seq: u64,
    /// When it was received.
    pub(crate) received: UnixNanos,
}

/// What [`Dedup::claim`] found.
#[derive(Debug)]
pub(crate) enum Claim {
    /// Nobody sent this lately; the caller must settle it.
    New,
    /// It is stored.
    Stored(u64),
    /// It is on its way; the outcome comes here.
    OnItsWay(oneshot::Receiver<Answer>),
}

#[derive(Debug)]
enum Entry {
    Stored(u64),
    OnItsWay(Vec<oneshot::Sender<Answer>>),
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<u128, Entry>,
    /// Stored ones by age, oldest first.
    ages: VecDeque<(u128, UnixNanos, u64)>,
}

/// The window of requests seen lately.
#[derive(Debug)]
pub(crate) struct Dedup {
    window: Duration,
    state: Mutex<State>,
}

impl Dedup {
    /// An empty window.
    pub(crate) fn new(window: Duration) -> Self {
        Self { window, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over what replay found, as far as it is young enough.
    pub(crate) fn restore(&self, mut remembered: Vec<Remembered>, now: UnixNanos) {
        remembered.sort_by_key(|one| one.seq);
        let mut state = self.state();
        for one in remembered {
            state.remember(one.hash, one.seq, one.received);
        }
        state.forget(now, self.window);
    }

    /// Looks a request up and, when it is new, marks it as on its way.
    pub(crate) fn claim(&self, hash: u128, now: UnixNanos) -> Claim {
        let mut state = self.state();
        state.forget(now, self.window);
        match state.entries.get_mut(&hash) {
            Some(Entry::Stored(seq)) => Claim::Stored(*seq),
            Some(Entry::OnItsWay(twins)) => {
                let (sender, receiver) = oneshot::channel();
                twins.push(sender);
                Claim::OnItsWay(receiver)
            }
            None => {
                state.entries.insert(hash, Entry::OnItsWay(Vec::new()));
                Claim::New
            }
        }
    }

    /// Ends a claim: remembers a stored request, forgets a refused one, answers the twins.
    pub(crate) fn settle(&self, hash: u128, received: UnixNanos, outcome: &Answer) {
        let twins = {
            let mut state = self.state();
            let before = state.entries.remove(&hash);
            if let Ok(committed) = outcome {
                state.remember(hash, committed.seq, received);
            }
            match before {
                Some(Entry::OnItsWay(twins)) => twins,
                _ => Vec::new(),
            }
        };
        for twin in twins {
            let answer = outcome.clone().map(|committed| Committed { duplicate: true, ..committed });
            // A twin that left is no longer interested.
            drop(twin.send(answer));
        }
    }
}

impl State {
    fn remember(&mut self, hash: u128, seq: u64, received: UnixNanos) {
        self.entries.insert(hash, Entry::Stored(seq));
        self.ages.push_back((hash, received, seq));
    }

    fn forget(&mut self, now: UnixNanos, window: Duration) {
        while let Some(&(hash, received, seq)) = self.ages.front() {
            if self.ages.len() <= ENTRIES_MAX && now.since(received) <= window {
                return;
            }
            self.ages.pop_front();
            // Replay finds a request twice that came again after the window; the later one is remembered.
            if matches!(self.entries.get(&hash), Some(Entry::Stored(latest)) if *latest == seq) {
                self.entries.remove(&hash);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: u128 = 7;

    fn committed(seq: u64) -> Answer {
        Ok(Committed { seq, duplicate: false })
    }

    /// Scenario: a request, its twin while it is on its way, its twin afterwards, and its twin after the window.
    /// Guarantees: both early twins learn the first one's seq as duplicates; after the window it is new again.
    #[test]
    fn twins_share_one_outcome() {
        let dedup = Dedup::new(Duration::from_secs(10));
        assert!(matches!(dedup.claim(HASH, UnixNanos(0)), Claim::New));
        let Claim::OnItsWay(mut twin) = dedup.claim(HASH, UnixNanos(0)) else { panic!("the first is on its way") };
        dedup.settle(HASH, UnixNanos(0), &committed(3));
        assert_eq!(twin.try_recv().unwrap().unwrap(), Committed { seq: 3, duplicate: true });
        assert!(matches!(dedup.claim(HASH, UnixNanos(0)), Claim::Stored(3)));
        assert!(matches!(dedup.claim(HASH, UnixNanos(10_000_000_001)), Claim::New));
    }

    /// Scenario: a request is refused while its twin waits.
    /// Guarantees: the twin is refused too, and the next try is new.
    #[test]
    fn a_refusal_is_not_remembered() {
        let dedup = Dedup::new(Duration::from_secs(10));
        assert!(matches!(dedup.claim(HASH, UnixNanos(0)), Claim::New));
        let Claim::OnItsWay(mut twin) = dedup.claim(HASH, UnixNanos(0)) else { panic!("the first is on its way") };
        dedup.settle(HASH, UnixNanos(0), &Err(Refusal::ReadOnly("test".into())));
        assert!(twin.try_recv().unwrap().is_err());
        assert!(matches!(dedup.claim(HASH, UnixNanos(0)), Claim::New));
    }

    /// Scenario: one request more than are remembered, all within the window.
    /// Guarantees: the oldest is new again, all others are known.
    #[test]
    fn the_oldest_go_when_there_are_too_many() {
        let dedup = Dedup::new(Duration::from_secs(10));
        for number in 0..=ENTRIES_MAX as u64 {
            let hash = u128::from(number);
            assert!(matches!(dedup.claim(hash, UnixNanos(0)), Claim::New));
            dedup.settle(hash, UnixNanos(0), &committed(number));
        }
        assert!(matches!(dedup.claim(1, UnixNanos(0)), Claim::Stored(1)));
        assert!(matches!(dedup.claim(ENTRIES_MAX as u128, UnixNanos(0)), Claim::Stored(_)));
        assert!(matches!(dedup.claim(0, UnixNanos(0)), Claim::New));
    }

    /// Scenario: replay finds a request that was stored, and stored again after the window.
    /// Guarantees: when the first is forgotten for its age, the second is still known.
    #[test]
    fn the_later_of_two_is_remembered() {
        let dedup = Dedup::new(Duration::from_secs(10));
        let remembered =
            |seq, seconds: i64| Remembered { hash: HASH, seq, received: UnixNanos(seconds * 1_000_000_000) };
        dedup.restore(vec![remembered(9, 11), remembered(3, 0)], UnixNanos(12_000_000_000));
        assert!(matches!(dedup.claim(HASH, UnixNanos(12_000_000_000)), Claim::Stored(9)));
        assert!(matches!(dedup.claim(HASH, UnixNanos(22_000_000_000)), Claim::New));
    }
}

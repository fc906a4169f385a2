//! Which rounds are in the store: those with a request that no committed file covers, and those young enough that a retried request
//! must be recognised after a restart. They go from the oldest on.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Position;
use crate::object::Remote;
use crate::{Result, UnixNanos};

/// A round in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StoredRound {
    pub(super) at: Position,
    pub(super) bytes: u64,
    pub(super) last_seq: u64,
    /// When the youngest request in it was received.
    pub(super) newest_received: UnixNanos,
}

#[derive(Debug, Default)]
struct State {
    rounds: VecDeque<StoredRound>,
    watermark: u64,
}

/// The rounds in the store.
#[derive(Debug)]
pub(crate) struct StoredRounds {
    remote: Arc<Remote>,
    window: Duration,
    state: Mutex<State>,
}

impl StoredRounds {
    /// None yet; `window` is how long a request may be sent again.
    pub(crate) fn new(remote: Arc<Remote>, window: Duration) -> Self {
        Self { remote, window, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over what the start found, oldest first.
    pub(super) fn restore(&self, rounds: Vec<StoredRound>, watermark: u64) {
        let mut state = self.state();
        state.rounds = rounds.into();
        state.watermark = watermark;
    }

    /// A round was written.
    pub(super) fn add(&self, round: StoredRound) {
        self.state().rounds.push_back(round);
    }

    /// Bytes of all rounds.
    pub(crate) fn bytes(&self) -> u64 {
        self.state().rounds.iter().map(|round| round.bytes).fold(0, u64::saturating_add)
    }

    /// Requests up to this seq are in committed files.
    pub(crate) fn cover(&self, watermark: u64) {
        let mut state = self.state();
        state.watermark = state.watermark.max(watermark);
    }

    /// Whether a round may go.
    pub(crate) fn is_release_due(&self, now: UnixNanos) -> bool {
        self.next_released(now).is_some()
    }

    fn next_released(&self, now: UnixNanos) -> Option<StoredRound> {
        let state = self.state();
        let oldest = state.rounds.front().filter(|oldest| oldest.last_seq <= state.watermark)?;
        (now.since(oldest.newest_received) > self.window).then_some(*oldest)
    }

    /// Removes rounds that are covered and older than the window. Blocks on the store.
    ///
    /// # Errors
    /// [`crate::StorageError::Io`]; the round stays known and is tried again.
    pub(crate) fn release(&self, now: UnixNanos) -> Result<()> {
        while let Some(oldest) = self.next_released(now) {
            self.remote.remove(&oldest.at.name())?;
            self.state().rounds.pop_front_if(|first| *first == oldest);
        }
        Ok(())
    }
}

//! [`Slots`]: how many questions run at once, and how many wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{QueryError, Result};

/// Runs a bounded number of questions and lets a bounded number wait for a bounded time.
#[derive(Debug)]
pub(crate) struct Slots {
    free: Arc<Semaphore>,
    limit: usize,
    waiting: Arc<AtomicUsize>,
    waiting_max: usize,
    wait_max: Duration,
}

/// The right to run. Dropping it lets the next question in.
#[derive(Debug)]
pub(crate) struct Slot {
    _permit: OwnedSemaphorePermit,
}

impl Slots {
    /// `limit` run, `waiting_max` wait up to `wait_max`.
    pub(crate) fn new(limit: usize, waiting_max: usize, wait_max: Duration) -> Self {
        let limit = limit.clamp(1, Semaphore::MAX_PERMITS);
        Self { free: Arc::new(Semaphore::new(limit)), limit, waiting: Arc::default(), waiting_max, wait_max }
    }

    /// A slot, at once or after a wait.
    ///
    /// # Errors
    /// [`QueryError::Overloaded`] when too many wait already or the wait was too long.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the queue.
    pub(crate) async fn take(&self) -> Result<Slot> {
        if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
            return Ok(Slot { _permit: permit });
        }
        let place = Place::take(&self.waiting);
        if place.number > self.waiting_max {
            return Err(self.overloaded());
        }
        let turn = tokio::time::timeout(self.wait_max, Arc::clone(&self.free).acquire_owned()).await;
        match turn {
            Ok(Ok(permit)) => Ok(Slot { _permit: permit }),
            Ok(Err(_)) | Err(_) => Err(self.overloaded()),
        }
    }

    /// How many run now.
    pub(crate) fn running(&self) -> usize {
        self.limit.saturating_sub(self.free.available_permits())
    }

    /// How many may run.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    fn overloaded(&self) -> QueryError {
        let waiting = self.waiting.load(Ordering::Relaxed).min(self.waiting_max);
        QueryError::Overloaded { running: self.running(), waiting }
    }
}

/// A place in the queue; given up when dropped.
struct Place {
    waiting: Arc<AtomicUsize>,
    number: usize,
}

impl Place {
    fn take(waiting: &Arc<AtomicUsize>) -> Self {
        let number = waiting.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        Self { waiting: Arc::clone(waiting), number }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: one slot, one place in the queue; the slot is taken, the place too, and one more asks.
    /// Guarantees: the third is refused at once; the second runs when the first is done.
    #[tokio::test]
    async fn the_queue_is_bounded() {
        let slots = Arc::new(Slots::new(1, 1, Duration::from_secs(10)));
        let first = slots.take().await.unwrap();
        let waiting = Arc::clone(&slots);
        let second = tokio::spawn(async move { waiting.take().await });
        while slots.waiting.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(slots.take().await, Err(QueryError::Overloaded { running: 1, waiting: 1 })));
        drop(first);
        assert!(second.await.unwrap().is_ok());
    }

    /// Scenario: the slot stays taken for longer than a question waits.
    /// Guarantees: the question is refused as overloaded and leaves the queue.
    #[tokio::test]
    async fn waiting_ends() {
        let slots = Slots::new(1, 4, Duration::from_millis(1));
        let _held = slots.take().await.unwrap();
        assert!(matches!(slots.take().await, Err(QueryError::Overloaded { .. })));
        assert_eq!(slots.waiting.load(Ordering::Relaxed), 0);
    }
}

//! The byte budget of all requests in work: taken as a body comes in, before it is inflated, and given back once it is answered.
//!
//! A body that says how long it is must find room for all of it before it is read, and holds no more than what came: whoever
//! announces much and sends nothing takes nothing from the others.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The budget.
#[derive(Debug)]
pub(crate) struct Admission {
    bytes: Arc<Semaphore>,
    bytes_max: usize,
    wait: Duration,
}

impl Admission {
    pub(crate) fn new(bytes_max: usize, wait: Duration) -> Self {
        Self { bytes: Arc::new(Semaphore::new(bytes_max.min(Semaphore::MAX_PERMITS))), bytes_max, wait }
    }

    /// An empty share, to be grown.
    pub(crate) fn share(self: &Arc<Self>) -> Share {
        Share { admission: Arc::clone(self), permit: None, unused: 0 }
    }

    async fn acquire(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let permits = u32::try_from(bytes).ok()?;
        let acquire = Arc::clone(&self.bytes).acquire_many_owned(permits);
        tokio::time::timeout(self.wait, acquire).await.ok()?.ok()
    }

    /// Bytes taken now.
    pub(crate) fn inflight_bytes(&self) -> usize {
        self.bytes_max.saturating_sub(self.bytes.available_permits())
    }
}

/// What one request holds of the budget; given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    admission: Arc<Admission>,
    permit: Option<OwnedSemaphorePermit>,
    /// Taken ahead and not spent yet.
    unused: usize,
}

impl Share {
    /// Whether there is room for `bytes` more, after waiting for others to finish if need be. Takes nothing.
    pub(crate) async fn finds_room(&self, bytes: usize) -> bool {
        let missing = bytes.saturating_sub(self.unused);
        missing == 0 || self.admission.acquire(missing).await.is_some()
    }

    /// Takes `bytes` ahead of their use, waiting for others to finish if need be; false when the wait was in vain.
    pub(crate) async fn prepare(&mut self, bytes: usize) -> bool {
        let missing = bytes.saturating_sub(self.unused);
        if missing == 0 {
            return true;
        }
        let Some(permit) = self.admission.acquire(missing).await else { return false };
        self.add(permit, missing);
        true
    }

    /// Spends `bytes`, waiting for others to finish if need be; false when the wait was in vain.
    pub(crate) async fn spend(&mut self, bytes: usize) -> bool {
        self.try_spend(bytes) || self.prepare(bytes).await && self.try_spend(bytes)
    }

    /// Spends `bytes` without waiting.
    pub(crate) fn try_spend(&mut self, bytes: usize) -> bool {
        let missing = bytes.saturating_sub(self.unused);
        let Ok(permits) = u32::try_from(missing) else { return false };
        if permits > 0 {
            match Arc::clone(&self.admission.bytes).try_acquire_many_owned(permits) {
                Ok(permit) => self.add(permit, missing),
                Err(_) => return false,
            }
        }
        self.unused = self.unused.saturating_sub(bytes);
        true
    }

    /// What it could still spend if there were no other request: more can never be had.
    pub(crate) fn most(&self) -> usize {
        let taken = self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        self.admission.bytes_max.saturating_sub(taken.saturating_sub(self.unused))
    }

    fn add(&mut self, permit: OwnedSemaphorePermit, bytes: usize) {
        self.unused = self.unused.saturating_add(bytes);
        match &mut self.permit {
            Some(held) => held.merge(permit),
            None => self.permit = Some(permit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: one request holds most of the budget; another asks for more than is left, then the first ends.
    /// Guarantees: the second is refused while it must, admitted after, and all bytes come back.
    #[tokio::test]
    async fn budget_is_exact() {
        let admission = Arc::new(Admission::new(100, Duration::from_millis(100)));
        let (mut first, mut second) = (admission.share(), admission.share());
        assert!(first.prepare(60).await && first.prepare(80).await && first.try_spend(80));
        assert_eq!(admission.inflight_bytes(), 80);
        assert!(!second.finds_room(21).await && !second.prepare(21).await && !second.try_spend(21));
        assert_eq!((first.most(), second.most()), (20, 100));
        assert!(second.finds_room(20).await);
        assert_eq!(admission.inflight_bytes(), 80, "looking takes nothing");
        assert!(second.try_spend(20) && !second.spend(1).await);
        drop(first);
        assert!(second.spend(50).await && second.prepare(30).await);
        assert_eq!(admission.inflight_bytes(), 100);
        drop(second);
        assert_eq!(admission.inflight_bytes(), 0);
    }
}

//! The byte budget of all requests in work, and who may come in: decided by a request's header alone, before its body is read.
//!
//! A request that comes in has set aside what it will probably take, so that what was begun is finished and not refused half-way. The
//! promise lasts as long as its body keeps coming; whoever announces much and sends nothing soon holds no more than what came.

mod fullness;
mod gate;
mod pace;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use gate::{Gate, Wanted};

/// Why a request does not come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The byte budget is taken.
    Budget,
    /// The store's buffer is nearly full.
    Store,
    /// Its address has its share already.
    Share,
}

/// A request that does not come in, and when to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Denied {
    pub(crate) reason: Reason,
    pub(crate) pause: Duration,
}

/// Bytes in the store's buffer, and the most there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Buffered {
    pub(crate) bytes: u64,
    pub(crate) bytes_max: u64,
}

/// The budget.
#[derive(Debug)]
pub(crate) struct Admission {
    bytes: Arc<Semaphore>,
    bytes_max: usize,
    wait: Duration,
    gate: Gate,
}

impl Admission {
    /// `seed` spreads the pauses that clients are told.
    pub(crate) fn new(bytes_max: usize, wait: Duration, seed: u64) -> Self {
        let bytes_max = bytes_max.min(Semaphore::MAX_PERMITS);
        let gate = Gate::new(bytes_max, seed, Instant::now());
        Self { bytes: Arc::new(Semaphore::new(bytes_max)), bytes_max, wait, gate }
    }

    /// Lets a request of `peer` in that will probably take `cost` bytes, or tells when it should try again. Never waits.
    pub(crate) fn enter(self: &Arc<Self>, peer: IpAddr, cost: usize, buffered: Buffered) -> Result<Share, Denied> {
        let cost = cost.min(self.bytes_max);
        let wanted = Wanted { peer, cost, taken: self.inflight_bytes(), buffered };
        let (permit, held) = self.gate.enter(wanted, Instant::now(), || self.take(cost))?;
        let mut share = Share { admission: Arc::clone(self), held, permit: None, unused: 0, served: false };
        share.add(permit, cost);
        Ok(share)
    }

    /// Takes bytes if they are there.
    fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.bytes).try_acquire_many_owned(u32::try_from(bytes).ok()?).ok()
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
    /// What its address holds in all.
    held: Arc<AtomicUsize>,
    permit: Option<OwnedSemaphorePermit>,
    /// Taken ahead and not spent yet.
    unused: usize,
    served: bool,
}

impl Share {
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

    /// Has `bytes` ahead and no more, waiting for others to finish if need be; false when the wait was in vain.
    pub(crate) async fn set_aside(&mut self, bytes: usize) -> bool {
        let bytes = bytes.min(self.most());
        self.give_back(self.unused.saturating_sub(bytes));
        self.prepare(bytes).await
    }

    /// Spends `bytes`, waiting for others to finish if need be; false when the wait was in vain.
    pub(crate) async fn spend(&mut self, bytes: usize) -> bool {
        self.try_spend(bytes) || self.prepare(bytes).await && self.try_spend(bytes)
    }

    /// Spends `bytes` without waiting.
    pub(crate) fn try_spend(&mut self, bytes: usize) -> bool {
        if !self.take_now(bytes) {
            return false;
        }
        self.unused = self.unused.saturating_sub(bytes);
        true
    }

    /// Gives back what was taken ahead and is not spent.
    pub(crate) fn give_back_unused(&mut self) {
        self.give_back(self.unused);
    }

    fn give_back(&mut self, bytes: usize) {
        self.unused = self.unused.saturating_sub(bytes);
        self.held.fetch_sub(bytes, Ordering::Relaxed);
        drop(self.permit.as_mut().and_then(|permit| permit.split(bytes)));
    }

    /// What it could still spend if there were no other request: more can never be had.
    pub(crate) fn most(&self) -> usize {
        self.admission.bytes_max.saturating_sub(self.taken().saturating_sub(self.unused))
    }

    /// The request is done; what it took tells how fast requests are served.
    pub(crate) fn finish(mut self) {
        self.served = true;
    }

    fn taken(&self) -> usize {
        self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }

    /// Has `bytes` ahead, without waiting.
    fn take_now(&mut self, bytes: usize) -> bool {
        let missing = bytes.saturating_sub(self.unused);
        if missing > 0 {
            let Some(permit) = self.admission.take(missing) else { return false };
            self.add(permit, missing);
        }
        true
    }

    fn add(&mut self, permit: OwnedSemaphorePermit, bytes: usize) {
        self.unused = self.unused.saturating_add(bytes);
        self.held.fetch_add(bytes, Ordering::Relaxed);
        match &mut self.permit {
            Some(held) => held.merge(permit),
            None => self.permit = Some(permit),
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let taken = self.taken();
        self.held.fetch_sub(taken, Ordering::Relaxed);
        self.admission.gate.leave(self.served.then_some(taken), Instant::now());
    }
}

#[cfg(test)]
mod tests;

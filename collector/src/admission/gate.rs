//! Who may come in now: everybody while there is plenty of room, those below their share while it is short, nobody while the store's
//! buffer is full.
//!
//! An address is a peer: one that sends a hundred times as much as others cannot take their place. Half of the budget (of a quarter of
//! it while the store has much to write) is open to all. Of the rest an address may hold what makes at most a budget by the number of
//! addresses that are active; and while the store's buffer is nearly full, those come in that sent less than that part of late.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::fullness::{Fullness, Room};
use super::pace::{Rate, Turns};
use super::{Buffered, Denied, Reason};

/// Addresses that are told apart; those beyond share one entry.
const PEERS_MAX: usize = 4096;
/// An address that asked for something within this time counts as active.
const ACTIVE: Duration = Duration::from_secs(5);
/// One that did not for so long is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(60);
/// How often active addresses are counted.
const COUNTED_EVERY: Duration = Duration::from_millis(100);
/// Half of what an address is known to have sent is this old.
const HALF_LIFE_SECONDS: f64 = 5.0;

/// While the store has much to write, a quarter of the budget is queue enough: more would only take the room of what is to come.
const QUEUE_PART: usize = 4;

/// A number that halves with time.
#[derive(Debug, Clone, Copy)]
struct Recent {
    amount: f64,
    since: Instant,
}

impl Recent {
    fn add(&mut self, amount: f64, now: Instant) {
        self.amount = self.at(now) + amount;
        self.since = now;
    }

    fn at(&self, now: Instant) -> f64 {
        self.amount * (-now.saturating_duration_since(self.since).as_secs_f64() / HALF_LIFE_SECONDS).exp2()
    }
}

#[derive(Debug)]
struct Peer {
    /// Bytes of the budget that its requests hold.
    held: Arc<AtomicUsize>,
    /// Bytes that came in.
    sent: Recent,
    turns: Turns,
    seen: Instant,
}

impl Peer {
    fn new(now: Instant) -> Self {
        let sent = Recent { amount: 0.0, since: now };
        Self { held: Arc::default(), sent, turns: Turns::new(now), seen: now }
    }

    fn is_held(&self) -> bool {
        self.held.load(Ordering::Relaxed) > 0
    }

    fn is_active(&self, now: Instant) -> bool {
        self.is_held() || self.seen_within(ACTIVE, now)
    }

    fn seen_within(&self, time: Duration, now: Instant) -> bool {
        now.saturating_duration_since(self.seen) < time
    }
}

#[derive(Debug)]
struct State {
    peers: HashMap<IpAddr, Peer>,
    sent: Recent,
    active: usize,
    counted: Instant,
    fullness: Fullness,
    rate: Rate,
    /// Requests that are in.
    working: usize,
    random: u64,
}

/// A request that wants to come in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) peer: IpAddr,
    /// What it will probably take.
    pub(super) cost: usize,
    /// Bytes of the budget that are taken.
    pub(super) taken: usize,
    pub(super) buffered: Buffered,
}

/// The gate.
#[derive(Debug)]
pub(super) struct Gate {
    bytes_max: usize,
    state: Mutex<State>,
}

impl Gate {
    /// `seed` spreads the pauses that clients are told.
    pub(super) fn new(bytes_max: usize, seed: u64, now: Instant) -> Self {
        let state = State {
            peers: HashMap::new(),
            sent: Recent { amount: 0.0, since: now },
            active: 0,
            counted: now,
            fullness: Fullness::default(),
            rate: Rate::new(now),
            working: 0,
            random: seed,
        };
        Self { bytes_max, state: Mutex::new(state) }
    }

    /// Lets a request in if it may and `take` finds room; gives what was taken, and the count of what its address holds.
    pub(super) fn enter<T>(
        &self,
        mut wanted: Wanted,
        now: Instant,
        take: impl FnOnce() -> Option<T>,
    ) -> Result<(T, Arc<AtomicUsize>), Denied> {
        let mut state = self.state();
        wanted.peer = state.see(wanted.peer, now);
        let taken = match state.refuses(&wanted, self.bytes_max, now) {
            Some(reason) => Err(reason),
            None => take().ok_or(Reason::Budget),
        };
        let taken = taken.map_err(|reason| Denied { reason, pause: state.pause(&wanted, now) })?;
        Ok((taken, state.enters(&wanted, now)))
    }

    /// A request leaves that came in; with what it took if it was served.
    pub(super) fn leave(&self, served: Option<usize>, now: Instant) {
        let mut state = self.state();
        let at_work = state.working > 0;
        state.rate.pass(at_work, now);
        state.working = state.working.saturating_sub(1);
        state.rate.served(served.unwrap_or(0));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Notes that an address asks; the key of its entry, which is there then.
    fn see(&mut self, peer: IpAddr, now: Instant) -> IpAddr {
        let mut key = network(peer);
        if self.peers.len() >= PEERS_MAX && !self.peers.contains_key(&key) {
            self.peers.retain(|_, peer| peer.is_held() || peer.seen_within(FORGOTTEN, now));
            if self.peers.len() >= PEERS_MAX {
                key = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
            }
        }
        let known = self.peers.get(&key).is_some_and(|peer| peer.is_active(now));
        self.peers.entry(key).or_insert_with(|| Peer::new(now)).seen = now;
        if now.saturating_duration_since(self.counted) >= COUNTED_EVERY {
            self.counted = now;
            self.active = self.peers.values().filter(|peer| peer.is_active(now)).count();
        } else if !known {
            self.active = self.active.saturating_add(1);
        }
        key
    }

    fn refuses(&mut self, wanted: &Wanted, bytes_max: usize, now: Instant) -> Option<Reason> {
        // What is on its way to the buffer: of what a request takes its columns are half, see `likely_columns`.
        let coming = u64::try_from(wanted.taken / 2).unwrap_or(u64::MAX);
        let room = self.fullness.look(wanted.buffered, coming);
        if room == Room::Nobody {
            return Some(Reason::Store);
        }
        let open = if Fullness::has_much(wanted.buffered) { bytes_max / QUEUE_PART } else { bytes_max };
        if wanted.taken.saturating_add(wanted.cost) > bytes_max || wanted.taken >= open {
            return Some(Reason::Budget);
        }
        let active = self.active.max(1);
        let peer = self.peers.get(&wanted.peer)?;
        let held = peer.held.load(Ordering::Relaxed);
        let above = active > 1 && held > 0 && held.saturating_add(wanted.cost) > open / active;
        if above && wanted.taken.saturating_add(wanted.cost) > open / 2 {
            return Some(Reason::Share);
        }
        let sent_much = active > 1 && peer.sent.at(now) * as_f64(active) > self.sent.at(now);
        (room == Room::Few && sent_much).then_some(Reason::Share)
    }

    fn enters(&mut self, wanted: &Wanted, now: Instant) -> Arc<AtomicUsize> {
        let at_work = self.working > 0;
        self.rate.pass(at_work, now);
        self.working = self.working.saturating_add(1);
        self.sent.add(as_f64(wanted.cost), now);
        let peer = self.peers.entry(wanted.peer).or_insert_with(|| Peer::new(now));
        if !at_work {
            peer.turns.clear(now);
        }
        peer.sent.add(as_f64(wanted.cost), now);
        Arc::clone(&peer.held)
    }

    fn pause(&mut self, wanted: &Wanted, now: Instant) -> Duration {
        let at_work = self.working > 0;
        self.rate.pass(at_work, now);
        let jitter = self.jitter();
        let peer = self.peers.entry(wanted.peer).or_insert_with(|| Peer::new(now));
        peer.turns.next(wanted.cost, &self.rate, self.active, jitter, now)
    }

    /// The next of an even spread over 0 to 1: a step of the golden ratio.
    fn jitter(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        f64::from(u32::try_from(self.random >> 32).unwrap_or(0)) / f64::from(u32::MAX)
    }
}

/// Who counts as one: an address, or of IPv6 the network that one subscriber has.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address @ IpAddr::V4(_) => address,
    }
}

#[expect(clippy::cast_precision_loss, reason = "bytes of a budget, for a comparison of shares")]
fn as_f64(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests;

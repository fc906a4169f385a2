//! Who comes in, by addresses of one server that has a budget of 1,000 bytes.

use super::*;

const BYTES_MAX: usize = 1000;

fn peer(number: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, number])
}

/// A gate, and what its requests hold.
struct Budget {
    gate: Gate,
    now: Instant,
    taken: usize,
    buffered: u64,
}

impl Budget {
    fn new() -> Self {
        let now = Instant::now();
        Self { gate: Gate::new(BYTES_MAX, 0, now), now, taken: 0, buffered: 0 }
    }

    fn enter(&mut self, number: u8, cost: usize) -> Result<Arc<AtomicUsize>, Reason> {
        let buffered = Buffered { bytes: self.buffered, bytes_max: 1_000_000 };
        let wanted = Wanted { peer: peer(number), cost, taken: self.taken, buffered };
        let entered = self.gate.enter(wanted, self.now, || Some(()));
        let held = entered.map_err(|denied| denied.reason)?.1;
        held.fetch_add(cost, Ordering::Relaxed);
        self.taken += cost;
        Ok(held)
    }

    fn leave(&mut self, held: &AtomicUsize, cost: usize) {
        held.fetch_sub(cost, Ordering::Relaxed);
        self.taken -= cost;
        self.gate.leave(Some(cost), self.now);
    }
}

/// Scenario: one address asks for a hundred times as much as three others, which come later and now and then; requests end in the order
/// in which they came in. In the end it is alone again.
/// Guarantees: alone it may have all; beside the others it holds no more than half or its part, and none of them is ever refused.
#[test]
fn one_that_sends_much_leaves_room_for_others() {
    let mut budget = Budget::new();
    let mut work = std::collections::VecDeque::new();
    while let Ok(held) = budget.enter(1, 10) {
        work.push_back(held);
    }
    assert_eq!(budget.taken, BYTES_MAX);
    for _ in 0..50 {
        let held = work.pop_front().unwrap();
        budget.leave(&held, 10);
    }
    for round in 0..300 {
        for number in 2..=4 {
            let entered = budget.enter(number, 10);
            work.push_back(entered.unwrap_or_else(|reason| panic!("{number} in round {round}: {reason:?}")));
        }
        for _ in 0..100 {
            if let Ok(held) = budget.enter(1, 10) {
                work.push_back(held);
            }
        }
        assert!(budget.taken <= BYTES_MAX / 2 + 30, "{}", budget.taken);
        for _ in 0..20 {
            let held = work.pop_front().unwrap();
            budget.leave(&held, 10);
        }
        budget.now = budget.now.checked_add(Duration::from_millis(10)).unwrap();
    }
    assert_eq!(budget.enter(1, 600).unwrap_err(), Reason::Share);
    budget.now = budget.now.checked_add(ACTIVE).unwrap();
    while let Some(held) = work.pop_front() {
        budget.leave(&held, 10);
    }
    let held = budget.enter(1, 600).unwrap();
    assert!(budget.enter(1, 400).is_ok(), "alone again");
    drop(held);
}

/// Scenario: the store's buffer is nearly full, with two addresses of which one sent ten times as much, and fuller; then there is one
/// address alone.
/// Guarantees: nearly full, only the one that sent less comes in; fuller, nobody; alone, an address is not held back for its own sake.
#[test]
fn a_full_store_takes_from_those_who_sent_less() {
    let mut budget = Budget::new();
    for number in [1; 10].into_iter().chain([2]) {
        let held = budget.enter(number, 10).unwrap();
        budget.leave(&held, 10);
    }
    budget.buffered = 850_000;
    assert_eq!(budget.enter(1, 10).unwrap_err(), Reason::Share);
    let held = budget.enter(2, 10).unwrap();
    budget.leave(&held, 10);
    budget.buffered = 890_000;
    assert_eq!(budget.enter(2, 10).unwrap_err(), Reason::Store);

    let mut budget = Budget::new();
    budget.buffered = 850_000;
    for _ in 0..100 {
        let held = budget.enter(1, 10).unwrap();
        budget.leave(&held, 10);
    }
}

/// Scenario: requests that come until one is refused, with an empty store and with one that has much to write; then a large one.
/// Guarantees: the second takes a quarter of the budget; the large one comes in all the same while that quarter is not taken.
#[test]
fn a_busy_store_has_a_short_queue() {
    let mut budget = Budget::new();
    while budget.enter(1, 10).is_ok() {}
    assert_eq!(budget.taken, BYTES_MAX);
    let mut budget = Budget::new();
    budget.buffered = 400_000;
    while budget.taken < BYTES_MAX / 4 - 10 {
        budget.enter(1, 10).unwrap();
    }
    budget.enter(1, 700).unwrap();
    assert_eq!(budget.enter(1, 10).unwrap_err(), Reason::Budget);
}

/// Scenario: addresses of IPv4 as such and within IPv6, and two of one network of IPv6; then more addresses than are told apart.
/// Guarantees: who is one counts as one; there is an end to what is kept, and nobody is refused for it.
#[test]
fn addresses_are_kept_within_bounds() {
    let parse = |text: &str| network(text.parse().unwrap());
    assert_eq!(parse("10.0.0.1"), parse("::ffff:10.0.0.1"));
    assert_eq!(parse("2001:db8::1"), parse("2001:db8::ffff:1"));
    assert_ne!(parse("2001:db8:0:1::1"), parse("2001:db8:0:2::1"));
    let mut budget = Budget::new();
    for number in 0..10_000_u32 {
        let buffered = Buffered { bytes: 0, bytes_max: 1_000_000 };
        let wanted = Wanted { peer: IpAddr::from(number.to_be_bytes()), cost: 0, taken: 0, buffered };
        budget.gate.enter(wanted, budget.now, || Some(())).unwrap();
    }
    assert_eq!(budget.gate.state().peers.len(), PEERS_MAX + 1);
    budget.now = budget.now.checked_add(FORGOTTEN).unwrap();
    budget.enter(7, 1).unwrap();
    assert!(budget.gate.state().peers.len() < 3);
}

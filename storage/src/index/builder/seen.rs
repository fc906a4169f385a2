//! Which terms the current block has already.

use crate::index::term::Term;

/// Slots at first; as many as the terms of a usual block of 4,096 rows want.
const SLOTS: usize = 1 << 15;

/// A set of terms that is emptied for each block. Slots are picked by a random multiplier, so that no client can
/// choose values that all meet in one.
#[derive(Debug)]
pub(super) struct Seen {
    /// A term and one, or zero.
    slots: Vec<u32>,
    count: usize,
    multiplier: u64,
}

impl Default for Seen {
    fn default() -> Self {
        Self { slots: vec![0; SLOTS], count: 0, multiplier: rand::random::<u64>() | 1 }
    }
}

impl Seen {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Adds a term; whether it is new.
    pub(super) fn insert(&mut self, term: Term) -> bool {
        if self.count * 2 >= self.slots.len() {
            self.grow();
        }
        let is_new = self.place(term.0 + 1);
        self.count += usize::from(is_new);
        is_new
    }

    fn place(&mut self, stored: u32) -> bool {
        let mask = self.slots.len() - 1;
        let shift = 64 - self.slots.len().trailing_zeros();
        let mut at = usize::try_from(u64::from(stored).wrapping_mul(self.multiplier) >> shift).unwrap_or(0);
        loop {
            match self.slots.get_mut(at) {
                Some(slot) if *slot == stored => return false,
                Some(slot) if *slot == 0 => {
                    *slot = stored;
                    return true;
                }
                _ => at = (at + 1) & mask,
            }
        }
    }

    fn grow(&mut self) {
        let twice = self.slots.len() * 2;
        let old = std::mem::replace(&mut self.slots, vec![0; twice]);
        for stored in old.into_iter().filter(|stored| *stored != 0) {
            self.place(stored);
        }
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        if self.slots.len() > SLOTS {
            self.slots = vec![0; SLOTS];
        } else {
            self.slots.fill(0);
        }
        self.count = 0;
    }
}

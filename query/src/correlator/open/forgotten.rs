//! [`Forgotten`]: which traces were held before, in twenty bits each.
//!
//! A filter per stretch of time: it never forgets an id while it is kept. Once all filters are full it takes one in a hundred ids that it
//! never had for known; that costs a look into the store, which finds nothing, and changes no result.

use std::collections::VecDeque;
use std::time::Duration;

use daytwo_storage::{TraceId, UnixNanos};

/// Filters at most; each is for a part of the time that ids are kept.
const GENERATIONS: u32 = 16;
/// Bits of a filter for each id.
const BITS_PER_ID: usize = 20;
/// Bits set for each id: slices of nine bits of a hash say which.
const PROBES: u32 = 7;
/// Words that the bits of one id lie in: one line of the processor's cache.
const BLOCK_WORDS: usize = 8;
/// Bits of such a block.
const BLOCK_BITS: u64 = 512;

#[derive(Debug)]
struct Generation {
    words: Vec<u64>,
    ids: usize,
    first: UnixNanos,
    last: UnixNanos,
}

/// Ids of traces that are no longer held.
#[derive(Debug)]
pub(super) struct Forgotten {
    generations: VecDeque<Generation>,
    ids_max: usize,
    kept: Duration,
    /// Ids that went before their time because there were too many.
    pub(super) dropped: u64,
}

impl Forgotten {
    /// Room for so many ids, which are kept for so long.
    pub(super) fn new(ids_max: usize, kept: Duration) -> Self {
        let ids_max = ids_max.div_ceil(GENERATIONS as usize).max(1);
        Self { generations: VecDeque::new(), ids_max, kept, dropped: 0 }
    }

    /// Notes an id.
    pub(super) fn insert(&mut self, id: TraceId, now: UnixNanos) {
        let width = self.kept / GENERATIONS;
        let fits = |newest: &Generation| newest.ids < self.ids_max && now.since(newest.first) < width;
        if !self.generations.back().is_some_and(fits) {
            self.begin(now);
        }
        let Some(newest) = self.generations.back_mut() else { return };
        newest.ids = newest.ids.saturating_add(1);
        newest.last = newest.last.max(now);
        let (block, bits) = place_of(id, newest.words.len());
        for bit in bits {
            if let Some(word) = newest.words.get_mut(block.saturating_add(word_of(bit))) {
                *word |= 1 << (bit % 64);
            }
        }
    }

    fn begin(&mut self, now: UnixNanos) {
        let oldest = now.saturating_sub(self.kept);
        while self.generations.front().is_some_and(|front| front.last < oldest) {
            self.generations.pop_front();
        }
        if self.generations.len() > GENERATIONS as usize
            && let Some(front) = self.generations.pop_front()
        {
            self.dropped = self.dropped.saturating_add(front.ids as u64);
        }
        let blocks = self.ids_max.saturating_mul(BITS_PER_ID).div_ceil(BLOCK_WORDS * 64);
        let words = vec![0; blocks.saturating_mul(BLOCK_WORDS)];
        self.generations.push_back(Generation { words, ids: 0, first: now, last: now });
    }

    /// Whether the id may have been noted; `false` is certain as long as it is kept.
    pub(super) fn may_hold(&self, id: TraceId) -> bool {
        self.generations.iter().any(|generation| {
            let (block, mut bits) = place_of(id, generation.words.len());
            let is_set = |bit: u64| {
                let word = generation.words.get(block.saturating_add(word_of(bit)));
                word.is_some_and(|word| word & (1 << (bit % 64)) != 0)
            };
            bits.all(is_set)
        })
    }
}

fn word_of(bit: u64) -> usize {
    usize::try_from(bit / 64).unwrap_or(0)
}

/// The first word of an id's block, and its bits within the block.
fn place_of(id: TraceId, words: usize) -> (usize, impl Iterator<Item = u64>) {
    let (high, low) = id.as_bytes().split_at(8);
    let half = |bytes: &[u8]| bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let mixed = scrambled(half(high) ^ scrambled(half(low)));
    let blocks = (words / BLOCK_WORDS).max(1) as u64;
    let block = usize::try_from(mixed % blocks).unwrap_or(0).saturating_mul(BLOCK_WORDS);
    let slices = scrambled(mixed);
    (block, (0..PROBES).map(move |probe| (slices >> (9 * probe)) % BLOCK_BITS))
}

/// The finalizer of MurmurHash3: every bit of the number moves half of the others.
fn scrambled(mut number: u64) -> u64 {
    number ^= number >> 33;
    number = number.wrapping_mul(0xff51_afd7_ed55_8ccd);
    number ^= number >> 33;
    number = number.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    number ^ (number >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> TraceId {
        TraceId::from_bytes(&[number.to_be_bytes(), 7_u64.to_be_bytes()].concat()).unwrap()
    }

    const SECOND: i64 = 1_000_000_000;

    /// Scenario: as many ids as there is room for, over the time that they are kept; as many others asked for.
    /// Guarantees: each is known, fewer than one in 100 of the others is; once the time is over they are gone.
    #[test]
    fn what_was_noted_is_known_for_its_time() {
        let mut forgotten = Forgotten::new(64_000, Duration::from_secs(3_200));
        let at = |number: u64| UnixNanos(i64::try_from(number).unwrap() * SECOND / 20);
        (0..64_000).for_each(|number| forgotten.insert(id(number), at(number)));
        assert!((0..64_000).all(|number| forgotten.may_hold(id(number))));
        assert_eq!(forgotten.dropped, 0);
        let wrong = (1_000_000..1_064_000).filter(|number| forgotten.may_hold(id(*number))).count();
        assert!(wrong < 640, "{wrong}");
        forgotten.insert(id(2_000_000), UnixNanos(10_000 * SECOND));
        assert!((0..64_000).filter(|number| forgotten.may_hold(id(*number))).count() < 20);
        assert!(forgotten.may_hold(id(2_000_000)));
    }

    /// Scenario: three times as many ids in a moment as there is room for.
    /// Guarantees: the oldest go, are counted, and memory does not grow; the newest are known.
    #[test]
    fn more_than_there_is_room_for_lets_the_oldest_go() {
        let mut forgotten = Forgotten::new(1_600, Duration::from_secs(3_200));
        (0..4_800).for_each(|number| forgotten.insert(id(number), UnixNanos(0)));
        assert!(forgotten.generations.len() <= 17, "{}", forgotten.generations.len());
        assert!(forgotten.dropped >= 3_000, "{}", forgotten.dropped);
        assert!((3_300..4_800).all(|number| forgotten.may_hold(id(number))));
    }
}

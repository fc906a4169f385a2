//! A split-block Bloom filter over trace keys: whether a file can have spans of a trace, in one cache line.

/// 12 bits a key: one file in about 200 is looked at in vain, at 0.1 bytes a span.
const BITS_PER_KEY: usize = 12;
/// Words of a block.
const WORDS: usize = 8;
/// Odd numbers that pick a bit in each word.
const SALTS: [u32; WORDS] =
    [0x47b6_137b, 0x4497_4d91, 0x8824_ad5b, 0xa2b7_289d, 0x7054_95c7, 0x2df1_424b, 0x9efc_4947, 0x5c6b_fb31];

/// The filter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Filter {
    blocks: Vec<[u32; WORDS]>,
}

impl Filter {
    /// A filter for `keys` keys.
    pub(super) fn for_keys(keys: usize) -> Self {
        let blocks = keys.saturating_mul(BITS_PER_KEY).div_ceil(WORDS * 32).max(1);
        Self { blocks: vec![[0; WORDS]; blocks] }
    }

    /// Adds a key.
    pub(super) fn add(&mut self, key: u64) {
        let (block, bits) = place(key, self.blocks.len());
        if let Some(block) = self.blocks.get_mut(block) {
            block.iter_mut().zip(bits).for_each(|(word, bit)| *word |= bit);
        }
    }

    /// Whether the key may have been added; `false` is certain.
    pub(super) fn may_hold(&self, key: u64) -> bool {
        let (block, bits) = place(key, self.blocks.len());
        self.blocks.get(block).is_some_and(|block| block.iter().zip(bits).all(|(word, bit)| word & bit != 0))
    }

    /// Bytes of memory.
    pub(super) fn memory_bytes(&self) -> usize {
        self.blocks.len() * size_of::<[u32; WORDS]>()
    }

    /// As bytes.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        self.blocks.iter().flatten().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// From bytes; `None` when they are no whole number of blocks.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (words, rest) = bytes.as_chunks::<4>();
        let (blocks, odd) = words.as_chunks::<WORDS>();
        let block = |words: &[[u8; 4]; WORDS]| words.map(u32::from_le_bytes);
        (rest.is_empty() && odd.is_empty()).then(|| Self { blocks: blocks.iter().map(block).collect() })
    }
}

fn place(key: u64, blocks: usize) -> (usize, [u32; WORDS]) {
    // A trace key has 40 bits: spread them over all 64 first.
    let mixed = key.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let (high, low) = (mixed >> 32, (mixed & 0xFFFF_FFFF) ^ (key & 0xFFFF_FFFF));
    let block = (high * blocks as u64) >> 32;
    let low = u32::try_from(low).unwrap_or(0);
    (usize::try_from(block).unwrap_or(0), SALTS.map(|salt| 1 << (low.wrapping_mul(salt) >> 27)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: ten thousand keys, and a hundred thousand others.
    /// Guarantees: every key is found, before and after the way through bytes; of the others at most one in a hundred.
    #[test]
    fn keys_are_found_and_few_others() {
        let key = |n: u64| xxhash_rust::xxh3::xxh3_64(&n.to_le_bytes()) >> 24;
        let mut filter = Filter::for_keys(10_000);
        (0..10_000).for_each(|n| filter.add(key(n)));
        let filter = Filter::from_bytes(&filter.to_bytes()).unwrap();
        assert!((0..10_000).all(|n| filter.may_hold(key(n))));
        let wrong = (10_000..110_000).filter(|&n| filter.may_hold(key(n))).count();
        assert!(wrong < 1_000, "{wrong} of 100,000");
        assert_eq!(Filter::from_bytes(&[0; 33]), None);
    }
}

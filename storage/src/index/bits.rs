//! Numbers in as few bits as they need: fixed width, Rice and Exp-Golomb codes over a byte string.
//!
//! What is read is untrusted only in the sense that our own checksum may have been made over nonsense: every read
//! ends with `None` at the end of the bytes, and no code asks for more than 64 bits.

/// A Rice code with this many ones says that the number follows in full.
const ESCAPE: u32 = 24;

/// Writes bits, lowest first.
#[derive(Debug, Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    pending: u64,
    used: u32,
}

impl BitWriter {
    /// Bytes written so far, a begun one included.
    pub(super) fn len(&self) -> usize {
        self.bytes.len().saturating_add(self.used.div_ceil(8) as usize)
    }

    /// The lowest `width` bits of `value`; `width` is at most 32.
    pub(super) fn put(&mut self, value: u64, width: u32) {
        debug_assert!(width <= 32 && self.used < 32, "a put fits beside what is pending");
        self.pending |= (value & low_mask(width)) << self.used;
        self.used += width;
        while self.used >= 32 {
            let [a, b, c, d, ..] = self.pending.to_le_bytes();
            self.bytes.extend_from_slice(&[a, b, c, d]);
            self.pending >>= 32;
            self.used -= 32;
        }
    }

    fn put_long(&mut self, value: u64, width: u32) {
        self.put(value, width.min(32));
        if width > 32 {
            self.put(value >> 32, width - 32);
        }
    }

    /// `value` by its quotient in ones and its lowest `k` bits: near the best for numbers that are about `2^k`.
    pub(super) fn rice(&mut self, value: u64, k: u32) {
        let quotient = value >> k;
        if quotient >= u64::from(ESCAPE) {
            self.put(low_mask(ESCAPE), ESCAPE);
            self.put_long(value, 64);
            return;
        }
        let ones = u32::try_from(quotient).unwrap_or(0);
        self.put(low_mask(ones), ones + 1);
        self.put_long(value, k);
    }

    /// `value` by its length in ones and its bits: small numbers are short, large ones are not long.
    pub(super) fn exp_golomb(&mut self, value: u32, k: u32) {
        let shifted = u64::from(value) + (1 << k);
        let bits = 63 - shifted.leading_zeros();
        self.put(low_mask(bits - k), bits - k + 1);
        self.put_long(shifted, bits);
    }

    /// The bytes, the last one filled up with zeros.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let left = self.used.div_ceil(8) as usize;
        let rest = self.pending.to_le_bytes();
        self.bytes.extend_from_slice(rest.get(..left).unwrap_or_default());
        self.bytes
    }
}

/// Reads what [`BitWriter`] wrote.
#[derive(Debug, Clone)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> BitReader<'a> {
    /// A reader from the first bit on.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// At least 57 bits from here on, zeros past the end.
    fn peek(&self) -> u64 {
        let byte = self.at / 8;
        let word = match self.bytes.get(byte..byte + 8) {
            Some(whole) => u64::from_le_bytes(whole.try_into().unwrap_or_default()),
            None => {
                let rest = self.bytes.get(byte..).unwrap_or_default();
                rest.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
            }
        };
        word >> (self.at % 8)
    }

    fn skip(&mut self, bits: u32) -> Option<()> {
        self.at += bits as usize;
        (self.at <= self.bytes.len() * 8).then_some(())
    }

    /// The next `width` bits; `width` is at most 32.
    pub(super) fn get(&mut self, width: u32) -> Option<u64> {
        let value = self.peek() & low_mask(width);
        self.skip(width)?;
        Some(value)
    }

    fn get_long(&mut self, width: u32) -> Option<u64> {
        let low = self.get(width.min(32))?;
        let high = if width > 32 { self.get((width - 32).min(32))? } else { 0 };
        Some(low | high << 32)
    }

    fn ones(&mut self, most: u32) -> Option<u32> {
        let ones = self.peek().trailing_ones().min(most);
        self.skip(ones)?;
        Some(ones)
    }

    /// A number that [`BitWriter::rice`] wrote.
    pub(super) fn rice(&mut self, k: u32) -> Option<u64> {
        let ones = self.ones(ESCAPE)?;
        if ones == ESCAPE {
            return self.get_long(64);
        }
        self.skip(1)?;
        Some(u64::from(ones) << k | self.get_long(k)?)
    }

    /// A number that [`BitWriter::exp_golomb`] wrote.
    pub(super) fn exp_golomb(&mut self, k: u32) -> Option<u32> {
        let ones = self.ones(32)?;
        self.skip(1)?;
        let bits = ones + k;
        if bits > 33 {
            return None;
        }
        let shifted = 1_u64 << bits | self.get_long(bits)?;
        u32::try_from(shifted - (1 << k)).ok()
    }
}

fn low_mask(width: u32) -> u64 {
    if width >= 64 { u64::MAX } else { (1 << width) - 1 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Scenario: numbers of every size, in each code, one after another.
        /// Guarantees: they are read back, and a reader that goes on past the end gets nothing.
        #[test]
        fn what_is_written_is_read(numbers in prop::collection::vec((any::<u64>(), 0_u32..64, 0_u32..12), 0..60)) {
            let mut writer = BitWriter::default();
            for &(number, shift, k) in &numbers {
                let number = number >> shift;
                writer.put(number, shift.min(32));
                writer.rice(number, k * 5);
                writer.exp_golomb((number & 0xFFFF_FFFF) as u32, k);
            }
            let length = writer.len();
            let bytes = writer.finish();
            prop_assert_eq!(bytes.len(), length);
            let mut reader = BitReader::new(&bytes);
            for &(number, shift, k) in &numbers {
                let number = number >> shift;
                prop_assert_eq!(reader.get(shift.min(32)), Some(number & low_mask(shift.min(32))));
                prop_assert_eq!(reader.rice(k * 5), Some(number));
                prop_assert_eq!(reader.exp_golomb(k), Some((number & 0xFFFF_FFFF) as u32));
            }
            prop_assert!(reader.get(8).is_none());
        }

        /// Scenario: any bytes.
        /// Guarantees: reading them ends.
        #[test]
        fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..40), k in 0_u32..34) {
            let mut reader = BitReader::new(&bytes);
            let mut numbers = 0;
            while reader.rice(k).is_some() && reader.exp_golomb(k).is_some() {
                numbers += 1;
            }
            prop_assert!(numbers <= bytes.len() * 8);
        }
    }
}

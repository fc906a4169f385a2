//! A round's bytes as direct I/O takes them: whole blocks of the file, in memory at a multiple of a block. The first block begins with what
//! the file holds of it already, the last ends in zeros.

/// 4 KiB: what disks and file systems ask for, or a multiple of it.
pub(super) const BLOCK_BYTES: usize = 4096;
/// Memory is kept between rounds up to this.
const KEPT_BYTES_MAX: usize = 16 << 20;

/// Room for one round.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    bytes: Vec<u8>,
    /// Where the first block begins.
    begin: usize,
    /// Where the round does.
    round: usize,
}

impl Blocks {
    /// Begins a round of at most `bytes` bytes behind `present`, what the file's last block holds already.
    pub(super) fn begin(&mut self, present: &[u8], bytes: usize) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES_MAX);
        // Once there is room for all, nothing moves any more.
        self.bytes.reserve(bytes.saturating_add(present.len()).saturating_add(2 * BLOCK_BYTES));
        let address = self.bytes.as_ptr().addr();
        self.begin = address.next_multiple_of(BLOCK_BYTES).wrapping_sub(address);
        self.bytes.resize(self.begin, 0);
        self.bytes.extend_from_slice(present);
        self.round = self.bytes.len();
    }

    /// Where to append the round's frames.
    pub(super) fn out(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Bytes of the round so far.
    pub(super) fn length(&self) -> usize {
        self.bytes.len().saturating_sub(self.round)
    }

    /// What of the round, and of what was there before it, stands in the last block unless that is full.
    pub(super) fn last(&self) -> Vec<u8> {
        let all = self.bytes.get(self.begin..).unwrap_or_default();
        all.chunks(BLOCK_BYTES).next_back().filter(|last| last.len() < BLOCK_BYTES).unwrap_or_default().to_vec()
    }

    /// The blocks to write.
    pub(super) fn padded(&mut self) -> &[u8] {
        let length = self.bytes.len().saturating_sub(self.begin);
        self.bytes.resize(self.begin.saturating_add(length.next_multiple_of(BLOCK_BYTES)), 0);
        self.bytes.get(self.begin..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: rounds of many lengths behind one another, each written as blocks at the place where the block before it begins.
    /// Guarantees: the file is all rounds in a row and zeros to the end of a block; every write is whole blocks from a multiple of one.
    #[test]
    fn rounds_stand_in_a_row() {
        let (mut blocks, mut file, mut expected, mut present) =
            (Blocks::default(), Vec::new(), vec![7; 64], vec![7; 64]);
        for (number, length) in [0, 1, 4031, 4032, 4033, 4096, 1, 100_000, 4095, 8192].into_iter().enumerate() {
            let round = vec![u8::try_from(number).unwrap() + 1; length];
            let at = expected.len() - present.len();
            blocks.begin(&present, length);
            blocks.out().extend_from_slice(&round);
            assert_eq!(blocks.length(), length);
            present = blocks.last();
            let written = blocks.padded();
            assert_eq!(
                (written.as_ptr().addr() % BLOCK_BYTES, written.len() % BLOCK_BYTES, at % BLOCK_BYTES),
                (0, 0, 0)
            );
            file.truncate(at);
            file.extend_from_slice(written);
            expected.extend_from_slice(&round);
            let (rounds, rest) = file.split_at(expected.len());
            assert_eq!(rounds, expected);
            assert!(rest.iter().all(|byte| *byte == 0) && rest.len() < BLOCK_BYTES);
        }
    }
}

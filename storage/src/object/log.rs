//! The write-ahead log in a store, for `ack = "object"`: each round of requests is one immutable object, and its clients are
//! answered once the store has said that it is there.
//!
//! An object is `wal/<epoch>/<first seq>.wal`: the epoch is the claim of the server that wrote it (see `table`), and the bytes are
//! those of a segment of the local log, the header's number being the epoch and its `previous_end` the last seq. The name of the next
//! round follows from the last seq, so what there is can be found by asking for one name after the other. No list is needed, and none
//! that is behind can hide a request.
//!
//! A server that takes over walks along these names and puts a *seal* where the next round would be, on the condition that nothing
//! is there. From then on the server before it cannot write its next round: it finds the seal, and turns read-only. The seal says where
//! the log goes on. It stays for good, since nobody knows how long a server may sleep before it writes its next round.
//!
//! Rounds that are covered by committed files are kept for as long as a request may be sent again, then they go.

mod stored;
mod walk;
mod writer;

use bytes::Bytes;

pub(crate) use stored::StoredRounds;
pub(crate) use walk::{Taken, Taker, take_over};
pub(crate) use writer::RoundWriter;

/// Folder of the rounds, below the prefix.
const FOLDER: &str = "wal";
const SEAL_MAGIC: [u8; 8] = *b"DAYTSEAL";
const SEAL_BYTES: usize = 44;

/// Where a round is, or the next one will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    /// The claim of the server that writes there.
    pub(crate) epoch: u64,
    /// Seq of its first request.
    pub(crate) seq: u64,
}

impl Position {
    /// Name of the object.
    fn name(self) -> String {
        format!("{FOLDER}/{:020}/{:020}.wal", self.epoch, self.seq)
    }

    /// The position that has this name.
    fn parse(name: &str) -> Option<Self> {
        let (epoch, seq) = name.strip_prefix(FOLDER)?.strip_prefix('/')?.strip_suffix(".wal")?.split_once('/')?;
        Some(Self { epoch: epoch.parse().ok()?, seq: seq.parse().ok()? })
    }
}

/// The end of a server's rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seal {
    /// Where the log goes on.
    next: Position,
    /// Tells seals apart that are otherwise alike.
    nonce: u128,
}

impl Seal {
    fn encode(self) -> Bytes {
        let mut bytes = Vec::with_capacity(SEAL_BYTES);
        bytes.extend_from_slice(&SEAL_MAGIC);
        bytes.extend_from_slice(&self.next.epoch.to_le_bytes());
        bytes.extend_from_slice(&self.next.seq.to_le_bytes());
        bytes.extend_from_slice(&self.nonce.to_le_bytes());
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        bytes.into()
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; SEAL_BYTES] = bytes.try_into().ok()?;
        let (covered, crc) = bytes.split_last_chunk::<4>()?;
        let is_whole = covered.starts_with(&SEAL_MAGIC) && crc32c::crc32c(covered) == u32::from_le_bytes(*crc);
        let number = |at: usize| covered.get(at..)?.first_chunk().copied().map(u64::from_le_bytes);
        let nonce = covered.get(24..)?.first_chunk().copied().map(u128::from_le_bytes)?;
        is_whole.then_some(Self { next: Position { epoch: number(8)?, seq: number(16)? }, nonce })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: seals and names, and every byte of a seal changed.
    /// Guarantees: what was written is read, and nothing else passes for it.
    #[test]
    fn a_seal_and_a_name_read_back() {
        let next = Position { epoch: 3, seq: 99 };
        let seal = Seal { next, nonce: 7 };
        let bytes = seal.encode();
        assert_eq!((bytes.len(), Seal::parse(&bytes)), (SEAL_BYTES, Some(seal)));
        for at in 0..bytes.len() {
            let mut wrong = bytes.to_vec();
            wrong[at] ^= 1;
            assert_eq!(Seal::parse(&wrong), None);
        }
        assert_eq!(Position::parse(&next.name()), Some(next));
        assert_eq!(Position::parse("wal/3/x.wal"), None);
    }
}

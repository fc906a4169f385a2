//! The end of a data file, kept behind its sidecar in a store: whoever has fetched the one has the other, and needs no request to learn
//! where in the data file to read.
//!
//! ```text
//! sidecar, end of the data file, xxh3-64 of that end u64 | its length u64 | "DTWOEND" and 0x0a   (little endian)
//! ```
//!
//! A sidecar without is one of an earlier version.

use std::io::{self, Write};

use xxhash_rust::xxh3::xxh3_64;

const MAGIC: [u8; 8] = *b"DTWOEND\n";
/// Bytes of what follows the end.
pub(super) const TRAILER_BYTES: usize = 24;

/// What is known of an end before it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trailer {
    hash: u64,
    length: u64,
}

impl Trailer {
    /// The trailer in the last bytes of a sidecar of `size` bytes, if it has one.
    pub(super) fn of(last: &[u8; TRAILER_BYTES], size: u64) -> Option<Self> {
        let (hash, rest) = last.split_first_chunk::<8>()?;
        let (length, magic) = rest.split_first_chunk::<8>()?;
        let trailer = Self { hash: u64::from_le_bytes(*hash), length: u64::from_le_bytes(*length) };
        (*magic == MAGIC && trailer.start(size).is_some()).then_some(trailer)
    }

    /// Where the end begins, and with it the sidecar ends.
    pub(super) fn start(self, size: u64) -> Option<u64> {
        size.checked_sub(TRAILER_BYTES as u64)?.checked_sub(self.length)
    }

    /// Bytes of the end.
    pub(super) fn length(self) -> usize {
        usize::try_from(self.length).unwrap_or(usize::MAX)
    }

    /// Whether these are the bytes that were kept.
    pub(super) fn fits(self, end: &[u8]) -> bool {
        xxh3_64(end) == self.hash
    }
}

/// Writes an end behind a sidecar.
pub(crate) fn write(end: &[u8], to: &mut impl Write) -> io::Result<()> {
    to.write_all(end)?;
    to.write_all(&xxh3_64(end).to_le_bytes())?;
    to.write_all(&(end.len() as u64).to_le_bytes())?;
    to.write_all(&MAGIC)
}

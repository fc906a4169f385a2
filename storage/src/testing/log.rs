//! Bytes of the write-ahead log, for those that feed it any others.

use super::seeded_frame;
use crate::wal::frame;
use crate::wal::reader;
use crate::wal::segment::SegmentHeader;
use crate::{Result, UnixNanos};

/// How many frames are found in a segment with these bytes.
pub fn frames_in(segment: &[u8]) -> usize {
    reader::read(segment).frames.len()
}

/// A segment with the frame of a request from `seed`, and `noise` behind it.
///
/// # Errors
/// As an append, which cannot be with a frame so small.
pub fn segment_with(seed: u64, noise: &[u8]) -> Result<Vec<u8>> {
    let header = SegmentHeader {
        number: 1,
        epoch: seed,
        first_seq: 1,
        previous_end: 0,
        previous_torn: 0,
        created: UnixNanos(1),
    };
    let mut bytes = header.encode().to_vec();
    frame::encode(&seeded_frame(seed, 1, UnixNanos(1)).0, 1, seed, 0, &mut bytes)?;
    bytes.extend_from_slice(noise);
    Ok(bytes)
}

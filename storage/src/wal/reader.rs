//! Reads the bytes of a segment: every whole frame, and what lies between them.
//!
//! Any bytes are good input here. A range that is no frame ends where the next whole frame begins: magic, header
//! CRC, epoch and payload CRC must hold there, so that a payload cannot pass for a frame.

use std::ops::Range;

use super::frame::{self, Parsed};
use super::segment::{HEADER_BYTES, SegmentHeader};

/// What stands in a segment.
#[derive(Debug)]
pub(crate) struct Contents {
    /// The header, unless it is damaged.
    pub(crate) header: Option<SegmentHeader>,
    /// Whole frames with their offsets, in file order.
    pub(crate) frames: Vec<(usize, Parsed)>,
    /// Damaged ranges that a whole frame follows.
    pub(crate) damaged: Vec<Range<usize>>,
    /// Where the last whole frame ends.
    pub(crate) valid_end: usize,
    /// What follows the last whole frame, up to the last byte that is not zero; empty when clean.
    pub(crate) tail: Range<usize>,
}

impl Contents {
    /// Where the round of the last whole frame begins.
    pub(crate) fn last_round(&self) -> Option<usize> {
        self.frames.last().map(|(offset, parsed)| offset.saturating_sub(parsed.round_offset))
    }
}

/// Reads a segment's bytes.
pub(crate) fn read(bytes: &[u8]) -> Contents {
    let header = SegmentHeader::parse(bytes);
    let mut epoch = header.map(|header| header.epoch);
    let (mut frames, mut damaged) = (Vec::new(), Vec::new());
    let mut at = HEADER_BYTES.min(bytes.len());
    let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last.saturating_add(1));
    while at < end {
        match frame::parse(bytes.get(at..).unwrap_or_default(), epoch) {
            Ok(parsed) => {
                epoch = epoch.or_else(|| frame::epoch_of(bytes.get(at..)?));
                let next = at.saturating_add(parsed.length);
                frames.push((at, parsed));
                at = next;
            }
            Err(frame::NotAFrame) => match next_frame(bytes, at.saturating_add(1), epoch) {
                Some(next) => {
                    damaged.push(at..next);
                    at = next;
                }
                None => break,
            },
        }
    }
    Contents { header, frames, damaged, valid_end: at, tail: at..end.max(at) }
}

/// Where the next whole frame begins.
fn next_frame(bytes: &[u8], from: usize, epoch: Option<u64>) -> Option<usize> {
    let mut from = from;
    loop {
        let candidate = frame::next_candidate(bytes, from)?;
        if frame::parse(bytes.get(candidate..)?, epoch).is_ok() {
            return Some(candidate);
        }
        from = candidate.saturating_add(1);
    }
}

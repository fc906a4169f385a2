//! The log's bytes, healthy and damaged.

#![expect(clippy::arithmetic_side_effects, clippy::indexing_slicing, reason = "a panic here is a failed test")]

use proptest::prelude::*;

use super::frame::{self, Parsed};
use super::reader;
use super::segment::{HEADER_BYTES, SegmentHeader};
use crate::{Frame, PayloadCompression, PayloadFormat, UnixNanos};

const EPOCH: u64 = 0x1122_3344_5566_7788;

fn header() -> SegmentHeader {
    SegmentHeader {
        number: 3,
        epoch: EPOCH,
        first_seq: 10,
        previous_end: 777,
        previous_torn: 700,
        created: UnixNanos(5),
    }
}

fn frame_of(payload: Vec<u8>, rejected: Vec<u32>) -> Frame {
    Frame {
        request_hash: u128::from(xxhash_rust::xxh3::xxh3_64(&payload)) << 3,
        payload: payload.into(),
        format: PayloadFormat::Json,
        compression: PayloadCompression::Zstd,
        received: UnixNanos(-42),
        rejected,
    }
}

/// A segment's bytes, and where each frame begins and ends.
fn segment_of(frames: &[Frame], zeros: usize) -> (Vec<u8>, Vec<std::ops::Range<usize>>) {
    let mut bytes = header().encode().to_vec();
    let mut ranges = Vec::new();
    for (seq, one) in (10..).zip(frames) {
        let start = bytes.len();
        frame::encode(one, seq, EPOCH, start - HEADER_BYTES, &mut bytes).unwrap();
        ranges.push(start..bytes.len());
    }
    bytes.resize(bytes.len() + zeros, 0);
    (bytes, ranges)
}

fn three() -> Vec<Frame> {
    vec![
        frame_of(b"first".to_vec(), vec![]),
        frame_of(vec![0; 40], vec![0, 1, 5, 300, 70_000]),
        frame_of(b"third D2WF, not a frame".to_vec(), vec![u32::MAX]),
    ]
}

fn same(parsed: &Parsed, frame: &Frame) -> bool {
    let other = &parsed.frame;
    (&other.payload, other.format, other.compression, other.request_hash, other.received, &other.rejected)
        == (&frame.payload, frame.format, frame.compression, frame.request_hash, frame.received, &frame.rejected)
}

/// The frames that lie outside a damaged range of bytes, by the naive rule.
fn untouched(frames: &[Frame], ranges: &[std::ops::Range<usize>], damaged: std::ops::Range<usize>) -> Vec<Frame> {
    let outside = |range: &std::ops::Range<usize>| range.end <= damaged.start || range.start >= damaged.end;
    frames.iter().zip(ranges).filter(|(_, range)| outside(range)).map(|(frame, _)| frame.clone()).collect()
}

fn holds(contents: &reader::Contents, frames: &[Frame]) -> bool {
    contents.frames.len() == frames.len()
        && contents.frames.iter().zip(frames).all(|((_, found), one)| same(found, one))
}

/// Scenario: a segment with three frames and zeros behind them.
/// Guarantees: header and frames read back as written, with their seqs, and nothing is damaged.
#[test]
fn a_segment_reads_back() {
    let (bytes, ranges) = segment_of(&three(), 100);
    let contents = reader::read(&bytes);
    assert_eq!(contents.header, Some(header()));
    assert!(holds(&contents, &three()));
    assert_eq!(contents.frames.iter().map(|(_, parsed)| parsed.seq).collect::<Vec<_>>(), [10, 11, 12]);
    assert_eq!((contents.damaged.len(), contents.valid_end), (0, ranges[2].end));
    assert_eq!(contents.last_round(), Some(HEADER_BYTES));
    assert!(contents.tail.is_empty());
}

/// Scenario: the segment is cut at every byte.
/// Guarantees: exactly the whole frames before the cut are there, and the rest is a tail, not damage.
#[test]
fn a_cut_anywhere_keeps_the_frames_before_it() {
    let frames = three();
    let (bytes, ranges) = segment_of(&frames, 0);
    for cut in HEADER_BYTES..bytes.len() {
        let contents = reader::read(&bytes[..cut]);
        let whole = ranges.iter().filter(|range| range.end <= cut).count();
        assert!(holds(&contents, &frames[..whole]), "cut at {cut}");
        assert!(contents.damaged.is_empty(), "cut at {cut}");
    }
}

/// Scenario: a segment of 100 KiB is cut at every byte of its last 64 KiB.
/// Guarantees: exactly the frames that are whole before the cut are there.
#[test]
fn a_cut_at_any_byte_of_the_last_64_kib_keeps_the_frames_before_it() {
    let frames: Vec<_> = (0..50_u8).map(|n| frame_of(vec![n; 2000], vec![])).collect();
    let (bytes, ranges) = segment_of(&frames, 0);
    for cut in bytes.len() - (64 << 10)..bytes.len() {
        let contents = reader::read(&bytes[..cut]);
        let whole = ranges.iter().filter(|range| range.end <= cut).count();
        assert_eq!((contents.frames.len(), contents.damaged.len()), (whole, 0), "cut at {cut}");
        assert_eq!(contents.valid_end, ranges[whole - 1].end, "cut at {cut}");
    }
}

/// Scenario: every single byte is changed, in the segment's header and in all frames.
/// Guarantees: every frame without the changed byte is found; a damaged one before others is named as damage.
#[test]
fn a_flip_anywhere_costs_its_own_frame_only() {
    let frames = three();
    let (bytes, ranges) = segment_of(&frames, 64);
    for at in 0..ranges[2].end {
        for flip in [0x01, 0x80, 0xFF] {
            let mut damaged = bytes.clone();
            damaged[at] ^= flip;
            let contents = reader::read(&damaged);
            assert!(holds(&contents, &untouched(&frames, &ranges, at..at + 1)), "flip {flip:#x} at {at}");
            let hit = ranges.iter().position(|range| range.contains(&at));
            let expected: Vec<_> = hit.filter(|hit| *hit < 2).map(|hit| ranges[hit].clone()).into_iter().collect();
            assert_eq!(contents.damaged, expected, "flip {flip:#x} at {at}");
        }
    }
}

/// Scenario: a 512-byte sector or a 4 KiB page of a long segment reads as zeros or as noise.
/// Guarantees: every frame outside it is found.
#[test]
fn a_lost_page_costs_its_own_frames_only() {
    let frames: Vec<_> = (0..60_u8).map(|n| frame_of(vec![n; 300], vec![])).collect();
    let (bytes, ranges) = segment_of(&frames, 0);
    for size in [512, 4096] {
        for start in (HEADER_BYTES..bytes.len()).step_by(509) {
            let page = start..(start + size).min(bytes.len());
            for fill in [0, 0xA5] {
                let mut damaged = bytes.clone();
                damaged[page.clone()].fill(fill);
                let contents = reader::read(&damaged);
                assert!(holds(&contents, &untouched(&frames, &ranges, page.clone())), "page {page:?}");
            }
        }
    }
}

/// Scenario: a frame as the first version of the format wrote it, by its table of bytes.
/// Guarantees: it is read, and is a round of its own.
#[test]
fn frames_of_the_first_version_are_read() {
    let frame = frame_of(b"old".to_vec(), vec![2, 3]);
    let mut bytes = b"D2WF".to_vec();
    bytes.extend_from_slice(&66_u32.to_le_bytes());
    bytes.extend_from_slice(&[0, 1, 2, 0]);
    bytes.extend_from_slice(&3_u32.to_le_bytes());
    bytes.extend_from_slice(&10_u64.to_le_bytes());
    bytes.extend_from_slice(&EPOCH.to_le_bytes());
    bytes.extend_from_slice(&frame.request_hash.to_le_bytes());
    bytes.extend_from_slice(&frame.received.0.to_le_bytes());
    bytes.extend_from_slice(&2_u32.to_le_bytes());
    bytes.extend_from_slice(&[2, 0]);
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    bytes.extend_from_slice(b"old");
    bytes.extend_from_slice(&crc32c::crc32c(b"old").to_le_bytes());
    let parsed = frame::parse(&bytes, Some(EPOCH)).unwrap();
    assert!(same(&parsed, &frame) && (parsed.seq, parsed.length, parsed.round_offset) == (10, bytes.len(), 0));
}

/// Scenario: the bytes of another segment, with another epoch, lie behind the last frame.
/// Guarantees: they are not taken for frames of this one.
#[test]
fn stale_frames_are_not_taken() {
    let (mut bytes, ranges) = segment_of(&three()[..1], 0);
    frame::encode(&three()[1], 11, EPOCH + 1, 0, &mut bytes).unwrap();
    let contents = reader::read(&bytes);
    assert_eq!((contents.frames.len(), contents.valid_end), (1, ranges[0].end));
    assert!(!contents.tail.is_empty());
}

proptest! {
    /// Scenario: any payload, any refused positions.
    /// Guarantees: a frame reads back as it was, and its length is the one foretold.
    #[test]
    fn any_frame_round_trips(payload in prop::collection::vec(any::<u8>(), 0..2000),
                             rejected in prop::collection::btree_set(any::<u32>(), 0..50), seq in any::<u64>()) {
        let frame = frame_of(payload, rejected.into_iter().collect());
        let mut bytes = Vec::new();
        frame::encode(&frame, seq, EPOCH, 0, &mut bytes).unwrap();
        prop_assert_eq!(bytes.len() as u64, frame::encoded_length(&frame).unwrap());
        let parsed = frame::parse(&bytes, Some(EPOCH)).unwrap();
        prop_assert!(same(&parsed, &frame) && parsed.seq == seq && parsed.length == bytes.len());
    }

    /// Scenario: any bytes stand in a segment file, alone or behind whole frames.
    /// Guarantees: nothing panics, and the whole frames before them are all found.
    #[test]
    fn any_bytes_are_good_input(noise in prop::collection::vec(any::<u8>(), 0..3000), whole in 0..3_usize) {
        drop(reader::read(&noise));
        let (mut bytes, _) = segment_of(&three()[..whole], 0);
        bytes.extend_from_slice(&noise);
        let contents = reader::read(&bytes);
        prop_assert!(contents.frames.len() >= whole);
        prop_assert!(contents.frames.iter().zip(&three()).all(|((_, found), one)| same(found, one)));
    }

    /// Scenario: a segment with a random range of bytes overwritten.
    /// Guarantees: every frame outside the range is found.
    #[test]
    fn damage_costs_its_own_frames_only(start in 64..400_usize, noise in prop::collection::vec(any::<u8>(), 1..120)) {
        let frames = three();
        let (mut bytes, ranges) = segment_of(&frames, 0);
        let start = start.min(bytes.len() - 1);
        let end = (start + noise.len()).min(bytes.len());
        bytes[start..end].copy_from_slice(&noise[..end - start]);
        let contents = reader::read(&bytes);
        let expected = untouched(&frames, &ranges, start..end);
        prop_assert!(expected.iter().all(|one| contents.frames.iter().any(|(_, found)| same(found, one))));
    }
}

//! The write-ahead log: a request is answered when its frame is on disk.
//!
//! The log is a row of segments, `wal/00000000000000000001.wal` and up, numbered without gaps. A segment is
//! preallocated and zero-filled when it is created, so that a full disk shows there and not in the middle of a
//! frame, and so that a sync need not write file metadata. One thread writes ([`writer`]); it takes everything
//! that waits, writes it with one call, syncs once and answers all ([group commit]). Zeros and frames go to the disk past the page cache,
//! where the file system can do that: nobody reads them again while the server runs, and pages for them cost more than the writing.
//!
//! All numbers are little-endian. A segment begins with 64 bytes:
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 8 | magic `DAYTWAL1` |
//! | 8 | 8 | segment number |
//! | 16 | 8 | epoch: random, stands in every frame of the segment |
//! | 24 | 8 | first seq that may stand here |
//! | 32 | 8 | where the valid frames of the segment before this one end; 0 for the first |
//! | 40 | 8 | created, nanoseconds since the Unix epoch |
//! | 48 | 8 | from where on damage in the segment before this one was never answered; 0 for nowhere |
//! | 56 | 4 | zero |
//! | 60 | 4 | CRC-32C of bytes 0 to 59 |
//!
//! Frames follow without gaps; zeros follow the last. A frame:
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 4 | magic `D2WF` |
//! | 4 | 4 | header length H, from the magic through the header's CRC |
//! | 8 | 1 | 1; 0 in frames of older versions, which lack the field at 60; others are not understood |
//! | 9 | 1 | format: 0 protobuf, 1 JSON |
//! | 10 | 1 | compression: 0 none, 1 gzip, 2 zstd |
//! | 11 | 1 | zero |
//! | 12 | 4 | payload length P |
//! | 16 | 8 | seq, one more than that of the request before, with gaps only where a write failed |
//! | 24 | 8 | epoch of the segment |
//! | 32 | 16 | hash of the decompressed request |
//! | 48 | 8 | received, nanoseconds since the Unix epoch |
//! | 56 | 4 | how many spans were refused |
//! | 60 | 4 | how many bytes before this frame its round begins |
//! | 64 | H-68 | the refused positions: each the LEB128 distance from the one before plus one, ascending |
//! | H-4 | 4 | CRC-32C of bytes 0 to H-5 |
//! | H | P | payload, as received |
//! | H+P | 4 | CRC-32C of the payload |
//!
//! When a write or a sync fails, that segment is never written or synced again: the kernel may have dropped the
//! pages and a second `fsync` would say that all is well. The next segment's header records where the valid frames
//! of the failed one end, so that the frames of the failed round, which nobody was told are stored, stay out at replay.
//!
//! A power cut in the middle of a round may leave its later frames on disk and not its earlier ones. Nobody was told that
//! they are stored, so the gap is no loss: each frame says where its round begins, and damage from the begin of the log's last
//! round on is not reported. The next segment's header records that place too, for when the round is no longer the last.
//!
//! [group commit]: writer

#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

mod blocks;
pub(crate) mod frame;
pub(crate) mod health;
pub(crate) mod reader;
pub(crate) mod replay;
pub(crate) mod retention;
pub(crate) mod segment;
pub(crate) mod writer;

#[cfg(test)]
mod tests;

/// Folder of the segments, below the data folder.
pub(crate) const FOLDER: &str = "wal";

//! Brings back, at open, what the log holds and the table does not.
//!
//! Segments are read in order. Frames up to the table's watermark are in files already and only their hashes are
//! remembered; the later ones are decoded into the buffer. A torn tail of the last segment was never answered and is
//! cut off. Any other damage is copied to quarantine and named: it may hold spans that were accepted.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use super::frame::Parsed;
use super::reader::{self, Contents};
use super::segment::{self, HEADER_BYTES, SegmentHeader};
use super::writer::{Resume, Sealed};
use crate::dedup::Remembered;
use crate::failpoint::{Point, hit};
use crate::fs::Fs;
use crate::quarantine::{Quarantine, sidecar};
use crate::{Clock, Replay, Result, SpanBatch, UnixNanos};

/// What replay needs to know.
pub(crate) struct Replayer<'a> {
    pub(crate) fs: &'a Fs,
    pub(crate) folder: &'a Path,
    pub(crate) quarantine: &'a Quarantine,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) replay: &'a dyn Replay,
    /// Requests up to this seq are in committed files.
    pub(crate) watermark: u64,
    /// Change nothing on disk.
    pub(crate) read_only: bool,
}

/// What the log held.
#[derive(Debug, Default)]
pub(crate) struct Replayed {
    /// Accepted batches that are in no file, in seq order.
    pub(crate) batches: Vec<(u64, UnixNanos, SpanBatch)>,
    /// Every request in the log.
    pub(crate) remembered: Vec<Remembered>,
    /// The segments that are kept.
    pub(crate) segments: Vec<Sealed>,
    /// What may be missing from answers, found by this replay.
    pub(crate) holes: Vec<String>,
    /// Where the writer goes on.
    pub(crate) resume: Resume,
}

impl Replayer<'_> {
    /// Reads the whole log.
    ///
    /// # Errors
    /// [`crate::StorageError::Io`] when a segment cannot be read at all. Damage inside a segment is no error.
    pub(crate) fn run(&self) -> Result<Replayed> {
        if !self.read_only {
            segment::remove_blanks(self.fs, self.folder)?;
        }
        let numbers = segment::numbers(self.fs, self.folder)?;
        let mut out = Replayed::default();
        out.resume.next_seq = self.watermark.saturating_add(1);
        for (index, &number) in numbers.iter().enumerate() {
            let next = numbers.get(index.saturating_add(1)).map(|&next| (next, self.header_of(next)));
            self.segment(number, next, &mut out)?;
        }
        hit(Point::ReplayDone)?;
        Ok(out)
    }

    fn header_of(&self, number: u64) -> Option<SegmentHeader> {
        let mut bytes = [0; HEADER_BYTES];
        self.fs.read_exact_at(&segment::path(self.folder, number), 0, &mut bytes).ok()?;
        SegmentHeader::parse(&bytes)
    }

    fn segment(&self, number: u64, next: Option<(u64, Option<SegmentHeader>)>, out: &mut Replayed) -> Result<()> {
        let path = segment::path(self.folder, number);
        hit(Point::ReplaySegment)?;
        let mut bytes = self.fs.read(&path)?;
        let next_header = next.and_then(|(_, header)| header);
        let promised_end = next_header.map(|header| header.previous_end).filter(|&end| end > 0);
        let promised_end = promised_end.and_then(|end| usize::try_from(end).ok());
        if let Some(end) = promised_end {
            bytes.truncate(end);
        }
        let contents = reader::read(&bytes);
        let torn_from = torn_from(&contents, next.is_some(), next_header);
        let facts = Facts { number, bytes: &bytes, contents: &contents, promised_end, torn_from };
        self.report_damage(&facts, next.is_some(), next_header.map(|header| header.first_seq), out)?;
        self.report_gap(number, next, next_header, out);
        self.take_frames(number, &bytes, &contents, out)?;
        self.keep(&path, number, &contents, next.is_none(), out);
        Ok(())
    }

    fn report_damage(
        &self,
        facts: &Facts<'_>,
        has_next: bool,
        next_first_seq: Option<u64>,
        out: &mut Replayed,
    ) -> Result<()> {
        let Facts { number, bytes, contents, promised_end, torn_from } = *facts;
        for range in &contents.damaged {
            if torn_from.is_some_and(|torn| range.start >= torn) {
                tracing::info!(segment = number, bytes = range.len(), "a round of the wal was cut short");
                continue;
            }
            let after = contents.frames.iter().find(|(offset, _)| *offset >= range.end);
            let next_seq = after.map(|(_, parsed)| parsed.seq);
            self.set_aside(number, bytes, range.clone(), next_seq, "bytes are not a frame", out)?;
        }
        if contents.header.is_none() && contents.frames.is_empty() {
            // A segment has its name only once its header is on disk, so this is no creation that was cut short.
            let range = 0..promised_end.unwrap_or(bytes.len()).max(1);
            self.set_aside(number, bytes, range, next_first_seq, "the segment has neither header nor frames", out)?;
        } else if has_next {
            // The log went on after this segment, so what follows its last whole frame is not a torn tail.
            let end = promised_end.unwrap_or(contents.tail.end).max(contents.valid_end);
            let range = contents.valid_end..end;
            self.set_aside(number, bytes, range, next_first_seq, "the segment ends in damage", out)?;
        }
        Ok(())
    }

    /// Copies a damaged range to quarantine, unless everything it can have held is in committed files.
    fn set_aside(
        &self,
        number: u64,
        bytes: &[u8],
        range: Range<usize>,
        next_seq: Option<u64>,
        reason: &str,
        out: &mut Replayed,
    ) -> Result<()> {
        let in_files = next_seq.is_some_and(|next| next <= self.watermark.saturating_add(1));
        if range.is_empty() || in_files {
            return Ok(());
        }
        let offsets = range.start as u64..range.end as u64;
        let aside = sidecar(self.clock, source_of(number), offsets, reason.to_owned());
        let present = bytes.get(range.start..range.end.min(bytes.len())).unwrap_or_default();
        self.quarantine.copy(&format!("wal-{number:020}-{}.bin", range.start), present, &aside)?;
        tracing::error!(segment = number, from = range.start, to = range.end, reason, "damaged wal bytes set aside");
        out.holes.push(aside.hole());
        Ok(())
    }

    /// Segments go from the oldest on, so a missing number in between is a lost file.
    fn report_gap(
        &self,
        number: u64,
        next: Option<(u64, Option<SegmentHeader>)>,
        next_header: Option<SegmentHeader>,
        out: &mut Replayed,
    ) {
        let Some((next_number, _)) = next.filter(|(next, _)| *next > number.saturating_add(1)) else {
            return;
        };
        if next_header.is_some_and(|header| header.first_seq <= self.watermark.saturating_add(1)) {
            return;
        }
        tracing::error!(after = number, before = next_number, "wal segments are missing");
        out.holes.push(format!("wal segments between {number} and {next_number} are missing"));
    }

    fn take_frames(&self, number: u64, bytes: &[u8], contents: &Contents, out: &mut Replayed) -> Result<()> {
        if let Some(header) = contents.header {
            out.resume.next_seq = out.resume.next_seq.max(header.first_seq);
        }
        for (offset, parsed) in &contents.frames {
            let (seq, received) = (parsed.seq, parsed.frame.received);
            out.resume.next_seq = out.resume.next_seq.max(seq.saturating_add(1));
            out.remembered.push(Remembered { hash: parsed.frame.request_hash, seq, received });
            if seq > self.watermark {
                match self.decode(parsed) {
                    Ok(batch) => out.batches.push((seq, received, batch)),
                    Err(reason) => self.set_frame_aside(number, bytes, *offset, parsed, reason, out)?,
                }
            }
        }
        Ok(())
    }

    /// A decoder that panics on a stored frame must not keep the store from opening for ever.
    fn decode(&self, parsed: &Parsed) -> Result<SpanBatch, String> {
        catch_unwind(AssertUnwindSafe(|| self.replay.decode(&parsed.frame)))
            .unwrap_or_else(|_| Err("the decoder panicked".to_owned()))
    }

    fn set_frame_aside(
        &self,
        number: u64,
        bytes: &[u8],
        offset: usize,
        parsed: &Parsed,
        reason: String,
        out: &mut Replayed,
    ) -> Result<()> {
        let range = offset..offset.saturating_add(parsed.length);
        let reason = format!("the request cannot be decoded: {reason}");
        self.set_aside(number, bytes, range, None, &reason, out)
    }

    fn keep(&self, path: &Path, number: u64, contents: &Contents, last: bool, out: &mut Replayed) {
        let length = contents.valid_end as u64;
        if last {
            out.resume.next_number = number.saturating_add(1);
            out.resume.previous_end = length;
            let torn = contents.last_round().filter(|&torn| contents.damaged.iter().any(|range| range.start >= torn));
            out.resume.previous_torn = torn.map_or(0, |torn| torn as u64);
            if !contents.tail.is_empty() {
                tracing::info!(segment = number, bytes = contents.tail.len(), "torn tail of the wal cut off");
            }
            self.cut(path, length);
        }
        let frames = contents.frames.iter().map(|(_, parsed)| parsed);
        out.segments.push(Sealed {
            number,
            bytes: length,
            last_seq: frames.clone().map(|parsed| parsed.seq).max().unwrap_or(0),
            newest_received: frames.map(|parsed| parsed.frame.received).max().unwrap_or_default(),
        });
    }

    /// Gives back the preallocated room. Failing is harmless: the next segment records where this one ends.
    fn cut(&self, path: &Path, length: u64) {
        if self.read_only || matches!(self.fs.size(path), Ok(Some(size)) if size == length) {
            return;
        }
        if let Err(error) = self.fs.truncate(path, length) {
            tracing::warn!(path = %path.display(), %error, "cannot cut the wal segment");
        }
    }
}

/// What is known of one segment.
#[derive(Clone, Copy)]
struct Facts<'a> {
    number: u64,
    bytes: &'a [u8],
    contents: &'a Contents,
    /// Where the next segment says that this one ends.
    promised_end: Option<usize>,
    torn_from: Option<usize>,
}

/// From where on damage was never answered: the begin of the log's last round, or what the next segment says.
fn torn_from(contents: &Contents, has_next: bool, next: Option<SegmentHeader>) -> Option<usize> {
    if !has_next {
        return contents.last_round();
    }
    let torn = next.map(|header| header.previous_torn).filter(|&torn| torn > 0)?;
    usize::try_from(torn).ok()
}

fn source_of(number: u64) -> String {
    format!("{}/{number:020}.wal", super::FOLDER)
}

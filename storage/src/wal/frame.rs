//! A frame, to bytes and back. The layout is in the header of [`super`].

use bytes::Bytes;

use crate::{Frame, PayloadCompression, PayloadFormat, Result, StorageError, UnixNanos};

const MAGIC: [u8; 4] = *b"D2WF";
/// Header bytes before the refused positions, and those of frames that do not say where their round begins.
const FIXED: usize = 64;
const FIXED_WITHOUT_ROUND: usize = 60;
/// Flags of a frame that says where its round begins, and of one that does not.
const WITH_ROUND: u8 = 1;
const WITHOUT_ROUND: u8 = 0;
const CRC: usize = 4;
/// Where the epoch stands.
const EPOCH: std::ops::Range<usize> = 24..32;
/// 64 MiB: what the receivers take at most, before they decompress it.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 64 << 20;
/// 16 MiB: a position takes one byte unless refused spans are far apart, and 64 MiB hold fewer spans than this.
pub(crate) const HEADER_BYTES_MAX: usize = 16 << 20;

/// Why bytes are not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotAFrame;

/// A frame found in a segment.
#[derive(Debug, Clone)]
pub(crate) struct Parsed {
    /// Its position in the log.
    pub(crate) seq: u64,
    /// What it holds.
    pub(crate) frame: Frame,
    /// Bytes it takes, both CRCs included.
    pub(crate) length: usize,
    /// How many bytes before it its round begins.
    pub(crate) round_offset: usize,
}

/// Appends a frame's bytes to `out`; its round begins `round_offset` bytes before it.
///
/// # Errors
/// [`StorageError::TooLarge`]; `out` is unchanged then.
pub(crate) fn encode(frame: &Frame, seq: u64, epoch: u64, round_offset: usize, out: &mut Vec<u8>) -> Result<()> {
    let rejected = encode_positions(&frame.rejected);
    let header_length = sum([FIXED, rejected.len(), CRC]);
    check_limits(frame.payload.len(), header_length)?;
    let start = out.len();
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&length_u32(header_length));
    out.extend_from_slice(&[WITH_ROUND, format_byte(frame.format), compression_byte(frame.compression), 0]);
    out.extend_from_slice(&length_u32(frame.payload.len()));
    out.extend_from_slice(&seq.to_le_bytes());
    out.extend_from_slice(&epoch.to_le_bytes());
    out.extend_from_slice(&frame.request_hash.to_le_bytes());
    out.extend_from_slice(&frame.received.0.to_le_bytes());
    out.extend_from_slice(&length_u32(frame.rejected.len()));
    out.extend_from_slice(&length_u32(round_offset));
    out.extend_from_slice(&rejected);
    let crc = crc32c::crc32c(out.get(start..).unwrap_or_default());
    out.extend_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(&frame.payload);
    out.extend_from_slice(&crc32c::crc32c(&frame.payload).to_le_bytes());
    Ok(())
}

/// Bytes that [`encode`] will append.
///
/// # Errors
/// [`StorageError::TooLarge`] for a frame that no segment takes.
pub(crate) fn encoded_length(frame: &Frame) -> Result<u64> {
    let header = sum([FIXED, encode_positions(&frame.rejected).len(), CRC]);
    check_limits(frame.payload.len(), header)?;
    Ok(sum([header, frame.payload.len(), CRC]) as u64)
}

fn check_limits(payload: usize, header: usize) -> Result<()> {
    let check = |bytes: usize, limit: usize| {
        let over = StorageError::TooLarge { bytes: bytes as u64, limit_bytes: limit as u64 };
        if bytes > limit { Err(over) } else { Ok(()) }
    };
    check(payload, PAYLOAD_BYTES_MAX)?;
    check(header, HEADER_BYTES_MAX)
}

/// Lengths are checked against limits far below where this saturates.
fn sum<const N: usize>(parts: [usize; N]) -> usize {
    parts.into_iter().fold(0, usize::saturating_add)
}

fn length_u32(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()
}

/// Reads the frame at the start of `bytes`, if its CRCs hold and it is of this epoch (any epoch for `None`).
pub(crate) fn parse(bytes: &[u8], epoch: Option<u64>) -> Result<Parsed, NotAFrame> {
    let mut fields = Fields(bytes);
    if fields.take()? != MAGIC {
        return Err(NotAFrame);
    }
    let header_length = fields.u32()? as usize;
    if !(FIXED_WITHOUT_ROUND + CRC..=HEADER_BYTES_MAX).contains(&header_length) {
        return Err(NotAFrame);
    }
    let header = bytes.get(..header_length).ok_or(NotAFrame)?;
    // The epoch is compared first: a hostile payload cannot know it, so it cannot make a resync compute CRCs.
    if epoch.is_some_and(|epoch| header.get(EPOCH) != Some(&epoch.to_le_bytes())) {
        return Err(NotAFrame);
    }
    let covered = verified(header).ok_or(NotAFrame)?;
    let [flags, format, compression, _zero] = fields.take()?;
    let payload_length = fields.u32()? as usize;
    let seq = u64::from_le_bytes(fields.take()?);
    let _epoch: [u8; 8] = fields.take()?;
    if payload_length > PAYLOAD_BYTES_MAX {
        return Err(NotAFrame);
    }
    let request_hash = u128::from_le_bytes(fields.take()?);
    let received = UnixNanos(i64::from_le_bytes(fields.take()?));
    let count = fields.u32()?;
    let (fixed, round_offset) = match flags {
        WITH_ROUND => (FIXED, fields.u32()? as usize),
        WITHOUT_ROUND => (FIXED_WITHOUT_ROUND, 0),
        _ => return Err(NotAFrame),
    };
    let rejected = decode_positions(covered.get(fixed..).ok_or(NotAFrame)?, count).ok_or(NotAFrame)?;
    let length = sum([header_length, payload_length, CRC]);
    let body = bytes.get(header_length..length).ok_or(NotAFrame)?;
    let payload = Bytes::copy_from_slice(verified(body).ok_or(NotAFrame)?);
    let (format, compression) = (format_of(format)?, compression_of(compression)?);
    let frame = Frame { payload, format, compression, request_hash, received, rejected };
    Ok(Parsed { seq, frame, length, round_offset })
}

/// The epoch of the frame at the start of `bytes`, which parses.
pub(crate) fn epoch_of(bytes: &[u8]) -> Option<u64> {
    parse(bytes, None).ok()?;
    bytes.get(EPOCH)?.try_into().ok().map(u64::from_le_bytes)
}

/// First position at or after `from` where a frame may begin.
pub(crate) fn next_candidate(bytes: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    rest.windows(MAGIC.len()).position(|window| window == MAGIC).map(|found| from.saturating_add(found))
}

/// The bytes before a trailing CRC that matches them.
fn verified(bytes: &[u8]) -> Option<&[u8]> {
    let (covered, crc) = bytes.split_last_chunk::<CRC>()?;
    (crc32c::crc32c(covered) == u32::from_le_bytes(*crc)).then_some(covered)
}

/// Fixed-size fields from the front of a slice.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], NotAFrame> {
        let (field, rest) = self.0.split_first_chunk::<N>().ok_or(NotAFrame)?;
        self.0 = rest;
        Ok(*field)
    }

    fn u32(&mut self) -> Result<u32, NotAFrame> {
        self.take().map(u32::from_le_bytes)
    }
}

fn encode_positions(positions: &[u32]) -> Vec<u8> {
    let mut out = Vec::with_capacity(positions.len());
    let mut next = 0_u32;
    for &position in positions {
        let mut distance = position.wrapping_sub(next);
        next = position.wrapping_add(1);
        while distance >= 0x80 {
            out.push((distance & 0x7F) as u8 | 0x80);
            distance >>= 7;
        }
        out.push((distance & 0x7F) as u8);
    }
    out
}

fn decode_positions(bytes: &[u8], count: u32) -> Option<Vec<u32>> {
    let mut out = Vec::with_capacity((count as usize).min(bytes.len()));
    let mut bytes = bytes.iter();
    let mut next = 0_u32;
    for _ in 0..count {
        let position = next.wrapping_add(decode_number(&mut bytes)?);
        next = position.wrapping_add(1);
        out.push(position);
    }
    bytes.next().is_none().then_some(out)
}

fn decode_number<'a>(bytes: &mut impl Iterator<Item = &'a u8>) -> Option<u32> {
    let mut number = 0_u32;
    for shift in [0_u32, 7, 14, 21, 28] {
        let byte = *bytes.next()?;
        number |= u32::from(byte & 0x7F).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn format_byte(format: PayloadFormat) -> u8 {
    match format {
        PayloadFormat::Protobuf => 0,
        PayloadFormat::Json => 1,
    }
}

fn format_of(byte: u8) -> Result<PayloadFormat, NotAFrame> {
    match byte {
        0 => Ok(PayloadFormat::Protobuf),
        1 => Ok(PayloadFormat::Json),
        _ => Err(NotAFrame),
    }
}

fn compression_byte(compression: PayloadCompression) -> u8 {
    match compression {
        PayloadCompression::None => 0,
        PayloadCompression::Gzip => 1,
        PayloadCompression::Zstd => 2,
    }
}

fn compression_of(byte: u8) -> Result<PayloadCompression, NotAFrame> {
    match byte {
        0 => Ok(PayloadCompression::None),
        1 => Ok(PayloadCompression::Gzip),
        2 => Ok(PayloadCompression::Zstd),
        _ => Err(NotAFrame),
    }
}

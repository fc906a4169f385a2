//! From the bytes of a request to a [`SpanBatch`], span by span.
//!
//! Both readers borrow from the body and feed one `assemble::Assembler`. Three kinds of damage are told apart:
//! a span that can never be stored is rejected alone and named; something merely odd is repaired and leaves a bit in the
//! `anomalies` column; only a body whose spans cannot be told apart is an error for the whole request.
//!
//! A body is never expanded in memory: nothing is allocated per span beyond the Arrow columns, every count, depth
//! and length has a limit in [`Limits`], and what all columns together take comes out of a `Room`.

mod assemble;
mod attributes;
pub(super) mod json;
mod keys;
pub(crate) mod logs;
mod protobuf;
mod rejection;
mod replay;
mod span;
mod text;
mod value;

use daytwo_storage::{PayloadFormat, SpanBatch, StorageError, UnixNanos};

pub use rejection::{Reason, Rejections};
pub use replay::OtlpReplay;

use assemble::Assembler;

/// Limits of what one span may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Longest text or bytes value; longer ones are cut and flagged.
    pub value_bytes_max: usize,
    /// Most attributes, events or links of one span (at most 1,024); the rest is counted as dropped and flagged.
    pub items_max: usize,
    /// Largest span, resource or scope, encoded; a larger one is rejected, or all spans of it.
    pub span_bytes_max: usize,
    /// Deepest nesting of an attribute value; what lies deeper is cut and flagged.
    pub depth_max: usize,
    /// Seed of the hash that tells keys apart; a secret one keeps clients from choosing keys that collide. It changes no result.
    pub key_seed: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { value_bytes_max: 64 << 10, items_max: 1024, span_bytes_max: 1 << 20, depth_max: 16, key_seed: 0 }
    }
}

/// What a request held.
#[derive(Debug)]
pub struct Decoded {
    /// The accepted spans.
    pub batch: SpanBatch,
    /// Spans in the request, accepted or not.
    pub received: u32,
    /// Positions of the rejected spans in request order, ascending.
    pub rejected: Vec<u32>,
    /// Why they were rejected.
    pub reasons: Rejections,
}

/// Why a request cannot be decoded at all.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The body is not an `ExportTraceServiceRequest`; sending it again cannot help.
    #[error("body is not an OTLP trace export request: {0}")]
    Malformed(String),
    /// Its columns take more memory than is allowed for it; smaller requests may hold the same spans.
    #[error("the request takes more than {bytes_max} bytes of memory once it is decoded")]
    TooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// There is no memory for its columns now.
    #[error("no room for the decoded request")]
    NoRoom,
    /// The columns do not fit together, which is a bug here.
    #[error("cannot build the span batch")]
    Batch(#[from] StorageError),
}

/// Decodes the body of a protobuf request received at `received`.
///
/// # Errors
/// [`DecodeError::Malformed`] when the message's framing is damaged, so that spans cannot be told apart.
pub fn protobuf(body: &[u8], received: UnixNanos, limits: &Limits) -> Result<Decoded, DecodeError> {
    again(body, PayloadFormat::Protobuf, received, limits, &[])
}

/// Decodes the body of a JSON request received at `received`.
///
/// # Errors
/// [`DecodeError::Malformed`] when the document is not JSON, or its envelope is not a trace export request.
pub fn json(body: &[u8], received: UnixNanos, limits: &Limits) -> Result<Decoded, DecodeError> {
    again(body, PayloadFormat::Json, received, limits, &[])
}

/// The memory for the columns of a request.
pub(crate) struct Room<'r> {
    /// The most that they may take.
    pub(crate) bytes_max: usize,
    /// Takes so many bytes more; false when there are none now.
    pub(crate) take: &'r mut (dyn FnMut(usize) -> bool + 'r),
}

/// Decodes a body of either format within `room`.
pub(crate) fn within<'l>(
    body: &[u8],
    format: PayloadFormat,
    received: UnixNanos,
    limits: &'l Limits,
    room: Room<'l>,
) -> Result<Decoded, DecodeError> {
    read(body, format, Assembler::new(body.len(), received, limits, &[]).within(room))
}

/// Decodes a body of either format again, but for the spans at the positions in `skip`.
fn again(
    body: &[u8],
    format: PayloadFormat,
    received: UnixNanos,
    limits: &Limits,
    skip: &[u32],
) -> Result<Decoded, DecodeError> {
    read(body, format, Assembler::new(body.len(), received, limits, skip))
}

fn read<'a>(body: &'a [u8], format: PayloadFormat, mut into: Assembler<'a, '_>) -> Result<Decoded, DecodeError> {
    let malformed = |error: &dyn std::fmt::Display| DecodeError::Malformed(error.to_string());
    match format {
        PayloadFormat::Protobuf => protobuf::read_request(body, &mut into).map_err(|error| malformed(&error))?,
        PayloadFormat::Json => json::read_request(body, &mut into).map_err(|error| malformed(&error))?,
    }
    into.finish()
}

#[cfg(test)]
pub(super) mod tests;

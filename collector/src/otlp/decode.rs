//! From the bytes of a request to a [`SpanBatch`], span by span.
//!
//! Both readers borrow from the body and feed one `assemble::Assembler`. Three kinds of damage are told apart:
//! a span that can never be stored is rejected alone and named; something merely odd is repaired and leaves a bit in the
//! `anomalies` column; only a body whose spans cannot be told apart is an error for the whole request.
//!
//! A body is never expanded in memory: nothing is allocated per span beyond the Arrow columns, and every count, depth
//! and length has a limit in [`Limits`].

mod assemble;
mod attributes;
pub(super) mod json;
mod protobuf;
mod rejection;
mod replay;
mod span;
mod text;
mod value;

use daytwo_storage::{SpanBatch, StorageError, UnixNanos};

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
    /// Largest span, encoded; a larger one is rejected.
    pub span_bytes_max: usize,
    /// Deepest nesting of an attribute value; what lies deeper is cut and flagged.
    pub depth_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { value_bytes_max: 64 << 10, items_max: 1024, span_bytes_max: 1 << 20, depth_max: 16 }
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
    /// The columns do not fit together, which is a bug here.
    #[error("cannot build the span batch")]
    Batch(#[from] StorageError),
}

/// Decodes the body of a protobuf request received at `received`.
///
/// # Errors
/// [`DecodeError::Malformed`] when the message's framing is damaged, so that spans cannot be told apart.
pub fn protobuf(body: &[u8], received: UnixNanos, limits: &Limits) -> Result<Decoded, DecodeError> {
    protobuf_except(body, received, limits, &[])
}

/// Decodes the body of a JSON request received at `received`.
///
/// # Errors
/// [`DecodeError::Malformed`] when the document is not JSON, or its envelope is not a trace export request.
pub fn json(body: &[u8], received: UnixNanos, limits: &Limits) -> Result<Decoded, DecodeError> {
    json_except(body, received, limits, &[])
}

fn protobuf_except(body: &[u8], received: UnixNanos, limits: &Limits, skip: &[u32]) -> Result<Decoded, DecodeError> {
    let mut assembler = Assembler::new(received, limits, skip);
    protobuf::read_request(body, &mut assembler).map_err(|error| DecodeError::Malformed(error.to_string()))?;
    assembler.finish()
}

fn json_except(body: &[u8], received: UnixNanos, limits: &Limits, skip: &[u32]) -> Result<Decoded, DecodeError> {
    let mut assembler = Assembler::new(received, limits, skip);
    json::read_request(body, &mut assembler).map_err(|error| DecodeError::Malformed(error.to_string()))?;
    assembler.finish()
}

#[cfg(test)]
pub(super) mod tests;

//! [`OtlpReplay`]: decodes the frames that the store finds in its log at start.

use daytwo_storage::{Frame, PayloadCompression, Replay, SpanBatch};

use super::{Limits, again};
use crate::otlp::inflate::inflate;

/// Decodes frames again, to exactly the spans that were accepted.
#[derive(Debug, Clone, Default)]
pub struct OtlpReplay {
    limits: Limits,
}

impl OtlpReplay {
    /// With a secret for [`Limits::key_seed`].
    pub fn seeded(key_seed: u64) -> Self {
        Self { limits: Limits { key_seed, ..Limits::default() } }
    }

    /// Largest body of a frame. Frames were within the request limit of their day; this only bounds a damaged one.
    const BODY_BYTES_MAX: usize = 1 << 30;
}

impl Replay for OtlpReplay {
    fn decode(&self, frame: &Frame) -> Result<SpanBatch, String> {
        let inflated;
        let body: &[u8] = match frame.compression {
            PayloadCompression::None => &frame.payload,
            compression => {
                inflated = inflate(&frame.payload, compression, Self::BODY_BYTES_MAX, |_| true)
                    .map_err(|error| error.to_string())?;
                &inflated
            }
        };
        again(body, frame.format, frame.received, &self.limits, &frame.rejected)
            .map(|decoded| decoded.batch)
            .map_err(|error| error.to_string())
    }
}

//! Decompression within limits: of output, of memory for windows, and of what the byte budget has room for.

use std::io::Read;

use daytwo_storage::PayloadCompression;

/// Largest zstd window: 2^23 bytes, the most that RFC 9659 lets a sender ask of a receiver.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Output grows by at least this much at a time.
const STEP_BYTES: usize = 64 << 10;

/// Why a body was not decompressed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InflateError {
    /// It is damaged, or asks for a larger window than allowed.
    #[error("cannot decompress the body: {0}")]
    Malformed(#[from] std::io::Error),
    /// It holds more than the limit.
    #[error("the body is larger than {bytes_max} bytes after decompression")]
    TooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// The byte budget has no room for the output.
    #[error("no room for the decompressed body")]
    NoRoom,
}

/// Decompresses `payload` to at most `bytes_max` bytes. `reserve` is asked before the output grows by so many bytes.
pub(crate) fn inflate(
    payload: &[u8],
    compression: PayloadCompression,
    bytes_max: usize,
    mut reserve: impl FnMut(usize) -> bool,
) -> Result<Vec<u8>, InflateError> {
    match compression {
        PayloadCompression::None if payload.len() > bytes_max => Err(InflateError::TooLarge { bytes_max }),
        PayloadCompression::None => {
            if reserve(payload.len()) {
                Ok(payload.to_vec())
            } else {
                Err(InflateError::NoRoom)
            }
        }
        PayloadCompression::Gzip => {
            read_bounded(flate2::bufread::MultiGzDecoder::new(payload), payload.len(), bytes_max, &mut reserve)
        }
        PayloadCompression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(payload)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            read_bounded(decoder, payload.len(), bytes_max, &mut reserve)
        }
    }
}

fn read_bounded(
    mut decoder: impl Read,
    payload_len: usize,
    bytes_max: usize,
    reserve: &mut dyn FnMut(usize) -> bool,
) -> Result<Vec<u8>, InflateError> {
    let mut out: Vec<u8> = Vec::new();
    let mut filled = 0_usize;
    // OTLP compresses about eightfold; from there the buffer doubles.
    let mut step = payload_len.saturating_mul(8).max(STEP_BYTES);
    loop {
        if filled == out.len() {
            // One byte past the limit tells "full" from "too large".
            let target = out.len().saturating_add(step).min(bytes_max.saturating_add(1));
            if filled >= target {
                return Err(InflateError::TooLarge { bytes_max });
            }
            if !reserve(target.saturating_sub(filled)) {
                return Err(InflateError::NoRoom);
            }
            out.reserve_exact(target.saturating_sub(filled));
            out.resize(target, 0);
            step = target;
        }
        let read = match decoder.read(out.get_mut(filled..).unwrap_or_default()) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        if read == 0 {
            out.truncate(filled);
            return Ok(out);
        }
        filled = filled.saturating_add(read);
    }
}

#[cfg(test)]
mod tests;

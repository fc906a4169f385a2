//! Reading a request's body within the byte budget and within time.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout, timeout_at};

use super::status::{Refusal, Shed};
use crate::admission::Share;

/// How much is taken from the budget at a time when a body does not say how long it is.
const STEP_BYTES: usize = 256 << 10;

/// How long the rest of a refused body is read and thrown away, so that the client gets to read its answer.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Limits of reading one body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimits {
    /// Longest body.
    pub(crate) bytes_max: usize,
    /// Longest pause between two pieces.
    pub(crate) pause_max: Duration,
    /// Longest time for all of it.
    pub(crate) time_max: Duration,
}

/// Collects the pieces of one body.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    first: Bytes,
    joined: BytesMut,
}

impl Collected {
    pub(crate) fn len(&self) -> usize {
        self.first.len().max(self.joined.len())
    }

    /// The first `N` bytes, once they are there.
    pub(crate) fn head<const N: usize>(&self) -> Option<[u8; N]> {
        let bytes: &[u8] = if self.joined.is_empty() { &self.first } else { &self.joined };
        bytes.first_chunk::<N>().copied()
    }

    fn push(&mut self, piece: Bytes, expected: usize) {
        if self.len() == 0 {
            self.first = piece;
            return;
        }
        if self.joined.is_empty() {
            self.joined.reserve(expected.max(self.first.len().saturating_add(piece.len())));
            self.joined.extend_from_slice(&self.first);
        }
        self.joined.extend_from_slice(&piece);
    }

    pub(crate) fn into_bytes(self) -> Bytes {
        if self.joined.is_empty() { self.first } else { self.joined.freeze() }
    }
}

/// Reads `body` to its end. `length_of` tells its whole length as soon as the pieces so far show it; the budget is
/// taken for all of it then, and step by step before.
pub(crate) async fn read<B>(
    body: &mut B,
    limits: BodyLimits,
    share: &mut Share,
    length_of: impl Fn(&Collected) -> Result<Option<usize>, Refusal>,
) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let too_large = Refusal::TooLarge { bytes_max: limits.bytes_max };
    let started = Instant::now();
    let deadline = started.checked_add(limits.time_max).unwrap_or(started);
    let mut collected = Collected::default();
    let mut expected = 0;
    loop {
        if expected == 0 {
            expected = length_of(&collected)?.unwrap_or(0);
            if expected > limits.bytes_max {
                return Err(too_large);
            }
            if !share.prepare(expected.saturating_sub(collected.len())).await {
                return Err(Refusal::no_room());
            }
        }
        let Some(piece) = next_piece(body, limits, deadline).await? else { break };
        if collected.len().saturating_add(piece.len()) > limits.bytes_max {
            return Err(too_large);
        }
        let step = piece.len().max(STEP_BYTES);
        if !(share.try_spend(piece.len()) || share.prepare(step).await && share.try_spend(piece.len())) {
            return Err(Refusal::no_room());
        }
        collected.push(piece, expected);
    }
    Ok(collected.into_bytes())
}

async fn next_piece<B>(body: &mut B, limits: BodyLimits, deadline: Instant) -> Result<Option<Bytes>, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    loop {
        let frame = match timeout_at(deadline, timeout(limits.pause_max, body.frame())).await {
            Ok(Ok(frame)) => frame,
            Ok(Err(_)) | Err(_) => {
                return Err(Refusal::Shed(Shed::SlowBody, "the body came too slowly; send it again".to_owned()));
            }
        };
        match frame {
            None => return Ok(None),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(piece) if !piece.is_empty() => return Ok(Some(piece)),
                Ok(_) | Err(_) => {}
            },
            Some(Err(error)) => return Err(Refusal::Shed(Shed::SlowBody, format!("the body broke off: {error}"))),
        }
    }
}

/// Reads and throws away up to `bytes_max` more, so that a client that writes its whole body before it reads gets its answer.
pub(crate) async fn drain<B>(mut body: B, bytes_max: usize)
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut left = bytes_max;
    let pieces = async {
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            left = left.saturating_sub(length);
            if left == 0 {
                break;
            }
        }
    };
    timeout(DRAIN_TIMEOUT, pieces).await.unwrap_or_default();
}

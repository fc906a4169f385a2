//! Sending until there is an answer, within bounds.

use std::time::Duration;

use bytes::Bytes;
use rand::RngExt;
use rand::rngs::StdRng;
use tokio_util::sync::CancellationToken;

use super::{Answer, Exporter};

/// How often and how patiently a request is sent again. A server's own wish to wait is honoured up to `delay_max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all.
    pub attempts: u32,
    /// Delay before the second attempt; each further one waits half as long again.
    pub delay: Duration,
    /// Longest delay.
    pub delay_max: Duration,
}

impl Default for RetryPolicy {
    /// About 40 s in all, so that a server may restart meanwhile.
    fn default() -> Self {
        Self { attempts: 12, delay: Duration::from_millis(500), delay_max: Duration::from_secs(5) }
    }
}

/// A request's last answer and the number of attempts it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The last answer.
    pub answer: Answer,
    /// Attempts made, at least 1.
    pub attempts: u32,
    /// Whether an earlier attempt was lost, so that the collector may have seen the request twice.
    pub lost_before: bool,
}

/// Sends a prepared body until it is accepted or refused, the attempts are used up, or `stop` is cancelled.
///
/// # Cancel safety
/// Dropping the future gives the request up; the collector may or may not have it.
pub async fn send_until_answered(
    exporter: &Exporter,
    body: Bytes,
    policy: &RetryPolicy,
    rng: &mut StdRng,
    stop: &CancellationToken,
) -> Sent {
    let mut sent = Sent { answer: exporter.send(body.clone()).await, attempts: 1, lost_before: false };
    let mut delay = policy.delay;
    while sent.attempts < policy.attempts {
        let wish = match &sent.answer {
            Answer::Accepted { .. } | Answer::Refused { .. } => break,
            Answer::Retry { after, .. } => *after,
            Answer::Lost { .. } => None,
        };
        let pause = wish.unwrap_or(delay).clamp(Duration::from_millis(10), policy.delay_max);
        // Jitter keeps the exporters of a restarted server apart.
        let pause = pause.mul_f64(rng.random_range(1.0..1.3));
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(pause) => {}
        }
        delay = delay.mul_f64(1.5).min(policy.delay_max);
        let lost_before = sent.lost_before || matches!(sent.answer, Answer::Lost { .. });
        sent = Sent { answer: exporter.send(body.clone()).await, attempts: sent.attempts + 1, lost_before };
    }
    sent
}

//! What a run has to say.

use std::time::Duration;

use daytwo_traffic::export::{Answer, Sent};
use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::rounds::Prepared;
use daytwo_traffic::ledger::Outcome;

/// Counts and times of a run.
#[derive(Debug)]
pub(crate) struct Report {
    /// Spans in accepted requests, rejected ones left out.
    pub(crate) spans_acked: u64,
    spans_rejected: u64,
    requests: [u64; 4],
    retries: u64,
    otlp_bytes: u64,
    wire_bytes: u64,
    /// Time spent sending; encoding is not part of it.
    pub(crate) sending: Duration,
    /// Microseconds from sending (or from when it should have been sent, at a given rate) to the answer.
    ack_us: Histogram<u64>,
    last_error: Option<String>,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self {
            spans_acked: 0,
            spans_rejected: 0,
            requests: [0; 4],
            retries: 0,
            otlp_bytes: 0,
            wire_bytes: 0,
            sending: Duration::ZERO,
            ack_us: microseconds(),
            last_error: None,
        }
    }

    pub(crate) fn note(&mut self, request: &Prepared, sent: &Sent, took: Duration) {
        let outcome = Outcome::of(sent);
        self.requests[outcome as usize] += 1;
        self.retries += u64::from(sent.attempts - 1);
        match &sent.answer {
            Answer::Accepted { rejected_spans } => {
                self.spans_rejected += rejected_spans;
                self.spans_acked += request.spans.saturating_sub(*rejected_spans);
                self.otlp_bytes += request.otlp_bytes;
                self.wire_bytes += u64::try_from(request.body.len()).unwrap_or(u64::MAX);
                self.ack_us.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
            }
            Answer::Retry { reason, .. } | Answer::Refused { reason } | Answer::Lost { reason } => {
                self.last_error = Some(reason.clone());
            }
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        let seconds = self.sending.as_secs_f64().max(1e-9);
        let quantile = |q| as_f64(self.ack_us.value_at_quantile(q)) / 1e3;
        let [ack, nack, unknown, refused] = self.requests;
        json!({
            "spans_acked": self.spans_acked,
            "spans_rejected": self.spans_rejected,
            "requests": { "ack": ack, "nack": nack, "unknown": unknown, "refused": refused, "retries": self.retries },
            "sending_seconds": rounded(seconds),
            "spans_per_second": rounded(as_f64(self.spans_acked) / seconds),
            "otlp_mib_per_second": rounded(as_f64(self.otlp_bytes) / seconds / 1_048_576.0),
            "otlp_bytes_per_span": rounded(as_f64(self.otlp_bytes) / as_f64(self.spans_acked.max(1))),
            "wire_bytes_per_span": rounded(as_f64(self.wire_bytes) / as_f64(self.spans_acked.max(1))),
            "ack_ms": { "p50": quantile(0.5), "p90": quantile(0.9), "p99": quantile(0.99), "max": as_f64(self.ack_us.max()) / 1e3 },
            "last_error": self.last_error,
        })
    }
}

/// One microsecond to a minute, three significant digits.
pub(crate) fn microseconds() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("the bounds are constants that fit the precision")
}

/// Counts here stay far below 2^53.
#[expect(clippy::cast_precision_loss, reason = "a report's number, shown with three decimals")]
pub(crate) fn as_f64(number: u64) -> f64 {
    number as f64
}

/// Three decimals.
pub(crate) fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

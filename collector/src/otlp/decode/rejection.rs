//! Why spans were rejected: counted by reason, the first few named, and told to the client in one sentence.

use std::collections::BTreeMap;
use std::fmt::Write;

/// Why a span can never be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The span's own encoding is damaged.
    Malformed,
    /// The resource or scope that the span belongs to is damaged.
    MalformedGroup,
    /// The trace id is not 16 bytes, or all zero.
    InvalidTraceId,
    /// The span id is not 8 bytes, or all zero.
    InvalidSpanId,
    /// A JSON field holds a value of another type, or an unknown enum name.
    InvalidField,
    /// The span, its resource or its scope is larger than the limit.
    TooLarge,
}

impl Reason {
    /// The name under which it is counted.
    pub fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::MalformedGroup => "malformed_group",
            Self::InvalidTraceId => "invalid_trace_id",
            Self::InvalidSpanId => "invalid_span_id",
            Self::InvalidField => "invalid_field",
            Self::TooLarge => "too_large",
        }
    }

    /// What the sender has to change.
    fn advice(self) -> &'static str {
        match self {
            Self::Malformed => "the span's encoding is damaged",
            Self::MalformedGroup => "the encoding of the span's resource or scope is damaged",
            Self::InvalidTraceId => "trace_id must be 16 bytes (32 hex digits in JSON), not all zero",
            Self::InvalidSpanId => "span_id must be 8 bytes (16 hex digits in JSON), not all zero",
            Self::InvalidField => "a field holds a value that its type does not allow",
            Self::TooLarge => "the span, its resource or its scope is larger than the limit for one",
        }
    }
}

/// A rejected span, for the message.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Example {
    position: u32,
    reason: Reason,
    detail: String,
}

/// Rejected spans of one request, counted by reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rejections {
    counts: BTreeMap<Reason, u64>,
    examples: Vec<Example>,
}

impl Rejections {
    const EXAMPLES_MAX: usize = 5;
    const DETAIL_BYTES_MAX: usize = 200;

    /// Counts one span; `detail` is only asked for the first few.
    pub(super) fn add(&mut self, position: u32, reason: Reason, detail: impl FnOnce() -> String) {
        let count = self.counts.entry(reason).or_default();
        *count = count.saturating_add(1);
        if self.examples.len() < Self::EXAMPLES_MAX {
            let mut detail = detail();
            detail.truncate(detail.floor_char_boundary(Self::DETAIL_BYTES_MAX));
            self.examples.push(Example { position, reason, detail });
        }
    }

    /// Rejected spans.
    pub fn total(&self) -> u64 {
        self.counts.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Rejected spans by reason.
    pub fn counts(&self) -> impl Iterator<Item = (Reason, u64)> + '_ {
        self.counts.iter().map(|(reason, count)| (*reason, *count))
    }

    /// One English sentence for `partial_success.error_message`, below 4 KiB by construction: six reasons, five examples.
    pub fn message(&self, received: u32) -> String {
        let mut out = format!("{} of {received} spans rejected, the others are stored: ", self.total());
        for (index, (reason, count)) in self.counts().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            // Writing to a String cannot fail.
            write!(out, "{separator}{count} {} ({})", reason.name(), reason.advice()).unwrap_or_default();
        }
        for (index, example) in self.examples.iter().enumerate() {
            let separator = if index == 0 { ". First: " } else { "; " };
            let Example { position, reason, detail } = example;
            write!(out, "{separator}span {position} {} {detail}", reason.name()).unwrap_or_default();
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: a million rejections for every reason, with the longest details.
    /// Guarantees: the count is exact and the message stays below 4 KiB.
    #[test]
    fn message_is_bounded() {
        use Reason::{InvalidField, InvalidSpanId, InvalidTraceId, Malformed, MalformedGroup, TooLarge};
        let mut rejections = Rejections::default();
        for (position, reason) in [Malformed, MalformedGroup, InvalidTraceId, InvalidSpanId, InvalidField, TooLarge]
            .iter()
            .cycle()
            .take(60_000)
            .enumerate()
        {
            rejections.add(u32::try_from(position).unwrap(), *reason, || "é".repeat(500));
        }
        let message = rejections.message(60_001);
        assert_eq!(rejections.total(), 60_000);
        assert!(message.starts_with("60000 of 60001 spans rejected") && message.len() < 4096, "{message}");
        assert!(message.contains("10000 invalid_trace_id"));
    }
}

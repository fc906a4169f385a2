//! What a block of rows can be asked for: a trace, an attribute's value, a service, an operation, a status; each as
//! a number.
//!
//! Numbers are hashes, cut to [`TRACE_BITS`] and [`TERM_BITS`]. Two things that share one only cost a look at rows in
//! vain: every row found is compared in full before it counts.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::TraceId;

/// 2^40 against the five million traces of 100 M spans: one lookup in 200,000 reads rows in vain.
pub(super) const TRACE_BITS: u32 = 40;
/// 2^28 against the 200 million terms of 100 M spans' files: a search reads about one block in vain, 10 M spans a tenth.
pub(super) const TERM_BITS: u32 = 28;

/// A trace id as the index knows it. Hashed, since the ids that clients choose need not be random.
pub(super) fn trace_key(id: &[u8]) -> u64 {
    xxh3_64(id) >> (64 - TRACE_BITS)
}

/// As [`trace_key`].
pub(super) fn key_of(trace: &TraceId) -> u64 {
    trace_key(trace.as_bytes())
}

/// Something that a block of rows has or has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term(pub(super) u32);

/// The first half of an attribute's term, worked out once for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct KeyHash(pub(super) u64);

impl KeyHash {
    pub(super) fn of(key: &str) -> Self {
        Self(xxh3_64_with_seed(key.as_bytes(), 1))
    }

    /// The term of this attribute with `value`.
    pub(super) fn with(self, value: &str) -> Term {
        cut(xxh3_64_with_seed(value.as_bytes(), self.0))
    }
}

impl Term {
    /// The span or its resource has the attribute `key` with `value` as text.
    pub fn attribute(key: &str, value: &str) -> Self {
        KeyHash::of(key).with(value)
    }

    /// The span is of this service.
    pub fn service(name: &str) -> Self {
        Self::attribute("service.name", name)
    }

    /// The span has this name.
    pub fn operation(name: &str) -> Self {
        cut(xxh3_64_with_seed(name.as_bytes(), 2))
    }

    /// The span has this status code.
    pub fn status(code: i32) -> Self {
        cut(xxh3_64_with_seed(&code.to_le_bytes(), 3))
    }

    /// The span is of this service and has this name.
    pub fn service_operation(service: &str, name: &str) -> Self {
        Self::service(service).and(Self::operation(name))
    }

    /// The span is of this service and has this status code.
    pub fn service_status(service: &str, code: i32) -> Self {
        Self::service(service).and(Self::status(code))
    }

    /// One span has both.
    pub(super) fn and(self, other: Self) -> Self {
        cut(xxh3_64_with_seed(&other.0.to_le_bytes(), u64::from(self.0) | 1 << 32))
    }
}

fn cut(hash: u64) -> Term {
    Term(u32::try_from(hash >> (64 - TERM_BITS)).unwrap_or(0))
}

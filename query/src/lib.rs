//! SQL over spans, stitching, SLIs, SLOs and verdicts.

// The board knows storage only through this crate.
pub use daytwo_storage::{Clock, SpanId, StoreStatus, SystemClock, TraceId, UnixNanos};

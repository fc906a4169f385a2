//! Spans at rest.
//!
//! The write path, in the order in which a span takes it:
//!
//! 1. [`Store::append`] takes the received bytes and the decoded [`SpanBatch`].
//! 2. `wal` frames the bytes, writes them with those of other requests and calls `fdatasync` once for all.
//! 3. `buffer` takes the batch: from here every snapshot sees it. Only now is the caller answered.
//! 4. A flush writes buffered batches as Parquet, syncs file and folder, and commits them to the Delta log
//!    together with the WAL watermark they cover.
//! 5. The committed batches leave the buffer and the covered WAL segments go.
//!
//! This crate owns the span schema ([`schema`]) and the ids ([`id`]); it knows neither OTLP nor SQL.

pub mod batch;
mod buffer;
pub mod clock;
mod config;
mod dedup;
mod error;
mod flush;
mod fs;
pub mod id;
pub mod index;
mod lock;
mod parquet;
mod partition;
mod quarantine;
pub mod schema;
mod store;
mod table;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod wal;

pub use batch::SpanBatch;
pub use clock::{Clock, SystemClock, UnixNanos};
pub use config::StorageConfig;
pub use error::{Result, StorageError};
pub use id::{SpanId, TraceId};
pub use store::{
    Committed, DataFile, Frame, PayloadCompression, PayloadFormat, Pressure, Replay, Snapshot, Store, StoreStatus,
};

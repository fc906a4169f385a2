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

mod ballast;
pub mod batch;
mod buffer;
pub mod clock;
mod committer;
mod compaction;
mod config;
mod damage;
mod dedup;
mod disk;
mod document;
mod error;
#[cfg(debug_assertions)]
pub mod failpoint;
#[cfg(not(debug_assertions))]
mod failpoint;
mod flush;
mod fs;
pub mod id;
pub mod index;
mod latency;
mod lock;
pub mod object;
mod orphans;
mod parquet;
mod partition;
mod place;
mod quarantine;
mod repeats;
mod retention;
pub mod schema;
mod scrubber;
mod store;
mod table;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod vacuum;
mod wal;

pub use batch::SpanBatch;
pub use clock::{Clock, SystemClock, UnixNanos};
pub use compaction::CompactionStatus;
pub use config::{Ack, StorageConfig};
pub use disk::{DiskLevel, DiskStatus};
pub use document::{Document, DocumentFolder};
pub use error::{Result, StorageError};
pub use id::{SpanId, TraceId};
pub use latency::{Latencies, LatencyMeter};
pub use object::{Bucket, S3Access, Traffic};
pub use place::{DataFiles, DataReader, ReadCost};
pub use retention::RetentionStatus;
pub use scrubber::ScrubStatus;
pub use store::{
    Committed, DataFile, Frame, PayloadCompression, PayloadFormat, Pressure, Replay, Snapshot, Store, StoreStatus,
    Verified,
};
pub use vacuum::VacuumStatus;

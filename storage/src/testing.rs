//! What tests of this crate and of its users share: seeded spans, batches, frames and a replay that knows them.
//!
//! Everything here is a pure function of its arguments, so a failing test repeats from its seed. The generator
//! makes small traces that look like a shop: a root server span, clients below it, some errors, some odd values.

mod chaos;
mod log;
mod seeded;
mod span;

pub use chaos::{Chaos, ChaosStore};
pub use log::{frames_in, segment_with};
pub use seeded::{Seeded, SeededReplay, seeded_frame, span_batch, spans};
pub use span::{TestSpan, batch_of};

pub use crate::clock::ManualClock;
pub use crate::fs::Operation;
pub use crate::fs::faults::{FaultKind, Faults};

/// Settings of a store that does nothing by itself: tests say when it flushes, merges, lets go and looks for damage.
pub fn by_hand(data_dir: std::path::PathBuf) -> crate::StorageConfig {
    crate::StorageConfig {
        data_dir,
        flush_interval: std::time::Duration::from_secs(3600),
        wal_segment_bytes: 1 << 20,
        // Tests count the files of their flushes.
        compaction_target_bytes: 0,
        upkeep_interval: std::time::Duration::ZERO,
        scrub_bytes_per_second: 0,
        ..crate::StorageConfig::default()
    }
}

/// How data files are written, for benches that write them without a store.
pub fn file_options() -> parquet::arrow::arrow_writer::ArrowWriterOptions {
    crate::parquet::properties::options()
}

/// The knobs of data files, for benches that turn one of them.
pub fn file_properties() -> parquet::file::properties::WriterProperties {
    crate::parquet::properties::properties()
}

/// The bytes of the index of a file with these spans.
///
/// # Errors
/// [`crate::StorageError::Corrupt`] when a column is missing, which would be a bug of the decoder.
pub fn index_bytes<'a>(batches: impl IntoIterator<Item = &'a crate::SpanBatch>) -> crate::Result<usize> {
    crate::index::size_of_built(batches)
}

/// Makes a data folder with the Delta log of `minutes` of work: a commit a minute, a merge an hour, data files that only look
/// like some. Returns the number of commits.
///
/// # Errors
/// As a commit.
pub async fn log_of(data_dir: &std::path::Path, clock: &dyn crate::Clock, minutes: u64) -> crate::Result<u64> {
    crate::table::fixture::write(data_dir, clock, minutes).await
}

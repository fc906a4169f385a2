//! The stages without the store.

use std::io;

use bytes::Bytes;
use daytwo_collector::decode::{self, DecodeError, Limits};
use daytwo_storage::schema::memory_schema;
use daytwo_storage::testing::file_options;
use daytwo_storage::{SpanBatch, StorageError, UnixNanos};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use parquet::arrow::ArrowWriter;
use prost::Message;

use crate::store;

/// Why a stage failed.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// Our decoder refused a request of the corpus.
    #[error("cannot decode: {0}")]
    Decode(#[from] DecodeError),
    /// The generated decoder refused one.
    #[error("prost cannot decode: {0}")]
    Prost(#[from] prost::DecodeError),
    /// A Parquet file could not be written.
    #[error("cannot write Parquet: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// The store refused something.
    #[error("store: {0}")]
    Store(#[from] StorageError),
    /// The operating system refused something.
    #[error("cannot {action}: {source}")]
    Io {
        /// What was attempted.
        action: &'static str,
        /// What the operating system answered.
        source: io::Error,
    },
    /// A task of the bench was lost.
    #[error("a task ended early: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// A stage of ingestion; each does the work of the one before it, except the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// `prost` decodes the request into generated types.
    Prost,
    /// Our decoder turns the request into Arrow columns.
    Arrow,
    /// And they are written as Parquet, in memory, with the store's own settings: the ceiling.
    Parquet,
    /// And all of it through the store: hash, log with fdatasync, hot buffer, flush, Delta commit.
    Store,
}

/// What came out of a stage.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Done {
    pub(crate) spans: u64,
    pub(crate) written_bytes: u64,
}

impl Stage {
    /// All stages, in order.
    pub const ALL: [Self; 4] = [Self::Prost, Self::Arrow, Self::Parquet, Self::Store];

    /// What it does, in a few words.
    pub fn title(self) -> &'static str {
        match self {
            Self::Prost => "prost decode alone",
            Self::Arrow => "decode + Arrow",
            Self::Parquet => "decode + Arrow + Parquet zstd(1), the ceiling",
            Self::Store => "decode + store (WAL fdatasync, flush, commit)",
        }
    }

    pub(crate) fn run(self, bodies: &[Bytes]) -> Result<Done, BenchError> {
        match self {
            Self::Prost => prost_only(bodies),
            Self::Arrow => arrow_only(bodies),
            Self::Parquet => parquet_only(bodies),
            Self::Store => store::run(bodies),
        }
    }
}

/// When all requests of the benches are received, 2026-11-22T12:00:00Z.
pub const RECEIVED: UnixNanos = UnixNanos(1_795_348_800_000_000_000);

/// Files get as many spans as a flush of 128 MiB of columns gives them.
const FILE_SPANS: usize = 100_000;

fn prost_only(bodies: &[Bytes]) -> Result<Done, BenchError> {
    let mut done = Done::default();
    for body in bodies {
        let request = std::hint::black_box(ExportTraceServiceRequest::decode(body.as_ref())?);
        let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
        done.spans += scopes.map(|scope| count(scope.spans.len())).sum::<u64>();
    }
    Ok(done)
}

/// Decodes a request with our decoder.
///
/// # Errors
/// [`BenchError::Decode`].
pub fn to_arrow(body: &[u8]) -> Result<SpanBatch, BenchError> {
    Ok(decode::protobuf(body, RECEIVED, &Limits::default())?.batch)
}

fn arrow_only(bodies: &[Bytes]) -> Result<Done, BenchError> {
    let mut done = Done::default();
    for body in bodies {
        done.spans += count(std::hint::black_box(to_arrow(body)?).len());
    }
    Ok(done)
}

fn parquet_only(bodies: &[Bytes]) -> Result<Done, BenchError> {
    let mut done = Done::default();
    let mut waiting = Vec::new();
    let mut waiting_spans = 0;
    for body in bodies {
        let batch = to_arrow(body)?;
        waiting_spans += batch.len();
        waiting.push(batch);
        if waiting_spans >= FILE_SPANS {
            done.written_bytes += write_file(&waiting)?;
            done.spans += count(waiting_spans);
            waiting.clear();
            waiting_spans = 0;
        }
    }
    done.written_bytes += write_file(&waiting)?;
    done.spans += count(waiting_spans);
    Ok(done)
}

fn write_file(batches: &[SpanBatch]) -> Result<u64, BenchError> {
    if batches.is_empty() {
        return Ok(0);
    }
    let mut writer = ArrowWriter::try_new_with_options(Vec::new(), memory_schema(), file_options())?;
    for batch in batches {
        writer.write(batch.record_batch())?;
    }
    Ok(count(writer.into_inner()?.len()))
}

pub(crate) fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

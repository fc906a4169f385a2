//! What goes in and out of the store: plain values.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use crate::buffer::Generation;
use crate::index::Indexes;
use crate::object::Traffic;
use crate::place::DataFiles;
use crate::{
    CompactionStatus, DiskStatus, Latencies, RetentionStatus, ScrubStatus, SpanBatch, UnixNanos, VacuumStatus,
};

/// Encoding of a frame's payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayloadFormat {
    /// OTLP protobuf: an `ExportTraceServiceRequest`.
    Protobuf,
    /// OTLP JSON.
    Json,
}

/// Compression of a frame's payload, as the client sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayloadCompression {
    /// Not compressed.
    None,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

/// What the WAL keeps of a request: enough to decode the same spans again.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The request's body as received, compressed or not.
    pub payload: Bytes,
    /// Its encoding.
    pub format: PayloadFormat,
    /// Its compression.
    pub compression: PayloadCompression,
    /// 128-bit hash of the decompressed body; equal hashes within the window are one request.
    pub request_hash: u128,
    /// When the request was received.
    pub received: UnixNanos,
    /// Positions (in request order, over all resources and scopes) of spans that were refused, ascending.
    pub rejected: Vec<u32>,
}

/// Decodes a frame found in the WAL at start. The collector implements it; storage knows no OTLP.
pub trait Replay: Send + Sync {
    /// Decodes exactly the spans that were accepted: those not listed in `frame.rejected`.
    ///
    /// # Errors
    /// A message when the payload cannot be decoded at all; the frame is then set aside, not deleted.
    fn decode(&self, frame: &Frame) -> Result<SpanBatch, String>;
}

/// Proof that a request is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// Position of the request in the WAL.
    pub seq: u64,
    /// Whether an identical request had been accepted within the window; nothing was stored again.
    pub duplicate: bool,
}

/// How close the store is to its limits, for admission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pressure {
    /// Requests are welcome.
    Ready,
    /// Requests should be refused for now, as retryable.
    Busy {
        /// Why, in words for the client.
        reason: String,
    },
}

/// A committed data file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFile {
    /// Path below the table's folder, as in the Delta log (already URL-decoded).
    pub path: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Rows.
    pub rows: u64,
    /// Smallest and largest start time, when the log has them.
    pub start_range: Option<(i64, i64)>,
    /// The partition value `received_hour`.
    pub received_hour: String,
    /// xxh3-128 of its bytes, when the log has it: files of other writers come without.
    pub content_hash: Option<u128>,
}

/// One consistent view: no accepted span is missing, none stands twice.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Spans not yet in a file.
    pub buffered: Vec<SpanBatch>,
    /// Committed files.
    pub files: Arc<Vec<DataFile>>,
    /// Absolute folder of the Delta table; of a table in a store, that of files on their way.
    pub table_dir: PathBuf,
    /// Opens the files, wherever they are.
    pub data: DataFiles,
    /// Files that were set aside and are therefore missing from answers, with the reason.
    pub holes: Vec<String>,
    /// The indexes of the files.
    pub indexes: Indexes,
    /// Keeps the files on disk for as long as this snapshot, or a copy of it, is held.
    pub(super) _lease: Arc<Generation>,
}

/// Counters and states for `/metrics` and the status page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreStatus {
    /// Bytes of decoded spans in memory.
    pub buffer_bytes: u64,
    /// Spans in memory.
    pub buffer_spans: u64,
    /// Bytes of WAL segments on disk.
    pub wal_bytes: u64,
    /// Position of the last durable request.
    pub last_seq: u64,
    /// Committed data files.
    pub files: u64,
    /// Their bytes.
    pub file_bytes: u64,
    /// Their rows.
    pub file_rows: u64,
    /// Files set aside as damaged.
    pub quarantined_files: u64,
    /// Flushes done since start.
    pub flushes: u64,
    /// Flushes that failed since start.
    pub flush_failures: u64,
    /// Spans left out of flushes since start, since another one in the same flush says the same word for word.
    pub flush_repeats: u64,
    /// Set while writes are refused: why. May pass by itself.
    pub read_only: Option<String>,
    /// `fdatasync` calls of the log since start, by how long they took.
    pub wal_syncs: Latencies,
    /// Indexes made from their data files since start, since they were missing or damaged.
    pub indexes_made: u64,
    /// Indexes that could not be made since start; their files are scanned instead.
    pub index_failures: u64,
    /// What compaction did.
    pub compaction: CompactionStatus,
    /// What waits to be removed, and what was.
    pub vacuum: VacuumStatus,
    /// What was let go.
    pub retention: RetentionStatus,
    /// What the scrubber read.
    pub scrub: ScrubStatus,
    /// How full the disk is.
    pub disk: DiskStatus,
    /// What was asked of the store of objects, if the table is in one.
    pub object_store: Option<Traffic>,
}

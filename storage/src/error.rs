//! Why a storage call failed.

use std::path::PathBuf;

/// Result of a storage call.
pub type Result<T, E = StorageError> = std::result::Result<T, E>;

/// Why a storage call failed. [`StorageError::is_retryable`] says whether trying again can help.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The byte budget of the hot buffer is spent; nothing was written. Retry once a flush has freed room.
    #[error("storage is full: {used_bytes} of {limit_bytes} bytes wait to be flushed")]
    Full {
        /// Bytes held in the buffer and not yet flushed.
        used_bytes: u64,
        /// The configured `storage.buffer_bytes_max`.
        limit_bytes: u64,
    },
    /// The disk has no room for another WAL segment; nothing was written. Retry once there is room.
    #[error("disk is full: {path}")]
    DiskFull {
        /// The folder on the full file system.
        path: PathBuf,
    },
    /// The disk has not confirmed the write in time. Retry: an identical request waits for the outcome of the first.
    #[error("the disk has not confirmed a write for {} s", waited.as_secs())]
    Stalled {
        /// How long the caller waited.
        waited: std::time::Duration,
    },
    /// The store refuses writes after repeated I/O errors, or because it is closing; queries still work.
    #[error("storage takes no writes: {reason}")]
    ReadOnly {
        /// What led there.
        reason: String,
    },
    /// The request cannot be stored at any time, since it is over a fixed limit. Send it in smaller parts.
    #[error("request of {bytes} bytes is over the limit of {limit_bytes} bytes; send it in smaller parts")]
    TooLarge {
        /// Size of what the WAL would have to keep.
        bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// Another process holds the data folder's lock.
    #[error("data folder {path} is in use by another process; stop it or choose another --data-dir")]
    Locked {
        /// The data folder.
        path: PathBuf,
    },
    /// A file of ours cannot be read back. It was set aside; the others are unaffected.
    #[error("{path} is damaged: {reason}")]
    Corrupt {
        /// The damaged file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The operating system refused a file operation.
    #[error("cannot {action} {path}")]
    Io {
        /// What was attempted, as a verb.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the operating system answered.
        #[source]
        source: std::io::Error,
    },
    /// The store of objects cannot hold a table: its address makes no sense, or it lacks what commits need.
    #[error("cannot keep the table in {store}: {reason}")]
    Unfit {
        /// How the store is called.
        store: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The Delta table cannot be read or written.
    #[error("cannot {action} the Delta table")]
    Table {
        /// What was attempted, as a verb.
        action: &'static str,
        /// What the Delta library answered.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Arrow arrays do not fit together.
    #[error("arrow: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// A Parquet file cannot be written or read.
    #[error("parquet: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
}

impl StorageError {
    /// Whether the same call may succeed later without the caller changing anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Full { .. }
            | Self::DiskFull { .. }
            | Self::Stalled { .. }
            | Self::ReadOnly { .. }
            | Self::Io { .. } => true,
            Self::TooLarge { .. }
            | Self::Locked { .. }
            | Self::Corrupt { .. }
            | Self::Unfit { .. }
            | Self::Table { .. }
            | Self::Arrow(_)
            | Self::Parquet(_) => false,
        }
    }
}

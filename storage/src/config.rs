//! Settings of the store: plain values; components such as the clock are constructor arguments.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// When a request is answered as stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ack {
    /// Once it is in the write-ahead log, on the disk of the data folder.
    #[default]
    Local,
    /// Once it is in the store of objects that the table is in.
    Object,
}

impl Ack {
    /// As configurations call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Object => "object",
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Local, Self::Object].into_iter().find(|ack| ack.name() == name)
    }
}

/// Settings of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageConfig {
    /// Folder that holds everything: `wal/`, `spans/` (the Delta table), `quarantine/`.
    pub data_dir: PathBuf,
    /// Bytes of decoded spans held in memory, flushed or not; past it requests are refused (retryable).
    pub buffer_bytes_max: u64,
    /// A flush starts when this many bytes of decoded spans wait.
    pub flush_bytes: u64,
    /// A flush starts when the oldest waiting span is this old.
    pub flush_interval: Duration,
    /// Size of a WAL segment, preallocated.
    pub wal_segment_bytes: u64,
    /// How long the hash of an accepted request is remembered, restart included.
    pub dedup_window: Duration,
    /// Size that compaction brings files to; 0 turns it off.
    pub compaction_target_bytes: u64,
    /// Row groups of fewer rows are encoded again when their file is compacted; the others are copied.
    pub compaction_keep_rows: u64,
    /// How often it is looked whether files are to be merged, let go or removed; zero does so only when asked.
    pub upkeep_interval: Duration,
    /// How long other engines may still read a file that counts no more.
    pub vacuum_after: Duration,
    /// How long spans are kept after their reception; zero keeps them.
    pub retention: Duration,
    /// Services whose spans are kept for another time; zero keeps them.
    pub retention_by_service: BTreeMap<String, Duration>,
    /// Percent of the disk that may be in use before the oldest spans go; 0 looks at no disk.
    pub retention_disk_percent: u8,
    /// How often every file is read and compared with its hash; zero never does.
    pub scrub_interval: Duration,
    /// Bytes a second that are read for it at most.
    pub scrub_bytes_per_second: u64,
    /// Bytes of the local copies of sidecars of a table in a store.
    pub index_cache_bytes: u64,
    /// When a request is answered as stored; [`Ack::Object`] needs a store of objects.
    pub ack: Ack,
    /// With [`Ack::Object`], how long requests are gathered for one round.
    pub ack_linger: Duration,
}

impl StorageConfig {
    /// 1 GiB: a start reads a segment into memory as a whole, and two of them must be free on the disk for one to be made.
    pub const WAL_SEGMENT_BYTES_MAX: u64 = 1 << 30;
    /// The largest request that the log takes.
    pub const REQUEST_BYTES_MAX: usize = crate::wal::frame::PAYLOAD_BYTES_MAX;
}

impl Default for StorageConfig {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("daytwo-data"),
            buffer_bytes_max: 512 << 20,
            flush_bytes: 128 << 20,
            flush_interval: Duration::from_secs(60),
            wal_segment_bytes: 128 << 20,
            dedup_window: Duration::from_secs(600),
            compaction_target_bytes: 128 << 20,
            compaction_keep_rows: 16 << 10,
            upkeep_interval: Duration::from_secs(1),
            vacuum_after: Duration::from_secs(3600),
            retention: Duration::from_secs(30 * 86_400),
            retention_by_service: BTreeMap::new(),
            retention_disk_percent: 0,
            scrub_interval: Duration::from_secs(7 * 86_400),
            scrub_bytes_per_second: 19 << 20,
            index_cache_bytes: 1 << 30,
            ack: Ack::Local,
            ack_linger: Duration::from_millis(200),
        }
    }
}

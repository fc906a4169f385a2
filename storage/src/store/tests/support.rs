//! A store in a temporary folder, and a model of what it must hold.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::schema::col;
use crate::testing::{Faults, ManualClock, SeededReplay, by_hand, seeded_frame, spans};
use crate::{Clock, Committed, Result, Snapshot, StorageConfig, StorageError, Store, UnixNanos};

/// 2023-11-14T22:13:20Z.
pub(super) const START: UnixNanos = UnixNanos(1_700_000_000_000_000_000);

/// What tells a span, as far as these tests care: trace id, span id, start, service, operation.
pub(super) type Key = (Vec<u8>, Vec<u8>, i64, String, String);

/// How often each span was found or is expected.
pub(super) type Counts = BTreeMap<Key, u64>;

/// A data folder with a clock; the store in it comes and goes.
pub(super) struct Home {
    _folder: tempfile::TempDir,
    pub(super) clock: Arc<ManualClock>,
    pub(super) config: StorageConfig,
}

impl Home {
    pub(super) fn new() -> Self {
        Self::below(&std::env::temp_dir())
    }

    /// On a file system in memory, where a sync costs nothing: for those whose power cuts are simulated.
    pub(super) fn in_memory() -> Self {
        let memory = std::path::Path::new("/dev/shm");
        if memory.is_dir() { Self::below(memory) } else { Self::new() }
    }

    fn below(parent: &std::path::Path) -> Self {
        let folder = tempfile::tempdir_in(parent).unwrap();
        let config = StorageConfig {
            buffer_bytes_max: 64 << 20,
            flush_bytes: 32 << 20,
            wal_segment_bytes: 8 << 10,
            ..by_hand(folder.path().join("data"))
        };
        Self { _folder: folder, clock: Arc::new(ManualClock::at(START)), config }
    }

    /// Opens the folder, waiting for a store that is on its way out.
    pub(super) async fn open(&self) -> Arc<Store> {
        self.open_with(Arc::new(Faults::default())).await.unwrap()
    }

    pub(super) async fn open_with(&self, faults: Arc<Faults>) -> Result<Arc<Store>> {
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        loop {
            let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as Arc<dyn Clock>;
            let opened =
                Store::open_with_faults(self.config.clone(), clock, Arc::new(SeededReplay), Arc::clone(&faults)).await;
            if !matches!(opened, Err(StorageError::Locked { .. })) || std::time::Instant::now() > deadline {
                return opened;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Waits until the last thread of a dropped store is gone.
    pub(super) async fn until_unlocked(&self) {
        let fs = crate::fs::Fs::default();
        while self.config.data_dir.is_dir()
            && matches!(
                crate::lock::FolderLock::exclusive(&fs, &self.config.data_dir),
                Err(StorageError::Locked { .. })
            )
        {
            tokio::task::yield_now().await;
        }
    }

    pub(super) async fn open_read_only(&self) -> Result<Arc<Store>> {
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as Arc<dyn Clock>;
        Store::open_read_only(self.config.clone(), clock, Arc::new(SeededReplay)).await
    }

    pub(super) fn wal_files(&self) -> Vec<std::path::PathBuf> {
        files_below(&self.config.data_dir.join("wal"))
    }

    pub(super) fn data_files(&self) -> Vec<std::path::PathBuf> {
        let mut all = files_below(&self.config.data_dir.join("spans"));
        all.retain(|path| !path.to_string_lossy().contains("_delta_log"));
        all
    }

    pub(super) fn quarantined(&self) -> Vec<std::path::PathBuf> {
        files_below(&self.config.data_dir.join("quarantine"))
    }
}

/// Waits until it holds, or fails after 20 s.
pub(super) async fn eventually(holds: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "it never came to hold");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// As [`eventually`], for what must be awaited.
pub(super) async fn eventually_async(holds: impl AsyncFn() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(std::time::Instant::now() < deadline, "it never came to hold");
    }
}

fn files_below(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { out.extend(files_below(&path)) } else { out.push(path) }
    }
    out.sort();
    out
}

pub(super) async fn append(store: &Store, seed: u64, rows: u32) -> Result<Committed> {
    let (frame, batch) = seeded_frame(seed, rows, START);
    store.append(frame, batch).await
}

/// What requests of these seeds and row counts hold.
pub(super) fn expected(requests: impl IntoIterator<Item = (u64, u32)>) -> Counts {
    expected_at(requests, START)
}

/// As [`expected`], received at another time.
pub(super) fn expected_at(requests: impl IntoIterator<Item = (u64, u32)>, received: UnixNanos) -> Counts {
    let mut counts = Counts::new();
    for (seed, rows) in requests {
        for span in spans(seed, rows as usize, received) {
            let ids = (span.trace_id().as_bytes().to_vec(), span.span_id().as_bytes().to_vec());
            let start = i64::try_from(span.start).unwrap();
            *counts.entry((ids.0, ids.1, start, span.service, span.name)).or_default() += 1;
        }
    }
    counts
}

/// Everything in a snapshot, files read with the plain Parquet reader.
pub(super) fn found(snapshot: &Snapshot) -> Counts {
    let mut counts = Counts::new();
    for batch in &snapshot.buffered {
        count(batch.record_batch(), &mut counts);
    }
    for file in snapshot.files.iter() {
        for batch in read_file(&snapshot.table_dir.join(&file.path)) {
            count(&batch, &mut counts);
        }
    }
    counts
}

pub(super) fn read_file(path: &std::path::Path) -> Vec<RecordBatch> {
    let file = std::fs::File::open(path).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    reader.map(Result::unwrap).collect()
}

pub(super) fn count(batch: &RecordBatch, counts: &mut Counts) {
    let column = |name: &str| batch.column_by_name(name).unwrap();
    let (traces, ids) = (column(col::TRACE_ID).as_binary::<i32>(), column(col::SPAN_ID).as_binary::<i32>());
    let starts = column(col::START).as_primitive::<Int64Type>();
    let services = arrow::compute::cast(column(col::SERVICE_NAME), &arrow::datatypes::DataType::Utf8).unwrap();
    let (services, names) = (services.as_string::<i32>(), column(col::NAME).as_string::<i32>());
    for row in 0..batch.num_rows() {
        let ids = (traces.value(row).to_vec(), ids.value(row).to_vec());
        let key = (ids.0, ids.1, starts.value(row), services.value(row).to_owned(), names.value(row).to_owned());
        *counts.entry(key).or_default() += 1;
    }
    assert_eq!(traces.null_count(), 0);
}

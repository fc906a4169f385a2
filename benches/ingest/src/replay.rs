//! How long a start takes after a crash: a log full of requests that are in no file, opened again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use daytwo_collector::OtlpReplay;
use daytwo_storage::testing::ManualClock;
use daytwo_storage::{StorageConfig, StorageError, Store};

use crate::Requests;
use crate::stage::{BenchError, RECEIVED};
use crate::store;

/// How long the threads of a store that was dropped may need to end.
const ENDS_WITHIN: Duration = Duration::from_secs(60);

/// What one start took.
#[derive(Debug, Clone, Copy)]
pub struct Replayed {
    /// Bytes of the log.
    pub wal_bytes: u64,
    /// Spans brought back.
    pub spans: u64,
    /// From the call until requests and queries are served.
    pub ready: Duration,
}

/// Fills a log, drops the store as a crash would, and opens the folder again.
///
/// # Errors
/// What kept the store from doing its work.
pub fn replay(requests: &Requests) -> Result<Replayed, BenchError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|source| BenchError::Io { action: "start a runtime", source })?;
    runtime.block_on(fill_and_open(requests))
}

async fn fill_and_open(requests: &Requests) -> Result<Replayed, BenchError> {
    let folder = tempfile::tempdir().map_err(|source| BenchError::Io { action: "make a folder", source })?;
    let config = StorageConfig {
        data_dir: folder.path().join("data"),
        buffer_bytes_max: 1 << 40,
        flush_bytes: 1 << 39,
        ..StorageConfig::default()
    };
    let store = open(&config).await?;
    store::append_all(&store, &requests.bodies).await?;
    let wal_bytes = requests.bytes;
    drop(store);
    let dropped = Instant::now();
    let (store, ready) = loop {
        let began = Instant::now();
        match open(&config).await {
            Ok(store) => break (store, began.elapsed()),
            Err(StorageError::Locked { .. }) if dropped.elapsed() < ENDS_WITHIN => tokio::task::yield_now().await,
            Err(error) => return Err(error.into()),
        }
    };
    Ok(Replayed { wal_bytes, spans: store.status().buffer_spans, ready })
}

async fn open(config: &StorageConfig) -> Result<Arc<Store>, StorageError> {
    Store::open(config.clone(), Arc::new(ManualClock::at(RECEIVED)), Arc::new(OtlpReplay::default())).await
}

//! A store in a temporary folder with an engine over it.

use std::sync::Arc;

use arrow::array::RecordBatch;
use daytwo_query::{NoEngineTables, QueryConfig, QueryEngine, QueryError, answer};
use daytwo_storage::clock::ManualClock;
use daytwo_storage::testing::{Chaos, ChaosStore, SeededReplay, TestSpan, batch_of, by_hand, seeded_frame, spans};
use daytwo_storage::{Bucket, Clock, Frame, PayloadCompression, PayloadFormat, StorageConfig, Store, UnixNanos};
use futures::StreamExt;
use serde_json::Value;
use tempfile::TempDir;

/// 2026-11-22T10:30:00Z.
pub(crate) const RECEIVED: UnixNanos = UnixNanos(1_795_343_400_000_000_000);

pub(crate) struct World {
    _dir: TempDir,
    pub(crate) store: Arc<Store>,
    pub(crate) engine: Arc<QueryEngine>,
    pub(crate) clock: Arc<ManualClock>,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut QueryConfig)) -> Self {
        Self::over(|_| {}, change).await
    }

    /// A world whose store and engine are set up otherwise.
    pub(crate) async fn over(store: impl FnOnce(&mut StorageConfig), change: impl FnOnce(&mut QueryConfig)) -> Self {
        Self::somewhere(None, store, change).await
    }

    /// A world with an empty folder whose table is in a store of objects.
    pub(crate) async fn in_store(chaos: &Arc<Chaos>) -> Self {
        let bucket = Bucket::new(ChaosStore::new(chaos), "table", "s3://test/table").unwrap();
        Self::somewhere(Some(bucket.with_pause(std::time::Duration::ZERO)), |_| {}, |_| {}).await
    }

    async fn somewhere(
        bucket: Option<Bucket>,
        store: impl FnOnce(&mut StorageConfig),
        change: impl FnOnce(&mut QueryConfig),
    ) -> Self {
        let dir = TempDir::new().unwrap();
        let mut stored = by_hand(dir.path().join("data"));
        // A clock that stands still: nothing grows old enough to be flushed by itself.
        let hand = Arc::new(ManualClock::at(RECEIVED));
        let clock: Arc<dyn Clock> = Arc::clone(&hand) as Arc<dyn Clock>;
        store(&mut stored);
        let (time, replay) = (Arc::clone(&clock), Arc::new(SeededReplay));
        let opened = match &bucket {
            None => Store::open(stored, time, replay).await,
            Some(bucket) => Store::open_in(bucket, stored, time, replay).await,
        };
        let store = opened.unwrap();
        let mut config = QueryConfig { spill_dir: dir.path().join("spill"), partitions: 2, ..QueryConfig::default() };
        change(&mut config);
        let engine = QueryEngine::new(config, Arc::clone(&store), clock, Arc::new(NoEngineTables)).unwrap();
        Self { _dir: dir, clock: hand, store, engine }
    }

    /// Stores the seeded spans of `seed` and gives them back.
    pub(crate) async fn seed(&self, seed: u64, rows: u32) -> Vec<TestSpan> {
        let (frame, batch) = seeded_frame(seed, rows, RECEIVED);
        self.store.append(frame, batch).await.unwrap();
        spans(seed, rows as usize, RECEIVED)
    }

    /// Stores these spans.
    pub(crate) async fn add(&self, spans: &[TestSpan]) {
        let payload = format!("{spans:?}").into_bytes();
        let hash = payload.iter().fold(7_u128, |hash, &byte| hash.wrapping_mul(1_000_003) ^ u128::from(byte));
        let frame = Frame {
            payload: payload.into(),
            format: PayloadFormat::Protobuf,
            compression: PayloadCompression::None,
            request_hash: hash,
            received: RECEIVED,
            rejected: Vec::new(),
        };
        self.store.append(frame, batch_of(RECEIVED, spans)).await.unwrap();
    }

    pub(crate) async fn flush(&self) {
        self.store.flush().await.unwrap();
        let snapshot = self.store.snapshot();
        assert!(snapshot.buffered.is_empty(), "a flush empties the buffer");
    }

    pub(crate) async fn batches(&self, sql: &str) -> Result<Vec<RecordBatch>, QueryError> {
        self.engine.sql(sql).await?.collect().await
    }

    /// The answer as JSON rows.
    pub(crate) async fn rows(&self, sql: &str) -> Vec<Vec<Value>> {
        let document = self.document(sql).await;
        serde_json::from_value(document["rows"].clone()).unwrap()
    }

    /// The whole JSON answer.
    pub(crate) async fn document(&self, sql: &str) -> Value {
        let answer = self.engine.sql(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let mut pieces = answer::encode(answer, answer::Format::Json);
        let mut text = Vec::new();
        while let Some(piece) = pieces.next().await {
            text.extend_from_slice(&piece.unwrap_or_else(|error| panic!("{sql}: {error}")));
        }
        serde_json::from_slice(&text)
            .unwrap_or_else(|error| panic!("{sql}: {error}: {}", String::from_utf8_lossy(&text)))
    }

    /// The one value of an answer.
    pub(crate) async fn value(&self, sql: &str) -> Value {
        self.rows(sql).await.remove(0).remove(0)
    }

    /// Waits until no query runs. A query that ends while it is being planned keeps its slot until the plan is made.
    pub(crate) async fn idle(&self) {
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
        while self.engine.status().running > 0 {
            assert!(tokio::time::Instant::now() < deadline, "a slot did not come back");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    /// The plan, as EXPLAIN shows it.
    pub(crate) async fn explain(&self, sql: &str) -> String {
        let rows = self.rows(&format!("EXPLAIN ANALYZE {sql}")).await;
        rows.iter().map(|row| row[1].as_str().unwrap()).collect::<Vec<&str>>().join("\n")
    }
}

//! The traffic model against the real receivers and the real store, in one process.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use daytwo_collector::{Collector, CollectorConfig, OtlpReplay, Surroundings};
use daytwo_storage::schema::col;
use daytwo_storage::testing::ManualClock;
use daytwo_storage::{SpanBatch, StorageConfig, Store, UnixNanos};
use daytwo_traffic::export::{Endpoints, RetryPolicy};
use daytwo_traffic::{ShopConfig, demo_scenario, run_shop};
use tokio_util::sync::CancellationToken;

const START: u64 = 1_795_348_800_000_000_000;

/// Scenario: the demo's shop, twenty times as fast, through gRPC, HTTP, gzip and JSON into a store.
/// Guarantees: nothing is rejected or dropped; the store has every acked span once, from all services, and finds
/// nothing odd about any.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shop_arrives_whole() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(UnixNanos(i64::try_from(START).unwrap() + 3_600_000_000_000)));
    let config = StorageConfig { data_dir: folder.path().join("data"), ..StorageConfig::default() };
    let store = Store::open(config, Arc::clone(&clock) as _, Arc::new(OtlpReplay::default())).await.unwrap();
    let any = "127.0.0.1:0".parse().unwrap();
    let config = CollectorConfig { grpc_addr: any, http_addr: any, ..CollectorConfig::default() };
    let collector = Collector::bind(config, Surroundings::default(), Arc::clone(&store), clock).await.unwrap();
    let endpoints = Endpoints::new(&collector.grpc_addr().to_string(), &collector.http_addr().to_string()).unwrap();
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(collector.serve(shutdown.clone()));

    let reads = AtomicU64::new(0);
    let now = Arc::new(move || START + reads.fetch_add(1, Ordering::SeqCst) * 1_000_000_000);
    let stop = CancellationToken::new();
    let retry = RetryPolicy { delay: Duration::from_millis(20), ..RetryPolicy::default() };
    let shop = ShopConfig { retry, ..ShopConfig::new(endpoints, demo_scenario()) };
    let mut shop = run_shop(shop, now, stop.clone()).unwrap();
    let busy = shop.progress.wait_for(|progress| progress.spans_acked > 10_000);
    tokio::time::timeout(Duration::from_secs(120), busy).await.unwrap().unwrap();
    stop.cancel();
    shop.closed.await.unwrap();
    shutdown.cancel();
    serving.await.unwrap();

    let progress = shop.progress.borrow().clone();
    assert_eq!((progress.spans_rejected, progress.spans_dropped), (0, 0), "{progress:?}");
    let buffered = store.snapshot().buffered;
    let stored: usize = buffered.iter().map(SpanBatch::len).sum();
    assert_eq!(u64::try_from(stored).unwrap(), progress.spans_acked);
    assert_eq!(distinct_span_ids(&buffered), stored);
    assert_eq!(services(&buffered).len(), 12);
    assert!(
        buffered.iter().all(|batch| column(batch, col::ANOMALIES)
            .as_primitive::<Int64Type>()
            .values()
            .iter()
            .all(|&bits| bits == 0))
    );
    store.close().await.unwrap();
}

fn column<'b>(batch: &'b SpanBatch, name: &str) -> &'b arrow::array::ArrayRef {
    batch.record_batch().column_by_name(name).unwrap()
}

fn distinct_span_ids(batches: &[SpanBatch]) -> usize {
    let ids = batches.iter().flat_map(|batch| column(batch, col::SPAN_ID).as_binary::<i32>().iter().flatten());
    ids.collect::<HashSet<_>>().len()
}

fn services(batches: &[SpanBatch]) -> HashSet<String> {
    let dictionaries = batches.iter().map(|batch| column(batch, col::SERVICE_NAME).as_any_dictionary().values());
    dictionaries.flat_map(|values| values.as_string::<i32>().iter().flatten().map(str::to_owned)).collect()
}

//! Questions about a table in a store of objects: the same answers, with few requests.

use std::collections::BTreeSet;

use arrow::array::RecordBatch;
use daytwo_query::TraceSearch;
use daytwo_storage::TraceId;
use daytwo_storage::testing::{Chaos, TestSpan};

use crate::harness::{RECEIVED, World};

/// Three files of 600 spans, and a trace with a span in the first and one in the last.
async fn three_files(world: &World) -> (Vec<TestSpan>, TraceId) {
    let mut all = Vec::new();
    for seed in 1..=3 {
        all.extend(world.seed(seed, 600).await);
        if seed != 2 {
            let across = TestSpan::new(77, seed).at(u64::try_from(RECEIVED.0).unwrap());
            world.add(std::slice::from_ref(&across)).await;
            all.push(across);
        }
        world.flush().await;
    }
    (all, TestSpan::new(77, 1).trace_id())
}

/// Scenario: another machine, whose disk is empty, looks up a trace that two of three files have, again and then an unknown one.
/// Guarantees: each index is read with one request, once; each file that has the trace costs one request, for the trace's pages, from the first
/// time on; the answer says so; an unknown id costs nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lookup_costs_one_request_for_each_file_that_has_the_trace() {
    let chaos = Chaos::calm();
    let writer = World::in_store(&chaos).await;
    let (_, trace) = three_files(&writer).await;
    writer.store.close().await.unwrap();
    let world = World::in_store(&chaos).await;
    let unknown = TraceId::from_bytes(&[0xEE; 16]).unwrap();
    chaos.watch_reads_of("index/");
    world.engine.trace_spans(unknown).await.unwrap();
    assert_eq!(chaos.watched_reads(), 3);
    chaos.watch_reads_of("spans/received_hour");
    let nothing = world.engine.trace_spans(unknown).await.unwrap();
    assert_eq!((nothing.stats.files_scanned, nothing.stats.data_requests, chaos.watched_reads()), (0, 0, 0));
    for _ in 0..2 {
        chaos.watch_reads_of("spans/received_hour");
        let found = world.engine.trace_spans(trace).await.unwrap();
        assert_eq!((found.batch.num_rows(), found.stats.files_total, found.stats.files_scanned), (2, 3, 2));
        assert_eq!((found.stats.data_requests, chaos.watched_reads()), (2, 2));
        assert!(found.stats.data_bytes > 0 && found.partial.is_empty());
    }
    chaos.watch_reads_of("index/");
    world.engine.trace_spans(trace).await.unwrap();
    world.engine.catalogue().await.unwrap();
    assert_eq!(chaos.watched_reads(), 0);
}

/// Scenario: every trace looked up, counts and filters in SQL, searches, names; on the machine that wrote and on an empty one.
/// Guarantees: what was stored, each time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_those_of_a_local_table() {
    let (chaos, local) = (Chaos::calm(), World::new().await);
    let writer = World::in_store(&chaos).await;
    let (all, _) = three_files(&writer).await;
    three_files(&local).await;
    let count = "SELECT service_name, count(*), min(duration_time_unix_nano) FROM spans GROUP BY 1 ORDER BY 1";
    let slow = "SELECT count(*) FROM spans WHERE status_code = 2 AND service_name = 'cart'";
    let search = TraceSearch { service: Some("cart".to_owned()), limit: 5, ..TraceSearch::default() };
    for world in [writer, World::in_store(&chaos).await] {
        for sql in [count, slow] {
            assert_eq!(world.rows(sql).await, local.rows(sql).await, "{sql}");
        }
        for trace in all.iter().map(TestSpan::trace_id).collect::<BTreeSet<TraceId>>() {
            let found = world.engine.trace_spans(trace).await.unwrap();
            let expected = all.iter().filter(|span| span.trace_id() == trace).count();
            assert_eq!((found.batch.num_rows(), found.partial.len()), (expected, 0), "{trace}");
        }
        let ids = async |world: &World| -> Vec<TraceId> {
            let found = world.engine.search(search.clone()).await.unwrap();
            found.traces.iter().map(|trace| trace.trace_id).collect()
        };
        assert_eq!(ids(&world).await, ids(&local).await);
        let (names, expected) = (world.engine.catalogue().await.unwrap(), local.engine.catalogue().await.unwrap());
        assert_eq!(names.catalogue, expected.catalogue);
    }
}

/// Scenario: the store gives no answer for a while.
/// Guarantees: a lookup says which files it lacks and that they cannot be read now, SQL does so or fails; nothing is set aside; once the store is back,
/// answers are whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_say_what_they_lack_while_the_store_is_down() {
    let chaos = Chaos::calm();
    let world = World::in_store(&chaos).await;
    let (all, trace) = three_files(&world).await;
    chaos.set_down(true);
    let found = world.engine.trace_spans(trace).await.unwrap();
    assert_eq!(found.batch.num_rows(), 0);
    assert_eq!(found.partial.len(), 2, "{:?}", found.partial);
    assert!(found.partial.iter().all(|line| line.contains("cannot be read now")), "{:?}", found.partial);
    if let Ok(batches) = world.batches("SELECT name FROM spans").await {
        assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 0);
    }
    chaos.set_down(false);
    assert!(world.store.snapshot().holes.is_empty());
    assert_eq!(world.engine.trace_spans(trace).await.unwrap().batch.num_rows(), 2);
    assert_eq!(world.value("SELECT count(*) FROM spans").await, all.len().to_string());
}

//! Traces and spans by id.

use std::collections::BTreeSet;

use arrow::array::{Array, AsArray, RecordBatch};
use daytwo_query::spans::sql_schema;
use daytwo_storage::testing::TestSpan;
use daytwo_storage::{SpanId, TraceId};

use crate::harness::{RECEIVED, World};

fn span_ids(batch: &RecordBatch) -> BTreeSet<Vec<u8>> {
    let ids = batch.column_by_name("span_id").unwrap().as_binary_view();
    (0..ids.len()).map(|row| ids.value(row).to_vec()).collect()
}

/// Scenario: five files and a buffer, traces spread over all of them, every trace looked up; then unknown ids.
/// Guarantees: exactly the spans that were stored, in the columns of SQL; unknown ids give nothing and read nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_trace_is_found_whole() {
    let world = World::new().await;
    let mut all = Vec::new();
    for seed in 1..=5 {
        all.extend(world.seed(seed, 400).await);
        // A trace whose spans lie in every file.
        let across = TestSpan::new(77, seed).at(u64::try_from(RECEIVED.0).unwrap());
        world.add(std::slice::from_ref(&across)).await;
        all.push(across);
        world.flush().await;
    }
    all.extend(world.seed(6, 300).await);
    for trace in all.iter().map(TestSpan::trace_id).collect::<BTreeSet<TraceId>>() {
        let found = world.engine.trace_spans(trace).await.unwrap();
        let mine = all.iter().filter(|span| span.trace_id() == trace);
        let expected: BTreeSet<Vec<u8>> = mine.map(|span| span.span_id().as_bytes().to_vec()).collect();
        assert_eq!(span_ids(&found.batch), expected, "{trace}");
        assert_eq!(found.batch.schema(), sql_schema());
        assert_eq!((found.truncated, found.partial.len(), found.stats.files_total), (false, 0, 5));
    }
    let unknown = world.engine.trace_spans(TraceId::from_bytes(&[0xEE; 16]).unwrap()).await.unwrap();
    assert_eq!((unknown.batch.num_rows(), unknown.stats.files_scanned), (0, 0));
}

/// Scenario: the same trace asked by lookup and by SQL, from files.
/// Guarantees: the same rows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lookup_equals_sql() {
    let world = World::new().await;
    let spans = world.seed(3, 600).await;
    world.flush().await;
    let trace = spans[10].trace_id();
    let found = world.engine.trace_spans(trace).await.unwrap();
    let sql = format!("SELECT * FROM spans WHERE trace_id = trace_id('{trace}')");
    let rows: usize = world.batches(&sql).await.unwrap().iter().map(RecordBatch::num_rows).sum();
    assert_eq!(found.batch.num_rows(), rows);
    let name = |batch: &RecordBatch| batch.column_by_name("name").unwrap().as_string_view().value(0).to_owned();
    let detail = world.engine.span_detail(trace, spans[10].span_id()).await.unwrap();
    assert_eq!((detail.batch.num_rows(), name(&detail.batch)), (1, spans[10].name.clone()));
    let none = world.engine.span_detail(trace, SpanId::from_bytes(&[9; 8]).unwrap()).await.unwrap();
    assert_eq!(none.batch.num_rows(), 0);
}

/// Scenario: a trace longer than the limit, in buffer and files.
/// Guarantees: cut at the limit and marked; one that is exactly as long is whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_traces_are_cut_and_marked() {
    for flushed in [false, true] {
        let world = World::with(|config| config.trace_spans_max = 100).await;
        let spans = |trace: u128, count: u64| (1..=count).map(|n| TestSpan::new(trace, n)).collect::<Vec<TestSpan>>();
        world.add(&spans(1, 101)).await;
        world.add(&spans(2, 100)).await;
        if flushed {
            world.flush().await;
        }
        for (trace, truncated) in [(1, true), (2, false)] {
            let id = TestSpan::new(trace, 1).trace_id();
            let found = world.engine.trace_spans(id).await.unwrap();
            assert_eq!((found.batch.num_rows(), found.truncated), (100, truncated));
        }
    }
}

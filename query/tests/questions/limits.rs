//! Rows, bytes, time, memory, slots: each limit holds and says so.

use std::time::Duration;

use daytwo_query::QueryError;
use serde_json::json;

use crate::harness::World;

/// A question that cannot end in time: each join multiplies the rows.
const ENDLESS: &str =
    "SELECT count(*) FROM spans a, spans b, spans c, spans d WHERE a.kind + b.kind + c.kind + d.kind = 1";

/// Scenario: more rows than the limit, exactly as many, and fewer.
/// Guarantees: only the first is cut and marked, at the limit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_limited() {
    let world = World::with(|config| config.answer_rows_max = 100).await;
    world.seed(1, 300).await;
    for (asked, given, truncated) in [(99, 99, false), (100, 100, false), (101, 100, true), (300, 100, true)] {
        let document = world.document(&format!("SELECT name FROM spans LIMIT {asked}")).await;
        assert_eq!(document["rows"].as_array().unwrap().len(), given);
        assert_eq!((&document["row_count"], &document["truncated"]), (&json!(given), &json!(truncated)));
    }
    assert_eq!(world.engine.status().running, 0);
}

/// Scenario: an answer of more bytes than allowed.
/// Guarantees: cut near the limit and marked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_are_limited() {
    let world = World::with(|config| config.answer_bytes_max = 20_000).await;
    world.seed(1, 300).await;
    let document = world.document("SELECT repeat(name, 100) FROM spans").await;
    let bytes: usize = document["rows"].as_array().unwrap().iter().map(|row| row[0].as_str().unwrap().len()).sum();
    assert_eq!(document["truncated"], json!(true));
    assert!((1..=40_000).contains(&bytes), "{bytes}");
}

/// Scenario: a question that would run for years, with 200 ms.
/// Guarantees: stopped, reported as a timeout, its slot free again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_is_limited() {
    let world = World::with(|config| config.timeout = Duration::from_millis(200)).await;
    world.seed(1, 2_000).await;
    assert!(matches!(world.batches(ENDLESS).await.unwrap_err(), QueryError::Timeout { .. }));
    world.idle().await;
    assert_eq!(world.engine.status().failed, 1);
}

/// Scenario: the same on one partition, where no exchange stands between the joins and the aggregate; then with a client that leaves.
/// Guarantees: stopped as well, in both cases, and the thread is free again.
#[tokio::test]
async fn one_partition_gives_way() {
    let world = World::with(|config| {
        config.timeout = Duration::from_millis(200);
        config.partitions = 1;
    })
    .await;
    world.seed(1, 2_000).await;
    assert!(matches!(world.batches(ENDLESS).await.unwrap_err(), QueryError::Timeout { .. }));
    let left = tokio::time::timeout(Duration::from_millis(50), world.engine.sql(ENDLESS)).await;
    assert!(left.is_err(), "it cannot end in time");
    world.idle().await;
    let status = world.engine.status();
    assert_eq!((status.failed, status.cancelled), (1, 1));
}

/// Scenario: more groups than fit in the memory that queries may use, histograms among them.
/// Guarantees: an error that names the limit, or an answer by way of the disk; the engine works on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_is_limited() {
    let world = World::with(|config| {
        config.memory_bytes_max = 2 << 20;
        config.spill_bytes_max = 1 << 20;
    })
    .await;
    world.seed(1, 20_000).await;
    let sql = "SELECT a.span_id, hdr_histogram(b.duration_time_unix_nano) FROM spans a JOIN spans b USING (service_name) \
               GROUP BY a.span_id ORDER BY 2";
    let error = world.batches(sql).await.unwrap_err();
    assert!(matches!(error, QueryError::OutOfMemory { limit_bytes: 2_097_152, .. }), "{error:?}");
    assert_eq!(world.value("SELECT count(*) FROM spans").await, json!("20000"));
}

/// Scenario: one slot; an answer is begun and not read, another question waits, and the answer is dropped.
/// Guarantees: the waiting question is answered, and the dropped one counts as cancelled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_an_answer_frees_its_slot() {
    let world = World::with(|config| config.running_max = 1).await;
    world.seed(1, 20_000).await;
    world.flush().await;
    let answer = world.engine.sql("SELECT * FROM spans").await.unwrap();
    assert_eq!(world.engine.status().running, 1);
    let engine = std::sync::Arc::clone(&world.engine);
    let waiting = tokio::spawn(async move { engine.sql("SELECT 1").await.unwrap().collect().await.unwrap().len() });
    tokio::task::yield_now().await;
    drop(answer);
    assert_eq!(waiting.await.unwrap(), 1);
    assert_eq!(world.engine.status().cancelled, 1);
}

/// Scenario: one slot and no queue; a question comes while another runs, which is then given up.
/// Guarantees: refused at once as overloaded; after the other's future is dropped the slot comes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_house_refuses_and_a_cancelled_question_leaves() {
    let world = World::with(|config| {
        config.running_max = 1;
        config.waiting_max = 0;
    })
    .await;
    world.seed(1, 2_000).await;
    let engine = std::sync::Arc::clone(&world.engine);
    let endless = tokio::spawn(async move { engine.sql(ENDLESS).await.map(drop) });
    while world.engine.status().running == 0 {
        tokio::task::yield_now().await;
    }
    assert!(matches!(world.batches("SELECT 1").await.unwrap_err(), QueryError::Overloaded { running: 1, .. }));
    endless.abort();
    assert!(endless.await.unwrap_err().is_cancelled());
    world.idle().await;
    assert!(world.batches("SELECT 1").await.is_ok());
}

/// Scenario: thirty-two questions at once over eight slots, while spans arrive and are flushed.
/// Guarantees: every answer is a count that was true at some moment, and all are answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_run_beside_ingestion() {
    let world = World::new().await;
    world.seed(1, 500).await;
    let questions = (0..32).map(|_| {
        let engine = std::sync::Arc::clone(&world.engine);
        tokio::spawn(async move {
            let sql = "SELECT a.n, b.n FROM (SELECT count(*) AS n FROM spans) a, (SELECT count(*) AS n FROM spans) b";
            let batches = engine.sql(sql).await.unwrap().collect().await.unwrap();
            let number = |column: usize| {
                use arrow::array::AsArray;
                batches[0].column(column).as_primitive::<arrow::datatypes::Int64Type>().value(0)
            };
            (number(0), number(1))
        })
    });
    let questions: Vec<_> = questions.collect();
    for seed in 2..6 {
        world.seed(seed, 500).await;
        world.store.flush().await.unwrap();
    }
    for question in questions {
        let (a, b) = question.await.unwrap();
        assert_eq!(a, b, "two mentions of spans in one statement see one snapshot");
        assert!(a % 500 == 0 && (500..=2_500).contains(&a), "{a}");
    }
}

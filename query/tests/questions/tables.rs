//! The tables answer the same whether spans are buffered, filed, or both.

use std::collections::{BTreeMap, BTreeSet};

use daytwo_query::spans::sql_schema;
use daytwo_storage::testing::TestSpan;
use serde_json::{Value, json};

use crate::harness::{RECEIVED, World};

/// One statement for each kind of column and each way to read it.
const STATEMENTS: &[&str] = &[
    "SELECT count(*) FROM spans",
    "SELECT * FROM spans ORDER BY span_id",
    "SELECT service_name, service_version, count(*), sum(duration_time_unix_nano) FROM spans GROUP BY 1, 2 ORDER BY 1, 2",
    "SELECT hex(trace_id), hex(parent_span_id) FROM spans WHERE status_code = 2 ORDER BY span_id",
    "SELECT received_hour, count(*) FROM spans GROUP BY 1",
    "SELECT attr(attributes, 'tenant') AS tenant, count(*) FROM spans GROUP BY 1 ORDER BY 1",
    "SELECT attr(attributes, 'http.response.status_code'), count(*) FROM spans GROUP BY 1 ORDER BY 1",
    "SELECT attribute_types, count(*) FROM spans GROUP BY 1 ORDER BY 1",
    "SELECT events, http_request_method FROM spans WHERE events IS NOT NULL ORDER BY span_id LIMIT 7",
    "SELECT name FROM spans WHERE duration_time_unix_nano > 150000000 ORDER BY start_time_unix_nano DESC, span_id LIMIT 5",
    "SELECT anomalies, raw_end_time_unix_nano - start_time_unix_nano FROM spans WHERE anomalies <> 0 ORDER BY span_id",
    "SELECT count(*) FROM spans a JOIN spans b ON a.trace_id = b.trace_id AND a.span_id = b.parent_span_id",
    "SELECT * FROM traces ORDER BY trace_id",
    "SELECT caller, callee, environment, calls, errors, hdr_quantile(latency, 0.5) FROM edges ORDER BY 1, 2",
    "SELECT service_name, hdr_quantile(hdr_histogram(duration_time_unix_nano), 0.99) FROM spans GROUP BY 1 ORDER BY 1",
    "SELECT span_kind(kind), count(*) FROM spans GROUP BY 1 ORDER BY 1",
    "SELECT * FROM slis",
    "SELECT id FROM slos UNION ALL SELECT service FROM deployments UNION ALL SELECT service FROM verdicts",
];

async fn answers(world: &World) -> Vec<Vec<Vec<Value>>> {
    let mut answers = Vec::new();
    for sql in STATEMENTS {
        answers.push(world.rows(sql).await);
    }
    answers
}

/// Scenario: the same spans in the buffer, then half in files and half in the buffer, then all in files.
/// Guarantees: every table, column kind and function answers the same at each stage.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn buffer_and_files_answer_alike() {
    let buffered = World::new().await;
    let mixed = World::new().await;
    for world in [&buffered, &mixed] {
        world.seed(1, 900).await;
        world.seed(2, 700).await;
    }
    let expected = answers(&buffered).await;
    let half = World::new().await;
    half.seed(1, 900).await;
    half.flush().await;
    half.seed(2, 700).await;
    mixed.flush().await;
    for (sql, (expected, (half, filed))) in
        STATEMENTS.iter().zip(expected.iter().zip(answers(&half).await.iter().zip(answers(&mixed).await.iter())))
    {
        assert_eq!(half, expected, "half filed: {sql}");
        assert_eq!(filed, expected, "filed: {sql}");
    }
}

/// Scenario: counts and sums over seeded spans in files.
/// Guarantees: they equal those of a loop over the spans.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sums_equal_a_naive_model() {
    let world = World::new().await;
    let spans = world.seed(7, 1_000).await;
    world.flush().await;
    let mut model: BTreeMap<&str, (u64, u64, u64)> = BTreeMap::new();
    for span in &spans {
        let of = model.entry(&span.service).or_default();
        of.0 += 1;
        of.1 += u64::from(span.status == 2);
        of.2 += span.end.saturating_sub(span.start);
    }
    let expected: Vec<Vec<Value>> = model
        .into_iter()
        .map(|(service, (count, errors, ns))| {
            vec![json!(service), json!(count.to_string()), json!(errors.to_string()), json!(ns.to_string())]
        })
        .collect();
    let sql = "SELECT service_name, count(*), count(*) FILTER (WHERE status_code = 2), sum(duration_time_unix_nano) \
               FROM spans GROUP BY 1 ORDER BY 1";
    assert_eq!(world.rows(sql).await, expected);
}

/// Scenario: a trace of two services with a root, one with a missing parent.
/// Guarantees: `traces` and `edges` say what is true of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traces_and_edges_are_derived() {
    let world = World::new().await;
    let at = u64::try_from(RECEIVED.0).unwrap();
    world
        .add(&[
            TestSpan::new(1, 10).service("web").name("GET /").at(at).lasting(100),
            TestSpan::new(1, 11).parent(10).service("web").name("call").kind(3).at(at + 10).lasting(50),
            TestSpan::new(1, 12).parent(11).service("cart").name("add").at(at + 20).lasting(20).error(),
            TestSpan::new(2, 20).parent(99).service("cart").name("add").at(at + 500).lasting(7),
        ])
        .await;
    let sql = "SELECT hex(trace_id), root_service, root_operation, duration_ns, spans, errors, services, orphans \
               FROM traces ORDER BY trace_id";
    let id = |last: char| json!(format!("{}{last}", "0".repeat(31)));
    assert_eq!(
        world.rows(sql).await,
        vec![
            vec![id('1'), json!("web"), json!("GET /"), json!("100"), json!("3"), json!("1"), json!("2"), json!("0")],
            vec![id('2'), Value::Null, Value::Null, json!("7"), json!("1"), json!("0"), json!("1"), json!("1")],
        ]
    );
    let sql =
        "SELECT caller, callee, environment, calls, errors, hdr_quantile(latency, 0.5), hdr_count(latency) FROM edges";
    let row = vec![json!("web"), json!("cart"), json!(""), json!("1"), json!("1"), json!("20"), json!("1")];
    assert_eq!(world.rows(sql).await, vec![row]);
}

/// Scenario: every column of `spans` is described and selected.
/// Guarantees: SQL shows the columns of the schema, no more and no fewer, in its order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_are_those_of_the_schema() {
    let world = World::new().await;
    let expected: Vec<String> = sql_schema().fields().iter().map(|field| field.name().clone()).collect();
    let document = world.document("SELECT * FROM spans").await;
    let shown: Vec<&str> =
        document["columns"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(shown, expected);
    let described = world.rows("DESCRIBE spans").await;
    assert_eq!(described.len(), expected.len());
    assert_eq!(shown.iter().collect::<BTreeSet<_>>().len(), shown.len());
}

/// Scenario: files of several hours, and questions by time, by hour, by trace id and by a column with statistics.
/// Guarantees: EXPLAIN shows that files and row groups are left out and that filters reach the scan.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn explain_shows_pruning_and_pushdown() {
    let world = World::new().await;
    let at = u64::try_from(RECEIVED.0).unwrap();
    for file in 0..4_u64 {
        let spans: Vec<TestSpan> =
            (1..50).map(|n| TestSpan::new(u128::from(file * 100 + n), n).at(at + file * 1_000_000)).collect();
        world.add(&spans).await;
        world.flush().await;
    }
    let files = |plan: &str| plan.matches(".parquet").count();
    let all = world.explain("SELECT name FROM spans").await;
    assert_eq!(files(&all), 4, "{all}");
    let one = world.explain(&format!("SELECT name FROM spans WHERE start_time_unix_nano >= {}", at + 3_000_000)).await;
    assert_eq!(files(&one), 1, "{one}");
    let none = world.explain("SELECT name FROM spans WHERE received_hour = '1999-01-01T00'").await;
    assert_eq!(files(&none), 0, "{none}");
    let by_id = world.explain(&format!("SELECT name FROM spans WHERE trace_id = trace_id('{:032x}')", 205)).await;
    assert_eq!(files(&by_id), 1, "{by_id}");
    assert!(by_id.contains("predicate=trace_id"), "{by_id}");
}

//! Statements written to harm: each is refused with one sentence or answered in bounds, and the engine works on.

use daytwo_query::QueryError;
use serde_json::json;

use crate::harness::World;

/// Refused before anything is read, each with `bad_request` or `too_large`.
const REFUSED: &[&str] = &[
    "",
    ";",
    "-- nothing",
    "SELEC 1",
    "SELECT",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE spans",
    "INSERT INTO spans VALUES (1)",
    "INSERT INTO spans SELECT * FROM spans",
    "UPDATE spans SET name = 'x'",
    "DELETE FROM spans",
    "TRUNCATE TABLE spans",
    "MERGE INTO spans USING traces ON 1 = 1 WHEN MATCHED THEN DELETE",
    "CREATE TABLE t AS SELECT 1",
    "CREATE TABLE t (a INT)",
    "CREATE VIEW v AS SELECT 1",
    "CREATE SCHEMA s",
    "CREATE DATABASE d",
    "CREATE FUNCTION f() RETURNS INT RETURN 1",
    "CREATE INDEX i ON spans (name)",
    "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
    "CREATE EXTERNAL TABLE t (a INT) STORED AS PARQUET LOCATION 'file:///tmp/'",
    "CREATE UNBOUNDED EXTERNAL TABLE t STORED AS CSV LOCATION '/dev/zero'",
    "COPY spans TO '/tmp/out.csv'",
    "COPY (SELECT 1) TO 'file:///tmp/out.parquet' STORED AS PARQUET",
    "DROP TABLE spans",
    "DROP VIEW traces",
    "DROP SCHEMA public",
    "ALTER TABLE spans ADD COLUMN a INT",
    "GRANT ALL ON spans TO public",
    "REVOKE ALL ON spans FROM public",
    "SET datafusion.execution.batch_size = 1",
    "SET datafusion.catalog.information_schema = true",
    "RESET datafusion.execution.batch_size",
    "SHOW TABLES",
    "SHOW ALL",
    "SHOW datafusion.execution.batch_size",
    "SHOW COLUMNS FROM spans",
    "SHOW FUNCTIONS",
    "USE other",
    "BEGIN",
    "START TRANSACTION",
    "COMMIT",
    "ROLLBACK",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "DEALLOCATE p",
    "DECLARE c CURSOR FOR SELECT 1",
    "CALL f()",
    "KILL 1",
    "VACUUM",
    "ANALYZE TABLE spans",
    "LOCK TABLES spans READ",
    "LOAD DATA INPATH '/tmp' INTO TABLE spans",
    "UNLOAD (SELECT 1) TO 's3://b'",
    "ATTACH DATABASE '/tmp/x' AS x",
    "INSTALL httpfs",
    "LOAD 'httpfs'",
    "PRAGMA table_info(spans)",
    "EXPLAIN INSERT INTO spans VALUES (1)",
    "EXPLAIN ANALYZE DELETE FROM spans",
    "EXPLAIN COPY spans TO '/tmp/out.csv'",
    "SELECT * INTO t FROM spans",
    "SELECT * FROM spans FOR UPDATE",
    "SELECT * FROM (INSERT INTO spans VALUES (1)) x",
    "WITH x AS (DELETE FROM spans RETURNING *) SELECT * FROM x",
    "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n) SELECT * FROM n",
    "SELECT * FROM generate_series(1, 1000000000000)",
    "SELECT * FROM range(1, 1000000000000)",
    "SELECT unnest(generate_series(1, 1000000000))",
    "SELECT unnest(range(1, 1000000000))",
    "SELECT array_repeat(1, 1000000000)",
    "SELECT array_resize([1], 1000000000, 0)",
    "SELECT repeat('x', 1000000000)",
    "SELECT rpad('x', 1000000000, 'y')",
    "SELECT lpad('x', 1000000000, 'y')",
    "SELECT repeat(repeat(repeat('x', 10000), 10000), 10000)",
    "SELECT replace(repeat('a', 1000000), 'a', repeat('b', 1000000))",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM 'file:///etc/passwd'",
    "SELECT * FROM \"/tmp/x.parquet\"",
    "SELECT * FROM read_parquet('/tmp/x.parquet')",
    "SELECT * FROM parquet_metadata('/tmp/x.parquet')",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM pg_catalog.pg_tables",
    "SELECT * FROM other.public.spans",
    "SELECT * FROM nowhere",
    "SELECT nothing FROM spans",
    "SELECT nope(1)",
    "SELECT uuid()",
    "SELECT levenshtein(repeat('a', 60000000), repeat('b', 60000000))",
    "SELECT input_file_name() FROM spans",
    "SELECT hdr_quantile(X'DEADBEEF', 0.5)",
    "SELECT hdr_quantile(hdr_histogram(1), 2)",
    "SELECT hdr_merge(X'00')",
    "SELECT hdr_histogram(name) FROM spans",
    "SELECT trace_id('xyz')",
    "SELECT $1",
    "SELECT @@version",
    "SELECT 1/0",
    "SELECT CAST('x' AS BIGINT)",
];

/// Scenario: every statement of the list, one after the other.
/// Guarantees: each is refused as the client's fault, in one line without our names inside, and a question is answered
/// afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_statements_are_refused() {
    let world = World::new().await;
    world.seed(1, 50).await;
    world.flush().await;
    let mut wrong = Vec::new();
    for sql in REFUSED {
        match world.batches(sql).await {
            Ok(_) => wrong.push(format!("answered: {sql}")),
            Err(error) => {
                let text = error.to_string();
                let fault = matches!(error.code(), "bad_request" | "too_large");
                if !fault || text.contains('\n') || text.trim().is_empty() || text.contains("DataFusion") {
                    wrong.push(format!("{sql}: {} {text}", error.code()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(world.value("SELECT count(*) FROM spans").await, json!("50"));
}

/// Statements that are as deep or as wide as the limits let through, and beyond.
fn deep(operators: usize) -> Vec<String> {
    let chain = |first: &str, link: &str| format!("{first}{}", link.repeat(operators));
    vec![
        format!("SELECT {}", chain("1", "+1")),
        format!("SELECT {} FROM spans", chain("kind", "+kind")),
        format!("SELECT {} FROM spans", chain("name", "||name")),
        format!("SELECT count(*) FROM spans WHERE {}", chain("kind = 1", " OR kind = 2")),
        format!("SELECT count(*) FROM spans WHERE {}", chain("kind <> 1", " AND kind <> 2")),
        format!("SELECT {} FROM spans", chain("kind", "::INT")),
        format!("SELECT {}", chain("TRUE", " IS TRUE")),
        format!("SELECT {} 1", "- ".repeat(operators)),
        format!("SELECT {} TRUE", "NOT ".repeat(operators)),
        format!("SELECT {}1{}", "(".repeat(operators), ")".repeat(operators)),
        format!("SELECT {}1{}", "abs(".repeat(operators), ")".repeat(operators)),
        format!("SELECT {}1{}", "CASE WHEN TRUE THEN ".repeat(operators), " END".repeat(operators)),
        format!("SELECT {}1{}", "[".repeat(operators), "]".repeat(operators)),
        format!("SELECT * FROM {}spans{}", "(SELECT * FROM ".repeat(operators), ")".repeat(operators)),
        chain("SELECT 1", " UNION ALL SELECT 1"),
        chain("SELECT 1 FROM spans a", ", spans a"),
        chain("SELECT 1 FROM spans a0", " JOIN spans USING (trace_id)"),
        format!("SELECT count(*) FROM spans WHERE kind IN ({})", chain("1", ",2")),
        format!("SELECT {}", chain("1", ",2")),
    ]
}

/// Scenario: chains and nests of every construct that makes trees, at 100, 490, 2,000 and 20,000 levels.
/// Guarantees: each is answered or refused; none ends the process, and none is our fault.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deep_statements_do_not_end_the_process() {
    let world = World::new().await;
    world.seed(1, 20).await;
    for levels in [100, 490, 2_000, 20_000] {
        for sql in deep(levels) {
            if let Err(error) = world.batches(&sql).await {
                let (code, start) = (error.code(), sql.chars().take(60).collect::<String>());
                assert!(matches!(code, "bad_request" | "too_large"), "{levels} {start}: {code} {error}");
            }
        }
    }
    assert_eq!(world.value("SELECT count(*) FROM spans").await, json!("20"));
}

/// Scenario: CTEs that each name the one before twice, thirty deep; then the same shape four deep, and a CTE that has the
/// name of a table.
/// Guarantees: the first is refused before planning, the others are answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doubling_ctes_are_counted() {
    let world = World::new().await;
    world.seed(1, 5).await;
    let doubling = |depth: usize| {
        let steps = (1..=depth).map(|n| format!(", c{n} AS (SELECT a.kind FROM c{} a, c{} b)", n - 1, n - 1));
        format!(
            "WITH c0 AS (SELECT kind FROM spans LIMIT 1){} SELECT count(*) FROM c{depth}",
            steps.collect::<String>()
        )
    };
    let refused = world.batches(&doubling(30)).await.unwrap_err();
    assert!(matches!(refused, QueryError::TooLarge { .. }), "{refused}");
    assert_eq!(world.value(&doubling(4)).await, json!("1"));
    let own_name = "WITH spans AS (SELECT * FROM spans WHERE kind = 2) SELECT count(*) FROM spans WHERE kind <> 2";
    assert_eq!(world.value(own_name).await, json!("0"));
}

/// Scenario: lists and structs doubled through forty subqueries.
/// Guarantees: refused before memory grows with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doubling_lists_are_bounded() {
    let world = World::new().await;
    world.seed(1, 5).await;
    for double in ["array_concat(x, x, x, x)", "array_union(x, x)", "make_array(x, x)", "struct(x, x)"] {
        let steps = (1..=40).map(|n| format!(", c{n} AS (SELECT {double} AS x FROM c{})", n - 1)).collect::<String>();
        let sql = format!("WITH c0 AS (SELECT make_array(kind, flags) AS x FROM spans){steps} SELECT x FROM c40");
        if let Err(error) = world.batches(&sql).await {
            assert!(matches!(error.code(), "bad_request" | "too_large"), "{double}: {} {error}", error.code());
        }
    }
}

/// Scenario: a hundred and one sources without a name in one FROM, directly and within a CTE.
/// Guarantees: refused before planning: each is a join.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nameless_sources_are_counted() {
    let world = World::new().await;
    for source in ["(VALUES (1))", "UNNEST([1])"] {
        let sources = (0..101).map(|n| format!("{source} a{n}")).collect::<Vec<_>>().join(", ");
        for sql in [format!("SELECT 1 FROM {sources}"), format!("WITH w AS (SELECT 1 FROM {sources}) SELECT * FROM w")]
        {
            let refused = world.batches(&sql).await.unwrap_err();
            assert!(matches!(refused, QueryError::TooLarge { .. }), "{source}: {refused}");
        }
    }
}

/// Scenario: text doubled with `||` and `concat` through thirty subqueries, few operators each.
/// Guarantees: refused before memory grows with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doubling_text_is_bounded() {
    let world = World::new().await;
    world.seed(1, 5).await;
    for double in ["x || x", "concat(x, x)", "replace(x, 'a', 'aa')"] {
        let steps = (1..=40).map(|n| format!(", c{n} AS (SELECT {double} AS x FROM c{})", n - 1)).collect::<String>();
        let sql = format!("WITH c0 AS (SELECT repeat('a', 8) AS x FROM spans){steps} SELECT x FROM c40");
        let error = world.batches(&sql).await.unwrap_err();
        assert!(error.to_string().contains("bytes for one batch"), "{double}: {error}");
    }
}

/// Scenario: a text one byte too long, and one with a NUL, a lone surrogate escape and broken quotes.
/// Guarantees: each refused; the limit is named.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_texts_are_refused() {
    let world = World::new().await;
    let long = format!("SELECT '{}'", "x".repeat(64 << 10));
    assert!(matches!(world.batches(&long).await.unwrap_err(), QueryError::TooLarge { limit: 65_536, .. }));
    for sql in
        ["SELECT '", "SELECT \"", "SELECT /* ", "\0", "SELECT 1 \0", "SELECT U&'\\d800'", "\u{feff}SELECT 1", "𒀀"]
    {
        assert_eq!(world.batches(sql).await.unwrap_err().code(), "bad_request", "{sql:?}");
    }
}

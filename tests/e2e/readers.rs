//! Other engines read the table: the files are open, not ours alone.

use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::harness::{Exporter, PATIENCE, Server, ServerOptions, eventually, get_json, run_python, sql};

/// Scenario: spans are exported, flushed to files, and read by Python's `deltalake` with pyarrow, by DuckDB and by Polars.
/// Guarantees: all see exactly the rows that our SQL sees, values and types included.
#[test]
fn python_readers_see_the_rows_that_sql_sees() {
    let options =
        ServerOptions { config: "[storage]\nflush_interval = \"1s\"\n".to_owned(), ..ServerOptions::default() };
    let server = Server::start_with(&options);
    Exporter::Python.export("grpc", &server, "gzip", "read", 50);
    server.wait_flushed();
    compare(&server, 150);
}

/// Scenario: spans are exported in ten rounds, a file or more each, until their files were merged.
/// Guarantees: the other engines see exactly the rows that our SQL sees, in the merged files.
#[test]
fn python_readers_see_merged_files() {
    let options =
        ServerOptions { config: "[storage]\nflush_interval = \"100ms\"\n".to_owned(), ..ServerOptions::default() };
    let server = Server::start_with(&options);
    for _ in 0..10 {
        Exporter::Python.export("grpc", &server, "gzip", "read", 20);
        server.wait_flushed();
    }
    eventually("files are merged", PATIENCE, || {
        let status = get_json(server.at.web, "/api/v1/status");
        (status["storage"]["upkeep"]["merged_files"].as_u64() > Some(0)).then_some(())
    });
    compare(&server, 600);
}

/// Scenario: while spans are exported and files are written and merged, the other engines read one version of the table after another.
/// Guarantees: each sees the same rows as the others, everything that was in files when it began, no row twice, and no row that our SQL
/// does not have.
#[test]
fn python_readers_agree_while_spans_come_in() {
    let options =
        ServerOptions { config: "[storage]\nflush_interval = \"100ms\"\n".to_owned(), ..ServerOptions::default() };
    let server = Server::start_with(&options);
    Exporter::Python.export("grpc", &server, "gzip", "before", 50);
    server.wait_flushed();
    let before = ours(&server);
    let done = AtomicBool::new(false);
    let versions: BTreeSet<u64> = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                Exporter::Python.export("grpc", &server, "gzip", "meanwhile", 50);
            }
        });
        let _done = SetOnDrop(&done);
        (0..4).map(|_| read_meanwhile(&server, &before)).collect()
    });
    assert!(versions.len() > 1, "the table changed while it was read: {versions:?}");
}

/// Ends the other thread also when an assertion fails.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Reads once; which version that was.
fn read_meanwhile(server: &Server, before: &[Vec<String>]) -> u64 {
    let found = theirs(server);
    let known: HashSet<Vec<String>> = ours(server).into_iter().collect();
    let rows = &found.engines[0].1;
    let distinct: HashSet<&Vec<String>> = rows.iter().collect();
    assert_eq!(distinct.len(), rows.len(), "no row twice");
    assert!(before.iter().all(|row| distinct.contains(row)), "what was in files is there");
    assert!(rows.iter().all(|row| known.contains(row)), "our SQL has all of it");
    for (engine, others) in &found.engines[1..] {
        assert_eq!(others, rows, "{engine}");
    }
    found.version
}

/// The rows that we see, and those that the other engines see.
fn compare(server: &Server, rows: usize) {
    let ours = ours(server);
    assert_eq!(ours.len(), rows);
    for (engine, rows) in theirs(server).engines {
        assert_eq!(rows, ours, "{engine}");
    }
}

fn ours(server: &Server) -> Vec<Vec<String>> {
    let rows = sql(
        server.at.web,
        "SELECT trace_id, span_id, service_name, name, start_time_unix_nano, duration_time_unix_nano, kind, status_code, \
         http_request_method, attr(attributes, 'order.number') FROM spans",
    );
    sorted(rows.iter().map(|row| row.iter().map(text).collect()))
}

/// One version of the table, as other engines read it.
struct Theirs {
    version: u64,
    engines: Vec<(&'static str, Vec<Vec<String>>)>,
}

fn theirs(server: &Server) -> Theirs {
    let read = run_python("read_table.py", &[server.data_dir.join("spans").to_str().unwrap()]);
    let engines = ["pyarrow", "duckdb", "polars"].map(|engine| {
        let rows: Vec<Vec<Value>> = serde_json::from_value(read[engine].clone()).unwrap();
        (engine, sorted(rows.iter().map(|row| row.iter().map(text).collect())))
    });
    Theirs { version: read["version"].as_u64().unwrap(), engines: engines.into() }
}

fn sorted(rows: impl Iterator<Item = Vec<String>>) -> Vec<Vec<String>> {
    let mut rows: Vec<Vec<String>> = rows.collect();
    rows.sort();
    rows
}

/// A value without the difference between a 64-bit number and its decimal text.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

//! Other engines read the table: the files are open, not ours alone.

use serde_json::Value;

use crate::harness::{PATIENCE, PythonClient, Server, ServerOptions, eventually, get_json, sql};

/// Scenario: spans are exported, flushed to files, and read by Python's `deltalake` with pyarrow and by DuckDB.
/// Guarantees: both see exactly the rows that our SQL sees, values and types included.
#[test]
fn python_readers_see_the_rows_that_sql_sees() {
    let options =
        ServerOptions { config: "[storage]\nflush_interval = \"1s\"\n".to_owned(), ..ServerOptions::default() };
    let server = Server::start_with(&options);
    PythonClient::export("grpc", &format!("http://{}", server.at.grpc), "gzip", "read", 50);
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
        PythonClient::export("grpc", &format!("http://{}", server.at.grpc), "gzip", "read", 20);
        server.wait_flushed();
    }
    eventually("files are merged", PATIENCE, || {
        let status = get_json(server.at.web, "/api/v1/status");
        (status["storage"]["upkeep"]["merged_files"].as_u64() > Some(0)).then_some(())
    });
    compare(&server, 600);
}

/// The rows that we see, and those that the other engines see.
fn compare(server: &Server, rows: usize) {
    let ours = sql(
        server.at.web,
        "SELECT trace_id, span_id, service_name, name, start_time_unix_nano, duration_time_unix_nano, kind, status_code, \
         http_request_method, attr(attributes, 'order.number') FROM spans",
    );
    let mut ours: Vec<Vec<String>> = ours.iter().map(|row| row.iter().map(text).collect()).collect();
    ours.sort();
    assert_eq!(ours.len(), rows);
    let theirs = PythonClient::run("read_table.py", &[server.data_dir.join("spans").to_str().unwrap()]);
    for engine in ["deltalake", "duckdb"] {
        let rows: Vec<Vec<Value>> = serde_json::from_value(theirs[engine].clone()).unwrap();
        let mut rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(text).collect()).collect();
        rows.sort();
        assert_eq!(rows, ours, "{engine}");
    }
}

/// A value without the difference between a 64-bit number and its decimal text.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

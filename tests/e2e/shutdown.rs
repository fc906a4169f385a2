//! SIGTERM drains: what was accepted is flushed, what is in flight is answered.

use crate::harness::{Exporter, Server, ServerOptions, sql};

/// Scenario: spans are accepted, then the server gets SIGTERM, and another starts on the same folder.
/// Guarantees: the exit status is 0, nothing is lost, nothing is doubled, and all spans are in files.
#[test]
fn sigterm_flushes_and_exits_cleanly() {
    let folder = tempfile::TempDir::new().unwrap();
    let mut server = started_on(folder.path());
    Exporter::Python.export("grpc", &server, "none", "drained", 40);
    assert_eq!(server.terminate().code(), Some(0), "{}", server.log());
    drop(server);
    let again = started_on(folder.path());
    let rows = sql(again.at.web, "SELECT count(*), count(DISTINCT span_id) FROM spans WHERE service_name = 'drained'");
    assert_eq!(rows[0], ["120", "120"].map(serde_json::Value::from));
}

fn started_on(folder: &std::path::Path) -> Server {
    Server::start_with(&ServerOptions { data_dir: Some(folder.join("data")), ..ServerOptions::default() })
}

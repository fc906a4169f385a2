//! Data folders of earlier versions stay usable: see `tests/fixtures/README.md`.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::harness::{Exporter, Server, ServerOptions, get_json, sql};

const FOLDERS: [&str; 1] = ["folder-v1"];

/// Scenario: folders of earlier versions, with spans in files and spans in the log only.
/// Guarantees: every column of every span is what the version of then said.
#[test]
fn older_folders_are_read_in_full() {
    for name in FOLDERS {
        let (_home, data_dir) = copy_of(name);
        let arguments = ["query", "--format", "csv", "--data-dir", data_dir.to_str().unwrap()];
        let question = "SELECT * FROM spans ORDER BY start_time_unix_nano, span_id";
        let output = Command::new(env!("CARGO_BIN_EXE_daytwo")).args(arguments).arg(question).output().unwrap();
        let expected = fs::read_to_string(fixture(name).join("rows.csv")).unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{name}: {output:?}");
    }
}

/// Scenario: today's server starts on folders of earlier versions, takes new spans, and is killed and started again.
/// Guarantees: old and new spans are there once, and a trace of then is found by its id.
#[test]
fn older_folders_are_gone_on_with() {
    for name in FOLDERS {
        let (_home, data_dir) = copy_of(name);
        let config = "[storage]\nflush_interval = \"1s\"\nretention = \"0s\"\n".to_owned();
        let options = ServerOptions { config, data_dir: Some(data_dir), ..ServerOptions::default() };
        let server = Server::start_with(&options);
        Exporter::Python.export("grpc", &server, "none", "new", 5);
        server.wait_flushed();
        server.kill();
        let server = Server::start_with(&options);
        let rows = sql(server.at.web, "SELECT service_name, count(*) FROM spans GROUP BY service_name ORDER BY 1");
        assert_eq!(
            serde_json::json!(rows),
            serde_json::json!([["new", "15"], ["old-files", "12"], ["old-log", "6"]]),
            "{name}"
        );
        let old = sql(server.at.web, "SELECT trace_id FROM spans WHERE service_name = 'old-files' LIMIT 1");
        let trace = get_json(server.at.web, &format!("/api/v1/traces/{}", old[0][0].as_str().unwrap()));
        assert_eq!(trace["spans"].as_u64(), Some(3), "{name}: {trace}");
    }
}

fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// Fixtures are never opened themselves: opening writes.
fn copy_of(name: &str) -> (TempDir, std::path::PathBuf) {
    let home = TempDir::new().unwrap();
    let data_dir = home.path().join("data");
    copy(&fixture(name).join("data"), &data_dir);
    (home, data_dir)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

//! The commands beside `serve` and `demo`, as a shell script would use them.

use std::process::{Command, Output};

use crate::harness::{Exporter, Server, post, sql};

fn daytwo(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_daytwo")).args(args).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Scenario: the same query to a running server, to its folder while it runs, and to the folder after a crash, with spans still in the log.
/// Guarantees: both answers are equal; the folder of a running server is refused with what to do; a wrong query exits with 1.
#[test]
fn query_answers_from_server_and_folder_alike() {
    let server = Server::start();
    Exporter::Python.export("grpc", &server, "gzip", "asked", 10);
    let query = "SELECT name, count(*) AS spans FROM spans WHERE service_name = 'asked' GROUP BY name ORDER BY name";
    assert_eq!(sql(server.at.web, query).len(), 3);
    let url = format!("http://{}", server.at.web);
    let from_server = daytwo(&["query", query, "--url", &url, "--format", "csv"]);
    assert_eq!(
        stdout(&from_server).lines().collect::<Vec<_>>(),
        ["name,spans", "POST /order,10", "SELECT stock,10", "charge,10"]
    );
    let wrong = daytwo(&["query", "SELECT nothing FROM spans", "--url", &url]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(stderr(&wrong).contains("nothing"), "{}", stderr(&wrong));
    let folder = server.data_dir.to_str().unwrap().to_owned();
    let held = daytwo(&["query", query, "--data-dir", &folder]);
    assert_eq!(held.status.code(), Some(1));
    assert!(stderr(&held).contains("in use by another process"), "{}", stderr(&held));
    let kept = server.kill();
    let from_folder = daytwo(&["query", query, "--data-dir", &folder, "--format", "csv"]);
    assert_eq!(stdout(&from_folder), stdout(&from_server), "{}", stderr(&from_folder));
    drop(kept);
}

/// Scenario: the gate is asked about a release that was never seen, and about a server that is not there.
/// Guarantees: both exit with 2, undecided, and say why; neither is taken for a pass.
#[test]
fn verdict_of_an_unknown_release_is_undecided() {
    let server = Server::start();
    let url = format!("http://{}", server.at.web);
    let unknown = daytwo(&["verdict", "--service", "nobody", "--version", "v9", "--url", &url]);
    assert_eq!(unknown.status.code(), Some(2), "{}{}", stdout(&unknown), stderr(&unknown));
    let nowhere = daytwo(&["verdict", "--service", "nobody", "--version", "v9", "--url", "http://127.0.0.1:9"]);
    assert_eq!(nowhere.status.code(), Some(2), "{}{}", stdout(&nowhere), stderr(&nowhere));
    assert!(!stderr(&nowhere).is_empty());
}

/// Scenario: spans of two SDK exports, exported as OTLP and as Parquet from the folder of a killed server; the OTLP is sent to
/// another server.
/// Guarantees: the other server has the same spans; the Parquet file has the rows that were asked for; inspect counts them.
#[test]
fn exported_spans_can_be_sent_again() {
    let server = Server::start();
    for service in ["kept", "left"] {
        Exporter::Python.export("grpc", &server, "none", service, 10);
    }
    const ROWS: &str = "SELECT trace_id, span_id, parent_span_id, name, kind, start_time_unix_nano, duration_time_unix_nano, \
                        status_code, service_name, service_version, resource_attributes, attributes, events \
                        FROM spans WHERE service_name = 'kept' ORDER BY span_id";
    let sent = sql(server.at.web, ROWS);
    assert_eq!(sent.len(), 30);
    let kept = server.kill();
    let (folder, out) = (kept.data_dir.to_str().unwrap().to_owned(), kept.data_dir.with_extension("otlp"));
    let export = |format: &str, out: &str, filter: &str| {
        let done = daytwo(&["export", "--data-dir", &folder, "--format", format, "--out", out, "--where", filter]);
        (done.status.code(), stdout(&done), stderr(&done))
    };
    let done = export("otlp", out.to_str().unwrap(), "service_name = 'kept'");
    assert_eq!(done.0, Some(0), "{done:?}");
    assert_eq!(export("otlp", out.to_str().unwrap(), "true").0, Some(1), "a file that is there is not written over");
    let other = Server::start();
    for request in requests(&std::fs::read(&out).unwrap()) {
        let answer = post(other.at.http, "/v1/traces", &[("content-type", "application/x-protobuf")], &request);
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!(sql(other.at.web, ROWS), sent);
    let parquet = kept.data_dir.with_extension("parquet");
    let done = export("parquet", parquet.to_str().unwrap(), "service_name = 'left'");
    assert_eq!(done.0, Some(0), "{done:?}");
    let reader = parquet::file::reader::SerializedFileReader::new(std::fs::File::open(&parquet).unwrap()).unwrap();
    assert_eq!(parquet::file::reader::FileReader::metadata(&reader).file_metadata().num_rows(), 30);
    let inspected: serde_json::Value =
        serde_json::from_slice(&daytwo(&["inspect", "--data-dir", &folder]).stdout).unwrap();
    let counted =
        inspected["files"]["spans"].as_u64().unwrap() + inspected["log"]["spans_not_in_files"].as_u64().unwrap();
    assert_eq!(counted, 60, "{inspected}");
}

/// The requests of a file, each after its length.
fn requests(mut file: &[u8]) -> Vec<Vec<u8>> {
    let mut requests = Vec::new();
    while let Some((length, rest)) = file.split_first_chunk::<4>() {
        let (request, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        requests.push(request.to_vec());
        file = rest;
    }
    requests
}

/// Scenario: the configuration commands.
/// Guarantees: the example is valid as it stands, and the checked-in file is that example.
#[test]
fn example_configuration_is_valid() {
    let example = stdout(&daytwo(&["config", "example"]));
    assert_eq!(example, std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/daytwo.example.toml")).unwrap());
    let check = daytwo(&["config", "check", "--config", concat!(env!("CARGO_MANIFEST_DIR"), "/daytwo.example.toml")]);
    assert_eq!(check.status.code(), Some(0), "{}", stderr(&check));
}

//! What goes wrong in the world around the server: each gives one clear error and leaves everything else working.

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Exporter, PATIENCE, Server, ServerOptions, eventually, get_json, post, serve, sql, try_request};

/// Runs `daytwo serve` that is expected to give up at once.
fn refused(folder: &Path, data_dir: &Path, config: &str) -> String {
    let mut command = serve(folder, data_dir, &folder.join("addresses.json"), config);
    let status = command.status().unwrap();
    assert_eq!(status.code(), Some(1), "a server that cannot start exits with 1");
    fs::read_to_string(folder.join("stderr")).unwrap()
}

fn daytwo(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_daytwo")).args(args).output().unwrap()
}

/// Scenario: another process listens on the web port; another server holds the data folder.
/// Guarantees: the second server says so in one line with the address or folder, and the first goes on.
#[test]
fn occupied_port_and_folder_are_named() {
    let folder = TempDir::new().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let held = TcpListener::bind(taken).unwrap();
    let config = folder.path().join("port.toml");
    fs::write(
        &config,
        format!(
            "[collector]\ngrpc_addr = \"{taken}\"\nhttp_addr = \"127.0.0.1:0\"\n[dashboards]\naddr = \"127.0.0.1:0\"\n"
        ),
    )
    .unwrap();
    let data_dir = folder.path().join("data");
    let output = daytwo(&["serve", "--config", config.to_str().unwrap(), "--data-dir", data_dir.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains(&taken.to_string()) && said.contains("in use"), "{said}");
    drop(held);

    let server = Server::start();
    let said = refused(folder.path(), &server.data_dir, "");
    assert!(said.contains("in use by another process"), "{said}");
    get_json(server.at.web, "/api/v1/status");
}

/// Scenario: configuration with a broken line, an unknown key, and values out of range.
/// Guarantees: every problem is named by its key; nothing is opened.
#[test]
fn broken_configuration_is_explained() {
    let folder = TempDir::new().unwrap();
    let data_dir = folder.path().join("data");
    for (config, expected) in [
        ("[storage\n", "daytwo.toml"),
        ("[storage]\nflush_intervall = \"1s\"\n", "flush_intervall"),
        ("[storage]\nflush_interval = \"soon\"\n", "flush_interval"),
    ] {
        let said = refused(folder.path(), &data_dir, config);
        assert!(said.contains(expected), "{config}: {said}");
        assert!(!data_dir.exists(), "nothing is created for a broken configuration");
    }
}

/// Scenario: bodies of garbage, truncated, oversized, and bomb-compressed, on the protobuf and JSON doors.
/// Guarantees: 400 or 413 each, memory stays far below the bomb's size, and the next good span is stored.
#[test]
fn garbage_and_bombs_bounce_off() {
    let server = Server::start();
    let bomb = gzip_of_zeros(512 << 20);
    assert!(bomb.len() < 1 << 20);
    let protobuf = ("content-type", "application/x-protobuf");
    let gzip = ("content-encoding", "gzip");
    let send = |headers: &[(&str, &str)], body: &[u8]| post(server.at.http, "/v1/traces", headers, body).status;
    assert_eq!(send(&[protobuf], b"\xff\xff\xff\xff garbage"), 400);
    assert_eq!(send(&[protobuf], &[0x0a, 0x7f, 0x01]), 400);
    assert_eq!(send(&[protobuf, gzip], b"not gzip"), 400);
    assert_eq!(send(&[protobuf, gzip], &bomb), 413);
    assert_eq!(send(&[("content-type", "application/json")], b"{\"resourceSpans\":["), 400);
    assert_eq!(send(&[("content-type", "text/plain")], b"hello"), 415);
    let resident = resident_bytes(&server);
    assert!(resident < 450 << 20, "{resident} bytes resident after a 512 MiB bomb");
    let ids = Exporter::Python.export("http", &server, "gzip", "after", 3);
    eventually("spans after the garbage are stored", PATIENCE, || {
        let found = sql(server.at.web, "SELECT count(DISTINCT trace_id) FROM spans WHERE service_name = 'after'");
        (found[0][0].as_str() == Some(ids.len().to_string().as_str())).then_some(())
    });
}

/// Scenario: SQL that writes, reads other files, never ends or is malformed.
/// Guarantees: each is refused with a reason and the right status; the server answers the next query.
#[test]
fn hostile_sql_is_refused() {
    let server = Server::start();
    let chain = format!("SELECT {}", vec!["1"; 20_000].join("+"));
    for query in [
        "DROP TABLE spans",
        "COPY spans TO '/tmp/x'",
        "SELECT * FROM '/etc/passwd'",
        "SELECT FROM WHERE",
        "SET x = 1",
        chain.as_str(),
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "SELECT 1; SELECT 2",
        "SELECT * FROM generate_series(1, 1000000000000)",
    ] {
        let body = serde_json::json!({"query": query}).to_string();
        let answer = post(server.at.web, "/api/v1/sql", &[("content-type", "application/json")], body.as_bytes());
        // 413 for the chain, which is too long rather than wrong.
        let expected = if query == chain { 413 } else { 400 };
        assert_eq!(answer.status, expected, "{}: {}", &query[..query.len().min(60)], answer.text());
        assert!(!answer.json()["error"]["message"].as_str().unwrap().is_empty());
    }
    assert_eq!(sql(server.at.web, "SELECT 1 + 1")[0][0], "2");
}

/// A server that took 30 spans into each of two files and was killed; how to start it again.
fn server_killed_with_two_files(folder: &TempDir) -> ServerOptions {
    let options = ServerOptions {
        config: "[storage]\nflush_interval = \"1s\"\n".to_owned(),
        data_dir: Some(folder.path().join("data")),
        ..ServerOptions::default()
    };
    let server = Server::start_with(&options);
    for service in ["first", "second"] {
        Exporter::Python.export("grpc", &server, "none", service, 10);
        server.wait_flushed();
    }
    server.kill();
    options
}

/// Scenario: one of two Parquet files loses its second half while the server is down; then the server starts.
/// Guarantees: it starts, says what is missing, and answers with all the rest.
#[test]
fn damaged_files_hide_nothing_else() {
    let folder = TempDir::new().unwrap();
    let options = server_killed_with_two_files(&folder);
    let data_dir = folder.path().join("data");
    let victim = parquet_files(&data_dir).into_iter().min().unwrap();
    let length = fs::metadata(&victim).unwrap().len();
    fs::OpenOptions::new().write(true).open(&victim).unwrap().set_len(length / 2).unwrap();
    let server = Server::start_with(&options);
    let rows = sql(server.at.web, "SELECT count(*) FROM spans");
    assert_eq!(rows[0][0], "30", "one file's spans are left");
    let answer = post(
        server.at.web,
        "/api/v1/sql",
        &[("content-type", "application/json")],
        br#"{"query":"SELECT count(*) FROM spans"}"#,
    );
    assert!(
        !answer.json()["partial"].as_array().unwrap().is_empty(),
        "the answer says that it is not whole: {}",
        answer.text()
    );
}

/// Scenario: one byte in the middle of a data file is flipped; the folder is verified, repaired, and verified again.
/// Guarantees: verify names the file and changes nothing; repair sets it aside; the rest is whole and both say what is missing.
#[test]
fn a_flipped_byte_is_found_and_set_aside() {
    let folder = TempDir::new().unwrap();
    let options = server_killed_with_two_files(&folder);
    let data_dir = folder.path().join("data");
    let command = |name: &str| {
        let output = daytwo(&[name, "--data-dir", data_dir.to_str().unwrap()]);
        let report = serde_json::from_slice::<Value>(&output.stdout);
        (output.status.code(), report.unwrap_or_else(|error| panic!("{error}: {output:?}")))
    };
    let (code, report) = command("verify");
    assert_eq!((code, report["files"].as_u64()), (Some(0), Some(2)), "{report}");
    let victim = parquet_files(&data_dir).into_iter().min().unwrap();
    let mut bytes = fs::read(&victim).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&victim, bytes).unwrap();
    let name = victim.file_name().unwrap().to_str().unwrap();
    for _ in 0..2 {
        let (code, report) = command("verify");
        assert_eq!((code, report["damaged"].as_array().unwrap().len()), (Some(1), 1), "{report}");
        assert!(report["damaged"][0]["path"].as_str().unwrap().ends_with(name), "{report}");
    }
    let (code, report) = command("repair");
    assert_eq!((code, report["set_aside"].as_array().unwrap().len()), (Some(0), 1), "{report}");
    assert!(!victim.exists());
    let (code, report) = command("verify");
    assert_eq!((code, report["damaged"].as_array().unwrap().len()), (Some(1), 0), "{report}");
    assert_eq!(report["set_aside"].as_array().unwrap().len(), 1, "{report}");
    let server = Server::start_with(&options);
    assert_eq!(sql(server.at.web, "SELECT count(*) FROM spans")[0][0], "30", "the other file's spans are left");
}

fn gzip_of_zeros(bytes: usize) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let block = vec![0_u8; 1 << 20];
    for _ in 0..bytes >> 20 {
        encoder.write_all(&block).unwrap();
    }
    encoder.finish().unwrap()
}

fn resident_bytes(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

fn parquet_files(data_dir: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![data_dir.join("spans")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "parquet") {
                found.push(path);
            }
        }
    }
    found
}

/// Scenario: a client speaks something else than HTTP to the web port, and another disappears mid-request.
/// Guarantees: the server goes on answering.
#[test]
fn strangers_on_the_port_do_no_harm() {
    let server = Server::start();
    let at: SocketAddr = server.at.web;
    std::net::TcpStream::connect(at).unwrap().write_all(b"\x16\x03\x01\x02\x00 hello\r\n\r\n").unwrap();
    std::net::TcpStream::connect(at)
        .unwrap()
        .write_all(b"POST /api/v1/sql HTTP/1.1\r\ncontent-length: 10\r\n\r\n{")
        .unwrap();
    assert_eq!(try_request(at, "GET", "/healthz", &[], &[]).unwrap().status, 200);
}

//! Death at every named point, and errors at those that can return one.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use daytwo_storage::failpoint;
use tempfile::TempDir;

use super::load::{Load, Retry};
use super::{BUSY, options};
use crate::harness::{Server, ServerOptions, get_json, post};

const SIGABRT: i32 = 6;
/// Old segments and merged files go soon, so that their removal is reached.
const SHORT_MEMORY: &str = "dedup_window = \"1s\"\nvacuum_after = \"1s\"\n";
/// No file is merged away while a test damages it.
const NO_MERGES: &str = "compaction_target_bytes = \"0B\"\n";

fn options_with(folder: &std::path::Path, failpoints: &str) -> ServerOptions {
    configured(folder, SHORT_MEMORY, failpoints)
}

fn configured(folder: &std::path::Path, storage: &str, failpoints: &str) -> ServerOptions {
    ServerOptions { failpoints: failpoints.to_owned(), ..options(folder, &format!("{BUSY}{storage}")) }
}

/// Starts a server that dies at the point, and sends to it until it has.
fn die_at(point: &str, hit: u64, folder: &std::path::Path, load: &Load) {
    let order = format!("{point}@{hit}=abort");
    let storage = if point.starts_with("quarantine-") { NO_MERGES } else { SHORT_MEMORY };
    let starting = Server::spawn(&configured(folder, storage, &order));
    let (status, log) =
        if point.starts_with("open-") || point.starts_with("replay-") || point.starts_with("quarantine-") {
            starting.ended()
        } else {
            // What runs in the background may reach its point before the ports are open.
            starting.ready_or_ended().map_or_else(|ended| ended, |server| die_under_load(point, server, load))
        };
    assert_eq!(status.signal(), Some(SIGABRT), "{point}: the process was to die there, and {status}:\n{log}");
    assert!(log.contains(point), "{point}: {log}");
}

fn die_under_load(point: &str, mut server: Server, load: &Load) -> (ExitStatus, String) {
    load.send_to(&server);
    if point.starts_with("close-") {
        load.wait_for(20);
        server.signal_terminate();
    }
    (server.wait_ended(), server.log())
}

/// Scenario: under load, the process dies at every named point, one life after the other, on one folder.
/// Guarantees: it does reach each of them; after every few deaths, all that was acknowledged is there exactly once, and nothing is torn.
#[test]
fn a_death_at_every_failpoint_loses_and_doubles_nothing() {
    let folder = TempDir::new().unwrap();
    let load = Load::start(folder.path(), Retry::Never);
    let first = Server::start_with(&options_with(folder.path(), ""));
    load.send_to(&first);
    load.wait_for(200);
    drop(first.kill());
    let points: Vec<String> =
        failpoint::names().into_iter().filter(|point| !point.starts_with("quarantine-")).collect();
    assert!(points.len() >= 25);
    for (number, some) in (1..).zip(points.chunks(4)) {
        for point in some {
            let hit = if point.starts_with("wal-") { 1 + 7 * number } else { 1 };
            die_at(point, hit, folder.path(), &load);
        }
        let server = Server::start_with(&options_with(folder.path(), ""));
        load.send_to(&server);
        load.check(&server, &format!("after deaths at {some:?}"));
        load.wait_for(10);
        drop(server.kill());
    }
    let server = Server::start_with(&options_with(folder.path(), ""));
    println!("{} failpoints: {:#}", points.len(), load.finish(&server, "after all failpoints").to_json());
}

/// Scenario: under load, a committed file is cut while the server is down; the process dies while it sets the file aside, at each point
/// of that; then it starts.
/// Guarantees: it starts, the file is set aside once, answers say what they lack and have everything else.
#[test]
fn a_death_while_a_file_is_set_aside_hides_nothing() {
    let folder = TempDir::new().unwrap();
    let load = Load::start(folder.path(), Retry::Never);
    let server = Server::start_with(&configured(folder.path(), NO_MERGES, ""));
    load.send_to(&server);
    for _ in 0..4 {
        load.send_to(&server);
        load.wait_for(20);
        load.hold();
        server.wait_flushed();
    }
    let data_dir = server.kill().data_dir.clone();
    let points: Vec<String> = failpoint::names().into_iter().filter(|point| point.starts_with("quarantine-")).collect();
    for (number, point) in (1..).zip(&points) {
        let victim = newest_file(&data_dir);
        let length = std::fs::metadata(&victim).unwrap().len();
        std::fs::OpenOptions::new().write(true).open(&victim).unwrap().set_len(length - 1).unwrap();
        die_at(point, 1, folder.path(), &load);
        let server = Server::start_with(&configured(folder.path(), NO_MERGES, ""));
        let status = get_json(server.at.web, "/api/v1/status");
        assert_eq!(status["storage"]["quarantined_files"].to_string(), number.to_string(), "{point}: {status}");
        let body = br#"{"query":"SELECT count(*) FROM spans"}"#;
        let answer = post(server.at.web, "/api/v1/sql", &[("content-type", "application/json")], body).json();
        assert_eq!(answer["partial"].as_array().unwrap().len(), number, "{point}: {answer}");
        assert_ne!(answer["rows"][0][0], "0", "{point}");
        drop(server.kill());
    }
}

/// Scenario: under load, an error is returned at every point of a running server that can return one, in one life.
/// Guarantees: the server goes on without a restart, clients are told to come again, and nothing is lost or doubled, restart included.
#[test]
fn an_error_at_every_failpoint_is_survived() {
    let folder = TempDir::new().unwrap();
    let load = Load::start(folder.path(), Retry::UntilAcknowledged);
    let fails = |point: &&String| {
        ["segment-", "wal-", "flush-", "commit-", "checkpoint-"].iter().any(|part| point.starts_with(part))
    };
    let names = failpoint::names();
    // Apart from each other, for two failed rounds in a row end writing for good, as they should.
    let orders: Vec<String> =
        (1..).zip(names.iter().filter(fails)).map(|(n, name)| format!("{name}@{n}=error")).collect();
    let mut server = Server::start_with(&options_with(folder.path(), &orders.join(",")));
    load.send_to(&server);
    load.wait_for(1500);
    assert!(server.is_running());
    load.check(&server, "after errors");
    assert!(server.log().matches("failpoint: an error is returned").count() > 8, "{}", server.log());
    drop(server.kill());
    let server = Server::start_with(&options_with(folder.path(), ""));
    load.send_to(&server);
    load.finish(&server, "after errors and a restart");
}

fn newest_file(data_dir: &std::path::Path) -> std::path::PathBuf {
    let mut files = Vec::new();
    for folder in std::fs::read_dir(data_dir.join("spans")).unwrap() {
        let folder = folder.unwrap().path();
        if folder.to_string_lossy().contains("received_hour") {
            files.extend(std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    files.retain(|path| path.extension().is_some_and(|end| end == "parquet"));
    files.into_iter().max().unwrap()
}

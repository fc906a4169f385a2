//! The real binary with its table in an S3-compatible store, on machines that are lost.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::durability::load::{Load, Retry};
use crate::harness::{S3, Server, ServerOptions, eventually, get, sql};

/// Flushes often, so that there is something to merge.
const BUSY: &str = "flush_interval = \"200ms\"\nflush_bytes = \"1MiB\"\nwal_segment_bytes = \"1MiB\"\n";

fn options(s3: &S3, ack: &str, data_dir: &Path) -> ServerOptions {
    ServerOptions {
        config: format!("[storage]\n{}ack = \"{ack}\"\n{BUSY}[query]\ntimeout = \"10m\"\n", s3.config()),
        data_dir: Some(data_dir.to_owned()),
        environment: S3::environment(),
        ..ServerOptions::default()
    }
}

fn merges(server: &Server) -> u64 {
    let metrics = get(server.at.web, "/metrics").text();
    let line = metrics.lines().find(|line| line.starts_with("daytwo_merges_total ")).unwrap();
    line.split(' ').nth(1).unwrap().parse().unwrap()
}

/// Scenario: six clients send without pause and keep a ledger; requests are acknowledged in the store; the process is killed and started again on an
/// empty folder, three times; flushes and merges go on all the time; at the end the table is asked by a server and by `daytwo query` alone.
/// Guarantees: at each start every acknowledged span is there once with its content; files were merged; nothing of the table is on the local disks.
#[test]
fn machines_may_be_lost_when_requests_are_acknowledged_in_the_store() {
    let (s3, folder) = (S3::start(), TempDir::new().unwrap());
    let load = Load::start(folder.path(), Retry::UntilAcknowledged);
    let machine = |number: u32| folder.path().join(format!("machine-{number}"));
    let mut merged = 0;
    for life in 0..3 {
        let server = Server::start_with(&options(&s3, "object", &machine(life)));
        load.send_to(&server);
        load.wait_for(40);
        load.check(&server, &format!("life {life}"));
        merged += eventually("files are merged", Duration::from_secs(60), || {
            Some(merges(&server)).filter(|&count| count > 0)
        });
        drop(server.kill());
    }
    let options = options(&s3, "object", &machine(9));
    let mut server = Server::start_with(&options);
    load.send_to(&server);
    load.wait_for(1);
    load.finish(&server, "the end");
    assert!(merged >= 3);
    let count = sql(server.at.web, "SELECT count(*) FROM spans")[0][0].as_str().unwrap().to_owned();
    assert!(server.terminate().success(), "{}", server.log());
    assert!(s3.keys("spans/received_hour=").iter().any(|key| key.contains("/merged-")));
    assert!(!s3.keys("index/").is_empty());
    assert!(s3.keys("probe/").is_empty() && s3.uploads_and_pages().1 > 4);
    for number in [0, 1, 2, 9] {
        assert!(!machine(number).join("spans").exists() && !machine(number).join("index").exists());
    }
    let config = folder.path().join("query.toml");
    std::fs::write(&config, &options.config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_daytwo"));
    command.args(["query", "SELECT count(*) FROM spans", "--format", "csv", "--data-dir"]).arg(machine(10));
    let asked = command.arg("--config").arg(&config).envs(S3::environment()).output().unwrap();
    let text = String::from_utf8_lossy(&asked.stdout).into_owned();
    assert!(
        text.lines().any(|line| line == count),
        "{count} spans, but: {text}{}",
        String::from_utf8_lossy(&asked.stderr)
    );
}

/// Scenario: requests are acknowledged on the local disk; the process is killed and started again on its folder.
/// Guarantees: every acknowledged span is there once, from the table in the store and the log on the disk together.
#[test]
fn the_local_log_and_the_table_in_the_store_go_together() {
    let (s3, folder) = (S3::start(), TempDir::new().unwrap());
    let options = options(&s3, "local", &folder.path().join("machine"));
    let load = Load::start(folder.path(), Retry::UntilAcknowledged);
    for life in 0..3 {
        let server = Server::start_with(&options);
        load.send_to(&server);
        load.check(&server, &format!("life {life}"));
        load.wait_for(100);
        drop(server.kill());
    }
    let server = Server::start_with(&options);
    load.send_to(&server);
    load.wait_for(1);
    load.finish(&server, "the end");
}

/// Scenario: a store that takes every put, whatever its condition; and no credentials that make sense.
/// Guarantees: the server does not start, and says which store and why.
#[test]
fn a_store_without_conditional_puts_is_refused() {
    let (s3, folder) = (S3::start(), TempDir::new().unwrap());
    s3.ignore_conditions();
    let (status, log) = Server::spawn(&options(&s3, "local", &folder.path().join("machine"))).ended();
    assert!(!status.success());
    assert!(log.contains("s3://bucket/team/traces") && log.contains("conditional puts"), "{log}");
    assert!(s3.keys("spans/").is_empty());
}

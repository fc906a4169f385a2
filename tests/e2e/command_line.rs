//! The commands beside `serve` and `demo`, as a shell script would use them.

use std::process::{Command, Output};

use crate::harness::{PythonClient, Server, sql};

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
    PythonClient::export("grpc", &format!("http://{}", server.at.grpc), "gzip", "asked", 10);
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

/// Scenario: the configuration commands.
/// Guarantees: the example is valid as it stands, and the checked-in file is that example.
#[test]
fn example_configuration_is_valid() {
    let example = stdout(&daytwo(&["config", "example"]));
    assert_eq!(example, std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/daytwo.example.toml")).unwrap());
    let check = daytwo(&["config", "check", "--config", concat!(env!("CARGO_MANIFEST_DIR"), "/daytwo.example.toml")]);
    assert_eq!(check.status.code(), Some(0), "{}", stderr(&check));
}

//! System calls of the real process that fail, by `strace`.
//!
//! Not done here: short writes, since `strace` can change what a call returns and not how much it does; the storage crate's own tests
//! have them. `write` is left alone too: files are written by `pwrite64` only, sockets and wake-ups by `write`.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::load::{Load, Retry};
use super::{BUSY, options};
use crate::harness::{Server, eventually, get_json};

/// Which call fails how, and at which of its calls by one thread.
const FAULTS: [(&str, &str, &[u32]); 10] = [
    ("pwrite64", "EIO", &[1, 2, 30]),
    ("pwrite64", "ENOSPC", &[1, 40]),
    ("pwrite64", "EINTR", &[2]),
    ("fdatasync", "EIO", &[1, 20]),
    ("fsync", "EIO", &[1, 2, 3, 5]),
    ("fsync", "ENOSPC", &[1]),
    ("rename", "EIO", &[1, 3]),
    ("linkat", "EIO", &[1]),
    ("ftruncate", "EIO", &[1]),
    ("openat", "EMFILE", &[1, 2, 4]),
];

/// A tracer attached to a server; detached by [`Strace::detach`].
struct Strace {
    child: Child,
    folder: TempDir,
}

impl Strace {
    fn attach(server: &Server, call: &str, error: &str, at: u32) -> Self {
        let folder = TempDir::new().unwrap();
        let child = Command::new("strace")
            .args(["-f", "-e", &format!("trace={call}"), "-e", &format!("inject={call}:error={error}:when={at}")])
            .args(["-p", &server.pid().to_string(), "-o"])
            .arg(folder.path().join("calls"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(folder.path().join("stderr")).unwrap())
            .spawn()
            .expect("tests/run installs strace");
        let attached = Self { child, folder };
        eventually("strace attaches", Duration::from_secs(30), || {
            attached.read("stderr").contains("attached").then_some(())
        });
        attached
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    fn has_injected(&self) -> bool {
        self.read("calls").contains("(INJECTED)")
    }

    /// Lets the server run on without a tracer.
    fn detach(mut self) {
        assert!(Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap().success());
        self.child.wait().unwrap();
    }
}

/// Scenario: under load, one kind of system call after the other fails in the real process, at its k-th call in a thread.
/// Guarantees: each is injected; clients are told to come again; the server goes on by itself unless it says that it takes no writes, and
/// then queries go on and a restart mends it; at the end everything acknowledged is there exactly once.
#[test]
fn failing_system_calls_cost_no_acknowledged_span() {
    let folder = TempDir::new().unwrap();
    let options = options(folder.path(), BUSY);
    let load = Load::start(folder.path(), Retry::UntilAcknowledged);
    let mut server = Server::start_with(&options);
    load.send_to(&server);
    let (mut injected, mut restarts) = (0, 0);
    for (call, error, positions) in FAULTS {
        for &at in positions {
            let context = format!("{call} {error} at {at}");
            load.wait_for(10);
            let strace = Strace::attach(&server, call, error, at);
            eventually(&context, Duration::from_secs(60), || strace.has_injected().then_some(()));
            strace.detach();
            injected += 1;
            assert!(server.is_running(), "{context}: {}", server.log());
            if !goes_on(&load, &server, &context) {
                load.check(&server, &context);
                drop(server.kill());
                server = Server::start_with(&options);
                load.send_to(&server);
                restarts += 1;
            }
        }
        load.check(&server, &format!("after {call} {error}"));
    }
    drop(server.kill());
    let server = Server::start_with(&options);
    load.send_to(&server);
    let checked = load.finish(&server, "after all faults");
    println!("{injected} failing calls, {restarts} restarts: {:#}", checked.to_json());
}

/// Waits until requests are acknowledged again: true; or the server says that it takes no writes: false.
fn goes_on(load: &Load, server: &Server, context: &str) -> bool {
    let goal = load.acknowledged() + 10;
    eventually(&format!("{context}: the server goes on or says why not"), Duration::from_secs(60), || {
        let status = get_json(server.at.web, "/api/v1/status");
        let stopped = status.to_string().contains("the wal cannot be written");
        if stopped { Some(false) } else { (load.acknowledged() >= goal).then_some(true) }
    })
}

/// Scenario: the tracer itself.
/// Guarantees: `strace` is there and may inject; without it the test above proves nothing, so this is no skip but a failure.
#[test]
fn strace_is_there() {
    let said = Command::new("strace").args(["-e", "inject=openat:error=ENOENT:when=1", "true"]).output();
    assert!(said.is_ok(), "install strace, or run the tests by tests/run: {said:?}");
    assert!(Path::new("/proc/self/status").exists());
}

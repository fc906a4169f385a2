//! The real `daytwo` process.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::{PATIENCE, eventually, http};

const ADDR_FILE: &str = "addresses.json";

/// Where a server listens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Addresses {
    pub grpc: SocketAddr,
    pub http: SocketAddr,
    pub web: SocketAddr,
}

/// How to start a server.
#[derive(Debug, Clone, Default)]
pub(crate) struct ServerOptions {
    /// Further configuration, TOML.
    pub config: String,
    /// The data folder; a temporary one when absent.
    pub data_dir: Option<PathBuf>,
    /// Where the process shall die or fail: see `daytwo_storage::failpoint`.
    pub failpoints: String,
    /// The control group in which it runs; the test's own when absent.
    pub group: Option<PathBuf>,
    /// Another binary than the one built with the tests.
    pub binary: Option<PathBuf>,
    /// Further variables of its environment.
    pub environment: Vec<(String, String)>,
}

/// A process that may not be ready yet; killed when dropped.
#[derive(Debug)]
pub(crate) struct Starting(Server);

/// A running server; killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    folder: TempDir,
    pub data_dir: PathBuf,
    pub at: Addresses,
}

impl Server {
    /// Starts `daytwo serve` on free ports and waits until it is ready.
    pub(crate) fn start() -> Self {
        Self::start_with(&ServerOptions::default())
    }

    /// Starts `daytwo serve` with options and waits until it is ready.
    pub(crate) fn start_with(options: &ServerOptions) -> Self {
        Self::spawn(options).ready()
    }

    /// Starts `daytwo serve` with options and does not wait.
    pub(crate) fn spawn(options: &ServerOptions) -> Starting {
        let folder = TempDir::new().unwrap();
        let data_dir = options.data_dir.clone().unwrap_or_else(|| folder.path().join("data"));
        let mut command = serve(folder.path(), &data_dir, &folder.path().join(ADDR_FILE), &options.config);
        if let Some(group) = &options.group {
            let binary = options.binary.clone().unwrap_or_else(|| command.get_program().into());
            command = within(group, &binary, &command, folder.path());
        }
        if !options.failpoints.is_empty() {
            command.env("DAYTWO_FAILPOINTS", &options.failpoints);
        }
        let child = command.envs(options.environment.iter().cloned()).spawn().unwrap();
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        Starting(Self { child, folder, data_dir, at: Addresses { grpc: nowhere, http: nowhere, web: nowhere } })
    }

    /// Waits for the process to end by itself.
    pub(crate) fn wait_ended(&mut self) -> ExitStatus {
        eventually("the server ends", Duration::from_secs(180), || self.child.try_wait().unwrap())
    }

    /// Whether the process still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Ends the process at once, as a crash would; its folder stays until the result is dropped.
    pub(crate) fn kill(mut self) -> Self {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self
    }

    /// Sends SIGTERM and waits for the process to end.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        self.signal_terminate();
        eventually("the server ends after SIGTERM", PATIENCE, || self.child.try_wait().unwrap())
    }

    /// Sends SIGTERM.
    pub(crate) fn signal_terminate(&self) {
        assert!(Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap().success());
    }

    /// The receiver's port for `grpc` or for anything else.
    pub(crate) fn port(&self, protocol: &str) -> SocketAddr {
        if protocol == "grpc" { self.at.grpc } else { self.at.http }
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What the process wrote to standard error so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("stderr")).unwrap_or_default()
    }

    /// Writes all buffered spans to files, by waiting for the configured flush to happen.
    pub(crate) fn wait_flushed(&self) {
        eventually("all spans are in files", PATIENCE, || {
            let status = http::get_json(self.at.web, "/api/v1/status");
            (status["storage"]["buffer_spans"].as_u64() == Some(0)).then_some(())
        });
    }
}

impl Starting {
    /// Waits until it is ready; fails when it ends before.
    pub(crate) fn ready(self) -> Server {
        self.ready_or_ended().unwrap_or_else(|(status, log)| panic!("server ended early with {status}:\n{log}"))
    }

    /// Waits until it is ready, or has ended by itself: then its status and what it wrote to standard error.
    pub(crate) fn ready_or_ended(self) -> Result<Server, (ExitStatus, String)> {
        let mut server = self.0;
        match wait_ready(&mut server.child, &server.folder.path().join(ADDR_FILE)) {
            Ok(at) => {
                server.at = at;
                Ok(server)
            }
            Err(status) => Err((status, server.log())),
        }
    }

    /// Ends the process at once, wherever it is.
    pub(crate) fn kill(self) {
        drop(self.0.kill());
    }

    /// Waits for the process to end by itself; gives its status and what it wrote to standard error.
    pub(crate) fn ended(mut self) -> (ExitStatus, String) {
        (self.0.wait_ended(), self.0.log())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("server log:\n{}", self.log());
        }
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The command line of `daytwo serve` with free ports.
pub(crate) fn serve(folder: &Path, data_dir: &Path, addr_file: &Path, config: &str) -> Command {
    let ports =
        "[collector]\ngrpc_addr = \"127.0.0.1:0\"\nhttp_addr = \"127.0.0.1:0\"\n[dashboards]\naddr = \"127.0.0.1:0\"\n";
    let config_file = folder.join("daytwo.toml");
    fs::write(&config_file, format!("{config}\n{ports}")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_daytwo"));
    command
        .arg("serve")
        .arg("--data-dir")
        .arg(data_dir)
        .arg("--config")
        .arg(config_file)
        .arg("--addr-file")
        .arg(addr_file);
    command.stdin(Stdio::null());
    command.stdout(fs::File::create(folder.join("stdout")).unwrap());
    command.stderr(fs::File::create(folder.join("stderr")).unwrap());
    command
}

/// The same command, by a shell that enters a control group first.
fn within(group: &Path, binary: &Path, command: &Command, folder: &Path) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "echo $$ > \"$0/cgroup.procs\" && exec \"$@\""]).arg(group).arg(binary);
    shell.args(command.get_args()).stdin(Stdio::null());
    shell.stdout(fs::File::create(folder.join("stdout")).unwrap());
    shell.stderr(fs::File::create(folder.join("stderr")).unwrap());
    shell
}

fn wait_ready(child: &mut Child, addr_file: &Path) -> Result<Addresses, ExitStatus> {
    let ready = || {
        let at = addresses(addr_file)?;
        let answer = http::try_request(at.web, "GET", "/readyz", &[], &[]).ok()?;
        (answer.status == 200).then_some(at)
    };
    eventually("the server is ready", Duration::from_secs(240), || match child.try_wait().unwrap() {
        Some(status) => Some(Err(status)),
        None => ready().map(Ok),
    })
}

/// The addresses in an address file, once it is there.
pub(crate) fn addresses(addr_file: &Path) -> Option<Addresses> {
    let parsed: Value = serde_json::from_slice(&fs::read(addr_file).ok()?).ok()?;
    let addr = |key: &str| parsed[key].as_str()?.parse().ok();
    Some(Addresses { grpc: addr("grpc")?, http: addr("http")?, web: addr("web")? })
}

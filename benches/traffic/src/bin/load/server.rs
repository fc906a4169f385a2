//! A server of its own for one measurement: started on free ports and an empty folder, and gone with the value.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use daytwo_traffic::cpu;
use http::Uri;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;

use super::LoadError;
use super::report::rounded;

/// Which server is measured, and where.
#[derive(Debug, Clone, Args)]
pub(crate) struct ServerArgs {
    /// The `daytwo` binary.
    #[arg(long)]
    pub(crate) daytwo: PathBuf,
    /// Configuration file passed on to it; its ports are overridden only by what it says itself.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Folder on the disk to measure; a fresh folder is made in it and removed afterwards.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// CPU to pin the server to, with `taskset`.
    #[arg(long)]
    server_cpu: Option<u32>,
}

/// How long a server may take to start, and to write everything to files.
const START_MAX: Duration = Duration::from_secs(60);
const FLUSH_MAX: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_millis(100);

/// A server that dies with this value.
pub(crate) struct Server {
    child: Child,
    folder: TempDir,
    client: Client<HttpConnector, Empty<Bytes>>,
    pub(crate) grpc: String,
    pub(crate) http: String,
    web: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().and_then(|()| self.child.wait()).ok();
    }
}

/// What a process has used.
pub(crate) struct Usage {
    pub(crate) cpu_seconds: f64,
    pub(crate) rss_mib: f64,
    pub(crate) peak_mib: f64,
}

impl ServerArgs {
    /// Keeps this process off the server's CPU, where there is another one.
    pub(crate) fn leave_its_cpu(&self) -> Result<(), LoadError> {
        let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let others: Vec<String> =
            (0..cpus).filter(|cpu| u32::try_from(*cpu).ok() != self.server_cpu).map(|cpu| cpu.to_string()).collect();
        if self.server_cpu.is_none() || others.is_empty() {
            return Ok(());
        }
        let mut command = Command::new("taskset");
        command.args(["-a", "-c", "-p"]).arg(others.join(",")).arg(std::process::id().to_string());
        command.stdout(Stdio::null()).status().map(drop).map_err(LoadError::io("run taskset"))
    }

    fn command(&self) -> Command {
        let Some(cpu) = self.server_cpu else {
            return Command::new(&self.daytwo);
        };
        let mut command = Command::new("taskset");
        command.arg("-c").arg(cpu.to_string()).arg(&self.daytwo);
        command
    }
}

fn data_dir(folder: &TempDir) -> PathBuf {
    folder.path().join("data")
}

impl Server {
    /// Starts a server and waits until it is ready.
    pub(crate) async fn start(args: &ServerArgs) -> Result<Self, LoadError> {
        let folder = args.folder.as_ref().map_or_else(tempfile::tempdir, tempfile::tempdir_in);
        let folder = folder.map_err(LoadError::io("make a temporary folder"))?;
        let addresses = folder.path().join("addresses.json");
        let config = match &args.config {
            Some(config) => config.clone(),
            None => free_ports(folder.path())?,
        };
        let mut command = args.command();
        command.arg("serve").arg("--data-dir").arg(data_dir(&folder)).arg("--config").arg(config);
        command.arg("--addr-file").arg(&addresses).stdout(Stdio::null());
        let child = command.spawn().map_err(LoadError::io(format!("start {}", args.daytwo.display())))?;
        let client = Client::builder(TokioExecutor::new()).build_http();
        let empty = String::new;
        let mut server = Self { child, folder, client, grpc: empty(), http: empty(), web: empty() };
        server.wait_until_ready(&addresses).await?;
        Ok(server)
    }

    /// Its web port.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.web)
    }

    /// Has its greatest resident memory counted anew.
    pub(crate) fn forget_peak(&self) -> Result<(), LoadError> {
        let file = format!("/proc/{}/clear_refs", self.child.id());
        std::fs::write(file, "5").map_err(LoadError::io("reset the server's peak of memory"))
    }

    /// Where it keeps its data.
    pub(crate) fn data_dir(&self) -> PathBuf {
        data_dir(&self.folder)
    }

    async fn wait_until_ready(&mut self, addresses: &Path) -> Result<(), LoadError> {
        let deadline = Instant::now() + START_MAX;
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(LoadError::Server(format!("ended at start: {status}")));
            }
            let written = std::fs::read(addresses).ok().and_then(|text| serde_json::from_slice::<Value>(&text).ok());
            if let Some(at) = written {
                let address = |name: &str| at[name].as_str().unwrap_or_default().to_owned();
                (self.grpc, self.http, self.web) = (address("grpc"), address("http"), address("web"));
                if self.get("/readyz").await.is_some() {
                    return Ok(());
                }
            }
            tokio::time::sleep(POLL).await;
        }
        Err(LoadError::Server(format!("was not ready within {START_MAX:?}")))
    }

    /// Waits until this many spans are in files and none is in memory.
    pub(crate) async fn wait_until_flushed(&self, spans: u64) -> Result<(), LoadError> {
        let deadline = Instant::now() + FLUSH_MAX;
        while Instant::now() < deadline {
            let status = self.get("/api/v1/status").await;
            let status = status.and_then(|body| serde_json::from_slice::<Value>(&body).ok()).unwrap_or_default();
            let storage = &status["storage"];
            let in_files = storage["file_rows"].as_u64().is_some_and(|rows| rows >= spans);
            if in_files && storage["buffer_spans"].as_u64() == Some(0) {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
        Err(LoadError::Server(format!("did not write {spans} spans to files within {FLUSH_MAX:?}")))
    }

    /// Requests that it has shed, by reason.
    pub(crate) async fn shed(&self) -> BTreeMap<String, u64> {
        let metrics = self.get("/metrics").await.unwrap_or_default();
        let metrics = String::from_utf8_lossy(&metrics);
        let lines = metrics
            .lines()
            .filter_map(|line| line.strip_prefix("daytwo_shed_requests_total{reason=\"")?.split_once("\"} "));
        lines.filter_map(|(reason, count)| Some((reason.to_owned(), count.parse().ok()?))).collect()
    }

    /// The body of a successful answer of the web port.
    pub(crate) async fn get(&self, path: &str) -> Option<Bytes> {
        let uri = Uri::builder().scheme("http").authority(self.web.as_str()).path_and_query(path).build().ok()?;
        let response = self.client.get(uri).await.ok().filter(|response| response.status().is_success())?;
        Some(response.into_body().collect().await.ok()?.to_bytes())
    }

    /// What it has used so far.
    pub(crate) fn usage(&self) -> Result<Usage, LoadError> {
        let proc = PathBuf::from(format!("/proc/{}", self.child.id()));
        let read =
            |name: &str| std::fs::read_to_string(proc.join(name)).map_err(LoadError::io("read /proc of the server"));
        let (stat, status) = (read("stat")?, read("status")?);
        let kib = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
            rounded(line.trim_matches([':', ' ', '\t', 'k', 'B']).parse::<f64>().unwrap_or(0.0) / 1024.0)
        };
        Ok(Usage { cpu_seconds: cpu::of_stat(&stat).as_secs_f64(), rss_mib: kib("VmRSS"), peak_mib: kib("VmHWM") })
    }
}

/// A configuration that takes any free port and flushes soon after the last span.
fn free_ports(folder: &Path) -> Result<PathBuf, LoadError> {
    let path = folder.join("daytwo.toml");
    std::fs::write(&path, CONFIG).map_err(LoadError::io("write the server's configuration"))?;
    Ok(path)
}

const CONFIG: &str = r#"[collector]
grpc_addr = "127.0.0.1:0"
http_addr = "127.0.0.1:0"

[dashboards]
addr = "127.0.0.1:0"

[storage]
flush_interval = "5s"
"#;

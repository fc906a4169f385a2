//! Real OpenTelemetry exporters, each in a process of its own. All take the number of traces to make by standard input, and say
//! what became of each span.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::Deserialize;
use serde_json::Value;

use super::http::sql;
use super::server::Server;

/// The folder into which `tests/run` installed what the clients need.
#[expect(clippy::disallowed_methods, reason = "the test runner says where it installed the tools")]
pub(crate) fn tools_dir() -> PathBuf {
    std::env::var("DAYTWO_TEST_TOOLS")
        .map(PathBuf::from)
        .expect("run the tests by tests/run, which installs what they need")
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// How long an export may take with all that is sent again: tests are not about the time that a busy machine needs. Milliseconds, but
/// seconds in the SDK for Python. Everything else is the SDK's default.
const PATIENT: [&str; 2] = ["OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_BSP_EXPORT_TIMEOUT"];

/// A kind of exporter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exporter {
    /// The SDK for Python: `grpc`, `http`.
    Python,
    /// The SDK for Node: `grpc`, `http`, `json`.
    Node,
    /// The SDK for Go: `grpc`, `http`.
    Go,
    /// The SDK for Java: `grpc`, `http`.
    Java,
    /// The Collector, with its batch processor: `grpc`, `http`.
    Collector,
}

impl Exporter {
    /// Spans in each of its traces.
    pub(crate) fn spans(self) -> usize {
        if self == Self::Python { 3 } else { 2 }
    }

    fn command(self) -> Command {
        let tools = tools_dir();
        let (program, first) = match self {
            Self::Python => (tools.join("venv/bin/python"), vec![script("export.py")]),
            Self::Node => (PathBuf::from("node"), vec![tools.join("node/export.mjs")]),
            Self::Go => (tools.join("go/sdk"), vec![]),
            Self::Java => {
                let classes = format!("{0}:{0}/*", tools.join("java").display());
                (PathBuf::from("java"), vec!["-cp".into(), classes.into(), "Export".into()])
            }
            Self::Collector => (tools.join("go/collector"), vec![]),
        };
        let mut command = Command::new(program);
        command.args(first);
        // The library below the SDK for Python lets these stand over the SDK's certificate.
        command.env_remove("REQUESTS_CA_BUNDLE").env_remove("CURL_CA_BUNDLE");
        command
    }

    /// Whether it sends again what a server refuses for now. All have to, by the specification; the SDK for Node (0.223) never does
    /// over gRPC.
    pub(crate) fn sends_again(self, protocol: &str) -> bool {
        (self, protocol) != (Self::Node, "grpc")
    }

    /// Exports traces to a server's port for the protocol; gives their ids.
    pub(crate) fn export(
        self,
        protocol: &str,
        server: &Server,
        compression: &str,
        service: &str,
        traces: usize,
    ) -> Vec<String> {
        let endpoint = format!("http://{}", server.port(protocol));
        Client::start(self, &[], protocol, &endpoint, compression, service).export(traces)
    }
}

fn script(name: &str) -> PathBuf {
    repository().join("tests/clients/python").join(name)
}

/// What an exporter said became of spans; each is the digits of its trace's id and its own.
#[derive(Debug, Deserialize)]
pub(crate) struct Fates {
    pub exported: Vec<String>,
    pub failed: Vec<String>,
}

/// A running exporter; killed when dropped.
#[derive(Debug)]
pub(crate) struct Client {
    exporter: Exporter,
    protocol: String,
    process: Child,
    lines: Option<ChildStdin>,
    reports: BufReader<ChildStdout>,
}

impl Client {
    /// Starts an exporter, with variables of its SDK.
    pub(crate) fn start(
        exporter: Exporter,
        variables: &[(&str, String)],
        protocol: &str,
        endpoint: &str,
        compression: &str,
        service: &str,
    ) -> Self {
        let mut command = exporter.command();
        command.args([protocol, endpoint, compression, service, "v1"]);
        command.envs(PATIENT.map(|name| (name, "600000")));
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap_or_else(|error| panic!("{exporter:?}: {error}"));
        let lines = process.stdin.take();
        let reports = BufReader::new(process.stdout.take().unwrap());
        Self { exporter, protocol: protocol.to_owned(), process, lines, reports }
    }

    /// Has traces made; [`Client::fates`] waits for them.
    pub(crate) fn make(&mut self, traces: usize) {
        writeln!(self.lines.as_mut().unwrap(), "{traces}").unwrap();
    }

    /// What became of the spans of the traces made last, once the exporter is done with them.
    pub(crate) fn fates(&mut self) -> Fates {
        let mut line = String::new();
        self.reports.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{:?}: {error}: {line:?}", self.exporter))
    }

    /// Makes traces, which all have to arrive, and ends the exporter; gives their ids.
    pub(crate) fn export(self, traces: usize) -> Vec<String> {
        self.try_export(traces).unwrap()
    }

    /// The same; none when an exporter that does not send again was refused for now.
    pub(crate) fn try_export(mut self, traces: usize) -> Option<Vec<String>> {
        self.make(traces);
        let fates = self.fates();
        if !fates.failed.is_empty() && !self.exporter.sends_again(&self.protocol) {
            return None;
        }
        assert_eq!(
            (fates.exported.len(), fates.failed.len()),
            (traces * self.exporter.spans(), 0),
            "{:?}",
            self.exporter
        );
        self.end();
        let ids: BTreeSet<&str> = fates.exported.iter().map(|span| &span[..32]).collect();
        Some(ids.into_iter().map(str::to_owned).collect())
    }

    /// Lets the exporter end by itself.
    pub(crate) fn end(mut self) {
        drop(self.lines.take());
        assert!(self.process.wait().unwrap().success(), "{:?}", self.exporter);
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.process.kill().and_then(|()| self.process.wait()).ok();
    }
}

/// Spans of a service that SQL sees, each as the digits of its trace's id and its own, and as often as it is there.
pub(crate) fn stored_spans(server: &Server, service: &str) -> Vec<String> {
    let query = format!("SELECT concat(hex(trace_id), hex(span_id)) FROM spans WHERE service_name = '{service}'");
    sql(server.at.web, &query).into_iter().map(|row| row[0].as_str().unwrap().to_lowercase()).collect()
}

/// Runs one of the Python scripts that read, and parses what it prints.
pub(crate) fn run_python(name: &str, args: &[&str]) -> Value {
    let output = Command::new(tools_dir().join("venv/bin/python")).arg(script(name)).args(args).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name} failed:\n{stdout}{stderr}");
    serde_json::from_str(stdout.lines().last().unwrap_or_default())
        .unwrap_or_else(|error| panic!("{error}: {stdout}{stderr}"))
}

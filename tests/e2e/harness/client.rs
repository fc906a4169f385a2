//! Real OpenTelemetry SDK exporters, each in a process of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// The folder into which `tests/run` installed the Python environment.
#[expect(clippy::disallowed_methods, reason = "the test runner says where it installed the tools")]
pub(crate) fn tools_dir() -> PathBuf {
    std::env::var("DAYTWO_TEST_TOOLS")
        .map(PathBuf::from)
        .expect("run the tests by tests/run, which installs what they need")
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The OpenTelemetry SDK for Python, and Python readers.
#[derive(Debug)]
pub(crate) struct PythonClient;

impl PythonClient {
    /// Exports traces; gives their ids.
    pub(crate) fn export(
        protocol: &str,
        endpoint: &str,
        compression: &str,
        service: &str,
        traces: usize,
    ) -> Vec<String> {
        Self::export_as(&[], protocol, endpoint, compression, service, traces)
    }

    /// The same with variables of the SDK, as for certificates and headers.
    pub(crate) fn export_as(
        variables: &[(&str, String)],
        protocol: &str,
        endpoint: &str,
        compression: &str,
        service: &str,
        traces: usize,
    ) -> Vec<String> {
        let args = [protocol, endpoint, compression, service, "v1", &traces.to_string()];
        let printed = Self::run_as(variables, "export.py", &args);
        assert_eq!(printed["exported"], true, "the SDK says that it could not export");
        serde_json::from_value(printed["trace_ids"].clone()).unwrap()
    }

    /// Runs one of `tests/clients/python` and parses what it prints.
    pub(crate) fn run(script: &str, args: &[&str]) -> Value {
        Self::run_as(&[], script, args)
    }

    fn run_as(variables: &[(&str, String)], script: &str, args: &[&str]) -> Value {
        let variables = variables.iter().map(|(name, value)| (name, value));
        let script = repository().join("tests/clients/python").join(script);
        let mut command = Command::new(tools_dir().join("venv/bin/python"));
        command.arg(script).args(args).envs(variables);
        // The library below the SDK lets these stand over the SDK's certificate.
        command.env_remove("REQUESTS_CA_BUNDLE").env_remove("CURL_CA_BUNDLE");
        last_json(command.output().unwrap())
    }
}

/// The OpenTelemetry SDK for Node.
#[derive(Debug)]
pub(crate) struct NodeClient;

impl NodeClient {
    /// Exports traces; gives their ids.
    pub(crate) fn export(
        protocol: &str,
        endpoint: &str,
        compression: &str,
        service: &str,
        traces: usize,
    ) -> Vec<String> {
        let script = tools_dir().join("node/export.mjs");
        let args = [protocol, endpoint, compression, service, "v1", &traces.to_string()];
        let printed = last_json(Command::new("node").arg(script).args(args).output().unwrap());
        serde_json::from_value(printed["trace_ids"].clone()).unwrap()
    }
}

fn last_json(output: Output) -> Value {
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "client failed:\n{stdout}{stderr}");
    serde_json::from_str(stdout.lines().last().unwrap_or_default())
        .unwrap_or_else(|error| panic!("{error}: {stdout}{stderr}"))
}

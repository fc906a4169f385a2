//! Comparing a ledger with what a server or a data folder holds.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use daytwo_traffic::ledger::{self, Entry};
use serde_json::Value;

use super::LoadError;
use super::send::now_unix_nano;

/// What is compared.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The ledger that `send --ledger` wrote.
    #[arg(long)]
    ledger: PathBuf,
    /// The `daytwo` binary, which is asked for the stored spans.
    #[arg(long)]
    daytwo: PathBuf,
    /// The running server to ask.
    #[arg(long, default_value = "http://127.0.0.1:8080", conflicts_with = "data_dir")]
    url: String,
    /// The data folder to read; no server may use it at the time.
    #[arg(long)]
    data_dir: Option<PathBuf>,
}

/// Compares; an `Err` when the store did not keep its word.
pub(crate) fn run(args: &CheckArgs) -> Result<Value, LoadError> {
    let action = format!("read the ledger {}", args.ledger.display());
    let (run, entries) = ledger::read(&args.ledger).map_err(LoadError::io(action))?;
    let source = match &args.data_dir {
        Some(data_dir) => ["--data-dir".into(), data_dir.into()],
        None => ["--url".into(), args.url.clone().into()],
    };
    judge(&entries, &run, &args.daytwo, &source)
}

/// A name for a run that no other has.
pub(crate) fn name_of_run(what: &str) -> String {
    format!("{what}-{}", now_unix_nano())
}

/// Compares what is known of a run's requests with what a running server has; an `Err` when it did not keep its word.
pub(crate) fn compare(entries: &[Entry], run: &str, daytwo: &Path, url: &str) -> Result<Value, LoadError> {
    judge(entries, run, daytwo, &["--url".into(), url.into()])
}

fn judge(entries: &[Entry], run: &str, daytwo: &Path, source: &[OsString; 2]) -> Result<Value, LoadError> {
    let stored = ledger::stored(&ask(daytwo, source, &ledger::question(run))?).map_err(LoadError::Answer)?;
    let checked = ledger::check(entries, &stored, None);
    if checked.is_clean() { Ok(checked.to_json()) } else { Err(LoadError::BrokenPromise(checked.to_json())) }
}

fn ask(daytwo: &Path, source: &[OsString; 2], question: &str) -> Result<Value, LoadError> {
    let mut command = Command::new(daytwo);
    command.args(["query", "--format", "json", question]).args(source);
    let output = command.output().map_err(LoadError::io(format!("run {}", name(daytwo))))?;
    if !output.status.success() {
        return Err(LoadError::Answer(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| LoadError::Answer(error.to_string()))
}

fn name(path: &Path) -> String {
    path.display().to_string()
}

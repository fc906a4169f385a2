//! What the commands do: wiring, configuration, and talking to a server that runs.

mod allocator;
mod backtest;
mod client;
mod config;
mod demo;
mod export;
mod failure;
mod files;
mod folder;
mod inspect;
mod log;
mod memory;
mod objectives;
mod query;
mod serve;
mod server;
mod signals;
mod store;
mod table;
mod verdict;
mod verify;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

pub(crate) use backtest::backtest;
pub(crate) use demo::demo;
pub(crate) use export::export;
pub(crate) use failure::{Failure, Outcome, report};
pub(crate) use inspect::inspect;
pub(crate) use query::query;
pub(crate) use serve::serve;
pub(crate) use verdict::verdict;
pub(crate) use verify::{repair, verify};

use crate::{ConfigAction, ConfigArgs, ConfigSource};
use config::{Config, Sources};

/// Reads a length of time from a flag.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    text.parse::<config::Span>().map(|span| span.0)
}

/// `daytwo config …`.
pub(crate) fn config_command(args: ConfigArgs) -> Outcome {
    match args.action {
        ConfigAction::Example => say(&config::render(&Config::default()))?,
        ConfigAction::Print(source) => say(&config::render(&load(&source)?))?,
        ConfigAction::Check(source) => {
            load(&source)?;
            say("the configuration is valid\n")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The configuration that the flags ask for, with the environment over the file.
fn load(source: &ConfigSource) -> Result<Config, Failure> {
    let data_dir = source.data_dir.as_ref().map(|dir| ("storage", "data_dir", dir.to_string_lossy().into_owned()));
    let sources = Sources {
        file: source.config.as_deref(),
        environment: environment(),
        flags: data_dir.into_iter().collect(),
        memory: memory::limit(),
    };
    config::load(&sources).map_err(Failure::Config)
}

/// The process's environment, as far as it is text.
fn environment() -> Vec<(String, String)> {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
}

/// Writes to standard output; a reader that went away (`| head`) is no failure.
fn say(text: &str) -> Result<(), Failure> {
    emit(text.as_bytes())
}

/// As [`say`], for bytes.
fn emit(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|source| Failure::Io { action: "write to", path: "standard output".into(), source }),
    }
}

/// A runtime for a command.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let built = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    built.map_err(|source| Failure::Io { action: "start", path: "threads".into(), source })
}

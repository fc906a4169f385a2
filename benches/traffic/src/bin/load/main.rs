//! `daytwo-load`: sends the bench corpus to an OTLP endpoint as fast as it is taken, or at a given rate, and reports
//! throughput and acknowledgement times; `measure` does so against a server that it starts itself, `overload` offers such a server
//! more than it can take, and `freshness` asks one for what it has just acknowledged.

mod check;
mod freshness;
mod measure;
mod overload;
mod report;
mod rounds;
mod send;
mod server;

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};

use check::CheckArgs;
use freshness::FreshnessArgs;
use measure::MeasureArgs;
use overload::OverloadArgs;
use send::SendArgs;

/// Load generator of Daytwo.
#[derive(Debug, Parser)]
#[command(name = "daytwo-load", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Sends spans to an endpoint.
    Send {
        /// Where: host:port of OTLP/gRPC or OTLP/HTTP, whichever --export speaks.
        #[arg(long)]
        endpoint: String,
        #[command(flatten)]
        args: SendArgs,
    },
    /// Starts a server on free ports and an empty folder, sends spans, waits until all are in files, and reports
    /// the server's CPU time, memory and bytes on disk.
    Measure(MeasureArgs),
    /// Starts a server and reports its peak, then what it does when it is offered many times that.
    Overload(OverloadArgs),
    /// Compares the ledger of a run with what is stored; fails when an acknowledged span is missing or any stands twice.
    Check(CheckArgs),
    /// Starts a server and reports how long after its acknowledgement a span is found, by trace id and by search.
    Freshness(FreshnessArgs),
}

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
enum LoadError {
    #[error(transparent)]
    Setup(#[from] daytwo_traffic::export::SetupError),
    #[error("cannot {action}: {source}")]
    Io { action: String, source: std::io::Error },
    #[error("the server {0}")]
    Server(String),
    #[error("no complete answer from the store: {0}")]
    Answer(String),
    #[error("the store did not keep its word: {0:#}")]
    BrokenPromise(serde_json::Value),
    #[error("a task of the generator failed: {0}")]
    Task(#[from] tokio::task::JoinError),
}

impl LoadError {
    fn io(action: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let action = action.into();
        |source| Self::Io { action, source }
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Send { endpoint, args } => send::run(&endpoint, &Arc::new(args)).await.map(|report| report.to_json()),
        Command::Measure(args) => measure::run(args).await,
        Command::Overload(args) => overload::run(args).await,
        Command::Check(args) => check::run(&args),
        Command::Freshness(args) => freshness::run(args).await,
    };
    match outcome {
        Ok(json) => {
            let written = writeln!(std::io::stdout().lock(), "{json:#}");
            if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            // There is nowhere left to say that standard error is closed.
            writeln!(std::io::stderr().lock(), "daytwo-load: {error}").ok();
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests;

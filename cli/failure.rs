//! Why a command gave up, in one clear sentence each, and the exit code that goes with it.

use std::error::Error;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use super::config::Problem;

/// What a command ends with.
pub(crate) type Outcome = Result<ExitCode, Failure>;

/// Why a command gave up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The configuration cannot be used; nothing was opened.
    #[error("{}", listed(.0))]
    Config(Vec<Problem>),
    /// A port cannot be opened.
    #[error("cannot listen on {addr} for {what}: {}", in_use(.source))]
    Listen {
        /// What the port is for.
        what: &'static str,
        /// The address.
        addr: SocketAddr,
        /// What the operating system answered.
        source: io::Error,
    },
    /// The store cannot be opened or closed.
    #[error(transparent)]
    Storage(#[from] daytwo_storage::StorageError),
    /// A query failed, or the query engine cannot start.
    #[error(transparent)]
    Query(#[from] daytwo_query::QueryError),
    /// The receivers cannot listen.
    #[error(transparent)]
    Collector(#[from] daytwo_collector::CollectorError),
    /// A webhook cannot be used, or what was told of alerts cannot be read.
    #[error("{0}")]
    Alerts(String),
    /// A file or folder outside the store.
    #[error("cannot {action} {}", .path.display())]
    Io {
        /// What was attempted, as a verb.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the operating system answered.
        #[source]
        source: io::Error,
    },
    /// A part that should run as long as the server ended.
    #[error("{part} ended unexpectedly{detail}; the server stops, and what was accepted is safe")]
    PartEnded {
        /// Which part.
        part: &'static str,
        /// Why, if known, after a colon.
        detail: String,
    },
    /// The server that was asked cannot be reached.
    #[error("cannot reach {url}: {reason}; is `daytwo serve` running there?")]
    Unreachable {
        /// The address asked.
        url: String,
        /// Why.
        reason: String,
    },
    /// The server that was asked answered with an error.
    #[error("{message}")]
    Refused {
        /// Its status.
        status: u16,
        /// Its message.
        message: String,
    },
    /// What was written lacks something.
    #[error("{} is not whole: {lack}", .path.display())]
    NotWhole {
        /// What was written.
        path: PathBuf,
        /// What it lacks.
        lack: String,
    },
    /// The command line asks for something that cannot be.
    #[error("{0}")]
    Usage(String),
}

fn listed(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(|problem| format!("\n  {problem}")).collect();
    format!("the configuration cannot be used:{}", lines.concat())
}

fn in_use(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "the port is in use by another process; stop it or configure another port".to_owned()
        }
        _ => error.to_string(),
    }
}

/// Says why on standard error. 2 is for a wrong command line, as everywhere; 1 for everything else.
pub(crate) fn report(failure: &Failure) -> ExitCode {
    let mut text = format!("daytwo: {failure}");
    let mut cause = failure.source();
    while let Some(next) = cause {
        text.push_str(&format!(": {next}"));
        cause = next.source();
    }
    // Where standard error is closed, the exit code is all that can be said.
    writeln!(io::stderr().lock(), "{text}").unwrap_or_default();
    ExitCode::from(if matches!(failure, Failure::Usage(_)) { 2 } else { 1 })
}

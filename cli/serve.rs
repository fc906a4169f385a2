//! `daytwo serve`: the server until a signal.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use serde_json::json;
use tracing::info;

use super::config::Config;
use super::objectives::Objectives;
use super::server::{Addresses, Server};
use super::signals::Signals;
use super::{Failure, Outcome, allocator, load, log, runtime, say};
use crate::ServeArgs;

/// `daytwo serve …`.
pub(crate) fn serve(args: ServeArgs) -> Outcome {
    let config = load(&args.source)?;
    log::start(&config.log.level);
    if config.has_little_memory() {
        allocator::keep_nothing();
    }
    #[cfg(debug_assertions)]
    arm_failpoints()?;
    runtime()?.block_on(async {
        let mut signals = Signals::listen()?;
        let mut server = Server::start(&config, objectives(&config)).await?;
        let addresses = server.addresses();
        publish(args.addr_file.as_deref(), &addresses)?;
        say(&readiness_line(&addresses))?;
        let ended = tokio::select! {
            signal = signals.stop() => { info!(signal, "stopping"); None }
            failure = server.part_ended() => Some(failure),
        };
        signals.stop_at_once_on_the_next();
        let stopped = server.stop().await;
        match ended {
            Some(failure) => Err(failure),
            None => stopped.map(|()| ExitCode::SUCCESS),
        }
    })
}

/// Tests tell a debug build where to die; a release build has no such places.
#[cfg(debug_assertions)]
fn arm_failpoints() -> Result<(), Failure> {
    let orders = super::environment().into_iter().find(|(name, _)| name == "DAYTWO_FAILPOINTS");
    orders.map_or(Ok(()), |(_, orders)| daytwo_storage::failpoint::arm(&orders).map_err(Failure::Usage))
}

fn objectives(config: &Config) -> Objectives {
    let folder = &config.engine.slo_dir;
    if folder.as_os_str().is_empty() { Objectives::None } else { Objectives::Folder(folder.clone()) }
}

fn readiness_line(addresses: &Addresses) -> String {
    format!("daytwo is ready: http://{} (OTLP/gRPC {}, OTLP/HTTP {})\n", addresses.web, addresses.grpc, addresses.http)
}

/// Writes the addresses to a file, whole or not at all, so that whoever waits for it never reads half of it.
pub(super) fn publish(file: Option<&Path>, addresses: &Addresses) -> Result<(), Failure> {
    let Some(file) = file else { return Ok(()) };
    let text = json!({
        "grpc": addresses.grpc.to_string(),
        "http": addresses.http.to_string(),
        "web": addresses.web.to_string(),
    });
    let unfinished = file.with_extension("unfinished");
    let written = std::fs::File::create(&unfinished)
        .and_then(|mut out| writeln!(out, "{text}"))
        .and_then(|()| std::fs::rename(&unfinished, file));
    written.map_err(|source| Failure::Io { action: "write", path: file.to_owned(), source })
}

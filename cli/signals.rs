//! Signals: SIGTERM and SIGINT stop the server in order, a second one at once; SIGHUP reads the objectives again.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Failure;

/// Exit code after a second signal: what a shell reports for a process that SIGINT ended.
const CUT_SHORT: i32 = 130;

/// The signals that a server listens to.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Starts listening; from now on the signals do not end the process by themselves.
    pub(crate) fn listen() -> Result<Self, Failure> {
        Ok(Self { terminate: open(SignalKind::terminate())?, interrupt: open(SignalKind::interrupt())? })
    }

    /// Waits for SIGTERM or SIGINT.
    ///
    /// # Cancel safety
    /// No signal is lost when the future is dropped.
    pub(crate) async fn stop(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    /// Ends the process at the next signal, whatever it is doing. What was accepted is in the write-ahead log.
    pub(crate) fn stop_at_once_on_the_next(mut self) {
        tokio::spawn(async move {
            let name = self.stop().await;
            tracing::warn!(signal = name, "second signal, exiting at once");
            exit();
        });
    }
}

/// SIGHUP, which asks to read files again.
pub(crate) fn hangup() -> Result<Signal, Failure> {
    open(SignalKind::hangup())
}

fn open(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|source| Failure::Io { action: "listen to", path: "signals".into(), source })
}

#[expect(clippy::disallowed_methods, reason = "this is the binary, and the user asked twice")]
fn exit() {
    std::process::exit(CUT_SHORT);
}

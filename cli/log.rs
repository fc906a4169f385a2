//! The log: lines on standard error.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

/// The Delta library tells every step of opening a table at INFO; of it we want warnings, unless the configuration asks for more.
const QUIET: &str = "delta_kernel=warn,buoyant_kernel=warn,deltalake_core=warn";

/// Starts the log. `level` was checked with the configuration.
pub(crate) fn start(level: &str) {
    let filter = EnvFilter::try_new(format!("{QUIET},{level}")).unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false);
    // Only tests start it twice; the first stays.
    subscriber.try_init().unwrap_or_default();
}

/// Whether `level` is one that [`start`] understands.
pub(crate) fn is_level(level: &str) -> bool {
    !level.trim().is_empty() && EnvFilter::try_new(level).is_ok()
}

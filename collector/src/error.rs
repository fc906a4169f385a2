//! Why the receivers cannot run.

use std::net::SocketAddr;

/// Result of a collector call.
pub type Result<T, E = CollectorError> = std::result::Result<T, E>;

/// Why the receivers cannot run.
#[derive(Debug, thiserror::Error)]
pub enum CollectorError {
    /// The settings contradict each other or are out of range.
    #[error("{}", problems.join("; "))]
    Config {
        /// One sentence each.
        problems: Vec<String>,
    },
    /// A certificate, key or token cannot be used.
    #[error("{key} cannot be used: {reason}")]
    File {
        /// The setting that names the file.
        key: &'static str,
        /// Which file, and what is wrong with it.
        reason: String,
    },
    /// A listener cannot have its address.
    #[error("cannot listen on {addr} ({key}): {source}; stop what uses it or set {key} to another address")]
    Bind {
        /// The address asked for.
        addr: SocketAddr,
        /// The setting it comes from.
        key: &'static str,
        /// What the operating system answered.
        #[source]
        source: std::io::Error,
    },
}

//! What every test needs: a running server, an HTTP client for its API, clients, and waiting for a condition.

mod client;
mod http;
mod s3;
mod server;

use std::time::{Duration, Instant};

pub(crate) use client::{NodeClient, PythonClient, tools_dir};
pub(crate) use http::{get, get_json, post, sql, try_request};
pub(crate) use s3::S3;
pub(crate) use server::{Server, ServerOptions, addresses, serve};

/// How long a condition may take to come true on a busy two-core machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Asks again and again until `probe` gives a value; fails with `what` after `deadline`.
pub(crate) fn eventually<T>(what: &str, deadline: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(start.elapsed() < deadline, "{what}: not within {deadline:?}");
        pause();
    }
}

/// The interval between two looks at a condition.
#[expect(clippy::disallowed_methods, reason = "polling another process, whose events cannot be awaited")]
pub(crate) fn pause() {
    std::thread::sleep(Duration::from_millis(50));
}

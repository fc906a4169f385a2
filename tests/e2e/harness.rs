//! What every test needs: a running server, an HTTP client for its API, clients, and waiting for a condition.

mod client;
mod doorway;
mod http;
mod s3;
mod server;

use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub(crate) use client::{Client, Exporter, Fates, run_python, stored_spans, tools_dir};
pub(crate) use doorway::Doorway;
pub(crate) use http::{get, get_json, post, sql, try_request};
pub(crate) use s3::S3;
pub(crate) use server::{Server, ServerOptions, addresses, serve};

/// A folder in memory, where this machine has room for it there: for tests of clients, who would give up on a disk that does not confirm a
/// write for seconds because many tests write to it.
pub(crate) fn quick_folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let room = rustix::fs::statvfs(memory).map_or(0, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    if room > 4 << 30 { TempDir::new_in(memory) } else { TempDir::new() }.unwrap()
}

/// Settings of a server for clients, who would rather not wait: its data in `folder`, segments of the log that are soon made.
pub(crate) fn quick_server(folder: &TempDir) -> ServerOptions {
    ServerOptions {
        config: "[storage]\nwal_segment_bytes = \"1MiB\"\n".to_owned(),
        data_dir: Some(folder.path().join("data")),
        ..ServerOptions::default()
    }
}

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

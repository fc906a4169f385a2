//! What was acknowledged is there, once, whatever happens to the process and to its disk: signals at odd moments, named points of
//! death, failing system calls, full disks. Clients keep a ledger in another folder, which is compared with what is stored.
//!
//! `DAYTWO_KILL_CYCLES` says how often [`kills`] kills (20 unless said).

#[cfg(debug_assertions)]
mod failpoints;
mod full;
mod injected;
mod kills;
pub(crate) mod load;

use std::path::Path;

use crate::harness::ServerOptions;

/// Flushes, commits and new segments all the time, so that a death at any moment may fall into each of them.
const BUSY: &str = "[storage]\nflush_interval = \"200ms\"\nflush_bytes = \"1MiB\"\nwal_segment_bytes = \"1MiB\"\n";
/// Questions about many spans, asked to a debug build on a busy machine.
const PATIENT: &str = "[query]\ntimeout = \"10m\"\n";

fn options(folder: &Path, storage: &str) -> ServerOptions {
    ServerOptions {
        config: format!("{storage}{PATIENT}"),
        data_dir: Some(folder.join("data")),
        ..ServerOptions::default()
    }
}

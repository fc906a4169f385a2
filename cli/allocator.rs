//! What the allocator keeps of the memory that it was given back. mimalloc keeps pages for the next who asks, which saves time; of little memory it
//! may be half. It reads its settings from the environment before anything else runs, so another setting takes another start.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

/// The setting: after how many milliseconds it gives pages back to the system.
const DELAY: &str = "MIMALLOC_PURGE_DELAY";

/// Starts this program again, in the same process, with an allocator that keeps nothing; once, and not where the environment has a
/// setting already. Comes back when that is not to be, or cannot be done.
pub(super) fn keep_nothing() {
    if super::environment().iter().any(|(name, _)| name == DELAY) {
        return;
    }
    let failed = std::env::current_exe().map(|program| again(program).exec());
    let error = failed.unwrap_or_else(|error| error);
    tracing::warn!(%error, "could not start again with {DELAY}=0: the allocator may keep as much memory as is in use");
}

fn again(program: PathBuf) -> Command {
    let mut arguments = std::env::args_os();
    let mut command = Command::new(program);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    command.args(arguments).env(DELAY, "0");
    command
}

//! `kill -9` at odd moments: under load, while the log is replayed, and while the process shuts down.

use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::load::{Load, Retry};
use super::{BUSY, options};
use crate::harness::{Server, pause};

/// Kills of one run.
const CYCLES: u64 = 20;
/// What the odd moments come from.
const SEED: u64 = 20_261_123;

#[expect(clippy::disallowed_methods, reason = "a test runner says how long to search")]
fn cycles() -> u64 {
    std::env::var("DAYTWO_KILL_CYCLES").map_or(CYCLES, |said| said.parse().expect("DAYTWO_KILL_CYCLES is a number"))
}

/// Scenario: six clients send without pause, and again what was not acknowledged; the process is killed at an odd moment under load, during
/// its start, or after SIGTERM, again and again, on one folder; flushes and new segments come several times a second.
/// Guarantees: at each start, before the clients are told of it, and at the end, every acknowledged span is there exactly once with its content, an unanswered request wholly,
/// once, or not at all; what was sent again is there once.
#[test]
fn kill_9_at_any_moment_loses_and_doubles_nothing() {
    let folder = TempDir::new().unwrap();
    let options = options(folder.path(), BUSY);
    let load = Load::start(folder.path(), Retry::UntilAcknowledged);
    let mut random = Random(SEED);
    let mut starts = Vec::new();
    for cycle in 0..cycles() {
        if random.percent(25) {
            // During its start, on what the last kill left.
            let starting = Server::spawn(&options);
            wait(Duration::from_millis(random.below(600)));
            starting.kill();
        }
        let began = Instant::now();
        let server = Server::start_with(&options);
        starts.push(began.elapsed());
        load.check(&server, &format!("SEED={SEED} cycle {cycle}"));
        load.send_to(&server);
        load.wait_for(20 + random.below(300));
        if random.percent(25) {
            server.signal_terminate();
            wait(Duration::from_millis(random.below(300)));
        }
        drop(server.kill());
    }
    let server = Server::start_with(&options);
    load.send_to(&server);
    load.wait_for(1);
    let checked = load.finish(&server, &format!("SEED={SEED} the end"));
    let slowest = starts.iter().max().copied().unwrap_or_default();
    println!("{} kills, slowest start {slowest:?}: {:#}", cycles(), checked.to_json());
}

/// SplitMix64: the same moments for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
}

/// Waits for a moment at which to kill, which is odd by intention.
fn wait(moment: Duration) {
    let began = Instant::now();
    while began.elapsed() < moment {
        pause();
    }
}

//! The latest time that was ever seen, kept on disk: a clock that is suddenly more than a day past it has jumped, and
//! nothing is deleted by its word until it has been seen to advance as time does. That is also how a server that was switched
//! off for days goes on: an hour after its start.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::UnixNanos;
use crate::fs::Fs;

/// Name of the file, below the data folder.
pub(crate) const FILE: &str = "clock.json";
/// Further ahead than this is a jump.
const JUMP: Duration = Duration::from_secs(86_400);
/// A step between two looks that is longer is no steady advance.
const STEP_MAX: Duration = Duration::from_secs(600);
/// After this much steady advance the clock is believed.
const STEADY: Duration = Duration::from_secs(3600);
/// The mark is written this often.
const SAVE_EVERY: Duration = Duration::from_secs(60);

/// What is on disk.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Kept {
    seen_unix_nano: i64,
}

#[derive(Debug, Clone, Copy)]
struct State {
    mark: UnixNanos,
    saved: UnixNanos,
    last: UnixNanos,
    steady: Duration,
}

/// The high-water mark of the wall clock.
#[derive(Debug)]
pub(crate) struct HighWater {
    fs: Fs,
    path: PathBuf,
    state: Mutex<State>,
}

impl HighWater {
    /// The mark of a data folder. When there is none yet, the end of the newest hour with spans (`newest`) stands in for
    /// it, else the present.
    pub(crate) fn open(fs: Fs, path: PathBuf, newest: Option<UnixNanos>, now: UnixNanos) -> Self {
        let kept = fs.read(&path).ok().and_then(|bytes| serde_json::from_slice::<Kept>(&bytes).ok());
        let mark = kept.map(|kept| UnixNanos(kept.seen_unix_nano)).or(newest).unwrap_or(now);
        let saved = if kept.is_some() { mark } else { UnixNanos(i64::MIN) };
        Self { fs, path, state: Mutex::new(State { mark, saved, last: now, steady: Duration::ZERO }) }
    }

    /// Takes note of the time; whether it can be believed.
    pub(crate) fn observe(&self, now: UnixNanos) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let believed = state.observe(now);
        let (mark, saved) = (state.mark, state.saved);
        let save = believed && mark.since(saved) >= SAVE_EVERY;
        if save {
            // Said before it is done, so that nobody else begins to write the same file.
            state.saved = mark;
        }
        drop(state);
        if save && !self.save(mark) {
            self.state.lock().unwrap_or_else(PoisonError::into_inner).saved = saved;
        }
        believed
    }

    fn save(&self, mark: UnixNanos) -> bool {
        let json = serde_json::to_vec(&Kept { seen_unix_nano: mark.0 }).unwrap_or_default();
        self.fs
            .write_durably(&self.path, &json)
            .inspect_err(|error| tracing::warn!(%error, "cannot note the time"))
            .is_ok()
    }
}

impl State {
    fn observe(&mut self, now: UnixNanos) -> bool {
        let step = now.since(self.last);
        let is_steady = now >= self.last && step <= STEP_MAX;
        self.steady = if is_steady { self.steady.saturating_add(step) } else { Duration::ZERO };
        self.last = now;
        if now.since(self.mark) > JUMP && self.steady < STEADY {
            return false;
        }
        self.mark = self.mark.max(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const START: UnixNanos = UnixNanos(1_700_000_000_000_000_000);

    /// Looks at the clock each minute; how many minutes until it is believed.
    fn minutes_until_believed(mark: &HighWater, from: UnixNanos) -> u32 {
        (0..10_000).find(|minute| mark.observe(from.saturating_add(MINUTE * *minute))).unwrap()
    }

    /// Scenario: an ordinary day; a jump of a year ahead; there and back; a restart after a week; a folder without a mark.
    /// Guarantees: ordinary time is believed; after a jump an hour of steady advance is needed, and a jump back to the old time
    /// is believed at once; the mark survives a restart; the newest spans stand in for a mark that is missing.
    #[test]
    fn a_clock_that_jumped_is_not_believed_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let open = |now| HighWater::open(Fs::default(), path.clone(), None, now);
        let mark = open(START);
        assert!((0..1_500).all(|minute| mark.observe(START.saturating_add(MINUTE * minute))));
        let evening = START.saturating_add(MINUTE * 1_500);
        let year = Duration::from_secs(365 * 86_400);
        assert!(!mark.observe(evening.saturating_add(year)));
        assert!(mark.observe(evening), "back to the old time");
        assert_eq!(minutes_until_believed(&mark, evening.saturating_add(year)), 60);
        let later = evening.saturating_add(year + MINUTE * 60);
        let week = Duration::from_secs(7 * 86_400);
        assert_eq!(minutes_until_believed(&open(later.saturating_add(week)), later.saturating_add(week)), 60);
        std::fs::remove_file(&path).unwrap();
        let without = HighWater::open(Fs::default(), path.clone(), Some(START), evening.saturating_add(year));
        assert!(!without.observe(evening.saturating_add(year)));
    }
}

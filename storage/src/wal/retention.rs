//! Which segments are kept: those with a request that no committed file covers, and those young enough that a
//! retried request must be recognised after a restart. They go from the oldest on, so that numbers have no gaps.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::segment;
use super::writer::Sealed;
use crate::failpoint::{Point, hit, pass};
use crate::fs::Fs;
use crate::{Result, UnixNanos};

/// 2 GiB of covered segments are kept for their hashes at most; past it the oldest go before the window ends.
const COVERED_BYTES_MAX: u64 = 2 << 30;

#[derive(Debug, Default)]
struct State {
    sealed: VecDeque<Sealed>,
    active: Option<(u64, u64)>,
    watermark: u64,
}

/// The segments on disk.
#[derive(Debug, Default)]
pub(crate) struct Segments(Mutex<State>);

impl Segments {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over what replay found.
    pub(crate) fn restore(&self, sealed: Vec<Sealed>, watermark: u64) {
        let mut state = self.state();
        state.sealed = sealed.into();
        state.watermark = watermark;
    }

    /// Bytes of all segments.
    pub(crate) fn bytes(&self) -> u64 {
        let state = self.state();
        let active = state.active.map_or(0, |(_, bytes)| bytes);
        state.sealed.iter().map(|sealed| sealed.bytes).fold(active, u64::saturating_add)
    }

    /// A segment is being written.
    pub(super) fn set_active(&self, number: u64, bytes: u64) {
        self.state().active = Some((number, bytes));
    }

    /// A segment is written no more.
    pub(super) fn seal(&self, sealed: Sealed) {
        let mut state = self.state();
        state.active = None;
        state.sealed.push_back(sealed);
    }

    /// Requests up to this seq are in committed files, on disk.
    pub(crate) fn cover(&self, watermark: u64) {
        let mut state = self.state();
        state.watermark = state.watermark.max(watermark);
    }

    /// Removes segments that are covered and older than the window, or more than are kept.
    ///
    /// # Errors
    /// [`crate::StorageError::Io`]; the segments stay known and are tried again.
    pub(crate) fn release(&self, fs: &Fs, folder: &Path, now: UnixNanos, window: Duration) -> Result<()> {
        let mut removed = false;
        while let Some(sealed) = self.next_released(|sealed, covered_bytes| {
            now.since(sealed.newest_received) > window || covered_bytes > COVERED_BYTES_MAX
        }) {
            hit(Point::SegmentUnlink)?;
            fs.remove(&segment::path(folder, sealed.number))?;
            pass(Point::SegmentUnlinked);
            self.forget(sealed.number);
            removed = true;
        }
        if removed { fs.sync_dir(folder) } else { Ok(()) }
    }

    /// Removes every covered segment to make room on a full disk; whether there was one.
    pub(crate) fn release_all_covered(&self, fs: &Fs, folder: &Path) -> bool {
        let mut removed = false;
        while let Some(sealed) = self.next_released(|_, _| true) {
            if let Err(error) = fs.remove(&segment::path(folder, sealed.number)) {
                tracing::warn!(segment = sealed.number, %error, "cannot remove the wal segment");
                return removed;
            }
            self.forget(sealed.number);
            removed = true;
        }
        removed
    }

    fn next_released(&self, may_go: impl Fn(&Sealed, u64) -> bool) -> Option<Sealed> {
        let state = self.state();
        let covered = state.sealed.iter().filter(|sealed| sealed.last_seq <= state.watermark);
        let covered_bytes = covered.map(|sealed| sealed.bytes).fold(0, u64::saturating_add);
        let oldest = state.sealed.front().filter(|sealed| sealed.last_seq <= state.watermark)?;
        may_go(oldest, covered_bytes).then_some(*oldest)
    }

    fn forget(&self, number: u64) {
        self.state().sealed.retain(|sealed| sealed.number != number);
    }
}

//! Reads every file once in a while and compares it with the hash it was written with, slowly: bits rot on disks that nobody
//! reads. The place in the pass is kept on disk, so that restarts do not begin it anew.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use xxhash_rust::xxh3::Xxh3;

use crate::flush::stopped;
use crate::fs::{Fs, io_error};
use crate::place::{DataFiles, DataReader};
use crate::{Clock, DataFile, Result, UnixNanos};

/// Name of the file, below the data folder.
const FILE: &str = "scrub.json";
/// Read at a time, between two looks at the pace: 1 MiB.
const PIECE_BYTES: u64 = 1 << 20;
/// From a store: 8 MiB, since each is a request.
const REQUEST_BYTES: u64 = 8 << 20;
/// The place in the pass is written this often.
const SAVE_EVERY: Duration = Duration::from_secs(60);
/// How often a wait looks at the clock.
const LOOK: Duration = Duration::from_millis(20);
/// No wait is longer: a clock that was put back must not stop the pass.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// The place in the pass.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    /// When the pass began.
    began_unix_nano: i64,
    /// The last file that was read; none before the first.
    after: Option<String>,
    /// Whether all were.
    done: bool,
}

/// Figures of the scrubber.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScrubStatus {
    /// Files read since start.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that were not what was written.
    pub damaged: u64,
    /// Passes finished since start.
    pub passes: u64,
}

/// The one that reads.
#[derive(Debug)]
pub(crate) struct Scrubber {
    fs: Fs,
    clock: Arc<dyn Clock>,
    path: PathBuf,
    interval: Duration,
    bytes_per_second: u64,
    place: Mutex<Place>,
    saved: Mutex<UnixNanos>,
    files: AtomicU64,
    bytes: AtomicU64,
    damaged: AtomicU64,
    passes: AtomicU64,
}

impl Scrubber {
    /// A scrubber that goes on where the last process was.
    pub(crate) fn new(
        fs: Fs,
        clock: Arc<dyn Clock>,
        data_dir: &Path,
        interval: Duration,
        bytes_per_second: u64,
    ) -> Self {
        let path = data_dir.join(FILE);
        let place = fs.read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let place = Mutex::new(place.unwrap_or(Place { began_unix_nano: clock.now().0, ..Place::default() }));
        let [files, bytes, damaged, passes] = Default::default();
        let saved = Mutex::new(clock.now());
        Self { fs, clock, path, interval, bytes_per_second, place, saved, files, bytes, damaged, passes }
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next file of the pass; none when the pass is over and the next is not due.
    pub(crate) fn next(&self, files: &[DataFile]) -> Option<DataFile> {
        let now = self.clock.now();
        if self.interval.is_zero() || self.bytes_per_second == 0 {
            return None;
        }
        let mut place = self.place();
        if place.done {
            if now.since(UnixNanos(place.began_unix_nano)) < self.interval {
                return None;
            }
            *place = Place { began_unix_nano: now.0, ..Place::default() };
        }
        let after = place.after.clone().unwrap_or_default();
        let next = files.iter().filter(|file| file.path > after).min_by(|one, other| one.path.cmp(&other.path));
        if let Some(next) = next {
            return Some(next.clone());
        }
        place.done = true;
        let done = place.clone();
        drop(place);
        self.passes.fetch_add(1, Ordering::Relaxed);
        self.save(&done, now);
        None
    }

    /// Reads a file at the pace; what is wrong with it, if anything. A file that cannot be read now counts as whole.
    ///
    /// # Errors
    /// What kept it from being read to its end.
    pub(crate) async fn check(
        &self,
        files: &DataFiles,
        file: &DataFile,
        stop: &CancellationToken,
    ) -> Result<Option<String>> {
        let found = self.hash(files, file, stop).await;
        if stop.is_cancelled() {
            return Ok(None);
        }
        self.files.fetch_add(1, Ordering::Relaxed);
        let (mut place, now) = (self.place(), self.clock.now());
        place.after = Some(file.path.clone());
        let reached = place.clone();
        drop(place);
        let saved = *self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        if now.since(saved) >= SAVE_EVERY {
            self.save(&reached, now);
        }
        let wrong = match (found?, file.content_hash) {
            (None, _) => Some("the scrubber did not find it"),
            (Some(found), Some(hash)) if found != hash => Some("the scrubber found other content than was written"),
            _ => None,
        };
        self.damaged.fetch_add(u64::from(wrong.is_some()), Ordering::Relaxed);
        Ok(wrong.map(str::to_owned))
    }

    fn save(&self, place: &Place, now: UnixNanos) {
        let json = serde_json::to_vec(place).unwrap_or_default();
        match self.fs.write_durably(&self.path, &json) {
            Ok(()) => *self.saved.lock().unwrap_or_else(PoisonError::into_inner) = now,
            Err(error) => tracing::warn!(%error, "cannot note how far the scrubber is"),
        }
    }

    /// The hash of a file's bytes; none when there is no file.
    async fn hash(&self, files: &DataFiles, file: &DataFile, stop: &CancellationToken) -> Result<Option<u128>> {
        let mut pace = Pace { bytes_per_second: self.bytes_per_second, due: self.clock.now() };
        let mut reading = match files.open(&file.path, file.size_bytes) {
            Ok(reader) => Reading { reader, hash: Xxh3::new(), at: 0, length: 0 },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error("open", Path::new(&file.path), error)),
        };
        loop {
            let read = tokio::task::spawn_blocking(move || reading.piece()).await;
            reading = match read.map_err(|error| stopped(&error))? {
                Ok(reading) => reading,
                Err(error) if is_missing(&error) => return Ok(None),
                Err(error) => return Err(io_error("read", Path::new(&file.path), error)),
            };
            if reading.length == 0 || stop.is_cancelled() {
                return Ok(Some(reading.hash.digest128()));
            }
            self.bytes.fetch_add(reading.length, Ordering::Relaxed);
            pace.take(reading.length, self.clock.now());
            while pace.has_to_wait(self.clock.now()) && !stop.is_cancelled() {
                tokio::time::sleep(LOOK).await;
            }
        }
    }

    /// Figures for status.
    pub(crate) fn status(&self) -> ScrubStatus {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ScrubStatus {
            files: load(&self.files),
            bytes: load(&self.bytes),
            damaged: load(&self.damaged),
            passes: load(&self.passes),
        }
    }
}

/// A file that is being read.
struct Reading {
    reader: DataReader,
    hash: Xxh3,
    at: u64,
    /// Bytes of the last piece.
    length: u64,
}

impl Reading {
    fn piece(mut self) -> std::io::Result<Self> {
        let bytes = if self.reader.is_remote() { REQUEST_BYTES } else { PIECE_BYTES };
        let length = bytes.min(self.reader.size().saturating_sub(self.at));
        if length > 0 {
            let piece = self.reader.read_at(self.at, usize::try_from(length).unwrap_or(usize::MAX))?;
            self.hash.update(&piece);
        }
        self.at = self.at.saturating_add(length);
        self.length = length;
        Ok(self)
    }
}

/// Whether an error says that the file is gone; a store's is wrapped.
fn is_missing(error: &std::io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<crate::StorageError>());
    let kind = match inner {
        Some(crate::StorageError::Io { source, .. }) => source.kind(),
        _ => error.kind(),
    };
    kind == std::io::ErrorKind::NotFound
}

/// Bytes a second over the given clock.
#[derive(Debug, Clone, Copy)]
struct Pace {
    bytes_per_second: u64,
    /// Until then what was read has used up its time.
    due: UnixNanos,
}

impl Pace {
    fn take(&mut self, bytes: u64, now: UnixNanos) {
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second.max(1));
        let time = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)).min(WAIT_MAX);
        // A clock that was put back starts the count anew.
        let from = if self.due > now.saturating_add(WAIT_MAX) { now } else { self.due.max(now) };
        self.due = from.saturating_add(time);
    }

    fn has_to_wait(&self, now: UnixNanos) -> bool {
        self.due > now && self.due.since(now) <= WAIT_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: pieces are read as fast as the pace lets them, over a clock turned by hand; the clock is put back an hour.
    /// Guarantees: after a minute no more was read than the rate allows, and no less but for one piece; a clock that
    /// was put back stops nothing.
    #[test]
    fn the_pace_is_kept() {
        let mut now = UnixNanos(0);
        let mut pace = Pace { bytes_per_second: 20_000_000, due: now };
        let (mut bytes, end) = (0, UnixNanos(60_000_000_000));
        while now < end {
            if pace.has_to_wait(now) {
                now = now.saturating_add(Duration::from_millis(1));
            } else {
                bytes += PIECE_BYTES;
                pace.take(PIECE_BYTES, now);
            }
        }
        assert!((20_000_000 * 60 - 60 * PIECE_BYTES..=20_000_000 * 60 + PIECE_BYTES).contains(&bytes), "{bytes}");
        let put_back = now.saturating_sub(Duration::from_secs(3600));
        assert!(!pace.has_to_wait(put_back));
        pace.take(PIECE_BYTES, put_back);
        assert!(pace.has_to_wait(put_back) && !pace.has_to_wait(put_back.saturating_add(Duration::from_secs(1))));
    }
}

//! What runs beside the callers: the thread that writes the log, and the task that flushes by size and age,
//! removes old segments and notices when a full disk has room again.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Shared, upkeep};
use crate::flush::Flusher;
use crate::object::RoundWriter;
use crate::wal;
use crate::wal::writer::{Append, Writer};

/// How often age, segments and disk are looked at.
const TICK: Duration = Duration::from_millis(250);
/// Waits after failed flushes, in a row.
const BACKOFF: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// What makes requests durable.
#[derive(Debug)]
pub(super) enum LogWriter {
    /// On the local disk.
    Disk(Box<Writer>),
    /// In the store that the table is in.
    Store(RoundWriter),
}

impl LogWriter {
    fn run(self, requests: mpsc::Receiver<Append>, rounds: &Arc<Shared>) {
        match self {
            Self::Disk(writer) => writer.run(requests, rounds),
            Self::Store(writer) => writer.run(requests, rounds),
        }
    }
}

/// Joined by [`Background::stop`]; a dropped one ends by itself.
#[derive(Debug)]
pub(super) struct Background {
    stop: CancellationToken,
    task: task::JoinHandle<()>,
    keeper: task::JoinHandle<()>,
    upkeep: task::JoinHandle<()>,
    scrub: task::JoinHandle<()>,
    writer: Option<JoinHandle<()>>,
}

impl Background {
    pub(super) fn start(shared: &Arc<Shared>, writer: LogWriter, requests: mpsc::Receiver<Append>) -> Self {
        let stop = CancellationToken::new();
        let rounds = Arc::clone(shared);
        let spawned =
            std::thread::Builder::new().name("daytwo-wal".to_owned()).spawn(move || writer.run(requests, &rounds));
        if let Err(error) = &spawned {
            shared.health.refuse_writes(format!("the wal thread cannot be started: {error}"));
        }
        let task = task::spawn(run(Arc::clone(shared), stop.clone()));
        let keeper = Arc::clone(&shared.keeper).run(Arc::clone(&shared.buffer), stop.clone());
        let keeper = task::spawn(keeper);
        let upkeep = task::spawn(upkeep::run(Arc::clone(shared), stop.clone()));
        let scrub = task::spawn(upkeep::scrub(Arc::clone(shared), stop.clone()));
        Self { stop, task, keeper, upkeep, scrub, writer: spawned.ok() }
    }

    /// Waits until every queued request is answered and no flush runs.
    pub(super) async fn stop(mut self, shared: &Shared) {
        if let Some(writer) = self.writer.take() {
            let joined = task::spawn_blocking(move || writer.join()).await;
            if !matches!(joined, Ok(Ok(()))) {
                tracing::error!("the wal thread ended in a panic");
            }
        }
        self.stop.cancel();
        shared.cancel_compaction();
        if let Err(error) = (&mut self.task).await {
            tracing::error!(%error, "the flush task ended in a panic");
        }
        if let Err(error) = (&mut self.keeper).await {
            tracing::error!(%error, "the task that makes indexes ended in a panic");
        }
        if let Err(error) = (&mut self.upkeep).await {
            tracing::error!(%error, "the upkeep task ended in a panic");
        }
        if let Err(error) = (&mut self.scrub).await {
            tracing::error!(%error, "the scrubber ended in a panic");
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    let Some(flusher) = shared.writing.as_ref().map(|writing| &writing.flusher) else {
        return;
    };
    let (mut failures, mut had_room, mut next) = (0_u32, true, Instant::now());
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = shared.flush_due.notified() => {}
            () = tokio::time::sleep(TICK) => {}
        }
        let has_room = shared.look_after_disk();
        shared.release_rounds().await;
        if has_room && !had_room {
            // Whatever failed for want of room need not wait any longer.
            next = Instant::now();
        }
        had_room = has_room;
        if Instant::now() < next || !shared.is_flush_due() {
            continue;
        }
        failures = if flush(flusher, failures).await { 0 } else { failures.saturating_add(1) };
        next = Instant::now() + BACKOFF.saturating_mul(failures).min(BACKOFF_MAX);
    }
}

/// Flushes; a row of failures is logged once, at its begin.
async fn flush(flusher: &Flusher, failures: u32) -> bool {
    let Err(error) = flusher.flush().await else {
        return true;
    };
    if failures == 0 {
        tracing::error!(%error, source = ?std::error::Error::source(&error), "flush failed, will be retried; spans are safe in the wal");
    }
    false
}

impl Shared {
    fn is_flush_due(&self) -> bool {
        if self.buffer.is_empty() {
            return false;
        }
        let oldest = self.buffer.oldest();
        let aged = oldest.is_some_and(|oldest| self.clock.now().since(oldest) >= self.config.flush_interval);
        aged || self.buffer.bytes() >= self.config.flush_bytes
    }

    /// Removes segments that may go; whether there is room for new ones.
    fn look_after_disk(&self) -> bool {
        self.disk.look();
        let folder = self.config.data_dir.join(wal::FOLDER);
        let released = self.segments.release(&self.fs, &folder, self.clock.now(), self.config.dedup_window);
        if let Err(error) = released {
            tracing::warn!(%error, "cannot remove wal segments");
        }
        if self.health.is_disk_full() {
            // Ingestion comes before the memory of retried requests.
            self.segments.release_all_covered(&self.fs, &folder);
        }
        let has_room = self.has_room(&folder);
        if !self.health.is_disk_full() || has_room {
            self.health.try_again();
        }
        has_room
    }

    /// Removes rounds from the store that may go.
    async fn release_rounds(&self) {
        let now = self.clock.now();
        let Some(rounds) = self.rounds.clone().filter(|rounds| rounds.is_release_due(now)) else {
            return;
        };
        if let Err(error) = super::blocking(move || rounds.release(now)).await {
            tracing::warn!(%error, "cannot remove rounds of the log from the store");
        }
    }

    /// Whether a segment may be made: see [`wal::segment::prepare`].
    fn has_room(&self, folder: &Path) -> bool {
        let needed = self.config.wal_segment_bytes.saturating_mul(2);
        self.fs.free_bytes(folder).is_none_or(|free| free >= needed)
    }
}

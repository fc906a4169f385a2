//! What keeps files few, the disk from running full, and the promises of what is kept: beside the callers and the flusher.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Shared, blocking};
use crate::ballast::Ballast;
use crate::compaction::Outcome;
use crate::{DiskLevel, Result};

/// How often it is asked whether there is something to do.
const TICK: Duration = Duration::from_secs(1);
/// Wait after a failure: its cause is seldom gone sooner.
const BACKOFF: Duration = Duration::from_secs(30);

/// Runs until `stop`.
pub(super) async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    loop {
        let wait = match shared.upkeep(&stop).await {
            Ok(()) => TICK,
            Err(error) => {
                tracing::warn!(%error, source = ?std::error::Error::source(&error), "upkeep failed, will be retried");
                BACKOFF
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

impl Shared {
    async fn upkeep(&self, stop: &CancellationToken) -> Result<()> {
        self.vacuum().await;
        self.restore_ballast().await?;
        while !stop.is_cancelled() && self.compact().await? {
            self.vacuum().await;
        }
        Ok(())
    }

    /// Ends a merge under way; there will be no other.
    pub(super) fn cancel_compaction(&self) {
        self.writing.iter().for_each(|writing| writing.compactor.cancel());
    }

    /// One merge; whether there may be more to do.
    pub(super) async fn compact(&self) -> Result<bool> {
        let Some(writing) = &self.writing else {
            return Ok(false);
        };
        match writing.compactor.run().await? {
            Outcome::Idle => Ok(false),
            Outcome::Busy => Ok(true),
            Outcome::Damaged { path, reason } => {
                if !self.report_damaged(&path, &reason).await? {
                    writing.compactor.leave_alone(&path);
                }
                Ok(true)
            }
        }
    }

    /// Removes files that nobody can be reading. On a disk that runs full, other engines are not waited for.
    pub(super) async fn vacuum(&self) {
        let Some(writing) = &self.writing else {
            return;
        };
        let (vacuum, now, held) = (Arc::clone(&writing.committer.vacuum), self.clock.now(), self.buffer.oldest_held());
        let hurry = self.disk.status().level >= DiskLevel::Warn;
        let run = move || {
            vacuum.run(now, held, hurry);
            Ok(())
        };
        if let Err(error) = blocking(run).await {
            tracing::warn!(%error, "cannot remove files that count no more");
        }
    }

    /// Sets room for commits aside, once there is enough.
    async fn restore_ballast(&self) -> Result<()> {
        let Some(writing) = &self.writing else {
            return Ok(());
        };
        let (ballast, status) = (Arc::clone(&writing.committer.ballast), self.disk.status());
        if status.level != DiskLevel::Ready {
            return Ok(());
        }
        let bytes = Ballast::wanted_bytes(status.used_bytes.saturating_add(status.free_bytes));
        blocking(move || ballast.restore(bytes)).await
    }
}

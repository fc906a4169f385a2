//! What keeps files few, the disk from running full, and the promises of what is kept: beside the callers and the flusher.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Shared, blocking};
use crate::ballast::Ballast;
use crate::compaction::Outcome;
use crate::{DiskLevel, Result};

/// How often the scrubber that had nothing to do is asked again.
const SCRUB_TICK: Duration = Duration::from_secs(1);
/// Wait after a failure: its cause is seldom gone sooner.
const BACKOFF: Duration = Duration::from_secs(30);

/// Every how many rounds spans are let go.
const EXPIRY_TICKS: u32 = 60;
/// Every how many rounds others are looked for who write to a table in a store: one request.
const LOOK_TICKS: u32 = 10;

/// Runs until `stop`, if the store is to be kept without being asked.
pub(super) async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    let interval = shared.config.upkeep_interval;
    if interval.is_zero() {
        return;
    }
    let mut ticks = 0_u32;
    loop {
        let wait = match shared.upkeep(ticks, &stop).await {
            Ok(()) => interval,
            Err(error) => {
                tracing::warn!(%error, source = ?std::error::Error::source(&error), "upkeep failed, will be retried");
                BACKOFF
            }
        };
        ticks = ticks.wrapping_add(1);
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Reads files until `stop`, as slowly as it is told to.
pub(super) async fn scrub(shared: Arc<Shared>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        if !shared.scrub(&stop).await {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(SCRUB_TICK) => {}
            }
        }
    }
}

impl Shared {
    async fn upkeep(&self, ticks: u32, stop: &CancellationToken) -> Result<()> {
        self.vacuum().await;
        if ticks.is_multiple_of(LOOK_TICKS) && !self.look_for_others().await? {
            // The table is another server's; there is nothing to keep.
            stop.cancelled().await;
            return Ok(());
        }
        self.restore_ballast().await?;
        self.watch_clock().await?;
        if ticks.is_multiple_of(EXPIRY_TICKS) {
            self.expire().await?;
        }
        while !stop.is_cancelled() && self.compact().await? {
            self.vacuum().await;
        }
        Ok(())
    }

    async fn look_for_others(&self) -> Result<bool> {
        match &self.writing {
            Some(writing) => writing.committer.look_for_others().await,
            None => Ok(true),
        }
    }

    /// What the first round would do, before anybody else uses the folder.
    pub(super) async fn settle_in(&self) -> Result<()> {
        self.restore_ballast().await?;
        self.watch_clock().await
    }

    async fn watch_clock(&self) -> Result<()> {
        let Some(writing) = &self.writing else {
            return Ok(());
        };
        let retention = Arc::clone(&writing.retention);
        blocking(move || {
            retention.watch_clock();
            Ok(())
        })
        .await
    }

    /// Lets go what is kept no longer.
    pub(super) async fn expire(&self) -> Result<()> {
        self.watch_clock().await?;
        match &self.writing {
            Some(writing) => writing.retention.run().await,
            None => Ok(()),
        }
    }

    /// Checks the next file; whether there was one.
    async fn scrub(&self, stop: &CancellationToken) -> bool {
        let Some(writing) = &self.writing else {
            return false;
        };
        // Held, so that the file stays on disk while it is read.
        let snapshot = self.snapshot(None).0;
        let Some(file) = writing.scrubber.next(&snapshot.files) else {
            return false;
        };
        let checked = match writing.scrubber.check(&snapshot.data, &file, stop).await {
            Ok(Some(reason)) => self.report_damaged(&file.path, &reason).await.map(|_| ()),
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = checked {
            tracing::warn!(path = %file.path, %error, "the scrubber cannot check a file now");
        }
        true
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
        // A merge needs room before it frees any.
        if self.disk.status().level == DiskLevel::Shed {
            return Ok(false);
        }
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
        // What is removed from a store frees nothing here.
        let hurry = !self.place.is_remote() && self.disk.status().level >= DiskLevel::Warn;
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

//! A folder as a month of work leaves it, made in seconds: a commit a minute, a merge an hour.

use std::path::Path;
use std::time::Duration;

use deltalake_core::checkpoints;

use super::commit::{Purpose, Transaction};
use super::{APP_ID, CHECKPOINT_EVERY, LOG_FOLDER, Table, actions, cannot};
use crate::fs::Fs;
use crate::parquet::writer::NewFile;
use crate::partition::{FileName, received_hour};
use crate::place::Place;
use crate::{Clock, DataFile, Result, UnixNanos};

/// Flushes that a merge makes one file of.
const MERGED: u64 = 60;
const MINUTE: Duration = Duration::from_secs(60);
/// The least that looks like a data file.
const BYTES: &[u8] = b"PAR1PAR1";

/// Writes `minutes` of commits below `data_dir`, an hour's flushes merged at its end, with a checkpoint less than a hundred
/// commits before the last. Returns how many commits there are.
///
/// # Errors
/// As a commit.
pub(crate) async fn write(data_dir: &Path, clock: &dyn Clock, minutes: u64) -> Result<u64> {
    let fs = Fs::default();
    fs.create_dir_all(data_dir)?;
    let (table, _) = Table::open(&Place::local(fs, data_dir), APP_ID, clock).await?;
    let log = table.place.dir().join(LOG_FOLDER);
    let began = clock.now();
    let (mut version, mut flushed) = (0_u64, Vec::new());
    let commits = minutes + minutes / MERGED;
    let checkpoint_at = commits.saturating_sub(commits % CHECKPOINT_EVERY).max(1);
    let commit = |transaction: &Transaction, at: UnixNanos, version: &mut u64| {
        *version += 1;
        let path = log.join(format!("{version:020}.json"));
        let text = actions::entry(transaction, APP_ID, None, at);
        std::fs::write(&path, text).map_err(|source| crate::fs::io_error("write", &path, source))
    };
    for minute in 1..=minutes {
        let at = began.saturating_add(MINUTE.saturating_mul(u32::try_from(minute).unwrap_or(u32::MAX)));
        let new = file(FileName { merged: false, first_seq: minute, last_seq: minute }, at);
        flushed.push(new.file.clone());
        let flush =
            Transaction { purpose: Purpose::Flush, adds: vec![new], removes: Vec::new(), watermark: Some(minute) };
        commit(&flush, at, &mut version)?;
        if version == checkpoint_at {
            checkpoint(&table).await?;
        }
        if minute.is_multiple_of(MERGED) {
            let name = FileName { merged: true, first_seq: minute + 1 - MERGED, last_seq: minute };
            let removes = std::mem::take(&mut flushed);
            let merge =
                Transaction { purpose: Purpose::Compaction, adds: vec![file(name, at)], removes, watermark: None };
            put(table.place.dir(), &merge.adds[0].file)?;
            commit(&merge, at, &mut version)?;
            if version == checkpoint_at {
                checkpoint(&table).await?;
            }
        }
    }
    flushed.iter().try_for_each(|file| put(table.place.dir(), file))?;
    Ok(version)
}

async fn checkpoint(table: &Table) -> Result<()> {
    let delta = table.handle().await?;
    checkpoints::create_checkpoint(&delta, None).await.map_err(cannot("checkpoint"))
}

fn file(name: FileName, at: UnixNanos) -> NewFile {
    let hour = received_hour(at);
    let file = DataFile {
        path: name.path(&hour, name.last_seq),
        size_bytes: BYTES.len() as u64,
        rows: 1,
        start_range: Some((at.0, at.0)),
        received_hour: hour,
        content_hash: Some(7),
    };
    let (received_range, duration_range) = (Some((at.0, at.0)), Some((0, 1)));
    NewFile { file, content_hash: 7, end: bytes::Bytes::new(), received_range, duration_range }
}

fn put(table_dir: &Path, file: &DataFile) -> Result<()> {
    let path = table_dir.join(&file.path);
    let write = || {
        std::fs::create_dir_all(crate::fs::parent(&path))?;
        std::fs::write(&path, BYTES)
    };
    write().map_err(|source| crate::fs::io_error("write", &path, source))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    /// Scenario: tables of five and of forty hours at a commit a minute, opened.
    /// Guarantees: every file is known, and an open reads less than two hundred files of the log, however long that is.
    #[tokio::test]
    async fn an_open_reads_a_bounded_part_of_the_log() {
        for hours in [5, 40] {
            let folder = tempfile::tempdir().unwrap();
            let clock = ManualClock::at(UnixNanos(1_700_000_000_000_000_000));
            let commits = write(folder.path(), &clock, hours * MERGED + 10).await.unwrap();
            assert_eq!(commits, hours * (MERGED + 1) + 10);
            let (table, watermark) =
                Table::open(&Place::local(Fs::default(), folder.path()), APP_ID, &clock).await.unwrap();
            assert_eq!((table.files().len() as u64, watermark), (hours + 10, hours * MERGED + 10));
            let reads = table.reads.load(std::sync::atomic::Ordering::Relaxed);
            // Each commit behind the checkpoint is read for files, tombstones and the watermark.
            assert!(reads < 4 * CHECKPOINT_EVERY, "{reads} reads after {commits} commits");
        }
    }
}

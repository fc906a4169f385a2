//! Lets spans go that are kept no longer: by age, by age of a service, by the share of the disk that is in use.
//!
//! Whole files go by a commit; the vacuum removes them. A file with spans of several services goes when all of them are
//! old enough; before that it is written anew without the old ones, once they are at least half of it ([`rewrite`]).
//!
//! Age is that of reception, and the order of files is that of the requests in them: a file received after another is never
//! older, whatever the clock said then ([`received_before`]). A clock that jumped lets nothing go ([`high_water`]).

pub(crate) mod high_water;
mod rewrite;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::committer::Committer;
use crate::disk::Disk;
use crate::flush::stopped;
use crate::partition::{FileName, hour_end};
use crate::table::{Purpose, Transaction};
use crate::{DataFile, Result, UnixNanos};
pub(crate) use high_water::HighWater;

/// A file is written anew once at least this part of its spans is old enough to go: one in two.
const REWRITE_SHARE: u64 = 2;

/// How long spans are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Since their reception; zero keeps them.
    pub(crate) age: Duration,
    /// Services with an age of their own; zero keeps them.
    pub(crate) by_service: BTreeMap<String, Duration>,
    /// Percent of the disk that may be in use before the oldest go; zero looks at no disk.
    pub(crate) disk_percent: u8,
}

impl Policy {
    fn age_of(&self, service: &str) -> Duration {
        self.by_service.get(service).copied().unwrap_or(self.age)
    }

    /// The shortest age, before which no file has to be looked into.
    fn shortest(&self) -> Option<Duration> {
        let ages = self.by_service.values().chain([&self.age]);
        ages.filter(|age| !age.is_zero()).min().copied()
    }
}

/// Figures of retention.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RetentionStatus {
    /// Files that were let go since start.
    pub expired_files: u64,
    /// Their bytes.
    pub expired_bytes: u64,
    /// Spans that were let go since start.
    pub expired_rows: u64,
    /// Files written anew without spans that were let go.
    pub rewritten_files: u64,
    /// Whether nothing goes because the clock jumped.
    pub suspended: bool,
}

/// The one that lets spans go.
#[derive(Debug)]
pub(crate) struct Retention {
    committer: Arc<Committer>,
    disk: Arc<Disk>,
    policy: Policy,
    high_water: HighWater,
    /// Spans of each service in files that were looked into.
    services: Mutex<HashMap<String, Arc<BTreeMap<String, u64>>>>,
    suspended: AtomicBool,
    expired: [AtomicU64; 3],
    rewritten: AtomicU64,
}

impl Retention {
    /// Retention that has let nothing go yet.
    pub(crate) fn new(committer: Arc<Committer>, disk: Arc<Disk>, policy: Policy, high_water: HighWater) -> Self {
        Self {
            committer,
            disk,
            policy,
            high_water,
            services: Mutex::default(),
            suspended: AtomicBool::new(false),
            expired: Default::default(),
            rewritten: AtomicU64::new(0),
        }
    }

    /// Looks at the clock, often enough to see it advance. Blocks on the disk about once a minute.
    pub(crate) fn watch_clock(&self) {
        let suspended = !self.high_water.observe(self.committer.clock.now());
        if self.suspended.swap(suspended, Ordering::Relaxed) != suspended {
            if suspended {
                tracing::error!(
                    "the clock jumped more than a day ahead: no span expires by age until it has been seen to advance"
                );
            } else {
                tracing::info!("the clock advances as it should: spans expire by age again");
            }
        }
    }

    /// Lets go what is kept no longer.
    ///
    /// # Errors
    /// What kept the commit from being written; the files stay.
    pub(crate) async fn run(&self) -> Result<()> {
        self.expire_by_disk().await?;
        if self.suspended.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.expire_by_age().await
    }

    async fn expire_by_disk(&self) -> Result<()> {
        let percent = u64::from(self.policy.disk_percent);
        if percent == 0 {
            return Ok(());
        }
        let status = self.disk.status();
        let all = status.used_bytes.saturating_add(status.free_bytes);
        let allowed = u64::try_from(u128::from(all) * u128::from(percent) / 100).unwrap_or(u64::MAX);
        // What waits for the vacuum is as good as gone.
        let used = status.used_bytes.saturating_sub(self.committer.vacuum.waiting_bytes());
        let mut table = self.committer.lock().await?;
        let removes = oldest_of(table.files(), used.saturating_sub(allowed));
        self.commit(&mut table, removes).await
    }

    async fn expire_by_age(&self) -> Result<()> {
        let Some(shortest) = self.policy.shortest() else {
            return Ok(());
        };
        let now = self.committer.clock.now();
        let old = {
            let table = self.committer.lock().await?;
            let ended = received_before(table.files(), now).into_iter();
            let old = ended.filter(|(end, _)| now.since(*end) >= shortest);
            old.map(|(end, file)| (now.since(end), file.clone())).collect::<Vec<_>>()
        };
        let mut removes = Vec::new();
        for (age, file) in old {
            let path = file.path.clone();
            let done = match self.fate(age, &file).await {
                Ok(Fate::Keep) => Ok(()),
                Ok(Fate::Expire) => {
                    removes.push(file);
                    Ok(())
                }
                Ok(Fate::Rewrite) => self.rewrite(age, file).await,
                Err(error) => Err(error),
            };
            // One file that cannot be read keeps no other: the scrubber deals with it.
            if let Err(error) = done {
                tracing::warn!(path, %error, "a file is kept for longer");
            }
        }
        self.services
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|path, _| !removes.iter().any(|file| file.path == *path));
        let mut table = self.committer.lock().await?;
        removes.retain(|file| table.files().contains(file));
        self.commit(&mut table, removes).await
    }

    async fn commit(&self, table: &mut crate::table::Table, removes: Vec<DataFile>) -> Result<()> {
        if removes.is_empty() {
            return Ok(());
        }
        let sum = |of: fn(&DataFile) -> u64| removes.iter().map(of).fold(0, u64::saturating_add);
        let sums = [removes.len() as u64, sum(|file| file.size_bytes), sum(|file| file.rows)];
        let transaction = Transaction { purpose: Purpose::Retention, adds: Vec::new(), removes, watermark: None };
        self.committer.commit(table, &transaction).await?;
        self.count(sums);
        tracing::info!(files = sums[0], bytes = sums[1], spans = sums[2], "spans are kept no longer");
        Ok(())
    }

    fn count(&self, sums: [u64; 3]) {
        self.expired.iter().zip(sums).for_each(|(counter, sum)| {
            counter.fetch_add(sum, Ordering::Relaxed);
        });
    }

    async fn fate(&self, age: Duration, file: &DataFile) -> Result<Fate> {
        if self.policy.by_service.is_empty() {
            return Ok(if age >= self.policy.age { Fate::Expire } else { Fate::Keep });
        }
        let services = self.services_of(file).await?;
        let old: u64 = services.iter().filter(|(service, _)| self.is_old(age, service)).map(|(_, rows)| rows).sum();
        let all: u64 = services.values().sum();
        Ok(match old {
            0 => Fate::Keep,
            old if old == all => Fate::Expire,
            old if old.saturating_mul(REWRITE_SHARE) >= all => Fate::Rewrite,
            _ => Fate::Keep,
        })
    }

    fn is_old(&self, age: Duration, service: &str) -> bool {
        let kept = self.policy.age_of(service);
        !kept.is_zero() && age >= kept
    }

    async fn services_of(&self, file: &DataFile) -> Result<Arc<BTreeMap<String, u64>>> {
        let known = self.services.lock().unwrap_or_else(PoisonError::into_inner).get(&file.path).map(Arc::clone);
        if let Some(known) = known {
            return Ok(known);
        }
        let (place, path) = (self.committer.place.clone(), file.path.clone());
        let read = tokio::task::spawn_blocking(move || rewrite::services_of(&place, &path)).await;
        let services = Arc::new(read.map_err(|error| stopped(&error))??);
        self.services.lock().unwrap_or_else(PoisonError::into_inner).insert(file.path.clone(), Arc::clone(&services));
        Ok(services)
    }

    async fn rewrite(&self, age: Duration, file: DataFile) -> Result<()> {
        let services = self.services_of(&file).await?;
        let old: Vec<String> = services.keys().filter(|service| self.is_old(age, service)).cloned().collect();
        let (place, indexes) = (self.committer.place.clone(), self.committer.keeper.indexes().clone());
        let input = file.clone();
        let work = move || rewrite::without(&place, &indexes, &input, &old);
        let new = tokio::task::spawn_blocking(work).await.map_err(|error| stopped(&error))??;
        let rows = file.rows.saturating_sub(new.file.rows);
        let transaction =
            Transaction { purpose: Purpose::Retention, adds: vec![new], removes: vec![file], watermark: None };
        match self.committer.lock().await {
            Ok(mut table) => self.committer.commit(&mut table, &transaction).await?,
            Err(error) => {
                self.committer.discard(transaction.adds).await;
                return Err(error);
            }
        }
        self.rewritten.fetch_add(1, Ordering::Relaxed);
        self.count([0, 0, rows]);
        Ok(())
    }

    /// Figures for status.
    pub(crate) fn status(&self) -> RetentionStatus {
        let [files, bytes, rows] = [0, 1, 2].map(|at: usize| self.expired[at].load(Ordering::Relaxed));
        RetentionStatus {
            expired_files: files,
            expired_bytes: bytes,
            expired_rows: rows,
            rewritten_files: self.rewritten.load(Ordering::Relaxed),
            suspended: self.suspended.load(Ordering::Relaxed),
        }
    }
}

/// What becomes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Keep,
    Expire,
    Rewrite,
}

/// Files in the order of their requests, each with the instant before which all of it was received. An hour that ends before
/// one that was written earlier is that of a clock that was behind, so the earlier one counts; an hour that is
/// still to come is that of a clock that was ahead, and says nothing about others.
fn received_before(files: &[DataFile], now: UnixNanos) -> Vec<(UnixNanos, &DataFile)> {
    let mut files: Vec<(u64, UnixNanos, &DataFile)> = files
        .iter()
        .filter_map(|file| {
            let first_seq = FileName::parse(&file.path).map_or(0, |name| name.first_seq);
            Some((first_seq, hour_end(&file.received_hour)?, file))
        })
        .collect();
    files.sort_by_key(|(first_seq, end, _)| (*first_seq, *end));
    let mut latest = UnixNanos(i64::MIN);
    let ended = files.into_iter().map(|(_, end, file)| {
        if end <= now {
            latest = latest.max(end);
        }
        (end.max(latest), file)
    });
    ended.collect()
}

/// The oldest files that hold this many bytes together, but none of the newest hour.
fn oldest_of(files: &[DataFile], bytes: u64) -> Vec<DataFile> {
    let mut ended = received_before(files, UnixNanos(i64::MAX));
    ended.sort_by_key(|(end, _)| *end);
    let newest = ended.last().map(|(end, _)| *end);
    let mut left = bytes;
    let mut oldest = Vec::new();
    for (end, file) in ended {
        if left == 0 || Some(end) == newest {
            break;
        }
        left = left.saturating_sub(file.size_bytes);
        oldest.push(file.clone());
    }
    oldest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(hour: &str, seq: u64) -> DataFile {
        let path = FileName { merged: false, first_seq: seq, last_seq: seq }.path(hour, seq);
        let received_hour = hour.to_owned();
        DataFile { path, size_bytes: 10, rows: 1, start_range: None, received_hour, content_hash: None }
    }

    fn end(hour: &str) -> UnixNanos {
        hour_end(hour).unwrap()
    }

    /// Scenario: files of ordinary hours, of a clock that was back in 1970 for a while, and of one that was far ahead.
    /// Guarantees: no file counts as older than one that was written before it; a clock that was ahead ages nothing later.
    #[test]
    fn order_counts_more_than_the_clock() {
        let now = end("2026-05-01T10");
        let files =
            [file("2026-05-01T08", 1), file("1970-01-01T00", 2), file("2099-01-01T00", 3), file("2026-05-01T09", 4)];
        let ended: Vec<UnixNanos> = received_before(&files, now).into_iter().map(|(end, _)| end).collect();
        assert_eq!(ended, ["2026-05-01T08", "2026-05-01T08", "2099-01-01T00", "2026-05-01T09"].map(end));
    }

    /// Scenario: some bytes are to go of three hours with two files each.
    /// Guarantees: the oldest go, as many as it takes, and never those of the newest hour.
    #[test]
    fn the_oldest_go_first() {
        let files = [1_u64, 2, 3, 4, 5, 6].map(|seq| file(&format!("2026-05-01T0{}", seq.div_ceil(2)), seq));
        let seqs = |bytes: u64| -> Vec<u64> {
            oldest_of(&files, bytes).iter().map(|file| FileName::parse(&file.path).unwrap().first_seq).collect()
        };
        assert_eq!(seqs(0), [0; 0]);
        assert_eq!(seqs(11), [1, 2]);
        assert_eq!(seqs(1_000), [1, 2, 3, 4]);
    }
}

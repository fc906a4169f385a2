//! Opens a data folder.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, Semaphore, mpsc};

use super::background::Background;
use super::{QUEUE_KIB, QUEUE_REQUESTS, Shared, Store, Writing};
use crate::ballast::Ballast;
use crate::buffer::Buffer;
use crate::committer::Committer;
use crate::compaction::{Compactor, Policy};
use crate::damage;
use crate::dedup::Dedup;
use crate::disk::Disk;
use crate::failpoint::{Point, hit};
use crate::flush::Flusher;
use crate::fs::{Fs, parent};
use crate::index::{Indexes, Keeper};
use crate::lock::FolderLock;
use crate::orphans;
use crate::partition;
use crate::quarantine::{Quarantine, Sidecar, sidecar};
use crate::retention::{self, HighWater, Retention, high_water};
use crate::scrubber::Scrubber;
use crate::table::{self, Table};
use crate::vacuum::{Dead, Vacuum};
use crate::wal;
use crate::wal::health::Health;
use crate::wal::replay::{Replayed, Replayer};
use crate::wal::retention::Segments;
use crate::wal::writer::Writer;
use crate::{Clock, DataFile, Replay, Result, StorageConfig, UnixNanos};

/// What an open needs and does not change.
struct Opening {
    config: StorageConfig,
    clock: Arc<dyn Clock>,
    replay: Arc<dyn Replay>,
    fs: Fs,
    quarantine: Quarantine,
    read_only: bool,
}

/// What the log lists.
struct Listed {
    files: Vec<DataFile>,
    tombstones: HashMap<String, UnixNanos>,
    /// Folder of the table.
    dir: PathBuf,
    watermark: u64,
}

/// What an open found.
struct Found {
    watermark: u64,
    files: Vec<DataFile>,
    dead: Vec<Dead>,
    holes: Vec<String>,
    quarantined: u64,
    replayed: Replayed,
}

pub(super) async fn writable(
    config: StorageConfig,
    clock: Arc<dyn Clock>,
    replay: Arc<dyn Replay>,
    fs: Fs,
) -> Result<Arc<Store>> {
    fs.create_dir_all(&config.data_dir)?;
    let lock = FolderLock::exclusive(&fs, &config.data_dir)?;
    hit(Point::OpenLocked)?;
    let wal_folder = config.data_dir.join(wal::FOLDER);
    fs.create_dir_all(&wal_folder)?;
    fs.sync_dir(&config.data_dir)?;
    fs.sync_dir(parent(&std::path::absolute(&config.data_dir).unwrap_or_else(|_| config.data_dir.clone())))?;
    let quarantine = Quarantine::new(fs.clone(), &config.data_dir, false);
    let (mut table, watermark) = Table::open(&fs, &config.data_dir, clock.as_ref()).await?;
    hit(Point::OpenTableLoaded)?;
    let indexes = Indexes::new(fs.clone(), &config.data_dir);
    if let Err(error) = indexes.remove_strays(table.files()) {
        tracing::warn!(%error, "indexes of files that are gone stay until the next start");
    }
    let opening = Opening { config, clock, replay, fs, quarantine, read_only: false };
    let listed = Listed {
        files: table.files().to_vec(),
        tombstones: table.take_tombstones(),
        dir: table.dir().to_owned(),
        watermark,
    };
    let (opening, found) = opening.find(listed).await?;
    let damaged: Vec<DataFile> = table.files().iter().filter(|file| !found.files.contains(file)).cloned().collect();
    let store = opening.serve(table, found, lock);
    if let Err(error) = store.shared.settle_in().await {
        tracing::warn!(%error, "the ballast or the time cannot be written, will be retried");
    }
    if let Some(writing) = store.shared.writing.as_ref().filter(|_| !damaged.is_empty()) {
        let mut table = writing.committer.lock().await?;
        writing.committer.remove_damaged(&mut table, damaged.clone()).await;
        damaged.iter().for_each(|file| table.forget(&file.path));
    }
    hit(Point::OpenDone)?;
    Ok(store)
}

pub(super) async fn read_only(
    config: StorageConfig,
    clock: Arc<dyn Clock>,
    replay: Arc<dyn Replay>,
) -> Result<Arc<Store>> {
    let fs = Fs::default();
    let lock = FolderLock::shared(&fs, &config.data_dir)?;
    let quarantine = Quarantine::new(fs.clone(), &config.data_dir, true);
    let table = Table::open_read_only(&fs, &config.data_dir).await?;
    let (files, watermark) = table.map_or((Vec::new(), 0), |(table, watermark)| (table.files().to_vec(), watermark));
    let listed = Listed { files, tombstones: HashMap::new(), dir: config.data_dir.join(table::FOLDER), watermark };
    let opening = Opening { config, clock, replay, fs, quarantine, read_only: true };
    let (opening, found) = opening.find(listed).await?;
    Ok(opening.show(found, lock))
}

impl Opening {
    /// Checks the files and replays the log, off the reactor.
    async fn find(self, listed: Listed) -> Result<(Self, Found)> {
        let find = move || {
            let found = self.find_blocking(&listed)?;
            Ok((self, found))
        };
        super::blocking(find).await
    }

    fn find_blocking(&self, listed: &Listed) -> Result<Found> {
        let known = self.quarantine.sidecars()?;
        let mut holes: Vec<String> = known.iter().map(Sidecar::hole).collect();
        let mut whole = Vec::with_capacity(listed.files.len());
        let mut missing = Vec::new();
        for file in &listed.files {
            let source = format!("{}/{}", table::FOLDER, file.path);
            let aside = known.iter().find(|aside| aside.source == source);
            let damage = damage::damage(&self.fs, &listed.dir, file);
            let Some(reason) = aside.map(|aside| aside.reason.clone()).or(damage) else {
                whole.push(file.clone());
                continue;
            };
            if self.fs.size(&listed.dir.join(&file.path))?.is_none() {
                missing.push(file.clone());
            }
            match aside {
                // A crash came before the file was moved, or before the log learnt of it.
                Some(aside) => self.quarantine.take(&listed.dir.join(&file.path), aside)?,
                None => holes.push(self.set_aside(&listed.dir, file, source, reason)?),
            }
        }
        let replayed = self.replay_wal(listed.watermark)?;
        holes.extend(replayed.holes.iter().filter(|hole| !known.iter().any(|aside| aside.hole() == **hole)).cloned());
        let orphans =
            if self.read_only { orphans::Found::default() } else { self.orphans(listed, &missing, &known, &replayed)? };
        if orphans.removed > 0 {
            tracing::info!(files = orphans.removed, "removed files of a flush or a compaction that was cut short");
        }
        holes.extend(orphans.holes);
        let quarantined = holes.len() as u64;
        Ok(Found { watermark: listed.watermark, files: whole, dead: orphans.dead, holes, quarantined, replayed })
    }

    fn set_aside(&self, table_dir: &Path, file: &DataFile, source: String, reason: String) -> Result<String> {
        tracing::error!(path = %file.path, %reason, "damaged data file set aside");
        let mut aside = sidecar(self.clock.as_ref(), source, 0..file.size_bytes, reason);
        aside.rows = Some(file.rows);
        self.quarantine.take(&table_dir.join(&file.path), &aside)?;
        Ok(aside.hole())
    }

    fn orphans(
        &self,
        listed: &Listed,
        missing: &[DataFile],
        aside: &[Sidecar],
        replayed: &Replayed,
    ) -> Result<orphans::Found> {
        let finder = orphans::Finder {
            fs: &self.fs,
            clock: self.clock.as_ref(),
            quarantine: &self.quarantine,
            table_dir: &listed.dir,
            listed: &listed.files,
            missing,
            aside,
            tombstones: &listed.tombstones,
            watermark: listed.watermark,
            replayed,
        };
        finder.run()
    }

    fn replay_wal(&self, watermark: u64) -> Result<Replayed> {
        let replayer = Replayer {
            fs: &self.fs,
            folder: &self.config.data_dir.join(wal::FOLDER),
            quarantine: &self.quarantine,
            clock: self.clock.as_ref(),
            replay: self.replay.as_ref(),
            watermark,
            read_only: self.read_only,
        };
        replayer.run()
    }

    fn share(self, found: Found, table: Option<Table>, lock: FolderLock) -> Shared {
        let buffer = Arc::new(Buffer::new(self.config.buffer_bytes_max, found.files, found.holes, found.watermark));
        let last_seq = found.replayed.resume.next_seq.saturating_sub(1);
        buffer.restore(found.replayed.batches, last_seq);
        let segments = Arc::new(Segments::default());
        segments.restore(found.replayed.segments, found.watermark);
        let dedup = Dedup::new(self.config.dedup_window);
        dedup.restore(found.replayed.remembered, self.clock.now());
        let table_dir = self.config.data_dir.join(table::FOLDER);
        let keeper = Arc::new(Keeper::new(Indexes::new(self.fs.clone(), &self.config.data_dir), table_dir.clone()));
        let disk = Disk::new(self.fs.clone(), self.config.data_dir.clone(), self.config.wal_segment_bytes);
        disk.look();
        let disk = Arc::new(disk);
        let writing = table.map(|table| self.writing(table, found.dead, &buffer, &segments, &keeper, &disk));
        Shared {
            table_dir,
            keeper,
            buffer,
            dedup,
            segments,
            health: Arc::new(Health::default()),
            writing,
            disk,
            quarantine: self.quarantine,
            quarantined: AtomicU64::new(found.quarantined),
            flush_due: Notify::new(),
            config: self.config,
            clock: self.clock,
            fs: self.fs,
            _lock: lock,
        }
    }

    fn writing(
        &self,
        table: Table,
        dead: Vec<Dead>,
        buffer: &Arc<Buffer>,
        segments: &Arc<Segments>,
        keeper: &Arc<Keeper>,
        disk: &Arc<Disk>,
    ) -> Writing {
        let config = &self.config;
        let indexes = keeper.indexes().clone();
        let vacuum = Vacuum::new(self.fs.clone(), table.dir().to_owned(), indexes, config.vacuum_after, dead);
        let now = self.clock.now();
        let newest = table.files().iter().filter_map(|file| partition::hour_end(&file.received_hour)).max();
        let mark = config.data_dir.join(high_water::FILE);
        let high_water = HighWater::open(self.fs.clone(), mark, newest, now);
        let table_dir = table.dir().to_owned();
        let committer = Arc::new(Committer::new(
            self.fs.clone(),
            Arc::clone(&self.clock),
            Arc::clone(buffer),
            Arc::clone(segments),
            Arc::new(vacuum),
            Arc::new(Ballast::new(self.fs.clone(), &config.data_dir)),
            Arc::clone(keeper),
            table,
        ));
        let policy = Policy { target_bytes: config.compaction_target_bytes, keep_rows: config.compaction_keep_rows };
        let kept = retention::Policy {
            age: config.retention,
            by_service: config.retention_by_service.clone(),
            disk_percent: config.retention_disk_percent,
        };
        let retention = Retention::new(Arc::clone(&committer), Arc::clone(disk), kept, high_water, table_dir);
        let (interval, pace) = (config.scrub_interval, config.scrub_bytes_per_second);
        Writing {
            retention: Arc::new(retention),
            scrubber: Scrubber::new(self.fs.clone(), Arc::clone(&self.clock), &config.data_dir, interval, pace),
            flusher: Flusher::new(Arc::clone(&committer)),
            compactor: Compactor::new(Arc::clone(&committer), policy),
            committer,
        }
    }

    fn show(self, found: Found, lock: FolderLock) -> Arc<Store> {
        let shared = self.share(found, None, lock);
        shared.health.refuse_writes("the folder is open for reading only".to_owned());
        Arc::new(Store {
            shared: Arc::new(shared),
            queue: Mutex::new(None),
            room: Arc::new(Semaphore::new(0)),
            background: Mutex::new(None),
        })
    }

    fn serve(self, table: Table, found: Found, lock: FolderLock) -> Arc<Store> {
        let resume = found.replayed.resume;
        let shared = Arc::new(self.share(found, Some(table), lock));
        let writer = Writer::new(
            shared.fs.clone(),
            shared.config.data_dir.join(wal::FOLDER),
            Arc::clone(&shared.clock),
            shared.config.wal_segment_bytes,
            Arc::clone(&shared.segments),
            Arc::clone(&shared.health),
            resume,
        );
        let (queue, requests) = mpsc::channel(QUEUE_REQUESTS);
        let background = Background::start(&shared, writer, requests);
        Arc::new(Store {
            shared,
            queue: Mutex::new(Some(queue)),
            room: Arc::new(Semaphore::new(QUEUE_KIB as usize)),
            background: Mutex::new(Some(background)),
        })
    }
}

//! Opens a data folder.

use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, Semaphore, mpsc};

use super::background::Background;
use super::{QUEUE_KIB, QUEUE_REQUESTS, Shared, Store};
use crate::buffer::Buffer;
use crate::dedup::Dedup;
use crate::flush::{self, Flusher};
use crate::fs::{Fs, parent};
use crate::index::{Indexes, Keeper};
use crate::lock::FolderLock;
use crate::quarantine::{Quarantine, Sidecar, sidecar};
use crate::table::{self, Table};
use crate::wal;
use crate::wal::health::Health;
use crate::wal::replay::{Replayed, Replayer};
use crate::wal::retention::Segments;
use crate::wal::writer::Writer;
use crate::{Clock, DataFile, Replay, Result, StorageConfig, StorageError};

/// What an open needs and does not change.
struct Opening {
    config: StorageConfig,
    clock: Arc<dyn Clock>,
    replay: Arc<dyn Replay>,
    fs: Fs,
    quarantine: Quarantine,
    read_only: bool,
}

/// What an open found.
struct Found {
    watermark: u64,
    files: Vec<DataFile>,
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
    let wal_folder = config.data_dir.join(wal::FOLDER);
    fs.create_dir_all(&wal_folder)?;
    fs.sync_dir(&config.data_dir)?;
    fs.sync_dir(parent(&std::path::absolute(&config.data_dir).unwrap_or_else(|_| config.data_dir.clone())))?;
    let quarantine = Quarantine::new(fs.clone(), &config.data_dir, false);
    let (mut table, watermark) = Table::open(&fs, &config.data_dir, clock.as_ref()).await?;
    let orphans = flush::remove_orphans(&fs, &table, watermark)?;
    if orphans > 0 {
        tracing::info!(orphans, "removed files of a flush that was cut short");
    }
    let indexes = Indexes::new(fs.clone(), &config.data_dir);
    if let Err(error) = indexes.remove_strays(table.files()) {
        tracing::warn!(%error, "indexes of files that are gone stay until the next start");
    }
    let opening = Opening { config, clock, replay, fs, quarantine, read_only: false };
    let (opening, found) = opening.find(table.files().to_vec(), table.dir().to_owned(), watermark).await?;
    for file in table.files().to_vec() {
        if !found.files.contains(&file) {
            table.forget(&file.path);
        }
    }
    Ok(opening.serve(table, found, lock))
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
    let table_dir = config.data_dir.join(table::FOLDER);
    let opening = Opening { config, clock, replay, fs, quarantine, read_only: true };
    let (opening, found) = opening.find(files, table_dir, watermark).await?;
    Ok(opening.show(found, lock))
}

impl Opening {
    /// Checks the files and replays the log, off the reactor.
    async fn find(self, files: Vec<DataFile>, table_dir: std::path::PathBuf, watermark: u64) -> Result<(Self, Found)> {
        let find = move || {
            let found = self.find_blocking(files, &table_dir, watermark)?;
            Ok((self, found))
        };
        let joined = tokio::task::spawn_blocking(find).await;
        joined.unwrap_or_else(|error| Err(StorageError::ReadOnly { reason: format!("the replay ended: {error}") }))
    }

    fn find_blocking(&self, files: Vec<DataFile>, table_dir: &Path, watermark: u64) -> Result<Found> {
        let known = self.quarantine.sidecars()?;
        let mut holes: Vec<String> = known.iter().map(Sidecar::hole).collect();
        let mut whole = Vec::with_capacity(files.len());
        for file in files {
            let Some(reason) = flush::damage(&self.fs, table_dir, &file) else {
                whole.push(file);
                continue;
            };
            let source = format!("{}/{}", table::FOLDER, file.path);
            if known.iter().any(|aside| aside.source == source) {
                continue;
            }
            tracing::error!(path = %file.path, %reason, "damaged data file set aside");
            let mut aside = sidecar(self.clock.as_ref(), source, 0..file.size_bytes, reason);
            aside.rows = Some(file.rows);
            self.quarantine.take(&table_dir.join(&file.path), &aside)?;
            holes.push(aside.hole());
        }
        let replayed = self.replay_wal(watermark)?;
        holes.extend(replayed.holes.iter().filter(|hole| !known.iter().any(|aside| aside.hole() == **hole)).cloned());
        let quarantined = holes.len() as u64;
        Ok(Found { watermark, files: whole, holes, quarantined, replayed })
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

    fn share(
        self,
        found: Found,
        flusher: impl FnOnce(&Self, &Arc<Buffer>, &Arc<Segments>, &Arc<Keeper>) -> Option<Flusher>,
        lock: FolderLock,
    ) -> Shared {
        let buffer = Arc::new(Buffer::new(self.config.buffer_bytes_max, found.files, found.holes, found.watermark));
        let last_seq = found.replayed.resume.next_seq.saturating_sub(1);
        buffer.restore(found.replayed.batches, last_seq);
        let segments = Arc::new(Segments::default());
        segments.restore(found.replayed.segments, found.watermark);
        let dedup = Dedup::new(self.config.dedup_window);
        dedup.restore(found.replayed.remembered, self.clock.now());
        let table_dir = self.config.data_dir.join(table::FOLDER);
        let keeper = Arc::new(Keeper::new(Indexes::new(self.fs.clone(), &self.config.data_dir), table_dir.clone()));
        let flusher = flusher(&self, &buffer, &segments, &keeper);
        Shared {
            table_dir,
            keeper,
            buffer,
            dedup,
            segments,
            health: Arc::new(Health::default()),
            flusher,
            quarantine: self.quarantine,
            quarantined: AtomicU64::new(found.quarantined),
            flush_due: Notify::new(),
            config: self.config,
            clock: self.clock,
            fs: self.fs,
            _lock: lock,
        }
    }

    fn show(self, found: Found, lock: FolderLock) -> Arc<Store> {
        let shared = self.share(found, |_, _, _, _| None, lock);
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
        let flusher = |opening: &Self, buffer: &Arc<Buffer>, segments: &Arc<Segments>, keeper: &Arc<Keeper>| {
            Some(Flusher {
                fs: opening.fs.clone(),
                clock: Arc::clone(&opening.clock),
                buffer: Arc::clone(buffer),
                segments: Arc::clone(segments),
                table: tokio::sync::Mutex::new(table),
                keeper: Arc::clone(keeper),
                flushes: AtomicU64::new(0),
                failures: AtomicU64::new(0),
            })
        };
        let shared = Arc::new(self.share(found, flusher, lock));
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

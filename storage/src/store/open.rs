//! Opens a data folder.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, mpsc};

use super::background::{Background, LogWriter};
use super::writer_file::WriterFile;
use super::{QUEUE_KIB, QUEUE_REQUESTS, Shared, Store, Writing};
use crate::ballast::Ballast;
use crate::buffer::Buffer;
use crate::committer::Committer;
use crate::compaction::{Compactor, Policy};
use crate::damage::{self, Sizes};
use crate::dedup::Dedup;
use crate::disk::Disk;
use crate::failpoint::{Point, hit};
use crate::flush::Flusher;
use crate::fs::{Fs, parent};
use crate::index::{Indexes, Keeper};
use crate::lock::FolderLock;
use crate::object::{self, Bucket, Remote, RoundWriter, Sidecars, StoredRounds, Taken, Taker};
use crate::orphans;
use crate::partition::{self, FileName};
use crate::place::Place;
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
use crate::{Ack, Clock, DataFile, Replay, Result, StorageConfig, StorageError, UnixNanos};

/// What an open needs and does not change.
struct Opening {
    config: StorageConfig,
    clock: Arc<dyn Clock>,
    replay: Arc<dyn Replay>,
    place: Place,
    indexes: Indexes,
    quarantine: Quarantine,
    /// The log in the store, where there is one.
    taken: Option<Taken>,
    read_only: bool,
}

/// What the log lists.
struct Listed {
    files: Vec<DataFile>,
    tombstones: HashMap<String, UnixNanos>,
    watermark: u64,
}

impl Listed {
    /// The latest request of any listed file, whichever server wrote it.
    fn last_seq(&self) -> u64 {
        let names = self.files.iter().filter_map(|file| FileName::parse(&file.path));
        names.map(|name| name.last_seq).max().unwrap_or(0).max(self.watermark)
    }
}

/// The write-ahead log, wherever it is.
#[derive(Clone, Copy)]
struct Log<'a> {
    segments: &'a Arc<Segments>,
    rounds: Option<&'a Arc<StoredRounds>>,
    health: &'a Arc<Health>,
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
    bucket: Option<&Bucket>,
) -> Result<Arc<Store>> {
    fs.create_dir_all(&config.data_dir)?;
    let lock = FolderLock::exclusive(&fs, &config.data_dir)?;
    hit(Point::OpenLocked)?;
    let wal_folder = config.data_dir.join(wal::FOLDER);
    fs.create_dir_all(&wal_folder)?;
    fs.sync_dir(&config.data_dir)?;
    fs.sync_dir(parent(&std::path::absolute(&config.data_dir).unwrap_or_else(|_| config.data_dir.clone())))?;
    let place = place_of(&fs, &config, bucket);
    if let Some(remote) = place.store() {
        object::probe(remote).await?;
    }
    place.clear_staging()?;
    let writer = WriterFile::open(&fs, &config.data_dir, place.store(), false)?;
    let app_id = app_id(&writer, &config, &place);
    let quarantine = Quarantine::new(&place, &config.data_dir, false);
    let (mut table, watermark) = Table::open(&place, &app_id, clock.as_ref()).await?;
    hit(Point::OpenTableLoaded)?;
    let place = table.place().clone();
    let indexes = indexes_of(&place, &config)?;
    remove_strays(&indexes, table.files()).await;
    let listed = Listed { files: table.files().to_vec(), tombstones: table.take_tombstones(), watermark };
    let taken = take_log(&place, &table, &config, Some(table.claimed()), &listed).await?;
    let mut opening = Opening { config, clock, replay, place, indexes, quarantine, taken, read_only: false };
    if opening.config.ack == Ack::Object {
        opening = opening.check_local_log(&table, &writer.app_id()).await?;
    }
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
    bucket: Option<&Bucket>,
) -> Result<Arc<Store>> {
    let fs = Fs::default();
    if bucket.is_some() {
        // The table may be there although this machine never had a folder for it.
        fs.create_dir_all(&config.data_dir)?;
        drop(fs.open_or_create(&config.data_dir.join(crate::lock::FILE_NAME))?);
    }
    let lock = FolderLock::shared(&fs, &config.data_dir)?;
    let place = place_of(&fs, &config, bucket);
    let writer = WriterFile::open(&fs, &config.data_dir, place.store(), true)?;
    let app_id = app_id(&writer, &config, &place);
    let quarantine = Quarantine::new(&place, &config.data_dir, true);
    let table = Table::open_read_only(&place, &app_id).await?;
    let files = table.as_ref().map_or_else(Vec::new, |(table, _)| table.files().to_vec());
    let watermark = table.as_ref().map_or(0, |(_, watermark)| *watermark);
    let listed = Listed { files, tombstones: HashMap::new(), watermark };
    let taken = match &table {
        Some((table, _)) => take_log(&place, table, &config, None, &listed).await?,
        None => None,
    };
    let indexes = indexes_of(&place, &config)?;
    let opening = Opening { config, clock, replay, place, indexes, quarantine, taken, read_only: true };
    let (opening, found) = opening.find(listed).await?;
    Ok(opening.show(found, lock))
}

fn place_of(fs: &Fs, config: &StorageConfig, bucket: Option<&Bucket>) -> Place {
    match bucket {
        None => Place::local(fs.clone(), &config.data_dir),
        Some(bucket) => {
            let remote = Arc::new(Remote::new(bucket, Handle::current()));
            Place::remote(fs.clone(), &config.data_dir, remote)
        }
    }
}

/// Under which name the log keeps how far this server's requests are in files. Several folders may have written to a table in a
/// store, one after another, and each has requests of its own; requests that are acknowledged in the store are all one row.
fn app_id(writer: &WriterFile, config: &StorageConfig, place: &Place) -> String {
    if !place.is_remote() || config.ack == Ack::Object { table::APP_ID.to_owned() } else { writer.app_id() }
}

/// The log in the store, if the table is in one: of whoever wrote there before, and sealed for them unless only looked at.
async fn take_log(
    place: &Place,
    table: &Table,
    config: &StorageConfig,
    claim: Option<u64>,
    listed: &Listed,
) -> Result<Option<Taken>> {
    let Some(remote) = place.store() else {
        return Ok(None);
    };
    let seq_min = listed.last_seq().saturating_add(1);
    let taker = Taker { claim, ack: config.ack, seq_min };
    let taken = object::take_over(remote, table.rounds_from(), taker).await?;
    Ok((config.ack == Ack::Object).then_some(taken))
}

fn indexes_of(place: &Place, config: &StorageConfig) -> Result<Indexes> {
    let fs = place.fs().clone();
    let Some(remote) = place.store() else {
        return Ok(Indexes::new(fs, &config.data_dir));
    };
    let sidecars = Sidecars::open(&fs, Arc::clone(remote), &config.data_dir, config.index_cache_bytes)?;
    Ok(Indexes::in_store(fs, sidecars))
}

async fn remove_strays(indexes: &Indexes, files: &[DataFile]) {
    let (indexes, files) = (indexes.clone(), files.to_vec());
    if let Err(error) = super::blocking(move || indexes.remove_strays(&files)).await {
        tracing::warn!(%error, "indexes of files that are gone stay until the next start");
    }
}

impl Opening {
    /// Refuses a folder whose own write-ahead log holds requests that are in no file: they were acknowledged.
    async fn check_local_log(self, table: &Table, app_id: &str) -> Result<Self> {
        let watermark = table.progress_of(app_id).await?;
        let check = move || {
            let left = self.replay_wal(watermark, true)?.batches.len();
            if left == 0 {
                return Ok(self);
            }
            let reason = format!(
                "{} holds {left} requests that are in no file yet; start once with storage.ack = \"local\" and stop that server in an \
                 orderly way, then start with \"object\"",
                self.config.data_dir.join(wal::FOLDER).display()
            );
            Err(StorageError::Unfit { store: self.config.data_dir.display().to_string(), reason })
        };
        super::blocking(check).await
    }

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
        // A store tells the sizes of all with one list; a folder is looked through once damage is dealt with.
        let present = if self.place.is_remote() { self.place.list()? } else { Vec::new() };
        let sizes: Sizes = present.iter().filter_map(|(path, size)| Some((path.clone(), (*size)?))).collect();
        for file in &listed.files {
            let source = Place::source(&file.path);
            let aside = known.iter().find(|aside| aside.source == source);
            let damage = damage::damage(&self.place, Some(&sizes), file);
            let Some(reason) = aside.map(|aside| aside.reason.clone()).or(damage) else {
                whole.push(file.clone());
                continue;
            };
            if self.place.size(&file.path)?.is_none() {
                missing.push(file.clone());
            }
            match aside {
                // A crash came before the file was moved, or before the log learnt of it.
                Some(aside) => self.quarantine.take(&self.place, &file.path, aside)?,
                None => holes.push(self.set_aside(file, source, reason)?),
            }
        }
        let mut replayed = match &self.taken {
            Some(taken) => taken.replay(self.replay.as_ref(), &self.quarantine, self.clock.as_ref())?,
            None => self.replay_wal(listed.watermark, self.read_only)?,
        };
        if self.place.is_remote() && self.taken.is_none() {
            // Other servers have counted on in the same table.
            replayed.resume.next_seq = replayed.resume.next_seq.max(listed.last_seq().saturating_add(1));
        }
        holes.extend(replayed.holes.iter().filter(|hole| !known.iter().any(|aside| aside.hole() == **hole)).cloned());
        let orphans = if self.read_only {
            orphans::Found::default()
        } else {
            self.orphans(listed, present, &missing, &known, &replayed)?
        };
        if orphans.removed > 0 {
            tracing::info!(files = orphans.removed, "removed files of a flush or a compaction that was cut short");
        }
        holes.extend(orphans.holes);
        let quarantined = holes.len() as u64;
        Ok(Found { watermark: listed.watermark, files: whole, dead: orphans.dead, holes, quarantined, replayed })
    }

    fn set_aside(&self, file: &DataFile, source: String, reason: String) -> Result<String> {
        tracing::error!(path = %file.path, %reason, "damaged data file set aside");
        let mut aside = sidecar(self.clock.as_ref(), source, 0..file.size_bytes, reason);
        aside.rows = Some(file.rows);
        self.quarantine.take(&self.place, &file.path, &aside)?;
        Ok(aside.hole())
    }

    fn orphans(
        &self,
        listed: &Listed,
        present: Vec<(String, Option<u64>)>,
        missing: &[DataFile],
        aside: &[Sidecar],
        replayed: &Replayed,
    ) -> Result<orphans::Found> {
        let present = if self.place.is_remote() { present } else { self.place.list()? };
        let finder = orphans::Finder {
            place: &self.place,
            clock: self.clock.as_ref(),
            quarantine: &self.quarantine,
            present: &present,
            listed: &listed.files,
            missing,
            aside,
            tombstones: &listed.tombstones,
            watermark: if self.place.is_remote() { listed.last_seq() } else { listed.watermark },
            replayed,
        };
        finder.run()
    }

    fn replay_wal(&self, watermark: u64, read_only: bool) -> Result<Replayed> {
        let replayer = Replayer {
            fs: self.place.fs(),
            folder: &self.config.data_dir.join(wal::FOLDER),
            quarantine: &self.quarantine,
            clock: self.clock.as_ref(),
            replay: self.replay.as_ref(),
            watermark,
            read_only,
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
        let keeper = Arc::new(Keeper::new(self.indexes.clone(), self.place.clone()));
        let health = Arc::new(Health::default());
        let rounds = self.taken.as_ref().zip(self.place.store()).map(|(taken, remote)| {
            let rounds = StoredRounds::new(Arc::clone(remote), self.config.dedup_window);
            taken.restore(&rounds);
            Arc::new(rounds)
        });
        let disk = Disk::new(self.place.fs().clone(), self.config.data_dir.clone(), self.config.wal_segment_bytes);
        disk.look();
        let disk = Arc::new(disk);
        let log = Log { segments: &segments, rounds: rounds.as_ref(), health: &health };
        let writing = table.map(|table| self.writing(table, found.dead, &buffer, log, &keeper, &disk));
        Shared {
            keeper,
            buffer,
            dedup,
            segments,
            rounds,
            health,
            writing,
            disk,
            quarantine: self.quarantine,
            quarantined: AtomicU64::new(found.quarantined),
            flush_due: Notify::new(),
            config: self.config,
            clock: self.clock,
            fs: self.place.fs().clone(),
            place: self.place,
            _lock: lock,
        }
    }

    fn writing(
        &self,
        table: Table,
        dead: Vec<Dead>,
        buffer: &Arc<Buffer>,
        log: Log<'_>,
        keeper: &Arc<Keeper>,
        disk: &Arc<Disk>,
    ) -> Writing {
        let config = &self.config;
        let indexes = keeper.indexes().clone();
        let (fs, place) = (self.place.fs(), &self.place);
        let vacuum = Vacuum::new(place.clone(), indexes, config.vacuum_after, dead);
        let now = self.clock.now();
        let newest = table.files().iter().filter_map(|file| partition::hour_end(&file.received_hour)).max();
        let mark = config.data_dir.join(high_water::FILE);
        let high_water = HighWater::open(fs.clone(), mark, newest, now);
        let committer = Arc::new(Committer::new(
            place.clone(),
            Arc::clone(&self.clock),
            Arc::clone(buffer),
            Arc::clone(log.segments),
            log.rounds.map(Arc::clone),
            Arc::new(vacuum),
            Arc::new(Ballast::new(fs.clone(), &config.data_dir)),
            Arc::clone(keeper),
            Arc::clone(log.health),
            table,
        ));
        let policy = Policy { target_bytes: config.compaction_target_bytes, keep_rows: config.compaction_keep_rows };
        let kept = retention::Policy {
            age: config.retention,
            by_service: config.retention_by_service.clone(),
            disk_percent: config.retention_disk_percent,
        };
        let retention = Retention::new(Arc::clone(&committer), Arc::clone(disk), kept, high_water);
        let (interval, pace) = (config.scrub_interval, config.scrub_bytes_per_second);
        Writing {
            retention: Arc::new(retention),
            scrubber: Scrubber::new(fs.clone(), Arc::clone(&self.clock), &config.data_dir, interval, pace),
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
        let next = self.taken.as_ref().map(|taken| taken.next);
        let shared = Arc::new(self.share(found, Some(table), lock));
        let in_store = next.zip(shared.rounds.as_ref()).zip(shared.place.store());
        let in_store = in_store.map(|((next, rounds), remote)| {
            let (clock, health) = (Arc::clone(&shared.clock), Arc::clone(&shared.health));
            let linger = shared.config.ack_linger;
            RoundWriter::new(Arc::clone(remote), clock, health, Arc::clone(rounds), next, linger)
        });
        let on_disk = || {
            Writer::new(
                shared.fs.clone(),
                shared.config.data_dir.join(wal::FOLDER),
                Arc::clone(&shared.clock),
                shared.config.wal_segment_bytes,
                Arc::clone(&shared.segments),
                Arc::clone(&shared.health),
                resume,
            )
        };
        let writer = in_store.map_or_else(|| LogWriter::Disk(Box::new(on_disk())), LogWriter::Store);
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

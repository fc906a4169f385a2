//! Servers and the store that they share.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataReader};

use crate::clock::ManualClock;
use crate::fs::Fs;
use crate::lock::FolderLock;
use crate::store::tests::support::{Counts, Home, START, count};
use crate::testing::{Chaos, ChaosStore, SeededReplay};
use crate::{Bucket, Clock, Result, StorageConfig, StorageError, Store, UnixNanos};

const PREFIX: &str = "traces/prod";

/// The store, the network before it, and the time.
pub(super) struct Cloud {
    pub(super) memory: Arc<InMemory>,
    pub(super) chaos: Arc<Chaos>,
    pub(super) clock: Arc<ManualClock>,
}

/// A machine with a disk of its own.
pub(super) struct Server {
    home: Home,
    pub(super) config: StorageConfig,
    chaos: Arc<Chaos>,
    clock: Arc<ManualClock>,
}

impl Cloud {
    /// On a network where nothing goes wrong.
    pub(super) fn calm() -> Self {
        Self::stormy(1, 0)
    }

    /// On a network where so many requests of a hundred go wrong.
    pub(super) fn stormy(seed: u64, percent: u64) -> Self {
        let memory = Arc::new(InMemory::new());
        let chaos = Chaos::new(Arc::clone(&memory) as Arc<dyn ObjectStore>, seed, percent);
        Self { memory, chaos, clock: Arc::new(ManualClock::at(START)) }
    }

    pub(super) fn now(&self) -> UnixNanos {
        self.clock.now()
    }

    /// A machine with an empty disk.
    pub(super) fn server(&self) -> Server {
        let home = Home::in_memory();
        let config = home.config.clone();
        Server { home, config, chaos: Arc::clone(&self.chaos), clock: Arc::clone(&self.clock) }
    }

    /// Another machine with an empty disk, configured alike.
    pub(super) fn server_like(&self, other: &Server) -> Server {
        let mut server = self.server();
        server.config = StorageConfig { data_dir: server.config.data_dir, ..other.config.clone() };
        server
    }

    fn path(name: &str) -> Path {
        Path::from(format!("{PREFIX}/{name}"))
    }

    /// Objects below a folder of the table's prefix.
    pub(super) async fn names(&self, folder: &str) -> BTreeSet<String> {
        let all: Vec<_> = self.memory.list(Some(&Self::path(folder))).try_collect().await.unwrap();
        all.into_iter().map(|meta| meta.location.as_ref()[PREFIX.len() + 1..].to_owned()).collect()
    }

    pub(super) async fn delete(&self, name: &str) {
        self.memory.delete(&Self::path(name)).await.unwrap();
    }

    pub(super) async fn flip_a_byte(&self, name: &str) {
        let path = Self::path(name);
        let mut bytes = self.memory.get(&path).await.unwrap().bytes().await.unwrap().to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x40;
        self.memory.put(&path, bytes.into()).await.unwrap();
    }

    /// Checks that the kept end of each file is its own and has all that a reader needs before the rows.
    pub(super) async fn check_kept_ends(&self, store: &Store) {
        let snapshot = store.snapshot();
        for file in snapshot.files.iter() {
            let (data, path, size) = (snapshot.data.clone(), file.path.clone(), file.size_bytes);
            let kept = tokio::task::spawn_blocking(move || data.open(&path, size).unwrap().kept_end());
            let kept = kept.await.unwrap().unwrap_or_else(|| panic!("{} has no kept end", file.path));
            let name = Self::path(&format!("spans/{}", file.path));
            assert!(self.memory.get(&name).await.unwrap().bytes().await.unwrap().ends_with(&kept));
            let mut footer = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Required);
            footer.try_parse_sized(&kept, size).unwrap();
        }
    }

    /// Whether data files and sidecars in the store are those that the list names.
    pub(super) async fn holds_only(&self, store: &Store) -> bool {
        let files = store.snapshot().files;
        let data = files.iter().map(|file| format!("spans/{}", file.path)).collect::<BTreeSet<_>>();
        let index = |path: &str| path.replace("received_hour=", "").replace(".parquet", ".idx");
        let sidecars = files.iter().map(|file| format!("index/{}", index(&file.path))).collect::<BTreeSet<_>>();
        let mut found = self.names("spans").await;
        found.retain(|name| !name.starts_with("spans/_delta_log"));
        found == data && self.names("index").await == sidecars
    }
}

impl Server {
    /// Over the cloud's network.
    pub(super) async fn open(&self) -> Result<Arc<Store>> {
        self.open_over(ChaosStore::new(&self.chaos)).await
    }

    /// Over a way of its own.
    pub(super) async fn open_over(&self, way: Arc<ChaosStore>) -> Result<Arc<Store>> {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        loop {
            let bucket = bucket(Arc::clone(&way));
            let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
            let opened = Store::open_in(&bucket, self.config.clone(), clock, Arc::new(SeededReplay)).await;
            if !matches!(opened, Err(StorageError::Locked { .. })) || std::time::Instant::now() > deadline {
                return opened;
            }
            tokio::task::yield_now().await;
        }
    }

    /// With the table in its own folder.
    pub(super) async fn open_without_store(&self) -> Result<Arc<Store>> {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        Store::open(self.config.clone(), clock, Arc::new(SeededReplay)).await
    }

    /// With the table in another store.
    pub(super) async fn open_named(&self, other: &Cloud, name: &str) -> Result<Arc<Store>> {
        let bucket = Bucket::new(ChaosStore::new(&other.chaos), PREFIX, name).unwrap();
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        Store::open_in(&bucket, self.config.clone(), clock, Arc::new(SeededReplay)).await
    }

    pub(super) async fn open_read_only(&self, way: Arc<ChaosStore>) -> Result<Arc<Store>> {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        Store::open_read_only_in(&bucket(way), self.config.clone(), clock, Arc::new(SeededReplay)).await
    }

    /// Waits until the last thread of a dropped store is gone.
    pub(super) async fn until_unlocked(&self) {
        let (fs, folder) = (Fs::default(), &self.home.config.data_dir);
        while matches!(FolderLock::exclusive(&fs, folder), Err(StorageError::Locked { .. })) {
            tokio::task::yield_now().await;
        }
    }

    /// What of the table lies on this machine's disk.
    pub(super) fn files_of_the_table(&self) -> Vec<PathBuf> {
        let mut files = self.home.data_files();
        let staged = std::fs::read_dir(self.home.config.data_dir.join("staging")).unwrap();
        files.extend(staged.map(|entry| entry.unwrap().path()));
        files
    }
}

fn bucket(way: Arc<ChaosStore>) -> Bucket {
    Bucket::new(way, PREFIX, "s3://cloud/traces/prod").unwrap().with_pause(std::time::Duration::ZERO)
}

/// Everything that a store has, files read whole and with the plain Parquet reader.
pub(super) async fn found_in(store: &Arc<Store>) -> Counts {
    let snapshot = store.snapshot();
    let read = move || {
        let mut counts = Counts::new();
        snapshot.buffered.iter().for_each(|batch| count(batch.record_batch(), &mut counts));
        for file in snapshot.files.iter() {
            let reader = snapshot.data.open(&file.path, file.size_bytes).unwrap();
            let bytes = reader.read_at(0, usize::try_from(file.size_bytes).unwrap()).unwrap();
            let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap();
            reader.for_each(|batch| count(&batch.unwrap(), &mut counts));
        }
        counts
    };
    tokio::task::spawn_blocking(read).await.unwrap()
}

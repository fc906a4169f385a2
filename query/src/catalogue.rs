//! The names in everything stored: services, operations, versions, environments and attribute keys, from the catalogues in
//! the files' indexes and from the hot buffer; no span is read again.
//!
//! The sum over the files is kept and new files are added to it as they come. When files have left (retention,
//! compaction), it is made anew, a few microseconds a file.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use daytwo_storage::index::Catalogue;
use daytwo_storage::{Snapshot, SpanBatch};

use crate::{QueryEngine, QueryError, Result};

/// The names in everything stored.
#[derive(Debug, Clone)]
pub struct Names {
    /// The names.
    pub catalogue: Catalogue,
    /// What is missing, in sentences.
    pub partial: Vec<String>,
}

/// Sums of catalogues that are kept from one question to the next.
#[derive(Debug, Default)]
pub(crate) struct CatalogueCache(Mutex<Sums>);

#[derive(Debug, Default)]
struct Sums {
    /// Files that are in `of_files`.
    paths: HashSet<String>,
    of_files: Catalogue,
    /// Batches that are in `of_buffer`, by address: none leaves the buffer before the list of files changes.
    batches: HashSet<usize>,
    of_buffer: Catalogue,
    files: Arc<Vec<daytwo_storage::DataFile>>,
}

impl QueryEngine {
    /// The names in everything stored.
    ///
    /// # Errors
    /// [`QueryError::Internal`]. A file whose index is missing is no error: it is counted in `partial`.
    pub async fn catalogue(&self) -> Result<Names> {
        let snapshot = self.store.snapshot();
        let mut partial = snapshot.holes.clone();
        let (cache, store, indexes) =
            (Arc::clone(&self.catalogues), Arc::clone(&self.store), Arc::clone(&self.indexes));
        let sum_up = move || {
            let mut sums = cache.0.lock().unwrap_or_else(PoisonError::into_inner);
            let (indexed, mut bytes_read) = indexes.of(&snapshot, Some(&store));
            sums.forget_old(&snapshot);
            let mut missing = 0_u64;
            for (number, file) in snapshot.files.iter().enumerate() {
                if sums.paths.contains(&file.path) {
                    continue;
                }
                let index = indexed.file(number, Some(&store), &mut bytes_read);
                match index.and_then(|index| index.catalogue().ok()) {
                    Some(catalogue) => {
                        sums.of_files.merge(catalogue);
                        sums.paths.insert(file.path.clone());
                    }
                    None => {
                        store.report_unindexed(&file.path);
                        missing = missing.saturating_add(1);
                    }
                }
            }
            sums.add_buffered(&snapshot.buffered)?;
            let mut catalogue = sums.of_files.clone();
            catalogue.merge(sums.of_buffer.clone());
            Ok::<_, QueryError>((catalogue, missing))
        };
        let summed = tokio::task::spawn_blocking(sum_up).await;
        let (catalogue, missing) = summed.map_err(|error| QueryError::internal(error.to_string()))??;
        if missing > 0 {
            partial.push(format!("the names in {missing} files are not listed until their index is made"));
        }
        Ok(Names { catalogue, partial })
    }
}

impl Sums {
    fn forget_old(&mut self, snapshot: &Snapshot) {
        if Arc::ptr_eq(&self.files, &snapshot.files) {
            return;
        }
        self.files = Arc::clone(&snapshot.files);
        self.batches.clear();
        self.of_buffer = Catalogue::default();
        let current: HashSet<&str> = snapshot.files.iter().map(|file| file.path.as_str()).collect();
        if self.paths.iter().any(|path| !current.contains(path.as_str())) {
            self.paths.clear();
            self.of_files = Catalogue::default();
        }
    }

    fn add_buffered(&mut self, buffered: &[SpanBatch]) -> Result<()> {
        let address = |batch: &SpanBatch| std::ptr::from_ref(batch.record_batch()).addr();
        let new: Vec<&SpanBatch> = buffered.iter().filter(|batch| !self.batches.contains(&address(batch))).collect();
        let catalogue = Catalogue::of_batches(new.iter().copied());
        self.of_buffer.merge(catalogue.map_err(|error| QueryError::internal(error.to_string()))?);
        self.batches.extend(new.into_iter().map(address));
        Ok(())
    }
}

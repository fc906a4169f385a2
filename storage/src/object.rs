//! A table in a store of objects, S3 or what speaks like it, instead of the data folder.
//!
//! Everything lies below one prefix, under the names that it has in a data folder: `spans/` with the Delta log and the data
//! files, `index/` with their sidecars, `quarantine/` with what was set aside. The data folder keeps the write-ahead log, files on
//! their way to the store and copies of sidecars.
//!
//! - [`Bucket`] names the store; [`S3Access`] makes one of S3;
//! - `probe` refuses a store that ignores conditions, without which two writers would undo each other's commits;
//! - `steady` asks again when an answer is lost or cut short, and counts what is asked;
//! - `remote` is how blocking code waits for the store;
//! - `sidecars` keeps local copies of sidecars, within a limit in bytes; `kept_end` is what lies behind each of them;
//! - `log` keeps requests that are acknowledged in the store until they are in files.

mod kept_end;
mod log;
mod probe;
mod remote;
mod s3;
mod sidecars;
mod steady;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use object_store::path::Path;
use object_store::prefix::PrefixStore;

use crate::{Result, StorageError};
pub(crate) use kept_end::write as write_end;
pub(crate) use log::{Position, RoundWriter, StoredRounds, Taken, Taker, take_over};
pub(crate) use probe::probe;
pub(crate) use remote::Remote;
pub use s3::S3Access;
pub(crate) use sidecars::Sidecars;
pub use steady::Traffic;

/// First wait before a request that failed is sent again; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(100);

/// A store of objects, and the prefix below which the table lies.
#[derive(Debug, Clone)]
pub struct Bucket {
    store: Arc<dyn ObjectStore>,
    name: String,
    pause: Duration,
}

impl Bucket {
    /// The part of `store` below `prefix`; `name` is how messages call it.
    ///
    /// # Errors
    /// [`StorageError::Unfit`] when the prefix is no path.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: &str, name: &str) -> Result<Self> {
        let prefix = Path::parse(prefix.trim_matches('/'))
            .map_err(|error| StorageError::Unfit { store: name.to_owned(), reason: error.to_string() })?;
        let store: Arc<dyn ObjectStore> = Arc::new(PrefixStore::new(store, prefix));
        Ok(Self { store, name: name.to_owned(), pause: PAUSE })
    }

    /// The same, with another wait before the first repetition of a request that failed.
    #[must_use]
    pub fn with_pause(self, pause: Duration) -> Self {
        Self { pause, ..self }
    }

    /// How messages call it.
    pub fn name(&self) -> &str {
        &self.name
    }
}

//! [`Folder`]: a data folder that no server uses, open for reading.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use daytwo_collector::OtlpReplay;
use daytwo_query::{EngineAtRest, QueryConfig, QueryEngine};
use daytwo_storage::{Clock, Store, SystemClock};

use super::config::Config;
use super::{Failure, log};

/// A store and a query engine over a folder, with a place of their own for what a query spills.
pub(crate) struct Folder {
    pub(crate) store: Arc<Store>,
    pub(crate) engine: Arc<QueryEngine>,
    spill_dir: PathBuf,
}

impl Folder {
    /// Opens a folder with the usual limits of queries, changed by `limits`.
    pub(crate) async fn open(data_dir: &Path, limits: impl FnOnce(&mut QueryConfig)) -> Result<Self, Failure> {
        let mut config = Config::default();
        log::start("warn");
        config.storage.data_dir = data_dir.to_owned();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = Store::open_read_only(config.storage.settings(), Arc::clone(&clock), Arc::new(OtlpReplay)).await?;
        let mut settings = config.query.settings(data_dir);
        settings.spill_dir = std::env::temp_dir().join(format!("daytwo-query-{}", std::process::id()));
        limits(&mut settings);
        let spill_dir = settings.spill_dir.clone();
        let tables = EngineAtRest::new(config.engine.settings(), Arc::clone(&clock), store.snapshot());
        let engine = QueryEngine::new(settings, Arc::clone(&store), clock, tables)?;
        Ok(Self { store, engine, spill_dir })
    }

    /// Gives the folder back.
    pub(crate) async fn close(self) -> Result<(), Failure> {
        if let Err(error) = std::fs::remove_dir_all(&self.spill_dir) {
            tracing::debug!(%error, "the spill folder stays");
        }
        Ok(self.store.close().await?)
    }
}

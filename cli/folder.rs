//! A data folder that no server uses: its store for reading or mending, or a [`Folder`] that answers questions.

use std::path::PathBuf;
use std::sync::Arc;

use daytwo_query::{EngineAtRest, QueryConfig, QueryEngine};
use daytwo_storage::{Clock, Store, SystemClock};

use super::config::Config;
use super::{Failure, load, log, store};
use crate::{ConfigSource, FolderArgs};

/// The store of a folder, open for reading.
pub(crate) async fn store_to_read(args: &FolderArgs) -> Result<Arc<Store>, Failure> {
    let (config, clock) = usual(args)?;
    store::open_read_only(&config, clock).await
}

/// The store of a folder, open for writing. A server would create a missing folder; a repair must not.
pub(crate) async fn store_to_mend(args: &FolderArgs) -> Result<Arc<Store>, Failure> {
    let data_dir = &args.data_dir;
    std::fs::read_dir(data_dir).map_err(|source| Failure::Io { action: "open", path: data_dir.clone(), source })?;
    let (config, clock) = usual(args)?;
    store::open(&config, clock).await
}

/// The configuration of a folder: of the server that writes to it when that is named, else the defaults.
fn usual(args: &FolderArgs) -> Result<(Config, Arc<dyn Clock>), Failure> {
    log::start("warn");
    let config = match &args.config {
        Some(file) => load(&ConfigSource { config: Some(file.clone()), data_dir: Some(args.data_dir.clone()) })?,
        None => {
            let mut config = Config::default();
            config.storage.data_dir.clone_from(&args.data_dir);
            config
        }
    };
    Ok((config, Arc::new(SystemClock)))
}

/// A store and a query engine over a folder, with a place of their own for what a query spills.
pub(crate) struct Folder {
    store: Arc<Store>,
    pub(crate) engine: Arc<QueryEngine>,
    spill_dir: PathBuf,
}

impl Folder {
    /// Opens a folder with the usual limits of queries, changed by `limits`.
    pub(crate) async fn open(args: &FolderArgs, limits: impl FnOnce(&mut QueryConfig)) -> Result<Self, Failure> {
        let store = store_to_read(args).await?;
        let (config, clock) = usual(args)?;
        let mut settings = config.query_settings(&args.data_dir);
        settings.spill_dir = std::env::temp_dir().join(format!("daytwo-query-{}", std::process::id()));
        limits(&mut settings);
        let spill_dir = settings.spill_dir.clone();
        let tables = EngineAtRest::new(config.engine_settings(), Arc::clone(&clock), store.snapshot());
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

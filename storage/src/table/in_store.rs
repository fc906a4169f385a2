//! The log of a table in a store of objects: found, created and claimed without trusting a list. A list may be behind, so
//! whether there is a log is asked by name, and what a list did not show is followed, entry by entry, until the claim stands.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode};

use super::{FOLDER, LOG_FOLDER, Table, actions, cannot};
use crate::object::Remote;
use crate::place::Place;
use crate::{Result, StorageError, UnixNanos};

/// The address under which Delta's library knows the table; the store it is given has it at this path.
const URL: &str = "memory:///spans/";
/// An open reads the log this often at most: a list that is behind may leave out what the checkpoint's hint names.
const TRIES: u32 = 12;
/// First wait between two of them; each further one is twice as long, up to a second.
const PAUSE: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Opens the table for writing, creating it if needed; returns it and its watermark.
pub(super) async fn open(place: &Place, remote: &Arc<Remote>, app_id: &str, now: UnixNanos) -> Result<(Table, u64)> {
    let mut pause = PAUSE;
    let mut tries = 1;
    let mut table = loop {
        let error = match find_or_create(place, remote, app_id, now).await {
            Ok(table) => break table,
            Err(error @ StorageError::Corrupt { .. }) => return Err(error),
            Err(error) => error,
        };
        if tries == TRIES {
            return Err(error);
        }
        tracing::debug!(%error, tries, "the log in the store cannot be read yet");
        tokio::time::sleep(pause).await;
        pause = pause.saturating_mul(2).min(PAUSE_MAX);
        tries += 1;
    };
    table.claim(now).await?;
    let watermark = table.watermark;
    Ok((table, watermark))
}

async fn find_or_create(place: &Place, remote: &Arc<Remote>, app_id: &str, now: UnixNanos) -> Result<Table> {
    if !has_log(remote).await? {
        refuse_lost_log(place).await?;
        create(remote, now).await?;
    }
    unread(place, remote, app_id).load().await
}

/// Opens the table for reading; `None` when there is none yet.
pub(super) async fn load(place: &Place, remote: &Arc<Remote>, app_id: &str) -> Result<Option<Table>> {
    if has_log(remote).await? { unread(place, remote, app_id).load().await.map(Some) } else { Ok(None) }
}

fn unread(place: &Place, remote: &Arc<Remote>, app_id: &str) -> Table {
    Table::unread(place.clone(), remote.store(), URL.to_owned(), app_id)
}

fn log_file(name: &str) -> Path {
    Path::from(format!("{FOLDER}/{LOG_FOLDER}/{name}"))
}

fn first_entry() -> Path {
    log_file(&format!("{:020}.json", 0))
}

/// Entries go only behind a checkpoint, and every checkpoint leaves a hint: one of the two is there if a log is.
async fn has_log(remote: &Remote) -> Result<bool> {
    for path in [first_entry(), log_file("_last_checkpoint")] {
        match remote.store().head(&path).await {
            Ok(_) => return Ok(true),
            Err(Error::NotFound { .. }) => {}
            Err(error) => return Err(remote.failed("look at", path.as_ref(), error)),
        }
    }
    Ok(false)
}

/// Writes version 0, if nobody else does.
async fn create(remote: &Remote, now: UnixNanos) -> Result<()> {
    let entry = Bytes::from(actions::create(now));
    match remote.store().put_opts(&first_entry(), entry.into(), PutMode::Create.into()).await {
        Ok(_) | Err(Error::AlreadyExists { .. }) => Ok(()),
        Err(error) => Err(cannot("create")(error)),
    }
}

/// Refuses a store whose log is gone while its data files are not.
async fn refuse_lost_log(place: &Place) -> Result<()> {
    let place = place.clone();
    let listed = tokio::task::spawn_blocking(move || place.list()).await;
    let listed = listed.map_err(|error| crate::flush::stopped(&error))??;
    if listed.iter().any(|(path, _)| crate::partition::FileName::parse(path).is_some()) {
        let path = format!("{FOLDER}/{LOG_FOLDER}").into();
        return Err(StorageError::Corrupt { path, reason: super::LOST_LOG.to_owned() });
    }
    Ok(())
}

//! Whether a store honours conditions: asked at every start, since a proxy or a setting can change that.

use bytes::Bytes;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode};

use super::Remote;
use crate::{Result, StorageError};

/// Folder of probes, below the prefix.
const FOLDER: &str = "probe";
/// A store that answers with errors is asked this often.
const TRIES: u32 = 8;

/// Creates an object twice; the second time must be refused, and the first object must be what is found then.
///
/// # Errors
/// [`StorageError::Unfit`] when the store ignores the condition or does not know it; [`StorageError::Io`] when it cannot be
/// reached.
pub(crate) async fn probe(remote: &Remote) -> Result<()> {
    let path = Path::from(format!("{FOLDER}/{:032x}", rand::random::<u128>()));
    let outcome = create_twice(remote, &path).await;
    if let Err(error) = remote.store().delete(&path).await {
        tracing::debug!(%error, "the object of the start's probe stays");
    }
    outcome
}

async fn create_twice(remote: &Remote, path: &Path) -> Result<()> {
    let (first, second) = (Bytes::from_static(b"first"), Bytes::from_static(b"second"));
    // Errors along the way leave open whether the first put has taken place; what is found then decides.
    let mut created = Ok(());
    for _ in 0..TRIES {
        created = create(remote, path, &first).await;
        match &created {
            Ok(()) | Err(Error::AlreadyExists { .. }) => break,
            Err(error) if is_unknown(error) => return Err(unfit(remote, &error.to_string())),
            Err(_) => {}
        }
    }
    let mut is_created = created.is_ok();
    let mut failure = created.err();
    for _ in 0..TRIES {
        match create(remote, path, &second).await {
            Err(Error::AlreadyExists { .. }) => return compare(remote, path, &first).await,
            Err(error) if is_unknown(&error) => return Err(unfit(remote, &error.to_string())),
            Ok(()) if is_created => return Err(unfit(remote, "it created one name twice")),
            // The first put never came through.
            Ok(()) => is_created = true,
            Err(error) => failure = Some(error),
        }
    }
    Err(match failure {
        Some(error) => remote.failed("write to", path.as_ref(), error),
        None => unfit(remote, "it gave no answer"),
    })
}

async fn create(remote: &Remote, path: &Path, bytes: &Bytes) -> object_store::Result<()> {
    remote.store().put_opts(path, bytes.clone().into(), PutMode::Create.into()).await.map(|_| ())
}

async fn compare(remote: &Remote, path: &Path, first: &Bytes) -> Result<()> {
    let found = remote.read(path.as_ref()).await?;
    let is_ours = found.as_ref() == Some(first) || found.as_deref() == Some(b"second".as_slice());
    if is_ours { Ok(()) } else { Err(unfit(remote, "it does not give back what was written")) }
}

fn is_unknown(error: &Error) -> bool {
    matches!(error, Error::NotImplemented { .. } | Error::NotSupported { .. })
}

fn unfit(remote: &Remote, reason: &str) -> StorageError {
    let reason = format!(
        "it does not honour conditional puts (If-None-Match: *), without which two servers would overwrite each other's \
         commits: {reason}"
    );
    StorageError::Unfit { store: remote.name().to_owned(), reason }
}

//! What somebody declared, as one JSON document: read at a start, written whole at each change.

use daytwo_storage::Document;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{QueryError, Result};

/// A document that says in which form it is written.
pub(crate) trait Form: Serialize + DeserializeOwned {
    /// The form that this version reads and writes.
    const READ: u32;
    /// What is kept, in words.
    const WHAT: &'static str;

    /// The form that it was written in.
    fn form(&self) -> u32;
}

/// Reads what was kept; `None` when nothing was. What cannot be understood is set aside, and said in the log.
///
/// # Errors
/// When the disk fails, or a later version wrote it: going on would overwrite that.
pub(crate) fn read<K: Form>(document: &Document) -> Result<Option<K>> {
    let Some(bytes) = document.read()? else { return Ok(None) };
    match serde_json::from_slice::<K>(&bytes) {
        Ok(kept) if kept.form() == K::READ => Ok(Some(kept)),
        Ok(kept) => Err(QueryError::internal(format!(
            "{} are kept in form {}, this version reads form {}",
            K::WHAT,
            kept.form(),
            K::READ
        ))),
        Err(error) => {
            let aside = document.set_aside()?;
            tracing::error!(%error, aside = %aside.display(), "{} cannot be read and were set aside", K::WHAT);
            Ok(None)
        }
    }
}

/// Writes it.
///
/// # Errors
/// What kept it from being written; what was there before is there still.
pub(crate) fn write<K: Form>(document: &Document, kept: &K) -> Result<()> {
    let bytes = serde_json::to_vec(kept).map_err(|error| QueryError::internal(error.to_string()))?;
    Ok(document.replace(&bytes)?)
}

//! Reads everything that is committed, to see whether it still is what was written.

use super::{Shared, Store, blocking};
use crate::damage::{content_hash, damage, other_content};
use crate::{DataFile, Result};

/// What [`Store::verify`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Files read, damaged ones included.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that are not what was written, by path below the table's folder, each with the reason.
    pub damaged: Vec<(String, String)>,
    /// Files that could not be read now, each with the reason. Nothing is known of them.
    pub unread: Vec<(String, String)>,
}

enum Found {
    Whole,
    Damaged(String),
    Unread(String),
}

impl Store {
    /// Compares every committed file with the content hash in the Delta log. Nothing is changed; see
    /// [`Store::report_damaged`] for setting a file aside. The log of writes was checked when the folder was opened.
    ///
    /// # Errors
    /// [`crate::StorageError::ReadOnly`] when the task that reads ended.
    ///
    /// # Cancel safety
    /// Dropping the future ends it after the file being read.
    pub async fn verify(&self) -> Result<Verified> {
        let mut verified = Verified::default();
        for file in self.snapshot().files.iter() {
            verified.files = verified.files.saturating_add(1);
            verified.bytes = verified.bytes.saturating_add(file.size_bytes);
            match self.shared.look_into(file).await? {
                Found::Whole => {}
                Found::Damaged(reason) => verified.damaged.push((file.path.clone(), reason)),
                Found::Unread(reason) => verified.unread.push((file.path.clone(), reason)),
            }
        }
        Ok(verified)
    }
}

impl Shared {
    async fn look_into(&self, file: &DataFile) -> Result<Found> {
        let (place, file) = (self.place.clone(), file.clone());
        blocking(move || {
            if let Some(reason) = damage(&place, None, &file) {
                return Ok(Found::Damaged(reason));
            }
            Ok(match content_hash(&place, &file.path) {
                Ok(found) => other_content(&file, found).map_or(Found::Whole, Found::Damaged),
                Err(error) => Found::Unread(error.to_string()),
            })
        })
        .await
    }
}

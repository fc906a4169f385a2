//! Whether a committed file can be used: as far as that shows without reading it, and by the hash of its bytes.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;

use xxhash_rust::xxh3::Xxh3;

use crate::fs::io_error;
use crate::place::Place;
use crate::{DataFile, Result, StorageError};

/// Sizes of the files in a store, by path, as one list told them.
pub(crate) type Sizes = HashMap<String, u64>;

/// Why a committed file cannot be used, if that shows without reading it: it is gone, cut, or has no Parquet ends.
/// A file that cannot be looked at now (no descriptor left, an I/O error that may pass) counts as whole.
pub(crate) fn damage(place: &Place, listed: Option<&Sizes>, file: &DataFile) -> Option<String> {
    let looked = if place.is_remote() { look_in_store(place, listed, file) } else { look_at(place, file) };
    looked.unwrap_or_else(|error| {
        tracing::warn!(path = %file.path, %error, "a data file cannot be looked at now");
        None
    })
}

/// By its size alone: each further look would be a request. A file that the list does not show is asked for by name, since a
/// list may be behind.
fn look_in_store(place: &Place, listed: Option<&Sizes>, file: &DataFile) -> Result<Option<String>> {
    let known = listed.and_then(|sizes| sizes.get(&file.path)).copied();
    let size = if known.is_some() { known } else { place.size(&file.path)? };
    Ok(wrong_size(size, file.size_bytes))
}

fn wrong_size(size: Option<u64>, expected: u64) -> Option<String> {
    match size {
        None => Some("the file is missing".to_owned()),
        Some(size) if size != expected => Some(format!("the file has {size} bytes instead of {expected}")),
        Some(_) => None,
    }
}

fn look_at(place: &Place, file: &DataFile) -> Result<Option<String>> {
    const MAGIC: [u8; 4] = *b"PAR1";
    let (fs, path) = (place.fs(), place.dir().join(&file.path));
    let size = fs.size(&path)?;
    if let Some(reason) = wrong_size(size, file.size_bytes) {
        return Ok(Some(reason));
    }
    let (mut first, mut last) = ([0; 4], [0; 4]);
    fs.read_exact_at(&path, 0, &mut first)?;
    fs.read_exact_at(&path, file.size_bytes.saturating_sub(4), &mut last)?;
    let whole = first == MAGIC && last == MAGIC;
    Ok((!whole).then(|| "the file does not begin and end as Parquet does".to_owned()))
}

/// The xxh3-128 of a file's bytes.
///
/// # Errors
/// [`StorageError::Io`] when it is missing or cannot be read now.
pub(crate) fn content_hash(place: &Place, path: &str) -> Result<u128> {
    let mut hash = Xxh3::new();
    place.read_through(path, |piece| hash.update(piece))?;
    Ok(hash.digest128())
}

/// Why bytes with this hash are not the file's; `None` when they are, or when its commit names no hash.
pub(crate) fn other_content(file: &DataFile, found: u128) -> Option<String> {
    let differs = file.content_hash.is_some_and(|written| written != found);
    differs.then(|| "its content is not what was written".to_owned())
}

/// A committed file, open for reads by position, and the hash of its bytes. All of it was read once, and later reads go to the same
/// bytes: of a store, to one local copy.
///
/// # Errors
/// [`StorageError::Corrupt`] when it is not what was written, [`StorageError::Io`] when it is missing or cannot be read now.
pub(crate) fn open_whole(place: &Place, file: &DataFile) -> Result<(File, u128)> {
    let path = place.dir().join(&file.path);
    let bytes = place.open(&file.path)?;
    let found = place.fs().check_read(&path).and_then(|()| hash_of(&bytes));
    let found = found.map_err(|source| io_error("read", &path, source))?;
    match other_content(file, found) {
        Some(reason) => Err(StorageError::Corrupt { path, reason }),
        None => Ok((bytes, found)),
    }
}

fn hash_of(mut file: &File) -> std::io::Result<u128> {
    let (mut hash, mut piece) = (Xxh3::new(), vec![0_u8; 1 << 20]);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hash.digest128()),
            length => hash.update(piece.get(..length).unwrap_or_default()),
        }
    }
}

//! Whether a committed file can be used, as far as that shows without reading it.

use std::collections::HashMap;

use crate::place::Place;
use crate::{DataFile, Result};

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

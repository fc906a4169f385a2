//! Whether a committed file can be used, as far as that shows without reading it.

use std::path::Path;

use crate::fs::Fs;
use crate::{DataFile, Result};

/// Why a committed file cannot be used, if that shows without reading it: it is gone, cut, or has no Parquet ends.
/// A file that cannot be looked at now (no descriptor left, an I/O error that may pass) counts as whole.
pub(crate) fn damage(fs: &Fs, table_dir: &Path, file: &DataFile) -> Option<String> {
    look_at(fs, &table_dir.join(&file.path), file.size_bytes).unwrap_or_else(|error| {
        tracing::warn!(path = %file.path, %error, "a data file cannot be looked at now");
        None
    })
}

fn look_at(fs: &Fs, path: &Path, expected: u64) -> Result<Option<String>> {
    const MAGIC: [u8; 4] = *b"PAR1";
    let Some(size) = fs.size(path)? else {
        return Ok(Some("the file is missing".to_owned()));
    };
    if size != expected {
        return Ok(Some(format!("the file has {size} bytes instead of {expected}")));
    }
    let (mut first, mut last) = ([0; 4], [0; 4]);
    fs.read_exact_at(path, 0, &mut first)?;
    fs.read_exact_at(path, size.saturating_sub(4), &mut last)?;
    let whole = first == MAGIC && last == MAGIC;
    Ok((!whole).then(|| "the file does not begin and end as Parquet does".to_owned()))
}

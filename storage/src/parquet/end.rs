//! The end of a data file: its page indexes and its footer, which say where everything else in it is.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use bytes::Bytes;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use crate::Result;
use crate::fs::io_error;

/// 16 MiB: the end of a file of a hundred row groups has two. A longer one is left where it is.
const END_BYTES_MAX: u64 = 16 << 20;
/// The length of the footer and the magic number.
const LENGTH_BYTES: u64 = 8;

/// The bytes from the first page index to the end of the file at `path`; none when they are too many.
///
/// # Errors
/// [`crate::StorageError::Io`]; [`crate::StorageError::Parquet`] when it has no footer.
pub(crate) fn end_of(file: &File, path: &Path) -> Result<Bytes> {
    let metadata = ParquetMetaDataReader::new().parse_and_finish(file)?;
    let read = || {
        let size = file.metadata()?.len();
        let mut length = [0_u8; 4];
        file.read_exact_at(&mut length, size.saturating_sub(LENGTH_BYTES))?;
        let footer = size.saturating_sub(LENGTH_BYTES).saturating_sub(u64::from(u32::from_le_bytes(length)));
        let bytes = size.saturating_sub(page_indexes(&metadata).fold(footer, u64::min));
        let bytes = usize::try_from(if bytes > END_BYTES_MAX { 0 } else { bytes }).unwrap_or(0);
        let mut end = vec![0_u8; bytes];
        file.read_exact_at(&mut end, size.saturating_sub(bytes as u64))?;
        Ok(end.into())
    };
    read().map_err(|source| io_error("read", path, source))
}

/// Where page indexes begin.
fn page_indexes(metadata: &ParquetMetaData) -> impl Iterator<Item = u64> {
    let columns = metadata.row_groups().iter().flat_map(|group| group.columns());
    let offsets = columns.flat_map(|column| [column.column_index_offset(), column.offset_index_offset()]);
    offsets.flatten().filter_map(|offset| u64::try_from(offset).ok())
}

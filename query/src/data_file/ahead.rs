//! Which bytes of a file the Parquet reader will ask for, so that a store can be asked for all of them at once.

use std::ops::Range;

use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::RowSelection;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::page_index::offset_index::OffsetIndexMetaData;

/// The pages, dictionaries included, of the columns in `mask` that hold selected rows of `row_groups`; all of them without a
/// selection. The selection counts the rows of these row groups alone, in their order.
pub(super) fn wanted(
    metadata: &ParquetMetaData,
    row_groups: &[usize],
    selection: Option<&RowSelection>,
    mask: &ProjectionMask,
) -> Vec<Range<u64>> {
    let mut left = selection.cloned();
    let mut wanted = Vec::new();
    for &row_group in row_groups.iter().filter(|row_group| **row_group < metadata.num_row_groups()) {
        let group = metadata.row_group(row_group);
        let rows = usize::try_from(group.num_rows()).unwrap_or(0);
        let selected = left.as_mut().map(|left| left.split_off(rows));
        if selected.as_ref().is_some_and(|selected| !selected.selects_any()) {
            continue;
        }
        let offsets = metadata.offset_index().and_then(|offsets| offsets.get(row_group));
        for (column, chunk) in group.columns().iter().enumerate().filter(|(column, _)| mask.leaf_included(*column)) {
            let (begin, length) = chunk.byte_range();
            let whole = begin..begin.saturating_add(length);
            match (&selected, offsets.and_then(|offsets| offsets.get(column))) {
                (Some(selected), Some(offsets)) => wanted.extend(pages(&whole, offsets, selected)),
                _ => wanted.push(whole),
            }
        }
    }
    wanted
}

fn pages(chunk: &Range<u64>, offsets: &OffsetIndexMetaData, selected: &RowSelection) -> Vec<Range<u64>> {
    let locations = offsets.page_locations();
    let first = locations.first().and_then(|first| u64::try_from(first.offset).ok());
    let dictionary = first.filter(|first| *first > chunk.start).map(|first| chunk.start..first);
    let pages = selected.scan_ranges(locations).into_iter();
    dictionary.into_iter().chain(pages).filter(|range| !range.is_empty()).collect()
}

//! What files and indexes take, by part.

use std::collections::BTreeMap;
use std::io::Write;

use daytwo_storage::Store;
use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::{Failed, ratio};

/// Columns that are named; the others are summed up.
const COLUMNS: usize = 20;

/// What the indexes take, by part.
pub(crate) fn indexes(store: &Store, out: &mut impl Write) -> Result<(), Failed> {
    let snapshot = store.snapshot();
    let (mut all, mut memory, mut parts) = (0_u64, 0_u64, [0_u64; 4]);
    for file in snapshot.files.iter() {
        let index = snapshot.indexes.open(file)?;
        all += snapshot.indexes.size_of(&file.path).unwrap_or(0);
        memory += index.memory_bytes();
        parts.iter_mut().zip(index.sizes()).for_each(|(sum, part)| *sum += part);
    }
    let each = |bytes: u64| ratio(bytes, store.status().file_rows);
    let [traces, terms, catalogue, _] = parts;
    writeln!(
        out,
        "indexes {:.2} bytes a span: traces {:.2}, terms {:.2}, catalogues {:.2}; in memory {:.2}",
        each(all),
        each(traces),
        each(terms),
        each(catalogue),
        each(memory)
    )?;
    Ok(())
}

/// What the columns take: data pages, dictionaries and bloom filters.
pub(crate) fn columns(store: &Store, out: &mut impl Write) -> Result<(), Failed> {
    let (snapshot, rows) = (store.snapshot(), store.status().file_rows);
    let (mut columns, mut blooms) = (BTreeMap::<String, u64>::new(), 0_u64);
    for file in snapshot.files.iter() {
        let reader = SerializedFileReader::new(std::fs::File::open(snapshot.table_dir.join(&file.path))?)?;
        for chunk in reader.metadata().row_groups().iter().flat_map(|group| group.columns()) {
            let bytes = u64::try_from(chunk.compressed_size())?;
            *columns.entry(chunk.column_path().string()).or_default() += bytes;
            blooms += u64::try_from(chunk.bloom_filter_length().unwrap_or(0))?;
        }
    }
    let mut columns: Vec<(u64, String)> = columns.into_iter().map(|(name, bytes)| (bytes, name)).collect();
    columns.sort_unstable_by(|one, other| other.cmp(one));
    let rest = columns.split_off(COLUMNS.min(columns.len()));
    let listed: u64 = columns.iter().chain(&rest).map(|(bytes, _)| bytes).sum::<u64>() + blooms;
    writeln!(out, "bytes a span, by column:")?;
    for (bytes, name) in &columns {
        writeln!(out, "  {name:<44} {:>6.2}", ratio(*bytes, rows))?;
    }
    let others = format!("{} more columns", rest.len());
    let apart = [
        (others.as_str(), rest.iter().map(|(bytes, _)| bytes).sum()),
        ("bloom filters", blooms),
        ("footers and page indexes", store.status().file_bytes.saturating_sub(listed)),
    ];
    for (name, bytes) in apart {
        writeln!(out, "  {name:<44} {:>6.2}", ratio(bytes, rows))?;
    }
    Ok(())
}

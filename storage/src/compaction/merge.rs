//! Writes one file of several: row groups as they are, small neighbours as one, rows that stand twice once.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::ChunkReader;
use parquet::file::statistics::Statistics;
use parquet::file::writer::SerializedFileWriter;

use super::encode::{self, Rows};
use super::plan::Policy;
use super::repeated::{self, Kept};
use super::source::{Opened, Source, Unreadable, closed_column};
use crate::index::{Builder, Indexes, Part};
use crate::parquet::output::{Output, Published};
use crate::parquet::properties;
use crate::parquet::writer::{self, NewFile, disk_full};
use crate::partition::FileName;
use crate::place::Place;
use crate::schema::col;
use crate::{DataFile, StorageError};

/// A file made of others.
#[derive(Debug)]
pub(super) struct Merged {
    pub(super) new: NewFile,
    pub(super) row_groups_copied: u64,
    pub(super) rows_encoded: u64,
    pub(super) rows_repeated: u64,
}

/// Why there is none.
#[derive(Debug)]
pub(super) enum Failure {
    /// An input is damaged.
    Input(Unreadable),
    /// The input at this path has other columns or another version than the one before it.
    Unlike(String),
    /// The store closes.
    Cancelled,
    /// Reading or writing failed; another try may succeed.
    Output(StorageError),
}

impl<E: Into<StorageError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Output(error.into())
    }
}

/// Merges `inputs`, which are neighbours in this order. Blocks on the disk.
///
/// # Errors
/// [`Failure`]; nothing is left on disk then.
pub(super) fn merge(
    place: &Place,
    indexes: &Indexes,
    inputs: &[DataFile],
    policy: Policy,
    cancelled: &AtomicBool,
) -> Result<Merged, Failure> {
    let path = path_of(inputs);
    let mut sources = Vec::with_capacity(inputs.len());
    for input in inputs {
        check(cancelled)?;
        sources.push(Source::open(place, input).map_err(|opened| match opened {
            Opened::Unreadable(unreadable) => Failure::Input(unreadable),
            Opened::Later(error) => Failure::Output(error),
        })?);
    }
    if let Some(at) = sources.windows(2).position(|pair| !are_alike(&pair[0], &pair[1])) {
        return Err(Failure::Unlike(inputs[at + 1].path.clone()));
    }
    match write(place, &path, inputs, &sources, policy, cancelled) {
        Ok((merged, parts)) => {
            // The spans are what counts: an index that cannot be merged is made from the file later.
            if let Err(error) = indexes.merge(parts, &merged.new) {
                tracing::warn!(path, %error, "a merged file is committed without its index");
            }
            Ok(merged)
        }
        Err(failure) => {
            place.discard(&path);
            Err(failure)
        }
    }
}

fn path_of(inputs: &[DataFile]) -> String {
    let names = inputs.iter().filter_map(|input| FileName::parse(&input.path));
    let first_seq = names.clone().map(|name| name.first_seq).min().unwrap_or(0);
    let last_seq = names.map(|name| name.last_seq).max().unwrap_or(0);
    let hour = inputs.first().map_or("", |input| input.received_hour.as_str());
    FileName { merged: true, first_seq, last_seq }.path(hour, rand::random())
}

fn are_alike(one: &Source, other: &Source) -> bool {
    let (one, other) = (one.metadata().file_metadata(), other.metadata().file_metadata());
    one.schema() == other.schema() && one.key_value_metadata() == other.key_value_metadata()
}

fn check(cancelled: &AtomicBool) -> Result<(), Failure> {
    if cancelled.load(Ordering::Relaxed) { Err(Failure::Cancelled) } else { Ok(()) }
}

fn write(
    place: &Place,
    path: &str,
    inputs: &[DataFile],
    sources: &[Source],
    policy: Policy,
    cancelled: &AtomicBool,
) -> Result<(Merged, Vec<Part>), Failure> {
    let failed = |error: ParquetError| Failure::Output(disk_full(error, &place.dir().join(path)));
    let kept = repeated::kept(sources).map_err(failed)?;
    let mut output = Output::create(place, path)?;
    let mut writer = writer_like(&mut output, sources).map_err(failed)?;
    let mut progress = Progress::default();
    for step in steps(sources, policy.keep_rows) {
        check(cancelled)?;
        let (sources, kept) = (&sources[step.clone()], &kept[step.clone()]);
        if !progress.encode(&mut writer, sources, kept).map_err(failed)? {
            progress.copy(&mut writer, sources, &inputs[step]).map_err(failed)?;
        }
    }
    let metadata = writer.close().map_err(failed)?;
    let published = output.publish()?;
    let new = new_file(path, inputs, &metadata, published);
    let Progress { row_groups_copied, rows_encoded, rows_repeated, parts } = progress;
    Ok((Merged { new, row_groups_copied, rows_encoded, rows_repeated }, parts))
}

/// What is in the new file so far.
#[derive(Default)]
struct Progress {
    row_groups_copied: u64,
    rows_encoded: u64,
    rows_repeated: u64,
    parts: Vec<Part>,
}

impl Progress {
    /// Decodes inputs and encodes what stands in no earlier one; whether that was worth it and possible. It is not for an input
    /// alone whose rows all stay, nor for rows of a version from before, with columns of other types.
    fn encode(&mut self, writer: &mut Writer<'_>, sources: &[Source], kept: &[Kept]) -> ParquetResult<bool> {
        let gone = kept.iter().map(repeated::gone).sum::<u64>();
        if sources.len() < 2 && gone == 0 {
            return Ok(false);
        }
        let mut index = Builder::default();
        for rows in row_groups_of(sources, kept) {
            let Some(encoded) = encode::encode(&rows, &mut index)? else {
                return Ok(false);
            };
            if encoded.metadata.file_metadata().schema() != writer.schema_descr().root_schema() {
                return Ok(false);
            }
            copy_all(writer, &encoded.bytes, &encoded.metadata)?;
        }
        self.rows_repeated += gone;
        self.rows_encoded += sources.iter().map(Source::rows).sum::<u64>() - gone;
        self.parts.push(Part::Built(Box::new(index)));
        Ok(true)
    }

    /// Copies inputs as they are.
    fn copy(&mut self, writer: &mut Writer<'_>, sources: &[Source], inputs: &[DataFile]) -> ParquetResult<()> {
        for (source, input) in sources.iter().zip(inputs) {
            copy_all(writer, &source.bytes, source.metadata())?;
            self.row_groups_copied += source.metadata().num_row_groups() as u64;
            self.parts.push(Part::File(input.clone()));
        }
        Ok(())
    }
}

fn new_file(path: &str, inputs: &[DataFile], metadata: &ParquetMetaData, published: Published) -> NewFile {
    let file = DataFile {
        path: path.to_owned(),
        size_bytes: published.bytes,
        rows: u64::try_from(metadata.file_metadata().num_rows()).unwrap_or(0),
        start_range: range_of(metadata, col::START),
        received_hour: inputs.first().map_or_else(String::new, |input| input.received_hour.clone()),
        content_hash: Some(published.content_hash),
    };
    NewFile {
        file,
        content_hash: published.content_hash,
        end: published.end,
        received_range: range_of(metadata, col::RECEIVED),
        duration_range: range_of(metadata, col::DURATION),
    }
}

type Writer<'a> = SerializedFileWriter<&'a mut Output>;

/// A writer of files with the columns and the key-value metadata of the inputs.
fn writer_like<'a>(output: &'a mut Output, sources: &[Source]) -> ParquetResult<Writer<'a>> {
    let none = || ParquetError::General("there is nothing to merge".to_owned());
    let footer = sources.first().ok_or_else(none)?.metadata().file_metadata();
    let keys = footer.key_value_metadata().cloned();
    let properties = WriterProperties::builder()
        .set_created_by(footer.created_by().unwrap_or_default().to_owned())
        .set_key_value_metadata(keys);
    SerializedFileWriter::new(output, footer.schema_descr().root_schema_ptr(), Arc::new(properties.build()))
}

/// Neighbours that go the same way: alone they are copied, together they are encoded as one. Files all of whose row groups
/// are under `keep_rows` are put together, up to the usual size of a row group.
fn steps(sources: &[Source], keep_rows: u64) -> Vec<Range<usize>> {
    let mut steps: Vec<Range<usize>> = Vec::new();
    let mut rows = None;
    for (at, source) in sources.iter().enumerate() {
        let small = source.largest_row_group() < keep_rows;
        let together = rows.map(|rows: u64| rows.saturating_add(source.rows()));
        match (steps.last_mut(), together) {
            (Some(step), Some(together)) if small && together <= properties::ROW_GROUP_ROWS as u64 => {
                step.end = at + 1;
                rows = Some(together);
            }
            _ => {
                steps.push(at..at + 1);
                rows = small.then(|| source.rows());
            }
        }
    }
    steps
}

/// What becomes one row group each: several inputs together, or each row group of one.
fn row_groups_of<'a>(sources: &'a [Source], kept: &'a [Kept]) -> Vec<Vec<Rows<'a>>> {
    let all =
        |row_group| sources.iter().zip(kept).map(move |(source, kept)| Rows { source, row_group, kept }).collect();
    match sources {
        [source] => (0..source.metadata().num_row_groups()).map(|at| all(Some(at))).collect(),
        _ => vec![all(None)],
    }
}

/// Copies all row groups byte for byte, with their statistics, page indexes and bloom filters.
fn copy_all<R: ChunkReader>(writer: &mut Writer<'_>, reader: &R, metadata: &ParquetMetaData) -> ParquetResult<()> {
    for at in 0..metadata.num_row_groups() {
        let mut group = writer.next_row_group()?;
        for column in 0..metadata.row_group(at).num_columns() {
            group.append_column(reader, closed_column(reader, metadata, at, column)?)?;
        }
        group.close()?;
    }
    Ok(())
}

/// Bounds of a column over all row groups; `None` when one of them does not say.
fn range_of(metadata: &ParquetMetaData, name: &str) -> writer::Range {
    let columns = metadata.file_metadata().schema_descr().columns();
    let column = columns.iter().position(|column| column.path().string() == name)?;
    let bounds = metadata.row_groups().iter().map(|group| match group.column(column).statistics() {
        Some(Statistics::Int64(bounds)) => Some((*bounds.min_opt()?, *bounds.max_opt()?)),
        _ => None,
    });
    let bounds: Option<Vec<(i64, i64)>> = bounds.collect();
    bounds?.into_iter().reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
}

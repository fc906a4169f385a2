//! Looks into a file for its services, and writes it anew without some of them. Streaming: a batch, and the row group that is
//! being written, are in memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Int32Type;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::arrow::{ArrowWriter, ProjectionMask};

use crate::damage::open_whole;
use crate::index::Indexes;
use crate::parquet::output::Output;
use crate::parquet::properties;
use crate::parquet::writer::{NewFile, Pieces, Ranges, disk_full};
use crate::partition::FileName;
use crate::place::Place;
use crate::schema::{col, memory_schema};
use crate::{DataFile, Result, StorageError};

/// Rows read at a time.
const BATCH_ROWS: usize = 8192;

/// Spans of each service in a data file.
///
/// # Errors
/// [`StorageError::Io`], [`StorageError::Parquet`].
pub(super) fn services_of(place: &Place, path: &str) -> Result<BTreeMap<String, u64>> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(place.open(path)?)?;
    let mask = ProjectionMask::columns(reader.parquet_schema(), [col::SERVICE_NAME]);
    let mut services = BTreeMap::new();
    for batch in reader.with_projection(mask).with_batch_size(BATCH_ROWS).build()? {
        for service in batch?.column(0).as_string::<i32>().iter().flatten() {
            match services.get_mut(service) {
                Some(rows) => *rows += 1,
                None => drop(services.insert(service.to_owned(), 1_u64)),
            }
        }
    }
    Ok(services)
}

/// Writes a file anew without the spans of `services`.
///
/// # Errors
/// As a flush; [`StorageError::Corrupt`] when the file is not what was written. Nothing is left on disk then.
pub(super) fn without(place: &Place, indexes: &Indexes, file: &DataFile, services: &[String]) -> Result<NewFile> {
    let Some(name) = FileName::parse(&file.path).filter(|_| file.content_hash.is_some()) else {
        let reason = "it was not written by this program: its name or the hash of its content is missing".to_owned();
        return Err(StorageError::Corrupt { path: place.dir().join(&file.path), reason });
    };
    let (source, _) = open_whole(place, file)?;
    let path = FileName { merged: true, ..name }.path(&file.received_hour, rand::random());
    let written = write(place, indexes, &path, source, &file.received_hour, services);
    if written.is_err() {
        place.discard(&path);
    }
    written
}

fn write(
    place: &Place,
    indexes: &Indexes,
    path: &str,
    source: File,
    received_hour: &str,
    services: &[String],
) -> Result<NewFile> {
    let options = ArrowReaderOptions::new().with_schema(memory_schema());
    let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(source, options)?;
    let failed = |error| disk_full(error, &place.dir().join(path));
    let output = Output::create(place, path)?;
    let mut writer = ArrowWriter::try_new_with_options(output, memory_schema(), properties::options())?;
    let (mut ranges, mut pieces, mut rows) = (Ranges::default(), Pieces::default(), 0);
    let mut index = crate::index::Builder::default();
    for batch in reader.with_batch_size(BATCH_ROWS).build()? {
        let kept = without_services(&batch?, services)?;
        ranges.add(&kept);
        rows += kept.num_rows() as u64;
        for (piece, begins_row_group) in pieces.of(&kept) {
            if begins_row_group {
                index.begin_row_group();
            }
            index.push(&piece)?;
            writer.write(&piece).map_err(failed)?;
        }
    }
    let published = writer.into_inner().map_err(failed)?.publish()?;
    let content_hash = published.content_hash;
    let file = DataFile {
        path: path.to_owned(),
        size_bytes: published.bytes,
        rows,
        start_range: ranges.start,
        received_hour: received_hour.to_owned(),
        content_hash: Some(content_hash),
    };
    let (received_range, duration_range) = (ranges.received, ranges.duration);
    let new = NewFile { file, content_hash, end: published.end, received_range, duration_range };
    if let Err(error) = indexes.write(&new, index) {
        tracing::warn!(path, %error, "a file is committed without its index");
    }
    Ok(new)
}

fn without_services(batch: &RecordBatch, services: &[String]) -> Result<RecordBatch> {
    let missing = || arrow::error::ArrowError::SchemaError("has no service_name column".to_owned());
    let column = Arc::clone(batch.column_by_name(col::SERVICE_NAME).ok_or_else(missing)?);
    let column = column.as_dictionary::<Int32Type>();
    let names = column.values().as_string::<i32>();
    let kept: Vec<bool> = names.iter().map(|name| !services.iter().any(|old| Some(old.as_str()) == name)).collect();
    let keep = column.keys().iter().map(|key| {
        let at = key.and_then(|key| usize::try_from(key).ok());
        Some(at.and_then(|at| kept.get(at).copied()).unwrap_or(true))
    });
    Ok(filter_record_batch(batch, &keep.collect::<BooleanArray>())?)
}

//! The columns of `spans` as SQL sees them, and the cast of buffered batches to them.
//!
//! Text and bytes are Arrow *views*: files decode into them without a copy, dictionaries of the hot buffer turn into
//! them by writing 16 bytes a row, and grouping by a service name compares inline prefixes. `attributes` stays a
//! map of plain strings. The partition column `received_hour` comes last and is computed for buffered spans.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringViewArray};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema, SchemaRef};
use daytwo_storage::UnixNanos;
use daytwo_storage::schema::{self, col};

use crate::Result;

/// The columns of `spans`.
pub fn sql_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| with_views(&schema::table_schema()));
    Arc::clone(&SCHEMA)
}

/// The columns that a data file holds, in the types of SQL.
pub(crate) fn file_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| with_views(&schema::file_schema()));
    Arc::clone(&SCHEMA)
}

fn with_views(schema: &Schema) -> SchemaRef {
    let view = |field: &Arc<Field>| match field.data_type() {
        DataType::Utf8 => field.as_ref().clone().with_data_type(DataType::Utf8View),
        DataType::Binary => field.as_ref().clone().with_data_type(DataType::BinaryView),
        _ => field.as_ref().clone(),
    };
    Arc::new(Schema::new(schema.fields().iter().map(view).collect::<Vec<_>>()))
}

/// Some columns of a batch in the types of SQL. `batch` may be a buffered one (dictionaries, no partition column) or
/// one read from a file (whose partition column is `received_hour`).
pub(crate) fn project(batch: &RecordBatch, columns: &SchemaRef, received_hour: Option<&str>) -> Result<RecordBatch> {
    let arrays = columns.fields().iter().map(|field| column(batch, field, received_hour));
    let arrays = arrays.collect::<Result<Vec<ArrayRef>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(columns), arrays, &options)?)
}

fn column(batch: &RecordBatch, field: &Field, received_hour: Option<&str>) -> Result<ArrayRef> {
    match batch.column_by_name(field.name()) {
        Some(array) if array.data_type() == field.data_type() => Ok(Arc::clone(array)),
        Some(array) => as_view(array, field.data_type()),
        None if field.name() == col::RECEIVED_HOUR => Ok(match received_hour {
            Some(hour) => hours(batch.num_rows(), |_| hour.to_owned()),
            None => computed_hours(batch)?,
        }),
        // A column that this file's version of the schema did not have.
        None => Ok(arrow::array::new_null_array(field.data_type(), batch.num_rows())),
    }
}

/// Arrow 59 casts a dictionary to views without looking at nulls among the dictionary's values, and turns them into
/// empty texts. Taking the values by their keys keeps them.
fn as_view(array: &ArrayRef, kind: &DataType) -> Result<ArrayRef> {
    let Some(dictionary) = array.as_dictionary_opt::<Int32Type>() else {
        return Ok(cast(array, kind)?);
    };
    let values = cast(dictionary.values(), kind)?;
    Ok(take(&values, dictionary.keys(), None)?)
}

fn hours(rows: usize, hour: impl Fn(usize) -> String) -> ArrayRef {
    Arc::new(StringViewArray::from_iter_values((0..rows).map(hour)))
}

/// The partition that each row will be filed in.
fn computed_hours(batch: &RecordBatch) -> Result<ArrayRef> {
    let received = batch.column_by_name(col::RECEIVED).map(|array| array.as_primitive::<Int64Type>());
    let Some(received) = received else {
        return Err(crate::QueryError::internal("a buffered batch has no received_time_unix_nano"));
    };
    Ok(hours(batch.num_rows(), |row| received_hour(UnixNanos(received.value(row)))))
}

/// The UTC hour of an instant, as the partition column spells it.
pub(crate) fn received_hour(at: UnixNanos) -> String {
    chrono::DateTime::from_timestamp_nanos(at.0).format("%Y-%m-%dT%H").to_string()
}

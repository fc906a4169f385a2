//! Every knob of the files, with its reason.

use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

use crate::index::BLOCK_ROWS;
use crate::schema::{SCHEMA_VERSION, SCHEMA_VERSION_KEY, col};

/// 128 Ki rows, about 6 MB: what the writer holds in memory, and what a lookup that has no index reads at least.
pub(crate) const ROW_GROUP_ROWS: usize = 128 << 10;
/// A page is a block of the index: what a lookup or a search skips or reads as one.
pub(crate) const PAGE_ROWS: usize = BLOCK_ROWS as usize;
/// 2 MiB hold the 16-byte ids of 100,000 traces, so that trace ids of a row group stay dictionary-coded.
const DICTIONARY_BYTES: usize = 2 << 20;
/// Span names and routes are told apart by their first 64 bytes.
const STATISTICS_BYTES: usize = 64;
/// A row group of 128 Ki spans holds 6,000 to 30,000 traces; the filter is folded down to what it needs.
const BLOOM_NDV: u64 = 32_000;
/// One wrong row group in a hundred costs less than a larger filter does.
const BLOOM_FPP: f64 = 0.01;

/// How files are written.
pub(crate) fn options() -> ArrowWriterOptions {
    // No ARROW:schema entry: it would tell arrow readers that resource columns are dictionaries and others not,
    // so that engines would disagree on the types of one file.
    ArrowWriterOptions::new().with_properties(properties()).with_skip_arrow_metadata(true)
}

/// Their knobs.
pub(crate) fn properties() -> WriterProperties {
    // zstd(3) saved 1 % over zstd(1) for 5 to 20 % more CPU (DESIGN.md section 4).
    let zstd = Compression::ZSTD(ZstdLevel::try_new(1).unwrap_or_default());
    let builder = WriterProperties::builder()
        .set_created_by(concat!("daytwo ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(zstd)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_statistics_truncate_length(Some(STATISTICS_BYTES))
        .set_column_index_truncate_length(Some(STATISTICS_BYTES))
        .set_key_value_metadata(Some(vec![KeyValue::new(SCHEMA_VERSION_KEY.to_owned(), SCHEMA_VERSION.to_string())]));
    long_texts(numbers(ids(builder))).build()
}

/// Trace ids repeat, so a dictionary makes them two bytes; the filter finds a trace without reading them.
/// Span ids are all different: a dictionary would be built and thrown away. Their order is arrival, so bounds say nothing.
fn ids(builder: WriterPropertiesBuilder) -> WriterPropertiesBuilder {
    let builder = builder
        .set_column_bloom_filter_enabled(column(col::TRACE_ID), true)
        .set_column_bloom_filter_fpp(column(col::TRACE_ID), BLOOM_FPP)
        .set_column_bloom_filter_max_ndv(column(col::TRACE_ID), BLOOM_NDV)
        .set_column_statistics_enabled(column(col::TRACE_ID), EnabledStatistics::None);
    [col::SPAN_ID, col::PARENT_SPAN_ID].into_iter().fold(builder, |builder, name| {
        builder
            .set_column_dictionary_enabled(column(name), false)
            .set_column_encoding(column(name), Encoding::DELTA_LENGTH_BYTE_ARRAY)
            .set_column_statistics_enabled(column(name), EnabledStatistics::None)
    })
}

/// Times and durations: neighbours are near each other, so the differences take few bits.
fn numbers(builder: WriterPropertiesBuilder) -> WriterPropertiesBuilder {
    [col::START, col::DURATION, col::RAW_END, col::RECEIVED].into_iter().fold(builder, |builder, name| {
        builder
            .set_column_dictionary_enabled(column(name), false)
            .set_column_encoding(column(name), Encoding::DELTA_BINARY_PACKED)
    })
}

/// Texts that nobody compares by order: no bounds. When their dictionary overflows, lengths are delta-coded.
fn long_texts(builder: WriterPropertiesBuilder) -> WriterPropertiesBuilder {
    let path = |parts: &[&str]| ColumnPath::new(parts.iter().map(|part| (*part).to_owned()).collect());
    let value = path(&[col::ATTRIBUTES, "key_value", "value"]);
    let columns = [
        path(&[col::ATTRIBUTES, "key_value", "key"]),
        value,
        column(col::RESOURCE_ATTRIBUTES),
        column(col::SCOPE_ATTRIBUTES),
        column(col::ATTRIBUTE_TYPES),
        column(col::EVENTS),
        column(col::LINKS),
        column(col::STATUS_MESSAGE),
    ];
    columns.into_iter().fold(builder, |builder, column| {
        builder
            .set_column_encoding(column.clone(), Encoding::DELTA_LENGTH_BYTE_ARRAY)
            .set_column_statistics_enabled(column, EnabledStatistics::None)
    })
}

fn column(name: &str) -> ColumnPath {
    ColumnPath::from(name)
}

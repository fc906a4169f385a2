//! `cargo bench -p daytwo-bench-ingest --bench layout [-- --spans N --file-spans N --runs N]`: what the layout of data files
//! costs, one knob turned at a time, and what their indexes do.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use daytwo_bench_ingest::{BenchError, RECEIVED, Requests};
use daytwo_collector::decode::{self, Limits};
use daytwo_storage::SpanBatch;
use daytwo_storage::schema::col;
use daytwo_storage::testing::{file_properties, index_bytes};
use daytwo_traffic::cpu;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |name: &str, default: u64| {
        let at = arguments.iter().position(|argument| argument == name);
        at.and_then(|at| arguments.get(at + 1)?.parse().ok()).unwrap_or(default)
    };
    let (spans, file_spans) = (number("--spans", 400_000), number("--file-spans", 100_000));
    match print_table(spans, usize::try_from(file_spans).unwrap_or(usize::MAX), number("--runs", 3).max(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // There is nowhere left to say that standard error is closed.
            writeln!(io::stderr().lock(), "layout: {error}").ok();
            ExitCode::FAILURE
        }
    }
}

/// A way to write files.
struct Variant {
    name: &'static str,
    properties: WriterProperties,
    json: bool,
}

fn variant(name: &'static str, turn: impl Fn(WriterPropertiesBuilder) -> WriterPropertiesBuilder) -> Variant {
    Variant { name, properties: turn(file_properties().into_builder()).build(), json: false }
}

fn variants() -> Vec<Variant> {
    let zstd = |level| Compression::ZSTD(ZstdLevel::try_new(level).unwrap_or_default());
    let column = |name: &str| ColumnPath::from(name);
    let value = || ColumnPath::new([col::ATTRIBUTES, "key_value", "value"].map(str::to_owned).to_vec());
    let mut all = vec![
        variant("as the store writes them", |all| all),
        variant("zstd level 3", |all| all.set_compression(zstd(3))),
        variant("lz4", |all| all.set_compression(Compression::LZ4_RAW)),
        variant("not compressed", |all| all.set_compression(Compression::UNCOMPRESSED)),
        variant("pages of 1,024 rows", |all| all.set_data_page_row_count_limit(1_024)),
        variant("pages of 2,048 rows", |all| all.set_data_page_row_count_limit(2_048)),
        variant("pages of 8,192 rows", |all| all.set_data_page_row_count_limit(8_192)),
        variant("pages of 20,000 rows", |all| all.set_data_page_row_count_limit(20_000)),
        variant("row groups of 32 Ki rows", |all| all.set_max_row_group_row_count(Some(32 << 10))),
        variant("row groups of 64 Ki rows", |all| all.set_max_row_group_row_count(Some(64 << 10))),
        variant("no bloom filter on trace ids", |all| {
            all.set_column_bloom_filter_enabled(column(col::TRACE_ID), false)
        }),
        variant("trace ids plain", |all| all.set_column_dictionary_enabled(column(col::TRACE_ID), false)),
        variant("times by dictionary", |all| {
            let all = all.set_column_dictionary_enabled(column(col::START), true);
            all.set_column_dictionary_enabled(column(col::DURATION), true)
        }),
        variant("attribute values not by dictionary", |all| all.set_column_dictionary_enabled(value(), false)),
        variant("attribute values delta byte array", |all| {
            all.set_column_dictionary_enabled(value(), false).set_column_encoding(value(), Encoding::DELTA_BYTE_ARRAY)
        }),
    ];
    all.push(Variant { name: "attributes as one JSON text", properties: file_properties(), json: true });
    all
}

fn print_table(spans: u64, file_spans: usize, runs: u64) -> Result<(), BenchError> {
    let mut out = io::stdout().lock();
    let failed = |source| BenchError::Io { action: "write to standard output", source };
    let requests = Requests::of_corpus(spans, 512);
    let decoded = requests.bodies.iter().map(|body| Ok(decode::protobuf(body, RECEIVED, &Limits::default())?.batch));
    let batches = decoded.collect::<Result<Vec<SpanBatch>, BenchError>>()?;
    let files = files(&batches, file_spans);
    writeln!(out, "{} spans in {} files, best of {runs}", requests.spans, files.len()).map_err(failed)?;
    writeln!(out, "{:<40} {:>9} {:>14}", "layout", "B/span", "CPU s/M spans").map_err(failed)?;
    let mut line = |name: &str, bytes: usize, cpu: Duration| {
        let each = |total: f64| total / requests.spans.max(1) as f64;
        let (bytes, cpu) = (each(bytes as f64), each(cpu.as_secs_f64()) * 1e6);
        writeln!(out, "{name:<40} {bytes:>9.2} {cpu:>14.3}").map_err(failed)
    };
    for variant in variants() {
        let as_written = files.iter().map(|file| file.iter().map(|batch| batch_of(batch, variant.json)).collect());
        let as_written: Vec<Vec<RecordBatch>> = as_written.collect();
        let (bytes, cpu) = best_of(runs, || as_written.iter().map(|file| write(file, &variant.properties)).sum())?;
        line(variant.name, bytes, cpu)?;
    }
    let index = || files.iter().map(|file| index_bytes(file.iter().copied()).map_err(BenchError::from)).sum();
    let (bytes, cpu) = best_of(runs, index)?;
    line("indexes, beside each of these", bytes, cpu)
}

fn files(batches: &[SpanBatch], file_spans: usize) -> Vec<Vec<&SpanBatch>> {
    let mut files = vec![Vec::new()];
    let mut spans = 0;
    for batch in batches {
        if spans >= file_spans {
            files.push(Vec::new());
            spans = 0;
        }
        spans += batch.len();
        files.last_mut().into_iter().for_each(|file| file.push(batch));
    }
    files
}

/// The run that used the least CPU time: what other work on the machine added is noise.
fn best_of(runs: u64, work: impl Fn() -> Result<usize, BenchError>) -> Result<(usize, Duration), BenchError> {
    let mut best: Option<(usize, Duration)> = None;
    for _ in 0..runs {
        let began = cpu::own();
        let bytes = work()?;
        let cpu = cpu::own().saturating_sub(began);
        best = Some(best.map_or((bytes, cpu), |(_, least)| (bytes, least.min(cpu))));
    }
    Ok(best.unwrap_or_default())
}

fn write(batches: &[RecordBatch], properties: &WriterProperties) -> Result<usize, BenchError> {
    let Some(first) = batches.first() else {
        return Ok(0);
    };
    let options = ArrowWriterOptions::new().with_properties(properties.clone()).with_skip_arrow_metadata(true);
    let mut writer = ArrowWriter::try_new_with_options(Vec::new(), first.schema(), options)?;
    for batch in batches {
        writer.write(batch)?;
    }
    Ok(writer.into_inner()?.len())
}

/// The batch, its attributes as a map or as one JSON text a span.
fn batch_of(batch: &SpanBatch, json: bool) -> RecordBatch {
    let batch = batch.record_batch();
    if !json {
        return batch.clone();
    }
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        if field.name() == col::ATTRIBUTES {
            fields.push(Arc::new(Field::new(col::ATTRIBUTES, DataType::Utf8, false)));
            columns.push(json_texts(column));
        } else {
            fields.push(Arc::clone(field));
            columns.push(Arc::clone(column));
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap_or_else(|_| batch.clone())
}

fn json_texts(column: &ArrayRef) -> ArrayRef {
    let maps = column.as_map();
    let texts = (0..maps.len()).map(|row| {
        let entries = maps.value(row);
        let (keys, values) = (entries.column(0).as_string::<i32>(), entries.column(1).as_string::<i32>());
        let members = keys
            .iter()
            .zip(values.iter())
            .map(|(key, value)| format!("{key:?}:{value:?}", key = key.unwrap_or(""), value = value.unwrap_or("")));
        format!("{{{}}}", members.collect::<Vec<String>>().join(","))
    });
    Arc::new(StringArray::from_iter_values(texts))
}

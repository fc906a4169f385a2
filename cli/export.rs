//! `daytwo export`: spans of a data folder, as OTLP requests or as one Parquet file.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use daytwo_collector::encode::{self, EncodeError};
use daytwo_query::QueryConfig;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::folder::Folder;
use super::{Failure, Outcome, runtime, say};
use crate::{ExportArgs, ExportFormat};

/// Spans of one OTLP request, as many as SDKs send.
const REQUEST_SPANS: usize = 512;

/// `daytwo export …`.
pub(crate) fn export(args: ExportArgs) -> Outcome {
    let spans = runtime()?.block_on(async {
        let folder = Folder::open(&args.folder, without_limits).await?;
        let exported = write_spans(&folder, &args).await;
        folder.close().await?;
        exported
    })?;
    say(&format!("{spans} spans written to {}\n", args.out.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// An answer is written out as it comes, so its size and time need no limit; its memory keeps one.
fn without_limits(config: &mut QueryConfig) {
    config.answer_rows_max = u64::MAX;
    config.answer_bytes_max = u64::MAX;
    config.timeout = Duration::from_secs(7 * 86_400);
}

async fn write_spans(folder: &Folder, args: &ExportArgs) -> Result<u64, Failure> {
    let filter = args.filter.as_ref().map_or_else(String::new, |filter| format!(" WHERE {filter}"));
    let mut answer = folder.engine.sql(&format!("SELECT * FROM spans{filter}")).await?;
    let file = File::create_new(&args.out).map_err(|source| cannot_write(&args.out, source))?;
    let sink = Sink::new(args.format, BufWriter::new(file), answer.schema());
    let mut sink = sink.map_err(|error| error.on(&args.out))?;
    let mut spans = 0_u64;
    while let Some(batch) = answer.next().await {
        let batch = batch?;
        spans = spans.saturating_add(batch.num_rows() as u64);
        sink.write(&batch).map_err(|error| error.on(&args.out))?;
    }
    if let Some(lack) = answer.partial().first() {
        return Err(Failure::NotWhole { path: args.out.clone(), lack: lack.clone() });
    }
    sink.finish().map_err(|error| error.on(&args.out))?;
    Ok(spans)
}

fn cannot_write(path: &Path, source: std::io::Error) -> Failure {
    Failure::Io { action: "write", path: path.to_owned(), source }
}

/// Why spans cannot be written.
#[derive(Debug, thiserror::Error)]
enum SinkError {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Encode(#[from] EncodeError),
    #[error(transparent)]
    Parquet(#[from] parquet::errors::ParquetError),
}

impl SinkError {
    fn on(self, path: &Path) -> Failure {
        match self {
            Self::Io(source) => cannot_write(path, source),
            Self::Encode(error) => cannot_write(path, std::io::Error::other(error)),
            Self::Parquet(error) => cannot_write(path, std::io::Error::other(error)),
        }
    }
}

/// Where spans go.
enum Sink<W: Write + Send> {
    /// Requests in protobuf, each after its length in four bytes, most significant first: what the file exporter of the
    /// OpenTelemetry Collector writes with `format: proto`.
    Otlp(W),
    Parquet(Box<ArrowWriter<W>>),
}

impl<W: Write + Send> Sink<W> {
    fn new(format: ExportFormat, out: W, schema: &SchemaRef) -> Result<Self, SinkError> {
        Ok(match format {
            ExportFormat::Otlp => Self::Otlp(out),
            ExportFormat::Parquet => {
                let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default()));
                let writer = ArrowWriter::try_new(out, SchemaRef::clone(schema), Some(properties.build()))?;
                Self::Parquet(Box::new(writer))
            }
        })
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        match self {
            Self::Otlp(out) => write_requests(out, batch),
            Self::Parquet(writer) => Ok(writer.write(batch)?),
        }
    }

    fn finish(self) -> Result<(), SinkError> {
        match self {
            Self::Otlp(mut out) => Ok(out.flush()?),
            Self::Parquet(writer) => Ok(writer.into_inner()?.flush()?),
        }
    }
}

fn write_requests(out: &mut impl Write, batch: &RecordBatch) -> Result<(), SinkError> {
    for from in (0..batch.num_rows()).step_by(REQUEST_SPANS) {
        let spans = REQUEST_SPANS.min(batch.num_rows().saturating_sub(from));
        let request = encode::protobuf(&batch.slice(from, spans))?;
        let length = u32::try_from(request.len()).map_err(std::io::Error::other)?;
        out.write_all(&length.to_be_bytes())?;
        out.write_all(&request)?;
    }
    Ok(())
}

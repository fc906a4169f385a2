//! Answers as bytes: JSON, CSV, an Arrow stream, and a table for people. HTTP and CLI use the same ones.
//!
//! Whole or marked, in every form: JSON ends with `truncated` and `partial`; a CSV that is not whole ends in a line that
//! starts with `# `; an Arrow stream has both in its schema's metadata; the table says it below its rows.

mod json;
mod table;
mod text;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::ipc::writer::StreamWriter;
use bytes::Bytes;
use futures::Stream;
use futures::stream::{self, StreamExt};

use crate::{Result, SqlAnswer};

pub use table::text_table;

/// A form of answer for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `application/json`.
    Json,
    /// `text/csv`.
    Csv,
    /// `application/vnd.apache.arrow.stream`.
    Arrow,
}

impl Format {
    /// The media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Arrow => "application/vnd.apache.arrow.stream",
        }
    }
}

/// The answer as bytes in `format`, as they become ready. Dropping the stream stops the query. An error item ends it: what
/// was sent before is not a whole document, which a reader of any of the forms notices.
pub fn encode(answer: SqlAnswer, format: Format) -> stream::BoxStream<'static, Result<Bytes>> {
    match format {
        Format::Json => pieces(answer, json::head, json::rows, json::tail).boxed(),
        Format::Csv => pieces(answer, text::csv_head, text::csv_rows, text::csv_tail).boxed(),
        Format::Arrow => stream::once(arrow_stream(answer)).boxed(),
    }
}

/// Head, rows batch by batch, tail.
fn pieces(
    answer: SqlAnswer,
    head: fn(&SqlAnswer) -> Vec<u8>,
    rows: fn(&RecordBatch, bool) -> Result<Vec<u8>>,
    tail: fn(&SqlAnswer) -> Vec<u8>,
) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
    enum At {
        Head,
        Rows { first: bool },
        End,
    }
    stream::unfold((answer, At::Head), move |(mut answer, at)| async move {
        match at {
            At::Head => {
                let head = head(&answer);
                Some((Ok(head.into()), (answer, At::Rows { first: true })))
            }
            At::Rows { first } => match answer.next().await {
                Some(Ok(batch)) => {
                    let written = rows(&batch, first).map(Bytes::from);
                    let next =
                        if written.is_ok() { At::Rows { first: first && batch.num_rows() == 0 } } else { At::End };
                    Some((written, (answer, next)))
                }
                Some(Err(error)) => Some((Err(error), (answer, At::End))),
                None => {
                    let tail = tail(&answer);
                    Some((Ok(tail.into()), (answer, At::End)))
                }
            },
            At::End => None,
        }
    })
}

/// The answer is bounded (64 MiB), so it is gathered first: only then is known what the schema's metadata says.
async fn arrow_stream(mut answer: SqlAnswer) -> Result<Bytes> {
    let batches = answer.collect().await?;
    let metadata = HashMap::from([
        ("daytwo.row_count".to_owned(), answer.row_count().to_string()),
        ("daytwo.truncated".to_owned(), answer.truncated().to_string()),
        ("daytwo.partial".to_owned(), answer.partial().join("; ")),
    ]);
    let schema = Arc::new(Schema::new_with_metadata(answer.schema().fields().clone(), metadata));
    let mut writer = StreamWriter::try_new(Vec::new(), &schema)?;
    for batch in batches {
        writer.write(&batch.with_schema(Arc::clone(&schema))?)?;
    }
    Ok(writer.into_inner()?.into())
}

/// Sentences on what the answer lacks.
fn lacks(answer: &SqlAnswer) -> Vec<String> {
    let cut = answer.truncated().then(|| format!("truncated after {} rows", answer.row_count()));
    cut.into_iter().chain(answer.partial().iter().cloned()).collect()
}

//! CSV as RFC 4180 has it, with the guard of spreadsheets: text that begins like a formula gets a quote before it.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::DataType;
use serde_json::Value;

use super::{json, lacks};
use crate::{Result, SqlAnswer};

pub(super) fn csv_head(answer: &SqlAnswer) -> Vec<u8> {
    let names = answer.schema().fields().iter().map(|field| escaped(field.name()));
    let mut line = names.collect::<Vec<String>>().join(",");
    line.push_str("\r\n");
    line.into_bytes()
}

pub(super) fn csv_rows(batch: &RecordBatch, _first: bool) -> Result<Vec<u8>> {
    let mut out = String::new();
    for row in 0..batch.num_rows() {
        for (index, column) in batch.columns().iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            out.push_str(&field(column.as_ref(), row)?);
        }
        out.push_str("\r\n");
    }
    Ok(out.into_bytes())
}

pub(super) fn csv_tail(answer: &SqlAnswer) -> Vec<u8> {
    let lines = lacks(answer).into_iter().map(|line| format!("# {}\r\n", line.replace(['\r', '\n'], " ")));
    lines.collect::<String>().into_bytes()
}

fn field(array: &dyn Array, row: usize) -> Result<String> {
    if array.data_type() == &DataType::Utf8 && array.is_valid(row) {
        return Ok(escaped(array.as_string::<i32>().value(row)));
    }
    Ok(match json::value(array, row)? {
        Value::Null => String::new(),
        // Numbers, times and hexadecimal: a leading minus belongs to a number here.
        Value::String(text) => quoted(&text),
        other @ (Value::Array(_) | Value::Object(_)) => escaped(&other.to_string()),
        other => other.to_string(),
    })
}

/// Text as a field; a spreadsheet must not run it.
fn escaped(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        return quoted(&format!("'{text}"));
    }
    quoted(text)
}

fn quoted(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text.to_owned()
}

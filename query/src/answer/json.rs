//! JSON: `{"columns":[{"name","type"}],"rows":[[…]],"row_count":n,"truncated":bool,"partial":[],"elapsed_ms":…}`.
//!
//! 64-bit integers are strings, since a JavaScript number holds 53 bits; bytes are lower-case hexadecimal; a map is an
//! object. Numbers that JSON has no form for (`NaN`, `Infinity`) are strings.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::Value;

use crate::functions::to_hex;
use crate::{Result, SqlAnswer};

pub(super) fn head(answer: &SqlAnswer) -> Vec<u8> {
    let columns = answer
        .schema()
        .fields()
        .iter()
        .map(|field| serde_json::json!({"name": field.name(), "type": type_name(field.data_type())}));
    let columns = Value::Array(columns.collect());
    format!("{{\"columns\":{columns},\"rows\":[").into_bytes()
}

pub(super) fn rows(batch: &RecordBatch, first: bool) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    for row in 0..batch.num_rows() {
        out.extend_from_slice(if first && row == 0 { b"\n" } else { b",\n" });
        let values = batch.columns().iter().map(|column| value(column.as_ref(), row));
        let values = Value::Array(values.collect::<Result<Vec<Value>>>()?);
        out.extend_from_slice(values.to_string().as_bytes());
    }
    Ok(out)
}

pub(super) fn tail(answer: &SqlAnswer) -> Vec<u8> {
    let (rows, truncated) = (answer.row_count(), answer.truncated());
    let partial = Value::from(answer.partial().to_vec());
    let elapsed = answer.elapsed_ms();
    format!("\n],\"row_count\":{rows},\"truncated\":{truncated},\"partial\":{partial},\"elapsed_ms\":{elapsed:.3}}}\n")
        .into_bytes()
}

/// The type of a column as SQL names it.
pub(super) fn type_name(kind: &DataType) -> String {
    match kind {
        DataType::Boolean => "BOOLEAN".to_owned(),
        DataType::Int8 | DataType::UInt8 => "TINYINT".to_owned(),
        DataType::Int16 | DataType::UInt16 => "SMALLINT".to_owned(),
        DataType::Int32 | DataType::UInt32 => "INT".to_owned(),
        DataType::Int64 | DataType::UInt64 => "BIGINT".to_owned(),
        DataType::Float16 | DataType::Float32 => "REAL".to_owned(),
        DataType::Float64 => "DOUBLE".to_owned(),
        DataType::Utf8 => "VARCHAR".to_owned(),
        DataType::Binary | DataType::FixedSizeBinary(_) => "BINARY".to_owned(),
        DataType::Date32 | DataType::Date64 => "DATE".to_owned(),
        DataType::Timestamp(..) => "TIMESTAMP".to_owned(),
        DataType::Decimal128(precision, scale) => format!("DECIMAL({precision},{scale})"),
        DataType::Map(..) => "MAP<VARCHAR, VARCHAR>".to_owned(),
        DataType::List(field) => format!("{}[]", type_name(field.data_type())),
        DataType::Null => "NULL".to_owned(),
        other => other.to_string().to_uppercase(),
    }
}

/// One value.
pub(super) fn value(array: &dyn Array, row: usize) -> Result<Value> {
    if array.is_null(row) {
        return Ok(Value::Null);
    }
    Ok(match array.data_type() {
        DataType::Null => Value::Null,
        DataType::Boolean => Value::from(array.as_boolean().value(row)),
        DataType::Int8 => Value::from(array.as_primitive::<Int8Type>().value(row)),
        DataType::Int16 => Value::from(array.as_primitive::<Int16Type>().value(row)),
        DataType::Int32 => Value::from(array.as_primitive::<Int32Type>().value(row)),
        DataType::UInt8 => Value::from(array.as_primitive::<UInt8Type>().value(row)),
        DataType::UInt16 => Value::from(array.as_primitive::<UInt16Type>().value(row)),
        DataType::UInt32 => Value::from(array.as_primitive::<UInt32Type>().value(row)),
        DataType::Int64 => Value::from(array.as_primitive::<Int64Type>().value(row).to_string()),
        DataType::UInt64 => Value::from(array.as_primitive::<UInt64Type>().value(row).to_string()),
        DataType::Float32 => double(f64::from(array.as_primitive::<Float32Type>().value(row))),
        DataType::Float64 => double(array.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => Value::from(array.as_string::<i32>().value(row)),
        DataType::Binary => Value::from(to_hex(array.as_binary::<i32>().value(row))),
        DataType::Map(..) => map(array, row)?,
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            Value::Array((0..items.len()).map(|item| value(items.as_ref(), item)).collect::<Result<Vec<Value>>>()?)
        }
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            let members = fields
                .iter()
                .zip(columns)
                .map(|(field, column)| Ok((field.name().clone(), value(column.as_ref(), row)?)));
            Value::Object(members.collect::<Result<_>>()?)
        }
        // Times, decimals and what else there may be, as Arrow writes them.
        _ => Value::from(ArrayFormatter::try_new(array, &FormatOptions::default())?.value(row).to_string()),
    })
}

fn double(number: f64) -> Value {
    serde_json::Number::from_f64(number).map_or_else(|| Value::from(number.to_string()), Value::Number)
}

fn map(array: &dyn Array, row: usize) -> Result<Value> {
    let entries = array.as_map().value(row);
    let (keys, values) = (entries.column(0), entries.column(1));
    let members = (0..entries.len()).map(|entry| {
        let key = match value(keys.as_ref(), entry)? {
            Value::String(text) => text,
            other => other.to_string(),
        };
        Ok((key, value(values.as_ref(), entry)?))
    });
    Ok(Value::Object(members.collect::<Result<_>>()?))
}

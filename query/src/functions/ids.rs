//! `hex(bytes)`, `trace_id('…')`, `span_id('…')` and `span_kind(kind)`: ids and kinds in the form people read.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BinaryViewArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use datafusion::scalar::ScalarValue;
use daytwo_storage::{SpanId, TraceId};

/// `hex(bytes)`: lower-case hexadecimal.
pub(super) fn hex() -> Arc<ScalarUDF> {
    Arc::new(IdFunction::new("hex", Turn::Hex).into())
}

/// `trace_id('32 hexadecimal digits')`: the bytes to compare with the column.
pub(super) fn trace_id() -> Arc<ScalarUDF> {
    Arc::new(IdFunction::new("trace_id", Turn::TraceId).into())
}

/// `span_id('16 hexadecimal digits')`.
pub(super) fn span_id() -> Arc<ScalarUDF> {
    Arc::new(IdFunction::new("span_id", Turn::SpanId).into())
}

/// `span_kind(kind)`: `SERVER` and so on; the number as text when OTLP does not name it.
pub(super) fn span_kind() -> Arc<ScalarUDF> {
    Arc::new(IdFunction::new("span_kind", Turn::Kind).into())
}

/// The name of an OTLP span kind.
pub fn span_kind_name(kind: i64) -> Option<&'static str> {
    match kind {
        0 => Some("UNSPECIFIED"),
        1 => Some("INTERNAL"),
        2 => Some("SERVER"),
        3 => Some("CLIENT"),
        4 => Some("PRODUCER"),
        5 => Some("CONSUMER"),
        _ => None,
    }
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        // Writing to a String cannot fail.
        if write!(text, "{byte:02x}").is_err() {
            break;
        }
    }
    text
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Turn {
    Hex,
    TraceId,
    SpanId,
    Kind,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct IdFunction {
    name: &'static str,
    turn: Turn,
    signature: Signature,
}

impl IdFunction {
    fn new(name: &'static str, turn: Turn) -> Self {
        Self { name, turn, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for IdFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(match self.turn {
            Turn::Hex | Turn::Kind => DataType::Utf8,
            Turn::TraceId | Turn::SpanId => DataType::BinaryView,
        })
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let wanted = match (self.turn, arg_types) {
            (Turn::Hex, [kind]) if super::hdr_aggregate::is_bytes(kind) => DataType::BinaryView,
            (Turn::TraceId | Turn::SpanId, [kind]) if kind.is_string() || kind.is_null() => DataType::Utf8,
            (Turn::Kind, [kind]) if kind.is_integer() || kind.is_null() => DataType::Int64,
            (Turn::Hex, _) => return Err(DataFusionError::Plan("hex takes bytes; for a number use to_hex".to_owned())),
            (Turn::Kind, _) => return Err(DataFusionError::Plan("span_kind takes a number".to_owned())),
            _ => return Err(DataFusionError::Plan(format!("{} takes hexadecimal digits as text", self.name))),
        };
        Ok(vec![wanted])
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = matches!(args.args.as_slice(), [ColumnarValue::Scalar(_)]);
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [array] = arrays.as_slice() else {
            return Err(DataFusionError::Internal(format!("{} got a wrong number of arguments", self.name)));
        };
        let turned = self.turn_all(array)?;
        // A constant stays one: only then can it be compared with file statistics and bloom filters.
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&turned, 0)?));
        }
        Ok(ColumnarValue::Array(turned))
    }
}

impl IdFunction {
    fn turn_all(&self, array: &ArrayRef) -> Result<ArrayRef> {
        Ok(match self.turn {
            Turn::Hex => {
                let bytes = cast(array, &DataType::BinaryView)?;
                Arc::new(bytes.as_binary_view().iter().map(|id| id.map(to_hex)).collect::<StringArray>())
            }
            Turn::TraceId => ids(array, |text| TraceId::from_hex(text).map(|id| id.as_bytes().to_vec()))?,
            Turn::SpanId => ids(array, |text| SpanId::from_hex(text).map(|id| id.as_bytes().to_vec()))?,
            Turn::Kind => {
                let kinds = cast(array, &DataType::Int64)?;
                let name = |kind: i64| span_kind_name(kind).map_or_else(|| kind.to_string(), str::to_owned);
                Arc::new(kinds.as_primitive::<Int64Type>().iter().map(|kind| kind.map(name)).collect::<StringArray>())
            }
        })
    }
}

fn ids(
    texts: &ArrayRef,
    parse: impl Fn(&str) -> std::result::Result<Vec<u8>, daytwo_storage::id::IdError>,
) -> Result<ArrayRef> {
    let texts = cast(texts, &DataType::Utf8)?;
    let one = |text: Option<&str>| {
        let parsed = text.map(&parse).transpose();
        parsed.map_err(|error| DataFusionError::Execution(format!("'{}': {error}", text.unwrap_or_default())))
    };
    let ids = texts.as_string::<i32>().iter().map(one).collect::<Result<Vec<Option<Vec<u8>>>>>()?;
    Ok(Arc::new(BinaryViewArray::from_iter(ids)))
}

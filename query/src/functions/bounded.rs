//! Functions whose result can be much larger than their arguments, with a limit on what one call makes.
//!
//! The memory pool does not see what a scalar function allocates, so `repeat('x', 1000000000)` would take the process
//! with it. The size is worked out from the arguments before the function runs.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

/// Bytes that one call over one batch of rows may make: a batch has 8192 rows, so 8 KiB a row.
const CALL_BYTES_MAX: u64 = 64 << 20;

/// How a function's result grows with its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Growth {
    /// As long as all arguments together.
    Sum,
    /// The first argument as often as the second says.
    Times,
    /// As long as the second argument says.
    Width,
    /// Each byte of the first argument may become the third.
    Replace,
}

impl Growth {
    /// How the function called `name` grows, if it is one that is allowed with a limit.
    pub(super) fn of(name: &str) -> Option<Self> {
        match name {
            "concat" | "concat_ws" => Some(Self::Sum),
            // Harmless once; a chain of CTEs that joins a list with itself doubles it with each step.
            "array_append" | "array_concat" | "array_prepend" | "array_union" => Some(Self::Sum),
            "make_array" => Some(Self::Sum),
            "repeat" => Some(Self::Times),
            "lpad" | "rpad" => Some(Self::Width),
            "replace" | "regexp_replace" => Some(Self::Replace),
            _ => None,
        }
    }

    /// Bytes that a call may make at most.
    fn bytes(self, args: &[ColumnarValue], rows: u64) -> Result<u64> {
        let text = |index: usize| args.get(index).map_or(Ok(Text::default()), |arg| Text::of(arg, rows));
        let largest = |index: usize| args.get(index).map_or(Ok(0), largest_number);
        Ok(match self {
            Self::Sum => {
                let all = args.iter().map(|arg| Text::of(arg, rows)).collect::<Result<Vec<Text>>>()?;
                all.iter().fold(0_u64, |sum, text| sum.saturating_add(text.total))
            }
            Self::Times => text(0)?.total.saturating_mul(largest(1)?),
            // A character has at most 4 bytes.
            Self::Width => rows.saturating_mul(largest(1)?).saturating_mul(4),
            // `replace(x, '', y)` and an empty match put the replacement between any two bytes.
            Self::Replace => {
                let (from, to) = (text(0)?, text(2)?);
                from.total.saturating_add(rows).saturating_mul(to.longest.saturating_add(1))
            }
        })
    }
}

/// Lengths of a text argument in bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Text {
    total: u64,
    longest: u64,
}

impl Text {
    fn of(arg: &ColumnarValue, rows: u64) -> Result<Self> {
        let (array, times) = match arg {
            ColumnarValue::Array(array) => (Arc::clone(array), 1),
            ColumnarValue::Scalar(scalar) => (scalar.to_array()?, rows),
        };
        if array.data_type().is_null() {
            return Ok(Self::default());
        }
        let lengths = array.as_ref();
        let lengths: Vec<u64> = match lengths.data_type() {
            DataType::Utf8View => lengths.as_string_view().iter().flatten().map(|text| text.len() as u64).collect(),
            DataType::Utf8 => lengths.as_string::<i32>().iter().flatten().map(|text| text.len() as u64).collect(),
            DataType::LargeUtf8 => lengths.as_string::<i64>().iter().flatten().map(|text| text.len() as u64).collect(),
            // Numbers and the like become short text.
            other if other.is_primitive() || *other == DataType::Boolean => vec![32; array.len()],
            _ => vec![(array.get_array_memory_size() as u64)],
        };
        let total = lengths.iter().sum::<u64>().saturating_mul(times);
        Ok(Self { total, longest: lengths.into_iter().max().unwrap_or(0) })
    }
}

fn largest_number(arg: &ColumnarValue) -> Result<u64> {
    let array = match arg {
        ColumnarValue::Array(array) => Arc::clone(array),
        ColumnarValue::Scalar(scalar) => scalar.to_array()?,
    };
    let numbers = cast(&array, &DataType::Int64)?;
    let largest = numbers.as_primitive::<Int64Type>().iter().flatten().max().unwrap_or(0);
    Ok(u64::try_from(largest).unwrap_or(0))
}

/// `function` with a limit on the result of a call.
pub(super) fn bound(function: &Arc<ScalarUDF>, growth: Growth) -> Arc<ScalarUDF> {
    Arc::new(Bounded { function: Arc::clone(function), growth }.into())
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    function: Arc<ScalarUDF>,
    growth: Growth,
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn aliases(&self) -> &[String] {
        self.function.aliases()
    }

    fn signature(&self) -> &Signature {
        self.function.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.function.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<arrow::datatypes::FieldRef> {
        self.function.return_field_from_args(args)
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.function.coerce_types(arg_types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let bytes = self.growth.bytes(&args.args, args.number_rows as u64)?;
        if bytes > CALL_BYTES_MAX {
            return Err(too_large(self.name(), bytes));
        }
        self.function.invoke_with_args(args)
    }
}

/// The error of a call that would make too much.
pub(super) fn too_large(name: &str, bytes: u64) -> DataFusionError {
    DataFusionError::ResourcesExhausted(format!(
        "{name} could make {bytes} bytes for one batch of rows where at most {CALL_BYTES_MAX} are allowed"
    ))
}

/// Refuses a result of all arguments together that is too large.
pub(super) fn check_sum(name: &str, args: &ScalarFunctionArgs) -> Result<()> {
    let bytes = Growth::Sum.bytes(&args.args, args.number_rows as u64)?;
    if bytes > CALL_BYTES_MAX { Err(too_large(name, bytes)) } else { Ok(()) }
}

//! `hdr_quantile(h, q)` and `hdr_count(h)`: what a histogram says.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::hdr_aggregate::is_bytes;
use super::sketch;

/// `hdr_quantile(h, q)`: the duration below which the fraction `q` lies, within 1 %.
pub(super) fn hdr_quantile() -> Arc<ScalarUDF> {
    Arc::new(HdrScalar::new("hdr_quantile", Ask::Quantile).into())
}

/// `hdr_count(h)`: how many values the histogram counted.
pub(super) fn hdr_count() -> Arc<ScalarUDF> {
    Arc::new(HdrScalar::new("hdr_count", Ask::Count).into())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Ask {
    Quantile,
    Count,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct HdrScalar {
    name: &'static str,
    ask: Ask,
    signature: Signature,
}

impl HdrScalar {
    fn new(name: &'static str, ask: Ask) -> Self {
        Self { name, ask, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for HdrScalar {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        match (self.ask, arg_types) {
            (Ask::Quantile, [bytes, q]) if is_bytes(bytes) && (q.is_numeric() || q.is_null()) => {
                Ok(vec![DataType::Binary, DataType::Float64])
            }
            (Ask::Count, [bytes]) if is_bytes(bytes) => Ok(vec![DataType::Binary]),
            (Ask::Quantile, _) => Err(DataFusionError::Plan(
                "hdr_quantile takes the BINARY of hdr_histogram and a fraction from 0 to 1".to_owned(),
            )),
            (Ask::Count, _) => Err(DataFusionError::Plan("hdr_count takes the BINARY of hdr_histogram".to_owned())),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let answer = match (self.ask, arrays.as_slice()) {
            (Ask::Quantile, [histograms, fractions]) => quantiles(histograms, fractions)?,
            (Ask::Count, [histograms]) => counts(histograms)?,
            _ => return Err(DataFusionError::Internal(format!("{} got a wrong number of arguments", self.name))),
        };
        Ok(ColumnarValue::Array(Arc::new(answer)))
    }
}

fn failed(error: &sketch::SketchError) -> DataFusionError {
    DataFusionError::Execution(error.to_string())
}

fn quantiles(histograms: &ArrayRef, fractions: &ArrayRef) -> Result<Int64Array> {
    let histograms = cast(histograms, &DataType::Binary)?;
    let histograms = histograms.as_binary::<i32>();
    let fractions = fractions.as_primitive::<Float64Type>();
    let one = |row: usize| -> Result<Option<i64>> {
        if histograms.is_null(row) || fractions.is_null(row) {
            return Ok(None);
        }
        let q = fractions.value(row);
        if !(0.0..=1.0).contains(&q) {
            return Err(DataFusionError::Execution(format!("hdr_quantile takes a fraction from 0 to 1, not {q}")));
        }
        sketch::quantile_of(histograms.value(row), q).map_err(|error| failed(&error))
    };
    (0..histograms.len()).map(one).collect()
}

fn counts(histograms: &ArrayRef) -> Result<Int64Array> {
    let histograms = cast(histograms, &DataType::Binary)?;
    let histograms = histograms.as_binary::<i32>();
    let one = |row: usize| -> Result<Option<i64>> {
        if histograms.is_null(row) {
            return Ok(None);
        }
        let count = sketch::count_of(histograms.value(row)).map_err(|error| failed(&error))?;
        Ok(Some(i64::try_from(count).unwrap_or(i64::MAX)))
    };
    (0..histograms.len()).map(one).collect()
}

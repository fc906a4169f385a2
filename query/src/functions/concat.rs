//! `a || b` on text, planned as a function so that it has the size guard of `concat`: chained through subqueries the
//! operator doubles its operand each time, which needs few characters to fill any memory.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::bounded;

/// Name of the function behind `||`.
const NAME: &str = "text_concat";

/// Plans `||` between anything but lists.
#[derive(Debug)]
pub(super) struct TextConcatPlanner;

impl ExprPlanner for TextConcatPlanner {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        if expr.op != BinaryOperator::StringConcat {
            return Ok(PlannerResult::Original(expr));
        }
        let is_list = |side: &Expr| !is_concat(side) && side.get_type(schema).is_ok_and(|kind| kind.is_nested());
        if is_list(&expr.left) || is_list(&expr.right) {
            return Ok(PlannerResult::Original(expr));
        }
        // A chain becomes one call: nested calls would have each level's type worked out again from all below it.
        let mut args = operands(expr.left);
        args.extend(operands(expr.right));
        Ok(PlannerResult::Planned(Expr::ScalarFunction(ScalarFunction::new_udf(text_concat(), args))))
    }
}

fn is_concat(side: &Expr) -> bool {
    matches!(side, Expr::ScalarFunction(call) if call.func.name() == NAME)
}

/// The operands that a side stands for: those of a `||` already planned, else the side itself.
fn operands(side: Expr) -> Vec<Expr> {
    match side {
        Expr::ScalarFunction(call) if call.func.name() == NAME => call.args,
        other => vec![other],
    }
}

/// The function behind `||`: null when either side is.
pub(super) fn text_concat() -> Arc<ScalarUDF> {
    Arc::new(TextConcat { signature: Signature::user_defined(Volatility::Immutable) }.into())
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct TextConcat {
    signature: Signature,
}

impl ScalarUDFImpl for TextConcat {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(vec![DataType::Utf8; arg_types.len()])
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        bounded::check_sum("||", &args)?;
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        Ok(ColumnarValue::Array(joined(&arrays)?))
    }
}

fn joined(arrays: &[ArrayRef]) -> Result<ArrayRef> {
    let texts = arrays.iter().map(|array| cast(array, &DataType::Utf8)).collect::<Result<Vec<_>, _>>()?;
    let rows = texts.first().map_or(0, Array::len);
    let mut joined = StringBuilder::new();
    for row in 0..rows {
        if texts.iter().any(|text| text.is_null(row)) {
            joined.append_null();
            continue;
        }
        let whole: String = texts.iter().map(|text| text.as_string::<i32>().value(row)).collect();
        joined.append_value(whole);
    }
    Ok(Arc::new(joined.finish()))
}

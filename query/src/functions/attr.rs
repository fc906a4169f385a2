//! `attr(attributes, 'key')`: one attribute as text, from the map or from JSON text.
//!
//! Over `attributes` with a constant key that has a column of its own (`http.route` in `http_route`), the call becomes
//! `coalesce(column, attr(…))`, so that a question need not know which keys were promoted.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, MapArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::Column;
use datafusion::error::{DataFusionError, Result};
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, cast as cast_expr,
};
use daytwo_storage::schema::{PROMOTED, col};

/// `attr(map_or_json, key)`.
pub(super) fn attr() -> Arc<ScalarUDF> {
    Arc::new(Attr { name: "attr", signature: Signature::user_defined(Volatility::Immutable) }.into())
}

/// The call that is left once the promoted column was put beside it.
fn attr_of_map() -> ScalarUDF {
    Attr { name: "attr_of_map", signature: Signature::user_defined(Volatility::Immutable) }.into()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Attr {
    name: &'static str,
    signature: Signature,
}

impl ScalarUDFImpl for Attr {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        match arg_types {
            [map @ DataType::Map(..), key] if key.is_string() => Ok(vec![map.clone(), DataType::Utf8]),
            [json, key] if (json.is_string() || json.is_null()) && key.is_string() => {
                Ok(vec![DataType::Utf8, DataType::Utf8])
            }
            _ => Err(DataFusionError::Plan(
                "attr takes a map or JSON text (attributes, resource_attributes, scope_attributes) and a key"
                    .to_owned(),
            )),
        }
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let promoted = (self.name == "attr").then(|| promoted_column(&args, info)).flatten();
        Ok(match promoted {
            Some(column) => {
                let own = cast_expr(Expr::Column(column), DataType::Utf8);
                ExprSimplifyResult::Simplified(coalesce(vec![own, attr_of_map().call(args)]))
            }
            None => ExprSimplifyResult::Original(args),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [source, keys] = arrays.as_slice() else {
            return Err(DataFusionError::Internal("attr got a wrong number of arguments".to_owned()));
        };
        let keys = cast(keys, &DataType::Utf8)?;
        let found = match source.data_type() {
            DataType::Map(..) => from_map(source.as_map(), &keys)?,
            _ => from_json(&cast(source, &DataType::Utf8)?, &keys),
        };
        Ok(ColumnarValue::Array(found))
    }
}

/// The column of a promoted key, when the call is over `attributes` and the column is at hand.
fn promoted_column(args: &[Expr], info: &SimplifyContext) -> Option<Column> {
    let [Expr::Column(map), Expr::Literal(key, _)] = args else {
        return None;
    };
    let key = key.try_as_str().flatten()?;
    let promoted = PROMOTED.iter().find(|promoted| promoted.key == key)?;
    let column = Column::new(map.relation.clone(), promoted.column);
    (map.name == col::ATTRIBUTES && info.schema().has_column(&column)).then_some(column)
}

fn from_map(maps: &MapArray, keys: &ArrayRef) -> Result<ArrayRef> {
    let (entry_keys, entry_values) = (cast(maps.keys(), &DataType::Utf8)?, cast(maps.values(), &DataType::Utf8)?);
    let (entry_keys, entry_values) = (entry_keys.as_string::<i32>(), entry_values.as_string::<i32>());
    let (keys, offsets) = (keys.as_string::<i32>(), maps.offsets());
    let mut found = StringBuilder::new();
    for (row, bounds) in offsets.windows(2).enumerate() {
        let entry = match bounds {
            [start, end] if maps.is_valid(row) && keys.is_valid(row) => {
                let entries = usize::try_from(*start).unwrap_or(0)..usize::try_from(*end).unwrap_or(0);
                entries.into_iter().find(|&entry| entry_keys.value(entry) == keys.value(row))
            }
            _ => None,
        };
        let value = entry.filter(|&entry| entry_values.is_valid(entry));
        found.append_option(value.map(|entry| entry_values.value(entry)));
    }
    Ok(Arc::new(found.finish()))
}

fn from_json(texts: &ArrayRef, keys: &ArrayRef) -> ArrayRef {
    let (texts, keys) = (texts.as_string::<i32>(), keys.as_string::<i32>());
    let mut found = StringBuilder::new();
    for (text, key) in texts.iter().zip(keys.iter()) {
        found.append_option(text.zip(key).and_then(|(text, key)| json_member(text, key)));
    }
    Arc::new(found.finish())
}

/// A member of a JSON object as text: a string bare, anything else as JSON. Text that is no object has no members.
fn json_member(text: &str, key: &str) -> Option<String> {
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).ok()?;
    match object.get(key)? {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

//! The functions that SQL may call: a reviewed list of DataFusion's, and ours.
//!
//! [`register_all`] is the one place where a session gets functions, so that every process that plans or runs a
//! part of a query knows the same ones. DataFusion's scalar functions are taken by name: one that a new version adds is
//! not reachable before somebody has looked at it. Functions whose result can be much larger than their arguments are
//! wrapped in a size guard; table functions (`generate_series`, `range`) make rows without bound and are left out.

mod attr;
mod bounded;
mod concat;
mod hdr_aggregate;
mod hdr_scalar;
mod ids;
mod sketch;

use std::sync::Arc;

use datafusion::execution::SessionStateDefaults;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::{AggregateUDF, Expr, ScalarUDF, lit};

pub use ids::span_kind_name;
pub(crate) use ids::to_hex;

/// Scalar functions of DataFusion whose cost and result stay in proportion to their arguments.
const ALLOWED: &[&str] = &[
    "abs",
    "acos",
    "acosh",
    "array_any_value",
    "array_dims",
    "array_distance",
    "array_distinct",
    "array_element",
    "array_except",
    "array_has",
    "array_has_all",
    "array_has_any",
    "array_intersect",
    "array_length",
    "array_max",
    "array_min",
    "array_ndims",
    "array_pop_back",
    "array_pop_front",
    "array_position",
    "array_positions",
    "array_remove",
    "array_remove_all",
    "array_remove_n",
    "array_reverse",
    "array_slice",
    "array_sort",
    "array_to_string",
    "arrow_cast",
    "arrow_typeof",
    "ascii",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "bit_length",
    "btrim",
    "cardinality",
    "cbrt",
    "ceil",
    "character_length",
    "chr",
    "coalesce",
    "contains",
    "cos",
    "cosh",
    "cot",
    "current_date",
    "current_time",
    "date_bin",
    "date_part",
    "date_trunc",
    "degrees",
    "empty",
    "ends_with",
    "exp",
    "find_in_set",
    "flatten",
    "floor",
    "from_unixtime",
    "gcd",
    "get_field",
    "greatest",
    "initcap",
    "isnan",
    "iszero",
    "lcm",
    "least",
    "left",
    "ln",
    "log",
    "log10",
    "log2",
    "lower",
    "ltrim",
    "make_date",
    "map_entries",
    "map_extract",
    "map_keys",
    "map_values",
    "nanvl",
    "now",
    "nullif",
    "nvl",
    "nvl2",
    "octet_length",
    "overlay",
    "pi",
    "power",
    "radians",
    "regexp_count",
    "regexp_instr",
    "regexp_like",
    "regexp_match",
    "reverse",
    "right",
    "round",
    "rtrim",
    "signum",
    "sin",
    "sinh",
    "split_part",
    "sqrt",
    "starts_with",
    "string_to_array",
    "strpos",
    "substr",
    "substr_index",
    "tan",
    "tanh",
    "to_char",
    "to_date",
    "to_hex",
    "to_timestamp",
    "to_timestamp_micros",
    "to_timestamp_millis",
    "to_timestamp_nanos",
    "to_timestamp_seconds",
    "to_unixtime",
    "translate",
    "trunc",
    "upper",
    "version",
];

/// Gives a session builder every function of Daytwo, and nothing that reads or writes files.
pub fn register_all(builder: SessionStateBuilder) -> SessionStateBuilder {
    let mut planners = SessionStateDefaults::default_expr_planners();
    planners.push(Arc::new(concat::TextConcatPlanner));
    builder
        .with_expr_planners(planners)
        .with_scalar_functions(scalar_functions())
        .with_aggregate_functions(aggregate_functions())
        .with_window_functions(SessionStateDefaults::default_window_functions())
}

/// Whether DataFusion has a scalar function of this name that is left out here.
pub(crate) fn is_left_out(name: &str) -> bool {
    let known = SessionStateDefaults::default_scalar_functions();
    let known = known.iter().any(|function| function.name() == name || function.aliases().iter().any(|a| a == name));
    let ours = scalar_functions();
    let ours = ours.iter().any(|function| function.name() == name || function.aliases().iter().any(|a| a == name));
    (known && !ours) || ["generate_series", "range"].contains(&name)
}

/// `attr(source, key)` as an expression.
pub(crate) fn attr_call(source: Expr, key: &str) -> Expr {
    attr::attr().call(vec![source, lit(key)])
}

fn scalar_functions() -> Vec<Arc<ScalarUDF>> {
    let mut functions = Vec::new();
    for function in SessionStateDefaults::default_scalar_functions() {
        if ALLOWED.contains(&function.name()) {
            functions.push(function);
        } else if let Some(growth) = bounded::Growth::of(function.name()) {
            functions.push(bounded::bound(&function, growth));
        }
    }
    functions.extend([
        concat::text_concat(),
        attr::attr(),
        hdr_scalar::hdr_quantile(),
        hdr_scalar::hdr_count(),
        ids::hex(),
        ids::trace_id(),
        ids::span_id(),
        ids::span_kind(),
    ]);
    functions
}

fn aggregate_functions() -> Vec<Arc<AggregateUDF>> {
    let mut functions = SessionStateDefaults::default_aggregate_functions();
    functions.extend([hdr_aggregate::hdr_histogram(), hdr_aggregate::hdr_merge()]);
    functions
}

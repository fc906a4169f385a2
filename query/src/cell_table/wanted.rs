//! What a filter over `slis` says of a cell's start and key.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator};

use crate::measure::CellFilter;

/// The cells that may meet all of these filters.
pub(super) fn wanted_of(filters: &[Expr]) -> CellFilter {
    let mut wanted = CellFilter::ALL;
    filters.iter().flat_map(split_conjunction).for_each(|part| narrow(&mut wanted, part));
    wanted
}

fn narrow(wanted: &mut CellFilter, part: &Expr) {
    match part {
        Expr::BinaryExpr(BinaryExpr { op: Operator::Or, .. }) => {
            if let Some((column, values)) = column_of(part).zip(alternatives(part)) {
                one_of(wanted, column, &values);
            }
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (left.as_ref(), right.as_ref()) {
            (Expr::Column(column), Expr::Literal(value, _)) => compare(wanted, &column.name, *op, value),
            (Expr::Literal(value, _), Expr::Column(column)) => {
                if let Some(op) = op.swap() {
                    compare(wanted, &column.name, op, value);
                }
            }
            _ => {}
        },
        Expr::Between(Between { expr, negated: false, low, high }) => {
            if let (Expr::Column(column), Expr::Literal(low, _), Expr::Literal(high, _)) = (&**expr, &**low, &**high) {
                compare(wanted, &column.name, Operator::GtEq, low);
                compare(wanted, &column.name, Operator::LtEq, high);
            }
        }
        Expr::InList(list) if !list.negated => {
            let values: Option<Vec<&ScalarValue>> = list.list.iter().map(literal).collect();
            if let (Expr::Column(column), Some(values)) = (&*list.expr, values) {
                one_of(wanted, &column.name, &values);
            }
        }
        _ => {}
    }
}

fn literal(expr: &Expr) -> Option<&ScalarValue> {
    match expr {
        Expr::Literal(value, _) => Some(value),
        _ => None,
    }
}

/// The column of the first alternative: a short `IN` comes as several equalities.
fn column_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, .. }) => column_of(left),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, .. }) => match left.as_ref() {
            Expr::Column(column) => Some(&column.name),
            _ => None,
        },
        _ => None,
    }
}

/// The values that alternatives compare one column with; `None` when they are something else.
fn alternatives(expr: &Expr) -> Option<Vec<&ScalarValue>> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = expr else { return None };
    match op {
        Operator::Or if column_of(left).is_some() && column_of(left) == column_of(right) => {
            let mut values = alternatives(left)?;
            values.extend(alternatives(right)?);
            Some(values)
        }
        Operator::Eq if column_of(expr).is_some() => Some(vec![literal(right)?]),
        _ => None,
    }
}

fn compare(wanted: &mut CellFilter, column: &str, op: Operator, value: &ScalarValue) {
    if op == Operator::Eq {
        return one_of(wanted, column, &[value]);
    }
    let ("window_start_unix_nano", ScalarValue::Int64(Some(at))) = (column, value) else { return };
    match op {
        Operator::Gt => wanted.from_unix_nano = wanted.from_unix_nano.max(at.saturating_add(1)),
        Operator::GtEq => wanted.from_unix_nano = wanted.from_unix_nano.max(*at),
        Operator::Lt => wanted.to_unix_nano = wanted.to_unix_nano.min(at.saturating_sub(1)),
        Operator::LtEq => wanted.to_unix_nano = wanted.to_unix_nano.min(*at),
        _ => {}
    }
}

/// The column has one of these values. Of several such demands the first is enough: the plan looks at all of them.
fn one_of(wanted: &mut CellFilter, column: &str, values: &[&ScalarValue]) {
    let place = match column {
        "environment" => &mut wanted.environments,
        "service" => &mut wanted.services,
        "version" => &mut wanted.versions,
        "operation" => &mut wanted.operations,
        "peer" => &mut wanted.peers,
        "journey" => &mut wanted.journeys,
        "kind" => {
            let kinds: Option<Vec<i32>> = values.iter().copied().map(number).collect();
            wanted.kinds = wanted.kinds.take().or(kinds);
            return;
        }
        "window_start_unix_nano" => return within(wanted, values),
        _ => return,
    };
    let texts: Option<Vec<String>> =
        values.iter().map(|value| value.try_as_str().flatten().map(str::to_owned)).collect();
    *place = place.take().or(texts);
}

fn number(value: &ScalarValue) -> Option<i32> {
    match value {
        ScalarValue::Int32(number) => *number,
        _ => None,
    }
}

/// The start is one of some instants.
fn within(wanted: &mut CellFilter, values: &[&ScalarValue]) {
    let instant = |value: &&ScalarValue| match value {
        ScalarValue::Int64(at) => *at,
        _ => None,
    };
    let instants: Option<Vec<i64>> = values.iter().map(instant).collect();
    let Some(instants) = instants else { return };
    if let (Some(first), Some(last)) = (instants.iter().min(), instants.iter().max()) {
        wanted.from_unix_nano = wanted.from_unix_nano.max(*first);
        wanted.to_unix_nano = wanted.to_unix_nano.min(*last);
    }
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::{col, lit};

    use super::*;

    /// Scenario: comparisons of a cell's start and key, either way round, as lists and alternatives, and what says nothing of either.
    /// Guarantees: exactly what they demand is asked of the cells; where one is not understood, everything is.
    #[test]
    fn filters_narrow_the_cells() {
        let start = || col("window_start_unix_nano");
        let all = CellFilter::ALL;
        let texts = |texts: &[&str]| Some(texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        let cases = [
            (
                vec![start().gt(lit(5_i64)), start().lt_eq(lit(9_i64))],
                CellFilter { from_unix_nano: 6, to_unix_nano: 9, ..all.clone() },
            ),
            (
                vec![lit(5_i64).lt_eq(start()).and(start().lt(lit(9_i64)))],
                CellFilter { from_unix_nano: 5, to_unix_nano: 8, ..all.clone() },
            ),
            (
                vec![start().between(lit(1_i64), lit(2_i64))],
                CellFilter { from_unix_nano: 1, to_unix_nano: 2, ..all.clone() },
            ),
            (vec![start().eq(lit(7_i64))], CellFilter { from_unix_nano: 7, to_unix_nano: 7, ..all.clone() }),
            (
                vec![start().in_list(vec![lit(3_i64), lit(8_i64)], false)],
                CellFilter { from_unix_nano: 3, to_unix_nano: 8, ..all.clone() },
            ),
            (
                vec![col("service").eq(lit("pay")), col("environment").eq(lit("prod"))],
                CellFilter { services: texts(&["pay"]), environments: texts(&["prod"]), ..all.clone() },
            ),
            (
                vec![col("service").in_list(vec![lit("a"), lit("b")], false)],
                CellFilter { services: texts(&["a", "b"]), ..all.clone() },
            ),
            (
                vec![col("kind").eq(lit(2_i32)).or(col("kind").eq(lit(5_i32)))],
                CellFilter { kinds: Some(vec![2, 5]), ..all.clone() },
            ),
            (
                vec![lit("v1").eq(col("version")), col("operation").eq(lit("GET /"))],
                CellFilter { versions: texts(&["v1"]), operations: texts(&["GET /"]), ..all.clone() },
            ),
            (
                vec![
                    col("journey").eq(lit("shop:GET / > pay:POST /")),
                    col("peer").in_list(vec![lit("a"), lit("")], false),
                ],
                CellFilter { journeys: texts(&["shop:GET / > pay:POST /"]), peers: texts(&["a", ""]), ..all.clone() },
            ),
            (vec![col("service").eq(lit("a")).or(col("version").eq(lit("b")))], all.clone()),
            (vec![col("service").eq(lit("a")).or(col("service").not_eq(lit("b")))], all.clone()),
            (vec![col("service").not_eq(lit("a")), col("service").in_list(vec![lit("a")], true)], all.clone()),
            (vec![col("spans").gt(lit(3_i64)), start().gt(lit(3.5)), start().not_eq(lit(3_i64))], all.clone()),
        ];
        for (filters, expected) in cases {
            assert_eq!(wanted_of(&filters), expected, "{filters:?}");
        }
    }
}

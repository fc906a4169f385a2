//! A [`TraceSearch`] as a filter over the columns of `spans`. Values are literals, never text of a statement.

use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, lit};
use datafusion::prelude::col as column;
use daytwo_storage::index::Term;
use daytwo_storage::schema::{PROMOTED, PromotedType, RESOURCE_COLUMNS, col};

use super::TraceSearch;
use super::candidates::Question;
use crate::functions;

/// The filter; `None` when everything matches.
pub(super) fn of(search: &TraceSearch) -> Option<Expr> {
    let text = |name: &str, value: &Option<String>| value.as_ref().map(|value| column(name).eq(lit(value.as_str())));
    let environment = search.environment.as_ref().map(|environment| match environment.as_str() {
        "" => column(col::ENVIRONMENT).is_null().or(column(col::ENVIRONMENT).eq(lit(""))),
        named => column(col::ENVIRONMENT).eq(lit(named)),
    });
    let bounds = [
        text(col::SERVICE_NAME, &search.service),
        text(col::NAME, &search.operation),
        environment,
        search.status.map(|status| column(col::STATUS_CODE).eq(lit(status))),
        search.min_duration_ns.map(|min| column(col::DURATION).gt_eq(lit(min))),
        search.max_duration_ns.map(|max| column(col::DURATION).lt_eq(lit(max))),
        search.from.map(|from| column(col::START).gt_eq(lit(from.0))),
        search.to.map(|to| column(col::START).lt(lit(to.0))),
    ];
    let attributes = search.attributes.iter().map(|(key, value)| attribute(key, value));
    conjunction(bounds.into_iter().flatten().chain(attributes).collect::<Vec<Expr>>())
}

/// What the indexes can be asked of the search: each span that [`of`] lets pass has all of it.
pub(super) fn question(search: &TraceSearch) -> Question {
    let service = search.service.as_deref();
    let operation = search.operation.as_deref().map(|operation| match service {
        Some(service) => Term::service_operation(service, operation),
        None => Term::operation(operation),
    });
    let status = search.status.map(|status| match service {
        Some(service) => Term::service_status(service, status),
        None => Term::status(status),
    });
    let environment = search.environment.as_deref().filter(|environment| !environment.is_empty());
    let terms = [
        service.map(Term::service),
        operation,
        status,
        environment.map(|environment| Term::attribute(ENVIRONMENT_KEY, environment)),
    ];
    let attributes = search.attributes.iter().map(|(key, value)| term(key, value));
    Question {
        terms: terms.into_iter().flatten().chain(attributes).collect(),
        start: (search.from.map_or(i64::MIN, |from| from.0), search.to.map_or(i64::MAX, |to| to.0.saturating_sub(1))),
        duration: (search.min_duration_ns.unwrap_or(i64::MIN), search.max_duration_ns.unwrap_or(i64::MAX)),
    }
}

const ENVIRONMENT_KEY: &str = "deployment.environment.name";
/// What it was called before; the decoder files both in one column.
const OLD_ENVIRONMENT_KEY: &str = "deployment.environment";

/// As [`attribute`] compares it.
fn term(key: &str, value: &str) -> Term {
    let key = if key == OLD_ENVIRONMENT_KEY { ENVIRONMENT_KEY } else { key };
    let is_integer = PROMOTED.iter().any(|promoted| promoted.key == key && promoted.kind == PromotedType::Integer);
    match value.parse::<i64>() {
        Ok(number) if is_integer => Term::attribute(key, &number.to_string()),
        _ => Term::attribute(key, value),
    }
}

/// An attribute that has its own column is compared there, where statistics help; others in the map or the resource.
fn attribute(key: &str, value: &str) -> Expr {
    let own = if key == OLD_ENVIRONMENT_KEY { ENVIRONMENT_KEY } else { key };
    if let Some((name, _)) = RESOURCE_COLUMNS.iter().find(|(_, key)| *key == own) {
        return column(*name).eq(lit(value));
    }
    let promoted = PROMOTED.iter().find(|promoted| promoted.key == key);
    match promoted.map(|promoted| (promoted.column, promoted.kind)) {
        Some((name, PromotedType::Text)) => column(name).eq(lit(value)),
        Some((name, PromotedType::Integer)) => match value.parse::<i64>() {
            Ok(number) => column(name).eq(lit(number)),
            // A value that is no number was kept in the map.
            Err(_) => in_column(col::ATTRIBUTES, key, value),
        },
        None => in_column(col::ATTRIBUTES, key, value).or(in_column(col::RESOURCE_ATTRIBUTES, key, value)),
    }
}

fn in_column(name: &str, key: &str, value: &str) -> Expr {
    functions::attr_call(column(name), key).eq(lit(value))
}

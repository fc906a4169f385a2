//! A [`TraceSearch`] as a filter over the columns of `spans`. Values are literals, never text of a statement.

use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, lit};
use datafusion::prelude::col as column;
use daytwo_storage::schema::{PROMOTED, PromotedType, col};

use super::TraceSearch;
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

/// An attribute that has its own column is compared there, where statistics help; others in the map or the resource.
fn attribute(key: &str, value: &str) -> Expr {
    let resource = match key {
        "service.name" => Some(col::SERVICE_NAME),
        "service.namespace" => Some(col::SERVICE_NAMESPACE),
        "service.version" => Some(col::SERVICE_VERSION),
        "service.instance.id" => Some(col::SERVICE_INSTANCE_ID),
        "deployment.environment.name" | "deployment.environment" => Some(col::ENVIRONMENT),
        _ => None,
    };
    if let Some(name) = resource {
        return column(name).eq(lit(value));
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

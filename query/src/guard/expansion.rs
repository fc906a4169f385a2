//! How many table scans a statement stands for, once its CTEs and views are put in place.
//!
//! DataFusion copies a CTE wherever it is named. `WITH a AS (SELECT * FROM spans), b AS (SELECT * FROM a, a), …` doubles with
//! each step, and planning such a thing cannot be stopped. The count below may be too high (a name that stands for a
//! CTE in one place and for a table in another counts as the larger), never too low.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{self, ObjectName, Query, SetExpr, TableFactor, Visit, Visitor};

use crate::{QueryError, Result};

/// Scans that a statement may stand for.
const SCANS_MAX: u64 = 100;

/// Refuses a statement that stands for too many scans.
pub(super) fn check(statement: &Statement) -> Result<()> {
    let sql = match statement {
        Statement::Statement(sql) => sql,
        Statement::Explain(explain) => return check(&explain.statement),
        _ => return Ok(()),
    };
    let scans = scans(sql);
    if scans > SCANS_MAX {
        let what = "the number of table scans, with every WITH put in place,";
        return Err(QueryError::TooLarge { what, size: scans, limit: SCANS_MAX });
    }
    Ok(())
}

fn scans(sql: &ast::Statement) -> u64 {
    let mut ctes = Ctes(Vec::new());
    if sql.visit(&mut ctes).is_break() {
        return u64::MAX;
    }
    let mut weights: HashMap<String, u64> = HashMap::new();
    // One round settles at least one more CTE, so after as many rounds as there are CTEs every sum is right.
    for _ in 0..ctes.0.len() {
        for (name, named) in &ctes.0 {
            let weight = named.iter().filter(|other| *other != name).map(|other| weight(&weights, other));
            let weight = weight.fold(u64::from(named.contains(name)), u64::saturating_add).max(1);
            let known = weights.entry(name.clone()).or_insert(0);
            *known = weight.max(*known).min(SCANS_MAX.saturating_add(1));
        }
    }
    named_in(sql).iter().fold(0, |sum: u64, name| sum.saturating_add(weight(&weights, name)))
}

fn weight(weights: &HashMap<String, u64>, name: &str) -> u64 {
    // The views read `spans` three times and twice.
    let table = match name {
        "traces" => 3,
        "edges" => 2,
        _ => 1,
    };
    weights.get(name).copied().unwrap_or(0).max(table)
}

fn named_in<V: Visit>(part: &V) -> Vec<String> {
    let mut sources = Sources(Vec::new());
    let walk = part.visit(&mut sources);
    debug_assert!(walk.is_continue(), "the walk never breaks");
    sources.0
}

/// What a part of a statement reads from: names of tables and CTEs, and an empty name for each `VALUES` or `UNNEST`.
struct Sources(Vec<String>);

impl Visitor for Sources {
    type Break = ();

    fn pre_visit_relation(&mut self, name: &ObjectName) -> ControlFlow<()> {
        self.0.push(last_part(name));
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        let nameless = match factor {
            TableFactor::UNNEST { .. } => true,
            TableFactor::Derived { subquery, .. } => matches!(*subquery.body, SetExpr::Values(_)),
            _ => false,
        };
        if nameless {
            self.0.push(String::new());
        }
        ControlFlow::Continue(())
    }
}

fn last_part(name: &ObjectName) -> String {
    let last = name.0.last().and_then(|part| part.as_ident());
    last.map_or_else(String::new, |ident| ident.value.to_lowercase())
}

/// Every CTE with the tables that it names.
struct Ctes(Vec<(String, Vec<String>)>);

impl Visitor for Ctes {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.0.push((cte.alias.name.value.to_lowercase(), named_in(cte.query.as_ref())));
        }
        ControlFlow::Continue(())
    }
}

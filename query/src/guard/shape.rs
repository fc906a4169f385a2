//! Which statements and which parts of them are answered: an allow-list over the syntax tree.

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{self, Query, Select, SetExpr, TableFactor, Visit, Visitor};

use super::read_only;
use crate::{QueryError, Result, session};

/// Refuses everything that is not a question over our tables.
pub(super) fn check(statement: &Statement) -> Result<()> {
    match statement {
        Statement::Statement(inner) => check_sql(inner),
        Statement::Explain(explain) => check(&explain.statement),
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => Err(read_only()),
    }
}

fn check_sql(statement: &ast::Statement) -> Result<()> {
    match statement {
        ast::Statement::Query(_) => {}
        ast::Statement::Explain { statement, .. } => return check_sql(statement),
        ast::Statement::ExplainTable { .. } => return Ok(()),
        ast::Statement::ShowTables { .. } | ast::Statement::ShowColumns { .. } => {
            let tables = session::table_names().join(", ");
            return Err(QueryError::refused(format!("the tables are {tables}; DESCRIBE <table> lists columns")));
        }
        _ => return Err(read_only()),
    }
    match statement.visit(&mut Shape) {
        ControlFlow::Break(refusal) => Err(*refusal),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// Walks a query and stops at the first part that is refused.
struct Shape;

type Step = ControlFlow<Box<QueryError>>;

fn refuse(reason: &str) -> Step {
    ControlFlow::Break(Box::new(QueryError::refused(reason)))
}

impl Visitor for Shape {
    type Break = Box<QueryError>;

    fn pre_visit_query(&mut self, query: &Query) -> Step {
        if query.with.as_ref().is_some_and(|with| with.recursive) {
            return refuse("WITH RECURSIVE is not available here: it can make rows without end");
        }
        if !query.locks.is_empty() {
            return refuse("FOR UPDATE and FOR SHARE are not available here: nothing can be changed");
        }
        if changes_something(&query.body) {
            return ControlFlow::Break(Box::new(read_only()));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> Step {
        if select.into.is_some() {
            return refuse("SELECT INTO is not available here: nothing can be stored by SQL");
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> Step {
        match factor {
            TableFactor::Table { args: None, .. }
            | TableFactor::Derived { .. }
            | TableFactor::UNNEST { .. }
            | TableFactor::NestedJoin { .. } => ControlFlow::Continue(()),
            _ => refuse("table functions are not available here; select from a table or a subquery"),
        }
    }

    /// A struct of structs doubles its type with each CTE, and planning it cannot be stopped.
    fn pre_visit_expr(&mut self, expr: &ast::Expr) -> Step {
        let nests = match expr {
            ast::Expr::Struct { .. } | ast::Expr::Dictionary(_) | ast::Expr::Map(_) => true,
            ast::Expr::Function(function) => {
                let name = function.name.to_string().to_lowercase();
                ["struct", "named_struct", "row", "map"].contains(&name.as_str())
            }
            _ => false,
        };
        if nests {
            refuse("structs and maps cannot be made here; select their parts as columns")
        } else {
            ControlFlow::Continue(())
        }
    }

    fn pre_visit_statement(&mut self, statement: &ast::Statement) -> Step {
        if matches!(statement, ast::Statement::Query(_)) {
            return ControlFlow::Continue(());
        }
        ControlFlow::Break(Box::new(read_only()))
    }
}

fn changes_something(body: &SetExpr) -> bool {
    matches!(body, SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_))
}

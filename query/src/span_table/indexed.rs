//! What of a filter the files' indexes can answer: equalities that every row has to meet, on trace ids, names, services,
//! statuses and attributes. Whatever else the filter says is left to the scan, which looks at all of it again.

use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use daytwo_storage::index::{FileIndex, Run, Term, TraceKeys};
use daytwo_storage::schema::{PROMOTED, RESOURCE_COLUMNS, col};
use daytwo_storage::{DataFile, Snapshot, Store, TraceId};

use super::Rows;
use crate::data_file::IndexCache;

/// The indexes, and where to report missing ones.
#[derive(Debug, Clone)]
pub(crate) struct Indexes {
    pub(crate) cache: Arc<IndexCache>,
    pub(crate) store: Arc<Store>,
}

/// What every row of an answer has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    terms: Vec<Term>,
    trace: Option<TraceId>,
}

impl Wanted {
    /// What can be read off these filters, all of which hold.
    pub(super) fn of(filters: &[Expr]) -> Self {
        let mut wanted = Self::default();
        for part in filters.iter().flat_map(split_conjunction) {
            let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = part else {
                continue;
            };
            match (left.as_ref(), right.as_ref()) {
                (side, Expr::Literal(value, _)) | (Expr::Literal(value, _), side) => wanted.add(side, value),
                _ => {}
            }
        }
        wanted
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.terms.is_empty() && self.trace.is_none()
    }

    fn add(&mut self, side: &Expr, value: &ScalarValue) {
        match side {
            Expr::Column(column) if column.name == col::TRACE_ID => {
                self.trace = self.trace.or(bytes_of(value).and_then(|id| TraceId::from_bytes(id).ok()));
            }
            Expr::Column(column) => self.terms.extend(column_term(&column.name, value)),
            side => {
                let text = value.try_as_str().flatten();
                self.terms.extend(attribute_key(side).zip(text).map(|(key, text)| Term::attribute(key, text)));
            }
        }
    }

    /// The rows of each file that may count. Files that are in no entry must be read whole; those without a row are left
    /// out of `files`. Blocks on the disk.
    pub(super) fn rows(&self, indexes: &Indexes, snapshot: &Snapshot) -> (Vec<DataFile>, Rows) {
        let mut rows = Rows::new();
        let (indexed, mut bytes_read) = indexes.cache.of(snapshot, Some(&indexes.store));
        let mut files = Vec::new();
        for (number, file) in snapshot.files.iter().enumerate() {
            let index = indexed.file(number, Some(&indexes.store), &mut bytes_read);
            let found = index.map(|index| self.rows_of(&index));
            match found {
                Some(Ok(runs)) if runs.is_empty() => continue,
                Some(Ok(runs)) => drop(rows.insert(file.path.clone(), runs)),
                Some(Err(error)) => {
                    tracing::debug!(path = file.path, %error, "a file is scanned without its index");
                    indexes.store.report_unindexed(&file.path);
                }
                None => {}
            }
            files.push(file.clone());
        }
        (files, rows)
    }

    fn rows_of(&self, index: &FileIndex) -> daytwo_storage::Result<Vec<Run>> {
        if let Some(trace) = self.trace {
            return Ok(index.rows_of(&TraceKeys::of(&[trace]))?.runs);
        }
        let blocks = index.blocks_with(&self.terms)?.runs;
        let is_in = |number: u32| blocks.iter().any(|run| run.start <= number && number < run.end());
        let rows = index.blocks().filter(|block| is_in(block.number));
        Ok(rows.map(|block| Run { start: block.first_row, length: block.rows }).collect())
    }
}

fn column_term(name: &str, value: &ScalarValue) -> Option<Term> {
    let text = value.try_as_str().flatten();
    match name {
        col::NAME => return text.map(Term::operation),
        col::STATUS_CODE => {
            let ScalarValue::Int32(Some(code)) = value else { return None };
            return Some(Term::status(*code));
        }
        _ => {}
    }
    let resource = RESOURCE_COLUMNS.iter().find(|(column, _)| *column == name).map(|(_, key)| *key);
    let key =
        resource.or_else(|| PROMOTED.iter().find(|promoted| promoted.column == name).map(|promoted| promoted.key))?;
    match value {
        ScalarValue::Int64(Some(number)) => Some(Term::attribute(key, &number.to_string())),
        _ => text.map(|text| Term::attribute(key, text)),
    }
}

/// The key of `attr(attributes, 'key')`, also in the form it has once a promoted column was put beside it.
fn attribute_key(side: &Expr) -> Option<&str> {
    let Expr::ScalarFunction(call) = side else { return None };
    match (call.func.name(), call.args.as_slice()) {
        ("attr" | "attr_of_map", [Expr::Column(column), Expr::Literal(key, _)]) => {
            let is_indexed = matches!(column.name.as_str(), col::ATTRIBUTES | col::RESOURCE_ATTRIBUTES);
            key.try_as_str().flatten().filter(|_| is_indexed)
        }
        ("coalesce", [Expr::Cast(own), rest]) => {
            let key = attribute_key(rest)?;
            let column = PROMOTED.iter().find(|promoted| promoted.key == key)?.column;
            let is_own = matches!(own.expr.as_ref(), Expr::Column(own) if own.name == column);
            is_own.then_some(key)
        }
        ("coalesce", [Expr::Column(own), rest]) => {
            let key = attribute_key(rest)?;
            PROMOTED.iter().any(|promoted| promoted.key == key && promoted.column == own.name).then_some(key)
        }
        _ => None,
    }
}

fn bytes_of(value: &ScalarValue) -> Option<&[u8]> {
    match value {
        ScalarValue::Binary(bytes) | ScalarValue::BinaryView(bytes) | ScalarValue::LargeBinary(bytes) => {
            bytes.as_deref()
        }
        _ => None,
    }
}

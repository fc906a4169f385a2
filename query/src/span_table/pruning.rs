//! Which files can hold rows that pass a filter, by the bounds that the Delta log keeps for each.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, StringViewArray, UInt64Array};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, ScalarValue};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use daytwo_storage::DataFile;
use daytwo_storage::schema::col;

use crate::spans;

/// The files that may hold rows for which `predicate` is true. Without a usable bound a file stays.
pub(super) fn prune<'a>(files: &'a [DataFile], predicate: &Arc<dyn PhysicalExpr>) -> Vec<&'a DataFile> {
    let keep = PruningPredicateBuilder::new().with_file_schema(spans::sql_schema()).try_build(Arc::clone(predicate));
    let keep = keep.and_then(|pruning| pruning.prune(&Bounds(files)));
    match keep {
        Ok(keep) => files.iter().zip(keep).filter_map(|(file, keep)| keep.then_some(file)).collect(),
        // A filter that cannot be turned into bounds excludes nothing.
        Err(_) => files.iter().collect(),
    }
}

/// The bounds of the log: start times, and the partition's hour.
struct Bounds<'a>(&'a [DataFile]);

impl Bounds<'_> {
    fn of(&self, column: &Column, start: impl Fn((i64, i64)) -> i64) -> Option<ArrayRef> {
        match column.name() {
            col::START => {
                let values = self.0.iter().map(|file| file.start_range.map(&start));
                Some(Arc::new(Int64Array::from_iter(values)))
            }
            col::RECEIVED_HOUR => {
                let hours = self.0.iter().map(|file| file.received_hour.as_str());
                Some(Arc::new(StringViewArray::from_iter_values(hours)))
            }
            _ => None,
        }
    }
}

impl PruningStatistics for Bounds<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.of(column, |(min, _)| min)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.of(column, |(_, max)| max)
    }

    fn num_containers(&self) -> usize {
        self.0.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let never_null = matches!(column.name(), col::START | col::RECEIVED_HOUR);
        never_null.then(|| Arc::new(UInt64Array::from(vec![0; self.0.len()])) as ArrayRef)
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(UInt64Array::from_iter_values(self.0.iter().map(|file| file.rows))))
    }

    fn contained(&self, _column: &Column, _values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}

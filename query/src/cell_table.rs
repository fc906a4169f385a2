//! `slis` as DataFusion sees it: cells are asked for by time and key, some at a time, and only in the columns that a plan needs.
//!
//! What a filter says of a cell's start, environment, service, version, operation, kind, peer or journey is taken down into the cells. The plan
//! applies the whole filter again to what comes back, so what is read off it here only has to leave out nothing that counts.

mod wanted;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::TableType;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};

use crate::measure::{CellFilter, CellKey};
use crate::tables::{EngineTables, slis_schema};
use wanted::wanted_of;

/// Cells that are made into rows at once, unless one key alone has more: a millisecond or two of work.
const CELLS_AT_ONCE: usize = 1_024;

/// `slis` of one query.
pub(crate) struct CellTable {
    engine: Arc<dyn EngineTables>,
}

impl CellTable {
    pub(crate) fn new(engine: Arc<dyn EngineTables>) -> Self {
        Self { engine }
    }
}

impl std::fmt::Debug for CellTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CellTable").finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for CellTable {
    fn schema(&self) -> SchemaRef {
        slis_schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let columns = projection.cloned().unwrap_or_else(|| (0..slis_schema().fields().len()).collect());
        let schema = Arc::new(slis_schema().project(&columns)?);
        let wanted = wanted_of(filters);
        let keys = self.engine.cell_keys(&wanted).map_err(external)?;
        let scan = Arc::new(Scan { engine: Arc::clone(&self.engine), wanted, columns, schema: Arc::clone(&schema) });
        let partitions = shares(parts(keys), state.config().target_partitions()).into_iter();
        let streams =
            partitions.map(|parts| Arc::new(Share { scan: Arc::clone(&scan), parts }) as Arc<dyn PartitionStream>);
        Ok(Arc::new(StreamingTableExec::try_new(schema, streams.collect(), None, [], false, limit)?))
    }
}

fn external(error: crate::QueryError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// The keys in parts of about [`CELLS_AT_ONCE`] cells.
fn parts(keys: Vec<(CellKey, usize)>) -> Vec<Arc<[CellKey]>> {
    let (mut parts, mut part, mut cells) = (Vec::new(), Vec::new(), 0_usize);
    for (key, count) in keys {
        if cells.saturating_add(count) > CELLS_AT_ONCE && !part.is_empty() {
            parts.push(std::mem::take(&mut part).into());
            cells = 0;
        }
        part.push(key);
        cells = cells.saturating_add(count);
    }
    if !part.is_empty() {
        parts.push(part.into());
    }
    parts
}

/// The parts dealt out to so many threads; at least one share.
fn shares(parts: Vec<Arc<[CellKey]>>, threads: usize) -> Vec<Vec<Arc<[CellKey]>>> {
    let count = threads.clamp(1, parts.len().max(1));
    let mut shares = vec![Vec::new(); count];
    for (number, part) in parts.into_iter().enumerate() {
        if let Some(share) = number.checked_rem(count).and_then(|share| shares.get_mut(share)) {
            share.push(part);
        }
    }
    shares
}

/// What all threads of a scan share.
struct Scan {
    engine: Arc<dyn EngineTables>,
    wanted: CellFilter,
    columns: Vec<usize>,
    schema: SchemaRef,
}

/// The keys that one thread asks for.
struct Share {
    scan: Arc<Scan>,
    parts: Vec<Arc<[CellKey]>>,
}

impl std::fmt::Debug for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scan = &self.scan;
        f.debug_struct("Share").field("wanted", &scan.wanted).field("columns", &scan.columns).finish_non_exhaustive()
    }
}

impl PartitionStream for Share {
    fn schema(&self) -> &SchemaRef {
        &self.scan.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let scan = Arc::clone(&self.scan);
        let rows = move |part: Arc<[CellKey]>| scan.engine.cells(&part, &scan.wanted, &scan.columns).map_err(external);
        let batches = futures::stream::iter(self.parts.clone().into_iter().map(rows));
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.scan.schema), batches))
    }
}

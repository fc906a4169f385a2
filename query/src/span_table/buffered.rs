//! Buffered spans as a plan: batches are projected and cast when they are asked for, not when the query is planned.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream};
use daytwo_storage::SpanBatch;

use crate::spans;

/// A plan that gives `columns` of the batches, over at most `partitions` threads; `None` without batches.
pub(super) fn plan(
    batches: &[SpanBatch],
    columns: &SchemaRef,
    partitions: usize,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let batches: Vec<SpanBatch> = batches.iter().filter(|batch| !batch.is_empty()).cloned().collect();
    if batches.is_empty() {
        return Ok(None);
    }
    let share = batches.len().div_ceil(partitions.max(1));
    let shares = batches.chunks(share).map(|share| {
        Arc::new(Share { batches: share.to_vec(), columns: Arc::clone(columns) }) as Arc<dyn PartitionStream>
    });
    let plan = StreamingTableExec::try_new(Arc::clone(columns), shares.collect(), None, [], false, None)?;
    Ok(Some(Arc::new(plan)))
}

/// One thread's share of the buffer.
#[derive(Debug)]
struct Share {
    batches: Vec<SpanBatch>,
    columns: SchemaRef,
}

impl PartitionStream for Share {
    fn schema(&self) -> &SchemaRef {
        &self.columns
    }

    fn execute(&self, _ctx: Arc<TaskContext>) -> SendableRecordBatchStream {
        let columns = Arc::clone(&self.columns);
        let project = move |batch: SpanBatch| {
            let projected = spans::project(batch.record_batch(), &columns, None);
            projected.map_err(|error| DataFusionError::External(Box::new(error)))
        };
        let batches = futures::stream::iter(self.batches.clone().into_iter().map(project));
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.columns), batches))
    }
}

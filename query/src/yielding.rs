//! Plans that give way: a query must be stoppable at any time, and must not hold a thread that answers others.
//!
//! DataFusion makes scans and exchanges yield. A join between them can make billions of rows out of a few batches, and an
//! aggregate above it takes them all in one poll: with one partition, and so without an exchange, neither the time limit
//! nor a client that leaves would stop it.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;

/// The same plan, in which every operator with several inputs yields now and then.
pub(crate) fn yielding(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let wrapped = plan.transform_up(|node| {
        if node.children().len() < 2 {
            return Ok(Transformed::no(node));
        }
        Ok(Transformed::yes(Arc::new(CooperativeExec::new(node)) as Arc<dyn ExecutionPlan>))
    });
    wrapped.map(|wrapped| wrapped.data)
}

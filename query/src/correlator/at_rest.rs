//! The engine's tables of a data folder at rest: measured from what is stored, when a query first asks.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use daytwo_storage::schema::col;
use daytwo_storage::{Clock, Snapshot, UnixNanos};

use super::{Correlator, EngineConfig};
use crate::error::Result;
use crate::measure::{CellFilter, CellKey};
use crate::tables::{EngineTable, EngineTables};

/// Time given to the last trace to become quiet, and then to be judged.
const SETTLED: Duration = Duration::from_secs(60);

/// `slis`, `deployments` and `verdicts` as they stood when the last span came in. `slos` is empty: objectives are the
/// configuration of a running server.
#[derive(Debug)]
pub struct EngineAtRest {
    config: EngineConfig,
    clock: Arc<dyn Clock>,
    snapshot: Snapshot,
    measured: OnceLock<Arc<Correlator>>,
}

impl EngineAtRest {
    /// Tables over a snapshot; nothing is read before a query asks.
    pub fn new(config: EngineConfig, clock: Arc<dyn Clock>, snapshot: Snapshot) -> Arc<Self> {
        Arc::new(Self { config, clock, snapshot, measured: OnceLock::new() })
    }

    fn measured(&self) -> &Correlator {
        self.measured.get_or_init(|| self.measure())
    }

    fn measure(&self) -> Arc<Correlator> {
        let now = self.clock.now();
        let last = last_start(&self.snapshot).map_or(now, |last| last.saturating_add(SETTLED).min(now));
        let engine = Correlator::new(self.config.clone(), Arc::new(StoppedClock(last)));
        engine.load(&self.snapshot);
        engine
    }
}

impl EngineTables for EngineAtRest {
    fn table(&self, table: EngineTable) -> Result<RecordBatch> {
        self.measured().table(table)
    }

    fn cell_keys(&self, wanted: &CellFilter) -> Result<Vec<(CellKey, usize)>> {
        self.measured().cell_keys(wanted)
    }

    fn cells(&self, keys: &[CellKey], wanted: &CellFilter, columns: &[usize]) -> Result<RecordBatch> {
        self.measured().cells(keys, wanted, columns)
    }
}

/// A clock that shows the moment a folder came to rest.
#[derive(Debug)]
struct StoppedClock(UnixNanos);

impl Clock for StoppedClock {
    fn now(&self) -> UnixNanos {
        self.0
    }
}

/// The latest start of any span.
fn last_start(snapshot: &Snapshot) -> Option<UnixNanos> {
    let in_files = snapshot.files.iter().filter_map(|file| file.start_range.map(|(_, last)| last));
    let in_memory = snapshot.buffered.iter().filter_map(|batch| {
        let starts = batch.record_batch().column_by_name(col::START)?.as_primitive_opt::<Int64Type>()?;
        arrow::compute::max(starts)
    });
    in_files.chain(in_memory).max().map(UnixNanos)
}

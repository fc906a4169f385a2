//! How DataFusion is set up: memory and spill limits, functions, and the catalog of one query.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::DateTime;
use datafusion::catalog::{CatalogProvider, MemTable, MemoryCatalogProviderList, SchemaProvider, TableProvider};
use datafusion::datasource::ViewTable;
use datafusion::error::{DataFusionError, Result as PlanResult};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::prelude::SessionConfig;
use daytwo_storage::UnixNanos;

use crate::cell_table::CellTable;
use crate::span_table::{STORE_URL, SpanTable};
use crate::tables::{EngineTable, EngineTables};
use crate::{QueryConfig, QueryError, Result, functions, views};

/// Names of the catalog and of the schema that hold every table.
const CATALOG: &str = "daytwo";
const SCHEMA: &str = "public";

/// Consumers that an out-of-memory message names.
const CONSUMERS_NAMED: std::num::NonZeroUsize = std::num::NonZeroUsize::new(3).expect("3 is not 0");

/// A session without tables: what all queries share.
///
/// # Errors
/// [`QueryError::Io`] when the spill folder cannot be made, [`QueryError::Internal`] when DataFusion refuses the setup.
pub(crate) fn template(config: &QueryConfig) -> Result<SessionState> {
    let mut session = SessionConfig::new()
        .with_target_partitions(config.effective_partitions())
        .with_default_catalog_and_schema(CATALOG, SCHEMA)
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(false);
    let options = session.options_mut();
    options.execution.parquet.pushdown_filters = true;
    options.execution.parquet.reorder_filters = true;
    // Plain strings in answers: not every Arrow reader knows views. The encoders cast, so plans need not.
    options.optimizer.expand_views_at_output = false;
    let builder = SessionStateBuilder::new().with_config(session).with_runtime_env(runtime(config)?);
    Ok(functions::register_all(builder).build())
}

fn runtime(config: &QueryConfig) -> Result<Arc<RuntimeEnv>> {
    let spill_dir = &config.spill_dir;
    let io = |source| QueryError::Io { action: "create", path: spill_dir.display().to_string(), source };
    std::fs::create_dir_all(spill_dir).map_err(io)?;
    let memory = usize::try_from(config.memory_bytes_max).unwrap_or(usize::MAX);
    let disk = DiskManagerBuilder::default()
        .with_mode(DiskManagerMode::Directories(vec![spill_dir.clone()]))
        .with_max_temp_directory_size(config.spill_bytes_max);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(TrackConsumersPool::new(FairSpillPool::new(memory), CONSUMERS_NAMED)))
        .with_disk_manager_builder(disk)
        .build_arc()
        .map_err(|error| QueryError::internal(error.to_string()))?;
    // The default registry serves the whole file system under `file://`; ours serves only the table's own files,
    // and even those come through the span table's readers, so the registered store is an empty one.
    let ours = ObjectStoreUrl::parse(STORE_URL).map_err(|error| QueryError::internal(error.to_string()))?;
    runtime
        .deregister_object_store(ObjectStoreUrl::local_filesystem().as_ref())
        .map_err(|error| QueryError::internal(error.to_string()))?;
    runtime.register_object_store(ours.as_ref(), Arc::new(object_store::memory::InMemory::new()));
    Ok(runtime)
}

/// A session of one query, asked at `now`: the template with tables.
pub(crate) fn with_tables(
    template: &SessionState,
    spans: Arc<SpanTable>,
    engine: Arc<dyn EngineTables>,
    now: UnixNanos,
) -> Result<SessionState> {
    let mut bare = SessionStateBuilder::new_from_existing(template.clone())
        .with_catalog_list(Arc::new(MemoryCatalogProviderList::new()))
        .build();
    // `now()` is this instant throughout the statement: a constant, which filters can be made of.
    bare.execution_props_mut().query_execution_start_time = Some(DateTime::from_timestamp_nanos(now.0));
    let tables = Arc::new(Tables { spans, engine, planner: bare.clone() });
    bare.catalog_list().register_catalog(CATALOG.to_owned(), Arc::new(Catalog(tables)));
    Ok(bare)
}

/// Names of all tables, for help and for refusals.
pub(crate) fn table_names() -> Vec<String> {
    let engine = EngineTable::ALL.iter().map(|table| table.name());
    ["spans", "traces", "edges"].into_iter().chain(engine).map(str::to_owned).collect()
}

#[derive(Debug)]
struct Catalog(Arc<Tables>);

impl CatalogProvider for Catalog {
    fn schema_names(&self) -> Vec<String> {
        vec![SCHEMA.to_owned()]
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        (name == SCHEMA).then(|| Arc::clone(&self.0) as Arc<dyn SchemaProvider>)
    }
}

/// The tables of one query.
struct Tables {
    spans: Arc<SpanTable>,
    engine: Arc<dyn EngineTables>,
    planner: SessionState,
}

impl std::fmt::Debug for Tables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tables").field("spans", &self.spans).finish_non_exhaustive()
    }
}

impl Tables {
    /// A view is planned over the same span table, so that a query that joins it with `spans` sees one snapshot.
    fn view(&self, name: &str) -> PlanResult<Option<Arc<dyn TableProvider>>> {
        let Some(plan) = views::plan(name, &self.planner, &self.spans)? else {
            return Ok(None);
        };
        Ok(Some(Arc::new(ViewTable::new(plan, None))))
    }
}

#[async_trait]
impl SchemaProvider for Tables {
    fn table_names(&self) -> Vec<String> {
        table_names()
    }

    async fn table(&self, name: &str) -> PlanResult<Option<Arc<dyn TableProvider>>> {
        if name == "spans" {
            return Ok(Some(Arc::clone(&self.spans) as Arc<dyn TableProvider>));
        }
        let engine = EngineTable::ALL.into_iter().find(|table| table.name() == name);
        let Some(table) = engine else {
            return self.view(name);
        };
        if table == EngineTable::Slis {
            return Ok(Some(Arc::new(CellTable::new(Arc::clone(&self.engine)))));
        }
        let rows = self.engine.table(table).map_err(|error| DataFusionError::External(Box::new(error)))?;
        Ok(Some(Arc::new(MemTable::try_new(rows.schema(), vec![vec![rows]])?)))
    }

    fn table_exist(&self, name: &str) -> bool {
        table_names().iter().any(|known| known == name)
    }
}

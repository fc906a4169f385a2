//! `spans` as DataFusion sees it: the hot buffer and the data files of one snapshot, as one table.
//!
//! A query makes one [`SpanTable`] from one [`Snapshot`], however often its text names `spans`: joins of the table
//! with itself are consistent. Files are pruned here by the bounds in the Delta log and, with their rows, by the files'
//! indexes; the Parquet reader prunes row groups and pages by statistics, and evaluates the filters while it decodes.

mod buffered;
mod indexed;
mod pruning;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::ParquetRowSelection;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::{DataSource, DataSourceExec};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;
use daytwo_storage::index::Run;
use daytwo_storage::schema::col;
use daytwo_storage::{DataFile, Snapshot};

use crate::data_file::{FileCache, ReaderFactory, Reads, Suspects, selection};
use crate::spans;

pub(crate) use indexed::Indexes;
use indexed::Wanted;

/// The address under which plans name the table's files. Nothing is registered under any other address, so no
/// statement reaches a file that is not a data file of this table.
pub(crate) const STORE_URL: &str = "daytwo://spans";

/// Files smaller than this are not cut into ranges for several threads.
const SPLIT_BYTES_MIN: usize = 4 << 20;

/// One snapshot of `spans`.
#[derive(Debug)]
pub(crate) struct SpanTable {
    snapshot: Snapshot,
    cache: Arc<FileCache>,
    suspects: Arc<Suspects>,
    rows: Rows,
    indexes: Option<Indexes>,
    reads: Arc<Reads>,
}

/// Rows of files that count, by path; of other files all do.
pub(crate) type Rows = HashMap<String, Vec<Run>>;

impl SpanTable {
    /// The table over `snapshot`, without the files at `without`.
    pub(crate) fn new(mut snapshot: Snapshot, cache: Arc<FileCache>, without: &[String]) -> Self {
        if !without.is_empty() {
            let sound = snapshot.files.iter().filter(|file| !without.contains(&file.path)).cloned();
            snapshot.files = Arc::new(sound.collect());
        }
        Self { snapshot, cache, suspects: Arc::default(), rows: Rows::new(), indexes: None, reads: Arc::default() }
    }

    /// The same, of some files only these rows.
    pub(crate) fn with_rows(self, rows: Rows) -> Self {
        Self { rows, ..self }
    }

    /// The same, with indexes that say which files and rows a filter needs.
    pub(crate) fn with_indexes(self, indexes: Indexes) -> Self {
        Self { indexes: Some(indexes), ..self }
    }

    /// What was read of data files so far.
    pub(crate) fn reads(&self) -> &Reads {
        &self.reads
    }

    /// The files that were being read when a query over this table failed.
    pub(crate) fn suspects(&self) -> Vec<String> {
        self.suspects.paths()
    }

    /// The files that a filter leaves, and which of their rows.
    async fn wanted(&self, filters: &[Expr]) -> Result<(Arc<Vec<DataFile>>, Rows)> {
        let wanted = Wanted::of(filters);
        let Some(indexes) = self.indexes.clone().filter(|_| !wanted.is_nothing()) else {
            return Ok((Arc::clone(&self.snapshot.files), self.rows.clone()));
        };
        let snapshot = self.snapshot.clone();
        let look = tokio::task::spawn_blocking(move || wanted.rows(&indexes, &snapshot)).await;
        let (files, rows) = look.map_err(|error| DataFusionError::External(Box::new(error)))?;
        Ok((Arc::new(files), rows))
    }

    fn files_plan(&self, request: &Scan<'_>, partitions: usize) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let files = match &request.predicate {
            Some(predicate) => pruning::prune(&request.files, predicate),
            None => request.files.iter().collect(),
        };
        if files.is_empty() {
            return Ok(None);
        }
        let mut source = ParquetSource::new(file_columns()).with_pushdown_filters(true).with_reorder_filters(true);
        source = source.with_parquet_file_reader_factory(Arc::new(ReaderFactory::new(
            self.snapshot.data.clone(),
            Arc::clone(&self.cache),
            Arc::clone(&self.suspects),
            Arc::clone(&self.reads),
        )));
        if let Some(predicate) = &request.predicate {
            source = source.with_predicate(Arc::clone(predicate));
        }
        let scan = FileScanConfigBuilder::new(ObjectStoreUrl::parse(STORE_URL)?, Arc::new(source))
            .with_file_groups(groups(
                newest_first(files, &request.rows, partitions),
                partitions,
                request.rows.is_empty(),
            ))
            .with_projection_indices(request.projection.cloned())?
            .with_limit(request.limit)
            .build();
        Ok(Some(spread(scan, partitions)?))
    }
}

/// What a plan wants of the table.
struct Scan<'a> {
    projection: Option<&'a Vec<usize>>,
    predicate: Option<Arc<dyn PhysicalExpr>>,
    limit: Option<usize>,
    files: Arc<Vec<DataFile>>,
    rows: Rows,
}

/// The columns inside a file, and the partition column that its path holds.
fn file_columns() -> TableSchema {
    let hour = Field::new(col::RECEIVED_HOUR, arrow::datatypes::DataType::Utf8View, false);
    TableSchema::builder(spans::file_schema()).with_table_partition_cols(vec![Arc::new(hour)]).build()
}

/// Newest first, so that `ORDER BY start_time_unix_nano DESC LIMIT n` soon knows a bound that skips the older files. Rows of a
/// few files are cut into shares, one for each thread.
fn newest_first(mut files: Vec<&DataFile>, rows: &Rows, partitions: usize) -> Vec<PartitionedFile> {
    files.sort_by_key(|file| std::cmp::Reverse(file.start_range));
    let shares = partitions.checked_div(files.len()).unwrap_or(1).max(1);
    let partitioned = files.into_iter().flat_map(|file| {
        let hour = ScalarValue::Utf8View(Some(file.received_hour.clone()));
        let whole = PartitionedFile::new(file.path.clone(), file.size_bytes).with_partition_values(vec![hour]);
        let Some(runs) = rows.get(&file.path) else { return vec![whole] };
        let of_share = |runs: &[Run]| {
            let wanted = ParquetRowSelection::new(selection(runs, file.rows, usize::MAX));
            whole.clone().with_extension(wanted)
        };
        runs.chunks(runs.len().div_ceil(shares).max(1)).map(of_share).collect()
    });
    partitioned.collect()
}

/// One group, which is cut by bytes later; or, where only some rows of files count, a group for each thread.
fn groups(files: Vec<PartitionedFile>, partitions: usize, whole: bool) -> Vec<FileGroup> {
    let count = if whole { 1 } else { partitions.clamp(1, files.len().max(1)) };
    let mut groups: Vec<Vec<PartitionedFile>> = vec![Vec::new(); count];
    for (number, file) in files.into_iter().enumerate() {
        let group = number.checked_rem(count).and_then(|group| groups.get_mut(group));
        group.into_iter().for_each(|group| group.push(file.clone()));
    }
    groups.into_iter().map(FileGroup::new).collect()
}

fn spread(scan: FileScanConfig, partitions: usize) -> Result<Arc<dyn ExecutionPlan>> {
    let spread = scan.repartitioned(partitions, SPLIT_BYTES_MIN, None)?;
    Ok(match spread {
        Some(spread) => Arc::new(DataSourceExec::new(spread)),
        None => DataSourceExec::from_data_source(scan),
    })
}

#[async_trait]
impl TableProvider for SpanTable {
    fn schema(&self) -> SchemaRef {
        spans::sql_schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        // Inexact: buffered spans are not filtered here, and a file's statistics only exclude.
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = DFSchema::try_from(spans::sql_schema())?;
        let predicate = conjunction(filters.to_vec());
        let predicate = predicate.map(|filter| state.create_physical_expr(filter, &schema)).transpose()?;
        let partitions = state.config().target_partitions();
        let (files, rows) = self.wanted(filters).await?;
        let request = Scan { projection, predicate, limit, files, rows };
        let columns = projected(projection)?;
        let buffered = buffered::plan(&self.snapshot.buffered, &columns, partitions)?;
        let plans = [buffered, self.files_plan(&request, partitions)?];
        let mut plans: Vec<Arc<dyn ExecutionPlan>> = plans.into_iter().flatten().collect();
        match plans.len() {
            0 => Ok(Arc::new(EmptyExec::new(columns))),
            1 => Ok(plans.remove(0)),
            _ => UnionExec::try_new(plans),
        }
    }
}

fn projected(projection: Option<&Vec<usize>>) -> Result<SchemaRef> {
    let all = spans::sql_schema();
    match projection {
        Some(indices) => Ok(Arc::new(Schema::project(&all, indices)?)),
        None => Ok(all),
    }
}

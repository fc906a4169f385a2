//! Following the store: rebuild from a snapshot, then the tail; again whenever the tail is cut off.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use daytwo_storage::{DataFile, Snapshot, SpanBatch, Store, UnixNanos};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Correlator;
use super::state::State;
use crate::data_file::Source;
use crate::trace::EXTRACTED_COLUMNS;
use daytwo_storage::schema::col;

/// Traces are looked at for quietness this often.
const TICK: Duration = Duration::from_secs(1);
/// Batches taken from the tail at once.
const TAKEN_MAX: usize = 256;

impl Correlator {
    /// Follows the store until cancelled: what is stored first, then every accepted batch.
    pub async fn run(self: Arc<Self>, store: Arc<Store>, cancel: CancellationToken) {
        while !cancel.is_cancelled() {
            self.begin_rebuild();
            let (snapshot, tail) = store.snapshot_and_tail(self.config.tail_capacity);
            let engine = Arc::clone(&self);
            let stop = cancel.clone();
            let rebuilt = tokio::task::spawn_blocking(move || engine.rebuild(&snapshot, &stop)).await;
            if let Err(error) = rebuilt {
                tracing::error!(%error, "rebuilding the correlation engine failed; it goes on with new spans only");
            }
            self.state().lagging = false;
            Arc::clone(&self).follow(tail, &cancel).await;
        }
        let saved = tokio::task::spawn_blocking(move || self.save(true)).await;
        if let Err(error) = saved {
            tracing::error!(%error, "writing budgets and cells down failed; the next start counts from the last time that it did not");
        }
    }

    /// From here on answers are behind, without a moment in between in which a wanted rebuild is forgotten.
    fn begin_rebuild(&self) {
        let mut state = self.state();
        state.lagging = true;
        state.wants_rebuild = false;
    }

    /// Measures what a snapshot holds, in place of what was measured before.
    pub(super) fn load(&self, snapshot: &Snapshot) {
        self.rebuild(snapshot, &CancellationToken::new());
    }

    /// Takes batches until the tail is cut off, a rebuild is wanted, or it is time to stop.
    async fn follow(self: Arc<Self>, mut tail: mpsc::Receiver<SpanBatch>, cancel: &CancellationToken) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let mut batches = Vec::new();
            let open = tokio::select! {
                () = cancel.cancelled() => return,
                taken = tail.recv_many(&mut batches, TAKEN_MAX) => taken > 0,
                _ = ticks.tick() => true,
            };
            let engine = Arc::clone(&self);
            let tick = batches.is_empty();
            let work = tokio::task::spawn_blocking(move || engine.take(&batches, tick));
            if let Err(error) = work.await {
                tracing::error!(%error, "measuring a batch failed; its spans are stored and not measured");
            }
            if !open || self.state().wants_rebuild {
                tracing::info!(cut_off = !open, "the correlation engine rebuilds from the store");
                return;
            }
        }
    }

    fn take(&self, batches: &[SpanBatch], tick: bool) {
        batches.iter().for_each(|batch| self.observe(batch));
        if tick {
            self.tick();
            self.save_if_due();
        }
    }

    /// Reads the stored spans of the recent past into a fresh state and puts it in place.
    fn rebuild(&self, snapshot: &Snapshot, cancel: &CancellationToken) {
        let mut fresh = self.state().fresh();
        for file in self.recent_files(snapshot) {
            if cancel.is_cancelled() {
                return;
            }
            if let Err(reason) = read_file(&mut fresh, snapshot, &file) {
                tracing::warn!(path = %file.path, %reason, "a data file is not measured");
            }
        }
        for batch in &snapshot.buffered {
            fresh.observe(batch.record_batch());
            close_by_reception(&mut fresh, batch.record_batch());
        }
        fresh.close_all(self.clock.now());
        self.state().replace(fresh);
        self.tick();
    }

    /// Files of the window, newest first up to the limit of spans, then in order of reception.
    fn recent_files(&self, snapshot: &Snapshot) -> Vec<DataFile> {
        let oldest = self.clock.now().saturating_sub(self.config.rebuild_window);
        let recent = |file: &&DataFile| file.start_range.is_none_or(|(_, latest)| latest >= oldest.0);
        let mut files: Vec<DataFile> = snapshot.files.iter().filter(recent).cloned().collect();
        files.sort_by(|left, right| {
            (&left.received_hour, left.start_range, &left.path).cmp(&(
                &right.received_hour,
                right.start_range,
                &right.path,
            ))
        });
        let mut rows = 0_u64;
        let mut taken: Vec<DataFile> = Vec::new();
        for file in files.into_iter().rev() {
            rows = rows.saturating_add(file.rows);
            if rows > self.config.rebuild_spans_max {
                tracing::info!(limit = self.config.rebuild_spans_max, "older spans are not measured again");
                break;
            }
            taken.push(file);
        }
        taken.reverse();
        taken
    }
}

fn read_file(state: &mut State, snapshot: &Snapshot, file: &DataFile) -> Result<(), String> {
    let opened = snapshot.data.open(&file.path, file.size_bytes).map_err(|error| error.to_string())?;
    let source = Source::new(opened);
    let end = source.with_end().map_err(|error| error.to_string())?;
    let metadata = ArrowReaderMetadata::load(&end, ArrowReaderOptions::new()).map_err(|error| error.to_string())?;
    let mask = ProjectionMask::columns(metadata.parquet_schema(), EXTRACTED_COLUMNS);
    for row_group in 0..metadata.metadata().num_row_groups() {
        let fetched =
            source.with_row_group(metadata.metadata(), row_group, &mask).map_err(|error| error.to_string())?;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(fetched, metadata.clone());
        let reader = builder.with_row_groups(vec![row_group]).with_projection(mask.clone()).build();
        for batch in reader.map_err(|error| error.to_string())? {
            let batch = batch.map_err(|error| error.to_string())?;
            state.observe(&batch);
            close_by_reception(state, &batch);
        }
    }
    Ok(())
}

/// During a rebuild the clock is the reception of the spans read.
fn close_by_reception(state: &mut State, batch: &RecordBatch) {
    use arrow::array::AsArray;
    use arrow::datatypes::Int64Type;
    let received = batch.column_by_name(col::RECEIVED).and_then(|column| column.as_primitive_opt::<Int64Type>());
    let newest = received.and_then(arrow::compute::max);
    if let Some(newest) = newest {
        state.close_quiet(UnixNanos(newest));
    }
}

#[cfg(test)]
mod tests;

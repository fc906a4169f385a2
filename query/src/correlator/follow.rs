//! Following the store: rebuild from a snapshot, then the tail; again whenever the tail is cut off.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use chrono::NaiveDateTime;
use daytwo_storage::{DataFile, Snapshot, SpanBatch, Store, UnixNanos};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Correlator;
use super::late::{LateReader, Measured, Reading};
use super::state::State;
use crate::data_file::Source;
use crate::trace::{EXTRACTED_COLUMNS, columns_with_flags, flags};
use daytwo_storage::schema::col;

/// Traces are looked at for quietness this often.
const TICK: Duration = Duration::from_secs(1);
/// Batches taken from the tail at once: while they wait here, nobody counts their bytes.
const TAKEN_MAX: usize = 32;

impl Correlator {
    /// Follows the store until cancelled: what is stored first, then every accepted batch.
    pub async fn run(self: Arc<Self>, store: Arc<Store>, cancel: CancellationToken) {
        let reader = Arc::new(self.late_reader(Some(Arc::clone(&store))));
        while !cancel.is_cancelled() {
            self.begin_rebuild();
            let (snapshot, tail) = store.snapshot_and_tail(self.config.tail_capacity);
            let engine = Arc::clone(&self);
            let stop = cancel.clone();
            let late = Arc::clone(&reader);
            let rebuilt = tokio::task::spawn_blocking(move || engine.rebuild(&snapshot, &late, &stop)).await;
            if let Err(error) = rebuilt {
                tracing::error!(%error, "rebuilding the correlation engine failed; it goes on with new spans only");
            }
            self.state().lagging = false;
            Arc::clone(&self).follow(tail, &reader, &cancel).await;
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
        self.rebuild(snapshot, &self.late_reader(None), &CancellationToken::new());
    }

    fn late_reader(&self, store: Option<Arc<Store>>) -> LateReader {
        LateReader::new(self.config.late_window, self.config.late_spans_max, store)
    }

    /// Takes batches until the tail is cut off, a rebuild is wanted, or it is time to stop.
    async fn follow(
        self: Arc<Self>,
        mut tail: mpsc::Receiver<SpanBatch>,
        reader: &Arc<LateReader>,
        cancel: &CancellationToken,
    ) {
        // Of a reading that a rebuild has overtaken nothing is taken.
        self.state().wait_again();
        let mut reading: Option<Reading> = None;
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let mut batches = Vec::new();
            let open = tokio::select! {
                () = cancel.cancelled() => return,
                read = Reading::end(&mut reading) => {
                    reading = None;
                    self.end_reading(read).await;
                    continue;
                }
                taken = tail.recv_many(&mut batches, TAKEN_MAX) => taken > 0,
                _ = ticks.tick() => true,
            };
            let engine = Arc::clone(&self);
            let tick = batches.is_empty();
            let work = tokio::task::spawn_blocking(move || engine.take(batches, tick));
            if let Err(error) = work.await {
                tracing::error!(%error, "measuring a batch failed; its spans are stored and not measured");
            }
            if !open || self.state().wants_rebuild {
                tracing::info!(cut_off = !open, "the correlation engine rebuilds from the store");
                return;
            }
            if tick && reading.is_none() {
                reading = self.begin_reading(reader, &mut tail).await;
            }
        }
    }

    fn take(&self, batches: Vec<SpanBatch>, tick: bool) {
        // Each is let go as soon as it is measured.
        batches.into_iter().for_each(|batch| self.observe(&batch));
        if tick {
            self.tick();
            self.save_if_due();
        }
    }

    /// Reads the stored spans of the recent past into a fresh state and puts it in place.
    fn rebuild(&self, snapshot: &Snapshot, late: &LateReader, cancel: &CancellationToken) {
        let mut fresh = self.state().fresh();
        let (files, measured) = self.recent_files(snapshot);
        fresh.can_read(measured);
        for file in files {
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
        while fresh.waiting() > 0 && !cancel.is_cancelled() {
            let wanted = fresh.take_waiting();
            fresh.put_together(late.read(snapshot, wanted), self.clock.now());
        }
        self.state().replace(fresh);
        self.tick();
    }

    /// Files of the window, newest first up to the limit of spans, then in order of reception; and which spans that leaves out.
    fn recent_files(&self, snapshot: &Snapshot) -> (Vec<DataFile>, Measured) {
        let now = self.clock.now();
        let oldest = now.saturating_sub(self.config.rebuild_window);
        let mut measured = Measured { received_from: i64::MIN, started_from: oldest.0, followed_from: now.0 };
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
                measured.received_from = end_of_hour(&file.received_hour).unwrap_or(i64::MAX);
                break;
            }
            taken.push(file);
        }
        taken.reverse();
        (taken, measured)
    }
}

/// The first instant after an hour of reception.
fn end_of_hour(received_hour: &str) -> Option<i64> {
    let start = NaiveDateTime::parse_from_str(&format!("{received_hour}:00"), "%Y-%m-%dT%H:%M").ok()?;
    start.and_utc().timestamp_nanos_opt()?.checked_add(3_600_000_000_000)
}

fn read_file(state: &mut State, snapshot: &Snapshot, file: &DataFile) -> Result<(), String> {
    let opened = snapshot.data.open(&file.path, file.size_bytes).map_err(|error| error.to_string())?;
    let source = Source::new(opened);
    let end = source.with_end().map_err(|error| error.to_string())?;
    let metadata = ArrowReaderMetadata::load(&end, ArrowReaderOptions::new()).map_err(|error| error.to_string())?;
    let mask = if may_have_flags(snapshot, file) {
        ProjectionMask::columns(metadata.parquet_schema(), columns_with_flags())
    } else {
        ProjectionMask::columns(metadata.parquet_schema(), EXTRACTED_COLUMNS)
    };
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

/// Whether any span of a file may have evaluated a flag in its attributes; its index knows their keys.
fn may_have_flags(snapshot: &Snapshot, file: &DataFile) -> bool {
    let catalogue = snapshot.indexes.open(file).and_then(|index| index.catalogue());
    catalogue.map_or(true, |names| names.span_keys.overflow || names.span_keys.counts.contains_key(flags::KEY))
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

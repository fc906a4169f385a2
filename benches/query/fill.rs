//! The stored spans: the bench corpus through decoder and store, with one span apart in its middle; and what storing them cost as the
//! table grew.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use daytwo_collector::{OtlpReplay, decode};
use daytwo_storage::{Clock, Frame, PayloadCompression, PayloadFormat, StorageConfig, StorageError, Store, UnixNanos};
use daytwo_traffic::{Corpus, CorpusConfig, ExportRequest, Model, ModelConfig, cpu};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use tokio::sync::mpsc;

use crate::{Failed, ratio};

/// An attribute that one span has.
pub(crate) const NEEDLE: (&str, &str) = ("bench.needle", "in the haystack");

/// A day in nanoseconds.
const DAY: u64 = 86_400_000_000_000;

/// A request comes each 25 ms.
const REQUEST_EACH: u64 = 25_000_000;

/// After so many spans a line says what they cost.
const MILESTONE: u64 = 10_000_000;

/// Merges are over when the number of files has not changed for this long.
const MERGED_AFTER: Duration = Duration::from_secs(20);

/// The time of the corpus: the requests come when they were received, so that hours begin and end as they do for a server.
#[derive(Debug)]
pub(crate) struct CorpusClock(AtomicU64);

impl Default for CorpusClock {
    fn default() -> Self {
        Self(AtomicU64::new(CorpusConfig::default().start_unix_nano))
    }
}

impl CorpusClock {
    pub(crate) fn set(&self, now: u64) {
        self.0.store(now, Ordering::Relaxed);
    }
}

impl Clock for CorpusClock {
    fn now(&self) -> UnixNanos {
        UnixNanos(i64::try_from(self.0.load(Ordering::Relaxed)).unwrap_or(i64::MAX))
    }
}

pub(crate) async fn open(dir: &Path, clock: &Arc<CorpusClock>) -> Result<Arc<Store>, Failed> {
    // No request comes twice: the log need not be kept to remember them, which 100 M spans would feel.
    let dedup_window = Duration::from_secs(1);
    // The corpus is of a day gone by: files are closed by size alone, not because their spans are old.
    let flush_interval = Duration::from_secs(365 * 86_400);
    // Nor do they expire, however long ago it was.
    let retention = Duration::ZERO;
    let data_dir = dir.join("data");
    // No other engine reads here.
    let vacuum_after = Duration::ZERO;
    let config =
        StorageConfig { data_dir, dedup_window, flush_interval, retention, vacuum_after, ..StorageConfig::default() };
    Ok(Store::open(config, Arc::clone(clock) as Arc<dyn Clock>, Arc::new(OtlpReplay::default())).await?)
}

/// Brings the store to the wanted number of spans, unless it has them already, lets their hours end and waits until merges are over.
pub(crate) async fn fill(
    store: &Arc<Store>,
    clock: &CorpusClock,
    spans: u64,
    out: &mut impl Write,
) -> Result<(), Failed> {
    let stored = store.status().file_rows;
    if stored == 0 {
        write_corpus(store, clock, spans, out).await?;
    } else if stored < spans {
        return Err(format!("the folder holds {stored} spans of another run; choose another --dir or remove it").into());
    }
    clock.set(CorpusConfig::default().start_unix_nano.saturating_add(DAY));
    until_merged(store, out).await
}

async fn write_corpus(
    store: &Arc<Store>,
    clock: &CorpusClock,
    wanted: u64,
    out: &mut impl Write,
) -> Result<(), Failed> {
    let mut made = make_corpus(wanted);
    let (mut growth, mut spans, mut received) = (Growth::begin(), 0_u64, CorpusConfig::default().start_unix_nano);
    while let Some(Made { requests, cost }) = made.recv().await {
        growth.made += cost;
        for request in requests {
            received = received.saturating_add(REQUEST_EACH);
            clock.set(received);
            let before = spans;
            spans = spans.saturating_add(request.spans as u64);
            if (before..spans).contains(&(wanted / 2)) {
                append(store, needle(received), received).await?;
            }
            append(store, request.body, received).await?;
            if before / MILESTONE < spans / MILESTONE {
                growth.line(store, spans, out)?;
            }
        }
    }
    store.flush().await?;
    Ok(())
}

/// Requests, and the CPU time that it took to make them.
struct Made {
    requests: Vec<ExportRequest>,
    cost: Duration,
}

/// Makes the corpus on a thread of its own.
fn make_corpus(spans: u64) -> mpsc::Receiver<Made> {
    let (sender, receiver) = mpsc::channel(2);
    std::thread::spawn(move || {
        let model = Model::new(ModelConfig::default());
        let (mut corpus, mut left) = (Corpus::new(&model, CorpusConfig::default()), spans);
        while left > 0 {
            let before = cpu::of_thread();
            let mut requests = Vec::new();
            while requests.len() < 200 && left > 0 {
                let Some(request) = corpus.next() else { return };
                left = left.saturating_sub(request.spans as u64);
                requests.push(request);
            }
            let cost = cpu::of_thread().saturating_sub(before);
            if sender.blocking_send(Made { requests, cost }).is_err() {
                return;
            }
        }
    });
    receiver
}

/// What storing costs as the table grows.
struct Growth {
    spans: u64,
    cpu: Duration,
    /// Of it, what making the spans took: not the store's cost, but always the same work, and so the yardstick of the machine's pace.
    made: Duration,
    since: Instant,
}

impl Growth {
    fn begin() -> Self {
        Self { spans: 0, cpu: cpu::own(), made: Duration::ZERO, since: Instant::now() }
    }

    /// Says what the spans since the last line cost: decoder, log, flushes, indexes, merges.
    fn line(&mut self, store: &Store, spans: u64, out: &mut impl Write) -> Result<(), Failed> {
        let (now, new, status) = (cpu::own(), spans - self.spans, store.status());
        let cost = now.saturating_sub(self.cpu).saturating_sub(self.made);
        let each = |cost: Duration| cost.as_secs_f64() * 1e6 / ratio(new, 1);
        writeln!(
            out,
            "{spans:>11} spans: {:.2} CPU s per 1 M new ones ({:.2} to make them), {:.0} s on the wall, {} files, {:.2} bytes a span",
            each(cost),
            each(self.made),
            self.since.elapsed().as_secs_f64(),
            status.files,
            ratio(status.file_bytes, status.file_rows),
        )?;
        *self = Self { spans, ..Self::begin() };
        Ok(())
    }
}

/// Waits until no files are being merged any more: a merge beside the questions would be in their times.
async fn until_merged(store: &Store, out: &mut impl Write) -> Result<(), Failed> {
    let started = Instant::now();
    let (mut files, mut since) = (store.status().files, Instant::now());
    while since.elapsed() < MERGED_AFTER {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = store.status().files;
        if now != files {
            (files, since) = (now, Instant::now());
        }
    }
    writeln!(out, "waited {:.0} s for merges to end", started.elapsed().as_secs_f64())?;
    Ok(())
}

/// A request of one span with an attribute that no other span has.
fn needle(start: u64) -> Bytes {
    let value = AnyValue { value: Some(any_value::Value::StringValue(NEEDLE.1.to_owned())) };
    let span = Span {
        trace_id: vec![0x42; 16],
        span_id: vec![0x42; 8],
        name: "needle".to_owned(),
        start_time_unix_nano: start,
        end_time_unix_nano: start.saturating_add(1_000_000),
        attributes: vec![KeyValue { key: NEEDLE.0.to_owned(), value: Some(value), ..KeyValue::default() }],
        ..Span::default()
    };
    let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec().into()
}

/// Decodes and appends, and when the buffer is full flushes it first: nothing else waits for this store.
async fn append(store: &Store, body: Bytes, received: u64) -> Result<(), Failed> {
    let received = UnixNanos(i64::try_from(received)?);
    let decoded = decode::protobuf(&body, received, &decode::Limits::default())?;
    let frame = Frame {
        request_hash: xxhash_rust::xxh3::xxh3_128(&body),
        payload: body,
        format: PayloadFormat::Protobuf,
        compression: PayloadCompression::None,
        received,
        rejected: decoded.rejected,
    };
    loop {
        match store.append(frame.clone(), decoded.batch.clone()).await {
            Ok(_) => return Ok(()),
            Err(StorageError::Full { .. }) => store.flush().await?,
            Err(error) => return Err(error.into()),
        }
    }
}

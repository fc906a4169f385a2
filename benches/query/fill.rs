//! The stored spans: the bench corpus through decoder and store, with one span apart in its middle; and what storing them cost as the
//! table grew.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use daytwo_collector::{OtlpReplay, decode};
use daytwo_storage::{
    Frame, PayloadCompression, PayloadFormat, StorageConfig, StorageError, Store, SystemClock, UnixNanos,
};
use daytwo_traffic::{Corpus, CorpusConfig, Model, ModelConfig, cpu};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

use crate::{Failed, ratio};

/// An attribute that one span has.
pub(crate) const NEEDLE: (&str, &str) = ("bench.needle", "in the haystack");

/// After so many spans a line says what they cost.
const MILESTONE: u64 = 10_000_000;

/// Merges are over when the number of files has not changed for this long.
const MERGED_AFTER: Duration = Duration::from_secs(20);

pub(crate) async fn open(dir: &Path) -> Result<Arc<Store>, Failed> {
    // No request comes twice: the log need not be kept to remember them, which 100 M spans would feel.
    let dedup_window = Duration::from_secs(1);
    // The corpus is of a day gone by: files are closed by size alone, not because their spans are old.
    let flush_interval = Duration::from_secs(365 * 86_400);
    // Nor do they expire, however long ago it was.
    let retention = Duration::ZERO;
    let data_dir = dir.join("data");
    let config = StorageConfig { data_dir, dedup_window, flush_interval, retention, ..StorageConfig::default() };
    Ok(Store::open(config, Arc::new(SystemClock), Arc::new(OtlpReplay)).await?)
}

/// Brings the store to the wanted number of spans, unless it has them already, and waits until its merges are over.
pub(crate) async fn fill(store: &Arc<Store>, spans: u64, out: &mut impl Write) -> Result<(), Failed> {
    let stored = store.status().file_rows;
    if stored == 0 {
        write_corpus(store, spans, out).await?;
    } else if stored < spans {
        return Err(format!("the folder holds {stored} spans of another run; choose another --dir or remove it").into());
    }
    until_merged(store, out).await
}

async fn write_corpus(store: &Arc<Store>, wanted: u64, out: &mut impl Write) -> Result<(), Failed> {
    let model = Model::new(ModelConfig::default());
    let config = CorpusConfig::default();
    let (mut growth, mut spans) = (Growth::begin(&model, config), 0_u64);
    for (number, request) in Corpus::new(&model, config).enumerate() {
        if spans >= wanted {
            break;
        }
        let received = config.start_unix_nano.saturating_add(number as u64 * 25_000_000);
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
    store.flush().await?;
    Ok(())
}

/// What storing costs as the table grows.
struct Growth {
    /// What it costs to make one million spans of the corpus, which is not the store's cost.
    making: f64,
    spans: u64,
    cpu: Duration,
    since: Instant,
}

impl Growth {
    fn begin(model: &Model, config: CorpusConfig) -> Self {
        let (before, mut spans) = (cpu::own(), 0_u64);
        for request in Corpus::new(model, config).take(1_000) {
            spans = spans.saturating_add(request.spans as u64);
        }
        let making = per_million(cpu::own().saturating_sub(before), spans);
        Self { making, spans: 0, cpu: cpu::own(), since: Instant::now() }
    }

    /// Says what the spans since the last line cost: decoder, log, flushes, indexes, merges.
    fn line(&mut self, store: &Store, spans: u64, out: &mut impl Write) -> Result<(), Failed> {
        let (now, new, status) = (cpu::own(), spans - self.spans, store.status());
        writeln!(
            out,
            "{spans:>11} spans: {:.2} CPU s per 1 M new ones, {:.0} s on the wall, {} files, {:.2} bytes a span",
            per_million(now.saturating_sub(self.cpu), new) - self.making,
            self.since.elapsed().as_secs_f64(),
            status.files,
            ratio(status.file_bytes, status.file_rows),
        )?;
        (self.spans, self.cpu, self.since) = (spans, now, Instant::now());
        Ok(())
    }
}

fn per_million(time: Duration, spans: u64) -> f64 {
    time.as_secs_f64() * 1e6 / ratio(spans, 1)
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

//! [`Ingest`]: what happens to a request between its last byte and its answer, whichever transport brought it.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use daytwo_storage::{
    Clock, Committed, Frame, PayloadCompression, PayloadFormat, Pressure, SpanBatch, StorageError, Store, UnixNanos,
};
use http::HeaderMap;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, warn};
use xxhash_rust::xxh3::xxh3_128;

use super::body::BodyLimits;
use super::decode::logs::Evaluations;
use super::decode::{self, Decoded, Limits, Rejections, Room};
use super::inflate::{InflateError, inflate};
use super::status::{Refusal, Shed};
use crate::CollectorConfig;
use crate::Surroundings;
use crate::access::Access;
use crate::admission::{Admission, Buffered, Share};
use crate::telemetry::{IngestTelemetry, Transport};

/// Bodies up to this size are decoded where they were read: about 200 µs, less than a change of thread is worth.
const INLINE_BYTES_MAX: usize = 128 << 10;

/// Compressed bodies up to this size, which usually hold about eight times as much, are tried; those that hold more than the above
/// are not, and begin again elsewhere.
const INLINE_COMPRESSED_BYTES_MAX: usize = 16 << 10;

/// Columns may take this many times the bytes of their body, and `EXPANSION_FREE_BYTES`. What SDKs send takes about as much as its
/// body, a span of nothing but ids 10 times (so 250,000 of them are free), and the worst that was found, events of nothing, 15 times.
const EXPANSION_MAX: usize = 8;
const EXPANSION_FREE_BYTES: usize = 16 << 20;

/// How much more a compressed body usually holds.
const INFLATES_BY: usize = 8;

/// Taken for the length of a body that does not say it, until something is known of those that came.
const FIRST_LENGTH: usize = 64 << 10;

/// Where accepted spans go. The store, or a stand-in for tests of what a busy or failing store leads to.
pub(crate) trait Sink: Send + Sync {
    /// How close it is to its limits.
    fn pressure(&self) -> Pressure;

    /// How full its buffer is.
    fn buffered(&self) -> Buffered;

    /// Makes a request durable.
    fn append(&self, frame: Frame, batch: SpanBatch) -> Appending<'_>;
}

/// A write under way.
pub(crate) type Appending<'s> = Pin<Box<dyn Future<Output = Result<Committed, StorageError>> + Send + 's>>;

impl Sink for Store {
    fn pressure(&self) -> Pressure {
        Self::pressure(self)
    }

    fn buffered(&self) -> Buffered {
        let (bytes, bytes_max) = self.buffered_bytes();
        Buffered { bytes, bytes_max }
    }

    fn append(&self, frame: Frame, batch: SpanBatch) -> Appending<'_> {
        Box::pin(Self::append(self, frame, batch))
    }
}

/// A request as received.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) transport: Transport,
    pub(crate) payload: Bytes,
    pub(crate) format: PayloadFormat,
    pub(crate) compression: PayloadCompression,
    pub(crate) share: Share,
}

/// What a request brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Spans.
    Traces,
    /// Log records, of which evaluations of feature flags are kept.
    Logs,
}

/// What to tell a client whose request was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Spans or log records rejected for good.
    pub(crate) rejected: u64,
    /// Why; empty when none was.
    pub(crate) message: String,
}

/// What both transports share.
pub(crate) struct Ingest {
    sink: Arc<dyn Sink>,
    clock: Arc<dyn Clock>,
    config: CollectorConfig,
    access: Arc<Access>,
    ready: Arc<dyn Fn() -> bool + Send + Sync>,
    limits: Limits,
    admission: Arc<Admission>,
    /// About the length of the latest bodies.
    usual_length: AtomicUsize,
    telemetry: Arc<IngestTelemetry>,
    /// One permit per core: decoding is pure computation.
    decoders: Semaphore,
    /// Requests in work.
    tasks: TaskTracker,
    /// Cancelled when the requests in work must be answered now.
    deadline: CancellationToken,
}

impl Ingest {
    pub(crate) fn new(
        config: CollectorConfig,
        surroundings: Surroundings,
        sink: Arc<dyn Sink>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let Surroundings { access, seed, ready } = surroundings;
        let admission = Arc::new(Admission::new(config.inflight_bytes_max, config.admission_wait, seed));
        let telemetry = Arc::new(IngestTelemetry::new(Arc::clone(&admission), config.inflight_bytes_max));
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            sink,
            clock,
            config,
            access: Arc::new(access),
            ready,
            limits: Limits { key_seed: seed, ..Limits::default() },
            admission,
            usual_length: AtomicUsize::new(FIRST_LENGTH),
            telemetry,
            decoders: Semaphore::new(cores),
            tasks: TaskTracker::new(),
            deadline: CancellationToken::new(),
        }
    }

    pub(crate) fn config(&self) -> &CollectorConfig {
        &self.config
    }

    pub(crate) fn access(&self) -> &Arc<Access> {
        &self.access
    }

    /// Whether the server is ready for exports.
    pub(crate) fn is_ready(&self) -> bool {
        (self.ready)()
    }

    pub(crate) fn telemetry(&self) -> &Arc<IngestTelemetry> {
        &self.telemetry
    }

    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// Cancelled when requests in work must be answered now.
    pub(crate) fn deadline(&self) -> &CancellationToken {
        &self.deadline
    }

    /// Limits of reading a body of up to `bytes_max`.
    pub(crate) fn body_limits(&self, bytes_max: usize) -> BodyLimits {
        BodyLimits {
            bytes_max,
            stretch: self.config.read_timeout,
            stretch_bytes_min: self.config.stretch_bytes_min(),
            time_max: self.config.body_timeout,
        }
    }

    /// Whether a request shows what it must.
    pub(crate) fn authenticate(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        if self.access.admits(headers) { Ok(()) } else { Err(Refusal::Unauthenticated) }
    }

    /// Whether a request of `peer` may come in, before its body is read; what it will probably take is set aside then. `length` is that
    /// of its body, where its header tells.
    pub(crate) fn admit(&self, peer: IpAddr, length: Option<usize>, compressed: bool) -> Result<Share, Refusal> {
        let bytes_max = self.config.request_bytes_max;
        if length.is_some_and(|length| length > bytes_max) {
            return Err(Refusal::TooLarge { bytes_max });
        }
        let length = length.unwrap_or_else(|| self.usual_length.load(Ordering::Relaxed).min(bytes_max));
        let cost = self.likely_cost(length, compressed);
        let share = self.admission.enter(peer, cost, self.sink.buffered()).map_err(Refusal::Denied)?;
        match self.sink.pressure() {
            Pressure::Ready => Ok(share),
            Pressure::Busy { reason } => Err(Refusal::Shed(Shed::StoreBusy, reason.into())),
        }
    }

    /// What a request with a body of that length will probably take until it is answered.
    pub(crate) fn likely_cost(&self, length: usize, compressed: bool) -> usize {
        if !compressed {
            return length.saturating_add(likely_columns(length));
        }
        let body = length.saturating_mul(INFLATES_BY).min(self.config.request_bytes_max);
        length.saturating_add(body).saturating_add(likely_columns(body))
    }

    /// Learns from the length of a body that came.
    fn learn_length(&self, length: usize) {
        let usual = self.usual_length.load(Ordering::Relaxed);
        self.usual_length.store(usual.saturating_sub(usual / 8).saturating_add(length / 8), Ordering::Relaxed);
    }

    /// Counts a refusal under its name.
    pub(crate) fn count_refusal(&self, refusal: &Refusal) {
        if refusal.retry_after().is_some() {
            self.telemetry.count_shed(refusal.name());
        } else {
            self.telemetry.count_refused(refusal.name());
        }
    }

    /// Takes a request of either kind.
    pub(crate) async fn take(self: &Arc<Self>, signal: Signal, request: Request) -> Result<Answer, Refusal> {
        match signal {
            Signal::Traces => self.export(request).await,
            Signal::Logs => self.export_logs(request).await,
        }
    }

    /// Stores the evaluations of feature flags among log records, as spans; every other record is rejected.
    async fn export_logs(self: &Arc<Self>, request: Request) -> Result<Answer, Refusal> {
        let (request, found) = self.evaluations(request).await?;
        let mut answer = Answer { rejected: found.rejected(), message: found.message() };
        let mut kept = found.kept;
        if !request.payload.is_empty() {
            let stored = self.export(request).await?;
            kept = kept.saturating_sub(stored.rejected);
            answer.rejected = answer.rejected.saturating_add(stored.rejected);
            let messages = [answer.message, stored.message];
            answer.message = messages.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("; ");
        }
        self.telemetry.count_log_records(kept, &found.unwanted);
        Ok(answer)
    }

    /// The request of spans that stands for one of log records, and what it leaves out.
    async fn evaluations(self: &Arc<Self>, mut request: Request) -> Result<(Request, Evaluations), Refusal> {
        if let Some(body) = self.small_body(&request)? {
            if !request.share.spend(body.len().saturating_mul(SPLICED_MAX)).await {
                return Err(Refusal::no_room());
            }
            return spliced(request, &body);
        }
        let Ok(_slot) = self.decoders.acquire().await else {
            return Err(Refusal::Internal("the decoders are closed".to_owned()));
        };
        let (inflated, body) = self.likely_body(&request);
        prepare(&mut request.share, inflated.saturating_add(body.saturating_mul(SPLICED_MAX))).await?;
        let ingest = Arc::clone(self);
        let read = tokio::task::spawn_blocking(move || {
            let body = ingest.inflated(&mut request)?;
            if !request.share.try_spend(body.len().saturating_mul(SPLICED_MAX)) {
                return Err(Refusal::no_room());
            }
            spliced(request, &body)
        });
        read.await.unwrap_or_else(|panic| Err(contained(&panic)))
    }

    /// Decodes and stores a request. It goes on when the caller is dropped: an append cannot be taken back.
    pub(crate) async fn export(self: &Arc<Self>, request: Request) -> Result<Answer, Refusal> {
        let ingest = Arc::clone(self);
        let work = self.tasks.spawn(async move { ingest.run(request).await });
        tokio::select! {
            biased;
            done = work => done.unwrap_or_else(|panic| Err(contained(&panic))),
            () = self.deadline.cancelled() => Err(Refusal::Shed(
                Shed::ShuttingDown,
                "the server is stopping; the request may have been stored, and sending it again does no harm".into(),
            )),
        }
    }

    async fn run(self: Arc<Self>, request: Request) -> Result<Answer, Refusal> {
        let received = self.clock.now();
        self.learn_length(request.payload.len());
        let (Request { transport, payload, format, compression, share }, request_hash, decoded) =
            self.decode(request, received).await?;
        let Decoded { batch, received: spans, rejected, reasons } = decoded;
        let stored = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let mut duplicate = false;
        if !batch.is_empty() {
            let frame = Frame { payload, format, compression, request_hash, received, rejected };
            let committed = self.sink.append(frame, batch).await.map_err(|error| {
                match &error {
                    // That many requests are told to come back is told by their count.
                    StorageError::Full { .. } => debug!(%error, spans = stored, "request not stored"),
                    _ => warn!(error = &error as &dyn std::error::Error, spans = stored, "request not stored"),
                }
                Refusal::from(&error)
            })?;
            duplicate = committed.duplicate;
            let elapsed = self.clock.now().0.saturating_sub(received.0);
            self.telemetry.count_fresh(Duration::from_nanos(u64::try_from(elapsed).unwrap_or(0)));
        }
        share.finish();
        self.telemetry.count_spans(transport, stored, duplicate, &reasons);
        Ok(answer(spans, &reasons))
    }

    async fn decode(
        self: &Arc<Self>,
        mut request: Request,
        received: UnixNanos,
    ) -> Result<(Request, u128, Decoded), Refusal> {
        if let Some(body) = self.small_body(&request)? {
            let inflated = if request.compression == PayloadCompression::None { 0 } else { body.len() };
            prepare(&mut request.share, inflated.saturating_add(likely_columns(body.len()))).await?;
            if !request.share.spend(inflated).await {
                return Err(Refusal::no_room());
            }
            return self.decode_now(request, &body, received);
        }
        let Ok(_slot) = self.decoders.acquire().await else {
            return Err(Refusal::Internal("the decoders are closed".to_owned()));
        };
        // Wait here for what it will probably need; inflating and decoding do not wait.
        let (inflated, body) = self.likely_body(&request);
        prepare(&mut request.share, inflated.saturating_add(likely_columns(body))).await?;
        let ingest = Arc::clone(self);
        let decoded = tokio::task::spawn_blocking(move || {
            let body = ingest.inflated(&mut request)?;
            ingest.decode_now(request, &body, received)
        });
        decoded.await.unwrap_or_else(|panic| Err(contained(&panic)))
    }

    /// The body, if it is so small that it may be decoded where it was read. A compressed one is inflated up to that size to see.
    pub(crate) fn small_body(&self, request: &Request) -> Result<Option<Bytes>, Refusal> {
        let bytes_max = INLINE_BYTES_MAX.min(self.config.request_bytes_max);
        let payload = &request.payload;
        if request.compression == PayloadCompression::None {
            return Ok((payload.len() <= INLINE_BYTES_MAX).then(|| payload.clone()));
        }
        if payload.len() > INLINE_COMPRESSED_BYTES_MAX {
            return Ok(None);
        }
        match inflate(payload, request.compression, bytes_max, |_| true) {
            Ok(body) => Ok(Some(body.into())),
            Err(InflateError::TooLarge { .. }) if bytes_max < self.config.request_bytes_max => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// What inflating will probably take, and how long the body will then be.
    fn likely_body(&self, request: &Request) -> (usize, usize) {
        let length = request.payload.len();
        if request.compression == PayloadCompression::None {
            return (0, length);
        }
        let likely = length.saturating_mul(INFLATES_BY).max(64 << 10).min(self.config.request_bytes_max);
        (likely, likely)
    }

    fn inflated(&self, request: &mut Request) -> Result<Bytes, Refusal> {
        let Request { payload, compression, share, .. } = request;
        if *compression == PayloadCompression::None {
            return Ok(payload.clone());
        }
        let body = inflate(payload, *compression, self.config.request_bytes_max, |bytes| share.try_spend(bytes))?;
        Ok(body.into())
    }

    fn decode_now(
        &self,
        mut request: Request,
        body: &[u8],
        received: UnixNanos,
    ) -> Result<(Request, u128, Decoded), Refusal> {
        let share = &mut request.share;
        let bytes_max = EXPANSION_MAX.saturating_mul(body.len()).saturating_add(EXPANSION_FREE_BYTES);
        let room = Room { bytes_max: bytes_max.min(share.most()), take: &mut |bytes| share.try_spend(bytes) };
        let decoded = decode::within(body, request.format, received, &self.limits, room)?;
        let hash = xxh3_128(body);
        share.give_back_unused();
        Ok((request, hash, decoded))
    }
}

/// Bytes that splicing log records into spans takes at most, as a multiple of their body: the shortest evaluation has 120 bytes, its span 90
/// more, and both are held twice while their lengths are found.
const SPLICED_MAX: usize = 4;

/// The request of spans that stands for one of log records.
fn spliced(request: Request, body: &[u8]) -> Result<(Request, Evaluations), Refusal> {
    let mut found = Evaluations::read(body, request.format)?;
    let payload = std::mem::take(&mut found.payload).into();
    Ok((Request { payload, compression: PayloadCompression::None, ..request }, found))
}

/// Takes `bytes` ahead, or as many of them as there can ever be: what goes beyond is refused when it is met.
async fn prepare(share: &mut Share, bytes: usize) -> Result<(), Refusal> {
    if share.prepare(bytes.min(share.most())).await { Ok(()) } else { Err(Refusal::no_room()) }
}

/// What the columns of a body will probably take: those of SDKs as much as their encoding, and some more.
fn likely_columns(body: usize) -> usize {
    body.saturating_add(body / 8)
}

fn contained(panic: &tokio::task::JoinError) -> Refusal {
    error!(error = panic as &dyn std::error::Error, "a bug was contained while handling a request");
    Refusal::Shed(Shed::Panic, "the server failed on this request; send it again".into())
}

fn answer(spans: u32, reasons: &Rejections) -> Answer {
    let rejected = reasons.total();
    if rejected == 0 {
        return Answer { rejected, message: String::new() };
    }
    let message = reasons.message(spans);
    debug!(rejected, spans, %message, "spans rejected");
    Answer { rejected, message }
}

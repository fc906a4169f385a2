//! [`Ingest`]: what happens to a request between its last byte and its answer, whichever transport brought it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use daytwo_storage::{
    Clock, Committed, Frame, PayloadCompression, PayloadFormat, Pressure, SpanBatch, StorageError, Store,
};
use http::HeaderMap;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, warn};
use xxhash_rust::xxh3::xxh3_128;

use super::body::BodyLimits;
use super::decode::{self, Decoded, Limits, Rejections};
use super::inflate::inflate;
use super::status::{Refusal, Shed};
use crate::CollectorConfig;
use crate::access::Access;
use crate::admission::{Admission, Share};
use crate::telemetry::IngestTelemetry;

/// Bodies up to this size are decoded where they were read: about 200 µs, less than a change of thread is worth.
const INLINE_BYTES_MAX: usize = 128 << 10;

/// The same for compressed bodies, which hold about eight times as much.
const INLINE_COMPRESSED_BYTES_MAX: usize = 16 << 10;

/// Where accepted spans go. The store, or a stand-in for tests of what a busy or failing store leads to.
pub(crate) trait Sink: Send + Sync {
    /// How close it is to its limits.
    fn pressure(&self) -> Pressure;

    /// Makes a request durable.
    fn append(&self, frame: Frame, batch: SpanBatch) -> Appending<'_>;
}

/// A write under way.
pub(crate) type Appending<'s> = Pin<Box<dyn Future<Output = Result<Committed, StorageError>> + Send + 's>>;

impl Sink for Store {
    fn pressure(&self) -> Pressure {
        Self::pressure(self)
    }

    fn append(&self, frame: Frame, batch: SpanBatch) -> Appending<'_> {
        Box::pin(Self::append(self, frame, batch))
    }
}

/// A request as received.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) payload: Bytes,
    pub(crate) format: PayloadFormat,
    pub(crate) compression: PayloadCompression,
    pub(crate) share: Share,
}

/// What to tell a client whose request was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Spans rejected for good.
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
    limits: Limits,
    admission: Arc<Admission>,
    telemetry: Arc<IngestTelemetry>,
    /// One permit per core: decoding is pure computation.
    decoders: Semaphore,
    /// Requests in work.
    tasks: TaskTracker,
    /// Cancelled when the requests in work must be answered now.
    deadline: CancellationToken,
}

impl Ingest {
    pub(crate) fn new(config: CollectorConfig, access: Access, sink: Arc<dyn Sink>, clock: Arc<dyn Clock>) -> Self {
        let admission = Arc::new(Admission::new(config.inflight_bytes_max, config.admission_wait));
        let telemetry = Arc::new(IngestTelemetry::new(Arc::clone(&admission), config.inflight_bytes_max));
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            sink,
            clock,
            config,
            access: Arc::new(access),
            limits: Limits::default(),
            admission,
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

    /// Whether a request may come in at all, before its body is read; an empty share of the budget if so.
    pub(crate) fn admit(&self) -> Result<Share, Refusal> {
        match self.sink.pressure() {
            Pressure::Ready => Ok(self.admission.share()),
            Pressure::Busy { reason } => Err(Refusal::Shed(Shed::StoreBusy, reason)),
        }
    }

    /// Counts a refusal under its name.
    pub(crate) fn count_refusal(&self, refusal: &Refusal) {
        if refusal.retry_after().is_some() {
            self.telemetry.count_shed(refusal.name());
        } else {
            self.telemetry.count_refused(refusal.name());
        }
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
                "the server is stopping; the request may have been stored, and sending it again does no harm".to_owned(),
            )),
        }
    }

    async fn run(self: Arc<Self>, request: Request) -> Result<Answer, Refusal> {
        let received = self.clock.now();
        let (Request { payload, format, compression, share }, request_hash, decoded) =
            self.decode(request, received).await?;
        let Decoded { batch, received: spans, rejected, reasons } = decoded;
        let stored = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let mut duplicate = false;
        if !batch.is_empty() {
            let frame = Frame { payload, format, compression, request_hash, received, rejected };
            let committed = self.sink.append(frame, batch).await.map_err(|error| {
                warn!(error = &error as &dyn std::error::Error, spans = stored, "request not stored");
                Refusal::from(&error)
            })?;
            duplicate = committed.duplicate;
        }
        drop(share);
        self.telemetry.count_spans(stored, duplicate, &reasons);
        Ok(answer(spans, &reasons))
    }

    async fn decode(
        self: &Arc<Self>,
        request: Request,
        received: daytwo_storage::UnixNanos,
    ) -> Result<(Request, u128, Decoded), Refusal> {
        let inline_max = match request.compression {
            PayloadCompression::None => INLINE_BYTES_MAX,
            PayloadCompression::Gzip | PayloadCompression::Zstd => INLINE_COMPRESSED_BYTES_MAX,
        };
        let mut request = request;
        if request.compression != PayloadCompression::None {
            // Wait here for what the body will probably need; inflating itself does not wait.
            let likely = request.payload.len().saturating_mul(8).max(64 << 10).min(self.config.request_bytes_max);
            if !request.share.prepare(likely).await {
                return Err(Refusal::no_room());
            }
        }
        if request.payload.len() <= inline_max {
            return self.decode_now(request, received);
        }
        let Ok(_slot) = self.decoders.acquire().await else {
            return Err(Refusal::Internal("the decoders are closed".to_owned()));
        };
        let ingest = Arc::clone(self);
        let decoded = tokio::task::spawn_blocking(move || ingest.decode_now(request, received)).await;
        decoded.unwrap_or_else(|panic| Err(contained(&panic)))
    }

    fn decode_now(
        &self,
        mut request: Request,
        received: daytwo_storage::UnixNanos,
    ) -> Result<(Request, u128, Decoded), Refusal> {
        let inflated;
        let body: &[u8] = match request.compression {
            PayloadCompression::None => &request.payload,
            compression => {
                let share = &mut request.share;
                let reserve = |bytes| share.try_spend(bytes);
                inflated = inflate(&request.payload, compression, self.config.request_bytes_max, reserve)?;
                &inflated
            }
        };
        let decoded = match request.format {
            PayloadFormat::Protobuf => decode::protobuf(body, received, &self.limits)?,
            PayloadFormat::Json => decode::json(body, received, &self.limits)?,
        };
        let hash = xxh3_128(body);
        Ok((request, hash, decoded))
    }
}

fn contained(panic: &tokio::task::JoinError) -> Refusal {
    error!(error = panic as &dyn std::error::Error, "a bug was contained while handling a request");
    Refusal::Shed(Shed::Panic, "the server failed on this request; send it again".to_owned())
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

//! The shop floor: begins journeys, holds spans back until they end, and batches them per pod.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::exporting::Queues;
use super::{Now, Progress, ShopConfig};
use crate::corpus::{Corpus, CorpusConfig};
use crate::encode::{self, ExportRequest};
use crate::model::{FinishedSpan, Model};
use crate::pods::PodId;

/// How often journeys begin and batches are looked at.
const TICK: Duration = Duration::from_millis(50);

/// A shop that was held up (a suspended machine) does not make up for more than this.
const CATCH_UP_MAX: Duration = Duration::from_secs(10);

/// Journeys of the backfill count from here, so that they never meet those of the day.
const BACKFILL_FIRST: u64 = 1 << 40;

/// A span that is still going on, ordered by its end.
struct Open(FinishedSpan);

impl Open {
    fn end(&self) -> u64 {
        self.0.span.end_time_unix_nano
    }
}

impl PartialEq for Open {
    fn eq(&self, other: &Self) -> bool {
        self.end() == other.end()
    }
}

impl Eq for Open {}

impl PartialOrd for Open {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Open {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.end().cmp(&other.end())
    }
}

/// What one pod's SDK holds.
#[derive(Default)]
struct Batch {
    spans: Vec<FinishedSpan>,
    oldest: u64,
}

pub(super) struct Floor {
    model: Arc<Model>,
    progress: Arc<watch::Sender<Progress>>,
    queues: Queues,
    batch_spans: usize,
    batch_delay: u64,
    interval: u64,
    origin: u64,
    next_start: u64,
    next_journey: u64,
    open: BinaryHeap<Reverse<Open>>,
    batches: Vec<Batch>,
}

impl Floor {
    pub(super) fn new(
        config: &ShopConfig,
        model: Arc<Model>,
        (origin, queues): (u64, Queues),
        progress: Arc<watch::Sender<Progress>>,
    ) -> Self {
        let batches = model.pods().iter().map(|_| Batch::default()).collect();
        Self {
            model,
            progress,
            queues,
            batch_spans: config.batch_spans.max(1),
            batch_delay: nanos(config.batch_delay),
            interval: interval(config),
            origin,
            next_start: origin,
            next_journey: 0,
            open: BinaryHeap::new(),
            batches,
        }
    }

    pub(super) async fn run(mut self, now: Now, stop: &CancellationToken) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = ticks.tick() => self.tick(now()),
            }
        }
        self.send_batches(u64::MAX);
    }

    fn tick(&mut self, now: u64) {
        self.next_start = self.next_start.max(now.saturating_sub(nanos(CATCH_UP_MAX)));
        while self.next_start <= now {
            let spans = self.model.trace(self.next_journey, self.next_start);
            self.open.extend(spans.into_iter().map(|span| Reverse(Open(span))));
            self.next_journey += 1;
            self.next_start += self.interval;
        }
        let ended = self.collect_ended(now);
        self.send_batches(now);
        self.note(ended, now);
    }

    fn collect_ended(&mut self, now: u64) -> u64 {
        let mut ended = 0;
        while self.open.peek().is_some_and(|Reverse(open)| open.end() <= now) {
            let Some(Reverse(Open(span))) = self.open.pop() else { break };
            ended += 1;
            let Some(batch) = self.batches.get_mut(span.pod.0) else { continue };
            if batch.spans.is_empty() {
                batch.oldest = now;
            }
            batch.spans.push(span);
        }
        ended
    }

    /// Hands batches that are full or old enough to their service's exporter.
    fn send_batches(&mut self, now: u64) {
        for (pod, batch) in self.batches.iter_mut().enumerate() {
            let due = now.saturating_sub(batch.oldest) >= self.batch_delay;
            while batch.spans.len() >= self.batch_spans || (due && !batch.spans.is_empty()) {
                let spans = batch.spans.drain(..batch.spans.len().min(self.batch_spans)).collect();
                send(&self.model, PodId(pod), spans, &self.queues, &self.progress);
            }
        }
    }

    fn note(&self, ended: u64, now: u64) {
        let since = Duration::from_nanos(now.saturating_sub(self.origin));
        let begun = self.model.releases().iter().filter(|release| release.at <= since);
        let begun: Vec<_> = begun.map(|release| (release.service.clone(), release.to_version.clone())).collect();
        self.progress.send_modify(|progress| {
            progress.journeys = self.next_journey;
            progress.spans += ended;
            progress.releases = begun;
        });
    }
}

fn send(model: &Model, pod: PodId, spans: Vec<FinishedSpan>, queues: &Queues, progress: &watch::Sender<Progress>) {
    let Some(request) = encode::protobuf(model.pods(), pod, spans) else { return };
    let spans = u64::try_from(request.spans).unwrap_or(u64::MAX);
    let queued = queues.get(request.service).is_some_and(|queue| queue.try_send(request).is_ok());
    if !queued {
        progress.send_modify(|progress| {
            progress.spans_dropped += spans;
            progress.last_error = Some("the queue of a service's exporter is full".into());
        });
    }
}

/// Sends the history before `origin`, waiting for room in the queues.
pub(super) async fn backfill(
    config: &ShopConfig,
    model: &Model,
    (origin, queues): (u64, Queues),
    progress: &watch::Sender<Progress>,
    stop: &CancellationToken,
) {
    let span = nanos(config.backfill);
    let corpus = CorpusConfig {
        batch_spans: config.batch_spans,
        start_unix_nano: origin.saturating_sub(span),
        trace_interval: Duration::from_nanos(interval(config)),
        first_trace: BACKFILL_FIRST,
    };
    // The last second is left out, so that no span of the history ends in the future.
    let traces = span.saturating_sub(1_000_000_000) / interval(config);
    let mut corpus = Corpus::new(model, corpus).limited_to(traces);
    for request in corpus.by_ref() {
        if !push(&queues, request, progress, stop).await {
            return;
        }
    }
    for request in corpus.finish() {
        if !push(&queues, request, progress, stop).await {
            return;
        }
    }
}

/// Queues a request of the backfill; `false` once the shop closes.
async fn push(
    queues: &Queues,
    request: ExportRequest,
    progress: &watch::Sender<Progress>,
    stop: &CancellationToken,
) -> bool {
    let Some(queue) = queues.get(request.service) else { return true };
    let spans = u64::try_from(request.spans).unwrap_or(u64::MAX);
    let queued = tokio::select! {
        () = stop.cancelled() => false,
        sent = queue.send(request) => sent.is_ok(),
    };
    if queued {
        progress.send_modify(|progress| progress.spans += spans);
    }
    queued
}

/// Time between two journeys, at least a microsecond.
fn interval(config: &ShopConfig) -> u64 {
    let seconds = 1.0 / config.scenario.traces_per_second.max(0.001);
    nanos(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_secs(1))).max(1_000)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

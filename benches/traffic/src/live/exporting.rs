//! One exporter per service, each with its queue.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{Progress, ShopConfig};
use crate::encode::ExportRequest;
use crate::export::{Answer, Exporter, RetryPolicy, Sent, SetupError, send_until_answered};
use crate::shop::SERVICES;

/// The services' queues, by service name.
pub(super) type Queues = BTreeMap<&'static str, mpsc::Sender<ExportRequest>>;

/// The exporters at work.
pub(super) struct Exporting {
    queues: Queues,
    tasks: JoinSet<()>,
    /// Cancelled when there is no more time to send anything.
    closed: CancellationToken,
}

impl Exporting {
    pub(super) fn start(
        config: &ShopConfig,
        progress: &Arc<watch::Sender<Progress>>,
        stop: &CancellationToken,
    ) -> Result<Self, SetupError> {
        let (mut queues, mut tasks) = (BTreeMap::new(), JoinSet::new());
        let closed = CancellationToken::new();
        for (number, service) in (0_u64..).zip(&SERVICES) {
            let (sender, queue) = mpsc::channel(config.queue_batches.max(1));
            queues.insert(service.name, sender);
            let worker = Worker {
                exporter: Exporter::new(service.export, &config.endpoints, config.timeout)?,
                retry: config.retry,
                rng: StdRng::seed_from_u64(config.seed ^ number),
                progress: Arc::clone(progress),
                stop: stop.clone(),
                closed: closed.clone(),
            };
            tasks.spawn(worker.run(queue));
        }
        Ok(Self { queues, tasks, closed })
    }

    pub(super) fn queues(&self) -> Queues {
        self.queues.clone()
    }

    /// Waits until the queues, which nobody fills any more, are empty; after `most`, what is left is given up.
    pub(super) async fn close(mut self, most: Duration) {
        self.queues.clear();
        let closed = self.closed.clone();
        let late = async move {
            tokio::time::sleep(most).await;
            debug!("closed with batches left to send");
            closed.cancel();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = async { while self.tasks.join_next().await.is_some() {} } => {}
            () = late => {}
        }
    }
}

struct Worker {
    exporter: Exporter,
    retry: RetryPolicy,
    rng: StdRng,
    progress: Arc<watch::Sender<Progress>>,
    stop: CancellationToken,
    closed: CancellationToken,
}

impl Worker {
    async fn run(mut self, mut queue: mpsc::Receiver<ExportRequest>) {
        while let Some(request) = queue.recv().await {
            let sent = self.send(&request).await;
            self.note(&request, sent);
        }
    }

    async fn send(&mut self, request: &ExportRequest) -> Sent {
        let body = self.exporter.prepare(&request.body);
        let sending = send_until_answered(&self.exporter, body, &self.retry, &mut self.rng, &self.stop);
        tokio::select! {
            biased;
            () = self.closed.cancelled() => {
                Sent { answer: Answer::Lost { reason: "the shop has closed".into() }, attempts: 1, lost_before: false }
            }
            sent = sending => sent,
        }
    }

    fn note(&self, request: &ExportRequest, sent: Sent) {
        let spans = u64::try_from(request.spans).unwrap_or(u64::MAX);
        self.progress.send_modify(|progress| {
            progress.retries += u64::from(sent.attempts - 1);
            match sent.answer {
                Answer::Accepted { rejected_spans } => {
                    progress.requests_acked += 1;
                    progress.spans_rejected += rejected_spans;
                    progress.spans_acked += spans.saturating_sub(rejected_spans);
                }
                Answer::Retry { reason, .. } | Answer::Refused { reason } | Answer::Lost { reason } => {
                    warn!(service = request.service, spans, reason, "export given up");
                    progress.spans_dropped += spans;
                    progress.last_error = Some(reason);
                }
            }
        });
    }
}

//! Encoding requests ahead of sending them, a round at a time, on a thread of its own.

use std::time::Duration;

use bytes::Bytes;
use daytwo_traffic::export::prepare;
use daytwo_traffic::shop::Export;
use daytwo_traffic::{Corpus, CorpusConfig, FinishedSpan, Model, ModelConfig, PodId, encode, ledger};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// A request ready for the wire.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    /// Number of the request in its run, from 0.
    pub(crate) seq: u64,
    /// Spans in it.
    pub(crate) spans: u64,
    /// Bytes of the protobuf message before compression.
    pub(crate) otlp_bytes: u64,
    /// What goes over the wire.
    pub(crate) body: Bytes,
}

/// What is encoded.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) batch_spans: usize,
    pub(crate) export: Export,
    /// Spans in all; `None` for no end.
    pub(crate) spans: Option<u64>,
    /// Spans encoded ahead.
    pub(crate) round_spans: u64,
    pub(crate) start_unix_nano: u64,
    pub(crate) trace_interval: Duration,
    /// Name of the run, put on every span with the request's number, for a ledger.
    pub(crate) run: Option<String>,
}

/// The encoder: gives one round for each time it is asked.
pub(crate) struct Rounds {
    ask: mpsc::Sender<()>,
    rounds: mpsc::Receiver<Vec<Prepared>>,
    task: JoinHandle<()>,
}

impl Rounds {
    pub(crate) fn start(plan: Plan) -> Self {
        let (ask, asked) = mpsc::channel(1);
        let (sender, rounds) = mpsc::channel(1);
        let task = tokio::task::spawn_blocking(move || encode_rounds(&plan, asked, &sender));
        Self { ask, rounds, task }
    }

    /// Lets the next round be encoded while the current one is sent.
    pub(crate) fn ask(&self) {
        // A full channel already asks, and a closed one means that there is nothing more.
        self.ask.try_send(()).ok();
    }

    /// The round asked for; `None` after the last.
    pub(crate) async fn next(&mut self) -> Option<Vec<Prepared>> {
        self.rounds.recv().await
    }

    /// Stops encoding.
    pub(crate) async fn stop(self) -> Result<(), tokio::task::JoinError> {
        drop((self.ask, self.rounds));
        self.task.await
    }
}

fn encode_rounds(plan: &Plan, mut asked: mpsc::Receiver<()>, rounds: &mpsc::Sender<Vec<Prepared>>) {
    let model =
        Model::new(ModelConfig { seed: plan.seed, origin_unix_nano: plan.start_unix_nano, ..ModelConfig::default() });
    let config = CorpusConfig {
        batch_spans: plan.batch_spans,
        start_unix_nano: plan.start_unix_nano,
        trace_interval: plan.trace_interval,
        first_trace: 0,
    };
    let mut encoder = Encoder { plan, model: &model, seq: 0, spans: 0 };
    let mut corpus = Some(Corpus::new(&model, config));
    while asked.blocking_recv().is_some() {
        let round = encoder.round(&mut corpus);
        if round.is_empty() || rounds.blocking_send(round).is_err() {
            return;
        }
    }
}

struct Encoder<'p> {
    plan: &'p Plan,
    model: &'p Model,
    seq: u64,
    spans: u64,
}

impl Encoder<'_> {
    /// The next round: full batches, and after the last of them what is left of the traces begun.
    fn round(&mut self, corpus: &mut Option<Corpus<'_>>) -> Vec<Prepared> {
        let (mut round, until) = (Vec::new(), self.spans.saturating_add(self.plan.round_spans));
        while self.spans < until {
            let Some(open) = corpus else { break };
            if !self.is_enough(open) {
                round.extend(open.next_spans().and_then(|(pod, spans)| self.prepare(pod, spans)));
            } else if let Some(last) = corpus.take() {
                round.extend(last.finish_spans().filter_map(|(pod, spans)| self.prepare(pod, spans)));
            }
        }
        round
    }

    /// Whether what was sent and what waits make up the spans of the run.
    fn is_enough(&self, corpus: &Corpus<'_>) -> bool {
        let waiting = u64::try_from(corpus.waiting_spans()).unwrap_or(u64::MAX);
        self.plan.spans.is_some_and(|most| self.spans.saturating_add(waiting) >= most)
    }

    fn prepare(&mut self, pod: PodId, mut spans: Vec<FinishedSpan>) -> Option<Prepared> {
        let seq = self.seq;
        if let Some(run) = &self.plan.run {
            spans.iter_mut().for_each(|span| mark(span, run, seq));
        }
        let request = encode::protobuf(self.model.pods(), pod, spans)?;
        let spans = u64::try_from(request.spans).unwrap_or(u64::MAX);
        self.seq += 1;
        self.spans += spans;
        let otlp_bytes = u64::try_from(request.body.len()).unwrap_or(u64::MAX);
        Some(Prepared { seq, spans, otlp_bytes, body: prepare(self.plan.export, &request.body) })
    }
}

/// Puts the run and the request's number on a span, so that SQL can count what arrived of each request.
pub(crate) fn mark(span: &mut FinishedSpan, run: &str, seq: u64) {
    let attribute = |key: &str, value: Value| KeyValue {
        key: key.into(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    };
    span.span.attributes.push(attribute(ledger::RUN, Value::StringValue(run.into())));
    let seq = i64::try_from(seq).unwrap_or(i64::MAX);
    span.span.attributes.push(attribute(ledger::SEQ, Value::IntValue(seq)));
}

//! The bench corpus: an endless, seeded stream of full batches, each of one pod's spans.
//!
//! A pod's batch is sent when it is full, so batches hold parts of many traces, as from real SDKs.

use std::time::Duration;

use crate::encode::{ExportRequest, protobuf};
use crate::model::{FinishedSpan, Model};
use crate::pods::PodId;

/// How a corpus is cut.
#[derive(Debug, Clone, Copy)]
pub struct CorpusConfig {
    /// Spans of a full batch.
    pub batch_spans: usize,
    /// Start of the first trace, nanoseconds since the Unix epoch.
    pub start_unix_nano: u64,
    /// Time from the start of one trace to that of the next.
    pub trace_interval: Duration,
    /// Number of the first trace; corpora with other ranges of numbers share no trace.
    pub first_trace: u64,
}

impl Default for CorpusConfig {
    fn default() -> Self {
        Self {
            batch_spans: 512,
            // 2026-11-22T12:00:00Z
            start_unix_nano: 1_795_348_800_000_000_000,
            trace_interval: Duration::from_millis(1),
            first_trace: 0,
        }
    }
}

/// The stream of batches. As an iterator it yields full batches, without end unless limited; [`Corpus::finish`] yields the rest.
#[derive(Debug)]
pub struct Corpus<'m> {
    model: &'m Model,
    config: CorpusConfig,
    waiting: Vec<Vec<FinishedSpan>>,
    full: Vec<PodId>,
    next_trace: u64,
    traces_max: u64,
}

impl<'m> Corpus<'m> {
    /// A corpus of this model's traces.
    pub fn new(model: &'m Model, config: CorpusConfig) -> Self {
        let config = CorpusConfig { batch_spans: config.batch_spans.max(1), ..config };
        let waiting = vec![Vec::new(); model.pods().len()];
        Self { model, config, waiting, full: Vec::new(), next_trace: config.first_trace, traces_max: u64::MAX }
    }

    /// The same corpus, but ending after that many traces; what is then left in partial batches is in the rest.
    pub fn limited_to(self, traces_max: u64) -> Self {
        Self { traces_max, ..self }
    }

    /// Traces begun so far.
    pub fn traces(&self) -> u64 {
        self.next_trace - self.config.first_trace
    }

    /// Spans that wait in partial batches.
    pub fn waiting_spans(&self) -> usize {
        self.waiting.iter().map(Vec::len).sum()
    }

    /// The spans of the next full batch; `None` once the last trace has begun and no batch is full.
    pub fn next_spans(&mut self) -> Option<(PodId, Vec<FinishedSpan>)> {
        while self.full.is_empty() && self.traces() < self.traces_max {
            self.begin_trace();
        }
        self.full.pop().and_then(|pod| self.take_batch(pod))
    }

    /// What waits in partial batches, so that all traces begun are whole.
    pub fn finish(self) -> impl Iterator<Item = ExportRequest> + use<'m> {
        let pods = self.model.pods();
        self.finish_spans().filter_map(move |(pod, spans)| protobuf(pods, pod, spans))
    }

    /// The same, before encoding.
    pub fn finish_spans(self) -> impl Iterator<Item = (PodId, Vec<FinishedSpan>)> + use<'m> {
        let full = self.config.batch_spans;
        self.waiting.into_iter().enumerate().flat_map(move |(pod, mut spans)| {
            let mut batches = Vec::new();
            while !spans.is_empty() {
                let batch = spans.drain(..spans.len().min(full)).collect();
                batches.push((PodId(pod), batch));
            }
            batches
        })
    }

    fn begin_trace(&mut self) {
        let nth = self.next_trace;
        self.next_trace += 1;
        let interval = u64::try_from(self.config.trace_interval.as_nanos()).unwrap_or(u64::MAX);
        let start =
            self.config.start_unix_nano.saturating_add((nth - self.config.first_trace).saturating_mul(interval));
        for span in self.model.trace(nth, start) {
            let pod = span.pod;
            if let Some(own) = self.waiting.get_mut(pod.0) {
                own.push(span);
                if own.len() % self.config.batch_spans == 0 {
                    self.full.push(pod);
                }
            }
        }
    }

    fn take_batch(&mut self, pod: PodId) -> Option<(PodId, Vec<FinishedSpan>)> {
        let own = self.waiting.get_mut(pod.0)?;
        let batch = own.drain(..self.config.batch_spans.min(own.len())).collect();
        Some((pod, batch))
    }
}

impl Iterator for Corpus<'_> {
    type Item = ExportRequest;

    fn next(&mut self) -> Option<ExportRequest> {
        let (pod, spans) = self.next_spans()?;
        protobuf(self.model.pods(), pod, spans)
    }
}

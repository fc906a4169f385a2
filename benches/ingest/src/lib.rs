//! What ingestion costs, stage by stage, in CPU time of this process per million spans.
//!
//! Each stage does the work of the one before and adds a step, on the same requests of the bench corpus:
//! [`Stage::Prost`] is what a generated decoder costs; [`Stage::Arrow`] is our decoder; [`Stage::Parquet`] is the ceiling, the
//! work that has to be done with nothing around it; [`Stage::Store`] is the real store with its log, flushes and commits.
//!
//! CPU time rather than wall time, because it is what an operator pays and other work on the machine disturbs it least.

pub mod decoders;
mod replay;
mod stage;
mod store;

use std::time::{Duration, Instant};

use bytes::Bytes;
use daytwo_traffic::{Corpus, CorpusConfig, Model, ModelConfig, cpu};

pub use replay::{Replayed, replay};
pub use stage::{BenchError, RECEIVED, Stage, to_arrow};
pub use store::frame;

/// Spans per request: what SDKs send by default, and what a collector in front of us sends.
pub const BATCHES: [usize; 2] = [512, 8_192];

/// Requests to decode, and what they hold.
#[derive(Debug)]
pub struct Requests {
    /// Bodies of `ExportTraceServiceRequest`, in protobuf.
    pub bodies: Vec<Bytes>,
    /// Spans in all of them.
    pub spans: u64,
    /// Bytes of all of them.
    pub bytes: u64,
}

impl Requests {
    /// Full requests of `batch` spans that hold at least `spans` together.
    pub fn of_corpus(spans: u64, batch: usize) -> Self {
        let model = Model::new(ModelConfig::default());
        let corpus = Corpus::new(&model, CorpusConfig { batch_spans: batch, ..CorpusConfig::default() });
        let mut requests = Self { bodies: Vec::new(), spans: 0, bytes: 0 };
        for request in corpus {
            requests.spans += u64::try_from(request.spans).unwrap_or(u64::MAX);
            requests.bytes += u64::try_from(request.body.len()).unwrap_or(u64::MAX);
            requests.bodies.push(request.body);
            if requests.spans >= spans {
                break;
            }
        }
        requests
    }
}

/// What one run of a stage cost and gave.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    /// CPU time of the process, all threads.
    pub cpu: Duration,
    /// Time on the wall.
    pub wall: Duration,
    /// Spans that came out.
    pub spans: u64,
    /// Bytes that the stage would leave on disk; 0 for stages that write nothing.
    pub written_bytes: u64,
}

impl Measured {
    /// CPU seconds per million spans.
    #[expect(clippy::cast_precision_loss, reason = "counts of a bench stay far below 2^53")]
    pub fn cpu_per_million(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.spans.max(1) as f64
    }
}

/// Runs a stage once.
///
/// # Errors
/// What kept the stage from doing its work.
pub fn measure(stage: Stage, requests: &Requests) -> Result<Measured, BenchError> {
    let (began, cpu_began) = (Instant::now(), cpu::own());
    let done = stage.run(&requests.bodies)?;
    let (cpu, wall) = (cpu::own().saturating_sub(cpu_began), began.elapsed());
    Ok(Measured { cpu, wall, spans: done.spans, written_bytes: done.written_bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: a small log is left behind by a store that was dropped without being closed.
    /// Guarantees: what is timed is a start that brings every span back.
    #[test]
    fn a_start_brings_every_span_back() {
        let requests = Requests::of_corpus(2_000, 64);
        let replayed = replay(&requests).unwrap();
        assert_eq!((replayed.spans, replayed.wal_bytes), (2_048, requests.bytes));
    }

    /// Scenario: a small corpus through every stage.
    /// Guarantees: each stage passes on every span, so that their costs are costs of the same work; the stages that
    /// write leave bytes.
    #[test]
    fn every_stage_keeps_every_span() {
        let requests = Requests::of_corpus(2_000, 64);
        assert_eq!(requests.spans, 2_048);
        for stage in Stage::ALL {
            let measured = measure(stage, &requests).unwrap();
            assert_eq!(measured.spans, 2_048, "{stage:?}");
            assert_eq!(measured.written_bytes > 0, matches!(stage, Stage::Parquet | Stage::Store), "{stage:?}");
        }
    }
}

//! The ledger: what became of each request, one JSON object per line, written as soon as it is known.
//!
//! The first line describes the run: `{"run","batch_spans","export"}`. Each other line is a request:
//! `{"seq","spans","outcome","attempts","lost_before"}` with outcome `ACK` (accepted: all its spans must be there,
//! once), `NACK` (refused, never taken: none may be there) or `UNKNOWN` (no answer: all or none, once). A request of
//! the run that has no line was never sent, or the sender was killed while it was under way. In the table, the spans
//! of a request are those with attributes `daytwo.load.run` and `daytwo.load.seq`.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use daytwo_traffic::export::{Answer, Sent};
use serde_json::json;

use super::LoadError;
use super::rounds::Prepared;

/// What is known of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Accepted.
    Ack,
    /// Refused.
    Nack,
    /// Sent, without an answer.
    Unknown,
}

impl Outcome {
    pub(crate) fn of(sent: &Sent) -> Self {
        match &sent.answer {
            Answer::Accepted { .. } => Self::Ack,
            Answer::Lost { .. } => Self::Unknown,
            Answer::Retry { .. } | Answer::Refused { .. } if sent.lost_before => Self::Unknown,
            Answer::Retry { .. } | Answer::Refused { .. } => Self::Nack,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Ack => "ACK",
            Self::Nack => "NACK",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// An open ledger. Lines are not buffered in this process, so they outlive its death.
#[derive(Debug)]
pub(crate) struct Ledger(File);

impl Ledger {
    pub(crate) fn create(path: &Path, run: &str, batch_spans: usize, export: &str) -> Result<Self, LoadError> {
        let file = File::create(path).map_err(LoadError::io(format!("create ledger {}", path.display())))?;
        let mut ledger = Self(file);
        ledger.line(&json!({ "run": run, "batch_spans": batch_spans, "export": export }))?;
        Ok(ledger)
    }

    pub(crate) fn note(&mut self, request: &Prepared, sent: &Sent) -> Result<(), LoadError> {
        self.line(&json!({
            "seq": request.seq,
            "spans": request.spans,
            "outcome": Outcome::of(sent).name(),
            "attempts": sent.attempts,
            "lost_before": sent.lost_before,
        }))
    }

    pub(crate) fn sync(&self) -> Result<(), LoadError> {
        self.0.sync_data().map_err(LoadError::io("sync the ledger"))
    }

    fn line(&mut self, line: &serde_json::Value) -> Result<(), LoadError> {
        self.0.write_all(format!("{line}\n").as_bytes()).map_err(LoadError::io("write the ledger"))
    }
}

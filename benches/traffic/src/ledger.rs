//! The ledger: what became of each request, one JSON object per line, written as soon as it is known; and the comparison with what
//! a store holds ([`check()`]).
//!
//! The first line describes the run: `{"run","batch_spans","export"}`. Each other line is a request:
//! `{"seq","spans","outcome","attempts","lost_before"}`. In the table, the spans of a request are those with the attributes
//! [`RUN`] and [`SEQ`]. A request of the run that has no line was never sent, or the sender was killed while it was under way.
//!
//! | outcome | spans that must be in the table |
//! |---|---|
//! | `ACK`: accepted | all, once |
//! | `NACK`: asked to send it again later, and not sent again | none, or all once (a server that could not confirm in time may have stored it) |
//! | `REFUSED`: refused for good | none |
//! | `UNKNOWN`, or no line: no answer came | none, or all once |

mod check;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

use serde_json::{Value, json};

use crate::export::{Answer, Sent};
pub use check::{Checked, Stored, check, question, stored};

/// Attribute that names the run of a span.
pub const RUN: &str = "daytwo.load.run";
/// Attribute with the number of a span's request.
pub const SEQ: &str = "daytwo.load.seq";

/// What is known of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Accepted.
    Ack,
    /// To be sent again later.
    Nack,
    /// Sent, without an answer.
    Unknown,
    /// Refused for good.
    Refused,
}

impl Outcome {
    const ALL: [Self; 4] = [Self::Ack, Self::Nack, Self::Unknown, Self::Refused];

    /// The outcome of a request that will not be sent again.
    pub fn of(sent: &Sent) -> Self {
        match &sent.answer {
            Answer::Accepted { .. } => Self::Ack,
            Answer::Lost { .. } => Self::Unknown,
            Answer::Retry { .. } | Answer::Refused { .. } if sent.lost_before => Self::Unknown,
            Answer::Retry { .. } => Self::Nack,
            Answer::Refused { .. } => Self::Refused,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Ack => "ACK",
            Self::Nack => "NACK",
            Self::Unknown => "UNKNOWN",
            Self::Refused => "REFUSED",
        }
    }
}

/// A line: one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Number of the request in its run.
    pub seq: u64,
    /// Spans in it.
    pub spans: u64,
    /// What became of it.
    pub outcome: Outcome,
    /// How often it was sent.
    pub attempts: u32,
    /// Whether an attempt before the last got no answer.
    pub lost_before: bool,
}

impl Entry {
    fn to_json(self) -> Value {
        json!({
            "seq": self.seq,
            "spans": self.spans,
            "outcome": self.outcome.name(),
            "attempts": self.attempts,
            "lost_before": self.lost_before,
        })
    }

    fn parse(line: &Value) -> Option<Self> {
        let name = line["outcome"].as_str()?;
        Some(Self {
            seq: line["seq"].as_u64()?,
            spans: line["spans"].as_u64()?,
            outcome: Outcome::ALL.into_iter().find(|outcome| outcome.name() == name)?,
            attempts: u32::try_from(line["attempts"].as_u64()?).ok()?,
            lost_before: line["lost_before"].as_bool()?,
        })
    }
}

/// An open ledger. Lines are not buffered in this process, so they outlive its death.
#[derive(Debug)]
pub struct Ledger(File);

impl Ledger {
    /// Begins a ledger of a run.
    ///
    /// # Errors
    /// What kept the file from being written.
    pub fn create(path: &Path, run: &str, batch_spans: usize, export: &str) -> io::Result<Self> {
        let mut ledger = Self(File::create(path)?);
        ledger.line(&json!({ "run": run, "batch_spans": batch_spans, "export": export }))?;
        Ok(ledger)
    }

    /// Notes what became of a request.
    ///
    /// # Errors
    /// What kept the line from being written.
    pub fn note(&mut self, entry: Entry) -> io::Result<()> {
        self.line(&entry.to_json())
    }

    /// Makes the lines survive a power cut.
    ///
    /// # Errors
    /// What the operating system answered.
    pub fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn line(&mut self, line: &Value) -> io::Result<()> {
        self.0.write_all(format!("{line}\n").as_bytes())
    }
}

/// Reads a ledger: the name of its run and its lines. A last line that was cut short by the sender's death counts as none.
///
/// # Errors
/// What kept the file from being read, or a line that is no line of a ledger.
pub fn read(path: &Path) -> io::Result<(String, Vec<Entry>)> {
    let malformed = |line: &str| io::Error::other(format!("{}: not a line of a ledger: {line}", path.display()));
    let mut lines = BufReader::new(File::open(path)?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let head: Value = serde_json::from_str(&first).unwrap_or_default();
    let run = head["run"].as_str().ok_or_else(|| malformed(&first))?.to_owned();
    let mut entries = Vec::new();
    let mut lines = lines.peekable();
    while let Some(line) = lines.next().transpose()? {
        match serde_json::from_str(&line).ok().and_then(|line| Entry::parse(&line)) {
            Some(entry) => entries.push(entry),
            None if lines.peek().is_none() => break,
            None => return Err(malformed(&line)),
        }
    }
    Ok((run, entries))
}

#[cfg(test)]
mod tests;

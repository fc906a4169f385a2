//! Feature-flag evaluations in log records: each becomes a span of no length below the span it names, in a trace export request that goes
//! the way of all others, so that it is durable, joined and read again as spans are (ADR 0028). No other record is kept.
//!
//! Both readers borrow from the body; a request of spans is written as it is read, resources, scopes and attributes copied as they came.

mod json;
mod protobuf;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use daytwo_storage::PayloadFormat;

use super::DecodeError;

/// Name of the event, and of the span that stands for it.
pub(super) const EVENT: &str = "feature_flag.evaluation";
/// Names under which it was sent before.
const EVENTS: [&str; 2] = [EVENT, "feature_flag"];
/// The attribute in which older SDKs name the event.
pub(super) const EVENT_NAME: &str = "event.name";
/// The attribute without which there is no flag.
const KEY: &str = "feature_flag.key";
/// Attributes of which one must be there.
const VARIANTS: [&str; 3] = ["feature_flag.result.variant", "feature_flag.variant", "feature_flag.result.value"];

/// Why a log record is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Unwanted {
    /// It is another event, or none.
    NotAnEvaluation,
    /// It names no span to belong to.
    NoContext,
    /// It names no flag or no variant.
    NoVariant,
    /// It says nothing of when it was.
    NoTime,
}

impl Unwanted {
    /// The name under which it is counted.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NotAnEvaluation => "not_an_evaluation",
            Self::NoContext => "no_context",
            Self::NoVariant => "no_variant",
            Self::NoTime => "no_time",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::NotAnEvaluation => {
                "not events named feature_flag.evaluation, and this server keeps traces and of logs only these"
            }
            Self::NoContext => "without a valid trace id and span id to be joined by",
            Self::NoVariant => "without feature_flag.key or feature_flag.result.variant",
            Self::NoTime => "without a time",
        }
    }
}

/// What a request of log records held.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Evaluations {
    /// A trace export request, in the format of the body; empty when no record was kept.
    pub(crate) payload: Vec<u8>,
    /// Records that are in it.
    pub(crate) kept: u64,
    /// The others.
    pub(crate) unwanted: BTreeMap<Unwanted, u64>,
}

impl Evaluations {
    /// Reads the body of an `ExportLogsServiceRequest`.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] when records cannot be told apart.
    pub(crate) fn read(body: &[u8], format: PayloadFormat) -> Result<Self, DecodeError> {
        match format {
            PayloadFormat::Protobuf => protobuf::read(body).map_err(|error| DecodeError::Malformed(error.to_string())),
            PayloadFormat::Json => json::read(body).map_err(DecodeError::Malformed),
        }
    }

    /// Records that are not kept.
    pub(crate) fn rejected(&self) -> u64 {
        self.unwanted.values().sum()
    }

    /// Why, in words; empty when all were kept.
    pub(crate) fn message(&self) -> String {
        let reasons = self.unwanted.iter().map(|(why, count)| format!("{count} {}", why.words()));
        let reasons = reasons.collect::<Vec<_>>().join("; ");
        if reasons.is_empty() {
            return reasons;
        }
        format!("{} of {} log records rejected: {reasons}", self.rejected(), self.rejected().saturating_add(self.kept))
    }

    fn reject(&mut self, why: Unwanted) {
        let count = self.unwanted.entry(why).or_default();
        *count = count.saturating_add(1);
    }
}

/// What decides about a record; ids and times are looked at by the readers.
#[derive(Debug, Default)]
struct Marks {
    named: bool,
    key: bool,
    variant: bool,
}

impl Marks {
    /// Takes the event's own name.
    fn event(&mut self, name: &str) {
        self.named |= EVENTS.contains(&name);
    }

    /// Takes an attribute; its value when that is a text.
    fn attribute(&mut self, name: &str, value: Option<&str>) {
        match name {
            EVENT_NAME => self.event(value.unwrap_or_default()),
            KEY => self.key |= value.is_some_and(|value| !value.is_empty()),
            other => self.variant |= VARIANTS.contains(&other),
        }
    }

    /// What speaks against the record.
    fn verdict(&self, context: bool, time: bool) -> Result<(), Unwanted> {
        match () {
            () if !self.named => Err(Unwanted::NotAnEvaluation),
            () if !context => Err(Unwanted::NoContext),
            () if !(self.key && self.variant) => Err(Unwanted::NoVariant),
            () if !time => Err(Unwanted::NoTime),
            () => Ok(()),
        }
    }
}

/// The id of the span that stands for a record: the same for the same record, however often it comes.
fn span_id(record: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(record).max(1)
}

//! Feature-flag evaluations on spans: in a span's attributes, or in its events `feature_flag` and `feature_flag.evaluation`.
//!
//! Names are those of the semantic conventions, the newest first. What has no key or no variant is no evaluation; what is too long or too much is
//! left out and counted.

use std::sync::Arc;

use arrow::array::{Array, AsArray, MapArray, RecordBatch, StringArray};
use daytwo_storage::schema::col;
use serde_json::{Map, Value};

use super::extract::ResourceCache;

/// What all names begin with.
const PREFIX: &str = "feature_flag.";
/// Names of the key.
pub(crate) const KEY: &str = "feature_flag.key";
/// Names of the variant; a flag without variants has its value there.
const VARIANTS: [&str; 3] = ["feature_flag.result.variant", "feature_flag.variant", "feature_flag.result.value"];
/// Names of the reason.
const REASONS: [&str; 2] = ["feature_flag.result.reason", "feature_flag.evaluation.reason"];
/// Name of the flag's version.
const VERSION: &str = "feature_flag.version";
/// Name of the event, and of the span that stands for a log record of one.
pub(crate) const EVENT: &str = "feature_flag.evaluation";
/// Names of events that are evaluations.
const EVENTS: [&str; 2] = [EVENT, "feature_flag"];
/// Evaluations of one span that count.
pub(crate) const EVALUATIONS_MAX: usize = 32;
/// Bytes of a key, a variant, a reason or a version.
pub(crate) const TEXT_BYTES_MAX: usize = 256;

/// The reason of a variant that was drawn by lot.
pub(crate) const SPLIT: &str = "split";

/// That a flag was asked for, and what it said.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Evaluation {
    /// `feature_flag.key`.
    pub key: Arc<str>,
    /// `feature_flag.result.variant`.
    pub variant: Arc<str>,
    /// `feature_flag.result.reason` in lower case; empty when none was given.
    pub reason: Arc<str>,
    /// `feature_flag.version`; empty when none was given.
    pub version: Arc<str>,
}

/// Reads evaluations out of names and values.
#[derive(Debug, Default)]
struct Parts<'a> {
    key: Option<&'a str>,
    variants: [Option<&'a str>; VARIANTS.len()],
    reasons: [Option<&'a str>; REASONS.len()],
    version: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn take(&mut self, name: &str, value: &'a str) {
        if name == KEY {
            self.key = Some(value);
        } else if name == VERSION {
            self.version = Some(value);
        } else if let Some(at) = VARIANTS.iter().position(|known| *known == name) {
            self.variants[at] = Some(value);
        } else if let Some(at) = REASONS.iter().position(|known| *known == name) {
            self.reasons[at] = Some(value);
        }
    }

    /// The evaluation; `Err` when there is one that is too long to keep.
    fn evaluation(&self, cache: &mut ResourceCache) -> Result<Option<Evaluation>, TooLong> {
        let first = |found: &[Option<&'a str>]| found.iter().copied().flatten().find(|text| !text.is_empty());
        let (Some(key), Some(variant)) = (self.key.filter(|key| !key.is_empty()), first(&self.variants)) else {
            return Ok(None);
        };
        let (reason, version) = (first(&self.reasons).unwrap_or_default(), self.version.unwrap_or_default());
        if [key, variant, reason, version].iter().any(|text| text.len() > TEXT_BYTES_MAX) {
            return Err(TooLong);
        }
        Ok(Some(Evaluation {
            key: cache.text(key),
            variant: cache.text(variant),
            reason: cache.text(&reason.to_lowercase()),
            version: cache.text(version),
        }))
    }
}

struct TooLong;

/// The columns of a batch that may hold evaluations.
pub(super) struct FlagColumns<'b> {
    attributes: Option<&'b MapArray>,
    events: Option<&'b StringArray>,
}

/// Evaluations of one span, and how many were left out.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) evaluations: Vec<Evaluation>,
    pub(super) left_out: u64,
}

impl<'b> FlagColumns<'b> {
    /// The columns of a batch; those that no evaluation is in are not looked at again.
    pub(super) fn of(batch: &'b RecordBatch) -> Self {
        let attributes = batch.column_by_name(col::ATTRIBUTES).and_then(|column| column.as_any().downcast_ref());
        let events = batch.column_by_name(col::EVENTS).and_then(|column| column.as_string_opt::<i32>());
        Self { attributes: attributes.filter(|map| has_flags(map)), events: events.filter(|events| mentions(events)) }
    }

    /// Whether any span of the batch may have evaluations.
    pub(super) fn any(&self) -> bool {
        self.attributes.is_some() || self.events.is_some()
    }

    /// The evaluations of a span, sorted, each once.
    pub(super) fn at(&self, row: usize, cache: &mut ResourceCache) -> Found {
        let mut found = Found::default();
        if let Some(attributes) = self.attributes {
            of_attributes(attributes, row, cache, &mut found);
        }
        let events = self.events.filter(|events| events.is_valid(row)).map(|events| events.value(row));
        if let Some(events) = events.filter(|events| events.contains(PREFIX)) {
            of_events(events, cache, &mut found);
        }
        found.evaluations.sort();
        found.evaluations.dedup();
        let surplus = found.evaluations.len().saturating_sub(EVALUATIONS_MAX);
        found.evaluations.truncate(EVALUATIONS_MAX);
        found.left_out = found.left_out.saturating_add(surplus as u64);
        found
    }
}

impl Found {
    fn take(&mut self, parts: &Parts<'_>, cache: &mut ResourceCache) {
        match parts.evaluation(cache) {
            Ok(evaluation) => self.evaluations.extend(evaluation),
            Err(TooLong) => self.left_out = self.left_out.saturating_add(1),
        }
    }
}

fn texts(column: &dyn Array) -> Option<&StringArray> {
    column.as_string_opt::<i32>()
}

/// Whether a key of a flag is among the keys of a batch.
fn has_flags(map: &MapArray) -> bool {
    texts(map.keys()).is_some_and(|keys| keys.iter().flatten().any(|key| key == KEY))
}

fn mentions(events: &StringArray) -> bool {
    events.iter().flatten().any(|events| events.contains(KEY))
}

fn of_attributes(map: &MapArray, row: usize, cache: &mut ResourceCache, found: &mut Found) {
    let offsets = map.value_offsets();
    let (Some(first), Some(end)) = (offsets.get(row), offsets.get(row.saturating_add(1))) else { return };
    let (Some(keys), Some(values)) = (texts(map.keys()), texts(map.values())) else { return };
    let mut parts = Parts::default();
    for at in usize::try_from(*first).unwrap_or(0)..usize::try_from(*end).unwrap_or(0) {
        let name = keys.value(at);
        if name.starts_with(PREFIX) && values.is_valid(at) {
            parts.take(name, values.value(at));
        }
    }
    found.take(&parts, cache);
}

fn of_events(json: &str, cache: &mut ResourceCache, found: &mut Found) {
    let Ok(Value::Array(events)) = serde_json::from_str::<Value>(json) else { return };
    let is_one = |event: &&Value| event.get("name").and_then(Value::as_str).is_some_and(|name| EVENTS.contains(&name));
    let evaluations = events.iter().filter(is_one);
    for attributes in evaluations.filter_map(|event| event.get("attributes").and_then(Value::as_object)) {
        if found.evaluations.len() >= EVALUATIONS_MAX.saturating_mul(4) {
            found.left_out = found.left_out.saturating_add(1);
            continue;
        }
        of_object(attributes, cache, found);
    }
}

fn of_object(attributes: &Map<String, Value>, cache: &mut ResourceCache, found: &mut Found) {
    let named = attributes.iter().filter(|(name, _)| name.starts_with(PREFIX));
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        _ => None,
    };
    let named: Vec<(&String, String)> = named.filter_map(|(name, value)| Some((name, text(value)?))).collect();
    let mut parts = Parts::default();
    named.iter().for_each(|(name, value)| parts.take(name, value));
    found.take(&parts, cache);
}

#[cfg(test)]
mod tests {
    use daytwo_storage::UnixNanos;
    use daytwo_storage::testing::{TestSpan, batch_of};

    use super::super::extract_spans;
    use super::*;

    fn read(spans: &[TestSpan]) -> (Vec<Vec<[String; 4]>>, u64) {
        let mut cache = ResourceCache::default();
        let batch = batch_of(UnixNanos(5), spans);
        let read = extract_spans(batch.record_batch(), &mut cache).unwrap();
        let texts = |one: &Evaluation| [&one.key, &one.variant, &one.reason, &one.version].map(ToString::to_string);
        let of_span =
            |span: &super::super::TraceSpan| span.flags.iter().flat_map(|flags| flags.iter()).map(texts).collect();
        (read.iter().map(of_span).collect(), cache.flags_left_out())
    }

    fn four(key: &str, variant: &str, reason: &str, version: &str) -> [String; 4] {
        [key, variant, reason, version].map(str::to_owned)
    }

    /// Scenario: spans with evaluations in attributes (new names, old names, a value instead of a variant), in events of either name, in
    /// both at once; beside them spans without a flag, a key without a variant, and another event with a flag's attributes.
    /// Guarantees: exactly the evaluations are read, each once, reasons in lower case.
    #[test]
    fn evaluations_are_read_wherever_they_stand() {
        let events = r#"[{"time_unix_nano":1,"name":"feature_flag.evaluation","attributes":{"feature_flag.key":"b","feature_flag.result.variant":"on","feature_flag.result.reason":"SPLIT","feature_flag.version":"7"}},
            {"time_unix_nano":2,"name":"feature_flag","attributes":{"feature_flag.key":"a","feature_flag.variant":"red","feature_flag.provider_name":"x"}},
            {"time_unix_nano":3,"name":"feature_flag","attributes":{"feature_flag.key":"c","feature_flag.result.value":true}},
            {"time_unix_nano":4,"name":"exception","attributes":{"feature_flag.key":"z","feature_flag.variant":"red"}}]"#;
        let mut both = TestSpan::new(1, 6).text("feature_flag.key", "a").text("feature_flag.variant", "red");
        both.events = Some(events.to_owned());
        let spans = [
            TestSpan::new(1, 1),
            TestSpan::new(1, 2)
                .text("feature_flag.key", "a")
                .text("feature_flag.result.variant", "on")
                .text("feature_flag.variant", "old name")
                .text("feature_flag.result.reason", "Targeting_Match"),
            TestSpan::new(1, 3).text("feature_flag.key", "a").text("feature_flag.variant", "off"),
            TestSpan::new(1, 4).text("feature_flag.key", "a").text("feature_flag.result.value", "12"),
            TestSpan::new(1, 5).text("feature_flag.key", "a"),
            both,
        ];
        let (found, left_out) = read(&spans);
        let expected = vec![
            vec![],
            vec![four("a", "on", "targeting_match", "")],
            vec![four("a", "off", "", "")],
            vec![four("a", "12", "", "")],
            vec![],
            vec![four("a", "red", "", ""), four("b", "on", "split", "7"), four("c", "true", "", "")],
        ];
        assert_eq!((found, left_out), (expected, 0));
    }

    /// Scenario: a key of 257 bytes, and a span with 40 evaluations.
    /// Guarantees: neither is kept beyond the limits, and what was left out is counted.
    #[test]
    fn too_long_and_too_many_are_counted() {
        let event = |number: u32| {
            format!(
                r#"{{"name":"feature_flag","attributes":{{"feature_flag.key":"k{number}","feature_flag.variant":"on"}}}}"#
            )
        };
        let mut many = TestSpan::new(1, 1);
        many.events = Some(format!("[{}]", (0..40).map(event).collect::<Vec<_>>().join(",")));
        let long = TestSpan::new(1, 2).text("feature_flag.key", &"k".repeat(257)).text("feature_flag.variant", "on");
        let (found, left_out) = read(&[many, long]);
        assert_eq!((found[0].len(), found[1].len(), left_out), (EVALUATIONS_MAX, 0, 9));
    }
}

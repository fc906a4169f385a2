//! Reading JSON bodies field by field, so that everything that is wrong with one is said at once and by name.

use axum::extract::rejection::BytesRejection;
use bytes::Bytes;
use daytwo_query::{TrafficShare, UnixNanos};
use http::StatusCode;
use serde_json::{Map, Value};

use crate::error::{ApiError, ApiResult, FieldProblem};

/// Bytes of one text.
const TEXT_BYTES_MAX: usize = 512;
/// Problems named in one answer.
const PROBLEMS_MAX: usize = 20;

/// A body as JSON.
///
/// # Errors
/// 413 when it is over the route's limit, 400 when it is no JSON.
pub(crate) fn json(body: Result<Bytes, BytesRejection>) -> ApiResult<Value> {
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::too_large("the body is larger than this path takes"),
        _ => ApiError::bad_request(rejection.body_text()),
    })?;
    serde_json::from_slice(&body).map_err(|error| ApiError::bad_request(format!("the body is no JSON: {error}")))
}

/// What is wrong with a body, by field.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<FieldProblem>);

impl Problems {
    /// Adds one.
    pub(crate) fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        if self.0.len() < PROBLEMS_MAX {
            self.0.push(FieldProblem { field: field.into(), message: message.into() });
        }
    }

    /// The value, if nothing is wrong.
    pub(crate) fn or<T>(self, value: T) -> ApiResult<T> {
        if self.0.is_empty() { Ok(value) } else { Err(ApiError::bad_fields(self.0)) }
    }
}

/// The fields of one object in a body.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a> {
    map: Option<&'a Map<String, Value>>,
    /// Names of the objects around it, each with a dot.
    path: String,
}

impl<'a> Fields<'a> {
    /// The fields of the body itself.
    pub(crate) fn of(body: &'a Value, problems: &mut Problems) -> Self {
        if !body.is_object() {
            problems.add("", "the body must be a JSON object");
        }
        Self { map: body.as_object(), path: String::new() }
    }

    /// The fields of an object in it; none when it is absent.
    pub(crate) fn object(&self, name: &str, problems: &mut Problems) -> Self {
        let value = self.value(name);
        if value.is_some_and(|value| !value.is_object()) {
            problems.add(self.name(name), "must be an object");
        }
        Self { map: value.and_then(Value::as_object), path: format!("{}.", self.name(name)) }
    }

    /// The full name of a field.
    pub(crate) fn name(&self, field: &str) -> String {
        format!("{}{field}", self.path)
    }

    fn value(&self, name: &str) -> Option<&'a Value> {
        self.map?.get(name).filter(|value| !value.is_null())
    }

    /// Whether there is such a field.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// A text that may be absent.
    pub(crate) fn text(&self, name: &str, problems: &mut Problems) -> Option<String> {
        let value = self.value(name)?;
        let wrong = match value.as_str() {
            None => "must be a text",
            Some("") => "must not be empty; leave it out instead",
            Some(text) if text.len() > TEXT_BYTES_MAX => "has more than 512 bytes",
            Some(text) if text.chars().any(char::is_control) => "has control characters",
            Some(text) => return Some(text.to_owned()),
        };
        problems.add(self.name(name), wrong);
        None
    }

    /// A text that must be there.
    pub(crate) fn required(&self, name: &str, problems: &mut Problems) -> String {
        if !self.has(name) {
            problems.add(self.name(name), "is missing");
        }
        self.text(name, problems).unwrap_or_default()
    }

    /// An instant as RFC 3339, if it is there.
    pub(crate) fn instant(&self, name: &str, problems: &mut Problems) -> Option<UnixNanos> {
        let text = self.text(name, problems)?;
        let nanos = chrono::DateTime::parse_from_rfc3339(&text).ok().and_then(|time| time.timestamp_nanos_opt());
        if nanos.is_none() {
            problems.add(self.name(name), "is no time like 2026-11-22T10:30:00Z");
        }
        nanos.map(UnixNanos)
    }

    /// A number from 0 to 100, if it is there.
    pub(crate) fn score(&self, name: &str, problems: &mut Problems) -> Option<f64> {
        let score = self.value(name)?.as_f64().filter(|score| (0.0..=100.0).contains(score));
        if score.is_none() {
            problems.add(self.name(name), "must be a number from 0 to 100");
        }
        score
    }

    /// A share from 0 to 1, if it is there.
    pub(crate) fn share(&self, name: &str, problems: &mut Problems) -> Option<TrafficShare> {
        let share = self.value(name)?.as_f64().and_then(TrafficShare::of);
        if share.is_none() {
            problems.add(self.name(name), "must be a number from 0 to 1");
        }
        share
    }

    /// True or false, if it is there.
    pub(crate) fn flag(&self, name: &str, problems: &mut Problems) -> Option<bool> {
        let flag = self.value(name)?.as_bool();
        if flag.is_none() {
            problems.add(self.name(name), "must be true or false");
        }
        flag
    }

    /// Names of all fields; null counts as absent.
    pub(crate) fn names(&self) -> Vec<&'a str> {
        let present = self.map.into_iter().flatten().filter(|(_, value)| !value.is_null());
        present.map(|(name, _)| name.as_str()).collect()
    }

    /// Names every field that is none of `known`.
    pub(crate) fn only(&self, known: &[&str], problems: &mut Problems) {
        let unknown = self.map.into_iter().flat_map(Map::keys).filter(|name| !known.contains(&name.as_str()));
        for name in unknown {
            let shown: String = name.chars().filter(|letter| !letter.is_control()).take(64).collect();
            problems.add(self.name(&shown), format!("is unknown; there are {}", known.join(", ")));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problems(body: &Value, read: impl Fn(&Fields<'_>, &mut Problems)) -> Vec<(String, String)> {
        let mut problems = Problems::default();
        let fields = Fields::of(body, &mut problems);
        read(&fields, &mut problems);
        problems.0.into_iter().map(|problem| (problem.field, problem.message)).collect()
    }

    /// Scenario: bodies with missing, empty, long and ill-typed fields, inside and outside of an inner object.
    /// Guarantees: each is named with its path and told what it should be; what is right is no problem; null counts as absent.
    #[test]
    fn everything_wrong_is_named() {
        let body =
            json!({"a": 1, "b": "", "c": "x".repeat(513), "d": null, "inner": {"at": "yesterday"}, "more": true});
        let found = problems(&body, |fields, problems| {
            for name in ["a", "b", "c", "d"] {
                assert_eq!(fields.text(name, problems), None, "{name}");
            }
            fields.required("d", problems);
            fields.object("inner", problems).instant("at", problems);
            fields.object("more", problems);
            fields.only(&["a", "b", "c", "d", "inner"], problems);
        });
        let names: Vec<&str> = found.iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!(names, ["a", "b", "c", "d", "inner.at", "more", "more"]);
        assert_eq!(found[3].1, "is missing");
        assert!(problems(&json!([]), |_, _| {})[0].1.contains("JSON object"));
        assert!(
            problems(&json!({"s": 101}), |fields, problems| assert_eq!(fields.score("s", problems), None))[0]
                .1
                .contains("100")
        );
        let fine = json!({"at": "2026-11-22T10:30:00+02:00"});
        assert_eq!(
            problems(&fine, |fields, problems| {
                assert_eq!(fields.instant("at", problems), Some(UnixNanos(1_795_336_200_000_000_000)));
            }),
            []
        );
    }
}

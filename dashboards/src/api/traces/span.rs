//! One span in full.

use axum::Json;
use axum::extract::State;
use daytwo_query::trace::kind;
use daytwo_query::{SpanAttribute, SpanId, SpanRecord, TraceId};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::super::{Freshness, nanos_of};
use super::trace_id;
use crate::error::{ApiError, ApiResult, Problem};
use crate::extract::Segments;
use crate::state::AppState;

/// One span in full.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SpanAnswer {
    #[serde(flatten)]
    freshness: Freshness,
    span: Span,
}

/// Everything that was stored of a span.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Span {
    trace_id: String,
    span_id: String,
    parent_span_id: Option<String>,
    name: String,
    kind: &'static str,
    start_unix_nano: String,
    duration_ns: String,
    /// `UNSET`, `OK` or `ERROR`.
    status: String,
    status_message: Option<String>,
    service: String,
    service_version: Option<String>,
    attributes: Vec<Attribute>,
    resource: Vec<Attribute>,
    scope: Scope,
    events: Vec<Event>,
    links: Vec<Link>,
    /// What was odd about it, in words.
    anomalies: Vec<&'static str>,
}

/// An attribute with its OTLP type.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Attribute {
    key: String,
    /// `string`, `int`, `double`, `bool`, `bytes`, `json` or `empty`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// As text; integers do not fit a JavaScript number, bytes are base64.
    value: String,
}

/// The instrumentation library.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Scope {
    name: Option<String>,
    version: Option<String>,
}

/// Something that happened during the span.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Event {
    time_unix_nano: String,
    name: String,
    attributes: Vec<Attribute>,
}

/// Another span that this one points to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Link {
    trace_id: String,
    span_id: String,
    attributes: Vec<Attribute>,
}

/// One span in full.
#[utoipa::path(get, path = "/api/v1/traces/{trace_id}/spans/{span_id}", tag = "data",
    params(("trace_id" = String, Path, description = "32 hexadecimal digits"), ("span_id" = String, Path, description = "16 hexadecimal digits")),
    responses(
    (status = 200, description = "The span", body = SpanAnswer),
    (status = "4XX", description = "Not an id, or not stored", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn span(
    State(state): State<AppState>,
    Segments((trace, span)): Segments<(String, String)>,
) -> ApiResult<Json<SpanAnswer>> {
    let trace = trace_id(&trace)?;
    let span = SpanId::from_hex(&span)
        .map_err(|_| ApiError::bad_request("a span id is 16 hexadecimal digits, not all zero"))?;
    let as_of = state.queries.as_of();
    let record = state.queries.span_record(trace, span).await?;
    let record = record.ok_or_else(|| ApiError::not_found("that span is not stored"))?;
    Ok(Json(SpanAnswer { freshness: Freshness::new(as_of, Vec::new()), span: shown(trace, span, record) }))
}

fn shown(trace: TraceId, span: SpanId, record: SpanRecord) -> Span {
    let promoted = record.resource.into_iter();
    let promoted = promoted.map(|(key, value)| Attribute { key: key.to_owned(), kind: "string", value });
    let rest = record.resource_json.as_deref().map(parsed).map(|object| attributes(&object)).unwrap_or_default();
    Span {
        trace_id: trace.to_string(),
        span_id: span.to_string(),
        parent_span_id: record.parent_span_id.map(|parent| parent.to_string()),
        name: record.name,
        kind: kind::name(record.kind),
        start_unix_nano: nanos_of(record.start_unix_nano),
        duration_ns: record.duration_ns.to_string(),
        status: status(record.status),
        status_message: record.status_message,
        service: record.service,
        service_version: record.service_version,
        attributes: record.attributes.into_iter().map(Attribute::from).collect(),
        resource: promoted.chain(rest).collect(),
        scope: Scope { name: record.scope.0, version: record.scope.1 },
        events: items(record.events_json.as_deref()).iter().map(event).collect(),
        links: items(record.links_json.as_deref()).iter().map(link).collect(),
        anomalies: record.anomalies,
    }
}

fn status(code: i32) -> String {
    match code {
        0 => "UNSET".to_owned(),
        1 => "OK".to_owned(),
        2 => "ERROR".to_owned(),
        other => other.to_string(),
    }
}

impl From<SpanAttribute> for Attribute {
    fn from(attribute: SpanAttribute) -> Self {
        let kind = match attribute.letter {
            'i' | 't' => "int",
            'd' => "double",
            'b' => "bool",
            'x' => "bytes",
            'j' => "json",
            'n' => "empty",
            _ => "string",
        };
        Self { key: attribute.key, kind, value: attribute.value }
    }
}

/// JSON text of ours; what cannot be read is shown as nothing rather than failing the page.
fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

fn items(text: Option<&str>) -> Vec<Value> {
    match text.map(parsed) {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    }
}

fn event(value: &Value) -> Event {
    Event {
        time_unix_nano: word(&value["time_unix_nano"]),
        name: word(&value["name"]),
        attributes: attributes(&value["attributes"]),
    }
}

fn link(value: &Value) -> Link {
    Link {
        trace_id: word(&value["trace_id"]),
        span_id: word(&value["span_id"]),
        attributes: attributes(&value["attributes"]),
    }
}

/// A text as it is, anything else as JSON.
fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| if value.is_null() { String::new() } else { value.to_string() }, str::to_owned)
}

/// The members of a JSON object as attributes; the collector marks what JSON has no form for with `$bytes` and `$double`,
/// and doubles a leading `$` of a client's key.
fn attributes(object: &Value) -> Vec<Attribute> {
    let members = object.as_object().into_iter().flatten();
    members.map(|(key, value)| attribute(key.strip_prefix('$').unwrap_or(key), value)).collect()
}

fn attribute(key: &str, value: &Value) -> Attribute {
    let (kind, value) = match value {
        Value::Null => ("empty", String::new()),
        Value::Bool(_) => ("bool", value.to_string()),
        Value::Number(number) if number.is_f64() => ("double", value.to_string()),
        Value::Number(_) => ("int", value.to_string()),
        Value::String(text) => ("string", text.clone()),
        Value::Object(object) => match (object.get("$bytes"), object.get("$double")) {
            (Some(Value::String(base64)), _) => ("bytes", base64.clone()),
            (_, Some(Value::String(name))) => ("double", name.clone()),
            _ => ("json", value.to_string()),
        },
        Value::Array(_) => ("json", value.to_string()),
    };
    Attribute { key: key.to_owned(), kind, value }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: attributes of every OTLP type in the JSON that the collector stores with events.
    /// Guarantees: type and value come back, those that JSON has no form for included.
    #[test]
    fn json_attributes_keep_their_types() {
        let object = parsed(
            r#"{"a":"x","b":9007199254740993,"c":1.0,"d":true,"e":null,"f":{"$bytes":"AQI="},"g":{"$double":"NaN"},"h":[1],"$$k":"v"}"#,
        );
        let shown: Vec<(String, &str, String)> =
            attributes(&object).into_iter().map(|one| (one.key, one.kind, one.value)).collect();
        let expected = [
            ("$k", "string", "v"),
            ("a", "string", "x"),
            ("b", "int", "9007199254740993"),
            ("c", "double", "1.0"),
            ("d", "bool", "true"),
            ("e", "empty", ""),
            ("f", "bytes", "AQI="),
            ("g", "double", "NaN"),
            ("h", "json", "[1]"),
        ];
        assert_eq!(shown, expected.map(|(key, kind, value)| (key.to_owned(), kind, value.to_owned())));
    }
}

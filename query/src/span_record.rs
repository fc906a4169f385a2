//! One span with everything that was stored of it, out of Arrow.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use daytwo_storage::schema::{PROMOTED, PromotedType, anomaly, col};
use daytwo_storage::{SpanId, TraceId};

use crate::{QueryEngine, Result};

/// An attribute: its key, the letter of its type (`s i d b x j n t`, as in `attribute_types`) and its value as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpanAttribute {
    /// Key.
    pub key: String,
    /// Letter of the type.
    pub letter: char,
    /// Value as text; bytes as base64, lists as JSON.
    pub value: String,
}

/// One span with everything that was stored of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpanRecord {
    /// Parent, unless it is a root.
    pub parent_span_id: Option<SpanId>,
    /// Operation name.
    pub name: String,
    /// OTLP kind as sent.
    pub kind: i32,
    /// Start, nanoseconds since the Unix epoch.
    pub start_unix_nano: i64,
    /// Duration in nanoseconds.
    pub duration_ns: i64,
    /// OTLP status code as sent.
    pub status: i32,
    /// Status message.
    pub status_message: Option<String>,
    /// `service.name`.
    pub service: String,
    /// `service.version`.
    pub service_version: Option<String>,
    /// Attributes, those with a column of their own included.
    pub attributes: Vec<SpanAttribute>,
    /// Resource attributes with a column of their own: key and value.
    pub resource: Vec<(&'static str, String)>,
    /// The other resource attributes, a JSON object.
    pub resource_json: Option<String>,
    /// Name and version of the instrumentation scope.
    pub scope: (Option<String>, Option<String>),
    /// Events, a JSON array.
    pub events_json: Option<String>,
    /// Links, a JSON array.
    pub links_json: Option<String>,
    /// What was odd about it, in words.
    pub anomalies: Vec<&'static str>,
}

/// Resource columns shown as attributes.
const RESOURCE: [(&str, &str); 5] = [
    ("service.name", col::SERVICE_NAME),
    ("service.namespace", col::SERVICE_NAMESPACE),
    ("service.version", col::SERVICE_VERSION),
    ("service.instance.id", col::SERVICE_INSTANCE_ID),
    ("deployment.environment.name", col::ENVIRONMENT),
];

/// Bits of the `anomalies` column in words.
const ANOMALIES: &[(i64, &str)] = &[
    (anomaly::END_BEFORE_START, "end before start"),
    (anomaly::TIME_MISSING, "start or end missing"),
    (anomaly::TIME_OVERFLOW, "time beyond the year 2262"),
    (anomaly::TIME_IN_FUTURE, "more than a day in the future"),
    (anomaly::INVALID_UTF8, "text that was not UTF-8 was repaired"),
    (anomaly::DEPTH_CUT, "an attribute was nested too deeply and was cut"),
    (anomaly::BAD_PARENT, "parent id of a wrong length"),
    (anomaly::DUPLICATE_KEY, "an attribute stood twice; the last one won"),
    (anomaly::VALUE_CUT, "a value was too long and was cut"),
    (anomaly::SELF_PARENT, "named itself as its parent"),
    (anomaly::BAD_EVENT_OR_LINK, "a malformed event or link was left out"),
    (anomaly::COUNT_CUT, "too many attributes, events or links; the rest was left out"),
];

impl QueryEngine {
    /// One span with everything that was stored of it; `None` when it is not stored.
    ///
    /// # Errors
    /// As [`QueryEngine::trace_spans`].
    pub async fn span_record(&self, trace: TraceId, span: SpanId) -> Result<Option<SpanRecord>> {
        let found = self.span_detail(trace, span).await?;
        if found.batch.num_rows() == 0 { Ok(None) } else { Row { batch: &found.batch }.record().map(Some) }
    }
}

/// The first row of a batch.
struct Row<'a> {
    batch: &'a RecordBatch,
}

impl Row<'_> {
    fn record(&self) -> Result<SpanRecord> {
        let parent = self.column(col::PARENT_SPAN_ID, &DataType::Binary)?;
        let parent = parent.and_then(|parent| SpanId::from_bytes(parent.as_binary::<i32>().value(0)).ok());
        let bits = self.large(col::ANOMALIES)?.unwrap_or(0);
        Ok(SpanRecord {
            parent_span_id: parent,
            name: self.text(col::NAME)?.unwrap_or_default(),
            kind: self.small(col::KIND)?,
            start_unix_nano: self.large(col::START)?.unwrap_or(0),
            duration_ns: self.large(col::DURATION)?.unwrap_or(0),
            status: self.small(col::STATUS_CODE)?,
            status_message: self.text(col::STATUS_MESSAGE)?,
            service: self.text(col::SERVICE_NAME)?.unwrap_or_default(),
            service_version: self.text(col::SERVICE_VERSION)?,
            attributes: self.attributes()?,
            resource: self.resource()?,
            resource_json: self.text(col::RESOURCE_ATTRIBUTES)?,
            scope: (self.text(col::SCOPE_NAME)?, self.text(col::SCOPE_VERSION)?),
            events_json: self.text(col::EVENTS)?,
            links_json: self.text(col::LINKS)?,
            anomalies: ANOMALIES.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, words)| *words).collect(),
        })
    }

    /// The value of a column as an array of one, or `None` for null.
    fn column(&self, name: &str, kind: &DataType) -> Result<Option<ArrayRef>> {
        let Some(column) = self.batch.column_by_name(name) else { return Ok(None) };
        let first = column.slice(0, 1);
        if first.is_null(0) { Ok(None) } else { Ok(Some(cast(&first, kind)?)) }
    }

    fn text(&self, name: &str) -> Result<Option<String>> {
        let value = self.column(name, &DataType::Utf8)?;
        Ok(value.map(|value| value.as_string::<i32>().value(0).to_owned()))
    }

    fn small(&self, name: &str) -> Result<i32> {
        let value = self.column(name, &DataType::Int32)?;
        Ok(value.map_or(0, |value| value.as_primitive::<Int32Type>().value(0)))
    }

    fn large(&self, name: &str) -> Result<Option<i64>> {
        let value = self.column(name, &DataType::Int64)?;
        Ok(value.map(|value| value.as_primitive::<Int64Type>().value(0)))
    }

    fn resource(&self) -> Result<Vec<(&'static str, String)>> {
        let mut found = Vec::new();
        for (key, column) in RESOURCE {
            found.extend(self.text(column)?.map(|value| (key, value)));
        }
        Ok(found)
    }

    fn attributes(&self) -> Result<Vec<SpanAttribute>> {
        let mut found = Vec::new();
        for promoted in PROMOTED {
            let letter = match promoted.kind {
                PromotedType::Text => 's',
                PromotedType::Integer => 'i',
            };
            let value = self.text(promoted.column)?;
            found.extend(value.map(|value| SpanAttribute { key: promoted.key.to_owned(), letter, value }));
        }
        found.extend(self.mapped()?);
        found.sort_by(|left, right| left.key.cmp(&right.key));
        Ok(found)
    }

    /// The attributes in the map; their types stand beside it, all text when absent.
    fn mapped(&self) -> Result<Vec<SpanAttribute>> {
        let Some(map) = self.batch.column_by_name(col::ATTRIBUTES).and_then(|column| column.as_map_opt()) else {
            return Ok(Vec::new());
        };
        let entries = map.value(0);
        let keys = cast(entries.column(0), &DataType::Utf8)?;
        let values = cast(entries.column(1), &DataType::Utf8)?;
        let (keys, values) = (keys.as_string::<i32>(), values.as_string::<i32>());
        let types = self.text(col::ATTRIBUTE_TYPES)?.unwrap_or_default();
        let attribute = |(entry, key): (usize, Option<&str>)| SpanAttribute {
            key: key.unwrap_or_default().to_owned(),
            letter: types.chars().nth(entry).unwrap_or('s'),
            value: if values.is_valid(entry) { values.value(entry).to_owned() } else { String::new() },
        };
        Ok(keys.iter().enumerate().map(attribute).collect())
    }
}

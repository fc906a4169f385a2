//! THE span table: every column's name, type and meaning, written once.
//!
//! There are two Arrow forms of it. [`memory_schema`] is what the decoder builds: columns that repeat for a
//! whole resource or scope are dictionaries over one shared key buffer. [`table_schema`] is what files hold and what
//! other engines read: the same columns as plain strings, plus the partition column. Delta Lake has no unsigned
//! types and no nanosecond timestamps, so times are `BIGINT` nanoseconds and ids are `BINARY`.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};

/// Version of the span table's schema, kept in every file's metadata under [`SCHEMA_VERSION_KEY`].
pub const SCHEMA_VERSION: u32 = 1;

/// Parquet key-value metadata key of [`SCHEMA_VERSION`].
pub const SCHEMA_VERSION_KEY: &str = "daytwo.schema_version";

/// Under this key `attributes` holds a start beyond 2^63-1 as sent where the end is before it: the times' columns do not tell it then.
pub const RAW_START_KEY: &str = "daytwo.raw_start_time_unix_nano";

/// The letter of that entry in `attribute_types`, which no attribute of a client has.
pub const RAW_START_LETTER: char = 't';

/// `service.name` of a resource that names none, as the semantic conventions say.
pub const UNKNOWN_SERVICE: &str = "unknown_service";

/// Column names. Nothing else in the project spells one out.
pub mod col {
    /// 16 bytes, never null, never zero.
    pub const TRACE_ID: &str = "trace_id";
    /// 8 bytes, never null, never zero.
    pub const SPAN_ID: &str = "span_id";
    /// 8 bytes; null for a root span.
    pub const PARENT_SPAN_ID: &str = "parent_span_id";
    /// W3C trace state; null when empty.
    pub const TRACE_STATE: &str = "trace_state";
    /// W3C trace flags in bits 0-7, OTLP's remote bits above.
    pub const FLAGS: &str = "flags";
    /// Span name (the operation).
    pub const NAME: &str = "name";
    /// OTLP span kind as sent: 0 unspecified, 1 internal, 2 server, 3 client, 4 producer, 5 consumer; others kept.
    pub const KIND: &str = "kind";
    /// Start, nanoseconds since the Unix epoch; saturated at 2^63-1 with an anomaly bit.
    pub const START: &str = "start_time_unix_nano";
    /// End minus start in nanoseconds, 0 when the end is before the start.
    pub const DURATION: &str = "duration_time_unix_nano";
    /// The end as sent, only where start + duration does not give it back; else null. Negative for 2^63 and more: its 64 bits, as a signed number.
    pub const RAW_END: &str = "raw_end_time_unix_nano";
    /// OTLP status code as sent: 0 unset, 1 ok, 2 error; others kept.
    pub const STATUS_CODE: &str = "status_code";
    /// Status message; null when empty.
    pub const STATUS_MESSAGE: &str = "status_message";
    /// `service.name`, or `unknown_service`.
    pub const SERVICE_NAME: &str = "service_name";
    /// `service.namespace`.
    pub const SERVICE_NAMESPACE: &str = "service_namespace";
    /// `service.version`.
    pub const SERVICE_VERSION: &str = "service_version";
    /// `service.instance.id`.
    pub const SERVICE_INSTANCE_ID: &str = "service_instance_id";
    /// `deployment.environment.name`, or the older `deployment.environment`.
    pub const ENVIRONMENT: &str = "deployment_environment_name";
    /// The resource's other attributes as one JSON object; null when there are none.
    pub const RESOURCE_ATTRIBUTES: &str = "resource_attributes";
    /// Schema URL of the resource; null when empty.
    pub const RESOURCE_SCHEMA_URL: &str = "resource_schema_url";
    /// Instrumentation scope name; null when empty.
    pub const SCOPE_NAME: &str = "scope_name";
    /// Instrumentation scope version; null when empty.
    pub const SCOPE_VERSION: &str = "scope_version";
    /// The scope's attributes as one JSON object; null when there are none.
    pub const SCOPE_ATTRIBUTES: &str = "scope_attributes";
    /// Schema URL of the scope; null when empty.
    pub const SCOPE_SCHEMA_URL: &str = "scope_schema_url";
    /// Span attributes that have no column of their own, key to text.
    pub const ATTRIBUTES: &str = "attributes";
    /// One letter per entry of `attributes` (see [`crate::batch::AttributeValue`]); null when all are strings.
    pub const ATTRIBUTE_TYPES: &str = "attribute_types";
    /// Span events as a JSON array of `{"time_unix_nano","name","attributes","dropped_attributes_count"}`; null when none.
    pub const EVENTS: &str = "events";
    /// Span links as a JSON array of `{"trace_id","span_id","trace_state","attributes","flags",…}`; null when none.
    pub const LINKS: &str = "links";
    /// Attributes the SDK dropped from the span.
    pub const DROPPED_ATTRIBUTES_COUNT: &str = "dropped_attributes_count";
    /// Events the SDK dropped.
    pub const DROPPED_EVENTS_COUNT: &str = "dropped_events_count";
    /// Links the SDK dropped.
    pub const DROPPED_LINKS_COUNT: &str = "dropped_links_count";
    /// When this server received the request, nanoseconds since the Unix epoch.
    pub const RECEIVED: &str = "received_time_unix_nano";
    /// Bit set of what was odd about the span: [`super::anomaly`].
    pub const ANOMALIES: &str = "anomalies";
    /// Partition column of files: the UTC hour of reception as `YYYY-MM-DDTHH`.
    pub const RECEIVED_HOUR: &str = "received_hour";
}

/// Bits of the `anomalies` column.
pub mod anomaly {
    /// End before start; duration is 0 and the raw end is kept.
    pub const END_BEFORE_START: i64 = 1;
    /// Start or end is 0 (not set).
    pub const TIME_MISSING: i64 = 1 << 1;
    /// Start or end does not fit in a signed 64-bit number.
    pub const TIME_OVERFLOW: i64 = 1 << 2;
    /// Start is more than a day after reception.
    pub const TIME_IN_FUTURE: i64 = 1 << 3;
    /// A string was not UTF-8; bad bytes became U+FFFD.
    pub const INVALID_UTF8: i64 = 1 << 4;
    /// An attribute value was nested deeper than 16 levels and was cut.
    pub const DEPTH_CUT: i64 = 1 << 5;
    /// The parent id had a wrong length and was cleared.
    pub const BAD_PARENT: i64 = 1 << 6;
    /// An attribute key stood twice; the last one won.
    pub const DUPLICATE_KEY: i64 = 1 << 7;
    /// A value was longer than the limit and was cut at a character boundary.
    pub const VALUE_CUT: i64 = 1 << 8;
    /// The span names itself as its parent; the parent was cleared.
    pub const SELF_PARENT: i64 = 1 << 9;
    /// An event or link was malformed and was left out.
    pub const BAD_EVENT_OR_LINK: i64 = 1 << 10;
    /// More attributes, events or links than the limit; the rest was counted as dropped.
    pub const COUNT_CUT: i64 = 1 << 11;
}

/// Type of a promoted attribute; a value of another type stays in `attributes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromotedType {
    /// `STRING` column.
    Text,
    /// `BIGINT` column.
    Integer,
}

/// A semantic-convention attribute that has a column of its own.
#[derive(Debug, Clone, Copy)]
pub struct Promoted {
    /// Attribute key, as OpenTelemetry spells it.
    pub key: &'static str,
    /// Column name: the key with `.` replaced by `_`.
    pub column: &'static str,
    /// Type of the column.
    pub kind: PromotedType,
}

const fn text(key: &'static str, column: &'static str) -> Promoted {
    Promoted { key, column, kind: PromotedType::Text }
}

const fn integer(key: &'static str, column: &'static str) -> Promoted {
    Promoted { key, column, kind: PromotedType::Integer }
}

/// Span attributes with a column of their own, in column order.
pub const PROMOTED: &[Promoted] = &[
    text("http.request.method", "http_request_method"),
    text("http.route", "http_route"),
    integer("http.response.status_code", "http_response_status_code"),
    text("url.scheme", "url_scheme"),
    text("url.path", "url_path"),
    text("url.full", "url_full"),
    text("server.address", "server_address"),
    integer("server.port", "server_port"),
    text("client.address", "client_address"),
    text("network.protocol.version", "network_protocol_version"),
    text("network.peer.address", "network_peer_address"),
    integer("network.peer.port", "network_peer_port"),
    text("user_agent.original", "user_agent_original"),
    text("rpc.system", "rpc_system"),
    text("rpc.service", "rpc_service"),
    text("rpc.method", "rpc_method"),
    integer("rpc.grpc.status_code", "rpc_grpc_status_code"),
    text("db.system.name", "db_system_name"),
    text("db.namespace", "db_namespace"),
    text("db.collection.name", "db_collection_name"),
    text("db.operation.name", "db_operation_name"),
    text("db.query.text", "db_query_text"),
    text("messaging.system", "messaging_system"),
    text("messaging.destination.name", "messaging_destination_name"),
    text("messaging.operation.type", "messaging_operation_type"),
    text("error.type", "error_type"),
    text("peer.service", "peer_service"),
    text("code.function.name", "code_function_name"),
    integer("thread.id", "thread_id"),
    text("thread.name", "thread_name"),
];

/// Resource attributes with a column of their own: column and key.
pub const RESOURCE_COLUMNS: &[(&str, &str)] = &[
    (col::SERVICE_NAME, "service.name"),
    (col::SERVICE_NAMESPACE, "service.namespace"),
    (col::SERVICE_VERSION, "service.version"),
    (col::SERVICE_INSTANCE_ID, "service.instance.id"),
    (col::ENVIRONMENT, "deployment.environment.name"),
];

/// How a column is laid out in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Span,
    Group,
}

fn fields() -> Vec<(Level, Field)> {
    use DataType::{Binary, Int32, Int64, Utf8};
    let span = |name: &str, kind: DataType, nullable: bool| (Level::Span, Field::new(name, kind, nullable));
    let group = |name: &str, nullable: bool| (Level::Group, Field::new(name, Utf8, nullable));
    let mut all = vec![
        span(col::TRACE_ID, Binary, false),
        span(col::SPAN_ID, Binary, false),
        span(col::PARENT_SPAN_ID, Binary, true),
        span(col::TRACE_STATE, Utf8, true),
        span(col::FLAGS, Int64, false),
        span(col::NAME, Utf8, false),
        span(col::KIND, Int32, false),
        span(col::START, Int64, false),
        span(col::DURATION, Int64, false),
        span(col::RAW_END, Int64, true),
        span(col::STATUS_CODE, Int32, false),
        span(col::STATUS_MESSAGE, Utf8, true),
        group(col::SERVICE_NAME, false),
        group(col::SERVICE_NAMESPACE, true),
        group(col::SERVICE_VERSION, true),
        group(col::SERVICE_INSTANCE_ID, true),
        group(col::ENVIRONMENT, true),
        group(col::RESOURCE_ATTRIBUTES, true),
        group(col::RESOURCE_SCHEMA_URL, true),
        group(col::SCOPE_NAME, true),
        group(col::SCOPE_VERSION, true),
        group(col::SCOPE_ATTRIBUTES, true),
        group(col::SCOPE_SCHEMA_URL, true),
    ];
    all.extend(PROMOTED.iter().map(|promoted| match promoted.kind {
        PromotedType::Text => span(promoted.column, Utf8, true),
        PromotedType::Integer => span(promoted.column, Int64, true),
    }));
    all.extend([
        span(col::ATTRIBUTES, attributes_type(), false),
        span(col::ATTRIBUTE_TYPES, Utf8, true),
        span(col::EVENTS, Utf8, true),
        span(col::LINKS, Utf8, true),
        span(col::DROPPED_ATTRIBUTES_COUNT, Int64, false),
        span(col::DROPPED_EVENTS_COUNT, Int64, false),
        span(col::DROPPED_LINKS_COUNT, Int64, false),
        span(col::RECEIVED, Int64, false),
        span(col::ANOMALIES, Int64, false),
    ]);
    all
}

/// Arrow type of the `attributes` column.
pub fn attributes_type() -> DataType {
    DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(attribute_entry_fields()), false)), false)
}

/// The two fields of an entry of `attributes`.
pub fn attribute_entry_fields() -> Fields {
    Fields::from(vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Utf8, true)])
}

/// Arrow type, in memory, of a column that repeats for a whole resource or scope.
pub fn group_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// The columns as the decoder builds them.
pub fn memory_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let in_memory = fields().into_iter().map(|(level, field)| match level {
            Level::Group => field.with_data_type(group_type()),
            Level::Span => field,
        });
        Arc::new(Schema::new(in_memory.collect::<Vec<_>>()))
    });
    Arc::clone(&SCHEMA)
}

/// The columns as a data file holds them: plain strings, no partition column.
pub fn file_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> =
        LazyLock::new(|| Arc::new(Schema::new(fields().into_iter().map(|(_, field)| field).collect::<Vec<_>>())));
    Arc::clone(&SCHEMA)
}

/// The columns as the Delta table declares them: those of a file and the partition column, last.
pub fn table_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let mut all: Vec<Field> = fields().into_iter().map(|(_, field)| field).collect();
        all.push(Field::new(col::RECEIVED_HOUR, DataType::Utf8, false));
        Arc::new(Schema::new(all))
    });
    Arc::clone(&SCHEMA)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documented_type(kind: &DataType) -> &'static str {
        match kind {
            DataType::Binary => "BINARY",
            DataType::Int32 => "INT",
            DataType::Int64 => "BIGINT",
            DataType::Map(..) => "MAP&lt;STRING, STRING&gt;",
            _ => "STRING",
        }
    }

    /// Scenario: `docs/schema.md` beside the schema.
    /// Guarantees: the page lists every column of the table in order, with its type and whether it may be null.
    #[test]
    fn the_page_is_the_schema() {
        let page = include_str!("../../docs/schema.md");
        let rows = page.lines().filter(|line| line.starts_with("| `") && line.matches('|').count() == 5);
        let documented: Vec<String> = rows.map(|line| line.rsplitn(3, '|').last().unwrap().to_owned()).collect();
        let schema = table_schema();
        let expected = schema.fields().iter().map(|field| {
            let null = if field.is_nullable() { "yes" } else { "no" };
            format!("| `{}` | {} | {null} ", field.name(), documented_type(field.data_type()))
        });
        assert_eq!(documented, expected.collect::<Vec<_>>());
    }
}

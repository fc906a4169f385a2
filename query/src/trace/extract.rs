//! Reading spans from Arrow: the memory schema with its dictionaries, or plain columns as files and SQL give them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use arrow::error::ArrowError;
use daytwo_storage::schema::{UNKNOWN_SERVICE, col};
use daytwo_storage::{SpanId, TraceId};

use super::flags::{Evaluation, FlagColumns};
use super::{SpanResource, TraceSpan, Weight, identity};
use crate::hash::{HashMap, HashSet};

/// More texts than this and the cache starts afresh; it only saves memory.
const CACHED_MAX: usize = 65_536;
/// And at most so many bytes of texts.
const CACHED_BYTES_MAX: usize = 16 << 20;
/// A longer name is measured under its first so many bytes: what the engine holds is limited in number, and so in bytes.
const NAME_BYTES_MAX: usize = 1024;

/// Resource attributes that may explain a difference between two versions.
const TRAITS: [&str; 18] = [
    "cloud.availability_zone",
    "cloud.provider",
    "cloud.region",
    "container.image.name",
    "container.runtime.name",
    "host.arch",
    "host.name",
    "host.type",
    "k8s.cluster.name",
    "k8s.node.name",
    "os.type",
    "os.version",
    "process.runtime.name",
    "process.runtime.version",
    "telemetry.distro.version",
    "telemetry.sdk.language",
    "telemetry.sdk.name",
    "telemetry.sdk.version",
];

/// Texts and processes seen before, so that equal ones share memory.
#[derive(Debug, Default)]
pub struct ResourceCache {
    texts: HashSet<Arc<str>>,
    /// Bytes of the texts.
    bytes: usize,
    resources: HashMap<[Option<Arc<str>>; 5], Arc<SpanResource>>,
    /// Evaluations of feature flags that were too long or too many to be kept.
    flags_left_out: u64,
}

impl ResourceCache {
    /// Evaluations of feature flags that were left out so far.
    pub(crate) fn flags_left_out(&self) -> u64 {
        self.flags_left_out
    }

    /// A name: of a service, an operation, a version or the like.
    pub(super) fn text(&mut self, text: &str) -> Arc<str> {
        self.whole(text.get(..text.floor_char_boundary(NAME_BYTES_MAX)).unwrap_or(text))
    }

    fn whole(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        if self.texts.len() >= CACHED_MAX || self.bytes.saturating_add(text.len()) > CACHED_BYTES_MAX {
            self.begin_afresh();
        }
        let text: Arc<str> = text.into();
        self.bytes = self.bytes.saturating_add(text.len());
        self.texts.insert(Arc::clone(&text));
        text
    }

    /// Lets go of the texts, and of the processes, which hold them too.
    fn begin_afresh(&mut self) {
        self.texts.clear();
        self.resources.clear();
        self.bytes = 0;
    }

    fn resource(&mut self, parts: [Option<&str>; 5]) -> Arc<SpanResource> {
        let key = parts.map(|part| part.map(|text| self.whole(text)));
        if let Some(known) = self.resources.get(&key) {
            return Arc::clone(known);
        }
        if self.resources.len() >= CACHED_MAX {
            self.begin_afresh();
        }
        let [service, version, environment, instance, attributes] = parts;
        let traits = self.traits(attributes);
        let resource = Arc::new(SpanResource {
            service: self.text(service.unwrap_or(UNKNOWN_SERVICE)),
            version: self.version(version, &traits),
            environment: self.text(environment.unwrap_or_default()),
            instance: self.text(instance.unwrap_or_default()),
            traits,
        });
        self.resources.insert(key, Arc::clone(&resource));
        resource
    }

    /// The evaluations of a span; `None` when it has none.
    fn evaluations(&mut self, columns: &FlagColumns<'_>, row: usize) -> Option<Arc<[Evaluation]>> {
        let found = columns.at(row, self);
        self.flags_left_out = self.flags_left_out.saturating_add(found.left_out);
        (!found.evaluations.is_empty()).then(|| found.evaluations.into())
    }

    fn traits(&mut self, attributes: Option<&str>) -> Arc<[(Arc<str>, Arc<str>)]> {
        let parsed = attributes.and_then(|json| serde_json::from_str::<serde_json::Value>(json).ok());
        let Some(serde_json::Value::Object(map)) = parsed else { return Arc::from([]) };
        let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let found = TRAITS.iter().filter_map(|key| map.get(*key).map(|value| (*key, text(value))));
        found.chain(identity::parts(&map)).map(|(key, value)| (self.text(key), self.text(&value))).collect()
    }

    /// The version that a process names, else what it is known by.
    fn version(&mut self, named: Option<&str>, traits: &[(Arc<str>, Arc<str>)]) -> Arc<str> {
        if let Some(named) = named.filter(|named| !named.is_empty()) {
            return self.text(named);
        }
        let part = |key: &str| traits.iter().find(|(name, _)| **name == *key).map(|(_, value)| &**value);
        let known_by = identity::version_of(part).unwrap_or_default();
        self.text(&known_by)
    }
}

/// Columns that [`extract_spans`] reads.
pub(crate) const EXTRACTED_COLUMNS: [&str; 17] = [
    col::TRACE_ID,
    col::SPAN_ID,
    col::PARENT_SPAN_ID,
    col::NAME,
    col::KIND,
    col::START,
    col::DURATION,
    col::STATUS_CODE,
    col::SERVICE_NAME,
    col::SERVICE_VERSION,
    col::SERVICE_INSTANCE_ID,
    col::ENVIRONMENT,
    col::RESOURCE_ATTRIBUTES,
    col::RECEIVED,
    col::EVENTS,
    col::LINKS,
    col::TRACE_STATE,
];

/// Those and what evaluations of feature flags may stand in besides: the largest column, so it is left out of files without a flag.
pub(crate) fn columns_with_flags() -> impl Iterator<Item = &'static str> {
    EXTRACTED_COLUMNS.into_iter().chain([col::ATTRIBUTES])
}

/// Columns of a batch in the types that reading wants.
struct Columns {
    trace_id: BinaryArray,
    span_id: BinaryArray,
    parent: BinaryArray,
    name: StringArray,
    kind: arrow::array::Int32Array,
    start: arrow::array::Int64Array,
    duration: arrow::array::Int64Array,
    status: arrow::array::Int32Array,
    received: arrow::array::Int64Array,
    events: Option<ArrayRef>,
    links: Option<ArrayRef>,
    trace_state: Option<StringArray>,
}

fn column(batch: &RecordBatch, name: &str, kind: &DataType) -> Result<ArrayRef, ArrowError> {
    let column = batch.column_by_name(name).ok_or_else(|| ArrowError::SchemaError(format!("no column {name}")))?;
    if column.data_type() == kind { Ok(Arc::clone(column)) } else { cast(column, kind) }
}

impl Columns {
    fn of(batch: &RecordBatch) -> Result<Self, ArrowError> {
        let binary = |name: &str| column(batch, name, &DataType::Binary).map(|array| array.as_binary().clone());
        let small =
            |name: &str| column(batch, name, &DataType::Int32).map(|array| array.as_primitive::<Int32Type>().clone());
        let large =
            |name: &str| column(batch, name, &DataType::Int64).map(|array| array.as_primitive::<Int64Type>().clone());
        let text = |name: &str| column(batch, name, &DataType::Utf8).map(|array| array.as_string::<i32>().clone());
        Ok(Self {
            trace_id: binary(col::TRACE_ID)?,
            span_id: binary(col::SPAN_ID)?,
            parent: binary(col::PARENT_SPAN_ID)?,
            name: text(col::NAME)?,
            kind: small(col::KIND)?,
            start: large(col::START)?,
            duration: large(col::DURATION)?,
            status: small(col::STATUS_CODE)?,
            received: large(col::RECEIVED)?,
            events: batch.column_by_name(col::EVENTS).map(Arc::clone),
            links: batch.column_by_name(col::LINKS).map(Arc::clone),
            trace_state: batch.column_by_name(col::TRACE_STATE).map(|_| text(col::TRACE_STATE)).transpose()?,
        })
    }
}

/// The five resource columns that a process is known by.
const RESOURCE_COLUMNS: [&str; 5] =
    [col::SERVICE_NAME, col::SERVICE_VERSION, col::ENVIRONMENT, col::SERVICE_INSTANCE_ID, col::RESOURCE_ATTRIBUTES];

fn text_at(array: &StringArray, row: usize) -> Option<&str> {
    (array.is_valid(row)).then(|| array.value(row))
}

/// Every row's process.
fn resources(batch: &RecordBatch, cache: &mut ResourceCache) -> Result<Vec<Arc<SpanResource>>, ArrowError> {
    if let Some(shared) = shared_keys(batch) {
        return by_shared_keys(batch, &shared, cache);
    }
    let texts = text_columns(batch)?;
    let mut rows: Vec<Arc<SpanResource>> = Vec::with_capacity(batch.num_rows());
    let mut previous: Option<[Option<&str>; 5]> = None;
    for row in 0..batch.num_rows() {
        let parts = [0, 1, 2, 3, 4].map(|at: usize| texts.get(at).and_then(|array| text_at(array, row)));
        let known = rows.last().filter(|_| previous == Some(parts)).map(Arc::clone);
        rows.push(known.unwrap_or_else(|| cache.resource(parts)));
        previous = Some(parts);
    }
    Ok(rows)
}

fn text_columns(batch: &RecordBatch) -> Result<Vec<StringArray>, ArrowError> {
    let plain = |name: &&str| column(batch, name, &DataType::Utf8).map(|array| array.as_string().clone());
    RESOURCE_COLUMNS.iter().map(plain).collect()
}

/// The dictionary keys, when all resource columns have the same ones, as the memory schema promises.
fn shared_keys(batch: &RecordBatch) -> Option<Vec<i32>> {
    let keys = |name: &&str| {
        let dictionary = batch.column_by_name(name)?.as_dictionary_opt::<Int32Type>()?;
        Some(dictionary.keys().clone())
    };
    let all: Option<Vec<_>> = RESOURCE_COLUMNS.iter().map(keys).collect();
    let all = all?;
    let first = all.first()?;
    let same = all.iter().all(|other| other.null_count() == 0 && other.values() == first.values());
    same.then(|| first.values().to_vec())
}

fn by_shared_keys(
    batch: &RecordBatch,
    keys: &[i32],
    cache: &mut ResourceCache,
) -> Result<Vec<Arc<SpanResource>>, ArrowError> {
    let values = |name: &&str| {
        let dictionary = batch.column_by_name(name).and_then(|array| array.as_dictionary_opt::<Int32Type>());
        let values = dictionary.map(|dictionary| Arc::clone(dictionary.values()));
        let values = values.ok_or_else(|| ArrowError::SchemaError(format!("no column {name}")))?;
        cast(&values, &DataType::Utf8).map(|array| array.as_string::<i32>().clone())
    };
    let texts: Vec<StringArray> = RESOURCE_COLUMNS.iter().map(values).collect::<Result<_, _>>()?;
    let groups = texts.iter().map(Array::len).max().unwrap_or(0);
    let part = |array: Option<&StringArray>, group: usize| -> Option<String> {
        array.filter(|array| group < array.len()).and_then(|array| text_at(array, group)).map(str::to_owned)
    };
    let mut known = Vec::with_capacity(groups);
    for group in 0..groups {
        let parts = [0, 1, 2, 3, 4].map(|at: usize| part(texts.get(at), group));
        known.push(cache.resource([&parts[0], &parts[1], &parts[2], &parts[3], &parts[4]].map(|part| part.as_deref())));
    }
    let row = |key: &i32| {
        let resource = usize::try_from(*key).ok().and_then(|key| known.get(key));
        resource.map(Arc::clone).ok_or_else(|| ArrowError::SchemaError("dictionary key out of range".to_owned()))
    };
    keys.iter().map(row).collect()
}

/// Reads every span of a batch; rows whose ids are not valid are left out.
///
/// # Errors
/// [`ArrowError`] when a column is missing or of a type that cannot be read as the schema's.
pub fn extract_spans(batch: &RecordBatch, cache: &mut ResourceCache) -> Result<Vec<TraceSpan>, ArrowError> {
    let columns = Columns::of(batch)?;
    let resources = resources(batch, cache)?;
    let present = |column: &Option<ArrayRef>, row: usize| column.as_ref().is_some_and(|column| column.is_valid(row));
    let state = |row: usize| columns.trace_state.as_ref().and_then(|column| text_at(column, row));
    let flags = FlagColumns::of(batch);
    let with_flags = flags.any();
    let mut spans = Vec::with_capacity(batch.num_rows());
    for (row, resource) in resources.into_iter().enumerate() {
        let ids = (TraceId::from_bytes(columns.trace_id.value(row)), SpanId::from_bytes(columns.span_id.value(row)));
        let (Ok(trace_id), Ok(span_id)) = ids else { continue };
        let parent = columns.parent.is_valid(row).then(|| SpanId::from_bytes(columns.parent.value(row)));
        spans.push(TraceSpan {
            trace_id,
            span_id,
            parent_span_id: parent.and_then(Result::ok),
            resource,
            operation: cache.text(columns.name.value(row)),
            kind: columns.kind.value(row),
            start_ns: columns.start.value(row),
            duration_ns: columns.duration.value(row).max(0),
            status: columns.status.value(row),
            has_events: present(&columns.events, row),
            has_links: present(&columns.links, row),
            received_ns: columns.received.value(row),
            weight: state(row).map_or_else(Weight::default, Weight::of),
            flags: if with_flags { cache.evaluations(&flags, row) } else { None },
        });
    }
    Ok(spans)
}

#[cfg(test)]
mod tests {
    use super::*;
    use daytwo_storage::batch::{ResourceRow, ScopeRow, SpanBatchBuilder, SpanRow};
    use daytwo_storage::schema;

    fn row(id: u8, parent: Option<u8>) -> SpanRow<'static> {
        SpanRow {
            trace_id: TraceId::from_bytes(&[1; 16]).unwrap(),
            span_id: SpanId::from_bytes(&[id; 8]).unwrap(),
            parent_span_id: parent.map(|parent| SpanId::from_bytes(&[parent; 8]).unwrap()),
            trace_state: "".into(),
            flags: 0,
            name: "GET /".into(),
            kind: 2,
            start_time_unix_nano: 5,
            end_time_unix_nano: 9,
            status_code: 2,
            status_message: "".into(),
            events_json: Some("[]"),
            links_json: None,
            dropped_attributes_count: 0,
            dropped_events_count: 0,
            dropped_links_count: 0,
            anomalies: 0,
        }
    }

    /// Scenario: two resources, one without any attribute, read from memory form and from plain columns.
    /// Guarantees: both readings are equal and hold what was sent.
    #[test]
    fn both_forms_read_the_same() {
        let mut builder = SpanBatchBuilder::new(77);
        builder.begin_resource(&ResourceRow {
            service_name: Some("cart".into()),
            service_version: Some("v2".into()),
            attributes_json: Some(r#"{"host.name":"h1","x":1}"#.into()),
            ..ResourceRow::default()
        });
        builder.begin_scope(&ScopeRow::default());
        builder.append(&row(1, None), []);
        builder.begin_resource(&ResourceRow::default());
        builder.begin_scope(&ScopeRow::default());
        builder.append(&row(2, Some(1)), []);
        let batch = builder.finish().unwrap();
        let mut cache = ResourceCache::default();
        let spans = extract_spans(batch.record_batch(), &mut cache).unwrap();
        assert_eq!(&*spans[0].resource.version, "v2");
        assert_eq!(spans[0].resource.traits.len(), 1);
        assert_eq!(&*spans[1].resource.service, "unknown_service");
        assert_eq!((spans[1].duration_ns, spans[1].received_ns, spans[1].has_events), (4, 77, true));
        let plain: Vec<_> = schema::file_schema()
            .fields()
            .iter()
            .zip(batch.record_batch().columns())
            .map(|(field, column)| cast(column, field.data_type()).unwrap())
            .collect();
        let plain = RecordBatch::try_new(schema::file_schema(), plain).unwrap();
        assert_eq!(extract_spans(&plain, &mut cache).unwrap(), spans);
    }

    /// Scenario: 2,000 names and processes of 32 KiB, each another, and a name whose 1,024th byte is within a character.
    /// Guarantees: names are as long as is told at most, whole characters; processes stay apart by all that they say; what is kept to be
    /// shared stays within its bytes.
    #[test]
    fn long_texts_take_bounded_memory() {
        let mut cache = ResourceCache::default();
        let mut processes = HashSet::default();
        for number in 0..2_000 {
            let long = format!("{number:04}{}", "x".repeat(32 << 10));
            assert_eq!(cache.text(&long).len(), NAME_BYTES_MAX);
            let attributes = format!(r#"{{"a":"{}","host.name":"h{number}"}}"#, "x".repeat(32 << 10));
            let process = cache.resource([Some("shop"), Some("v1"), None, None, Some(&attributes)]);
            processes.insert(process);
            let held: usize = cache.texts.iter().map(|text| text.len()).sum();
            assert!(held == cache.bytes && held <= CACHED_BYTES_MAX, "{held} bytes");
        }
        assert_eq!(processes.len(), 2_000);
        let cut = cache.text(&format!("{}é", "x".repeat(NAME_BYTES_MAX - 1)));
        assert_eq!(&*cut, "x".repeat(NAME_BYTES_MAX - 1));
    }
}

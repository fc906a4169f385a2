//! The reader against a naive model that goes from prost's structs to rows by way of `serde_json`.

use serde_json::{Map, Number, json};

use super::*;

/// The JSON form of a value, built as a tree by another library.
fn model_json(value: Option<&AnyValue>) -> serde_json::Value {
    match value.and_then(|value| value.value.as_ref()) {
        None | Some(Value::StringValueStrindex(_)) => serde_json::Value::Null,
        Some(Value::StringValue(text)) => json!(text),
        Some(Value::BoolValue(value)) => json!(value),
        Some(Value::IntValue(number)) => json!(number),
        Some(Value::DoubleValue(number)) => match Number::from_f64(*number) {
            Some(number) => serde_json::Value::Number(number),
            None if number.is_nan() => json!({"$double": "NaN"}),
            None => json!({"$double": if *number > 0.0 { "Infinity" } else { "-Infinity" }}),
        },
        Some(Value::BytesValue(bytes)) => json!({"$bytes": model_base64(bytes)}),
        Some(Value::ArrayValue(array)) => array.values.iter().map(|value| model_json(Some(value))).collect(),
        Some(Value::KvlistValue(list)) => {
            let entries = list.values.iter().map(|entry| (escaped(&entry.key), model_json(entry.value.as_ref())));
            serde_json::Value::Object(entries.collect())
        }
    }
}

fn escaped(key: &str) -> String {
    if key.starts_with('$') { format!("${key}") } else { key.to_owned() }
}

fn model_base64(bytes: &[u8]) -> String {
    let alphabet: Vec<char> = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['+', '/']).collect();
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0_u32, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for position in 0..4 {
            let letter = alphabet[(group >> (18 - 6 * position) & 63) as usize];
            out.push(if position <= chunk.len() { letter } else { '=' });
        }
    }
    out
}

/// Distinct keys, first position, last value.
fn model_distinct(attributes: &[KeyValue]) -> (Vec<&KeyValue>, bool) {
    let mut kept: Vec<&KeyValue> = Vec::new();
    for attribute in attributes {
        match kept.iter().position(|earlier| earlier.key == attribute.key) {
            Some(position) => kept[position] = attribute,
            None => kept.push(attribute),
        }
    }
    let duplicates = kept.len() < attributes.len();
    (kept, duplicates)
}

fn model_object(attributes: &[&KeyValue], dropped: u32) -> Option<serde_json::Value> {
    let mut object: Map<String, serde_json::Value> =
        attributes.iter().map(|entry| (escaped(&entry.key), model_json(entry.value.as_ref()))).collect();
    if dropped > 0 {
        object.insert("$dropped_attributes_count".into(), json!(dropped));
    }
    (!object.is_empty()).then_some(serde_json::Value::Object(object))
}

fn model_value(value: Option<&AnyValue>) -> AttributeValue<'static> {
    match value.and_then(|value| value.value.as_ref()) {
        None | Some(Value::StringValueStrindex(_)) => AttributeValue::Empty,
        Some(Value::StringValue(text)) => AttributeValue::Text(Cow::Owned(text.clone())),
        Some(Value::BoolValue(value)) => AttributeValue::Bool(*value),
        Some(Value::IntValue(number)) => AttributeValue::Integer(*number),
        Some(Value::DoubleValue(number)) => AttributeValue::Double(*number),
        Some(Value::BytesValue(bytes)) => AttributeValue::Bytes(Cow::Owned(model_base64(bytes))),
        Some(Value::ArrayValue(_) | Value::KvlistValue(_)) => {
            AttributeValue::Json(Cow::Owned(model_json(value).to_string()))
        }
    }
}

/// Removes the non-empty text under `key`.
fn model_take(attributes: &mut Vec<&KeyValue>, key: &str) -> Option<Cow<'static, str>> {
    let found = model_find(attributes, key)?;
    attributes.retain(|entry| entry.key != key);
    Some(found)
}

fn model_find(attributes: &[&KeyValue], key: &str) -> Option<Cow<'static, str>> {
    let entry = attributes.iter().find(|entry| entry.key == key)?;
    match model_value(entry.value.as_ref()) {
        AttributeValue::Text(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}

fn filled(text: &str) -> Option<Cow<'static, str>> {
    (!text.is_empty()).then(|| Cow::Owned(text.to_owned()))
}

fn flag(holds: bool, bit: i64) -> i64 {
    if holds { bit } else { 0 }
}

fn model_events(events: &[span::Event]) -> (Option<String>, i64) {
    let mut flags = 0;
    let items = events.iter().map(|event| {
        let (kept, duplicates) = model_distinct(&event.attributes);
        flags |= flag(duplicates, anomaly::DUPLICATE_KEY);
        let mut item = json!({"time_unix_nano": event.time_unix_nano, "name": event.name});
        add_attributes(&mut item, &kept, event.dropped_attributes_count);
        item
    });
    let items: Vec<_> = items.collect();
    ((!items.is_empty()).then(|| serde_json::Value::Array(items).to_string()), flags)
}

fn add_attributes(item: &mut serde_json::Value, kept: &[&KeyValue], dropped: u32) {
    if let Some(attributes) = model_object(kept, 0) {
        item["attributes"] = attributes;
    }
    if dropped > 0 {
        item["dropped_attributes_count"] = json!(dropped);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn model_links(links: &[span::Link]) -> (Option<String>, i64, u32) {
    let (mut items, mut flags, mut left_out) = (Vec::new(), 0, 0);
    for link in links {
        let (kept, duplicates) = model_distinct(&link.attributes);
        flags |= flag(duplicates, anomaly::DUPLICATE_KEY);
        if ![0, 16].contains(&link.trace_id.len()) || ![0, 8].contains(&link.span_id.len()) {
            flags |= anomaly::BAD_EVENT_OR_LINK;
            left_out += 1;
            continue;
        }
        let shown = |id: &[u8]| if id.iter().all(|byte| *byte == 0) { String::new() } else { hex(id) };
        let mut item = json!({"trace_id": shown(&link.trace_id), "span_id": shown(&link.span_id)});
        if !link.trace_state.is_empty() {
            item["trace_state"] = json!(link.trace_state);
        }
        if link.flags > 0 {
            item["flags"] = json!(link.flags);
        }
        add_attributes(&mut item, &kept, link.dropped_attributes_count);
        items.push(item);
    }
    ((!items.is_empty()).then(|| serde_json::Value::Array(items).to_string()), flags, left_out)
}

/// Appends the model's rows; returns the positions it rejects.
pub(super) fn model(request: &ExportTraceServiceRequest, builder: &mut SpanBatchBuilder) -> Vec<u32> {
    let (mut position, mut rejected) = (0, Vec::new());
    for resource_spans in &request.resource_spans {
        let resource = resource_spans.resource.clone().unwrap_or_default();
        let (mut kept, resource_duplicates) = model_distinct(&resource.attributes);
        let mut row = ResourceRow {
            service_name: model_take(&mut kept, "service.name"),
            service_namespace: model_take(&mut kept, "service.namespace"),
            service_version: model_take(&mut kept, "service.version"),
            service_instance_id: model_take(&mut kept, "service.instance.id"),
            environment: model_take(&mut kept, "deployment.environment.name")
                .or_else(|| model_find(&kept, "deployment.environment")),
            schema_url: filled(&resource_spans.schema_url),
            attributes_json: None,
        };
        row.attributes_json =
            model_object(&kept, resource.dropped_attributes_count).map(|object| Cow::Owned(object.to_string()));
        let mut resource_begun = false;
        for scope_spans in &resource_spans.scope_spans {
            let scope = scope_spans.scope.clone().unwrap_or_default();
            let (kept, scope_duplicates) = model_distinct(&scope.attributes);
            let object = model_object(&kept, scope.dropped_attributes_count);
            let scope_row = ScopeRow {
                name: filled(&scope.name),
                version: filled(&scope.version),
                attributes_json: object.map(|object| Cow::Owned(object.to_string())),
                schema_url: filled(&scope_spans.schema_url),
            };
            let mut scope_begun = false;
            for span in &scope_spans.spans {
                position += 1;
                let (Ok(trace_id), Ok(span_id)) =
                    (TraceId::from_bytes(&span.trace_id), SpanId::from_bytes(&span.span_id))
                else {
                    rejected.push(position - 1);
                    continue;
                };
                if !std::mem::replace(&mut resource_begun, true) {
                    builder.begin_resource(&row);
                }
                if !std::mem::replace(&mut scope_begun, true) {
                    builder.begin_scope(&scope_row);
                }
                let inherited = flag(resource_duplicates || scope_duplicates, anomaly::DUPLICATE_KEY);
                model_span(span, trace_id, span_id, inherited, builder);
            }
        }
    }
    rejected
}

fn model_span(span: &Span, trace_id: TraceId, span_id: SpanId, inherited: i64, builder: &mut SpanBatchBuilder) {
    let (kept, duplicates) = model_distinct(&span.attributes);
    let attributes: Vec<(AttributeKey<'_>, AttributeValue<'_>)> =
        kept.iter().map(|entry| (entry.key.as_str().into(), model_value(entry.value.as_ref()))).collect();
    let (events, event_flags) = model_events(&span.events);
    let (links, link_flags, links_left_out) = model_links(&span.links);
    let parent = SpanId::from_bytes(&span.parent_span_id).ok();
    let no_parent = span.parent_span_id.is_empty() || span.parent_span_id == [0; 8];
    let parent_flags =
        flag(parent.is_none() && !no_parent, anomaly::BAD_PARENT) | flag(parent == Some(span_id), anomaly::SELF_PARENT);
    let status = span.status.clone().unwrap_or_default();
    let row = SpanRow {
        trace_id,
        span_id,
        parent_span_id: parent.filter(|parent| *parent != span_id),
        trace_state: Cow::Borrowed(&span.trace_state),
        flags: span.flags,
        name: Cow::Borrowed(&span.name),
        kind: span.kind,
        start_time_unix_nano: span.start_time_unix_nano,
        end_time_unix_nano: span.end_time_unix_nano,
        status_code: status.code,
        status_message: Cow::Owned(status.message),
        events_json: events.as_deref(),
        links_json: links.as_deref(),
        dropped_attributes_count: span.dropped_attributes_count,
        dropped_events_count: span.dropped_events_count,
        dropped_links_count: span.dropped_links_count.saturating_add(links_left_out),
        anomalies: inherited | flag(duplicates, anomaly::DUPLICATE_KEY) | event_flags | link_flags | parent_flags,
    };
    builder.append(&row, attributes.iter().map(|(key, value)| (key, value)));
}

const JSON_COLUMNS: &[&str] = &[col::RESOURCE_ATTRIBUTES, col::SCOPE_ATTRIBUTES, col::EVENTS, col::LINKS];

/// Compares JSON columns as values and all others as they are; in `attributes`, entries of type `j` as values.
pub(super) fn assert_same_rows(ours: &SpanBatch, expected: &SpanBatch) {
    let (ours, expected) = (ours.record_batch(), expected.record_batch());
    assert_eq!(ours.num_rows(), expected.num_rows());
    for field in ours.schema().fields() {
        let (left, right) =
            (ours.column_by_name(field.name()).unwrap(), expected.column_by_name(field.name()).unwrap());
        if JSON_COLUMNS.contains(&field.name().as_str()) {
            assert_eq!(parsed(left), parsed(right), "{}", field.name());
        } else if field.name() == col::ATTRIBUTES {
            assert_eq!(map_entries(ours), map_entries(expected));
        } else if left.as_any_dictionary_opt().is_some() {
            let plain = |array| arrow::compute::cast(array, &arrow::datatypes::DataType::Utf8).unwrap();
            assert_eq!(&plain(left), &plain(right), "{}", field.name());
        } else {
            assert_eq!(left, right, "{}", field.name());
        }
    }
}

/// A nested key-value list may repeat a key: the text keeps both, a parsed value the last.
fn parsed(array: &dyn Array) -> Vec<Option<serde_json::Value>> {
    let plain = arrow::compute::cast(array, &arrow::datatypes::DataType::Utf8).unwrap();
    let parse = |text: &str| serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    plain.as_string::<i32>().iter().map(|text| text.map(parse)).collect()
}

fn map_entries(batch: &arrow::array::RecordBatch) -> Vec<Vec<(String, char, Option<String>)>> {
    let maps = batch.column_by_name(col::ATTRIBUTES).unwrap().as_map();
    let types = batch.column_by_name(col::ATTRIBUTE_TYPES).unwrap().as_string::<i32>();
    (0..batch.num_rows())
        .map(|row| {
            let entries = maps.value(row);
            let (keys, values) = (entries.column(0).as_string::<i32>(), entries.column(1).as_string::<i32>());
            let letters: Vec<char> =
                if types.is_null(row) { vec!['s'; keys.len()] } else { types.value(row).chars().collect() };
            let entry = |index: usize| {
                let value = values.is_valid(index).then(|| values.value(index));
                let canonical = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap().to_string();
                let shown = if letters[index] == 'j' { value.map(canonical) } else { value.map(str::to_owned) };
                (keys.value(index).to_owned(), letters[index], shown)
            };
            (0..keys.len()).map(entry).collect()
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Scenario: generated requests, encoded by prost.
    /// Guarantees: rows and rejected positions equal the model's; replay of the frame gives the same batch.
    #[test]
    fn rows_equal_the_model(request in strategies::request()) {
        let body = request.encode_to_vec();
        let decoded = protobuf(&body, RECEIVED, &Limits::default()).unwrap();
        let mut builder = SpanBatchBuilder::new(RECEIVED.0);
        let rejected = model(&request, &mut builder);
        prop_assert_eq!(&decoded.rejected, &rejected);
        prop_assert_eq!(decoded.reasons.total(), u64::try_from(rejected.len()).unwrap());
        assert_same_rows(&decoded.batch, &builder.finish().unwrap());
        let frame = Frame {
            payload: body.into(),
            format: PayloadFormat::Protobuf,
            compression: PayloadCompression::None,
            request_hash: 0,
            received: RECEIVED,
            rejected,
        };
        let replayed = OtlpReplay::default().decode(&frame).unwrap();
        prop_assert_eq!(replayed.record_batch(), decoded.batch.record_batch());
    }

    /// Scenario: any bytes at all, to both readers.
    /// Guarantees: no panic; every span is accepted or rejected.
    #[test]
    fn any_bytes_decode_or_err(body in prop::collection::vec(any::<u8>(), 0..200)) {
        for read in [protobuf, json] {
            if let Ok(decoded) = read(&body, RECEIVED, &Limits::default()) {
                prop_assert_eq!(decoded.received as usize, decoded.batch.len() + decoded.rejected.len());
            }
        }
    }

    /// Scenario: one byte of one span is changed to anything.
    /// Guarantees: no panic, and the two neighbours are stored whole whatever becomes of it.
    #[test]
    fn damage_in_a_span_stays_there(request in strategies::request(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let inner = request.resource_spans.iter().flat_map(|group| &group.scope_spans).flat_map(|group| &group.spans).next();
        let mut victim = inner.cloned().unwrap_or_else(|| span(2)).encode_to_vec();
        prop_assume!(!victim.is_empty());
        let position = at.index(victim.len());
        victim[position] = byte;
        let body = request_of_raw_spans(&[span(1).encode_to_vec(), victim, span(3).encode_to_vec()]);
        let decoded = protobuf(&body, RECEIVED, &Limits::default()).unwrap();
        prop_assert_eq!(decoded.received, 3);
        let names = texts(&decoded, col::NAME);
        prop_assert_eq!(names.first().unwrap().as_deref(), Some("span 1"));
        prop_assert_eq!(names.last().unwrap().as_deref(), Some("span 3"));
        prop_assert!(decoded.rejected.is_empty() || decoded.rejected == [1]);
    }

    /// Scenario: bytes of a valid request changed anywhere.
    /// Guarantees: no panic; every span that is seen is accepted or rejected.
    #[test]
    fn mutations_never_panic(request in strategies::request(), edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut body = request.encode_to_vec();
        prop_assume!(!body.is_empty());
        for (at, byte) in edits {
            let position = at.index(body.len());
            body[position] = byte;
        }
        if let Ok(decoded) = protobuf(&body, RECEIVED, &Limits::default()) {
            prop_assert_eq!(decoded.received as usize, decoded.batch.len() + decoded.rejected.len());
        }
    }
}

/// A request whose spans are the given bytes.
pub(super) fn request_of_raw_spans(spans: &[Vec<u8>]) -> Vec<u8> {
    let field = |number: u32, bytes: &[u8]| {
        let mut out = Vec::new();
        prost::encoding::encode_key(number, prost::encoding::WireType::LengthDelimited, &mut out);
        prost::encoding::encode_varint(bytes.len() as u64, &mut out);
        out.extend_from_slice(bytes);
        out
    };
    let scope_spans: Vec<u8> = spans.iter().flat_map(|span| field(2, span)).collect();
    field(1, &field(2, &scope_spans))
}

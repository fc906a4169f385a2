//! Generated requests: valid as protobuf, of every shape a sender may produce.

use super::*;

pub(super) fn value() -> impl Strategy<Value = Option<AnyValue>> {
    let leaf = prop_oneof![
        Just(None),
        Just(Some(AnyValue { value: None })),
        ".{0,12}".prop_map(|text| of(Value::StringValue(text))),
        any::<bool>().prop_map(any_bool),
        any::<i64>().prop_map(|number| of(Value::IntValue(number))),
        any::<f64>().prop_map(|number| of(Value::DoubleValue(number))),
        prop::collection::vec(any::<u8>(), 0..9).prop_map(|bytes| of(Value::BytesValue(bytes))),
    ];
    leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|values| {
                let values = values.into_iter().map(Option::unwrap_or_default).collect();
                of(Value::ArrayValue(ArrayValue { values }))
            }),
            prop::collection::vec(("[$a-z]{0,4}", inner), 0..4).prop_map(|entries| {
                let values = entries.into_iter().map(|(key, value)| KeyValue { key, value, ..KeyValue::default() });
                of(Value::KvlistValue(KeyValueList { values: values.collect() }))
            }),
        ]
    })
}

fn any_bool(value: bool) -> Option<AnyValue> {
    of(Value::BoolValue(value))
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("service.name".to_owned()),
        Just("service.version".to_owned()),
        Just("deployment.environment".to_owned()),
        Just("http.route".to_owned()),
        Just("http.response.status_code".to_owned()),
        "[$a-c]{0,3}",
    ]
}

pub(super) fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    prop::collection::vec((key(), value()), 0..6).prop_map(|pairs| {
        pairs.into_iter().map(|(key, value)| KeyValue { key, value, ..KeyValue::default() }).collect()
    })
}

fn id(length: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => prop::collection::vec(1_u8.., length),
        1 => Just(vec![0; length]),
        1 => Just(Vec::new()),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ]
}

fn event() -> impl Strategy<Value = span::Event> {
    (any::<u64>(), ".{0,6}", attributes(), 0_u32..3).prop_map(|(time_unix_nano, name, attributes, dropped)| {
        span::Event { time_unix_nano, name, attributes, dropped_attributes_count: dropped }
    })
}

fn link() -> impl Strategy<Value = span::Link> {
    (id(16), id(8), "[a-z=]{0,4}", attributes(), 0_u32..3, any::<u32>()).prop_map(
        |(trace_id, span_id, trace_state, attributes, dropped, flags)| span::Link {
            trace_id,
            span_id,
            trace_state,
            attributes,
            dropped_attributes_count: dropped,
            flags,
        },
    )
}

fn span() -> impl Strategy<Value = Span> {
    let ids = (id(16), id(8), id(8));
    let plain = (".{0,8}", "[a-z=]{0,4}", any::<i32>(), any::<u64>(), any::<u64>(), any::<u32>());
    let lists = (attributes(), prop::collection::vec(event(), 0..3), prop::collection::vec(link(), 0..3));
    let status = prop::option::of((".{0,6}", 0..4).prop_map(|(message, code)| Status { message, code }));
    (ids, plain, lists, status, (0_u32..5, 0_u32..5, 0_u32..5)).prop_map(
        |((trace_id, span_id, parent_span_id), plain, (attributes, events, links), status, dropped)| Span {
            trace_id,
            span_id,
            parent_span_id,
            name: plain.0,
            trace_state: plain.1,
            kind: plain.2,
            start_time_unix_nano: plain.3,
            end_time_unix_nano: plain.4,
            flags: plain.5,
            attributes,
            events,
            links,
            status,
            dropped_attributes_count: dropped.0,
            dropped_events_count: dropped.1,
            dropped_links_count: dropped.2,
        },
    )
}

pub(in crate::otlp) fn request() -> impl Strategy<Value = ExportTraceServiceRequest> {
    let scope = (".{0,5}", ".{0,3}", attributes(), 0_u32..2).prop_map(|(name, version, attributes, dropped)| {
        InstrumentationScope { name, version, attributes, dropped_attributes_count: dropped }
    });
    let scope_spans = (prop::option::of(scope), prop::collection::vec(span(), 0..4), "[a-z:/]{0,5}")
        .prop_map(|(scope, spans, schema_url)| ScopeSpans { scope, spans, schema_url });
    let resource = (attributes(), 0_u32..2).prop_map(|(attributes, dropped_attributes_count)| Resource {
        attributes,
        dropped_attributes_count,
        ..Resource::default()
    });
    let resource_spans = (prop::option::of(resource), prop::collection::vec(scope_spans, 0..3), "[a-z:/]{0,5}")
        .prop_map(|(resource, scope_spans, schema_url)| ResourceSpans { resource, scope_spans, schema_url });
    prop::collection::vec(resource_spans, 0..3).prop_map(|resource_spans| ExportTraceServiceRequest { resource_spans })
}

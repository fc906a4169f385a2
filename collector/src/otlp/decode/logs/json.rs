//! Log records in JSON, spliced into spans: the texts of resources, scopes, ids, times and attributes are copied as they came.

use super::super::json::{Json, document, text};
use super::{EVENT, Evaluations, Marks, Unwanted, span_id};

pub(super) fn read(body: &[u8]) -> Result<Evaluations, String> {
    let mut found = Evaluations::default();
    if body.is_empty() {
        return Ok(found);
    }
    let document = document(body).map_err(|error| error.to_string())?;
    let mut groups: Vec<Vec<u8>> = Vec::new();
    each(document, b"resourceLogs", "request", &mut |group| {
        groups.extend(resource(group, &mut found)?);
        Ok(())
    })?;
    if !groups.is_empty() {
        found.payload.extend_from_slice(b"{\"resourceSpans\":");
        put_array(&mut found.payload, &groups);
        found.payload.push(b'}');
    }
    Ok(found)
}

/// Does something with the elements of an array of an object, one after the other.
fn each<'a>(
    object: Json<'a>,
    wanted: &[u8],
    what: &str,
    take: &mut dyn FnMut(Json<'a>) -> Result<(), String>,
) -> Result<(), String> {
    for (name, field) in object.entries().ok_or_else(|| format!("{what}: not an object"))? {
        if name == wanted && !field.is_null() {
            let shown = || format!("{}: not an array", String::from_utf8_lossy(wanted));
            field.elements().ok_or_else(shown)?.try_for_each(&mut *take)?;
        }
    }
    Ok(())
}

/// An element of `resourceLogs` as one of `resourceSpans`.
fn resource(group: Json<'_>, found: &mut Evaluations) -> Result<Option<Vec<u8>>, String> {
    let mut scopes: Vec<Vec<u8>> = Vec::new();
    each(group, b"scopeLogs", "resourceLogs", &mut |element| {
        let mut spans: Vec<Vec<u8>> = Vec::new();
        each(element, b"logRecords", "scopeLogs", &mut |record| {
            match span(record) {
                Ok(span) => {
                    spans.push(span);
                    found.kept = found.kept.saturating_add(1);
                }
                Err(why) => found.reject(why),
            }
            Ok(())
        })?;
        if !spans.is_empty() {
            scopes.push(object(element, &[b"scope", b"schemaUrl"], b"spans", &spans));
        }
        Ok(())
    })?;
    Ok((!scopes.is_empty()).then(|| object(group, &[b"resource", b"schemaUrl"], b"scopeSpans", &scopes)))
}

/// An object with some of another's fields, and an array.
fn object(from: Json<'_>, kept: &[&[u8]], name: &[u8], items: &[Vec<u8>]) -> Vec<u8> {
    let mut out = vec![b'{'];
    for (field, value) in from.entries().into_iter().flatten().filter(|(field, _)| kept.contains(field)) {
        put_field(&mut out, field, value.raw());
        out.push(b',');
    }
    out.push(b'"');
    out.extend_from_slice(name);
    out.extend_from_slice(b"\":");
    put_array(&mut out, items);
    out.push(b'}');
    out
}

fn put_array(out: &mut Vec<u8>, items: &[Vec<u8>]) {
    out.push(b'[');
    for (place, item) in items.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        out.extend_from_slice(item);
    }
    out.push(b']');
}

fn put_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.push(b'"');
    out.extend_from_slice(name);
    out.extend_from_slice(b"\":");
    out.extend_from_slice(value);
}

/// The span that stands for a record.
fn span(record: Json<'_>) -> Result<Vec<u8>, Unwanted> {
    let (mut trace, mut parent, mut time, mut observed, mut attributes) = (None, None, None, None, None);
    let mut marks = Marks::default();
    for (name, field) in record.entries().into_iter().flatten() {
        match name {
            b"traceId" => trace = Some(field),
            b"spanId" => parent = Some(field),
            b"timeUnixNano" => time = Some(field),
            b"observedTimeUnixNano" => observed = Some(field),
            b"attributes" => attributes = Some(field),
            b"eventName" => marks.event(&field.quoted().map(text).unwrap_or_default()),
            _ => {}
        }
    }
    for element in attributes.and_then(|list| list.elements()).into_iter().flatten() {
        take_attribute(element, &mut marks);
    }
    let (trace, parent) = (trace.filter(|id| is_id(*id, 32)), parent.filter(|id| is_id(*id, 16)));
    let time = [time, observed].into_iter().flatten().find(|time| is_time(*time));
    marks.verdict(trace.is_some() && parent.is_some(), time.is_some())?;
    let (Some(trace), Some(parent), Some(time)) = (trace, parent, time) else { return Err(Unwanted::NoContext) };
    let mut out = vec![b'{'];
    let id = format!("\"{:016x}\"", span_id(record.raw()));
    let name = format!("\"{EVENT}\"");
    let fields: [(&[u8], &[u8]); 8] = [
        (b"traceId", trace.raw()),
        (b"spanId", id.as_bytes()),
        (b"parentSpanId", parent.raw()),
        (b"name", name.as_bytes()),
        (b"kind", b"1"),
        (b"startTimeUnixNano", time.raw()),
        (b"endTimeUnixNano", time.raw()),
        (b"attributes", attributes.map_or(b"[]", Json::raw)),
    ];
    for (place, (name, value)) in fields.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        put_field(&mut out, name, value);
    }
    out.push(b'}');
    Ok(out)
}

fn take_attribute(element: Json<'_>, marks: &mut Marks) {
    let (mut name, mut value) = (None, None);
    for (field, content) in element.entries().into_iter().flatten() {
        match field {
            b"key" => name = content.quoted().map(text),
            b"value" => {
                let mut texts = content.entries().into_iter().flatten().filter(|(kind, _)| *kind == b"stringValue");
                value = texts.next().and_then(|(_, content)| content.quoted()).map(text);
            }
            _ => {}
        }
    }
    if let Some(name) = name {
        marks.attribute(&name, value.as_deref());
    }
}

/// So many hexadecimal digits, not all zero.
fn is_id(id: Json<'_>, digits: usize) -> bool {
    let quoted = id.quoted().unwrap_or_default();
    quoted.len() == digits && quoted.iter().all(u8::is_ascii_hexdigit) && quoted.iter().any(|digit| *digit != b'0')
}

/// A number, or one in quotes, above zero.
fn is_time(time: Json<'_>) -> bool {
    let digits = time.quoted().unwrap_or_else(|| time.raw());
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) && digits.iter().any(|digit| *digit != b'0')
}

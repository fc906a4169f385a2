//! Checks critical paths against a folder of Jaeger JSON traces that carry expected exclusive times under `testing`.
//!
//! `cargo run -p daytwo-query --example crisp -- <folder>`

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use daytwo_query::trace::{SpanResource, TraceSpan, Weight, critical_path, stitch};
use daytwo_query::{SpanId, TraceId};
use serde_json::Value;

fn id(name: &str) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes.iter_mut().zip(name.bytes()).for_each(|(slot, byte)| *slot = byte);
    bytes
}

fn span(value: &Value, processes: &Value) -> Option<TraceSpan> {
    let text = |key: &str| value[key].as_str();
    let service = processes[text("processID")?]["serviceName"].as_str()?;
    let kind = value["tags"].as_array().into_iter().flatten().find(|tag| tag["key"] == "span.kind");
    let kind = match kind.and_then(|tag| tag["value"].as_str()) {
        Some("server") => 2,
        Some("client") => 3,
        _ => 0,
    };
    let parent = value["references"][0]["spanID"].as_str().map(id);
    Some(TraceSpan {
        trace_id: TraceId::from_bytes(&[1; 16]).ok()?,
        span_id: SpanId::from_bytes(&id(text("spanID")?)).ok()?,
        parent_span_id: parent.and_then(|parent| SpanId::from_bytes(&parent).ok()),
        resource: Arc::new(SpanResource {
            service: service.into(),
            version: "".into(),
            environment: "".into(),
            instance: "".into(),
            traits: Arc::from([]),
        }),
        operation: text("operationName")?.into(),
        kind,
        start_ns: value["startTime"].as_i64()?,
        duration_ns: value["duration"].as_i64()?,
        status: 0,
        has_events: false,
        has_links: false,
        received_ns: 0,
        weight: Weight::default(),
        flags: None,
    })
}

fn check(file: &Value) -> Option<(BTreeMap<String, i64>, BTreeMap<String, i64>)> {
    let trace = &file["data"][0];
    let spans = trace["spans"].as_array()?.iter().filter_map(|value| span(value, &trace["processes"])).collect();
    let stitched = stitch(spans);
    let mut got: BTreeMap<String, i64> = BTreeMap::new();
    for segment in critical_path(&stitched) {
        let row = &stitched.spans.get(segment.row)?.span;
        *got.entry(format!("[{}] {}", row.resource.service, row.operation)).or_default() +=
            segment.end_ns - segment.start_ns;
    }
    let testing = &file["testing"];
    let expected = testing.get("opTimeExclusive").unwrap_or(if testing.is_array() { &testing[0] } else { testing });
    let expected = expected.as_object()?.iter().filter_map(|(name, time)| Some((name.clone(), time.as_i64()?)));
    Some((expected.filter(|(_, time)| *time > 0).collect(), got))
}

/// The same names, each time within a hundredth.
fn alike(expected: &BTreeMap<String, i64>, got: &BTreeMap<String, i64>) -> bool {
    expected.keys().eq(got.keys())
        && expected.values().zip(got.values()).all(|(left, right)| (left - right).abs() * 100 <= *left)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("name the folder with the traces")?;
    let mut out = std::io::stdout().lock();
    let (mut same, mut all) = (0, 0);
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let file: Value = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
            let (expected, got) = check(&file).ok_or("not a trace with expected times")?;
            all += 1;
            let close = alike(&expected, &got);
            same += i32::from(close);
            if !close {
                writeln!(out, "{}: expected {expected:?}, got {got:?}", path.display())?;
            }
        }
    }
    writeln!(out, "{same} of {all} critical paths are as expected")?;
    Ok(())
}

//! Labelled traces: a folder with `cases.jsonl` and one Parquet file per set.
//!
//! Columns are `trace_id, span_id, parent_span_id, pod, operation, start_time_unix_nano, end_time_unix_nano`. There is no kind: it is derived
//! from the tree.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use daytwo_query::trace::{SpanResource, TraceSpan, Weight, kind};
use daytwo_query::{SpanId, TraceId};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use crate::Failure;

/// Start and past-the-end of a window, nanoseconds since the Unix epoch.
pub(crate) type Window = (i64, i64);

/// Traces by start.
pub(crate) type Traces = Vec<(i64, Vec<TraceSpan>)>;

/// One labelled case.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// Which set of traces it is in.
    pub(crate) set: String,
    /// The service that was made faulty; `None` when nothing was.
    pub(crate) culprit: Option<String>,
    /// The fault, `aa` for none.
    pub(crate) fault: String,
    /// `resource`, `code` or `aa`.
    pub(crate) class: String,
    /// Before the fault.
    pub(crate) before: Window,
    /// During it.
    pub(crate) after: Window,
}

/// A folder of labelled traces.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// The cases that have enough traces to be judged.
    pub(crate) cases: Vec<Case>,
    /// Cases left out because a window has fewer than 50 traces.
    pub(crate) unusable: usize,
}

impl Folder {
    /// Reads the list of cases.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path.join("cases.jsonl"))?;
        let lines: Vec<Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        let faults = lines.iter().filter(|line| line["kind"] == "fault").count();
        let cases: Vec<Case> = lines.iter().filter_map(case).collect();
        let usable = cases.iter().filter(|case| case.culprit.is_some()).count();
        Ok(Self { path: path.to_owned(), cases, unusable: faults - usable })
    }

    /// The names of the sets.
    pub(crate) fn sets(&self) -> BTreeSet<&str> {
        self.cases.iter().map(|case| case.set.as_str()).collect()
    }

    /// The traces of a set.
    pub(crate) fn traces(&self, set: &str) -> Result<Traces, Failure> {
        read(&self.path.join(format!("{set}.parquet")))
    }
}

fn case(line: &Value) -> Option<Case> {
    let window = |key: &str| Some((line[key][0].as_i64()?, line[key][1].as_i64()?));
    let text = |key: &str| line[key].as_str().map(str::to_owned);
    let case = Case {
        set: text("set")?,
        culprit: text("service"),
        fault: text("type").unwrap_or_else(|| "aa".to_owned()),
        class: text("cls").unwrap_or_else(|| "aa".to_owned()),
        before: window("baseline_ns")?,
        after: window("fault_ns")?,
    };
    (line["usable"] == true).then_some(case)
}

/// Traces that start within a window.
pub(crate) fn within(traces: &Traces, window: Window) -> &[(i64, Vec<TraceSpan>)] {
    let from = traces.partition_point(|(start, _)| *start < window.0);
    let to = traces.partition_point(|(start, _)| *start < window.1);
    traces.get(from..to.max(from)).unwrap_or_default()
}

/// `cart-6d8f9c7b5d-x2x9z` is a pod of `cart`.
fn service_of(pod: &str) -> &str {
    let mut parts = pod.rsplitn(3, '-');
    let (suffix, hash, service) = (parts.next(), parts.next(), parts.next());
    match (suffix, hash, service) {
        (Some(suffix), Some(hash), Some(service)) if suffix.len() == 5 && (8..=10).contains(&hash.len()) => service,
        _ => pod,
    }
}

/// Names that many spans share.
#[derive(Debug, Default)]
struct Names {
    pods: HashMap<String, Arc<SpanResource>>,
    operations: BTreeSet<Arc<str>>,
}

impl Names {
    fn pod(&mut self, pod: &str) -> Arc<SpanResource> {
        let fresh = || {
            Arc::new(SpanResource {
                service: service_of(pod).into(),
                version: "".into(),
                environment: "".into(),
                instance: "".into(),
                traits: Arc::from([]),
            })
        };
        Arc::clone(self.pods.entry(pod.to_owned()).or_insert_with(fresh))
    }

    fn operation(&mut self, text: &str) -> Arc<str> {
        let name = self.operations.get(text).map_or_else(|| Arc::from(text), Arc::clone);
        self.operations.insert(Arc::clone(&name));
        name
    }
}

fn read(path: &Path) -> Result<Traces, Failure> {
    let mut traces: HashMap<TraceId, Vec<TraceSpan>> = HashMap::new();
    let mut names = Names::default();
    for batch in ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?.build()? {
        read_batch(&batch?, &mut names, &mut traces)?;
    }
    let with_start = |spans: Vec<TraceSpan>| (spans.iter().map(|span| span.start_ns).min().unwrap_or(0), spans);
    let mut traces: Traces = traces.into_values().map(with_start).collect();
    traces.sort_by_key(|(start, spans)| (*start, spans.first().map(|span| span.trace_id)));
    traces.iter_mut().for_each(|(_, spans)| derive_kinds(spans));
    Ok(traces)
}

fn read_batch(
    batch: &RecordBatch,
    names: &mut Names,
    traces: &mut HashMap<TraceId, Vec<TraceSpan>>,
) -> Result<(), Failure> {
    let column = |name: &str, kind: DataType| -> Result<_, Failure> {
        Ok(cast(batch.column_by_name(name).ok_or_else(|| format!("no column {name}"))?, &kind)?)
    };
    let binary = |name: &str| column(name, DataType::Binary);
    let (trace, span, parent) = (binary("trace_id")?, binary("span_id")?, binary("parent_span_id")?);
    let (pod, operation) = (column("pod", DataType::Utf8)?, column("operation", DataType::Utf8)?);
    let (start, end) =
        (column("start_time_unix_nano", DataType::Int64)?, column("end_time_unix_nano", DataType::Int64)?);
    for row in 0..batch.num_rows() {
        let start_ns = start.as_primitive::<Int64Type>().value(row);
        let trace_id = TraceId::from_bytes(trace.as_binary::<i32>().value(row))?;
        let parent_id = parent.is_valid(row).then(|| SpanId::from_bytes(parent.as_binary::<i32>().value(row)));
        traces.entry(trace_id).or_default().push(TraceSpan {
            trace_id,
            span_id: SpanId::from_bytes(span.as_binary::<i32>().value(row))?,
            parent_span_id: parent_id.transpose()?,
            resource: names.pod(pod.as_string::<i32>().value(row)),
            operation: names.operation(operation.as_string::<i32>().value(row)),
            kind: 0,
            start_ns,
            duration_ns: end.as_primitive::<Int64Type>().value(row).saturating_sub(start_ns).max(0),
            status: 0,
            has_events: false,
            has_links: false,
            received_ns: start_ns,
            weight: Weight::default(),
            flags: None,
        });
    }
    Ok(())
}

/// Server if the parent is elsewhere or missing; client if the only child is elsewhere; else internal.
fn derive_kinds(spans: &mut [TraceSpan]) {
    let services: HashMap<SpanId, Arc<str>> =
        spans.iter().map(|span| (span.span_id, Arc::clone(&span.resource.service))).collect();
    let mut children: HashMap<SpanId, Vec<Arc<str>>> = HashMap::new();
    for span in spans.iter() {
        if let Some(parent) = span.parent_span_id {
            children.entry(parent).or_default().push(Arc::clone(&span.resource.service));
        }
    }
    for span in spans {
        let parent = span.parent_span_id.and_then(|parent| services.get(&parent));
        let own = &span.resource.service;
        let remote_child = matches!(children.get(&span.span_id).map(Vec::as_slice), Some([only]) if only != own);
        span.kind = match parent {
            None => kind::SERVER,
            Some(parent) if parent != own => kind::SERVER,
            Some(_) if remote_child => kind::CLIENT,
            Some(_) => 1,
        };
    }
}

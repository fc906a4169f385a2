//! Judges labelled faults as deployments: recall, localisation and false alarms of the rule on real traces.
//!
//! `cargo run -p daytwo-query --example rca -- <folder>` where the folder holds `cases.jsonl` and one Parquet file per set
//! with `trace_id, span_id, parent_span_id, pod, operation, start_time_unix_nano, end_time_unix_nano`.
//!
//! A case becomes a deployment by giving a service version v1 before its instant and v2 from then on, all traffic at once
//! (before/after). Every service of the traces is judged so; a FAIL or WARN of class OWN or EDGE names it. The worst named
//! one, by milliseconds, is the answer; the other named ones are innocents. Aggregate figures only are printed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use daytwo_query::measure::{TraceRecord, measure_trace};
use daytwo_query::trace::{SpanResource, TraceSpan, kind, stitch};
use daytwo_query::verdict::{Class, CohortKey, Cohorts, State, Verdict, VerdictConfig, judge};
use daytwo_query::{SpanId, TraceId, UnixNanos};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

type Failure = Box<dyn std::error::Error>;
type Traces = Vec<(i64, Vec<TraceSpan>)>;

/// `cart-6d8f9c7b5d-x2x9z` is a pod of `cart`.
fn service_of(pod: &str) -> &str {
    let mut parts = pod.rsplitn(3, '-');
    let (suffix, hash, service) = (parts.next(), parts.next(), parts.next());
    match (suffix, hash, service) {
        (Some(suffix), Some(hash), Some(service)) if suffix.len() == 5 && (8..=10).contains(&hash.len()) => service,
        _ => pod,
    }
}

fn read(path: &Path) -> Result<Traces, Failure> {
    let mut traces: HashMap<TraceId, Vec<TraceSpan>> = HashMap::new();
    let mut resources: HashMap<String, Arc<SpanResource>> = HashMap::new();
    let mut names: BTreeSet<Arc<str>> = BTreeSet::new();
    for batch in ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?.build()? {
        let batch = batch?;
        let column = |name: &str, kind: DataType| -> Result<_, Failure> {
            Ok(cast(batch.column_by_name(name).ok_or(format!("no column {name}"))?, &kind)?)
        };
        let binary = |name: &str| column(name, DataType::Binary);
        let (trace, span, parent) = (binary("trace_id")?, binary("span_id")?, binary("parent_span_id")?);
        let (pod, operation) = (column("pod", DataType::Utf8)?, column("operation", DataType::Utf8)?);
        let (start, end) =
            (column("start_time_unix_nano", DataType::Int64)?, column("end_time_unix_nano", DataType::Int64)?);
        for row in 0..batch.num_rows() {
            let pod = pod.as_string::<i32>().value(row);
            let resource = resources.entry(pod.to_owned()).or_insert_with(|| resource(service_of(pod)));
            let text = operation.as_string::<i32>().value(row);
            let name = names.get(text).map_or_else(|| Arc::from(text), Arc::clone);
            names.insert(Arc::clone(&name));
            let start_ns = start.as_primitive::<Int64Type>().value(row);
            let trace_id = TraceId::from_bytes(trace.as_binary::<i32>().value(row))?;
            let has_parent = parent.is_valid(row);
            traces.entry(trace_id).or_default().push(TraceSpan {
                trace_id,
                span_id: SpanId::from_bytes(span.as_binary::<i32>().value(row))?,
                parent_span_id: has_parent
                    .then(|| SpanId::from_bytes(parent.as_binary::<i32>().value(row)))
                    .transpose()?,
                resource: Arc::clone(resource),
                operation: name,
                kind: 0,
                start_ns,
                duration_ns: end.as_primitive::<Int64Type>().value(row).saturating_sub(start_ns).max(0),
                status: 0,
                has_events: false,
                has_links: false,
                received_ns: start_ns,
            });
        }
    }
    let with_start = |spans: Vec<TraceSpan>| (spans.iter().map(|span| span.start_ns).min().unwrap_or(0), spans);
    let mut traces: Traces = traces.into_values().map(with_start).collect();
    traces.sort_by_key(|(start, _)| *start);
    traces.iter_mut().for_each(|(_, spans)| derive_kinds(spans));
    Ok(traces)
}

fn resource(service: &str) -> Arc<SpanResource> {
    Arc::new(SpanResource {
        service: service.into(),
        version: "".into(),
        environment: "".into(),
        instance: "".into(),
        traits: Arc::from([]),
    })
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

fn window(case: &Value, key: &str) -> Option<(i64, i64)> {
    Some((case[key][0].as_i64()?, case[key][1].as_i64()?))
}

/// Verdicts of every service, as if each had been deployed between the two windows.
fn judge_all(traces: &Traces, before: (i64, i64), after: (i64, i64)) -> BTreeMap<Arc<str>, Verdict> {
    let inside = |start: i64| (before.0..before.1).contains(&start) || (after.0..after.1).contains(&start);
    let from = traces.partition_point(|(start, _)| *start < before.0);
    let to = traces.partition_point(|(start, _)| *start < after.1);
    let taken = traces.get(from..to).unwrap_or_default().iter().filter(|(start, _)| inside(*start));
    let records: Vec<TraceRecord> =
        taken.filter_map(|(_, spans)| measure_trace(&stitch(spans.clone()))).map(|(record, _)| record).collect();
    let services: BTreeSet<Arc<str>> =
        records.iter().flat_map(|record| &record.resources).map(|resource| Arc::clone(&resource.service)).collect();
    let verdict = |service: Arc<str>| {
        let verdict = judge_one(&records, &service, before, after);
        (service, verdict)
    };
    services.into_iter().map(verdict).collect()
}

fn judge_one(records: &[TraceRecord], service: &Arc<str>, before: (i64, i64), after: (i64, i64)) -> Verdict {
    let nanos = |length: i64| Duration::from_nanos(u64::try_from(length).unwrap_or(0));
    let config = VerdictConfig { lookback: nanos(after.0.saturating_sub(before.0)), ..VerdictConfig::default() };
    let key = CohortKey {
        environment: "".into(),
        service: Arc::clone(service),
        candidate: "v2".into(),
        baseline: Some("v1".into()),
        first_seen: UnixNanos(after.0),
    };
    let mut cohorts = Cohorts::new(key, config.lookback, config.bake);
    for record in records {
        let version = if record.start.0 >= after.0 { "v2" } else { "v1" };
        let mut record = record.clone();
        for resource in record.resources.iter_mut().filter(|resource| resource.service == *service) {
            *resource = Arc::new(SpanResource { version: version.into(), ..(**resource).clone() });
        }
        cohorts.add(&record);
    }
    judge(&cohorts, UnixNanos(after.1), &config)
}

/// How badly a verdict blames its own service; `None` when it does not.
fn blame(verdict: &Verdict) -> Option<f64> {
    let blamed = matches!(verdict.state, State::Fail | State::Warn | State::Noisy)
        && matches!(verdict.class, Some(Class::Own | Class::Edge));
    let bad = verdict.findings.iter().filter(|finding| finding.class.is_some());
    let weight = |z: f64| (z / 4.0).powi(2).min(1.0);
    let excess = bad.map(|finding| finding.excess_ms.unwrap_or(0.0) * weight(finding.z.unwrap_or(0.0)));
    blamed.then(|| excess.fold(0.0, f64::max))
}

#[derive(Debug, Default)]
struct Score {
    cases: usize,
    recalled: usize,
    first: usize,
    third: usize,
    innocents: usize,
    failed: usize,
    states: BTreeMap<&'static str, usize>,
}

impl Score {
    fn add(&mut self, verdicts: &BTreeMap<Arc<str>, Verdict>, culprit: Option<&str>) {
        self.cases += 1;
        let mut blamed: Vec<(&Arc<str>, f64)> =
            verdicts.iter().filter_map(|(service, verdict)| Some((service, blame(verdict)?))).collect();
        blamed.sort_by(|left, right| right.1.total_cmp(&left.1));
        let rank = culprit.and_then(|culprit| blamed.iter().position(|(service, _)| ***service == *culprit));
        self.recalled += usize::from(rank.is_some());
        self.first += usize::from(rank == Some(0));
        self.third += usize::from(rank.is_some_and(|rank| rank < 3));
        self.innocents += blamed.iter().filter(|(service, _)| Some(&***service) != culprit).count();
        self.failed += usize::from(verdicts.values().any(|verdict| verdict.state == State::Fail));
        for verdict in verdicts.values() {
            *self.states.entry(verdict.state.name()).or_default() += 1;
        }
    }
}

fn main() -> Result<(), Failure> {
    let folder = std::env::args().nth(1).ok_or("name the folder with cases.jsonl")?;
    let folder = Path::new(&folder);
    let cases = std::fs::read_to_string(folder.join("cases.jsonl"))?;
    let cases: Vec<Value> = cases.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let sets: BTreeSet<&str> = cases.iter().filter_map(|case| case["set"].as_str()).collect();
    let mut scores: BTreeMap<String, Score> = BTreeMap::new();
    for set in sets {
        let traces = read(&folder.join(format!("{set}.parquet")))?;
        for case in cases.iter().filter(|case| case["set"] == set && case["usable"] == true) {
            let (Some(before), Some(after)) = (window(case, "baseline_ns"), window(case, "fault_ns")) else { continue };
            let verdicts = judge_all(&traces, before, after);
            let class = case["cls"].as_str().or(case["kind"].as_str()).unwrap_or("");
            scores.entry(format!("{set} {class}")).or_default().add(&verdicts, case["service"].as_str());
        }
    }
    let mut out = std::io::stdout().lock();
    for (name, score) in scores {
        writeln!(
            out,
            "{name}: {} cases, recalled {}, first {}, in three {}, innocents {}, cases with any FAIL {}, states {:?}",
            score.cases, score.recalled, score.first, score.third, score.innocents, score.failed, score.states
        )?;
    }
    Ok(())
}

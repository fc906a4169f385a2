//! Labelled cases as OTLP: encoded, decoded by the collector's own decoder, and followed by the correlation engine.
//!
//! At the instant of the fault all services go from v1 to v2, as on a release train, or the faulty one and some innocents. Their releases
//! are declared, or the engine has to find them itself, which is harder. Traces come in as they ended; the clock is turned by hand and the
//! engine looks every ten seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use daytwo_collector::decode::{self, Limits};
use daytwo_query::trace::TraceSpan;
use daytwo_query::verdict::Verdict;
use daytwo_query::{Correlator, Declaration, DeclaredKind, EngineConfig, UnixNanos, VersionNames};
use daytwo_storage::clock::ManualClock;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use rand::{SeedableRng, rngs::StdRng, seq::IndexedRandom};

use crate::Failure;
use crate::dataset::{Case, Folder, Traces, within};
use crate::deploy::{NEW, OLD};
use crate::rca::{self, Score};

const SECOND: i64 = 1_000_000_000;

/// Which services are released at the fault's instant.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Released {
    /// All of them, as by a release train.
    All,
    /// The faulty one, and so many seeded innocents.
    WithDecoys(usize),
}

/// What is released, and how the engine hears of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Release {
    /// Which services.
    pub(crate) released: Released,
    /// Whether their new versions are declared at that instant; otherwise only spans tell.
    pub(crate) declared: bool,
}

/// Says that a service's new version was deployed.
fn declare(engine: &Correlator, service: &str, at: i64) -> Result<(), Failure> {
    engine.declare(Declaration {
        id: service.to_owned(),
        service: service.to_owned(),
        environment: String::new(),
        names: VersionNames { version: Some(NEW.to_owned()), ..VersionNames::default() },
        at: UnixNanos(at),
        kind: DeclaredKind::Deployed,
        actor: None,
        url: None,
        weight: None,
        earlier: Vec::new(),
    })?;
    Ok(())
}

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn span(span: &TraceSpan) -> Span {
    Span {
        trace_id: span.trace_id.as_bytes().to_vec(),
        span_id: span.span_id.as_bytes().to_vec(),
        parent_span_id: span.parent_span_id.map_or_else(Vec::new, |parent| parent.as_bytes().to_vec()),
        name: span.operation.to_string(),
        kind: span.kind,
        start_time_unix_nano: u64::try_from(span.start_ns).unwrap_or(0),
        end_time_unix_nano: u64::try_from(span.end_ns()).unwrap_or(0),
        ..Span::default()
    }
}

/// Services that have spans in these traces.
fn services(traces: &[(i64, Vec<TraceSpan>)]) -> BTreeSet<Arc<str>> {
    traces.iter().flat_map(|(_, spans)| spans).map(|span| Arc::clone(&span.resource.service)).collect()
}

/// The services that get a new version, drawn by the case's instant from those with traffic on both sides of it.
fn released_of(traces: &Traces, case: &Case, released: Released) -> BTreeSet<Arc<str>> {
    let (before, after) = (services(within(traces, case.before)), services(within(traces, case.after)));
    let Released::WithDecoys(decoys) = released else { return after };
    let is_culprit = |service: &Arc<str>| Some(&**service) == case.culprit.as_deref();
    let innocents: Vec<&Arc<str>> = before.intersection(&after).filter(|service| !is_culprit(service)).collect();
    let mut random = StdRng::seed_from_u64(case.after.0.unsigned_abs());
    let drawn = innocents.sample(&mut random, decoys).map(|service| Arc::clone(service));
    drawn.chain(after.iter().filter(|service| is_culprit(service)).map(Arc::clone)).collect()
}

/// The body of an export request with the spans of these traces, by service.
fn body(traces: &[&(i64, Vec<TraceSpan>)], at: i64, released: &BTreeSet<Arc<str>>) -> Vec<u8> {
    let mut by_process: BTreeMap<(Arc<str>, &str), Vec<Span>> = BTreeMap::new();
    for (start, spans) in traces {
        for one in spans {
            let new = *start >= at && released.contains(&one.resource.service);
            let version = if new { NEW } else { OLD };
            by_process.entry((Arc::clone(&one.resource.service), version)).or_default().push(span(one));
        }
    }
    let resource = |((service, version), spans): ((Arc<str>, &str), Vec<Span>)| {
        let attributes = vec![attribute("service.name", &service), attribute("service.version", version)];
        ResourceSpans {
            resource: Some(Resource { attributes, ..Resource::default() }),
            scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }
    };
    ExportTraceServiceRequest { resource_spans: by_process.into_iter().map(resource).collect() }.encode_to_vec()
}

/// Verdicts of the engine at the end of the case; windows that lie apart are brought together, so that the clock need not run for hours.
fn judged(
    traces: &Traces,
    case: &Case,
    released: &BTreeSet<Arc<str>>,
    declared: bool,
    config: &EngineConfig,
) -> Result<BTreeMap<Arc<str>, Verdict>, Failure> {
    let apart = case.after.0.saturating_sub(case.before.1);
    let moved: Vec<(i64, Vec<TraceSpan>)> =
        within(traces, case.before).iter().map(|(start, spans)| later(*start, spans, apart)).collect();
    let mut all: Vec<&(i64, Vec<TraceSpan>)> = moved.iter().chain(within(traces, case.after)).collect();
    let ended = |trace: &(i64, Vec<TraceSpan>)| trace.1.iter().map(TraceSpan::end_ns).max().unwrap_or(trace.0);
    all.sort_by_key(|trace| (ended(trace), trace.0));
    let start = case.before.0.saturating_add(apart);
    let clock = Arc::new(ManualClock::at(UnixNanos(start)));
    let engine = Correlator::new(config.clone(), Arc::<ManualClock>::clone(&clock));
    if declared {
        released.iter().try_for_each(|service| declare(&engine, service, case.after.0))?;
    }
    let mut rest = all.into_iter().peekable();
    let mut now = start;
    while now < case.after.1.saturating_add(20 * SECOND) {
        let mut ready = Vec::new();
        while let Some(trace) = rest.next_if(|trace| ended(trace) < now.saturating_add(SECOND)) {
            ready.push(trace);
        }
        clock.advance(Duration::from_secs(1));
        now = now.saturating_add(SECOND);
        if !ready.is_empty() {
            engine.observe(
                &decode::protobuf(&body(&ready, case.after.0, released), UnixNanos(now), &Limits::default())?.batch,
            );
        }
        engine.tick();
    }
    let newest = engine.verdicts().into_iter().filter(|verdict| verdict.candidate.version == NEW);
    Ok(newest.map(|verdict| (verdict.service.as_str().into(), (*verdict).clone())).collect())
}

fn later(start: i64, spans: &[TraceSpan], by: i64) -> (i64, Vec<TraceSpan>) {
    let move_one = |span: &TraceSpan| TraceSpan { start_ns: span.start_ns.saturating_add(by), ..span.clone() };
    (start.saturating_add(by), spans.iter().map(move_one).collect())
}

/// Scores by set and class.
pub(crate) fn measure(
    folder: &Folder,
    release: Release,
    config: &EngineConfig,
    said: &mut String,
) -> Result<BTreeMap<String, Score>, Failure> {
    let mut scores: BTreeMap<String, Score> = BTreeMap::new();
    for set in folder.sets() {
        let traces = folder.traces(set)?;
        for case in folder.cases.iter().filter(|case| case.set == set) {
            let released = released_of(&traces, case, release.released);
            let verdicts = judged(&traces, case, &released, release.declared, config)?;
            rca::say(case, &verdicts, said)?;
            scores.entry(format!("{set} {}", case.class)).or_default().add(case, &verdicts);
        }
    }
    Ok(scores)
}

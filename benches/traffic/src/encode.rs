//! From finished spans to the bodies of OTLP requests.

pub mod json;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

use crate::describe::Scope;
use crate::model::FinishedSpan;
use crate::pods::{Pod, PodId, Pods};

/// Schema of the attributes that the model uses.
const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.37.0";

/// One export request of one pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportRequest {
    /// The pod that sends it.
    pub pod: PodId,
    /// Its `service.name`.
    pub service: &'static str,
    /// Spans in it.
    pub spans: usize,
    /// An `ExportTraceServiceRequest` in protobuf, not compressed.
    pub body: Bytes,
}

/// The message that a pod's SDK sends for these spans, all of which must be the pod's.
pub fn message(pod: &Pod, spans: Vec<FinishedSpan>) -> ExportTraceServiceRequest {
    let mut scopes: Vec<(Scope, Vec<Span>)> = Vec::new();
    for FinishedSpan { scope, span, .. } in spans {
        match scopes.iter_mut().find(|(known, _)| *known == scope) {
            Some((_, spans)) => spans.push(span),
            None => scopes.push((scope, vec![span])),
        }
    }
    let scope_spans = scopes.into_iter().map(|(scope, spans)| scope_spans(scope, spans)).collect();
    let resource_spans =
        ResourceSpans { resource: Some(pod.resource.clone()), scope_spans, schema_url: SCHEMA_URL.into() };
    ExportTraceServiceRequest { resource_spans: vec![resource_spans] }
}

fn scope_spans(scope: Scope, spans: Vec<Span>) -> ScopeSpans {
    let scope = InstrumentationScope {
        name: scope.name.into(),
        version: scope.version.into(),
        ..InstrumentationScope::default()
    };
    ScopeSpans { scope: Some(scope), spans, schema_url: SCHEMA_URL.into() }
}

/// The pod's spans as one request in protobuf; `None` when the model has no such pod.
pub fn protobuf(pods: &Pods, id: PodId, spans: Vec<FinishedSpan>) -> Option<ExportRequest> {
    let pod = pods.get(id)?;
    let count = spans.len();
    let body = message(pod, spans).encode_to_vec().into();
    Some(ExportRequest { pod: id, service: pod.service.name, spans: count, body })
}

/// Groups spans by pod and encodes each pod's as requests of at most `spans_max` spans, in the order of the pods.
pub fn requests(pods: &Pods, spans: Vec<FinishedSpan>, spans_max: usize) -> Vec<ExportRequest> {
    let mut by_pod: Vec<Vec<FinishedSpan>> = vec![Vec::new(); pods.len()];
    for span in spans {
        if let Some(own) = by_pod.get_mut(span.pod.0) {
            own.push(span);
        }
    }
    let batches = by_pod.iter().enumerate().flat_map(|(pod, own)| {
        own.chunks(spans_max.max(1)).filter_map(move |batch| protobuf(pods, PodId(pod), batch.to_vec()))
    });
    batches.collect()
}

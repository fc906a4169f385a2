//! From a YAML tree to a document of its kind: every fault of the document is noted, not the first alone.

mod alert;
mod slo;

use super::document::{Body, DataSource, Document, Given, Kind, Metadata, Metric, NotificationTarget, Ratio, Sli};
use super::fields::{Faults, Fields};
use super::yaml::{At, Line, Node};

/// The only `apiVersion` that is read.
pub(super) const API_VERSION: &str = "openslo/v1";

/// Kind and name of a document, as far as they are readable whatever else is wrong with it.
pub(super) fn head(node: &Node) -> Option<(Kind, String)> {
    let Node::Map(entries) = node else { return None };
    let field = |entries: &[(At<String>, At<Node>)], key: &str| {
        entries.iter().find(|(name, _)| name.value == key).map(|(_, value)| value.value.clone())
    };
    let Some(Node::Text(kind)) = field(entries, "kind") else { return None };
    let kind = Kind::ALL.into_iter().find(|known| known.name() == kind)?;
    let Some(Node::Map(metadata)) = field(entries, "metadata") else { return None };
    match field(&metadata, "name") {
        Some(Node::Text(name)) => Some((kind, name)),
        _ => None,
    }
}

/// Reads a document; it is to be used only if there was no fault.
pub(super) fn document(node: At<Node>, faults: &Faults) -> Option<Document> {
    let mut fields = Fields::of(node, "the document", faults)?;
    let version = fields.need_text("apiVersion", &format!("write `apiVersion: {API_VERSION}`"))?;
    if version.value != API_VERSION {
        fields.fault(version.line, format!("apiVersion {} is not read; write {API_VERSION}", version.value));
        return None;
    }
    let name = fields.need_text("kind", "write `kind: SLO` or `kind: SLI`")?;
    let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.name() == name.value) else {
        let known = Kind::ALL.map(Kind::name).join(", ");
        fields.fault(name.line, format!("kind {} is not one of OpenSLO v1: {known}", name.value));
        return None;
    };
    let metadata = fields.need_inner("metadata", "").and_then(metadata);
    let body = match fields.need_inner("spec", "") {
        Some(spec) => body(kind, spec),
        None => None,
    };
    fields.end();
    Some(Document { metadata: metadata?, body: body? })
}

fn body(kind: Kind, spec: Fields<'_>) -> Option<Body> {
    Some(match kind {
        Kind::Slo => Body::Slo(Box::new(slo::slo(spec)?)),
        Kind::Sli => Body::Sli(Box::new(sli(spec)?)),
        Kind::AlertPolicy => Body::AlertPolicy(alert::policy(spec)?),
        Kind::AlertCondition => Body::AlertCondition(alert::condition(spec)?),
        Kind::Service => Body::Service(service(spec)),
        Kind::DataSource => Body::DataSource(data_source(spec)),
        Kind::AlertNotificationTarget => Body::AlertNotificationTarget(notification_target(spec)),
    })
}

fn metadata(mut fields: Fields<'_>) -> Option<Metadata> {
    let name = fields.need_text("name", "");
    let display_name = fields.text("displayName");
    let (labels, annotations) = (fields.free("labels"), fields.free("annotations"));
    fields.end();
    Some(Metadata { name: name?, display_name, labels, annotations })
}

fn service(mut spec: Fields<'_>) -> Option<super::yaml::Text> {
    let description = spec.text("description");
    spec.end();
    description
}

fn data_source(mut spec: Fields<'_>) -> DataSource {
    let source = DataSource {
        description: spec.text("description"),
        kind: spec.text("type"),
        connection: spec.free("connectionDetails"),
    };
    spec.end();
    source
}

fn notification_target(mut spec: Fields<'_>) -> NotificationTarget {
    let target = NotificationTarget { description: spec.text("description"), target: spec.text("target") };
    spec.end();
    target
}

/// Something that stands in place as a map of `metadata` and `spec`.
fn in_place<T>(mut fields: Fields<'_>, kind: Kind, read: impl Fn(Fields<'_>) -> Option<T>) -> Option<Given<T>> {
    if let Some(other) = fields.text("kind").filter(|given| given.value != kind.name()) {
        fields.fault(other.line, format!("kind {} cannot stand here; write {}", other.value, kind.name()));
    }
    if let Some(other) = fields.text("apiVersion").filter(|version| version.value != API_VERSION) {
        fields.fault(other.line, format!("apiVersion {} is not read; write {API_VERSION}", other.value));
    }
    let metadata = fields.inner("metadata").map(metadata);
    let spec = fields.need_inner("spec", "").and_then(read);
    fields.end();
    // Metadata that cannot be read is a fault already.
    Some(Given::Here(metadata.flatten(), spec?))
}

/// `indicator` or `indicatorRef` of an SLO or of one of its objectives.
fn indicator(fields: &mut Fields<'_>) -> Option<Given<Sli>> {
    let here = fields.inner("indicator");
    let named = fields.text("indicatorRef");
    match (here, named) {
        (Some(here), None) => in_place(here, Kind::Sli, sli),
        (None, named) => named.map(Given::Named),
        (Some(_), Some(named)) => {
            fields.fault(named.line, "indicator and indicatorRef exclude each other; keep one");
            None
        }
    }
}

fn sli(mut spec: Fields<'_>) -> Option<Sli> {
    let line = Line { value: (), line: spec.line() };
    let description = spec.text("description");
    let threshold_metric = spec.free("thresholdMetric");
    let ratio = spec.inner("ratioMetric").map(ratio);
    match (&threshold_metric, &ratio) {
        (Some(metric), Some(_)) => {
            spec.fault(metric.line, "thresholdMetric and ratioMetric exclude each other; keep one");
        }
        (None, None) => spec.fault(line.line, "the indicator needs ratioMetric"),
        _ => {}
    }
    spec.end();
    Some(Sli { line, description, threshold_metric, ratio })
}

fn ratio(mut fields: Fields<'_>) -> Ratio {
    let ratio = Ratio {
        line: Line { value: (), line: fields.line() },
        counter: fields.flag("counter"),
        good: metric(&mut fields, "good"),
        bad: metric(&mut fields, "bad"),
        total: metric(&mut fields, "total"),
        raw: fields.free("raw"),
        raw_type: fields.text("rawType"),
    };
    fields.end();
    ratio
}

fn metric(fields: &mut Fields<'_>, key: &'static str) -> Option<Metric> {
    let mut outer = fields.inner(key)?;
    let source = outer.need_inner("metricSource", "");
    outer.end();
    let mut source = source?;
    let metric = Metric {
        line: Line { value: (), line: source.line() },
        source: source.text("metricSourceRef"),
        kind: source.text("type"),
        spec: source.free("spec"),
    };
    source.end();
    Some(metric)
}

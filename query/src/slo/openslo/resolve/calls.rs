//! What an indicator counts: the `daytwo` metric sources of a ratio.

use super::super::document::{Body, Kind, Metric, Sli};
use super::super::fields::{Faults, Fields};
use super::super::yaml::{At, Node, Text};
use super::{Findings, Folder, journey};
use crate::slo::{Calls, ObjectiveKind, length};

/// The type of our metric sources.
pub(super) const OURS: &str = "daytwo";

/// The fields of a metric source's `spec`.
const FIELDS: [&str; 9] =
    ["signal", "service", "operation", "environment", "threshold", "scope", "root", "steps", "critical"];

/// What they say.
pub(super) struct Counted {
    pub(super) line: u64,
    pub(super) signal: Option<Text>,
    pub(super) service: Option<Text>,
    pub(super) operation: Option<Text>,
    pub(super) environment: Option<Text>,
    pub(super) threshold: Option<Text>,
    pub(super) scope: Option<Text>,
    pub(super) root: Option<Text>,
    pub(super) steps: Option<Texts>,
    pub(super) critical: Option<Texts>,
}

/// A list of texts and the line of each.
pub(super) type Texts = At<Vec<Text>>;

/// Whether the indicator says that it is for us, or for nobody: others are another program's business until an SLO refers to them.
pub(super) fn is_ours(sli: &Sli) -> bool {
    let Some(ratio) = &sli.ratio else { return false };
    let foreign =
        |metric: &Metric| metric.kind.as_ref().is_some_and(|kind| kind.value != OURS) || metric.source.is_some();
    ![&ratio.good, &ratio.bad, &ratio.total].into_iter().flatten().any(foreign)
}

impl<'a> Folder<'a> {
    /// What the indicator counts; `None` after a fault.
    pub(super) fn calls(&self, sli: &Sli, service: Option<&Text>, findings: &Findings<'a>) -> Option<Calls> {
        let faults = &findings.faults;
        let Some(ratio) = &sli.ratio else {
            let line = sli.threshold_metric.as_ref().map_or(sli.line.line, |metric| metric.line);
            faults.add(line, "thresholdMetric is not read; the indicator needs ratioMetric");
            return None;
        };
        if let Some(bad) = &ratio.bad {
            faults.add(bad.line.line, "ratioMetric.bad is not read; write good and total");
        }
        if let Some(raw) = &ratio.raw {
            faults.add(raw.line, "ratioMetric.raw is not read; write good and total");
        }
        let missing = |what: &str| faults.add(ratio.line.line, format!("ratioMetric.{what} is missing"));
        if ratio.good.is_none() {
            missing("good");
        }
        if ratio.total.is_none() {
            missing("total");
        }
        let good = ratio.good.as_ref().and_then(|metric| self.counted(metric, findings));
        let total = ratio.total.as_ref().and_then(|metric| self.counted(metric, findings));
        let (good, total) = (good?, total?);
        let is_journey = good.scope.is_some() || total.scope.is_some();
        let calls = if is_journey {
            journey::joined(&good, &total, faults)
        } else {
            journey::refuse(&good, &total, faults).and_then(|()| joined(&good, &total, service, faults))
        };
        if let Some(signal) = total.signal.as_ref().or(total.threshold.as_ref()) {
            findings.notes.add(signal.line, "signal and threshold of total have no effect: it counts every call");
        }
        if let Some(list) = total.steps.as_ref().or(total.critical.as_ref()).filter(|_| is_journey) {
            findings.notes.add(list.line, "steps and critical of total have no effect: it counts every journey");
        }
        calls.filter(|_| ratio.bad.is_none() && ratio.raw.is_none())
    }

    fn counted(&self, metric: &Metric, findings: &Findings<'a>) -> Option<Counted> {
        self.check_source(metric, findings)?;
        let faults = &findings.faults;
        let Some(spec) = &metric.spec else {
            faults.add(metric.line.line, "metricSource.spec is missing");
            return None;
        };
        let mut fields = Fields::of(spec.clone(), "metricSource.spec", faults)?;
        let counted = Counted {
            line: fields.line(),
            signal: fields.text("signal"),
            service: fields.text("service"),
            operation: fields.text("operation"),
            environment: fields.text("environment"),
            threshold: fields.text("threshold"),
            scope: fields.text("scope"),
            root: fields.text("root"),
            steps: fields.texts("steps"),
            critical: fields.texts("critical"),
        };
        fields.end();
        is_readable(spec).then_some(counted)
    }

    /// The source must be ours, by its own word or by that of the DataSource that it names.
    fn check_source(&self, metric: &Metric, findings: &Findings<'a>) -> Option<()> {
        let named = match &metric.source {
            None => None,
            Some(name) => match &self.look_up(Kind::DataSource, name, findings)?.body {
                Body::DataSource(source) => source.kind.clone().map(|kind| At { line: name.line, ..kind }),
                _ => None,
            },
        };
        let foreign = metric.kind.as_ref().or(named.as_ref()).filter(|kind| kind.value != OURS);
        let Some(kind) = foreign else { return Some(()) };
        let message = format!("metricSource.type {} is not read; write {OURS}", kind.value);
        findings.faults.add(kind.line, message);
        None
    }
}

/// A field that is no text, or that nobody knows, is a fault already.
fn is_readable(spec: &At<Node>) -> bool {
    let Node::Map(entries) = &spec.value else { return false };
    let is_text = |value: &At<Node>| matches!(value.value, Node::Text(_));
    let known = |(key, value): &(Text, At<Node>)| {
        let is_list = ["steps", "critical"].contains(&key.value.as_str());
        let fits = match &value.value {
            Node::List(list) => is_list && list.iter().all(is_text),
            _ => is_text(value) && !is_list,
        };
        FIELDS.contains(&key.value.as_str()) && (fits || value.value == Node::Null)
    };
    entries.iter().all(known)
}

fn joined(good: &Counted, total: &Counted, slo_service: Option<&Text>, faults: &Faults) -> Option<Calls> {
    let same = [
        same("service", good.service.as_ref(), total.service.as_ref(), faults),
        same("operation", good.operation.as_ref(), total.operation.as_ref(), faults),
        same("environment", good.environment.as_ref(), total.environment.as_ref(), faults),
    ];
    let service = good.service.as_ref().or(total.service.as_ref()).or(slo_service);
    if service.is_none() {
        faults.add(good.line, "metricSource.spec.service is missing");
    }
    let kind = signal(good, faults);
    let operation = good.operation.as_ref().or(total.operation.as_ref());
    let environment = good.environment.as_ref().or(total.environment.as_ref());
    let calls = Calls {
        service: service?.value.as_str().into(),
        operation: operation.map(|text| text.value.as_str().into()),
        environment: environment.map(|text| text.value.as_str().into()),
        kind: kind?,
        journey: None,
    };
    same.into_iter().all(|same| same).then_some(calls)
}

/// Good and total must count the same calls, else their ratio means nothing.
pub(super) fn same(what: &str, good: Option<&Text>, total: Option<&Text>, faults: &Faults) -> bool {
    match (good, total) {
        (Some(good), Some(total)) if good.value != total.value => {
            let message = format!("{what} differs: good counts {}, total counts {}", good.value, total.value);
            faults.add(good.line, message);
            false
        }
        (Some(good), None) if what == "operation" => {
            faults.add(good.line, "good counts one operation and total counts all; name it in both");
            false
        }
        _ => true,
    }
}

pub(super) fn signal(good: &Counted, faults: &Faults) -> Option<ObjectiveKind> {
    let Some(signal) = &good.signal else {
        faults.add(good.line, "good needs signal: availability or latency");
        return None;
    };
    let (line, message) = match (signal.value.as_str(), &good.threshold) {
        ("availability", None) => return Some(ObjectiveKind::Availability),
        ("availability", Some(threshold)) => (threshold.line, "availability takes no threshold".to_owned()),
        ("latency", Some(threshold)) => match length::read(&threshold.value).filter(|length| !length.is_zero()) {
            Some(length) => {
                let threshold_ns = i64::try_from(length.as_nanos()).unwrap_or(i64::MAX);
                return Some(ObjectiveKind::Latency { threshold_ns });
            }
            None => (threshold.line, format!("threshold {} must be a time like 300ms or 1.5s", threshold.value)),
        },
        ("latency", None) => (signal.line, "latency needs a threshold such as \"300ms\"".to_owned()),
        (other, _) => (signal.line, format!("signal {other} is not known; use availability or latency")),
    };
    faults.add(line, message);
    None
}

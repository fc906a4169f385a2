//! From a document back to OpenSLO YAML that reads back equal.

use super::document::{
    AlertCondition, AlertPolicy, Body, DataSource, Document, Given, Goal, Kind, Metadata, Metric, Ratio, Sli, Slo,
    Target, TimeWindow,
};
use super::read::API_VERSION;
use super::yaml::{self, At, Node, Text};

/// The document as YAML.
pub(super) fn write(document: &Document) -> String {
    let spec = match &document.body {
        Body::Slo(slo) => self::slo(slo),
        Body::Sli(sli) => self::sli(sli),
        Body::AlertPolicy(policy) => self::policy(policy),
        Body::AlertCondition(condition) => self::condition(condition),
        Body::Service(description) => Map::default().text("description", description.as_ref()).end(),
        Body::DataSource(source) => data_source(source),
        Body::AlertNotificationTarget(target) => {
            Map::default().text("description", target.description.as_ref()).text("target", target.target.as_ref()).end()
        }
    };
    let whole = Map::default()
        .put("apiVersion", Some(Node::Text(API_VERSION.to_owned())))
        .put("kind", Some(Node::Text(document.body.kind().name().to_owned())))
        .put("metadata", Some(metadata(&document.metadata)))
        .put("spec", Some(spec));
    yaml::write(&whole.end())
}

/// A map under construction; what is absent is not written.
#[derive(Default)]
struct Map(Vec<(Text, At<Node>)>);

impl Map {
    fn put(mut self, key: &str, value: Option<Node>) -> Self {
        self.0.extend(value.map(|value| (Text { value: key.to_owned(), line: 0 }, value.at())));
        self
    }

    fn text(self, key: &str, value: Option<&Text>) -> Self {
        self.put(key, value.map(|text| Node::Text(text.value.clone())))
    }

    fn number(self, key: &str, value: Option<&At<f64>>) -> Self {
        self.put(key, value.map(|number| Node::Real(number.value)))
    }

    fn flag(self, key: &str, value: Option<&At<bool>>) -> Self {
        self.put(key, value.map(|flag| Node::Flag(flag.value)))
    }

    fn node(self, key: &str, value: Option<&At<Node>>) -> Self {
        self.put(key, value.map(|node| node.value.clone()))
    }

    fn end(self) -> Node {
        Node::Map(self.0)
    }
}

fn list(items: impl Iterator<Item = Node>) -> Node {
    Node::List(items.map(Node::at).collect())
}

fn metadata(metadata: &Metadata) -> Node {
    Map::default()
        .text("name", Some(&metadata.name))
        .text("displayName", metadata.display_name.as_ref())
        .node("labels", metadata.labels.as_ref())
        .node("annotations", metadata.annotations.as_ref())
        .end()
}

/// What stands in place: its kind where lists hold several, its metadata, its spec.
fn in_place(kind: Option<Kind>, about: Option<&Metadata>, spec: Node) -> Node {
    Map::default()
        .put("kind", kind.map(|kind| Node::Text(kind.name().to_owned())))
        .put("metadata", about.map(metadata))
        .put("spec", Some(spec))
        .end()
}

fn slo(slo: &Slo) -> Node {
    let policies = slo.policies.iter().map(|given| match given {
        Given::Named(name) => Map::default().text("alertPolicyRef", Some(name)).end(),
        Given::Here(about, policy) => in_place(Some(Kind::AlertPolicy), about.as_ref(), self::policy(policy)),
    });
    indicator(Map::default().text("description", slo.description.as_ref()), slo.indicator.as_ref())
        .text("service", slo.service.as_ref())
        .put("timeWindow", Some(list(std::iter::once(time_window(&slo.window)))))
        .text("budgetingMethod", slo.method.as_ref())
        .put("objectives", Some(list(slo.objectives.iter().map(goal))))
        .put("alertPolicies", Some(list(policies)))
        .end()
}

fn indicator(map: Map, given: Option<&Given<Sli>>) -> Map {
    match given {
        None => map,
        Some(Given::Named(name)) => map.text("indicatorRef", Some(name)),
        Some(Given::Here(about, spec)) => map.put("indicator", Some(in_place(None, about.as_ref(), sli(spec)))),
    }
}

fn time_window(window: &TimeWindow) -> Node {
    let calendar =
        || Map::default().text("startTime", window.start.as_ref()).text("timeZone", window.zone.as_ref()).end();
    Map::default()
        .text("duration", Some(&window.duration))
        .flag("isRolling", window.rolling.as_ref())
        .put("calendar", window.start.as_ref().map(|_| calendar()))
        .end()
}

fn goal(goal: &Goal) -> Node {
    let map = Map::default()
        .text("displayName", goal.display_name.as_ref())
        .text("op", goal.op.as_ref())
        .number("value", goal.value.as_ref());
    let map = match &goal.target {
        Target::Share(share) => map.number("target", Some(share)),
        Target::Percent(percent) => map.number("targetPercent", Some(percent)),
    };
    indicator(map, goal.indicator.as_ref()).number("compositeWeight", goal.weight.as_ref()).end()
}

fn sli(sli: &Sli) -> Node {
    Map::default()
        .text("description", sli.description.as_ref())
        .node("thresholdMetric", sli.threshold_metric.as_ref())
        .put("ratioMetric", sli.ratio.as_ref().map(ratio))
        .end()
}

fn ratio(ratio: &Ratio) -> Node {
    Map::default()
        .flag("counter", ratio.counter.as_ref())
        .put("good", ratio.good.as_ref().map(metric))
        .put("bad", ratio.bad.as_ref().map(metric))
        .put("total", ratio.total.as_ref().map(metric))
        .node("raw", ratio.raw.as_ref())
        .text("rawType", ratio.raw_type.as_ref())
        .end()
}

fn metric(metric: &Metric) -> Node {
    let source = Map::default()
        .text("metricSourceRef", metric.source.as_ref())
        .text("type", metric.kind.as_ref())
        .node("spec", metric.spec.as_ref());
    Map::default().put("metricSource", Some(source.end())).end()
}

fn policy(policy: &AlertPolicy) -> Node {
    let conditions = policy.conditions.iter().map(|given| match given {
        Given::Named(name) => Map::default().text("conditionRef", Some(name)).end(),
        Given::Here(about, condition) => {
            in_place(Some(Kind::AlertCondition), about.as_ref(), self::condition(condition))
        }
    });
    Map::default()
        .text("description", policy.description.as_ref())
        .flag("alertWhenNoData", policy.when_no_data.as_ref())
        .flag("alertWhenResolved", policy.when_resolved.as_ref())
        .flag("alertWhenBreaching", policy.when_breaching.as_ref())
        .put("conditions", Some(list(conditions)))
        .put("notificationTargets", policy.targets.as_ref().map(|targets| Node::List(targets.value.clone())))
        .end()
}

fn condition(condition: &AlertCondition) -> Node {
    let inner = Map::default()
        .put("kind", Some(Node::Text("burnrate".to_owned())))
        .text("op", condition.op.as_ref())
        .number("threshold", Some(&condition.threshold))
        .text("lookbackWindow", Some(&condition.lookback))
        .text("alertAfter", condition.after.as_ref());
    Map::default()
        .text("description", condition.description.as_ref())
        .text("severity", Some(&condition.severity))
        .put("condition", Some(inner.end()))
        .end()
}

fn data_source(source: &DataSource) -> Node {
    Map::default()
        .text("description", source.description.as_ref())
        .text("type", source.kind.as_ref())
        .node("connectionDetails", source.connection.as_ref())
        .end()
}

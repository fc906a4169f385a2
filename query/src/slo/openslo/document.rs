//! What an OpenSLO v1 document says, as it was written: values with their lines, references not yet followed.

use super::yaml::{At, Line, Node, Text};
use crate::slo::Window;

/// The kinds of OpenSLO v1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Slo,
    Sli,
    AlertPolicy,
    AlertCondition,
    Service,
    DataSource,
    AlertNotificationTarget,
}

impl Kind {
    pub(super) const ALL: [Self; 7] = [
        Self::Slo,
        Self::Sli,
        Self::AlertPolicy,
        Self::AlertCondition,
        Self::Service,
        Self::DataSource,
        Self::AlertNotificationTarget,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Slo => "SLO",
            Self::Sli => "SLI",
            Self::AlertPolicy => "AlertPolicy",
            Self::AlertCondition => "AlertCondition",
            Self::Service => "Service",
            Self::DataSource => "DataSource",
            Self::AlertNotificationTarget => "AlertNotificationTarget",
        }
    }
}

/// One document.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Document {
    pub(super) metadata: Metadata,
    pub(super) body: Body,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Metadata {
    pub(super) name: Text,
    pub(super) display_name: Option<Text>,
    pub(super) labels: Option<At<Node>>,
    pub(super) annotations: Option<At<Node>>,
}

/// A document's `spec`.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Body {
    Slo(Box<Slo>),
    Sli(Box<Sli>),
    AlertPolicy(AlertPolicy),
    AlertCondition(AlertCondition),
    Service(Option<Text>),
    DataSource(DataSource),
    AlertNotificationTarget(NotificationTarget),
}

impl Body {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Slo(_) => Kind::Slo,
            Self::Sli(_) => Kind::Sli,
            Self::AlertPolicy(_) => Kind::AlertPolicy,
            Self::AlertCondition(_) => Kind::AlertCondition,
            Self::Service(_) => Kind::Service,
            Self::DataSource(_) => Kind::DataSource,
            Self::AlertNotificationTarget(_) => Kind::AlertNotificationTarget,
        }
    }
}

/// Something said in place, or by the name of a document.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Given<T> {
    Here(Option<Metadata>, T),
    Named(Text),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Slo {
    pub(super) line: Line,
    pub(super) description: Option<Text>,
    pub(super) service: Option<Text>,
    pub(super) indicator: Option<Given<Sli>>,
    pub(super) window: TimeWindow,
    pub(super) method: Option<Text>,
    pub(super) objectives: Vec<Goal>,
    pub(super) policies: Vec<Given<AlertPolicy>>,
}

/// An entry of `timeWindow`, as written and as understood.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TimeWindow {
    pub(super) duration: Text,
    pub(super) rolling: Option<At<bool>>,
    pub(super) start: Option<Text>,
    pub(super) zone: Option<Text>,
    pub(super) window: Window,
}

/// An entry of `objectives`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Goal {
    pub(super) line: Line,
    pub(super) display_name: Option<Text>,
    pub(super) op: Option<Text>,
    pub(super) value: Option<At<f64>>,
    pub(super) target: Target,
    pub(super) indicator: Option<Given<Sli>>,
    pub(super) weight: Option<At<f64>>,
}

/// The promised share, as it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Target {
    Share(At<f64>),
    Percent(At<f64>),
}

impl Target {
    /// Share of good events between 0 and 1.
    pub(super) fn share(&self) -> f64 {
        match self {
            Self::Share(share) => share.value,
            Self::Percent(percent) => percent.value / 100.0,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sli {
    pub(super) line: Line,
    pub(super) description: Option<Text>,
    pub(super) threshold_metric: Option<At<Node>>,
    pub(super) ratio: Option<Ratio>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ratio {
    pub(super) line: Line,
    pub(super) counter: Option<At<bool>>,
    pub(super) good: Option<Metric>,
    pub(super) bad: Option<Metric>,
    pub(super) total: Option<Metric>,
    pub(super) raw: Option<At<Node>>,
    pub(super) raw_type: Option<Text>,
}

/// A `metricSource`; its `spec` is whatever the source understands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Metric {
    pub(super) line: Line,
    pub(super) source: Option<Text>,
    pub(super) kind: Option<Text>,
    pub(super) spec: Option<At<Node>>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct AlertPolicy {
    pub(super) description: Option<Text>,
    pub(super) when_no_data: Option<At<bool>>,
    pub(super) when_resolved: Option<At<bool>>,
    pub(super) when_breaching: Option<At<bool>>,
    pub(super) conditions: Vec<Given<AlertCondition>>,
    pub(super) targets: Option<At<Vec<At<Node>>>>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct AlertCondition {
    pub(super) description: Option<Text>,
    pub(super) severity: Text,
    pub(super) op: Option<Text>,
    pub(super) threshold: At<f64>,
    pub(super) lookback: Text,
    pub(super) after: Option<Text>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct DataSource {
    pub(super) description: Option<Text>,
    pub(super) kind: Option<Text>,
    pub(super) connection: Option<At<Node>>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct NotificationTarget {
    pub(super) description: Option<Text>,
    pub(super) target: Option<Text>,
}

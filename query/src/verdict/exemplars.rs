//! Three traces that show a verdict: a slow one and a middling one of the new version, a middling one of the old.
//!
//! They are chosen by their distance to a quantile, ties by id, so the same traces give the same choice.

use std::sync::Arc;

use super::VerdictConfig;
use super::baseline::Comparison;
use super::cohort::{AFTER, BEFORE, Cohorts};
use super::record::{Exemplar, ExemplarRole, Finding, FindingNode, Signal, Verdict};
use crate::measure::{NodeKey, TraceRecord};

fn node_of(finding: &Finding) -> NodeKey {
    let service: Arc<str> = finding.service.as_str().into();
    match (&finding.node, &finding.operation, &finding.peer) {
        (FindingNode::SelfTime, Some(operation), _) => {
            NodeKey::Operation { service, operation: operation.as_str().into() }
        }
        (FindingNode::Edge, _, Some(peer)) => NodeKey::Edge { caller: peer.as_str().into(), callee: service },
        (FindingNode::Total, ..) => NodeKey::Total { service },
        _ => NodeKey::Service { service },
    }
}

/// Picks the traces that show the verdict's first finding among those still remembered.
pub fn pick<'a>(
    verdict: &Verdict,
    cohorts: &Cohorts,
    records: impl Iterator<Item = &'a Arc<TraceRecord>>,
    config: &VerdictConfig,
) -> Vec<Exemplar> {
    let fallback = NodeKey::Service { service: verdict.service.as_str().into() };
    let node = verdict.findings.first().map_or(fallback, node_of);
    let comparison = Comparison::choose(cohorts, config);
    let mut arms: [Vec<(i64, &'a TraceRecord)>; 2] = Default::default();
    let mut failed: Option<(i64, &'a TraceRecord)> = None;
    for record in records {
        let Some(arm) = cohorts.arm_of(record).filter(|arm| comparison.takes_trace(*arm, record.start)) else {
            continue;
        };
        let Some(value) = record.value(&node) else { continue };
        if let Some(list) = arms.get_mut(arm) {
            list.push((value.ns, record));
        }
        let earlier = failed.is_none_or(|(_, known)| (record.start, record.trace_id) < (known.start, known.trace_id));
        if arm == AFTER && value.own_errors > 0 && earlier {
            failed = Some((value.ns, record));
        }
    }
    arms.iter_mut().for_each(|list| list.sort_by_key(|(ns, record)| (*ns, record.trace_id)));
    let at = |arm: usize, percent: usize| {
        arms.get(arm).and_then(|list| list.get(list.len().saturating_sub(1) * percent / 100)).copied()
    };
    let about_errors = verdict.findings.first().is_some_and(|finding| finding.signal == Signal::Errors);
    let wanted = [
        (ExemplarRole::Error, failed.filter(|_| about_errors)),
        (ExemplarRole::CandidateSlow, at(AFTER, 95)),
        (ExemplarRole::CandidateMedian, at(AFTER, 50)),
        (ExemplarRole::BaselineMedian, at(BEFORE, 50)),
    ];
    wanted.into_iter().filter_map(|(role, found)| found.map(|(ns, record)| exemplar(role, ns, record))).collect()
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds for show")]
fn exemplar(role: ExemplarRole, ns: i64, record: &TraceRecord) -> Exemplar {
    Exemplar {
        trace_id: record.trace_id,
        role,
        duration_ms: record.duration_ns as f64 / 1e6,
        node_ms: ns as f64 / 1e6,
        start_unix_nano: record.start.0,
    }
}

//! [`Entry`]: which version of a service a trace met first, and for how many traces it stands.
//!
//! A router decides about the first call; what is called again after a failure, or a hundred times, is no further decision.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::trace::{SpanResource, StitchedSpan, StitchedTrace, Weight};

/// The first call of a service in a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The process that took it.
    pub resource: Arc<SpanResource>,
    /// For how many such calls it stands.
    pub weight: Weight,
}

/// The first calls that the trace's own weight and its processes do not tell: of services with several versions in it, or sampled
/// otherwise than its root. `resources` are the trace's, sorted.
pub(super) fn entries_of<'a>(
    trace: &'a StitchedTrace,
    root: &StitchedSpan,
    resources: &[Arc<SpanResource>],
    calls: impl Iterator<Item = &'a StitchedSpan>,
) -> Box<[Entry]> {
    let weight = root.span.weight;
    let alike = trace.spans.iter().all(|row| row.span.weight == weight);
    if alike && !has_several_versions(resources) {
        return Box::default();
    }
    let mut first: BTreeMap<(&Arc<str>, &Arc<str>), &StitchedSpan> = BTreeMap::new();
    for row in calls {
        let resource = &row.span.resource;
        let key = |row: &StitchedSpan| (row.adjusted_start_ns, row.span.span_id);
        let known = first.entry((&resource.environment, &resource.service)).or_insert(row);
        if key(row) < key(known) {
            *known = row;
        }
    }
    let several = |resource: &SpanResource| {
        let same = |other: &&Arc<SpanResource>| is_of(other, &resource.service, &resource.environment);
        resources.iter().filter(same).any(|other| other.version != resource.version)
    };
    let told = first.into_values().filter(|row| row.span.weight != weight || several(&row.span.resource));
    told.map(|row| Entry { resource: Arc::clone(&row.span.resource), weight: row.span.weight }).collect()
}

/// Whether a process is of this service.
pub(super) fn is_of(resource: &SpanResource, service: &str, environment: &str) -> bool {
    *resource.service == *service && *resource.environment == *environment
}

/// Whether any service runs two versions; those of one service are neighbours.
fn has_several_versions(resources: &[Arc<SpanResource>]) -> bool {
    resources.windows(2).any(|pair| match pair {
        [one, other] => one.service == other.service && one.version != other.version,
        _ => false,
    })
}

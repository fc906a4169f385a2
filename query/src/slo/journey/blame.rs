//! Who in a trace an error began with, and where its time went.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::trace::{StitchedSpan, StitchedTrace, kind, path_from};

/// A part of a journey whose time is compared: a service, or the way of calls from one service to another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The service; of a way the one that was called.
    pub(crate) service: Arc<str>,
    /// Of a way the caller; empty for a service.
    pub(crate) caller: Arc<str>,
}

/// Who is charged: a place, and the version of its service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Blamed {
    pub(crate) place: Place,
    pub(crate) version: Arc<str>,
}

impl Blamed {
    /// Nobody that can be named.
    pub(crate) fn nobody() -> Self {
        Self { place: Place { service: "".into(), caller: "".into() }, version: "".into() }
    }

    /// All that there was no room for.
    pub(crate) fn others() -> Self {
        Self { place: Place { service: "~other".into(), caller: "".into() }, version: "".into() }
    }
}

/// Nanoseconds of a trace's critical path by place, and the version that had most of them.
pub(crate) type Times = BTreeMap<Place, (i64, Arc<str>)>;

/// The row's place: its service, or for the caller's side of an answered call the way to who answered.
pub(super) fn place_of(trace: &StitchedTrace, at: usize) -> Blamed {
    let Some(row) = trace.spans.get(at) else { return Blamed::nobody() };
    let own = &row.span.resource;
    if row.gap_ns.is_some()
        && let Some(answer) = answer(trace, at, row)
    {
        let called = &answer.span.resource;
        let place = Place { service: Arc::clone(&called.service), caller: Arc::clone(&own.service) };
        return Blamed { place, version: Arc::clone(&called.version) };
    }
    let place = Place { service: Arc::clone(&own.service), caller: "".into() };
    Blamed { place, version: Arc::clone(&own.version) }
}

fn answer<'t>(trace: &'t StitchedTrace, at: usize, row: &StitchedSpan) -> Option<&'t StitchedSpan> {
    let mut children = trace.children(at).filter_map(|child| trace.spans.get(child));
    children.find(|child| child.span.kind == kind::SERVER && child.span.resource.service != row.span.resource.service)
}

/// Where the error of a failed row began: the deepest row below it that is joined to it by failed ones, the first of several.
pub(super) fn origin(trace: &StitchedTrace, at: usize) -> Blamed {
    let end = trace.spans.get(at).map_or(at, |row| row.subtree_end);
    let mut joined = vec![false; end.saturating_sub(at)];
    let mut deepest: Option<(usize, usize)> = None;
    for (offset, row) in trace.spans.get(at..end).unwrap_or_default().iter().enumerate() {
        let above = row.parent.and_then(|parent| parent.checked_sub(at)).and_then(|parent| joined.get(parent));
        let is_joined = offset == 0 || (row.span.is_error() && above.is_some_and(|above| *above));
        if let Some(place) = joined.get_mut(offset) {
            *place = is_joined;
        }
        if is_joined && deepest.is_none_or(|(depth, _)| row.depth > depth) {
            deepest = Some((row.depth, at.saturating_add(offset)));
        }
    }
    place_of(trace, deepest.map_or(at, |(_, row)| row))
}

/// The deepest row of which something is true, the first of several.
pub(super) fn deepest(trace: &StitchedTrace, is: impl Fn(&StitchedSpan) -> bool) -> Option<usize> {
    let rows = trace.spans.iter().enumerate().filter(|(_, row)| is(row));
    rows.min_by_key(|(at, row)| (std::cmp::Reverse(row.depth), *at)).map(|(at, _)| at)
}

/// Where the time of the critical path from a root went. The times add up to the root's duration.
pub(super) fn times(trace: &StitchedTrace, root: usize) -> Times {
    let mut by_row: BTreeMap<usize, i64> = BTreeMap::new();
    for segment in path_from(trace, root) {
        let sum = by_row.entry(segment.row).or_default();
        *sum = sum.saturating_add(segment.end_ns.saturating_sub(segment.start_ns));
    }
    let mut versions: BTreeMap<Place, BTreeMap<Arc<str>, i64>> = BTreeMap::new();
    for (row, ns) in by_row {
        let Blamed { place, version } = place_of(trace, row);
        let sum = versions.entry(place).or_default().entry(version).or_default();
        *sum = sum.saturating_add(ns);
    }
    let whole = |(place, versions): (Place, BTreeMap<Arc<str>, i64>)| {
        let sum = versions.values().fold(0_i64, |sum, ns| sum.saturating_add(*ns));
        let most = versions.into_iter().max_by_key(|(_, ns)| *ns).map(|(version, _)| version);
        (place, (sum, most.unwrap_or_else(|| "".into())))
    };
    versions.into_iter().map(whole).collect()
}

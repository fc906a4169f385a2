//! Which versions of which services were seen when, on which instances and from which builds.
//!
//! [`arrivals`] reads from it which of them count as deployments, [`history`] how they came and what happened to them since.

mod arrivals;
mod earliest;
mod history;
mod minutes;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use daytwo_storage::UnixNanos;

use crate::deployment::{DeclaredSet, DeploymentKind};
use crate::measure::{TraceRecord, slot_start};
use crate::trace::{SpanResource, identity};
use earliest::Earliest;
pub(super) use history::History;
use minutes::Minutes;

/// Traffic of versions is kept by the minute.
const MINUTE: Duration = Duration::from_secs(60);
/// [`MINUTE`] in nanoseconds.
const MINUTE_NS: i64 = 60_000_000_000;
/// A version is first seen at most this long before its trace was received, whatever the trace's clock says.
const SKEW_MAX: Duration = Duration::from_secs(300);
/// Services, by environment, that are followed; more are left out.
const SERVICES_MAX: usize = 10_000;
/// Versions of one service that are followed.
const VERSIONS_MAX: usize = 200;
/// Instances of one version that are remembered; the one seen longest ago goes first.
const INSTANCES_MAX: usize = 512;
/// Values of one version's identity that are remembered.
const BUILDS_MAX: usize = 32;

/// Environment and service.
pub(super) type ServiceKey = (Arc<str>, Arc<str>);

/// When something was seen first and last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    first: UnixNanos,
    last: UnixNanos,
}

impl Seen {
    fn take(&mut self, at: UnixNanos) {
        self.first = self.first.min(at);
        self.last = self.last.max(at);
    }
}

#[derive(Debug, Default)]
struct VersionTraffic {
    starts: Earliest,
    last: Option<UnixNanos>,
    minutes: Minutes,
    instances: BTreeMap<Arc<str>, Seen>,
    /// Parts of the identity, by name and value.
    builds: BTreeMap<(Arc<str>, Arc<str>), Seen>,
}

/// Versions of one service.
type Traffic = BTreeMap<Arc<str>, VersionTraffic>;

impl VersionTraffic {
    fn count(&mut self, at: UnixNanos, believed: UnixNanos, add: bool) {
        let minute = slot_start(at, MINUTE);
        if !add {
            self.minutes.remove(minute);
            self.starts.remove(believed);
        } else {
            self.minutes.add(minute);
            self.starts.add(believed);
            self.last = Some(self.last.map_or(at, |last| last.max(at)));
        }
    }

    /// When the first of its traces began.
    fn first(&self) -> Option<UnixNanos> {
        self.starts.get()
    }

    fn take_process(&mut self, process: &SpanResource, at: UnixNanos) {
        if !process.instance.is_empty() {
            take(&mut self.instances, Arc::clone(&process.instance), at, INSTANCES_MAX);
        }
        for (name, value) in process.traits.iter().filter(|(name, _)| identity::is_part(name)) {
            take(&mut self.builds, (Arc::clone(name), Arc::clone(value)), at, BUILDS_MAX);
        }
    }

    /// Values of one part of the identity.
    fn parts(&self, part: &str) -> impl Iterator<Item = (&Arc<str>, Seen)> {
        self.builds.iter().filter(move |((name, _), _)| **name == *part).map(|((_, value), seen)| (value, *seen))
    }
}

/// Notes that `key` was seen; when there are too many, the one seen longest ago goes.
fn take<K: Ord + Clone>(all: &mut BTreeMap<K, Seen>, key: K, at: UnixNanos, max: usize) {
    if let Some(seen) = all.get_mut(&key) {
        seen.take(at);
        return;
    }
    if all.len() >= max
        && let Some(oldest) = all.iter().min_by_key(|(_, seen)| seen.last).map(|(key, _)| key.clone())
    {
        all.remove(&oldest);
    }
    all.insert(key, Seen { first: at, last: at });
}

/// A version that came.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Arrival {
    pub(super) key: ServiceKey,
    pub(super) version: Arc<str>,
    pub(super) previous: Option<Arc<str>>,
    pub(super) kind: DeploymentKind,
    pub(super) first_seen: UnixNanos,
    pub(super) last_seen: UnixNanos,
    pub(super) share: Option<f64>,
}

/// Traffic of every version of every service.
#[derive(Debug, Default)]
pub(super) struct Versions {
    services: BTreeMap<ServiceKey, Traffic>,
}

impl Versions {
    /// Counts a trace for every service that has one version in it, or takes it out again.
    pub(super) fn change(&mut self, record: &TraceRecord, add: bool) {
        let resources = record.resources.iter();
        let mut seen: Vec<[&Arc<str>; 3]> =
            resources.map(|resource| [&resource.environment, &resource.service, &resource.version]).collect();
        seen.sort();
        seen.dedup();
        for versions in
            seen.chunk_by(|[environment, service, _], [other, next, _]| (environment, service) == (other, next))
        {
            if let [[environment, service, version]] = versions
                && !version.is_empty()
            {
                self.count((Arc::clone(environment), Arc::clone(service)), Arc::clone(version), record, add);
            }
        }
    }

    fn count(&mut self, key: ServiceKey, version: Arc<str>, record: &TraceRecord, add: bool) {
        if self.services.len() >= SERVICES_MAX && !self.services.contains_key(&key) {
            return;
        }
        let own = |process: &&Arc<SpanResource>| process.service == key.1 && process.environment == key.0;
        let processes: Vec<_> = record.resources.iter().filter(own).collect();
        let versions = self.services.entry(key.clone()).or_default();
        if versions.len() >= VERSIONS_MAX && !versions.contains_key(&version) {
            return;
        }
        let traffic = versions.entry(version).or_default();
        let believed = record.start.max(record.received.saturating_sub(SKEW_MAX));
        traffic.count(record.start, believed, add);
        if add {
            processes.into_iter().for_each(|process| traffic.take_process(process, believed));
        }
    }

    /// Forgets minutes, instances and versions older than `kept`.
    pub(super) fn maintain(&mut self, now: UnixNanos, kept: Duration) {
        let from = now.saturating_sub(kept);
        for versions in self.services.values_mut() {
            for traffic in versions.values_mut() {
                traffic.minutes.forget_before(from.0);
                traffic.instances.retain(|_, seen| seen.last >= from);
            }
            versions.retain(|_, traffic| !traffic.minutes.is_empty());
        }
        self.services.retain(|_, versions| !versions.is_empty());
    }

    /// Every version with at least so many traces, or one when it was declared, and every return of one.
    pub(super) fn arrivals(&self, traces_min: u64, declared: &DeclaredSet) -> Vec<Arrival> {
        let of_service = |(key, versions): (&ServiceKey, &Traffic)| -> Vec<Arrival> {
            let concerned = declared.concerns(&key.1, &key.0);
            let is_declared = |version: &Arc<str>, traffic: &VersionTraffic| {
                concerned && declared.meets(&key.1, &key.0, version, &history::identity(traffic))
            };
            let enough = |(version, traffic): &(&Arc<str>, &VersionTraffic)| {
                let traces = traffic.minutes.traces();
                traces >= traces_min || (traces > 0 && is_declared(version, traffic))
            };
            let found = versions.iter().filter(enough);
            found.flat_map(|(version, traffic)| arrivals::of_version(key, version, traffic, versions)).collect()
        };
        self.services.iter().flat_map(of_service).collect()
    }

    /// What is known of a version.
    pub(super) fn history<'a>(&'a self, key: &ServiceKey, version: &'a Arc<str>) -> Option<History<'a>> {
        let versions = self.services.get(key)?;
        versions.get(version).map(|traffic| History { version, traffic, versions })
    }
}

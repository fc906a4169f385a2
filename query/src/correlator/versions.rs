//! Which versions of which services were seen when, and which of them count as deployments.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use daytwo_storage::UnixNanos;

use crate::deployment::DeploymentKind;
use crate::measure::{TraceRecord, slot_start};

/// Traffic of versions is kept by the minute.
const MINUTE: Duration = Duration::from_secs(60);
/// A version without traffic for this long, while another had some, comes back as a rollback.
const ABSENT: Duration = Duration::from_secs(300);
/// A version is first seen at most this long before its trace was received, whatever the trace's clock says.
const SKEW_MAX: Duration = Duration::from_secs(300);
/// Services, by environment, that are followed; more are left out.
const SERVICES_MAX: usize = 10_000;
/// Versions of one service that are followed.
const VERSIONS_MAX: usize = 200;

/// Environment and service.
pub(super) type ServiceKey = (Arc<str>, Arc<str>);

#[derive(Debug, Default)]
struct VersionTraffic {
    first: Option<UnixNanos>,
    last: Option<UnixNanos>,
    minutes: BTreeMap<i64, u64>,
}

impl VersionTraffic {
    fn traces(&self) -> u64 {
        self.minutes.values().sum()
    }

    fn between(&self, from: i64, to: i64) -> u64 {
        self.minutes.range(from..to.max(from)).map(|(_, count)| *count).sum()
    }
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
    services: BTreeMap<ServiceKey, BTreeMap<Arc<str>, VersionTraffic>>,
}

impl Versions {
    /// Counts a trace for every service that has one version in it, or takes it out again.
    pub(super) fn change(&mut self, record: &TraceRecord, add: bool) {
        let mut keys: Vec<ServiceKey> = record
            .resources
            .iter()
            .filter(|resource| !resource.version.is_empty())
            .map(|resource| (Arc::clone(&resource.environment), Arc::clone(&resource.service)))
            .collect();
        keys.sort();
        keys.dedup();
        for key in keys {
            if let Some(version) = record.version_of(&key.1, &key.0).map(Arc::clone) {
                self.count(key, version, record, add);
            }
        }
    }

    fn count(&mut self, key: ServiceKey, version: Arc<str>, record: &TraceRecord, add: bool) {
        if self.services.len() >= SERVICES_MAX && !self.services.contains_key(&key) {
            return;
        }
        let versions = self.services.entry(key).or_default();
        if versions.len() >= VERSIONS_MAX && !versions.contains_key(&version) {
            return;
        }
        let traffic = versions.entry(version).or_default();
        let at = record.start;
        let believed = at.max(record.received.saturating_sub(SKEW_MAX));
        let count = traffic.minutes.entry(slot_start(at, MINUTE)).or_default();
        *count = if add { count.saturating_add(1) } else { count.saturating_sub(1) };
        if add {
            traffic.first = Some(traffic.first.map_or(believed, |first| first.min(believed)));
            traffic.last = Some(traffic.last.map_or(at, |last| last.max(at)));
        }
    }

    /// Forgets minutes and versions older than `kept`.
    pub(super) fn maintain(&mut self, now: UnixNanos, kept: Duration) {
        let from = now.saturating_sub(kept).0;
        for versions in self.services.values_mut() {
            versions.values_mut().for_each(|traffic| traffic.minutes = traffic.minutes.split_off(&from));
            versions.retain(|_, traffic| !traffic.minutes.is_empty());
        }
        self.services.retain(|_, versions| !versions.is_empty());
    }

    /// Every version with at least so many traces, and every return of one.
    pub(super) fn arrivals(&self, traces_min: u64) -> Vec<Arrival> {
        let of_service = |(key, versions): (&ServiceKey, &BTreeMap<Arc<str>, VersionTraffic>)| -> Vec<Arrival> {
            let enough = versions.iter().filter(|(_, traffic)| traffic.traces() >= traces_min);
            enough.flat_map(|(version, traffic)| arrivals_of(key, version, traffic, versions)).collect()
        };
        self.services.iter().flat_map(of_service).collect()
    }
}

fn arrivals_of(
    key: &ServiceKey,
    version: &Arc<str>,
    traffic: &VersionTraffic,
    versions: &BTreeMap<Arc<str>, VersionTraffic>,
) -> Vec<Arrival> {
    let (Some(first), Some(last)) = (traffic.first, traffic.last) else { return Vec::new() };
    let previous = previous_of(version, first, versions);
    let kind = if previous.is_some() { DeploymentKind::Release } else { DeploymentKind::First };
    let share = latest_share(version, versions);
    let arrival = |kind, first_seen, previous| Arrival {
        key: key.clone(),
        version: Arc::clone(version),
        previous,
        kind,
        first_seen,
        last_seen: last,
        share,
    };
    let mut found = vec![arrival(kind, first, previous)];
    if let Some((gone, back)) = last_absence(version, traffic, versions) {
        let other = busiest(version, versions, gone, back.0);
        found.push(arrival(DeploymentKind::Rollback, back, other));
    }
    found
}

/// The latest absence of a version in which another had traffic: its start and the return.
fn last_absence(
    version: &Arc<str>,
    traffic: &VersionTraffic,
    versions: &BTreeMap<Arc<str>, VersionTraffic>,
) -> Option<(i64, UnixNanos)> {
    let absent = i64::try_from(ABSENT.as_nanos()).unwrap_or(i64::MAX);
    let first = traffic.first.map_or(i64::MIN, |first| slot_start(first, MINUTE));
    let minutes: Vec<i64> =
        traffic.minutes.range(first..).filter(|(_, count)| **count > 0).map(|(minute, _)| *minute).collect();
    let gaps = minutes.windows(2).filter_map(|pair| Some((*pair.first()?, *pair.last()?)));
    let long = gaps.filter(|(gone, back)| back.saturating_sub(*gone) > absent);
    let mut replaced = long.filter(|(gone, back)| busiest(version, versions, *gone, *back).is_some());
    let (gone, back) = replaced.next_back()?;
    Some((gone, UnixNanos(back)))
}

/// The other version with most traces in a window.
fn busiest(version: &Arc<str>, versions: &BTreeMap<Arc<str>, VersionTraffic>, from: i64, to: i64) -> Option<Arc<str>> {
    let others = versions.iter().filter(|(other, _)| *other != version);
    let counted = others.map(|(other, traffic)| (traffic.between(from, to), other)).filter(|(count, _)| *count > 0);
    counted
        .max_by(|left, right| left.0.cmp(&right.0).then_with(|| right.1.cmp(left.1)))
        .map(|(_, other)| Arc::clone(other))
}

/// The version with most traffic in the hour before, else the one seen first among those that were earlier.
fn previous_of(
    version: &Arc<str>,
    first: UnixNanos,
    versions: &BTreeMap<Arc<str>, VersionTraffic>,
) -> Option<Arc<str>> {
    let hour_before = first.saturating_sub(Duration::from_secs(3_600)).0;
    let earlier: BTreeMap<_, _> = versions.iter().filter(|(_, traffic)| traffic.first < Some(first)).collect();
    let counted = earlier.iter().filter(|(other, _)| **other != version);
    let counted = counted.map(|(other, traffic)| (traffic.between(hour_before, first.0), traffic.first, *other));
    counted
        .max_by(|left, right| left.0.cmp(&right.0).then_with(|| right.1.cmp(&left.1)))
        .map(|(.., other)| Arc::clone(other))
}

/// Share of the service's traces in the latest two minutes that had any.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn latest_share(version: &Arc<str>, versions: &BTreeMap<Arc<str>, VersionTraffic>) -> Option<f64> {
    let newest = versions.values().filter_map(|traffic| traffic.minutes.keys().next_back()).max()?;
    let from = UnixNanos(*newest).saturating_sub(MINUTE).0;
    let to = newest.saturating_add(1);
    let all: u64 = versions.values().map(|traffic| traffic.between(from, to)).sum();
    let own = versions.get(version).map_or(0, |traffic| traffic.between(from, to));
    (all > 0).then(|| own as f64 / all as f64)
}

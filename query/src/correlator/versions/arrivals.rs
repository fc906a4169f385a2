//! Which versions came when: the first time, and back after another one had taken their place.

use std::sync::Arc;
use std::time::Duration;

use daytwo_storage::UnixNanos;

use super::{Arrival, MINUTE, MINUTE_NS, ServiceKey, Traffic, VersionTraffic};
use crate::deployment::DeploymentKind;
use crate::measure::slot_start;

/// An absence (of two whole minutes at least) longer than this needs no more than to be improbable, ...
const ABSENT_NS: i64 = 300_000_000_000;
/// ... a shorter one needs so many traces of other versions in it, for a rolling update goes to and fro.
const OTHERS_MIN: u64 = 20;
/// At its share of the traffic before, a version has no trace by chance once in 20,000 times: e^-10.
const IMPROBABLE: f64 = 10.0;
/// A version is never held to have had more than this share, for its neighbours' first traces are few.
const SHARE_MAX: f64 = 0.95;

/// The arrivals of a version: the first, and the latest return.
pub(super) fn of_version(
    key: &ServiceKey,
    version: &Arc<str>,
    traffic: &VersionTraffic,
    versions: &Traffic,
) -> Vec<Arrival> {
    let (Some(first), Some(last)) = (traffic.first(), traffic.last) else { return Vec::new() };
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

/// The latest absence of a version in which another had its place: its last minute before, and the return.
fn last_absence(version: &Arc<str>, traffic: &VersionTraffic, versions: &Traffic) -> Option<(i64, UnixNanos)> {
    let first = traffic.first().map_or(i64::MIN, |first| slot_start(first, MINUTE));
    // Nobody can have taken the place of the only one.
    let mut gaps = traffic.minutes.gaps_since(first).take_while(|_| versions.len() > 1);
    let (gone, back) = gaps.find(|(gone, back)| was_replaced(version, versions, *gone, *back))?;
    Some((gone, UnixNanos(back)))
}

/// Whether others had so much traffic in a gap that the version's absence from it is no chance.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn was_replaced(version: &Arc<str>, versions: &Traffic, gone: i64, back: i64) -> bool {
    let after = gone.saturating_add(MINUTE_NS);
    let others = total(versions, after, back);
    if others == 0 {
        return false;
    }
    let long = back.saturating_sub(gone) > ABSENT_NS;
    let before = UnixNanos(after).saturating_sub(Duration::from_secs(3_600)).0;
    let own = versions.get(version).map_or(0, |traffic| traffic.minutes.between(before, after));
    let share = (own as f64 / total(versions, before, after).max(1) as f64).min(SHARE_MAX);
    let improbable = others as f64 * -(-share).ln_1p() >= IMPROBABLE;
    improbable && (long || others >= OTHERS_MIN)
}

/// Traces of all versions in a window.
pub(super) fn total(versions: &Traffic, from: i64, to: i64) -> u64 {
    versions.values().map(|traffic| traffic.minutes.between(from, to)).sum()
}

/// The other version with most traces in a window.
pub(super) fn busiest(version: &Arc<str>, versions: &Traffic, from: i64, to: i64) -> Option<Arc<str>> {
    let others = versions.iter().filter(|(other, _)| *other != version);
    let counted =
        others.map(|(other, traffic)| (traffic.minutes.between(from, to), other)).filter(|(count, _)| *count > 0);
    counted
        .max_by(|left, right| left.0.cmp(&right.0).then_with(|| right.1.cmp(left.1)))
        .map(|(_, other)| Arc::clone(other))
}

/// The version with most traffic in the hour before, else the one seen last before.
fn previous_of(version: &Arc<str>, first: UnixNanos, versions: &Traffic) -> Option<Arc<str>> {
    let hour_before = first.saturating_sub(Duration::from_secs(3_600)).0;
    let earlier = versions.iter().filter(|(other, traffic)| *other != version && traffic.first() < Some(first));
    let counted = earlier.map(|(other, traffic)| {
        let last = traffic.minutes.last_before(first.0);
        (traffic.minutes.between(hour_before, first.0), last, other)
    });
    counted
        .max_by(|left, right| (left.0, left.1).cmp(&(right.0, right.1)).then_with(|| right.2.cmp(left.2)))
        .map(|(.., other)| Arc::clone(other))
}

/// Share of the service's traces in the latest two minutes that had any.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn latest_share(version: &Arc<str>, versions: &Traffic) -> Option<f64> {
    let newest = versions.values().filter_map(|traffic| traffic.minutes.newest()).max()?;
    let from = UnixNanos(newest).saturating_sub(MINUTE).0;
    let to = newest.saturating_add(1);
    let all = total(versions, from, to);
    let own = versions.get(version).map_or(0, |traffic| traffic.minutes.between(from, to));
    (all > 0).then(|| own as f64 / all as f64)
}

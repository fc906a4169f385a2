//! What a version's traffic tells beside its arrival: how it took the traffic over, restarts, other builds under its name, silence.
//!
//! Everything here is computed when it is asked for, from what [`super::Versions`] counts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use daytwo_storage::UnixNanos;

use super::arrivals::{busiest, total};
use super::{Arrival, MINUTE, MINUTE_NS, Seen, Traffic, VersionTraffic};
use crate::deployment::{Identity, Note, NoteKind, SharePoint};
use crate::measure::slot_start;
use crate::trace::identity as part;

/// With a share between these, two versions run side by side.
const MIXED: std::ops::RangeInclusive<f64> = 0.01..=0.95;
/// Side by side in so many minutes in a row, one of which is whole, is a canary; in fewer, traffic moved at once.
const CANARY_MINUTES: usize = 3;
/// How long after its arrival a version's way to the traffic is followed.
const FOLLOWED: Duration = Duration::from_secs(6 * 3600);
/// Without a trace for this long a service is idle.
const IDLE: Duration = Duration::from_secs(300);
/// Instances that come so soon after the first one came with it.
const TOGETHER: Duration = Duration::from_secs(120);
/// Traces that others must have after a version's last to have taken its place.
const OTHERS_MIN: u64 = 20;
/// A minute belongs to the version with at least this share of it.
const DOMINANT: f64 = 0.8;
/// Changes of the dominant version within [`FLAPPING_WITHIN`] that are one too many for a release and its rollback.
const FLAPPING: usize = 4;
/// See [`FLAPPING`].
const FLAPPING_WITHIN: Duration = Duration::from_secs(3600);
/// Points of a share's series.
const POINTS_MAX: usize = 360;

/// One version's traffic among the others of its service.
#[derive(Debug, Clone, Copy)]
pub(in crate::correlator) struct History<'a> {
    pub(super) version: &'a Arc<str>,
    pub(super) traffic: &'a VersionTraffic,
    pub(super) versions: &'a Traffic,
}

/// What a version is known by.
pub(super) fn identity(traffic: &VersionTraffic) -> Identity {
    let values = |name| traffic.parts(name).map(|(value, _)| value.to_string()).collect();
    Identity {
        revisions: values(part::REVISION),
        image_digests: values(part::IMAGE),
        image_tags: values(part::TAG),
        pod_template_hashes: values(part::TEMPLATE),
    }
}

/// A length in minutes or seconds, for sentences.
fn words(length: Duration) -> String {
    let seconds = length.as_secs();
    if seconds >= 120 { format!("{} min", seconds / 60) } else { format!("{seconds} s") }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

fn plural(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

impl History<'_> {
    /// What the version is known by.
    pub(in crate::correlator) fn identity(&self) -> Identity {
        identity(self.traffic)
    }

    /// Instances that were seen.
    pub(in crate::correlator) fn instances(&self) -> u64 {
        self.traffic.instances.len() as u64
    }

    /// Traces of the version in the minutes that begin in a window.
    pub(in crate::correlator) fn between(&self, (from, to): (i64, i64)) -> u64 {
        self.traffic.minutes.between(from, to)
    }

    /// The version's share of its service's traces by the minute since `from`, minutes without a trace left out; the newest ones.
    pub(in crate::correlator) fn shares(&self, from: UnixNanos) -> Vec<SharePoint> {
        let mut minutes: BTreeMap<i64, [u64; 2]> = BTreeMap::new();
        for (version, traffic) in self.versions {
            for (minute, count) in traffic.minutes.since(slot_start(from, MINUTE)) {
                let [own, all] = minutes.entry(minute).or_default();
                *all = all.saturating_add(count);
                *own = own.saturating_add(if version == self.version { count } else { 0 });
            }
        }
        let surplus = minutes.len().saturating_sub(POINTS_MAX);
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
        let point = |(t_unix_nano, [own, all]): (i64, [u64; 2])| SharePoint {
            t_unix_nano,
            share: own as f64 / all as f64,
            traces: all,
        };
        minutes.into_iter().skip(surplus).map(point).collect()
    }

    /// What there is to say about an arrival of this version, oldest first.
    pub(in crate::correlator) fn notes(&self, arrival: &Arrival, now: UnixNanos) -> Vec<Note> {
        let mut notes: Vec<Note> = Vec::new();
        notes.extend(arrival.previous.as_ref().and_then(|previous| self.takeover(arrival, previous)));
        notes.extend(self.restart(now));
        notes.extend(self.other_builds(part::REVISION, NoteKind::Rebuilt, "built from", "revision"));
        notes.extend(self.other_builds(part::IMAGE, NoteKind::Rebuilt, "run from", "image"));
        notes.extend(self.other_builds(part::TEMPLATE, NoteKind::Reconfigured, "run under", "pod template"));
        notes.extend(self.contradiction());
        notes.extend(self.flapping(now));
        notes.extend(self.withdrawn());
        notes.extend(self.idle(now));
        notes.sort_by_key(|note| (note.at_unix_nano, note.kind));
        notes
    }

    /// How the version took the traffic over: step by step beside the old one, or at once.
    fn takeover(&self, arrival: &Arrival, previous: &Arc<str>) -> Option<Note> {
        let start = slot_start(arrival.first_seen, MINUTE);
        let until = arrival.first_seen.saturating_add(FOLLOWED).0;
        let hour_before = arrival.first_seen.saturating_sub(Duration::from_secs(3600)).0;
        let old = self
            .versions
            .get(previous)
            .map_or(0, |traffic| traffic.minutes.between(hour_before, start.saturating_add(MINUTE_NS)));
        let shares = self.shares(arrival.first_seen);
        let since: Vec<&SharePoint> =
            shares.iter().filter(|point| (start..until).contains(&point.t_unix_nano)).collect();
        let mixed = since.iter().take_while(|point| MIXED.contains(&point.share)).count();
        let at_unix_nano = arrival.first_seen.0;
        if old == 0 {
            return Some(Note {
                kind: NoteKind::Idle,
                at_unix_nano,
                text: format!("it came to an idle service: {previous} had no trace in the hour before"),
            });
        }
        let after = since.get(mixed);
        if mixed >= CANARY_MINUTES {
            let (first, last) = (since.first()?, since.get(mixed.saturating_sub(1))?);
            let length = UnixNanos(last.t_unix_nano).since(UnixNanos(first.t_unix_nano)).saturating_add(MINUTE);
            let (low, high) = since
                .iter()
                .take(mixed)
                .fold((1.0_f64, 0.0_f64), |(low, high), point| (low.min(point.share), high.max(point.share)));
            let end = match after {
                Some(point) if point.share > *MIXED.end() => ", then all of it",
                Some(_) => ", then none of it",
                None => "",
            };
            let text = format!(
                "a canary: beside {previous} for {}, with {} to {} of the traffic{end}",
                words(length),
                percent(low),
                percent(high)
            );
            return Some(Note { kind: NoteKind::Canary, at_unix_nano, text });
        }
        let moved = after.is_some_and(|point| point.share > *MIXED.end());
        moved.then(|| Note {
            kind: NoteKind::BlueGreen,
            at_unix_nano,
            text: format!("all traffic moved at once from {previous}: blue/green, or stopped and started"),
        })
    }

    /// The latest time at which every instance was replaced while the version stayed.
    fn restart(&self, now: UnixNanos) -> Option<Note> {
        let mut instances: Vec<Seen> = self.traffic.instances.values().copied().collect();
        instances.sort_by_key(|seen| (seen.first, seen.last));
        let silent = |seen: &Seen| seen.last.saturating_add(TOGETHER) < self.traffic.last.unwrap_or(now);
        let mut found = None;
        let mut rest = instances.as_slice();
        while let Some(first) = rest.first() {
            let together = rest.partition_point(|seen| seen.first <= first.first.saturating_add(TOGETHER));
            let (generation, later) = rest.split_at(together);
            let Some(next) = later.first() else { break };
            if !generation.iter().all(silent) {
                break;
            }
            found = Some((next.first, generation.len()));
            rest = later;
        }
        let (at, replaced) = found?;
        Some(Note {
            kind: NoteKind::Restart,
            at_unix_nano: at.0,
            text: format!("restarted: {} gave way to others, the version stayed", plural(replaced, "instance")),
        })
    }

    /// Several values of a part of the identity under one version.
    fn other_builds(&self, name: &str, kind: NoteKind, how: &str, what: &str) -> Option<Note> {
        // A version that is known by this very part has one value of it by definition.
        let mut values: Vec<(&Arc<str>, Seen)> = self.traffic.parts(name).collect();
        values.sort_by_key(|(value, seen)| (seen.first, Arc::clone(value)));
        let (_, newest) = values.last().filter(|_| values.len() > 1)?;
        let list: Vec<&str> = values.iter().map(|(value, _)| &***value).collect();
        let text = format!("{how} {}: {}", plural(values.len(), what), list.join(", "));
        Some(Note { kind, at_unix_nano: newest.first.0, text })
    }

    /// An instance that names two versions at a time.
    fn contradiction(&self) -> Option<Note> {
        let others = self.versions.iter().filter(|(version, _)| *version != self.version);
        let both = others.flat_map(|(version, traffic)| {
            traffic.instances.iter().filter_map(move |(instance, theirs)| {
                let ours = self.traffic.instances.get(instance)?;
                let (from, to) = (ours.first.max(theirs.first), ours.last.min(theirs.last));
                (to > from.saturating_add(MINUTE)).then_some((from, instance, version))
            })
        });
        let (at, instance, other) = both.min()?;
        Some(Note {
            kind: NoteKind::Contradiction,
            at_unix_nano: at.0,
            text: format!("instance {instance} names {other} at the same time"),
        })
    }

    /// Dominant versions of the last hour, each change once.
    fn flapping(&self, now: UnixNanos) -> Option<Note> {
        let from = slot_start(now.saturating_sub(FLAPPING_WITHIN), MINUTE);
        let mut dominant: Vec<(i64, &Arc<str>)> = Vec::new();
        for minute in (from..now.0.saturating_add(1)).step_by(usize::try_from(MINUTE_NS).unwrap_or(usize::MAX)) {
            if let Some(version) = self.dominant(minute)
                && dominant.last().is_none_or(|(_, last)| *last != version)
            {
                dominant.push((minute, version));
            }
        }
        let changes = dominant.len().saturating_sub(1);
        let own = dominant.iter().filter(|(_, version)| *version == self.version).count();
        let (last, _) = dominant.last().filter(|_| changes >= FLAPPING && own >= 2)?;
        Some(Note {
            kind: NoteKind::Flapping,
            at_unix_nano: *last,
            text: format!("flapping: the version that serves changed {changes} times within an hour"),
        })
    }

    /// The version with nearly all traces of a minute.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    fn dominant(&self, minute: i64) -> Option<&Arc<str>> {
        let all = total(self.versions, minute, minute.saturating_add(1)) as f64;
        let has = |traffic: &VersionTraffic| traffic.minutes.at(minute) as f64;
        let found = self.versions.iter().find(|(_, traffic)| all > 0.0 && has(traffic) >= DOMINANT * all);
        found.map(|(version, _)| version)
    }

    /// Traffic that went on without the version.
    fn withdrawn(&self) -> Option<Note> {
        let last = self.traffic.last?;
        let after = slot_start(last, MINUTE).saturating_add(MINUTE_NS);
        let (others, other) =
            (total(self.versions, after, i64::MAX), busiest(self.version, self.versions, after, i64::MAX)?);
        let minutes = self.versions.get(&other).map_or(0, |traffic| traffic.minutes.since(after).count());
        let older = self.versions.get(&other).and_then(VersionTraffic::first) < self.traffic.first();
        (others >= OTHERS_MIN && minutes >= 2).then(|| Note {
            kind: if older { NoteKind::Withdrawn } else { NoteKind::Replaced },
            at_unix_nano: last.0,
            text: if older {
                format!("withdrawn: the traffic went back to {other}")
            } else {
                format!("replaced by {other}")
            },
        })
    }

    /// Silence of the whole service since this version's last trace.
    fn idle(&self, now: UnixNanos) -> Option<Note> {
        let newest = self.versions.values().filter_map(|traffic| traffic.last).max()?;
        let silent = now.since(newest);
        (self.traffic.last == Some(newest) && silent > IDLE).then(|| Note {
            kind: NoteKind::Idle,
            at_unix_nano: newest.0,
            text: format!("the service is idle: no trace for {}", words(silent)),
        })
    }
}

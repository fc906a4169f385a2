//! Environment parity: what the two cohorts ran on, attribute by attribute, besides the version.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::cohort::{AFTER, ARMS, BEFORE, Cohorts, PRESENT};
use super::record::{Parity, ParityState, ParityValue};
use super::words;

/// The two cohorts are alike in an attribute while fewer than this share of the processes would have to change for it, ...
const MIX_DIFFERENCE: f64 = 0.2;
/// ... and nothing is said about it with fewer processes, counted once a trace, in either.
const COUNT_MIN: u64 = 10;
/// Values listed of an attribute; the others are one.
const VALUES_MAX: usize = 10;
/// The attribute that services other than the judged one are told apart by.
const VERSION: &str = "service.version";
/// Name of the value that stands for the others.
const OTHER: &str = "~other";
/// Name of the value of processes that do not send the attribute.
const ABSENT: &str = "~absent";

/// How often each value of an attribute was seen in either cohort.
type Values<'a> = BTreeMap<&'a str, [u64; ARMS]>;

/// Every attribute of the judged service, and the versions of the other services in its traces; those that differ first.
pub(super) fn rows(cohorts: &Cohorts) -> Vec<Parity> {
    let mut attributes: BTreeMap<(&Arc<str>, &Arc<str>), Values<'_>> = BTreeMap::new();
    let mut processes: BTreeMap<&Arc<str>, [u64; ARMS]> = BTreeMap::new();
    for ((service, name, value), counts) in &cohorts.traits {
        if **name == *PRESENT {
            processes.insert(service, *counts);
        } else {
            attributes.entry((service, name)).or_default().insert(value, *counts);
        }
    }
    let row = |((service, name), values): ((&Arc<str>, &Arc<str>), Values<'_>)| {
        let named = || sum(&values);
        let all = if **name == *VERSION { named() } else { processes.get(service).copied().unwrap_or_else(named) };
        row(service, name, values, all)
    };
    let mut rows: Vec<Parity> =
        attributes.into_iter().filter(|(_, values)| sum(values) != [0; ARMS]).map(row).collect();
    rows.sort_by(|left, right| left.state.cmp(&right.state).then_with(|| right.distance.total_cmp(&left.distance)));
    rows
}

/// The rows that differ, in words.
pub(super) fn differences(rows: &[Parity]) -> Vec<String> {
    rows.iter().filter(|row| row.state == ParityState::Differs).map(difference).collect()
}

fn difference(row: &Parity) -> String {
    let most = |share: fn(&ParityValue) -> f64| {
        let value = row.values.iter().max_by(|left, right| share(left).total_cmp(&share(right)));
        value.map_or(String::new(), |value| format!("{} in {}", value.value, words::percent(share(value))))
    };
    let (before, after) = (most(|value| value.before), most(|value| value.after));
    if *row.attribute == *VERSION {
        return format!(
            "{} runs other versions in the two cohorts: mostly {before} before, {after} after",
            row.service
        );
    }
    format!("{} differs: mostly {before} before, {after} after", row.attribute)
}

fn sum(values: &Values<'_>) -> [u64; ARMS] {
    let mut all = [0_u64; ARMS];
    for counts in values.values() {
        all.iter_mut().zip(counts).for_each(|(all, count)| *all = all.saturating_add(*count));
    }
    all
}

fn row(service: &Arc<str>, name: &Arc<str>, mut values: Values<'_>, all: [u64; ARMS]) -> Parity {
    let named = sum(&values);
    let absent = [all[BEFORE].saturating_sub(named[BEFORE]), all[AFTER].saturating_sub(named[AFTER])];
    if absent != [0; ARMS] {
        values.insert(ABSENT, absent);
    }
    let all = sum(&values);
    let mut shares: Vec<ParityValue> = values.iter().map(|(value, counts)| share(value, *counts, all)).collect();
    let distance = shares.iter().map(|value| (value.after - value.before).abs()).sum::<f64>() / 2.0;
    let state = match () {
        () if all.iter().any(|count| *count < COUNT_MIN) => ParityState::Unknown,
        () if distance > MIX_DIFFERENCE + chance(shares.len(), all) => ParityState::Differs,
        () => ParityState::Alike,
    };
    shares.sort_by(|left, right| {
        let most = |value: &ParityValue| value.before.max(value.after);
        most(right).total_cmp(&most(left)).then_with(|| left.value.cmp(&right.value))
    });
    if shares.len() > VALUES_MAX {
        let rest = shares.split_off(VALUES_MAX - 1);
        let added = |of: fn(&ParityValue) -> f64| rest.iter().map(of).sum();
        shares.push(ParityValue {
            value: OTHER.to_owned(),
            before: added(|value| value.before),
            after: added(|value| value.after),
        });
    }
    Parity { service: service.to_string(), attribute: name.to_string(), state, distance, values: shares }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn share(value: &str, counts: [u64; ARMS], all: [u64; ARMS]) -> ParityValue {
    let of = |arm: usize| counts[arm] as f64 / all[arm].max(1) as f64;
    ParityValue { value: value.to_owned(), before: of(BEFORE), after: of(AFTER) }
}

/// Upper bound of the expected distance between two samples of one mix: half of sqrt(values * (1/n + 1/m)), by Cauchy-Schwarz.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn chance(values: usize, all: [u64; ARMS]) -> f64 {
    let inverse: f64 = all.iter().map(|count| 1.0 / (*count).max(1) as f64).sum();
    0.5 * (values as f64 * inverse).sqrt()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use daytwo_storage::UnixNanos;

    use super::*;
    use crate::verdict::CohortKey;

    fn cohorts(counts: &[(&str, &str, &str, [u64; ARMS])]) -> Cohorts {
        let key = CohortKey {
            environment: "".into(),
            service: "pay".into(),
            flag: None,
            candidate: "v2".into(),
            baseline: Some("v1".into()),
            first_seen: UnixNanos(0),
        };
        let mut cohorts = Cohorts::new(key, Duration::from_secs(1), Duration::from_secs(1));
        let traits = counts
            .iter()
            .map(|(service, name, value, counts)| (((*service).into(), (*name).into(), (*value).into()), *counts));
        cohorts.traits = traits.collect();
        cohorts
    }

    /// Scenario: a new runtime in all processes, a zone that moved by 15 of 100 points, an attribute that only new processes send, a rare
    /// host seen once, another service's version that moved along, and an architecture that is the same.
    /// Guarantees: what differs comes first and is named with its values; the zone, the host and the architecture are alike.
    #[test]
    fn differences_are_told_from_chance() {
        let all = [400, 400];
        let cohorts = cohorts(&[
            ("pay", PRESENT, "", all),
            ("pay", "process.runtime.version", "21", [400, 0]),
            ("pay", "process.runtime.version", "25", [0, 400]),
            ("pay", "cloud.availability_zone", "a", [200, 260]),
            ("pay", "cloud.availability_zone", "b", [200, 140]),
            ("pay", "telemetry.distro.version", "2.0", [0, 400]),
            ("pay", "k8s.node.name", "n1", [399, 400]),
            ("pay", "k8s.node.name", "n2", [1, 0]),
            ("pay", "host.arch", "arm64", all),
            ("ledger", "service.version", "l1", [300, 10]),
            ("ledger", "service.version", "l2", [0, 290]),
        ]);
        let rows = rows(&cohorts);
        let states: Vec<_> = rows.iter().map(|row| (row.attribute.as_str(), row.state)).collect();
        let differing = ["process.runtime.version", "telemetry.distro.version", "service.version"];
        assert!(states[..3].iter().all(|(name, state)| differing.contains(name) && *state == ParityState::Differs));
        assert!(states[3..].iter().all(|(_, state)| *state == ParityState::Alike), "{states:?}");
        let words = differences(&rows);
        assert!(words.contains(
            &"process.runtime.version differs: mostly 21 in 100.00 % before, 25 in 100.00 % after".to_owned()
        ));
        assert!(words.iter().any(|text| text.contains("~absent in 100.00 % before")), "{words:?}");
        assert!(words.iter().any(|text| text.starts_with("ledger runs other versions")), "{words:?}");
    }

    /// Scenario: nine processes with another runtime each; and twenty hosts that both versions used alike.
    /// Guarantees: with so few nothing is claimed; a long list is cut to ten values whose shares still add up.
    #[test]
    fn few_are_unknown_and_many_are_cut() {
        let few = rows(&cohorts(&[("pay", PRESENT, "", [9, 9]), ("pay", "host.arch", "arm64", [9, 0])]));
        assert_eq!(few[0].state, ParityState::Unknown);
        let hosts: Vec<String> = (0..20).map(|host| format!("n{host}")).collect();
        let mut counts = vec![("pay", PRESENT, "", [200, 200])];
        counts.extend(hosts.iter().map(|host| ("pay", "host.name", host.as_str(), [10, 10])));
        let many = &rows(&cohorts(&counts))[0];
        assert_eq!((many.state, many.values.len()), (ParityState::Alike, VALUES_MAX));
        assert!((many.values.iter().map(|value| value.after).sum::<f64>() - 1.0).abs() < 1e-9);
    }
}

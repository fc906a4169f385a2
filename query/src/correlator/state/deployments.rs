//! The list of deployments: those found in the traffic, each with what was declared of it, and those only declared so far.

use super::{Arc, Deployment, DeploymentFilter, Judged, State, UnixNanos, Verdict, verdict};
use crate::deployment::{Declaration, DeclaredKind, DeploymentKind, Identity, Note, NoteKind, SharePoint};
use crate::verdict::{Class, CohortKey, Cohorts, Finding, FindingNode, QuantilesMs, Signal, State as Outcome};

/// A version declared this long after it was first seen was running already.
const REDEPLOYED_AFTER: std::time::Duration = std::time::Duration::from_secs(120);

impl State {
    /// Deployments, newest first.
    pub(in crate::correlator) fn deployments(&self, filter: &DeploymentFilter, now: UnixNanos) -> Vec<Deployment> {
        let wanted = |judged: &&Judged| filter.wants(&judged.arrival.key.1, &judged.arrival.key.0);
        let mut found: Vec<Deployment> =
            self.judged.values().filter(wanted).map(|judged| self.found(judged, now)).collect();
        let declared = self.declared.iter().filter(|one| filter.wants(&one.service, &one.environment));
        for declaration in declared {
            match nearest(&mut found, declaration) {
                Some(deployment) => meet(deployment, declaration),
                None => found.push(only_declared(declaration)),
            }
        }
        found.sort_by(|left, right| {
            right.first_seen_unix_nano.cmp(&left.first_seen_unix_nano).then_with(|| left.service.cmp(&right.service))
        });
        found
    }

    /// A version's share of the traffic by the minute, since `from`.
    pub(in crate::correlator) fn shares(
        &self,
        service: &str,
        version: &str,
        environment: &str,
        from: UnixNanos,
    ) -> Vec<SharePoint> {
        let key = (Arc::from(environment), Arc::from(service));
        let version = Arc::from(version);
        self.versions.history(&key, &version).map(|history| history.shares(from)).unwrap_or_default()
    }

    /// The verdict on a version that was declared and not seen: that there is nothing to judge.
    pub(in crate::correlator) fn unseen(
        &self,
        service: &str,
        version: &str,
        environment: Option<&str>,
        now: UnixNanos,
    ) -> Option<Arc<Verdict>> {
        let filter =
            DeploymentFilter { service: Some(service.to_owned()), environment: environment.map(str::to_owned) };
        let found = self.deployments(&filter, now);
        let row = found.iter().find(|row| row.version == version && row.kind == DeploymentKind::Declared)?;
        let key = CohortKey {
            environment: row.environment.as_str().into(),
            service: service.into(),
            flag: None,
            candidate: version.into(),
            baseline: None,
            first_seen: UnixNanos(row.first_seen_unix_nano),
        };
        let rule = &self.config.verdict;
        let empty = verdict::judge(&Cohorts::new(key, rule.lookback, rule.bake), now, rule);
        Some(Arc::new(Verdict { reason: UNSEEN.to_owned(), headline: row.headline.clone(), ..empty }))
    }

    fn found(&self, judged: &Judged, now: UnixNanos) -> Deployment {
        let arrival = &judged.arrival;
        let history = self.versions.history(&arrival.key, &arrival.version);
        Deployment {
            identity: history.map(|history| history.identity()).unwrap_or_default(),
            instances: history.map_or(0, |history| history.instances()),
            notes: history.map(|history| history.notes(arrival, now)).unwrap_or_default(),
            ..deployment(judged)
        }
    }
}

/// The deployment that a declaration speaks of: of the same name before one known by the same parts, then the nearest in time.
fn nearest<'a>(found: &'a mut [Deployment], declaration: &Declaration) -> Option<&'a mut Deployment> {
    let of_service = |row: &&mut Deployment| {
        row.service == declaration.service
            && row.environment == declaration.environment
            && (row.kind != DeploymentKind::Declared || row.version == declaration.version_text())
            && declaration.names.meet(&row.version, &row.identity)
    };
    let name = declaration.version_text();
    found.iter_mut().filter(of_service).min_by_key(|row| {
        (row.version != name, row.first_seen_unix_nano.abs_diff(declaration.at.0), row.first_seen_unix_nano)
    })
}

/// Adds to a deployment what was declared of it; a later declaration stands over an earlier one.
fn meet(deployment: &mut Deployment, declaration: &Declaration) {
    let first_seen = UnixNanos(deployment.first_seen_unix_nano);
    let running = declaration.at > first_seen.saturating_add(REDEPLOYED_AFTER);
    if deployment.kind == DeploymentKind::Declared {
        deployment.first_seen_unix_nano = declaration.at.0;
        deployment.last_seen_unix_nano = declaration.at.0;
        deployment.headline = unseen_headline(declaration);
    } else if running && declaration.at.0 <= deployment.last_seen_unix_nano {
        // With a weight it is a canary's next step.
        if declaration.weight.is_none() {
            deployment.notes.push(redeployed(declaration));
            deployment.notes.sort_by_key(|note| (note.at_unix_nano, note.kind));
        }
    } else if declaration.kind == DeclaredKind::RolledBack {
        deployment.kind = DeploymentKind::Rollback;
    }
    deployment.declared = Some(declaration.clone());
}

fn redeployed(declaration: &Declaration) -> Note {
    Note {
        kind: NoteKind::Redeployed,
        at_unix_nano: declaration.at.0,
        text: "declared again while it was running: a restart, or another configuration".to_owned(),
    }
}

/// Why nothing is judged yet.
const UNSEEN: &str = "it was declared, and no span of it has come yet";

fn unseen_headline(declaration: &Declaration) -> String {
    format!("{} {} cannot be compared: {UNSEEN}", declaration.service, declaration.version_text())
}

fn only_declared(declaration: &Declaration) -> Deployment {
    Deployment {
        service: declaration.service.clone(),
        environment: declaration.environment.clone(),
        version: declaration.version_text(),
        previous_version: None,
        first_seen_unix_nano: declaration.at.0,
        last_seen_unix_nano: declaration.at.0,
        share: None,
        kind: DeploymentKind::Declared,
        identity: Identity::default(),
        instances: 0,
        notes: Vec::new(),
        declared: Some(declaration.clone()),
        state: Outcome::NoData,
        class: None,
        headline: unseen_headline(declaration),
        explained_by: None,
        regressed_operations: 0,
        inherited_services: 0,
        rate_change: None,
        p50_change: None,
        p95_change: None,
        p99_change: None,
        errors_change: None,
    }
}

fn deployment(judged: &Judged) -> Deployment {
    let (arrival, verdict) = (&judged.arrival, &judged.verdict);
    let regressed = verdict.findings.iter().filter(|finding| matches!(finding.state, Outcome::Fail | Outcome::Warn));
    let inherited = verdict.affected.iter().filter(|finding| finding.state == Outcome::Inherited);
    let total = verdict.findings.iter().find(|finding| finding.node == FindingNode::Total);
    let own_errors =
        |row: &&Finding| row.signal == Signal::Errors && row.operation.is_none() && row.node == FindingNode::SelfTime;
    let errors = verdict.findings.iter().find(own_errors);
    let quantiles = total.and_then(|total| total.before_ms.zip(total.after_ms));
    let moved = |quantile: fn(&QuantilesMs) -> f64| {
        let (before, after) = quantiles.as_ref().map(|(before, after)| (quantile(before), quantile(after)))?;
        (before > 0.0).then(|| after / before - 1.0)
    };
    Deployment {
        service: arrival.key.1.to_string(),
        environment: arrival.key.0.to_string(),
        version: arrival.version.to_string(),
        previous_version: arrival.previous.as_ref().map(ToString::to_string),
        first_seen_unix_nano: arrival.first_seen.0,
        last_seen_unix_nano: arrival.last_seen.0,
        share: arrival.share,
        kind: arrival.kind,
        identity: Identity::default(),
        instances: 0,
        notes: Vec::new(),
        declared: None,
        state: verdict.state,
        class: verdict.class,
        headline: verdict.headline.clone(),
        explained_by: explained_by(verdict),
        regressed_operations: regressed.filter(|finding| finding.operation.is_some()).count() as u64,
        inherited_services: inherited.count() as u64,
        rate_change: rate_change(verdict),
        p50_change: moved(|quantiles| quantiles.p50),
        p95_change: moved(|quantiles| quantiles.p95),
        p99_change: moved(|quantiles| quantiles.p99),
        errors_change: errors.and_then(|row| Some(row.errors_after? - row.errors_before?)),
    }
}

/// Whom to look at instead, of a release that only inherits.
fn explained_by(verdict: &Verdict) -> Option<String> {
    if verdict.state != Outcome::Inherited {
        return None;
    }
    let suspects = verdict.suspects.iter().map(|suspect| &suspect.service);
    let owners = verdict.affected.iter().filter(|row| matches!(row.class, Some(Class::Own | Class::Edge)));
    suspects.chain(owners.map(|row| &row.service)).find(|service| **service != verdict.service).cloned()
}

/// Traces per second, new over old, less one. With concurrent traffic it says how the traffic is split.
#[expect(clippy::cast_precision_loss, reason = "counts and times for show")]
fn rate_change(verdict: &Verdict) -> Option<f64> {
    let rate = |traces: u64, from: i64, to: i64| traces as f64 / (to.saturating_sub(from)) as f64;
    let (before, after) = (&verdict.baseline, &verdict.candidate);
    let old = rate(before.traces, before.from_unix_nano, before.to_unix_nano);
    let new = rate(after.traces, after.from_unix_nano, after.to_unix_nano);
    Some(new / old - 1.0).filter(|change| change.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::{Suspect, VerdictConfig};

    fn verdict_with(state: Outcome, suspects: &[&str]) -> Verdict {
        let key = CohortKey {
            environment: "prod".into(),
            service: "cart".into(),
            flag: None,
            candidate: "v2".into(),
            baseline: None,
            first_seen: UnixNanos(0),
        };
        let rule = VerdictConfig::default();
        let empty = verdict::judge(&Cohorts::new(key, rule.lookback, rule.bake), UnixNanos(1), &rule);
        let suspect = |service: &&str| Suspect {
            service: (*service).to_owned(),
            score_ms: 1.0,
            share: 0.5,
            own_ms: 1.0,
            edge_ms: 0.0,
            calls_ms: 0.0,
        };
        Verdict { state, suspects: suspects.iter().map(suspect).collect(), ..empty }
    }

    /// Scenario: verdicts with several suspects, the judged service among them, or with none.
    /// Guarantees: only a release that inherits names another service, the one that explains most, and never itself.
    #[test]
    fn only_a_release_that_inherits_points_elsewhere() {
        for (state, suspects, expected) in [
            (Outcome::Inherited, vec!["cart", "pay", "stock"], Some("pay")),
            (Outcome::Inherited, vec!["cart"], None),
            (Outcome::Inherited, vec![], None),
            (Outcome::Fail, vec!["pay"], None),
            (Outcome::Continue, vec!["pay"], None),
        ] {
            let found = explained_by(&verdict_with(state, &suspects));
            assert_eq!(found.as_deref(), expected, "{state:?} {suspects:?}");
        }
    }
}

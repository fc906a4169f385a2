//! Contracts of tools that roll releases out step by step: Argo Rollouts' `web` metrics, Flagger's webhooks, Kayenta's remote judge.
//!
//! All of them ask about one release and get its verdict in their own words ([`Ruling`]). A gate opens on shown non-inferiority only, and
//! a release is stopped on shown harm only; what is not decided does neither.

pub(crate) mod argo;
pub(crate) mod flagger;
pub(crate) mod kayenta;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use daytwo_query::verdict::Verdict;
use daytwo_query::{Deployment, DeploymentFilter, DeploymentKind, UnixNanos, VersionNames};

use super::deployments::gate_word;
use crate::fields::{Fields, Problems};
use crate::state::AppState;

/// 4 MiB: Kayenta sends every point of every metric that it has collected.
const BODY_BYTES_MAX: usize = 4 << 20;

/// Without a version, a release that came longer ago is not the one under test, ...
const UNDER_TEST_SINCE: Duration = Duration::from_secs(86_400);
/// ... nor is one without traffic for this long, ...
const UNDER_TEST_SEEN: Duration = Duration::from_secs(120);
/// ... nor one with more than this share of it, which has been rolled out.
const UNDER_TEST_SHARE: f64 = 0.95;

/// Routes of these contracts.
pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/api/v1/gates/argo", get(argo::argo).post(argo::argo_post).put(argo::argo_post))
        .route("/api/v1/gates/flagger/rollout", post(flagger::rollout))
        .route("/api/v1/gates/flagger/promotion", post(flagger::promotion))
        .route("/api/v1/gates/flagger/rollback", post(flagger::rollback))
        .route("/api/v1/gates/kayenta/judge", post(kayenta::judge))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

/// Which release a tool asks about.
#[derive(Debug, Clone, Default)]
struct Asked {
    service: String,
    /// `None` means the environment that it came to last.
    environment: Option<String>,
    /// Without any name, the release under test.
    names: VersionNames,
}

impl Asked {
    /// The fields that name a version, as every contract takes them.
    fn names(fields: &Fields<'_>, problems: &mut Problems) -> VersionNames {
        VersionNames {
            version: fields.text("version", problems),
            revision: fields.text("revision", problems),
            image: fields.text("image", problems),
            pod_template_hash: fields.text("pod_template_hash", problems),
        }
    }

    fn release(&self, state: &AppState) -> Option<Deployment> {
        let filter = DeploymentFilter { service: Some(self.service.clone()), environment: self.environment.clone() };
        let mut newest_first = state.correlator.deployments(&filter).into_iter();
        if self.names.is_empty() {
            let now = state.clock.now();
            return newest_first.find(|release| is_under_test(release, now));
        }
        newest_first.find(|release| self.names.meet(&release.version, &release.identity))
    }
}

/// Whether a release is being tried out: new, seen now, and beside another version. A pipeline that names no version must not be
/// answered with the verdict on the release before.
fn is_under_test(release: &Deployment, now: UnixNanos) -> bool {
    let recent = UnixNanos(release.first_seen_unix_nano).saturating_add(UNDER_TEST_SINCE) > now;
    let seen = UnixNanos(release.last_seen_unix_nano).saturating_add(UNDER_TEST_SEEN) > now;
    let beside = release.share.is_some_and(|share| share > 0.0 && share < UNDER_TEST_SHARE);
    let is_new = matches!(release.kind, DeploymentKind::Release | DeploymentKind::Rollback);
    is_new && recent && seen && beside
}

/// What a tool is told.
#[derive(Debug)]
struct Ruling {
    /// `pass`, `fail`, `continue` or `inconclusive`.
    word: &'static str,
    /// The state behind it, as in a verdict; `NO_DATA` when nothing was seen.
    state: &'static str,
    headline: String,
    release: Option<Deployment>,
    verdict: Option<Arc<Verdict>>,
}

impl Ruling {
    fn on(state: &AppState, asked: &Asked) -> Self {
        let Some(release) = asked.release(state).filter(|release| release.kind != DeploymentKind::Declared) else {
            return Self::unseen(asked);
        };
        let verdict = state.correlator.verdict(&release.service, &release.version, Some(&release.environment));
        Self {
            word: gate_word(release.state),
            state: release.state.name(),
            headline: release.headline.clone(),
            release: Some(release),
            verdict,
        }
    }

    /// A release that no span shows yet: its first traffic may be a moment away.
    fn unseen(asked: &Asked) -> Self {
        let headline = if asked.names.is_empty() {
            format!("no release of {} is under test: none that is new shares its traffic with another", asked.service)
        } else {
            format!("no span of {} {} has come yet", asked.service, asked.names.text())
        };
        Self { word: "continue", state: "NO_DATA", headline, release: None, verdict: None }
    }

    /// The smallest p-value of all findings, valid however often one looks.
    fn p_any(&self) -> Option<f64> {
        let findings = self.verdict.iter().flat_map(|verdict| &verdict.findings);
        findings.filter_map(|finding| finding.p_value).min_by(f64::total_cmp)
    }

    /// How much of the evidence that a FAIL needs is there, 0 to 1: the logarithm of the largest e-value over that of 1/alpha.
    fn evidence(&self) -> f64 {
        if self.word == "fail" {
            return 1.0;
        }
        let Some(verdict) = &self.verdict else { return 0.0 };
        let largest = verdict.findings.iter().filter_map(|finding| finding.e_value).fold(1.0, f64::max);
        (largest.ln() / (1.0 / verdict.alpha).ln()).clamp(0.0, 1.0)
    }
}

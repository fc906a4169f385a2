//! What is worth an alert: objectives whose budget burns, and releases shown to be bad that still serve.

use daytwo_query::slo::{BurnAlert, Severity, SloReport};
use daytwo_query::verdict::State;
use daytwo_query::{Correlator, Deployment, DeploymentFilter};

use super::book::{Condition, Texts};
use crate::link::encoded;

/// The conditions that hold now; `None` while the engine has not read what is stored and which objectives there are, for then nothing is
/// over either.
pub(super) fn conditions(correlator: &Correlator) -> Option<Vec<Condition>> {
    correlator.status().settled.then(|| found(correlator))
}

/// As [`conditions`], however much was read.
pub(super) fn found(correlator: &Correlator) -> Vec<Condition> {
    let slos = correlator.slos(None).slos;
    let burning = slos.iter().flat_map(|slo| [Severity::Page, Severity::Ticket].map(|severity| burning(slo, severity)));
    let releases = correlator.deployments(&DeploymentFilter::default());
    burning.flatten().chain(releases.iter().filter_map(failed)).collect()
}

fn texts<const N: usize>(pairs: [(&str, &str); N]) -> Texts {
    pairs.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect()
}

/// An objective of which a pair of windows of this severity burns.
fn burning(slo: &SloReport, severity: Severity) -> Option<Condition> {
    let firing = |alert: &&BurnAlert| alert.firing && alert.severity == severity;
    let pairs: Vec<&BurnAlert> = slo.alerts.iter().filter(firing).collect();
    let worst = pairs.iter().filter_map(|pair| pair.long_rate).fold(f64::NAN, f64::max);
    if pairs.is_empty() {
        return None;
    }
    let windows: Vec<String> = pairs.iter().map(|pair| rates_in_words(pair)).collect();
    let left = slo.budget_left.map_or("unknown".to_owned(), |left| format!("{:.1} %", left * 100.0));
    let summary = format!("{} burns its error budget {worst:.1} times too fast", slo.display_name);
    let burnt = slo.state_reason.as_ref().filter(|_| !slo.members.is_empty());
    let burnt = burnt.map_or(String::new(), |burnt| format!("; {burnt}"));
    let description =
        format!("{} of {}: burn rate {}; budget left {left}{burnt}", slo.objective, slo.service, windows.join(", "));
    Some(Condition {
        labels: texts([
            ("alertname", "SloBurnRate"),
            ("severity", severity.name()),
            ("slo", &slo.id),
            ("service", &slo.service),
        ]),
        annotations: texts([("summary", &summary), ("description", &description)]),
        page: format!("/slos/{}", encoded(&slo.id)),
    })
}

fn rates_in_words(alert: &BurnAlert) -> String {
    let words = |rate: Option<f64>| rate.map_or("?".to_owned(), |rate| format!("{rate:.1}"));
    let (long, short, limit) = (words(alert.long_rate), words(alert.short_rate), alert.threshold);
    match &alert.policy {
        None => format!("{long} over {} and {short} over {} (limit {limit})", alert.long, alert.short),
        Some(policy) => {
            format!("{long} over {}, at least {short} for {} ({policy}, limit {limit})", alert.long, alert.short)
        }
    }
}

/// A release shown to be bad. It is over once the traffic has left it: a rollback needs no second verdict.
fn failed(release: &Deployment) -> Option<Condition> {
    let serves = release.share.is_none_or(|share| share > 0.0);
    if release.state != State::Fail || !serves {
        return None;
    }
    let class = release.class.map_or("", daytwo_query::verdict::Class::name);
    let previous = release.previous_version.as_deref().unwrap_or("none");
    let description = format!("verdict FAIL ({class}); the version before is {previous}");
    Some(Condition {
        labels: texts([
            ("alertname", "DeploymentFailed"),
            ("severity", "page"),
            ("service", &release.service),
            ("version", &release.version),
            ("environment", &release.environment),
        ]),
        annotations: texts([("summary", &release.headline), ("description", &description)]),
        page: format!("/deployments/{}/{}", encoded(&release.service), encoded(&release.version)),
    })
}

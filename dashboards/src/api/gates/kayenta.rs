//! Kayenta: a remote judge (`POST …/judge`). The score comes from the verdict on traces; the metrics that Kayenta collected are listed in the
//! answer as not judged, so that nobody takes them for the reason.

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use bytes::Bytes;
use daytwo_query::verdict::{Finding, QuantilesMs, State as Judged};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::{Asked, Ruling};
use crate::error::{ApiResult, Problem};
use crate::fields::{self, Fields, Problems};
use crate::state::AppState;

/// Under this name Kayenta knows every remote judge.
const JUDGE: &str = "RemoteJudge-v1.0";
/// The one group of results that counts.
const GROUP: &str = "traces";
/// An application of this name stands for any.
const AD_HOC: &str = "ad-hoc";
/// Metrics of the request that are listed.
const METRICS_MAX: usize = 1_000;

/// The scores from which on Kayenta calls a canary good, and worth going on.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Thresholds {
    pass: f64,
    marginal: f64,
}

/// What Kayenta takes for the judgement of a canary.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CanaryJudgeResult {
    judge_name: &'static str,
    results: Vec<CanaryAnalysisResult>,
    group_scores: Vec<CanaryJudgeGroupScore>,
    score: CanaryJudgeScore,
}

/// One thing that was compared.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CanaryAnalysisResult {
    name: String,
    id: String,
    #[schema(value_type = Object)]
    tags: Map<String, Value>,
    /// `Pass`, `High` (worse) or `Nodata` (not decided, or not judged).
    classification: &'static str,
    classification_reason: String,
    groups: Vec<&'static str>,
    #[schema(value_type = Object)]
    experiment_metadata: Value,
    #[schema(value_type = Object)]
    control_metadata: Value,
    #[schema(value_type = Object)]
    result_metadata: Value,
    critical: bool,
    muted: bool,
}

/// The score of a group.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CanaryJudgeGroupScore {
    name: &'static str,
    score: f64,
    classification: &'static str,
    classification_reason: String,
}

/// The score of the canary.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CanaryJudgeScore {
    /// 100 for PASS, 0 for FAIL; the threshold of going on for what is not decided.
    score: f64,
    /// `Pass`, `Marginal` or `Fail`.
    classification: &'static str,
    classification_reason: String,
}

/// Judges a canary. `canaryConfig.judge.judgeConfigurations` names the release (`service`, `version`, `revision`, `image`, `pod_template_hash`,
/// `env`); without a service it is the first of `canaryConfig.applications`, without a version the release under test.
#[utoipa::path(post, path = "/api/v1/gates/kayenta/judge", tag = "gates",
    request_body(content = Value, description = "RemoteJudgeRequest: canaryConfig, scoreThresholds, metricSetPairList"), responses(
    (status = 200, description = "The judgement", body = CanaryJudgeResult),
    (status = "4XX", description = "The question is not understood", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn judge(
    State(state): State<AppState>,
    body: Result<Bytes, BytesRejection>,
) -> ApiResult<Json<CanaryJudgeResult>> {
    let body = fields::json(body)?;
    let mut problems = Problems::default();
    let request = Fields::of(&body, &mut problems);
    let config = request.object("canaryConfig", &mut problems);
    let configured = config.object("judge", &mut problems).object("judgeConfigurations", &mut problems);
    let service = configured.text("service", &mut problems).or_else(|| first_application(&body));
    if service.is_none() {
        let rule = "is missing, and canaryConfig.applications names no service either";
        problems.add(configured.name("service"), rule);
    }
    let asked = Asked {
        service: service.unwrap_or_default(),
        environment: configured.text("env", &mut problems),
        names: Asked::names(&configured, &mut problems),
    };
    let thresholds = thresholds(&request, &config, &mut problems);
    let (asked, thresholds) = problems.or((asked, thresholds))?;
    Ok(Json(result(&Ruling::on(&state, &asked), thresholds, &body)))
}

fn first_application(body: &Value) -> Option<String> {
    let applications = body.get("canaryConfig")?.get("applications")?.as_array()?;
    applications.first()?.as_str().filter(|name| !name.is_empty() && *name != AD_HOC).map(str::to_owned)
}

/// Those of the request stand over those of the configuration.
fn thresholds(request: &Fields<'_>, config: &Fields<'_>, problems: &mut Problems) -> Thresholds {
    let inside = if request.has("scoreThresholds") {
        request.object("scoreThresholds", problems)
    } else {
        config.object("classifier", problems).object("scoreThresholds", problems)
    };
    let [pass, marginal] = ["pass", "marginal"].map(|name| {
        if !inside.has(name) {
            problems.add(inside.name(name), "is missing");
        }
        inside.score(name, problems).unwrap_or_default()
    });
    if inside.has("pass") && inside.has("marginal") && (marginal > pass || pass <= 0.0) {
        problems.add(inside.name("pass"), "must be above 0 and not below marginal");
    }
    Thresholds { pass, marginal }
}

/// PASS is 100 and FAIL 0. What is not decided gets just enough to go on, and never enough to pass.
fn score_of(word: &str, thresholds: Thresholds) -> f64 {
    match word {
        "pass" => 100.0,
        "fail" => 0.0,
        _ => thresholds.marginal.min((thresholds.pass - 1.0).max(0.0)),
    }
}

fn classification(score: f64, thresholds: Thresholds) -> &'static str {
    match score {
        score if score >= thresholds.pass => "Pass",
        score if score >= thresholds.marginal => "Marginal",
        _ => "Fail",
    }
}

fn result(ruling: &Ruling, thresholds: Thresholds, body: &Value) -> CanaryJudgeResult {
    let score = score_of(ruling.word, thresholds);
    let classification = classification(score, thresholds);
    let reason = format!("{}: {}", ruling.state, ruling.headline);
    let findings = ruling.verdict.iter().flat_map(|verdict| &verdict.findings).enumerate();
    let mut results: Vec<CanaryAnalysisResult> =
        findings.map(|(number, finding)| of_finding(number, finding)).collect();
    let metrics = body.get("metricSetPairList").and_then(Value::as_array).into_iter().flatten().take(METRICS_MAX);
    results.extend(metrics.enumerate().map(|(number, metric)| of_metric(number, metric)));
    CanaryJudgeResult {
        judge_name: JUDGE,
        results,
        group_scores: vec![CanaryJudgeGroupScore {
            name: GROUP,
            score,
            classification,
            classification_reason: reason.clone(),
        }],
        score: CanaryJudgeScore { score, classification, classification_reason: reason },
    }
}

fn of_finding(number: usize, finding: &Finding) -> CanaryAnalysisResult {
    let what = finding.operation.as_ref().or(finding.peer.as_ref());
    let what = what.map_or(String::new(), |what| format!(" {what}"));
    let stats = |traces: u64, ms: Option<QuantilesMs>| json!({"stats": {"count": traces, "median": ms.map(|ms| ms.p50), "p95": ms.map(|ms| ms.p95), "p99": ms.map(|ms| ms.p99)}});
    CanaryAnalysisResult {
        name: format!("{} of {} {}{what}", finding.signal.name(), finding.service, finding.node.name()),
        id: format!("finding-{number}"),
        tags: Map::new(),
        classification: match finding.state {
            Judged::Fail | Judged::Warn => "High",
            Judged::Pass => "Pass",
            _ => "Nodata",
        },
        classification_reason: finding.why.clone(),
        groups: vec![GROUP],
        experiment_metadata: stats(finding.traces_after, finding.after_ms),
        control_metadata: stats(finding.traces_before, finding.before_ms),
        result_metadata: json!({"ratio": finding.ratio, "ratioLow": finding.ratio_low, "ratioHigh": finding.ratio_high}),
        critical: false,
        muted: false,
    }
}

/// A metric that Kayenta collected.
fn of_metric(number: usize, metric: &Value) -> CanaryAnalysisResult {
    let text = |key: &str| metric.get(key).and_then(Value::as_str).map(str::to_owned);
    CanaryAnalysisResult {
        name: text("name").unwrap_or_else(|| format!("metric {number}")),
        id: text("id").unwrap_or_else(|| format!("metric-{number}")),
        tags: metric.get("tags").and_then(Value::as_object).cloned().unwrap_or_default(),
        classification: "Nodata",
        classification_reason: "not judged: the verdict comes from traces".to_owned(),
        groups: Vec::new(),
        experiment_metadata: json!({}),
        control_metadata: json!({}),
        result_metadata: json!({}),
        critical: false,
        muted: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: every word under thresholds far apart, equal, and at their ends.
    /// Guarantees: PASS passes and FAIL fails under all of them; what is not decided never passes, and goes on where there is room for it.
    #[test]
    fn undecided_never_passes() {
        for (pass, marginal, undecided) in [
            (95.0, 75.0, "Marginal"),
            (50.0, 50.0, "Fail"),
            (100.0, 0.0, "Marginal"),
            (0.5, 0.0, "Marginal"),
            (100.0, 99.5, "Fail"),
        ] {
            let thresholds = Thresholds { pass, marginal };
            let of = |word| classification(score_of(word, thresholds), thresholds);
            assert_eq!(
                (of("pass"), of("continue"), of("inconclusive")),
                ("Pass", undecided, undecided),
                "{thresholds:?}"
            );
            assert_eq!(of("fail"), if marginal == 0.0 { "Marginal" } else { "Fail" }, "{thresholds:?}");
        }
    }
}

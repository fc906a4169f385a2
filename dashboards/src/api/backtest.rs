//! Back-tests: what an objective or a gate would have done with other numbers, over stored history.

#![expect(unused_qualifications, reason = "the expansion of `utoipa::path` names the parameters' type in full")]

mod dto;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use daytwo_query::slo::{Calls, ObjectiveKind, ObjectiveTrial};
use daytwo_query::{DeploymentFilter, GateSettings};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Freshness;
use crate::error::{ApiError, ApiResult, Problem};
use crate::extract::Params;
use crate::state::AppState;
use crate::time;
use dto::{GateBacktest, ObjectiveBacktest, Rule, TriedDeployment, TriedObjective};

/// Routes of this resource.
pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/api/v1/backtest/objective", get(objective)).route("/api/v1/backtest/gate", get(gate))
}

/// Objectives tried by one request: targets times thresholds.
const TRIALS_MAX: usize = 16;
/// A window's length: from an hour to what cells are kept for at most.
const WINDOW: std::ops::RangeInclusive<Duration> = Duration::from_secs(3_600)..=Duration::from_secs(90 * 86_400);
/// How far back is looked when nobody says.
const DEFAULT_FROM: &str = "now-28d";

/// An objective to try.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ObjectiveParams {
    /// Whose calls.
    service: String,
    /// Only this operation.
    operation: Option<String>,
    /// Only this `deployment.environment.name`.
    env: Option<String>,
    /// Promised share of good calls; several, separated by commas, are each tried: `0.99,0.999`.
    target: String,
    /// What a good call takes at most, in milliseconds; several are each tried. Absent: a good call is one that did not fail.
    threshold_ms: Option<String>,
    /// Rolling window of the budget, as `28d` or `12h`. Default `28d`.
    window: Option<String>,
    /// Start of the history: `now-28d`, RFC 3339, or epoch milliseconds. Default `now-28d`.
    from: Option<String>,
    /// End of it. Default `now`.
    to: Option<String>,
}

/// What an objective would have done over stored history, for each target and threshold.
#[utoipa::path(get, path = "/api/v1/backtest/objective", tag = "board", params(ObjectiveParams), responses(
    (status = 200, description = "The alerts that would have fired", body = ObjectiveBacktest),
    (status = "4XX", description = "Why not", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "Another back-test is under way", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn objective(
    State(state): State<AppState>,
    Params(params): Params<ObjectiveParams>,
) -> ApiResult<Json<ObjectiveBacktest>> {
    let trials = trials(&params)?;
    let range = time::range(params.from.as_deref().or(Some(DEFAULT_FROM)), params.to.as_deref(), state.clock.now())?;
    let (correlator, asked) = (Arc::clone(&state.correlator), trials.clone());
    let tried = tokio::task::spawn_blocking(move || correlator.backtest_objectives(&asked, range.window())).await;
    let outcomes = tried.map_err(ApiError::internal)?.ok_or_else(busy)?;
    let objectives = trials.into_iter().zip(outcomes).map(|(trial, outcome)| TriedObjective::new(&trial, outcome));
    Ok(Json(ObjectiveBacktest::new(Freshness::of_correlator(&state), range, objectives.collect())))
}

fn busy() -> ApiError {
    ApiError::overloaded("another back-test is under way; ask again when it is done")
}

fn trials(params: &ObjectiveParams) -> ApiResult<Vec<ObjectiveTrial>> {
    let targets =
        numbers("target", &params.target, |target| target > 0.0 && target < 1.0, "between 0 and 1, as 0.999")?;
    let thresholds = match &params.threshold_ms {
        None => vec![ObjectiveKind::Availability],
        Some(text) => {
            let ms = numbers(
                "threshold_ms",
                text,
                |ms| ms > 0.0 && ms <= 86_400_000.0,
                "milliseconds above 0, up to a day",
            )?;
            #[expect(clippy::cast_possible_truncation, reason = "at most a day of nanoseconds")]
            ms.into_iter().map(|ms| ObjectiveKind::Latency { threshold_ns: (ms * 1e6).round() as i64 }).collect()
        }
    };
    if targets.len().saturating_mul(thresholds.len()) > TRIALS_MAX {
        return Err(ApiError::bad_request(format!(
            "at most {TRIALS_MAX} objectives (targets times thresholds) are tried at once"
        )));
    }
    let window = window(params.window.as_deref().unwrap_or("28d"))?;
    let calls = |kind| Calls {
        service: params.service.as_str().into(),
        operation: params.operation.as_deref().map(Into::into),
        environment: params.env.as_deref().map(Into::into),
        kind,
        journey: None,
    };
    let of = |kind: &ObjectiveKind| {
        let calls = calls(*kind);
        targets
            .iter()
            .map(move |target| ObjectiveTrial { calls: calls.clone(), target: *target, window })
            .collect::<Vec<_>>()
    };
    Ok(thresholds.iter().flat_map(of).collect())
}

/// Numbers separated by commas, each as it should be.
fn numbers(name: &str, text: &str, good: impl Fn(f64) -> bool, wanted: &str) -> ApiResult<Vec<f64>> {
    let one = |part: &str| part.trim().parse::<f64>().ok().filter(|number| good(*number));
    let found: Option<Vec<f64>> = text.split(',').map(one).collect();
    found.ok_or_else(|| ApiError::bad_request(format!("`{name}` must be {wanted}; several are separated by commas")))
}

fn window(text: &str) -> ApiResult<Duration> {
    let found = text.split_at_checked(text.len().saturating_sub(1)).and_then(|(digits, unit)| {
        let seconds = match unit {
            "h" => 3_600,
            "d" => 86_400,
            "w" => 604_800,
            _ => return None,
        };
        digits.parse::<u64>().ok()?.checked_mul(seconds).map(Duration::from_secs)
    });
    found
        .filter(|window| WINDOW.contains(window))
        .ok_or_else(|| ApiError::bad_request("`window` must be between 1h and 90d, as 12h, 7d or 4w"))
}

/// Numbers of the gate to try; those that are absent stay as they are.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct GateParams {
    /// False-alarm rate per deployment; 0.005 by default.
    alpha: Option<f64>,
    /// A ratio of at most 1 + this is not material; 0.05 by default.
    material: Option<f64>,
    /// PASS needs the ratio shown to be below 1 + this, the largest effect that is let through; 0.10 by default.
    margin: Option<f64>,
    /// Excess below so many milliseconds is not material; 0.3 by default.
    floor_ms: Option<f64>,
    /// Only this service.
    service: Option<String>,
    /// Only this `deployment.environment.name`.
    env: Option<String>,
}

/// What the gate would have said of the deployments whose traces are held, with other numbers and with those in force.
#[utoipa::path(get, path = "/api/v1/backtest/gate", tag = "board", params(GateParams), responses(
    (status = 200, description = "What it would have said", body = GateBacktest),
    (status = "4XX", description = "Why not", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "Another back-test is under way", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn gate(
    State(state): State<AppState>,
    Params(params): Params<GateParams>,
) -> ApiResult<Json<GateBacktest>> {
    let settings = settings(&params)?;
    let filter = DeploymentFilter { service: params.service, environment: params.env };
    let (correlator, asked) = (Arc::clone(&state.correlator), settings.clone());
    let tried = tokio::task::spawn_blocking(move || correlator.backtest_gate(&asked, &filter)).await;
    let tried = tried.map_err(ApiError::internal)?.ok_or_else(busy)?;
    let in_force = state.correlator.gate_settings();
    let deployments = tried.into_iter().map(TriedDeployment::from).collect();
    Ok(Json(GateBacktest::new(
        Freshness::of_correlator(&state),
        Rule::from(&in_force),
        Rule::from(&in_force.with(&settings)),
        deployments,
    )))
}

fn settings(params: &GateParams) -> ApiResult<GateSettings> {
    let within = |name: &str, value: Option<f64>, range: std::ops::RangeInclusive<f64>| match value {
        Some(value) if !range.contains(&value) => {
            Err(ApiError::bad_request(format!("`{name}` must be between {} and {}", range.start(), range.end())))
        }
        value => Ok(value),
    };
    Ok(GateSettings {
        alpha: within("alpha", params.alpha, 1e-6..=0.5)?,
        material: within("material", params.material, 0.0..=10.0)?,
        margin: within("margin", params.margin, 0.001..=10.0)?,
        excess_floor: within("floor_ms", params.floor_ms, 0.0..=3_600_000.0)?
            .map(|ms| Duration::from_secs_f64(ms / 1e3)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: lists of numbers and lengths as people write them, and wrong ones.
    /// Guarantees: each is read, or refused with what it should be.
    #[test]
    fn parameters_are_read_or_refused() {
        let params = |target: &str, threshold: Option<&str>, window: Option<&str>| ObjectiveParams {
            service: "pay".into(),
            operation: None,
            env: None,
            target: target.into(),
            threshold_ms: threshold.map(str::to_owned),
            window: window.map(str::to_owned),
            from: None,
            to: None,
        };
        let tried = trials(&params("0.99, 0.999", Some("100,250.5"), Some("7d"))).unwrap();
        let rows: Vec<_> = tried.iter().map(|trial| (trial.calls.kind, trial.target)).collect();
        let latency = |threshold_ns| ObjectiveKind::Latency { threshold_ns };
        let expected = [
            (latency(100_000_000), 0.99),
            (latency(100_000_000), 0.999),
            (latency(250_500_000), 0.99),
            (latency(250_500_000), 0.999),
        ];
        assert_eq!(rows, expected);
        assert!(tried.iter().all(|trial| trial.window == Duration::from_secs(7 * 86_400)));
        assert_eq!(trials(&params("0.9", None, None)).unwrap()[0].calls.kind, ObjectiveKind::Availability);
        let many = (1..=17).map(|part| format!("0.{part:02}")).collect::<Vec<_>>().join(",");
        for (target, threshold, length) in [
            ("1", None, None),
            ("0", None, None),
            ("x", None, None),
            ("", None, None),
            ("0.9", Some("0"), None),
            ("0.9", Some("nan"), None),
            ("0.9", None, Some("5m")),
            ("0.9", None, Some("91d")),
            ("0.9", None, Some("é")),
            (many.as_str(), None, None),
        ] {
            let refused = trials(&params(target, threshold, length));
            assert_eq!(
                refused.unwrap_err().status(),
                http::StatusCode::BAD_REQUEST,
                "{target} {threshold:?} {length:?}"
            );
        }
        assert!(settings(&GateParams { alpha: Some(0.7), ..GateParams::default() }).is_err());
        assert!(settings(&GateParams { floor_ms: Some(f64::NAN), ..GateParams::default() }).is_err());
        let read = settings(&GateParams { floor_ms: Some(2.5), ..GateParams::default() }).unwrap();
        assert_eq!((read.excess_floor, read.alpha), (Some(Duration::from_micros(2_500)), None));
    }
}

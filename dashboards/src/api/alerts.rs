//! Alerts that fire, and how the webhooks that are told of them do.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Freshness, nanos};
use crate::alerts::{ShownAlert, WebhookStatus};
use crate::state::AppState;

/// Routes of this resource.
pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/api/v1/alerts", get(alerts))
}

/// Alerts and webhooks.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AlertList {
    #[serde(flatten)]
    freshness: Freshness,
    /// Those that fire, and those whose end a webhook has yet to hear of.
    alerts: Vec<Alert>,
    webhooks: Vec<Webhook>,
}

/// A condition that holds, or held.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Alert {
    /// `firing` or `resolved`.
    status: &'static str,
    /// What tells it from others: `alertname`, `severity` (`page` or `ticket`), and what it is about.
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    /// Its page on the board.
    page: String,
    starts_at_unix_nano: String,
    ends_at_unix_nano: Option<String>,
}

impl From<ShownAlert> for Alert {
    fn from(alert: ShownAlert) -> Self {
        Self {
            status: if alert.ends_at.is_none() { "firing" } else { "resolved" },
            labels: alert.labels,
            annotations: alert.annotations,
            page: alert.page,
            starts_at_unix_nano: nanos(alert.starts_at),
            ends_at_unix_nano: alert.ends_at.map(nanos),
        }
    }
}

/// A receiver of alerts. Counts are since start.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Webhook {
    name: String,
    /// `alertmanager` or `json`.
    format: &'static str,
    /// Alerts and recoveries that it has yet to hear of.
    pending: u64,
    /// Requests that it took.
    delivered: u64,
    /// Requests that failed; they are tried again.
    failed: u64,
    /// Alerts that it would not have.
    refused: u64,
    last_delivered_unix_nano: Option<String>,
    /// Why the last request failed; null once one succeeds.
    last_error: Option<String>,
}

impl From<WebhookStatus> for Webhook {
    fn from(status: WebhookStatus) -> Self {
        Self {
            name: status.name,
            format: status.format,
            pending: status.pending,
            delivered: status.delivered,
            failed: status.failed,
            refused: status.refused,
            last_delivered_unix_nano: status.last_delivered.map(nanos),
            last_error: status.last_error,
        }
    }
}

/// Alerts that fire, and how the webhooks do that are told of them.
#[utoipa::path(get, path = "/api/v1/alerts", tag = "board", responses(
    (status = 200, description = "The alerts", body = AlertList)))]
pub(crate) async fn alerts(State(state): State<AppState>) -> Json<AlertList> {
    Json(AlertList {
        freshness: Freshness::of_correlator(&state),
        alerts: state.alerts.shown().into_iter().map(Alert::from).collect(),
        webhooks: state.alerts.webhooks().into_iter().map(Webhook::from).collect(),
    })
}

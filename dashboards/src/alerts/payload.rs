//! What receivers are sent.

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use daytwo_query::UnixNanos;
use serde::Serialize;

use super::book::{Alert, Texts};
use super::config::{WebhookConfig, WebhookFormat};

/// Alertmanager holds an alert to be over when it has not heard of it for so many times as long as it is repeated.
const LIFETIME: u32 = 3;

/// Entry of `POST /api/v2/alerts`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Posted<'a> {
    labels: &'a Texts,
    annotations: &'a Texts,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL", skip_serializing_if = "Option::is_none")]
    generator_url: Option<String>,
}

/// The plain form.
#[derive(Debug, Serialize)]
struct Plain<'a> {
    version: &'static str,
    webhook: &'a str,
    /// `firing` while one of them does.
    status: &'static str,
    group: Group<'a>,
    alerts: Vec<PlainAlert<'a>>,
}

#[derive(Debug, Serialize)]
struct Group<'a> {
    service: &'a str,
}

#[derive(Debug, Serialize)]
struct PlainAlert<'a> {
    status: &'static str,
    labels: &'a Texts,
    annotations: &'a Texts,
    starts_at: String,
    ends_at: Option<String>,
    url: Option<String>,
}

fn status(firing: bool) -> &'static str {
    if firing { "firing" } else { "resolved" }
}

fn time(at: UnixNanos) -> String {
    DateTime::<Utc>::from_timestamp_nanos(at.0).to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The body that tells of some alerts; `board` is where people open the board, if that is known.
pub(super) fn body(webhook: &WebhookConfig, board: Option<&str>, alerts: &[Alert], now: UnixNanos) -> Bytes {
    let url = |alert: &Alert| board.map(|board| format!("{}{}", board.trim_end_matches('/'), alert.condition.page));
    let bytes = match webhook.format {
        WebhookFormat::Alertmanager => {
            let over = now.saturating_add(webhook.repeat.saturating_mul(LIFETIME));
            serde_json::to_vec(&alerts.iter().map(|alert| posted(alert, over, url(alert))).collect::<Vec<_>>())
        }
        WebhookFormat::Json => serde_json::to_vec(&Plain {
            version: "1",
            webhook: &webhook.name,
            status: status(alerts.iter().any(Alert::is_firing)),
            group: Group { service: alerts.first().map_or("", |alert| alert.label("service")) },
            alerts: alerts.iter().map(|alert| plain(alert, url(alert))).collect(),
        }),
    };
    // Maps of texts to texts: there is nothing in them that JSON cannot hold.
    bytes.unwrap_or_default().into()
}

fn posted(alert: &Alert, over: UnixNanos, generator_url: Option<String>) -> Posted<'_> {
    Posted {
        labels: &alert.condition.labels,
        annotations: &alert.condition.annotations,
        starts_at: time(alert.starts_at),
        ends_at: time(alert.ends_at.unwrap_or(over)),
        generator_url,
    }
}

fn plain(alert: &Alert, url: Option<String>) -> PlainAlert<'_> {
    PlainAlert {
        status: status(alert.is_firing()),
        labels: &alert.condition.labels,
        annotations: &alert.condition.annotations,
        starts_at: time(alert.starts_at),
        ends_at: alert.ends_at.map(time),
        url,
    }
}

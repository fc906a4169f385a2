//! Which alerts fire, since when, and who was told what: a state, not a stream, so that an outage of a receiver or a restart costs nothing
//! but time. What fired and recovered meanwhile is told as recovered.

use std::collections::BTreeMap;
use std::time::Duration;

use daytwo_query::UnixNanos;
use serde::{Deserialize, Serialize};

use super::config::WebhookConfig;

/// Alerts in the book; further ones are counted and left out.
pub(super) const ALERTS_MAX: usize = 1_000;
/// A recovery that could not be told for so long is dropped, and counted.
const UNTOLD_KEPT: Duration = Duration::from_secs(86_400);
/// The form in which the book is kept.
const FORMAT: u32 = 1;

/// Names and values.
pub(super) type Texts = BTreeMap<String, String>;

/// A condition that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition {
    /// What tells it from others.
    pub(super) labels: Texts,
    /// What to know about it now.
    pub(super) annotations: Texts,
    /// Path of its page on the board.
    pub(super) page: String,
}

/// What a receiver was told last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    firing: bool,
    at_unix_nano: i64,
    /// It did not want to hear it, and is not told again before that changes.
    refused: bool,
}

/// An alert: a condition with its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Alert {
    pub(super) condition: Condition,
    pub(super) starts_at: UnixNanos,
    pub(super) ends_at: Option<UnixNanos>,
    told: BTreeMap<String, Told>,
}

impl Alert {
    /// Whether its condition still holds.
    pub(super) fn is_firing(&self) -> bool {
        self.ends_at.is_none()
    }

    /// A label.
    pub(super) fn label(&self, name: &str) -> &str {
        self.condition.labels.get(name).map_or("", String::as_str)
    }

    fn concerns(&self, webhook: &WebhookConfig) -> bool {
        if self.label("severity") == "ticket" { webhook.tickets } else { webhook.pages }
    }

    /// Whether a receiver has yet to hear of it, or of its end, or to hear again that it goes on.
    fn is_due(&self, webhook: &WebhookConfig, now: UnixNanos) -> bool {
        let Some(told) = self.told.get(&webhook.name) else { return true };
        let repeat = || now.since(UnixNanos(told.at_unix_nano)) >= webhook.repeat;
        told.firing != self.is_firing() || (told.firing && !told.refused && repeat())
    }
}

/// All alerts, by their labels.
#[derive(Debug, Default)]
pub(super) struct Book {
    alerts: BTreeMap<Texts, Alert>,
    /// Alerts left out because there were too many, and recoveries nobody could be told of.
    pub(super) dropped: u64,
    /// Set when there is something to write down.
    dirty: bool,
}

impl Book {
    /// Takes the conditions that hold now.
    pub(super) fn update(&mut self, conditions: Vec<Condition>, now: UnixNanos) {
        let mut over: Vec<Texts> =
            self.alerts.iter().filter(|(_, alert)| alert.is_firing()).map(|(key, _)| key.clone()).collect();
        over.retain(|key| !conditions.iter().any(|condition| condition.labels == *key));
        for condition in conditions {
            self.hold(condition, now);
        }
        for key in over {
            if let Some(alert) = self.alerts.get_mut(&key) {
                alert.ends_at = Some(now);
                self.dirty = true;
            }
        }
    }

    fn hold(&mut self, condition: Condition, now: UnixNanos) {
        if let Some(alert) = self.alerts.get_mut(&condition.labels) {
            if !alert.is_firing() {
                (alert.starts_at, alert.ends_at) = (now, None);
                self.dirty = true;
            }
            alert.condition = condition;
            return;
        }
        if self.alerts.len() >= ALERTS_MAX {
            self.dropped = self.dropped.saturating_add(1);
            return;
        }
        self.dirty = true;
        let alert = Alert { condition, starts_at: now, ends_at: None, told: BTreeMap::new() };
        self.alerts.insert(alert.condition.labels.clone(), alert);
    }

    /// Forgets recoveries that everybody was told of, and those that nobody could be told of for too long.
    pub(super) fn forget(&mut self, webhooks: &[WebhookConfig], now: UnixNanos) {
        let before = self.alerts.len();
        let mut dropped = 0_u64;
        self.alerts.retain(|_, alert| {
            let Some(ended) = alert.ends_at else { return true };
            let untold = webhooks.iter().any(|webhook| alert.concerns(webhook) && alert.is_due(webhook, now));
            let given_up = untold && now.since(ended) >= UNTOLD_KEPT;
            dropped = dropped.saturating_add(u64::from(given_up));
            untold && !given_up
        });
        self.dropped = self.dropped.saturating_add(dropped);
        self.dirty |= self.alerts.len() != before;
    }

    /// What a receiver is to be told next, the longest waiting first.
    pub(super) fn due(&self, webhook: &WebhookConfig, now: UnixNanos) -> Vec<Alert> {
        let mut due: Vec<&Alert> =
            self.alerts.values().filter(|alert| alert.concerns(webhook) && alert.is_due(webhook, now)).collect();
        due.sort_by_key(|alert| (alert.ends_at.unwrap_or(alert.starts_at), alert.starts_at));
        due.into_iter().cloned().collect()
    }

    /// Notes that a receiver was told of alerts as they were then; `refused` when it would not have them.
    pub(super) fn told(&mut self, webhook: &WebhookConfig, alerts: &[Alert], now: UnixNanos, refused: bool) {
        for told in alerts {
            if let Some(alert) = self.alerts.get_mut(&told.condition.labels) {
                let note = Told { firing: told.is_firing(), at_unix_nano: now.0, refused };
                alert.told.insert(webhook.name.clone(), note);
                self.dirty = true;
            }
        }
    }

    /// Alerts that fire.
    pub(super) fn firing(&self) -> u64 {
        self.alerts.values().filter(|alert| alert.is_firing()).count() as u64
    }

    /// All alerts.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.values()
    }

    /// The book as bytes, if it has changed since it was asked for last.
    pub(super) fn take_changes(&mut self) -> Option<Vec<u8>> {
        if !std::mem::take(&mut self.dirty) {
            return None;
        }
        let kept = KeptBook { format: FORMAT, alerts: self.alerts.values().map(Kept::from).collect() };
        serde_json::to_vec(&kept).ok()
    }

    /// Says that what was taken could not be written down.
    pub(super) fn keep_changes(&mut self) {
        self.dirty = true;
    }

    /// A book as it was written down.
    ///
    /// # Errors
    /// Why it cannot be understood.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        let kept: KeptBook = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if kept.format != FORMAT {
            return Err(format!("it has form {}, this version reads form {FORMAT}", kept.format));
        }
        let alerts = kept.alerts.into_iter().take(ALERTS_MAX).map(Alert::from);
        let alerts = alerts.map(|alert| (alert.condition.labels.clone(), alert)).collect();
        Ok(Self { alerts, dropped: 0, dirty: false })
    }
}

/// What the book looks like on disk.
#[derive(Debug, Serialize, Deserialize)]
struct KeptBook {
    format: u32,
    alerts: Vec<Kept>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    labels: Texts,
    annotations: Texts,
    page: String,
    starts_at_unix_nano: i64,
    ends_at_unix_nano: Option<i64>,
    told: BTreeMap<String, Told>,
}

impl From<&Alert> for Kept {
    fn from(alert: &Alert) -> Self {
        Self {
            labels: alert.condition.labels.clone(),
            annotations: alert.condition.annotations.clone(),
            page: alert.condition.page.clone(),
            starts_at_unix_nano: alert.starts_at.0,
            ends_at_unix_nano: alert.ends_at.map(|at| at.0),
            told: alert.told.clone(),
        }
    }
}

impl From<Kept> for Alert {
    fn from(kept: Kept) -> Self {
        Self {
            condition: Condition { labels: kept.labels, annotations: kept.annotations, page: kept.page },
            starts_at: UnixNanos(kept.starts_at_unix_nano),
            ends_at: kept.ends_at_unix_nano.map(UnixNanos),
            told: kept.told,
        }
    }
}

//! Alerts: burning objectives and failed releases, told to webhooks.
//!
//! [`watch`] says what holds, [`book`] what fires and who was told, [`payload`] writes bodies, [`client`] sends them to addresses that
//! [`address`] allows. One task looks every ten seconds; each webhook has its own, so that one that is down delays no other. A delivery
//! that fails is tried again, later each time; the book survives a restart.

mod address;
mod book;
mod client;
mod config;
mod payload;
#[cfg(test)]
mod tests;
mod watch;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use daytwo_query::{Clock, Correlator, Document, UnixNanos};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use book::{Alert, Book, Condition};
use client::{Client, Resolver, SendError};
pub use config::{Network, Secret, Target, WebhookConfig, WebhookFormat};

/// How often conditions are looked at.
const LOOK: Duration = Duration::from_secs(10);
/// A webhook with nothing to do looks at least this often whether something is to be repeated.
const IDLE: Duration = Duration::from_secs(10);
/// Alerts in one request.
const BATCH_MAX: usize = 100;
/// Wait after the first failure; doubled with each further one.
const BACKOFF_FIRST: Duration = Duration::from_secs(1);
/// Longest wait between two attempts.
const BACKOFF_MAX: Duration = Duration::from_secs(300);
/// 16 MiB: a thousand alerts with long names and texts.
pub const ALERTS_BYTES_MAX: usize = 16 << 20;
/// Webhooks that may be configured.
pub const WEBHOOKS_MAX: usize = 16;

/// What a webhook has done, for metrics and the API.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct WebhookStatus {
    /// Its name.
    pub(crate) name: String,
    /// Its form.
    pub(crate) format: &'static str,
    /// Alerts and recoveries that it has yet to hear of.
    pub(crate) pending: u64,
    /// Requests that were answered with success.
    pub(crate) delivered: u64,
    /// Requests that were not.
    pub(crate) failed: u64,
    /// Alerts that it would not have.
    pub(crate) refused: u64,
    /// When a request was answered with success.
    pub(crate) last_delivered: Option<UnixNanos>,
    /// Why the last request failed; `None` once one succeeds.
    pub(crate) last_error: Option<String>,
}

/// One receiver: its settings, its client, and what it has done.
#[derive(Debug)]
struct Webhook {
    config: WebhookConfig,
    client: Client,
    status: Mutex<WebhookStatus>,
}

impl Webhook {
    fn status(&self) -> MutexGuard<'_, WebhookStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a delivery went.
#[derive(Debug, PartialEq, Eq)]
enum Delivery {
    /// There was nothing to tell.
    Nothing,
    /// Something was told.
    Done,
    /// It was not, and is to be tried again after at least this long.
    Failed(Duration),
}

/// All alerts, and whom to tell.
#[derive(Debug)]
pub struct Alerts {
    webhooks: Vec<Webhook>,
    /// Where people open the board.
    board: Option<String>,
    clock: Arc<dyn Clock>,
    book: Mutex<Book>,
    document: Option<Document>,
    changed: Notify,
}

impl Alerts {
    /// Nobody to tell; alerts are shown all the same.
    pub fn none(clock: Arc<dyn Clock>) -> Arc<Self> {
        let book = Mutex::default();
        Arc::new(Self { webhooks: Vec::new(), board: None, clock, book, document: None, changed: Notify::new() })
    }

    /// Alerts for these webhooks, with the book that `document` keeps. `board` is where people open the board.
    ///
    /// # Errors
    /// What keeps a webhook from being used, or the book from being read.
    pub fn new(
        webhooks: Vec<WebhookConfig>,
        board: Option<String>,
        document: Document,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, String> {
        Self::with_resolver(webhooks, board, document, clock, &Resolver::System)
    }

    fn with_resolver(
        webhooks: Vec<WebhookConfig>,
        board: Option<String>,
        document: Document,
        clock: Arc<dyn Clock>,
        resolver: &Resolver,
    ) -> Result<Arc<Self>, String> {
        let webhook = |config: WebhookConfig| {
            let name = config.name.clone();
            let status = WebhookStatus { name: name.clone(), format: config.format.name(), ..WebhookStatus::default() };
            let client = Client::new(config.clone(), resolver.clone());
            let client = client.map_err(|reason| format!("the webhook {name} cannot be used: {reason}"))?;
            Ok::<_, String>(Webhook { config, client, status: Mutex::new(status) })
        };
        let webhooks = webhooks.into_iter().map(webhook).collect::<Result<_, _>>()?;
        let book = Mutex::new(read_book(&document)?);
        Ok(Arc::new(Self { webhooks, board, clock, book, document: Some(document), changed: Notify::new() }))
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks and tells until cancelled.
    pub async fn run(self: Arc<Self>, correlator: Arc<Correlator>, stop: CancellationToken) {
        let tasks = TaskTracker::new();
        for index in 0..self.webhooks.len() {
            let (alerts, stop) = (Arc::clone(&self), stop.clone());
            tasks.spawn(async move { stop.run_until_cancelled(alerts.tell(index)).await });
        }
        tasks.close();
        stop.run_until_cancelled(self.look(&correlator)).await;
        tasks.wait().await;
        self.save().await;
    }

    async fn look(&self, correlator: &Correlator) {
        // Not at once: traces that a crash cut are closed a few seconds after the start.
        let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + LOOK, LOOK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Some(conditions) = watch::conditions(correlator) {
                self.take(conditions);
            }
            self.save().await;
        }
    }

    /// Takes the conditions that hold now.
    fn take(&self, conditions: Vec<Condition>) {
        let now = self.clock.now();
        let mut book = self.book();
        book.update(conditions, now);
        let webhooks: Vec<WebhookConfig> = self.webhooks.iter().map(|webhook| webhook.config.clone()).collect();
        book.forget(&webhooks, now);
        drop(book);
        self.changed.notify_waiters();
    }

    /// Writes the book down if it has changed.
    async fn save(&self) {
        let Some(document) = self.document.clone() else { return };
        let Some(bytes) = self.book().take_changes() else { return };
        let written = tokio::task::spawn_blocking(move || document.replace(&bytes)).await;
        let failure = match written {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        tracing::warn!(
            reason = failure,
            "which alerts were told cannot be written down; after a restart some are told twice"
        );
        self.book().keep_changes();
    }

    /// Tells one webhook what it has to hear, for ever.
    async fn tell(&self, index: usize) {
        let Some(webhook) = self.webhooks.get(index) else { return };
        let mut wait = BACKOFF_FIRST;
        loop {
            let changed = self.changed.notified();
            match self.deliver(webhook).await {
                Delivery::Nothing => {
                    // Nobody to wake us by then is no failure: it is time to look whether something is to be repeated.
                    tokio::time::timeout(IDLE, changed).await.unwrap_or_default();
                    wait = BACKOFF_FIRST;
                }
                Delivery::Done => wait = BACKOFF_FIRST,
                Delivery::Failed(at_least) => {
                    tokio::time::sleep(wait.max(at_least)).await;
                    wait = wait.saturating_mul(2).min(BACKOFF_MAX);
                }
            }
        }
    }

    /// Tells a webhook one batch of what it has to hear.
    async fn deliver(&self, webhook: &Webhook) -> Delivery {
        let now = self.clock.now();
        let due = self.book().due(&webhook.config, now);
        let batch = batch(due, webhook.config.format);
        if batch.is_empty() {
            return Delivery::Nothing;
        }
        match self.send(webhook, &batch).await {
            Ok(()) => self.book().told(&webhook.config, &batch, now, false),
            Err(error) if error.is_about_the_body() && batch.len() == 1 => self.refused(webhook, &batch),
            Err(error) if error.is_about_the_body() => {
                if let Err(error) = self.send_one_by_one(webhook, &batch).await {
                    return Delivery::Failed(error.retry_after().unwrap_or_default());
                }
            }
            Err(error) => return Delivery::Failed(error.retry_after().unwrap_or_default()),
        }
        Delivery::Done
    }

    /// After a batch was refused: one of them may be what the receiver will not have, and the others are not to suffer for it.
    async fn send_one_by_one(&self, webhook: &Webhook, batch: &[Alert]) -> Result<(), SendError> {
        for alert in batch {
            let alone = std::slice::from_ref(alert);
            match self.send(webhook, alone).await {
                Ok(()) => self.book().told(&webhook.config, alone, self.clock.now(), false),
                Err(error) if error.is_about_the_body() => self.refused(webhook, alone),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// What was refused alone is counted, and not told again before it changes.
    fn refused(&self, webhook: &Webhook, alerts: &[Alert]) {
        let mut status = webhook.status();
        status.refused = status.refused.saturating_add(alerts.len() as u64);
        drop(status);
        self.book().told(&webhook.config, alerts, self.clock.now(), true);
    }

    async fn send(&self, webhook: &Webhook, alerts: &[Alert]) -> Result<(), SendError> {
        let now = self.clock.now();
        let body = payload::body(&webhook.config, self.board.as_deref(), alerts, now);
        let sent = webhook.client.send(body, now.0.div_euclid(1_000_000_000)).await;
        let mut status = webhook.status();
        match &sent {
            Ok(()) => {
                status.delivered = status.delivered.saturating_add(1);
                status.last_delivered = Some(now);
                status.last_error = None;
            }
            Err(error) => {
                tracing::warn!(webhook = %status.name, alerts = alerts.len(), %error, "alerts were not taken, trying again");
                status.failed = status.failed.saturating_add(1);
                status.last_error = Some(error.to_string());
            }
        }
        sent
    }

    /// What each webhook has done.
    pub(crate) fn webhooks(&self) -> Vec<WebhookStatus> {
        let now = self.clock.now();
        let status = |webhook: &Webhook| {
            let pending = self.book().due(&webhook.config, now).len() as u64;
            WebhookStatus { pending, ..webhook.status().clone() }
        };
        self.webhooks.iter().map(status).collect()
    }

    /// How many fire, and how many were dropped.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let book = self.book();
        (book.firing(), book.dropped)
    }

    /// All alerts: those that fire, and those whose end somebody has yet to hear of.
    pub(crate) fn shown(&self) -> Vec<ShownAlert> {
        let shown = |alert: &Alert| ShownAlert {
            labels: alert.condition.labels.clone(),
            annotations: alert.condition.annotations.clone(),
            page: alert.condition.page.clone(),
            starts_at: alert.starts_at,
            ends_at: alert.ends_at,
        };
        self.book().iter().map(shown).collect()
    }
}

/// An alert for the API.
#[derive(Debug, Clone)]
pub(crate) struct ShownAlert {
    pub(crate) labels: book::Texts,
    pub(crate) annotations: book::Texts,
    pub(crate) page: String,
    pub(crate) starts_at: UnixNanos,
    pub(crate) ends_at: Option<UnixNanos>,
}

/// The book that a document holds. One that cannot be understood is set aside: at worst, alerts are told twice.
fn read_book(document: &Document) -> Result<Book, String> {
    let bytes = document.read().map_err(|error| format!("cannot read which alerts were told: {error}"))?;
    let Some(bytes) = bytes else { return Ok(Book::default()) };
    Book::read(&bytes).or_else(|reason| {
        let aside = document.set_aside().map_err(|error| format!("cannot set the alerts aside: {error}"))?;
        tracing::error!(reason, aside = %aside.display(), "which alerts were told cannot be read and was set aside");
        Ok(Book::default())
    })
}

/// What goes into one request: for plain JSON the alerts of one service.
fn batch(mut due: Vec<Alert>, format: WebhookFormat) -> Vec<Alert> {
    if format == WebhookFormat::Json
        && let Some(service) = due.first().map(|alert| alert.label("service").to_owned())
    {
        due.retain(|alert| alert.label("service") == service);
    }
    due.truncate(BATCH_MAX);
    due
}

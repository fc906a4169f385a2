//! One phase: the requests that wait, and what came of those that were sent.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use daytwo_traffic::export::{Answer, Exporter};
use daytwo_traffic::ledger::{Entry, Outcome};
use hdrhistogram::Histogram;
use tokio::time::Instant;

use super::super::LoadError;
use super::super::report::{as_f64, microseconds};
use super::super::rounds::{Plan, Prepared, Rounds};
use super::super::send::now_unix_nano;
use super::OverloadArgs;

/// What came of a phase.
pub(super) struct Tally {
    pub(super) acked_spans: u64,
    /// Of these, before the phase's end.
    pub(super) acked_in_time: u64,
    pub(super) accepted: u64,
    pub(super) lost: u64,
    pub(super) lost_because: Option<String>,
    pub(super) refused: u64,
    pub(super) sent: u64,
    pub(super) not_offered: u64,
    /// Microseconds from sending to the answer that asks to send it later, and those that it asks for.
    pub(super) shed_us: Histogram<u64>,
    pub(super) pause_us: Histogram<u64>,
    /// Requests that were acknowledged, and those without an answer.
    pub(super) entries: Vec<Entry>,
    pub(super) took: Duration,
}

impl Tally {
    fn new() -> Self {
        Self {
            acked_spans: 0,
            acked_in_time: 0,
            accepted: 0,
            lost: 0,
            lost_because: None,
            refused: 0,
            sent: 0,
            not_offered: 0,
            shed_us: microseconds(),
            pause_us: microseconds(),
            entries: Vec::new(),
            took: Duration::ZERO,
        }
    }

    pub(super) fn spans_per_second(&self) -> f64 {
        as_f64(self.acked_in_time) / self.took.as_secs_f64().max(1e-9)
    }

    fn note(&mut self, request: &Prepared, answer: &Answer, took: Duration) {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let Prepared { seq, spans, .. } = *request;
        let entry = |outcome| Entry { seq, spans, outcome, attempts: 1, lost_before: false };
        self.sent += 1;
        match answer {
            Answer::Accepted { rejected_spans } => {
                self.accepted += 1;
                self.acked_spans += spans.saturating_sub(*rejected_spans);
                self.entries.push(entry(Outcome::Ack));
            }
            Answer::Retry { after, .. } => {
                self.shed_us.saturating_record(micros(took));
                self.pause_us.saturating_record(micros(after.unwrap_or_default()));
            }
            Answer::Lost { reason } => {
                self.lost += 1;
                self.lost_because = Some(reason.clone());
                self.entries.push(entry(Outcome::Unknown));
            }
            Answer::Refused { .. } => self.refused += 1,
        }
    }
}

/// Requests that wait, and the tally.
pub(super) struct Phase {
    waiting: Mutex<VecDeque<Prepared>>,
    tally: Mutex<Tally>,
}

impl Phase {
    /// Encodes what is going to be sent.
    pub(super) async fn prepare(args: &OverloadArgs, run: &str) -> Result<Arc<Self>, LoadError> {
        let now = now_unix_nano();
        let mut rounds = Rounds::start(Plan {
            seed: now,
            batch_spans: args.batch.max(1),
            export: args.export.into(),
            spans: Some(args.spans),
            round_spans: args.spans,
            start_unix_nano: now.saturating_sub(args.spans.saturating_mul(48_500)),
            trace_interval: Duration::from_millis(1),
            run: Some(run.to_owned()),
        });
        rounds.ask();
        let waiting = rounds.next().await.unwrap_or_default().into();
        rounds.stop().await?;
        Ok(Arc::new(Self { waiting: Mutex::new(waiting), tally: Mutex::new(Tally::new()) }))
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Prepared>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next request.
    pub(super) fn take(&self) -> Option<Prepared> {
        self.waiting().pop_front()
    }

    /// There was no room to send it.
    pub(super) fn put_back(&self, request: Prepared) {
        self.tally().not_offered += 1;
        self.waiting().push_front(request);
    }

    /// It comes again in its turn.
    pub(super) fn send_later(&self, request: Prepared) {
        self.waiting().push_back(request);
    }

    /// Sends a request once.
    pub(super) async fn send(&self, exporter: &Exporter, request: &Prepared) -> Answer {
        let began = Instant::now();
        let answer = exporter.send(request.body.clone()).await;
        self.tally().note(request, &answer, began.elapsed());
        answer
    }

    /// The time is over: what was acknowledged until now is the goodput. What still comes is let finish, so that all that was
    /// acknowledged is known.
    pub(super) fn time_is_over(&self, began: Instant) {
        let mut tally = self.tally();
        (tally.acked_in_time, tally.took) = (tally.acked_spans, began.elapsed());
    }

    /// What came of it all.
    pub(super) fn finish(&self) -> Tally {
        std::mem::replace(&mut *self.tally(), Tally::new())
    }
}

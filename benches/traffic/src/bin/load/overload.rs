//! What a server still does when it is offered many times what it can take: first the peak, then a multiple of it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use daytwo_traffic::export::{Answer, Endpoints, Exporter};
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use super::LoadError;
use super::report::{as_f64, microseconds, rounded};
use super::rounds::{Plan, Prepared, Rounds};
use super::send::{Kind, now_unix_nano, seconds};
use super::server::{Server, ServerArgs};

/// What is measured.
#[derive(Debug, Args)]
pub(crate) struct OverloadArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Protocol, encoding and compression.
    #[arg(long, value_enum, default_value_t = Kind::Grpc)]
    export: Kind,
    /// Clients of the peak: each sends its next request once the one before is answered.
    #[arg(long, default_value_t = 8)]
    clients: usize,
    /// What is offered then, as a multiple of the peak.
    #[arg(long, default_value_t = 10.0)]
    factor: f64,
    /// Seconds for which each of both is measured.
    #[arg(long, value_parser = seconds, default_value = "15")]
    duration: Duration,
    /// Spans per request.
    #[arg(long, default_value_t = 512)]
    batch: usize,
    /// Spans encoded ahead for each of both (about 760 bytes each, uncompressed); it ends early when all are taken.
    #[arg(long, default_value_t = 2_000_000)]
    spans: u64,
    /// Requests under way at once, at most: what cannot be offered because of it is counted.
    #[arg(long, default_value_t = 1024)]
    inflight_max: usize,
    /// Connections over which they go (gRPC).
    #[arg(long, default_value_t = 16)]
    connections: usize,
}

/// How often requests are offered.
const TICK: Duration = Duration::from_millis(1);

/// Starts a server, measures its peak, then what is left of it under overload.
pub(crate) async fn run(args: OverloadArgs) -> Result<Value, LoadError> {
    let server = Server::start(&args.server).await?;
    let endpoints = Endpoints::new(&server.grpc, &server.http)?;
    let exporter = |_| Ok::<_, LoadError>(Arc::new(Exporter::new(args.export.into(), &endpoints, ANSWER_MAX)?));
    let exporters = (0..args.connections.max(args.clients).max(1)).map(exporter).collect::<Result<Vec<_>, _>>()?;
    let peak = closed_loop(&args, &exporters).await?;
    server.wait_until_flushed(peak.acked_spans).await?;
    let offered = peak.spans_per_second() * args.factor;
    let under = open_loop(&args, &exporters, offered).await?;
    let shed = server.shed().await;
    let usage = server.usage()?;
    server.wait_until_flushed(peak.acked_spans + under.acked_spans).await?;
    let quantile = |q| as_f64(under.shed_us.value_at_quantile(q)) / 1e3;
    Ok(json!({
        "peak_spans_per_second": rounded(peak.spans_per_second()),
        "offered_spans_per_second": rounded(as_f64(under.offered_spans) / under.took.as_secs_f64().max(1e-9)),
        "goodput_spans_per_second": rounded(under.spans_per_second()),
        "goodput_percent_of_peak": rounded(100.0 * under.spans_per_second() / peak.spans_per_second().max(1e-9)),
        "requests": {
            "accepted": under.accepted, "shed": under.shed_us.len(), "lost": under.lost, "refused": under.refused,
            "not_offered": under.not_offered,
        },
        "shed_by_reason": shed,
        "shed_answer_ms": { "p50": quantile(0.5), "p99": quantile(0.99), "max": as_f64(under.shed_us.max()) / 1e3 },
        "rss_peak_mib": usage.peak_mib,
        "acked_spans_in_files": peak.acked_spans + under.acked_spans,
    }))
}

/// A request without an answer for so long is lost.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// What came of a phase.
struct Tally {
    acked_spans: u64,
    /// Of these, before the phase's end.
    acked_in_time: u64,
    offered_spans: u64,
    accepted: u64,
    lost: u64,
    refused: u64,
    not_offered: u64,
    /// Microseconds from sending to the answer that asks to send it later.
    shed_us: Histogram<u64>,
    took: Duration,
}

impl Tally {
    fn new() -> Self {
        Self {
            acked_spans: 0,
            acked_in_time: 0,
            offered_spans: 0,
            accepted: 0,
            lost: 0,
            refused: 0,
            not_offered: 0,
            shed_us: microseconds(),
            took: Duration::ZERO,
        }
    }

    fn spans_per_second(&self) -> f64 {
        as_f64(self.acked_in_time) / self.took.as_secs_f64().max(1e-9)
    }

    /// Notes an answer; true when the request is to be offered again.
    fn note(&mut self, request: &Prepared, answer: &Answer, took: Duration) -> bool {
        match answer {
            Answer::Accepted { rejected_spans } => {
                self.accepted += 1;
                self.acked_spans += request.spans.saturating_sub(*rejected_spans);
            }
            Answer::Retry { .. } => {
                self.shed_us.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
                return true;
            }
            Answer::Lost { .. } => self.lost += 1,
            Answer::Refused { .. } => self.refused += 1,
        }
        false
    }
}

/// Requests that wait, and what came of those that were sent.
struct Phase {
    waiting: Mutex<VecDeque<Prepared>>,
    tally: Mutex<Tally>,
}

impl Phase {
    async fn prepare(args: &OverloadArgs) -> Result<Arc<Self>, LoadError> {
        let now = now_unix_nano();
        let mut rounds = Rounds::start(Plan {
            seed: now,
            batch_spans: args.batch.max(1),
            export: args.export.into(),
            spans: Some(args.spans),
            round_spans: args.spans,
            start_unix_nano: now.saturating_sub(args.spans.saturating_mul(48_500)),
            trace_interval: TICK,
            run: None,
        });
        rounds.ask();
        let waiting = rounds.next().await.unwrap_or_default().into();
        rounds.stop().await?;
        Ok(Arc::new(Self { waiting: Mutex::new(waiting), tally: Mutex::new(Tally::new()) }))
    }

    fn take(&self) -> Option<Prepared> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    async fn send(&self, exporter: &Exporter, request: Prepared) {
        let began = Instant::now();
        let answer = exporter.send(request.body.clone()).await;
        let again = self.tally.lock().unwrap_or_else(PoisonError::into_inner).note(&request, &answer, began.elapsed());
        if again {
            self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push_back(request);
        }
    }

    /// The tally of a phase that began then.
    fn finish(&self, began: Instant) -> Tally {
        let mut tally =
            std::mem::replace(&mut *self.tally.lock().unwrap_or_else(PoisonError::into_inner), Tally::new());
        (tally.acked_in_time, tally.took) = (tally.acked_spans, began.elapsed());
        tally
    }
}

/// Each client sends one request after the other.
async fn closed_loop(args: &OverloadArgs, exporters: &[Arc<Exporter>]) -> Result<Tally, LoadError> {
    let phase = Phase::prepare(args).await?;
    let began = Instant::now();
    let end = began + args.duration;
    let mut clients = JoinSet::new();
    for exporter in exporters.iter().take(args.clients.max(1)) {
        let (phase, exporter) = (Arc::clone(&phase), Arc::clone(exporter));
        clients.spawn(async move {
            while Instant::now() < end {
                let Some(request) = phase.take() else { break };
                phase.send(&exporter, request).await;
            }
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended?;
    }
    Ok(phase.finish(began))
}

/// Requests are sent at a rate, whether those before are answered or not; one that was shed is offered again in its turn.
async fn open_loop(args: &OverloadArgs, exporters: &[Arc<Exporter>], rate: f64) -> Result<Tally, LoadError> {
    let phase = Phase::prepare(args).await?;
    let began = Instant::now();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut sending, mut spans, mut not_offered) = (JoinSet::new(), 0_u64, 0_u64);
    let mut turns = exporters.iter().cycle();
    while began.elapsed() < args.duration {
        ticks.tick().await;
        while sending.try_join_next().transpose()?.is_some() {}
        while as_f64(spans) < rate * began.elapsed().as_secs_f64() {
            let (Some(request), Some(exporter)) = (phase.take(), turns.next()) else { break };
            spans += request.spans;
            if sending.len() >= args.inflight_max {
                not_offered += 1;
                phase.waiting.lock().unwrap_or_else(PoisonError::into_inner).push_front(request);
                continue;
            }
            let (phase, exporter) = (Arc::clone(&phase), Arc::clone(exporter));
            sending.spawn(async move { phase.send(&exporter, request).await });
        }
    }
    // What was acknowledged until now is the goodput; what still comes is let finish, so that all acknowledged spans are known.
    let at_the_end = phase.tally.lock().unwrap_or_else(PoisonError::into_inner).acked_spans;
    let took = began.elapsed();
    while let Some(ended) = sending.join_next().await {
        ended?;
    }
    let mut tally = phase.finish(began);
    (tally.acked_in_time, tally.took) = (at_the_end, took);
    (tally.offered_spans, tally.not_offered) = (spans, not_offered);
    Ok(tally)
}

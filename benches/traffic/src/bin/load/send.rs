//! Sending prepared requests over several connections, flat out or at a rate.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::{Args, ValueEnum};
use daytwo_traffic::export::{Endpoints, Exporter, RetryPolicy, send_until_answered};
use daytwo_traffic::ledger::{Entry, Ledger, Outcome};
use daytwo_traffic::shop::Export;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::LoadError;
use super::report::Report;
use super::rounds::{Plan, Prepared, Rounds};

/// Spans per trace of the corpus, to choose how far apart traces begin.
const SPANS_PER_TRACE: f64 = 20.6;

/// What is sent and how.
#[derive(Debug, Clone, Args)]
pub(crate) struct SendArgs {
    /// Spans to send; with --duration alone, no end.
    #[arg(long)]
    spans: Option<u64>,
    /// Seconds to send for.
    #[arg(long, value_parser = seconds)]
    duration: Option<Duration>,
    /// Spans per second; as many as are taken when absent.
    #[arg(long)]
    rate: Option<f64>,
    /// Protocol, encoding and compression.
    #[arg(long, value_enum, default_value_t = Kind::Grpc)]
    export: Kind,
    /// Connections, each with one request under way.
    #[arg(long, default_value_t = 8)]
    connections: usize,
    /// Spans per request.
    #[arg(long, default_value_t = 512)]
    batch: usize,
    /// Seed of the corpus. A server that deduplicates takes the same corpus once; absent: from the clock.
    #[arg(long)]
    seed: Option<u64>,
    /// Spans encoded ahead before the clock runs (about 760 bytes each, uncompressed).
    #[arg(long, default_value_t = 1_000_000)]
    round_spans: u64,
    /// Seconds for which a request that got no answer, or one to retry, is sent again; 0 for never.
    #[arg(long, value_parser = seconds, default_value = "60")]
    retry_for: Duration,
    /// Writes what became of each request to this file; see `daytwo_traffic::ledger` for its lines.
    #[arg(long)]
    ledger: Option<PathBuf>,
}

/// Kinds of export, as arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    Grpc,
    GrpcGzip,
    Http,
    HttpGzip,
    HttpJson,
}

impl From<Kind> for Export {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Grpc => Self::Grpc,
            Kind::GrpcGzip => Self::GrpcGzip,
            Kind::Http => Self::Http,
            Kind::HttpGzip => Self::HttpGzip,
            Kind::HttpJson => Self::HttpJson,
        }
    }
}

pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(number).map_err(|error| error.to_string())
}

impl SendArgs {
    /// Spans over gRPC at a rate, without an end.
    pub(crate) fn at_rate(rate: f64) -> Self {
        Self {
            spans: None,
            duration: Some(Duration::from_secs(3_600)),
            rate: Some(rate),
            export: Kind::Grpc,
            connections: 8,
            batch: 512,
            seed: None,
            round_spans: 1_000_000,
            retry_for: Duration::from_secs(60),
            ledger: None,
        }
    }

    /// Whether the kind of export speaks gRPC.
    pub(crate) fn is_grpc(&self) -> bool {
        matches!(self.export, Kind::Grpc | Kind::GrpcGzip)
    }

    /// The spans of the run, one million unless a number or a duration is given.
    pub(crate) fn spans(&self) -> Option<u64> {
        if self.duration.is_some() { self.spans } else { Some(self.spans.unwrap_or(1_000_000)) }
    }

    fn plan(&self, now: u64) -> Plan {
        let interval = self.rate.map_or(0.001, |rate| SPANS_PER_TRACE / rate.max(1.0));
        let trace_interval = Duration::from_secs_f64(interval);
        // Flat out, traces begin 1 ms apart and the last begins now; at a rate, the first begins now.
        let before = if self.rate.is_some() { 0 } else { self.spans().unwrap_or(0).saturating_mul(48_500) };
        Plan {
            seed: self.seed.unwrap_or(now),
            batch_spans: self.batch.max(1),
            export: self.export.into(),
            spans: self.spans(),
            round_spans: self.round_spans(),
            start_unix_nano: now.saturating_sub(before),
            trace_interval,
            run: self.ledger.as_ref().map(|_| format!("run-{now}")),
        }
    }

    /// At a rate, rounds are about a second long and encoded while the one before is sent.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float saturates; a rate is positive"
    )]
    fn round_spans(&self) -> u64 {
        self.rate.map_or(self.round_spans, |rate| (rate.max(1.0) as u64).min(self.round_spans))
    }

    fn retry(&self) -> RetryPolicy {
        let delay = Duration::from_millis(50);
        if self.retry_for.is_zero() {
            return RetryPolicy { attempts: 1, delay, delay_max: delay };
        }
        RetryPolicy { attempts: u32::MAX, delay, delay_max: Duration::from_secs(1) }
    }
}

/// What the connections of a run share.
struct Run {
    requests: Mutex<VecDeque<(Instant, Prepared)>>,
    books: Mutex<(Report, Option<Ledger>)>,
    retry: RetryPolicy,
    retry_for: Duration,
    paced: bool,
    stop: CancellationToken,
}

/// Sends what the arguments say.
pub(crate) async fn run(endpoint: &str, args: &Arc<SendArgs>) -> Result<Report, LoadError> {
    let plan = args.plan(now_unix_nano());
    let ledger = match (&args.ledger, &plan.run) {
        (Some(path), Some(run)) => {
            let created = Ledger::create(path, run, plan.batch_spans, &format!("{:?}", args.export));
            Some(created.map_err(LoadError::io(format!("create the ledger {}", path.display())))?)
        }
        _ => None,
    };
    let exporters = exporters(endpoint, args)?;
    let run = Arc::new(Run {
        requests: Mutex::default(),
        books: Mutex::new((Report::new(), ledger)),
        retry: args.retry(),
        retry_for: args.retry_for,
        paced: args.rate.is_some(),
        stop: CancellationToken::new(),
    });
    let mut rounds = Rounds::start(plan);
    send_rounds(args, &run, &exporters, &mut rounds).await?;
    rounds.stop().await?;
    let (report, ledger) = {
        let mut books = run.books.lock().unwrap_or_else(PoisonError::into_inner);
        (std::mem::replace(&mut books.0, Report::new()), books.1.take())
    };
    if let Some(ledger) = ledger {
        ledger.sync().map_err(LoadError::io("sync the ledger"))?;
    }
    Ok(report)
}

fn exporters(endpoint: &str, args: &SendArgs) -> Result<Vec<Arc<Exporter>>, LoadError> {
    let endpoints = Endpoints::new(endpoint, endpoint)?;
    let exporter = |_| Ok(Arc::new(Exporter::new(args.export.into(), &endpoints, Duration::from_secs(30))?));
    (0..args.connections.max(1)).map(exporter).collect()
}

async fn send_rounds(
    args: &SendArgs,
    run: &Arc<Run>,
    exporters: &[Arc<Exporter>],
    rounds: &mut Rounds,
) -> Result<(), LoadError> {
    rounds.ask();
    let mut next = rounds.next().await;
    let started = Instant::now();
    let deadline = args.duration.map(|duration| started + duration);
    let mut due = started;
    while let Some(round) = next.take() {
        if args.rate.is_some() {
            rounds.ask();
        }
        let began = Instant::now();
        let queued = round.into_iter().map(|request| {
            let at = due;
            due += request_interval(args.rate, request.spans);
            (at, request)
        });
        run.requests.lock().unwrap_or_else(PoisonError::into_inner).extend(queued);
        send_queued(run, exporters, deadline).await?;
        run.books.lock().unwrap_or_else(PoisonError::into_inner).0.sending += began.elapsed();
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Ok(());
        }
        rounds.ask();
        next = rounds.next().await;
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a request has fewer than 2^53 spans")]
fn request_interval(rate: Option<f64>, spans: u64) -> Duration {
    rate.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(spans as f64 / rate.max(1.0)))
}

/// Lets every connection send until the queue is empty or the time is over.
async fn send_queued(run: &Arc<Run>, exporters: &[Arc<Exporter>], deadline: Option<Instant>) -> Result<(), LoadError> {
    let mut connections = JoinSet::new();
    for (number, exporter) in (0_u64..).zip(exporters) {
        connections.spawn(connection(Arc::clone(run), Arc::clone(exporter), number, deadline));
    }
    while let Some(ended) = connections.join_next().await {
        ended??;
    }
    Ok(())
}

async fn connection(
    run: Arc<Run>,
    exporter: Arc<Exporter>,
    number: u64,
    deadline: Option<Instant>,
) -> Result<(), LoadError> {
    let mut rng = StdRng::seed_from_u64(number);
    while deadline.is_none_or(|deadline| Instant::now() < deadline) {
        let Some((due, request)) = run.requests.lock().unwrap_or_else(PoisonError::into_inner).pop_front() else {
            break;
        };
        if run.paced {
            tokio::time::sleep_until(due).await;
        }
        let began = if run.paced { due } else { Instant::now() };
        let give_up = run.stop.child_token();
        let patience = tokio::time::sleep(run.retry_for + Duration::from_millis(1));
        let sending = send_until_answered(&exporter, request.body.clone(), &run.retry, &mut rng, &give_up);
        let sent = tokio::select! {
            biased;
            sent = sending => sent,
            // Between two attempts the token ends the waiting; an attempt under way is let finish.
            never = async { patience.await; give_up.cancel(); std::future::pending().await } => never,
        };
        note(&run, &request, &sent, began.elapsed())?;
    }
    Ok(())
}

fn note(run: &Run, request: &Prepared, sent: &daytwo_traffic::export::Sent, took: Duration) -> Result<(), LoadError> {
    let mut books = run.books.lock().unwrap_or_else(PoisonError::into_inner);
    books.0.note(request, sent, took);
    let Some(ledger) = &mut books.1 else { return Ok(()) };
    let entry = Entry {
        seq: request.seq,
        spans: request.spans,
        outcome: Outcome::of(sent),
        attempts: sent.attempts,
        lost_before: sent.lost_before,
    };
    ledger.note(entry).map_err(LoadError::io("write the ledger"))
}

/// The wall clock: spans are made to look recent.
#[expect(clippy::disallowed_methods, reason = "this program is its own clock seam")]
pub(crate) fn now_unix_nano() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

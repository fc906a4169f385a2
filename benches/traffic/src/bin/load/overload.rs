//! What a server still does when it is offered many times what it can take: first the peak; then that many times the exporters, which
//! come back when they are told to; then that many times the rate, by clients who ignore it.

mod offer;
mod phase;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use daytwo_traffic::export::{Endpoints, Exporter};
use serde_json::{Value, json};

use super::LoadError;
use super::check::{compare, name_of_run};
use super::report::{as_f64, rounded};
use super::send::{Kind, seconds};
use super::server::{Server, ServerArgs};
use offer::Told;
use phase::{Phase, Tally};

/// What is measured.
#[derive(Debug, Args)]
pub(crate) struct OverloadArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Protocol, encoding and compression.
    #[arg(long, value_enum, default_value_t = Kind::Grpc)]
    export: Kind,
    /// Exporters of the peak.
    #[arg(long, default_value_t = 8)]
    exporters: usize,
    /// Requests that an exporter has under way, as the OpenTelemetry Collector's.
    #[arg(long, default_value_t = 10)]
    consumers: usize,
    /// What is offered then, as a multiple of the peak.
    #[arg(long, default_value_t = 10.0)]
    factor: f64,
    /// Seconds for which each is measured.
    #[arg(long, value_parser = seconds, default_value = "15")]
    duration: Duration,
    /// Spans per request.
    #[arg(long, default_value_t = 512)]
    batch: usize,
    /// Spans encoded ahead for each (about 840 bytes, uncompressed); it ends early when all are taken.
    #[arg(long, default_value_t = 3_000_000)]
    spans: u64,
    /// Requests of those who ignore the pause under way at once, at most: what cannot be offered because of it is counted.
    #[arg(long, default_value_t = 1024)]
    inflight_max: usize,
    /// Connections over which they go (gRPC).
    #[arg(long, default_value_t = 16)]
    connections: usize,
}

/// A request without an answer for so long is lost.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// Starts a server, measures its peak, then what is left of it under overload.
pub(crate) async fn run(args: OverloadArgs) -> Result<Value, LoadError> {
    let mut bench = Bench::start(&args).await?;
    let exporters = bench.exporters(args.exporters)?;
    let peak = bench.measure("peak", |phase| offer::closed_loop(&args, phase, &exporters, Told::GoesOn)).await?;
    let per_second = peak.tally.spans_per_second();
    let many = bench.exporters(offer::multiplied(args.exporters, args.factor))?;
    let obeying = bench.measure("obeying", |phase| offer::closed_loop(&args, phase, &many, Told::Waits)).await?;
    drop(many);
    let exporters = bench.exporters(args.connections)?;
    let rate = per_second * args.factor;
    let ignoring = bench.measure("ignoring", |phase| offer::open_loop(&args, phase, &exporters, rate)).await?;
    Ok(json!({
        "peak": peak.to_json(None),
        "obeying_the_pause": obeying.to_json(Some(per_second)),
        "ignoring_the_pause": ignoring.to_json(Some(per_second)),
    }))
}

/// The server, and what it has taken so far.
struct Bench<'a> {
    args: &'a OverloadArgs,
    server: Server,
    endpoints: Endpoints,
    acked_spans: u64,
    shed: BTreeMap<String, u64>,
}

/// A phase, and what the server did in it.
struct Measured {
    tally: Tally,
    shed: BTreeMap<String, u64>,
    peak_mib: f64,
    cpu_seconds: f64,
    stored: Value,
}

impl<'a> Bench<'a> {
    async fn start(args: &'a OverloadArgs) -> Result<Self, LoadError> {
        args.server.leave_its_cpu()?;
        let server = Server::start(&args.server).await?;
        let endpoints = Endpoints::new(&server.grpc, &server.http)?;
        Ok(Self { args, server, endpoints, acked_spans: 0, shed: BTreeMap::new() })
    }

    fn exporters(&self, count: usize) -> Result<Vec<Arc<Exporter>>, LoadError> {
        let exporter = |_| Ok(Arc::new(Exporter::new(self.args.export.into(), &self.endpoints, ANSWER_MAX)?));
        (0..count.max(1)).map(exporter).collect()
    }

    /// Runs a phase, waits until all is in files, and compares what is there with what was acknowledged.
    async fn measure<F>(&mut self, name: &str, offer: impl FnOnce(Arc<Phase>) -> F) -> Result<Measured, LoadError>
    where
        F: Future<Output = Result<Tally, LoadError>>,
    {
        let run = name_of_run(name);
        let phase = Phase::prepare(self.args, &run).await?;
        self.server.forget_peak()?;
        let idle = self.server.usage()?;
        let tally = offer(phase).await?;
        let usage = self.server.usage()?;
        let (peak_mib, cpu_seconds) = (usage.peak_mib, usage.cpu_seconds - idle.cpu_seconds);
        let shed = self.server.shed().await;
        let before = std::mem::replace(&mut self.shed, shed.clone());
        let since = |(reason, count): (String, u64)| {
            let count = count - before.get(&reason).copied().unwrap_or_default();
            (count > 0).then_some((reason, count))
        };
        self.acked_spans += tally.acked_spans;
        self.server.wait_until_flushed(self.acked_spans).await?;
        let stored = compare(&tally.entries, &run, &self.args.server.daytwo, &self.server.url())?;
        Ok(Measured { tally, shed: shed.into_iter().filter_map(since).collect(), peak_mib, cpu_seconds, stored })
    }
}

impl Measured {
    fn to_json(&self, peak: Option<f64>) -> Value {
        let tally = &self.tally;
        let (per_second, seconds) = (tally.spans_per_second(), tally.took.as_secs_f64().max(1e-9));
        let millis = |us: u64| as_f64(us) / 1e3;
        let quantile = |q| millis(tally.shed_us.value_at_quantile(q));
        let pause = |q| millis(tally.pause_us.value_at_quantile(q));
        json!({
            "spans_per_second": rounded(per_second),
            "percent_of_peak": peak.map(|peak| rounded(100.0 * per_second / peak.max(1e-9))),
            "sent_requests_per_second": rounded(as_f64(tally.sent) / seconds),
            "requests": {
                "accepted": tally.accepted, "shed": tally.shed_us.len(), "lost": tally.lost, "refused": tally.refused,
                "not_offered": tally.not_offered,
            },
            "lost_because": tally.lost_because,
            "shed_by_reason": self.shed,
            "shed_answer_ms": { "p50": quantile(0.5), "p99": quantile(0.99), "max": millis(tally.shed_us.max()) },
            "pause_told_ms": { "p50": pause(0.5), "p99": pause(0.99), "max": millis(tally.pause_us.max()) },
            "server_cpu_seconds": rounded(self.cpu_seconds),
            "spans_per_server_cpu_second": rounded(as_f64(tally.acked_spans) / self.cpu_seconds.max(1e-9)),
            "rss_peak_mib": self.peak_mib,
            "acknowledged_and_stored": self.stored,
        })
    }
}

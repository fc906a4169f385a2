//! How long after its acknowledgement a span is found: one trace after another is sent, and asked for until it is there.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use daytwo_traffic::export::{Answer, Endpoints, Exporter, prepare};
use daytwo_traffic::shop::Export;
use daytwo_traffic::{Model, ModelConfig, encode};
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::LoadError;
use super::report::{as_f64, microseconds};
use super::rounds::mark;
use super::send::{self, SendArgs, now_unix_nano};
use super::server::{Server, ServerArgs};

/// What is measured.
#[derive(Debug, Args)]
pub(crate) struct FreshnessArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Traces to send and ask for, half of them by id, half by search.
    #[arg(long, default_value_t = 500)]
    traces: u64,
    /// Spans per second sent beside them; 0 for an idle server.
    #[arg(long, default_value_t = 0.0)]
    background: f64,
}

/// A trace that is not found for this long is a failure.
const FOUND_MAX: Duration = Duration::from_secs(10);
/// Pause between two traces.
const PAUSE: Duration = Duration::from_millis(20);

/// Sends traces one by one and reports the times from each acknowledgement to the answer that has the span.
pub(crate) async fn run(args: FreshnessArgs) -> Result<Value, LoadError> {
    let server = Server::start(&args.server).await?;
    let background = (args.background > 0.0).then(|| {
        let (endpoint, send) = (server.grpc.clone(), SendArgs::at_rate(args.background));
        tokio::spawn(async move { send::run(&endpoint, &Arc::new(send)).await })
    });
    let mut probe = Probe::new(&server)?;
    for number in 0..args.traces {
        probe.one(number).await?;
        tokio::time::sleep(PAUSE).await;
    }
    if let Some(background) = background {
        background.abort();
    }
    Ok(json!({
        "traces": args.traces,
        "background_spans_per_second": args.background,
        "ack_to_found_ms": { "by_id": quantiles(&probe.by_id), "by_search": quantiles(&probe.by_search) },
    }))
}

fn quantiles(times: &Histogram<u64>) -> Value {
    let quantile = |q| as_f64(times.value_at_quantile(q)) / 1e3;
    json!({ "p50": quantile(0.5), "p99": quantile(0.99), "max": as_f64(times.max()) / 1e3 })
}

struct Probe<'s> {
    server: &'s Server,
    exporter: Exporter,
    model: Model,
    run: String,
    /// Microseconds.
    by_id: Histogram<u64>,
    by_search: Histogram<u64>,
}

impl<'s> Probe<'s> {
    fn new(server: &'s Server) -> Result<Self, LoadError> {
        let endpoints = Endpoints::new(&server.grpc, &server.http)?;
        let exporter = Exporter::new(Export::Grpc, &endpoints, Duration::from_secs(30))?;
        let now = now_unix_nano();
        let model = Model::new(ModelConfig { seed: now, origin_unix_nano: now, ..ModelConfig::default() });
        let times = microseconds;
        Ok(Self { server, exporter, model, run: format!("fresh-{now}"), by_id: times(), by_search: times() })
    }

    /// Sends the first spans of a trace, then asks for it: every other one by its id, the rest by the values of attributes.
    async fn one(&mut self, number: u64) -> Result<(), LoadError> {
        let mut spans = self.model.trace(number, now_unix_nano());
        spans.iter_mut().for_each(|span| mark(span, &self.run, number));
        let id: String = spans.first().map(|span| hex(&span.span.trace_id)).unwrap_or_default();
        let requests = encode::requests(self.model.pods(), spans, usize::MAX);
        let body = requests.into_iter().next().map(|request| request.body).unwrap_or_default();
        match self.exporter.send(prepare(Export::Grpc, &body)).await {
            Answer::Accepted { .. } => {}
            other => return Err(LoadError::Server(format!("did not accept a trace: {other:?}"))),
        }
        let acked = Instant::now();
        let search =
            format!("/api/v1/traces?attribute=daytwo.load.run={}&attribute=daytwo.load.seq={number}", self.run);
        let (path, times) = match number % 2 {
            0 => (format!("/api/v1/traces/{id}"), &mut self.by_id),
            _ => (search, &mut self.by_search),
        };
        until_found(self.server, &path, &id).await?;
        times.saturating_record(u64::try_from(acked.elapsed().as_micros()).unwrap_or(u64::MAX));
        Ok(())
    }
}

async fn until_found(server: &Server, path: &str, id: &str) -> Result<(), LoadError> {
    let started = Instant::now();
    while started.elapsed() < FOUND_MAX {
        let has_it = |body: &Bytes| String::from_utf8_lossy(body).contains(id);
        if server.get(path).await.as_ref().is_some_and(has_it) {
            return Ok(());
        }
    }
    Err(LoadError::Server(format!("did not show an acknowledged trace within {FOUND_MAX:?}: {path}")))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

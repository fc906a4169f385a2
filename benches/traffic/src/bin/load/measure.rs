//! Starting a server and measuring what ingestion costs it.

use std::path::Path;
use std::sync::Arc;

use clap::Args;
use serde_json::{Value, json};

use super::LoadError;
use super::report::{as_f64, rounded};
use super::send::{self, SendArgs};
use super::server::{Server, ServerArgs};

/// What is measured.
#[derive(Debug, Args)]
pub(crate) struct MeasureArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    send: SendArgs,
}

/// Starts, sends, waits, reports.
pub(crate) async fn run(args: MeasureArgs) -> Result<Value, LoadError> {
    let server = Server::start(&args.server).await?;
    let idle = server.usage()?;
    let endpoint = if args.send.is_grpc() { server.grpc.clone() } else { server.http.clone() };
    let report = send::run(&endpoint, &Arc::new(args.send.clone())).await?;
    let acked = server.usage()?;
    server.wait_until_flushed(report.spans_acked).await?;
    let flushed = server.usage()?;
    let spans = as_f64(report.spans_acked.max(1));
    let table = folder_bytes(&server.data_dir().join("spans"));
    Ok(json!({
        "sent": report.to_json(),
        "server_cpu_seconds_per_million_spans": {
            "until_last_ack": rounded((acked.cpu_seconds - idle.cpu_seconds) * 1e6 / spans),
            "until_all_in_files": rounded((flushed.cpu_seconds - idle.cpu_seconds) * 1e6 / spans),
        },
        "server_spans_per_cpu_second": rounded(spans / (flushed.cpu_seconds - idle.cpu_seconds).max(1e-9)),
        "disk_bytes_per_span": rounded(as_f64(table) / spans),
        "rss_mib": { "idle": idle.rss_mib, "after_last_ack": acked.rss_mib, "flushed": flushed.rss_mib, "peak": flushed.peak_mib },
    }))
}

fn folder_bytes(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let sizes = entries.filter_map(Result::ok).map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => folder_bytes(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

//! `daytwo-conformance`: runs the OTLP conformance suite against an endpoint and prints a table. Exits with 0 only if all
//! passes.

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Parser, ValueEnum};
use daytwo_conformance::{Compression, GoldenConfig, Target, run};

/// OTLP conformance suite: sends some 2,500 requests to an endpoint and judges the answers.
#[derive(Debug, Parser)]
#[command(name = "daytwo-conformance", version)]
struct Cli {
    /// OTLP/gRPC, without TLS.
    #[arg(long, default_value = "127.0.0.1:4317")]
    grpc: String,
    /// OTLP/HTTP, without TLS.
    #[arg(long, default_value = "127.0.0.1:4318")]
    http: String,
    /// Web address of a Daytwo server, as in http://127.0.0.1:8080: what was accepted is looked up there. Nobody else may
    /// send meanwhile.
    #[arg(long)]
    query: Option<String>,
    /// Bearer token that the endpoint wants.
    #[arg(long)]
    token: Option<String>,
    /// Origin whose pages may export, as in https://shop.example.
    #[arg(long)]
    origin: Option<String>,
    /// The endpoint's limit of a request, after decompression; the specification recommends this one.
    #[arg(long, default_value_t = 64 << 20)]
    request_bytes_max: usize,
    /// Seconds that an accepted span may take to be found; Daytwo promises one, a busy machine needs more.
    #[arg(long, default_value_t = 60)]
    found_within: u64,
    /// Seed of the golden inputs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Golden inputs of each family, transport and compression.
    #[arg(long, default_value_t = 10)]
    each: u32,
    /// Compressions of golden inputs. zstd is not in the specification.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "none,gzip,zstd")]
    compressions: Vec<Compression>,
    /// Form of the table.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Forms of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
    Markdown,
}

/// Ids of two runs against one server have to differ.
#[expect(clippy::disallowed_methods, reason = "the only use of the clock: a number that no other run has")]
fn run_number() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(1)
}

impl Cli {
    fn target(self) -> Target {
        let Self { grpc, http, query, token, origin, request_bytes_max, seed, each, compressions, .. } = self;
        let golden = GoldenConfig { seed, run: run_number(), each, compressions };
        let found_within = Duration::from_secs(self.found_within);
        Target { grpc, http, query, token, origin, request_bytes_max, found_within, golden }
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let format = cli.format;
    let report = run(cli.target()).await;
    let text = match format {
        Format::Text => report.to_text(),
        Format::Json => format!("{:#}\n", report.to_json()),
        Format::Markdown => report.to_markdown(),
    };
    let written = std::io::stdout().lock().write_all(text.as_bytes());
    if written.is_ok() && report.is_pass() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// Scenario: the command line as declared.
    /// Guarantees: clap finds no contradiction in it.
    #[test]
    fn arguments_fit_together() {
        Cli::command().debug_assert();
    }
}

//! The `daytwo` command line: what there is to type. What each command does is in `cli`.
//!
//! Only this package reads arguments, the environment and configuration files, installs the log, takes signals and ends the
//! process; the libraries are given values.

#![forbid(unsafe_code)]

mod cli;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Ingestion allocates and frees large blocks on several threads at once; mimalloc gives them back sooner than the system's. Without huge pages:
/// the kernel clears 2 MiB each time the first byte of one is touched again, which was a fifth of the server's CPU time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Distributed-tracing collector that judges every deployment.
///
/// Spans come in over OTLP (gRPC 4317, HTTP 4318), are kept as Parquet files in a local folder, and answer one question on
/// http://127.0.0.1:8080: did this release make anything worse?
#[derive(Debug, Parser)]
#[command(name = "daytwo", version, disable_help_subcommand = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server: OTLP in, API and board on one port.
    Serve(ServeArgs),
    /// Run the server together with a simulated shop that releases a bad version after 30 seconds.
    Demo(DemoArgs),
    /// Answer one SQL query, from a running server or straight from a data folder.
    Query(QueryArgs),
    /// Ask a running server for the verdict on a release; the exit code is 0 for pass, 1 for fail, 2 for anything else.
    Verdict(VerdictArgs),
    /// Try an objective or a gate with other numbers on stored history, at a running server.
    #[command(subcommand)]
    Backtest(BacktestAction),
    /// Show what a data folder holds: files by hour, log, what was set aside.
    Inspect(FolderArgs),
    /// Read every file of a data folder and compare it with the hash it was written with; the exit code is 0 when all is whole.
    Verify(FolderArgs),
    /// Finish what a crash left in a data folder, and set damaged files aside.
    Repair(FolderArgs),
    /// Write spans of a data folder to a file, as OTLP or as Parquet.
    Export(ExportArgs),
    /// Show or check the configuration.
    Config(ConfigArgs),
}

/// Where the configuration comes from.
#[derive(Debug, Args)]
struct ConfigSource {
    /// Configuration file (TOML). Without it the defaults hold; see `daytwo config example`.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder for everything that is stored; created when missing. Stands over the configuration.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct ServeArgs {
    #[command(flatten)]
    source: ConfigSource,
    /// Write the addresses of the open ports to this file, as JSON, once requests are served.
    #[arg(long, value_name = "FILE")]
    addr_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct DemoArgs {
    /// Folder for the demo's spans; created when missing.
    #[arg(long, value_name = "DIR", default_value = "daytwo-demo")]
    data_dir: PathBuf,
    /// Port of the board. Without it: 8080, or any free port when that one is taken.
    #[arg(long)]
    port: Option<u16>,
    /// Write the addresses of the open ports to this file, as JSON, once requests are served.
    #[arg(long, value_name = "FILE")]
    addr_file: Option<PathBuf>,
    /// Stop after this long instead of running until Ctrl-C, as in 90s or 5m.
    #[arg(long, value_name = "TIME", value_parser = cli::time)]
    stop_after: Option<Duration>,
}

#[derive(Debug, Args)]
struct QueryArgs {
    /// The query, as in 'SELECT service_name, count(*) FROM spans GROUP BY 1'.
    sql: String,
    /// The running server to ask.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080", conflicts_with = "data_dir")]
    url: String,
    /// Read this data folder instead of asking a server; no server may use it at the time.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Configuration of the server that writes to it, for a table in an object store.
    #[arg(long, value_name = "FILE", requires = "data_dir")]
    config: Option<PathBuf>,
    /// Form of the answer.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Form of a query's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Aligned columns.
    Table,
    /// The JSON of the HTTP API.
    Json,
    /// Comma-separated values.
    Csv,
    /// An Arrow IPC stream.
    Arrow,
}

#[derive(Debug, Args)]
struct VerdictArgs {
    /// `service.name` of what was released.
    #[arg(long)]
    service: String,
    /// `service.version` of the release.
    #[arg(long)]
    version: String,
    /// `deployment.environment.name`, if the service runs in several.
    #[arg(long)]
    env: Option<String>,
    /// Ask again until the verdict stands, at most this long, as in 10m.
    #[arg(long, value_name = "TIME", value_parser = cli::time)]
    wait: Option<Duration>,
    /// The running server to ask.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    url: String,
}

#[derive(Debug, Subcommand)]
enum BacktestAction {
    /// Which alerts an objective would have fired, and what its budget would be, for each target and threshold.
    Objective(ObjectiveTrialArgs),
    /// When the gate would have said FAIL and PASS of the deployments whose traces are held.
    Gate(GateTrialArgs),
}

/// Form of a back-test's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum BacktestFormat {
    /// Aligned columns.
    Table,
    /// The JSON of the HTTP API.
    Json,
}

#[derive(Debug, Args)]
struct ObjectiveTrialArgs {
    /// `service.name` of whose calls.
    #[arg(long)]
    service: String,
    /// Only this operation.
    #[arg(long)]
    operation: Option<String>,
    /// Only this `deployment.environment.name`.
    #[arg(long)]
    env: Option<String>,
    /// Promised share of good calls; several, as in 0.99,0.999, are each tried.
    #[arg(long)]
    target: String,
    /// What a good call takes at most, in milliseconds; several are each tried. Without it a good call is one that did not fail.
    #[arg(long)]
    threshold_ms: Option<String>,
    /// Rolling window of the budget, as in 28d.
    #[arg(long, value_name = "TIME")]
    window: Option<String>,
    /// Start of the history, as in now-7d.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// End of the history.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// The running server to ask.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// Form of the answer.
    #[arg(long, value_enum, default_value_t = BacktestFormat::Table)]
    format: BacktestFormat,
}

#[derive(Debug, Args)]
struct GateTrialArgs {
    /// False-alarm rate per deployment.
    #[arg(long)]
    alpha: Option<f64>,
    /// A ratio of at most 1 + this is not material.
    #[arg(long)]
    material: Option<f64>,
    /// PASS needs the ratio shown to be below 1 + this.
    #[arg(long)]
    margin: Option<f64>,
    /// Excess below so many milliseconds is not material.
    #[arg(long)]
    floor_ms: Option<f64>,
    /// Only this service.
    #[arg(long)]
    service: Option<String>,
    /// Only this `deployment.environment.name`.
    #[arg(long)]
    env: Option<String>,
    /// The running server to ask.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// Form of the answer.
    #[arg(long, value_enum, default_value_t = BacktestFormat::Table)]
    format: BacktestFormat,
}

#[derive(Debug, Args)]
struct FolderArgs {
    /// The data folder; no server may use it at the time.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// Configuration of the server that writes to it, for a table in an object store.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct ExportArgs {
    #[command(flatten)]
    folder: FolderArgs,
    /// File to write; it must not be there yet.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Form of the file.
    #[arg(long, value_enum, default_value_t = ExportFormat::Otlp)]
    format: ExportFormat,
    /// Which spans, as in a WHERE of SQL: \"service_name = 'cart' AND status_code = 2\". All when absent.
    #[arg(long = "where", value_name = "CONDITION")]
    filter: Option<String>,
}

/// Form of exported spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ExportFormat {
    /// Export requests in protobuf, each after its length in four bytes, as the OpenTelemetry Collector's file exporter writes.
    Otlp,
    /// One Parquet file with the columns of the span table.
    Parquet,
}

#[derive(Debug, Args)]
struct ConfigArgs {
    #[command(subcommand)]
    action: ConfigAction,
}

#[derive(Debug, Subcommand)]
enum ConfigAction {
    /// Show the configuration in force: defaults, file, environment and flags together.
    Print(ConfigSource),
    /// Name every problem of the configuration; the exit code is 0 when there is none.
    Check(ConfigSource),
    /// Show every key with its explanation and default, ready to be edited.
    Example,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve(args) => cli::serve(args),
        Command::Demo(args) => cli::demo(args),
        Command::Query(args) => cli::query(args),
        Command::Verdict(args) => cli::verdict(args),
        Command::Backtest(action) => cli::backtest(action),
        Command::Inspect(args) => cli::inspect(args),
        Command::Verify(args) => cli::verify(args),
        Command::Repair(args) => cli::repair(args),
        Command::Export(args) => cli::export(args),
        Command::Config(args) => cli::config_command(args),
    };
    outcome.unwrap_or_else(|failure| cli::report(&failure))
}

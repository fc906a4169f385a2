//! `cargo bench -p daytwo-bench-ingest --bench upkeep [-- --spans N --log-minutes N]`: what flush, index and compaction cost
//! together, how much is rewritten, and how long a folder with a month of commits takes to open.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use daytwo_bench_ingest::{BenchError, RECEIVED, Requests, frame, to_arrow};
use daytwo_collector::OtlpReplay;
use daytwo_storage::testing::{ManualClock, log_of};
use daytwo_storage::{StorageConfig, Store};
use daytwo_traffic::cpu;

const BATCH: usize = 512;
/// Spans per flush: 50, 500, 2,700 and 10,000 spans a second at a flush each 10 s.
const PER_FLUSH: [u64; 4] = [512, 5_120, 27_136, 100_352];
/// Row groups under this are encoded again: none, the default, twice and eight times it.
const KEEP_ROWS: [u64; 4] = [0, 16 << 10, 32 << 10, 128 << 10];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |name: &str, default: u64| {
        let at = arguments.iter().position(|argument| argument == name);
        at.and_then(|at| arguments.get(at + 1)?.parse().ok()).unwrap_or(default)
    };
    match run(number("--spans", 400_000), number("--log-minutes", 43_200)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // There is nowhere left to say that standard error is closed.
            writeln!(io::stderr().lock(), "upkeep: {error}").ok();
            ExitCode::FAILURE
        }
    }
}

fn run(spans: u64, minutes: u64) -> Result<(), BenchError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|source| BenchError::Io { action: "start a runtime", source })?;
    runtime.block_on(open_a_month(minutes))?;
    let mut out = io::stdout().lock();
    let failed = |source| BenchError::Io { action: "write to standard output", source };
    writeln!(
        out,
        "\n{:>10} {:>9} {:>8} {:>8} {:>8} {:>8} {:>7} {:>7} {:>8} {:>8} {:>8}",
        "per flush",
        "keep rows",
        "flush",
        "compact",
        "together",
        "written",
        "files",
        "after",
        "B/span",
        "after",
        "indexes"
    )
    .map_err(failed)?;
    for per_flush in PER_FLUSH {
        // Few spans a flush stand for little traffic: an hour of it is 360 flushes.
        let requests = Requests::of_corpus(spans.min(per_flush * 360), BATCH);
        for keep_rows in KEEP_ROWS {
            let cost = runtime.block_on(an_hour(&requests, per_flush, keep_rows))?;
            writeln!(out, "{per_flush:>10} {keep_rows:>9} {cost}").map_err(failed)?;
        }
    }
    Ok(())
}

async fn an_hour(requests: &Requests, per_flush: u64, keep_rows: u64) -> Result<String, BenchError> {
    let folder = tempfile::tempdir().map_err(|source| BenchError::Io { action: "make a folder", source })?;
    let config = StorageConfig {
        data_dir: folder.path().join("data"),
        flush_interval: Duration::from_secs(3600),
        compaction_keep_rows: keep_rows,
        // Merges are asked for, so that their cost is known.
        upkeep_interval: Duration::ZERO,
        scrub_bytes_per_second: 0,
        ..StorageConfig::default()
    };
    let clock = Arc::new(ManualClock::at(RECEIVED));
    let store =
        Store::open(config, Arc::clone(&clock) as Arc<dyn daytwo_storage::Clock>, Arc::new(OtlpReplay::default()))
            .await?;
    let (mut flush, mut compact) = (Duration::ZERO, Duration::ZERO);
    let (mut spans, mut waiting, mut flushes) = (0_u64, 0, 0);
    for body in &requests.bodies {
        let batch = to_arrow(body)?;
        waiting += batch.len() as u64;
        store.append(frame(body), batch).await?;
        if waiting >= per_flush {
            let before = cpu::own();
            store.flush().await?;
            let between = cpu::own();
            store.compact().await?;
            flush += between.saturating_sub(before);
            compact += cpu::own().saturating_sub(between);
            (spans, waiting, flushes) = (spans + waiting, 0, flushes + 1);
        }
    }
    clock.advance(Duration::from_secs(2 * 3600));
    let before = cpu::own();
    store.compact().await?;
    compact += cpu::own().saturating_sub(before);
    let status = store.status();
    let merges = status.compaction;
    let flushed = status.file_bytes + merges.bytes_in - merges.bytes_out;
    let snapshot = store.snapshot();
    let indexes: u64 = snapshot.files.iter().filter_map(|file| snapshot.indexes.size_of(&file.path)).sum();
    store.close().await?;
    let per_million = |time: Duration| time.as_secs_f64() * 1e6 / per(spans, 1);
    Ok(format!(
        "{:>8.2} {:>8.2} {:>8.2} {:>7.2}x {flushes:>7} {:>7} {:>8.1} {:>8.1} {:>8.1}",
        per_million(flush),
        per_million(compact),
        per_million(flush + compact),
        per(flushed + merges.bytes_out, flushed),
        status.files,
        per(flushed, spans),
        per(status.file_bytes, spans),
        per(indexes, spans),
    ))
}

async fn open_a_month(minutes: u64) -> Result<(), BenchError> {
    let folder = tempfile::tempdir().map_err(|source| BenchError::Io { action: "make a folder", source })?;
    let data_dir = folder.path().join("data");
    let clock: Arc<dyn daytwo_storage::Clock> = Arc::new(ManualClock::at(RECEIVED));
    let commits = log_of(&data_dir, clock.as_ref(), minutes).await?;
    let config = StorageConfig { data_dir, scrub_bytes_per_second: 0, ..StorageConfig::default() };
    let mut fastest = Duration::MAX;
    for _ in 0..3 {
        let began = Instant::now();
        let store = Store::open(config.clone(), Arc::clone(&clock), Arc::new(OtlpReplay::default())).await?;
        fastest = fastest.min(began.elapsed());
        store.close().await?;
        drop(store);
        // The folder is free once the last task of the store is gone.
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let failed = |source| BenchError::Io { action: "write to standard output", source };
    writeln!(io::stdout().lock(), "a log of {commits} commits opens in {} ms", fastest.as_millis()).map_err(failed)
}

#[expect(clippy::cast_precision_loss, reason = "counts of a bench stay far below 2^53")]
fn per(number: u64, of: u64) -> f64 {
    number as f64 / of.max(1) as f64
}

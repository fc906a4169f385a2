//! `cargo bench -p daytwo-bench-ingest [-- --spans N --runs N]`: a table of what each stage of ingestion costs;
//! `-- --decode [--spans N --runs N]`: our decoder against prost's, in turns; `-- --replay --spans N`: how long a start takes after a crash.

use std::io::{self, Write};
use std::process::ExitCode;

use daytwo_bench_ingest::{BATCHES, BenchError, Measured, Requests, Stage, decoders, measure, replay};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |name: &str, default: u64| {
        let at = arguments.iter().position(|argument| argument == name);
        at.and_then(|at| arguments.get(at + 1)?.parse().ok()).unwrap_or(default)
    };
    let spans = number("--spans", 400_000);
    let asked = |name: &str| arguments.iter().any(|argument| argument == name);
    let printed = if asked("--replay") {
        print_replay(spans)
    } else if asked("--decode") {
        decoders::print(spans, number("--runs", 21))
    } else {
        print_tables(spans, number("--runs", 3).max(1))
    };
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // There is nowhere left to say that standard error is closed.
            writeln!(io::stderr().lock(), "ingest: {error}").ok();
            ExitCode::FAILURE
        }
    }
}

fn print_replay(spans: u64) -> Result<(), BenchError> {
    let replayed = replay(&Requests::of_corpus(spans, BATCHES[0]))?;
    let (seconds, gib) = (replayed.ready.as_secs_f64(), per(replayed.wal_bytes, 1 << 30));
    writeln!(
        io::stdout().lock(),
        "{} spans, {gib:.2} GiB of requests: ready in {seconds:.2} s, {:.1} s per GiB",
        replayed.spans,
        seconds / gib
    )
    .map_err(|source| BenchError::Io { action: "write to standard output", source })
}

fn print_tables(spans: u64, runs: u64) -> Result<(), BenchError> {
    for batch in BATCHES {
        let requests = Requests::of_corpus(spans, batch);
        let mut rows = Vec::new();
        for stage in Stage::ALL {
            rows.push((stage, best_of(runs, stage, &requests)?));
        }
        write_table(batch, &requests, &rows)
            .map_err(|source| BenchError::Io { action: "write to standard output", source })?;
    }
    Ok(())
}

/// The run that used the least CPU time: what other work on the machine added is noise.
fn best_of(runs: u64, stage: Stage, requests: &Requests) -> Result<Measured, BenchError> {
    let mut best = measure(stage, requests)?;
    for _ in 1..runs {
        let again = measure(stage, requests)?;
        if again.cpu < best.cpu {
            best = again;
        }
    }
    Ok(best)
}

fn write_table(batch: usize, requests: &Requests, rows: &[(Stage, Measured)]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let body = per(requests.bytes, requests.spans);
    writeln!(out, "\n{} spans in requests of {batch}, {body:.0} OTLP bytes a span", requests.spans)?;
    writeln!(
        out,
        "{:<48} {:>14} {:>14} {:>10} {:>9} {:>10} {:>9}",
        "stage", "CPU s/M spans", "spans/CPU s", "MiB/CPU s", "x prost", "x ceiling", "B/span"
    )?;
    let cost =
        |stage: Stage| rows.iter().find(|(other, _)| *other == stage).map_or(f64::NAN, |row| row.1.cpu_per_million());
    for (stage, measured) in rows {
        let cpu = measured.cpu_per_million();
        let mib = 1e6 / cpu * body / 1_048_576.0;
        writeln!(
            out,
            "{:<48} {cpu:>14.3} {:>14.0} {mib:>10.1} {:>9.2} {:>10.2} {:>9.1}",
            stage.title(),
            1e6 / cpu,
            cost(Stage::Prost) / cpu,
            cost(Stage::Parquet) / cpu,
            per(measured.written_bytes, measured.spans),
        )?;
        if *stage == Stage::Store {
            let wall = per(measured.spans, 1) / measured.wall.as_secs_f64().max(1e-9);
            writeln!(out, "{:<48} {wall:>14.0} spans/s on the wall", "")?;
        }
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "counts of a bench stay far below 2^53")]
fn per(number: u64, of: u64) -> f64 {
    number as f64 / of.max(1) as f64
}

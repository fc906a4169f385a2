//! `cargo bench -p daytwo-bench-ingest --bench allocations`: how often the generated decoder and ours allocate.
//!
//! Counts, not times: they are the same on any machine and in any profile.

use std::io::{self, Write};
use std::process::ExitCode;

use allocation_counter::AllocationInfo;
use daytwo_bench_ingest::{BenchError, Requests, Stage, measure};

/// Spans of the smaller and the larger request: what both need, a request needs; what only the larger one needs, spans need.
const BATCHES: [usize; 2] = [512, 8_192];

fn main() -> ExitCode {
    match write_table() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // There is nowhere left to say that standard error is closed.
            writeln!(io::stderr().lock(), "allocations: {error}").ok();
            ExitCode::FAILURE
        }
    }
}

fn write_table() -> Result<(), BenchError> {
    let requests = BATCHES.map(|batch| Requests::of_corpus(1, batch));
    let printed = |source| BenchError::Io { action: "write to standard output", source };
    let mut out = io::stdout().lock();
    let [small, large] = BATCHES;
    writeln!(
        out,
        "{:<24} {:>12} {:>12} {:>22} {:>16}",
        "allocations in a request",
        format!("of {small}"),
        format!("of {large}"),
        "for each further span",
        "bytes per span"
    )
    .map_err(printed)?;
    for stage in [Stage::Prost, Stage::Arrow] {
        let [small, large] = [counted(stage, &requests[0])?, counted(stage, &requests[1])?];
        let further = requests[1].spans - requests[0].spans;
        writeln!(
            out,
            "{:<24} {:>12} {:>12} {:>22.4} {:>16.0}",
            stage.title(),
            small.count_total,
            large.count_total,
            per(large.count_total - small.count_total, further),
            per(large.bytes_total, requests[1].spans)
        )
        .map_err(printed)?;
    }
    Ok(())
}

/// What a stage allocates for the first request. What is made once for the process does not count.
fn counted(stage: Stage, requests: &Requests) -> Result<AllocationInfo, BenchError> {
    measure(stage, requests)?;
    let mut result = Ok(());
    let info = allocation_counter::measure(|| result = measure(stage, requests).map(drop));
    result.map(|()| info)
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn per(total: u64, spans: u64) -> f64 {
    total as f64 / spans as f64
}

//! `cargo bench -p daytwo-bench-ingest --bench decoders`: as `--bench ingest -- --decode`, with the server's allocator instead of the
//! system's. It frees a generated decoder's many small blocks much faster, so prost gains most by it.

use std::io::{self, Write};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SPANS: u64 = 400_000;
const RUNS: u64 = 21;

fn main() -> ExitCode {
    match daytwo_bench_ingest::decoders::print(SPANS, RUNS) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // There is nowhere left to say that standard error is closed.
            writeln!(io::stderr().lock(), "decoders: {error}").ok();
            ExitCode::FAILURE
        }
    }
}

//! Our decoder against prost's, in turns: whatever else the machine does meanwhile, both of a pair meet it.

use std::io::{self, Write};

use crate::{BATCHES, BenchError, Requests, Stage, measure};

/// CPU seconds per million spans of the two.
#[derive(Debug, Clone, Copy)]
struct Pair {
    prost: f64,
    ours: f64,
}

impl Pair {
    fn of(requests: &Requests) -> Result<Self, BenchError> {
        let cost = |stage| measure(stage, requests).map(|measured| measured.cpu_per_million());
        Ok(Self { prost: cost(Stage::Prost)?, ours: cost(Stage::Arrow)? })
    }

    fn times(&self) -> f64 {
        self.prost / self.ours
    }
}

/// Measures `runs` pairs over `spans` spans for each size of request and prints the median.
///
/// # Errors
/// What kept a decoder from its work, or the table from being printed.
pub fn print(spans: u64, runs: u64) -> Result<(), BenchError> {
    for batch in BATCHES {
        let requests = Requests::of_corpus(spans, batch);
        let pairs = (0..runs.max(1)).map(|_| Pair::of(&requests));
        let mut pairs = pairs.collect::<Result<Vec<Pair>, BenchError>>()?;
        pairs.sort_by(|one, other| one.times().total_cmp(&other.times()));
        write(batch, &requests, &pairs)
            .map_err(|source| BenchError::Io { action: "write to standard output", source })?;
    }
    Ok(())
}

fn write(batch: usize, requests: &Requests, pairs: &[Pair]) -> io::Result<()> {
    let [Some(least), Some(middle), Some(most)] = [pairs.first(), pairs.get(pairs.len() / 2), pairs.last()] else {
        return Ok(());
    };
    writeln!(
        io::stdout().lock(),
        "{} spans in requests of {batch}: {:.2} x prost (median of {}; {:.2} to {:.2}), {:.3} against {:.3} CPU s per million spans",
        requests.spans,
        middle.times(),
        pairs.len(),
        least.times(),
        most.times(),
        middle.ours,
        middle.prost,
    )
}

//! How right verdicts are, measured: labelled faults, equal versions, slowdowns of known size. See README.md.

mod aa;
mod baselines;
mod dataset;
mod deploy;
mod power;
mod rca;
mod sensitivity;
mod shop;
mod through;

use std::io::Write;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use daytwo_query::EngineConfig;
use daytwo_query::verdict::VerdictConfig;

use dataset::Folder;
use through::{Release, Released};

/// Why a measurement could not be made.
pub(crate) type Failure = Box<dyn std::error::Error>;

#[derive(Debug, Parser)]
#[command(about = "How right verdicts are")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Labelled faults as deployments: recall, precision, localisation, class, time to detect.
    Rca {
        /// Folder with cases.jsonl and a Parquet file per set.
        folder: PathBuf,
        /// Send the cases as OTLP through the collector's decoder and the engine, all services released at once.
        #[arg(long)]
        through_collector: bool,
        /// With that, release the faulty service and so many seeded innocents only.
        #[arg(long, requires = "through_collector")]
        decoys: Option<usize>,
        /// With that, declare the released versions, as a delivery pipeline does by `POST /api/v1/deployments`.
        #[arg(long, requires = "through_collector")]
        declared: bool,
        /// Say what was decided in every case.
        #[arg(long)]
        verbose: bool,
    },
    /// What other numbers in the rule would do to the labelled faults.
    Sensitivity {
        /// Folder with cases.jsonl and a Parquet file per set.
        folder: PathBuf,
    },
    /// Equal versions: how often one is called worse.
    Aa {
        /// Folder with cases.jsonl and a Parquet file per set; synthetic traffic alone without it.
        folder: Option<PathBuf>,
        /// Synthetic deployments.
        #[arg(long, default_value_t = 100)]
        runs: u64,
    },
    /// Slowdowns of known size at the promised number of traces.
    Power {
        /// Deployments of each size.
        #[arg(long, default_value_t = 100)]
        runs: u64,
        /// Leave out sizes with more traces a cohort: the largest take most of the time.
        #[arg(long, default_value_t = u64::MAX)]
        traces_max: u64,
    },
    /// The mix of requests shifts by ten points, nothing is slower.
    Mix {
        /// Deployments of each size.
        #[arg(long, default_value_t = 100)]
        runs: u64,
    },
    /// One percentage point more errors.
    Errors {
        /// Deployments of each size.
        #[arg(long, default_value_t = 100)]
        runs: u64,
    },
}

fn labelled(folder: &Folder, through: Option<Release>, verbose: bool) -> Result<String, Failure> {
    let mut said = String::new();
    if let Some(release) = through {
        let scores = through::measure(folder, release, &EngineConfig::default(), &mut said)?;
        return Ok(if verbose { said } else { String::new() } + &rca::report(&scores, folder.unusable));
    }
    let scores = rca::measure(folder, &VerdictConfig::default(), verbose.then_some(&mut said), true)?;
    Ok(said + &rca::report(&scores, folder.unusable))
}

fn main() -> Result<(), Failure> {
    let rule = VerdictConfig::default();
    let text = match Arguments::parse().command {
        Command::Rca { folder, through_collector, decoys, declared, verbose } => {
            let released = decoys.map_or(Released::All, Released::WithDecoys);
            let release = through_collector.then_some(Release { released, declared });
            labelled(&Folder::open(&folder)?, release, verbose)?
        }
        Command::Sensitivity { folder } => sensitivity::report(&Folder::open(&folder)?)?,
        Command::Aa { folder, runs } => {
            let folder = folder.map(|folder| Folder::open(&folder)).transpose()?;
            aa::report(folder.as_ref(), runs, &rule)?
        }
        Command::Power { runs, traces_max } => power::slowdowns(runs, traces_max, &rule)?,
        Command::Mix { runs } => power::mix(runs, &rule)?,
        Command::Errors { runs } => power::errors(runs, &rule)?,
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(())
}

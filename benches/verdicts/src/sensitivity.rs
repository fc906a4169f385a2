//! What other numbers in the rule would do to the labelled faults.

use std::time::Duration;

use daytwo_query::verdict::VerdictConfig;

use crate::Failure;
use crate::dataset::Folder;
use crate::rca;

/// The rule's numbers, one changed at a time.
fn variants() -> Vec<(&'static str, VerdictConfig)> {
    let plain = VerdictConfig::default;
    vec![
        ("as shipped", plain()),
        ("alpha 0.05", VerdictConfig { alpha: 0.05, ..plain() }),
        ("alpha 0.0005", VerdictConfig { alpha: 0.0005, ..plain() }),
        ("material 2 %", VerdictConfig { material: 0.02, ..plain() }),
        ("material 10 %", VerdictConfig { material: 0.10, ..plain() }),
        ("material 20 %", VerdictConfig { material: 0.20, ..plain() }),
        ("excess floor 0.1 ms", VerdictConfig { excess_floor: Duration::from_micros(100), ..plain() }),
        ("excess floor 1 ms", VerdictConfig { excess_floor: Duration::from_millis(1), ..plain() }),
        ("excess floor 0.2 % of the journey", VerdictConfig { excess_floor_share: 0.002, ..plain() }),
        ("excess floor 5 % of the journey", VerdictConfig { excess_floor_share: 0.05, ..plain() }),
        ("20 traces a cohort and journey", VerdictConfig { traces_min: 20, stratum_min: 20, ..plain() }),
        ("50 traces a cohort, 20 a journey", VerdictConfig { traces_min: 50, stratum_min: 20, ..plain() }),
        ("ranked from 2 traces", VerdictConfig { ranked_min: 2, ..plain() }),
        ("ranked from 5 traces", VerdictConfig { ranked_min: 5, ..plain() }),
        ("ranked from 10 traces", VerdictConfig { ranked_min: 10, ..plain() }),
        ("planned for 300 traces", VerdictConfig { planned_traces: Some(300), ..plain() }),
        ("planned for 3,000 traces", VerdictConfig { planned_traces: Some(3_000), ..plain() }),
    ]
}

/// The table.
pub(crate) fn report(folder: &Folder) -> Result<String, Failure> {
    let mut out =
        "| the rule | AS@1 resource | named resource | AS@1 all | precision | innocents in fault-free windows |\n\
                   |---|---|---|---|---|---|\n"
            .to_owned();
    for (name, config) in variants() {
        let scores = rca::measure(folder, &config, None, false)?;
        out.push_str(&format!("| {name} | {} |\n", rca::summary(&scores)));
    }
    Ok(out)
}

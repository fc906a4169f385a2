//! Known effects: are they found at the promised number of traces, and is the right service named?
//!
//! For how many traces the test is tuned is nobody's choice here: the old version answers all traffic, at the rate of the simulation, before the
//! new one comes, and its traces are counted as the engine counts them.

use std::fmt::Write as _;

use daytwo_query::verdict::{Class, State, Verdict, VerdictConfig};

use crate::Failure;
use crate::deploy::Deployment;
use crate::rca::share;
use crate::shop::{ANCESTORS, CULPRIT, Effect, NONE, START, Shop};

/// Standard deviation of the logarithm of own times.
const SIGMA: f64 = 0.3;
/// Seconds that a simulated canary takes.
const SECONDS: i64 = 600;
/// Seconds of the old version's traffic before it.
const PAST_SECONDS: i64 = 3_600;
/// Rows with more traces a cohort have a fifth of the runs, ...
const MANY: u64 = 20_000;
/// ... and those with more than this a tenth.
const VERY_MANY: u64 = 100_000;

/// Traces in each cohort for a shift of the mean logarithm: alpha 0.001 one-sided, power 0.8, times 1.6 for looking at any time.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive count")]
fn traces_for(shift: f64) -> u64 {
    let fixed = 2.0 * (3.09_f64 + 0.84).powi(2) * (std::f64::consts::PI / 3.0) * (SIGMA / shift).powi(2);
    (1.6 * fixed).ceil() as u64
}

/// When the traces of the past start, at `step` nanoseconds from each other.
fn past(step: i64) -> impl Iterator<Item = i64> {
    (1..).map(move |number| START - step * number).take_while(|start| *start >= START - PAST_SECONDS * 1_000_000_000)
}

/// A canary with half of `2 n` traces.
fn canary(seed: u64, per_arm: u64, [old, new]: [&Effect; 2], config: &VerdictConfig) -> Verdict {
    let mut shop = Shop::new(seed, SIGMA);
    let mut deployment = Deployment::new(CULPRIT, START, config);
    let total = i64::try_from(2 * per_arm).unwrap_or(i64::MAX).max(1);
    let step = SECONDS * 1_000_000_000 / total;
    deployment.preceded_by(past(step));
    for number in 0..total {
        let at = START + step * number;
        let through_new = shop.uniform() < 0.5;
        if let Some(record) = shop.trace(at, if through_new { new } else { old }) {
            deployment.add(&record, through_new);
        }
    }
    deployment.judge(START + SECONDS * 1_000_000_000)
}

#[derive(Debug, Default)]
struct Found {
    runs: usize,
    planned: u64,
    failed: usize,
    culprit_first: usize,
    ancestors: usize,
}

impl Found {
    fn add(&mut self, verdict: &Verdict) {
        self.runs += 1;
        self.planned = verdict.planned_traces;
        let failed = verdict.state == State::Fail;
        self.failed += usize::from(failed);
        let first = verdict.suspects.first().is_some_and(|suspect| suspect.service == CULPRIT);
        self.culprit_first += usize::from(failed && first);
        let blamed = |class: Option<Class>| matches!(class, Some(Class::Own | Class::Edge));
        let flagged = |name: &str| verdict.affected.iter().any(|row| row.service == name && blamed(row.class));
        self.ancestors += usize::from(ANCESTORS.iter().any(|name| flagged(name)));
    }
}

/// Fewer runs where one takes long.
fn runs_of(per_arm: u64, runs: u64) -> u64 {
    match per_arm {
        0..MANY => runs,
        MANY..VERY_MANY => runs.div_ceil(5),
        _ => runs.div_ceil(10),
    }
}

/// Slowdowns of one operation, at the sizes promised for them that have at most so many traces a cohort.
pub(crate) fn slowdowns(runs: u64, traces_max: u64, config: &VerdictConfig) -> Result<String, Failure> {
    let mut out = String::new();
    writeln!(
        out,
        "| charge slower by | in traces | traces a cohort | planned for | FAIL | culprit first | ancestors blamed |\n|---|---|---|---|---|---|---|"
    )?;
    for factor in [1.05, 1.10, 1.20] {
        for part in [1.0, 0.5, 0.1] {
            let per_arm = traces_for(part * f64::ln(factor));
            if per_arm > traces_max {
                continue;
            }
            // Effects under the floors are no regressions whatever is shown, so this measures the test without them.
            let excess_floor = std::time::Duration::ZERO;
            let config = VerdictConfig { material: 0.0, excess_floor, excess_floor_share: 0.0, ..config.clone() };
            let old = Effect { purchases: 1.0, ..NONE };
            let new = Effect { factor, share: part, ..old };
            let mut found = Found::default();
            (0..runs_of(per_arm, runs)).for_each(|seed| found.add(&canary(seed, per_arm, [&old, &new], &config)));
            writeln!(
                out,
                "| {:.0} % | {:.0} % | {per_arm} | {} | {} | {} | {} |",
                (factor - 1.0) * 100.0,
                part * 100.0,
                found.planned,
                share(found.failed, found.runs),
                share(found.culprit_first, found.failed),
                share(found.ancestors, found.runs),
            )?;
        }
    }
    Ok(out)
}

/// A shift of the mix by ten points, nothing slower.
pub(crate) fn mix(runs: u64, config: &VerdictConfig) -> Result<String, Failure> {
    let mut out = String::new();
    writeln!(out, "| purchases, old to new | traces a cohort | FAIL | any claim |\n|---|---|---|---|")?;
    for (purchases, per_arm) in [(0.6, 1_000), (0.6, 5_000), (0.9, 5_000)] {
        let effect = Effect { purchases, ..NONE };
        let runs = if per_arm > 1_000 { runs.div_ceil(4) } else { runs };
        let verdicts: Vec<Verdict> = (0..runs).map(|seed| canary(seed, per_arm, [&NONE, &effect], config)).collect();
        let failed = verdicts.iter().filter(|verdict| verdict.state == State::Fail).count();
        let claimed = verdicts.iter().filter(|verdict| verdict.class.is_some()).count();
        writeln!(
            out,
            "| 50 % to {:.0} % | {per_arm} | {} | {} |",
            purchases * 100.0,
            share(failed, verdicts.len()),
            share(claimed, verdicts.len())
        )?;
    }
    Ok(out)
}

/// One percentage point more errors, at the size promised for it.
pub(crate) fn errors(runs: u64, config: &VerdictConfig) -> Result<String, Failure> {
    let mut out = String::new();
    writeln!(out, "| errors, old to new | traces a cohort | FAIL |\n|---|---|---|")?;
    for (errors, per_arm) in [(0.02, 4_567), (0.03, 1_600), (0.01, 4_567)] {
        let effect = Effect { errors, ..NONE };
        let failed = |seed: u64| canary(seed, per_arm * 8 / 5, [&NONE, &effect], config).state == State::Fail;
        let runs = runs.div_ceil(2);
        let found = (0..runs).filter(|seed| failed(*seed)).count();
        let runs = usize::try_from(runs).unwrap_or(usize::MAX);
        writeln!(out, "| 1 % to {:.0} % | {} | {} |", errors * 100.0, per_arm * 8 / 5, share(found, runs))?;
    }
    Ok(out)
}

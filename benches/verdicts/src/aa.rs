//! Equal versions: how often is one called worse?

use std::fmt::Write as _;

use daytwo_query::measure::TraceRecord;
use daytwo_query::verdict::{State, VerdictConfig};

use crate::Failure;
use crate::dataset::{Folder, Window, within};
use crate::deploy::{Deployment, before_after, names_it, records, services};
use crate::rca::share;
use crate::shop::{CULPRIT, NONE, START, Shop};

const SECOND: i64 = 1_000_000_000;

/// Windows, those with a FAIL, and those with any service named.
#[derive(Debug, Clone, Copy, Default)]
struct Alarms {
    windows: usize,
    failed: usize,
    named: usize,
}

impl Alarms {
    fn row(self, name: &str, limit: &str) -> String {
        format!(
            "| {name} | {} | {} | {} | {limit} |\n",
            self.windows,
            share(self.failed, self.windows),
            share(self.named, self.windows)
        )
    }
}

/// A number that looks random and is the trace's own.
fn coin(record: &TraceRecord, seed: u64) -> bool {
    let bytes = record
        .trace_id
        .as_bytes()
        .iter()
        .fold(seed, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3).rotate_left(17));
    bytes.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 63 == 1
}

/// Every service of a window as a canary with half of the traces; a window alarms when any does.
fn split(records: &[TraceRecord], window: Window, seed: u64, config: &VerdictConfig, alarms: &mut Alarms) {
    let verdicts = services(records).into_iter().map(|service| {
        let mut deployment = Deployment::new(&service, window.0, config);
        records.iter().for_each(|record| deployment.add(record, coin(record, seed)));
        deployment.judge(window.1)
    });
    let verdicts: Vec<_> = verdicts.collect();
    alarms.windows += 1;
    alarms.failed += usize::from(verdicts.iter().any(|verdict| verdict.state == State::Fail));
    alarms.named += usize::from(verdicts.iter().any(names_it));
}

/// Concurrent splits, and neighbouring parts, of the fault-free windows of a folder.
fn of_folder(folder: &Folder, seeds: u64, config: &VerdictConfig, out: &mut String) -> Result<(), Failure> {
    for set in folder.sets() {
        let traces = folder.traces(set)?;
        let mut windows: Vec<Window> =
            folder.cases.iter().filter(|case| case.set == set).map(|case| case.before).collect();
        let quiet = folder.cases.iter().filter(|case| case.set == set && case.culprit.is_none());
        windows.extend(quiet.map(|case| case.after));
        windows.sort_unstable();
        windows.dedup();
        let (mut concurrent, mut sequential) = (Alarms::default(), Alarms::default());
        for window in windows {
            let records = records(within(&traces, window).iter().map(|(_, spans)| spans.as_slice()));
            (0..seeds).for_each(|seed| split(&records, window, seed, config, &mut concurrent));
            let middle = window.0 + (window.1 - window.0) * 5 / 8;
            let (before, after) = ((window.0, middle), (middle, window.1));
            let verdict = |service: &str| before_after(&records, service, before, after, config);
            let verdicts: Vec<_> = services(&records).iter().map(|service| verdict(service)).collect();
            sequential.windows += 1;
            sequential.failed += usize::from(verdicts.iter().any(|verdict| verdict.state == State::Fail));
            sequential.named += usize::from(verdicts.iter().any(names_it));
        }
        out.push_str(&concurrent.row(&format!("{set}, concurrent split, all services"), "1 %"));
        out.push_str(&sequential.row(&format!("{set}, before/after, all services"), "5 %"));
    }
    Ok(())
}

/// Synthetic deployments without any effect, looked at every 10 s.
fn synthetic(runs: u64, seconds: i64, per_second: i64, canary: bool, config: &VerdictConfig) -> Alarms {
    let mut alarms = Alarms::default();
    for seed in 0..runs {
        let mut shop = Shop::new(seed, 0.4);
        let came = if canary { START } else { START + seconds * SECOND / 2 };
        let mut deployment = Deployment::new(CULPRIT, came, config);
        // What answered before a canary came; before/after has its past in the traces themselves.
        let past = (1..=3_600 * per_second).map(|number| START - number * SECOND / per_second);
        deployment.preceded_by(past.filter(|_| canary));
        let (mut failed, mut named) = (false, false);
        for look in 0..seconds / 10 {
            for number in 0..10 * per_second {
                let at = START + look * 10 * SECOND + number * SECOND / per_second;
                let new = if canary { shop.uniform() < 0.5 } else { at >= came };
                if let Some(record) = shop.trace(at, &NONE) {
                    deployment.add(&record, new);
                }
            }
            let now = START + (look + 1) * 10 * SECOND;
            if now > came {
                let verdict = deployment.judge(now);
                failed |= verdict.state == State::Fail;
                named |= names_it(&verdict);
            }
        }
        alarms.windows += 1;
        alarms.failed += usize::from(failed);
        alarms.named += usize::from(named);
    }
    alarms
}

/// The table.
pub(crate) fn report(folder: Option<&Folder>, runs: u64, config: &VerdictConfig) -> Result<String, Failure> {
    let mut out = String::new();
    writeln!(
        out,
        "| equal versions | windows | with a FAIL | with any FAIL or WARN | FAIL allowed |\n|---|---|---|---|---|"
    )?;
    let limit = format!("{} %", config.alpha * 100.0);
    out.push_str(
        &synthetic(runs, 3_600, 2, true, config).row("synthetic canary, looked at every 10 s for 60 min", &limit),
    );
    let busy = synthetic(runs, 3_600, 40, true, config);
    out.push_str(&busy.row("the same, busy: planned for 32,000 traces a cohort", &limit));
    out.push_str(&synthetic(runs, 900, 4, false, config).row("synthetic before/after, looked at every 10 s", "5 %"));
    if let Some(folder) = folder {
        of_folder(folder, 10, config, &mut out)?;
    }
    Ok(out)
}

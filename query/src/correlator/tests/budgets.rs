//! Budgets and cells over restarts, crashes and rebuilds: the counts of a naive ledger, whatever happens in between.

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use daytwo_storage::testing::{SeededReplay, by_hand};
use daytwo_storage::{Document, DocumentFolder, Frame, PayloadCompression, PayloadFormat, Store};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::slo::SloReport;

/// A store and, over it, one engine after the other.
struct Machine {
    folder: TempDir,
    clock: Arc<ManualClock>,
    store: Arc<Store>,
    good: u64,
    bad: u64,
}

/// An engine that follows the store.
struct Running {
    engine: Arc<Correlator>,
    cancel: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

async fn eventually(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..600 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not in time: {what}");
}

impl Machine {
    async fn new() -> Self {
        let (folder, clock) = (TempDir::new().unwrap(), Arc::new(ManualClock::at(UnixNanos(START))));
        let config = by_hand(folder.path().join("data"));
        let store = Store::open(config, Arc::clone(&clock) as Arc<dyn Clock>, Arc::new(SeededReplay)).await.unwrap();
        Self { folder, clock, store, good: 0, bad: 0 }
    }

    /// Calls of `shop`, each a trace: so many good and bad ones, received now, and seen by the engine.
    async fn send(&mut self, running: &Running, good: u64, bad: u64) {
        let seen = running.engine.status().observed_spans;
        let now = self.clock.now().0;
        let first = self.good + self.bad;
        let spans: Vec<Sent> = (0..good + bad)
            .map(|number| server(first + number + 1, "shop", "s1", now, if number < good { MS } else { 60 * MS }))
            .collect();
        let frame = Frame {
            payload: first.to_be_bytes().to_vec().into(),
            format: PayloadFormat::Protobuf,
            compression: PayloadCompression::None,
            request_hash: u128::from(first) + 1,
            received: UnixNanos(now),
            rejected: Vec::new(),
        };
        self.store.append(frame, batch(now, &spans)).await.unwrap();
        (self.good, self.bad) = (self.good + good, self.bad + bad);
        eventually("spans arrive", || running.engine.status().observed_spans == seen + good + bad).await;
    }

    async fn start(&self, slo: &str) -> Running {
        let engine = Correlator::new(EngineConfig::default(), Arc::clone(&self.clock) as Arc<dyn Clock>);
        let budgets = Document::in_folder(self.folder.path(), "budgets.json", 1 << 20);
        engine.keep_history_in(budgets, DocumentFolder::in_folder(self.folder.path(), "cells", 1 << 20)).unwrap();
        engine.set_slos(&[SloFile { name: "a.yaml".to_owned(), text: slo.to_owned() }]);
        let cancel = CancellationToken::new();
        let task = tokio::spawn(Arc::clone(&engine).run(Arc::clone(&self.store), cancel.clone()));
        let running = Running { engine, cancel, task };
        eventually("the engine has read what is stored", || running.engine.status().settled).await;
        running
    }

    /// Lets time pass, so that what was sent is measured.
    async fn settle(&self, running: &Running) {
        self.clock.advance(Duration::from_secs(20));
        let engine = &running.engine;
        eventually("traces are measured", || engine.status().open_traces == 0).await;
    }

    fn assert_counted(&self, running: &Running) {
        let slo = running.slo();
        assert_eq!((slo.good, slo.bad), (self.good, self.bad));
        let ever = TimeWindow { from: UnixNanos(0), to: UnixNanos(i64::MAX) };
        let calls = running.engine.sli_rows(ever).iter().map(|row| row.calls).sum::<u64>();
        assert_eq!(calls, self.good + self.bad, "cells");
        let slis = running.engine.table(EngineTable::Slis).unwrap();
        let spans = slis.column_by_name("spans").unwrap().as_primitive::<Int64Type>();
        assert_eq!(arrow::compute::sum(spans), i64::try_from(calls).ok(), "cells in SQL");
    }
}

impl Running {
    fn slo(&self) -> SloReport {
        self.engine.slos(None).slos.remove(0)
    }

    /// Stops as a server does.
    async fn stop(self) {
        self.cancel.cancel();
        self.task.await.unwrap();
    }

    /// Ends without a word, as by `kill -9`.
    async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

/// Scenario: three days of calls, with a stop at the end of the first, a crash on the second, and one a second after calls came; each start reads
/// one day of stored spans.
/// Guarantees: after every start budget and cells hold every call of all days once, in SQL too, and the bad traces are named.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn budgets_survive_stops_and_crashes() {
    let mut machine = Machine::new().await;
    let running = machine.start(SLO).await;
    machine.send(&running, 90, 10).await;
    machine.settle(&running).await;
    machine.assert_counted(&running);
    running.stop().await;
    machine.store.flush().await.unwrap();

    machine.clock.advance(Duration::from_secs(30 * 3_600));
    let running = machine.start(SLO).await;
    assert_eq!(running.engine.status().observed_spans, 0, "spans of the first day are not read again");
    machine.assert_counted(&running);
    machine.send(&running, 40, 5).await;
    machine.settle(&running).await;
    machine.clock.advance(Duration::from_secs(301));
    let kept = machine.folder.path().join("budgets.json");
    let before = std::fs::read(&kept).unwrap();
    eventually("budgets are written down", || std::fs::read(&kept).unwrap() != before).await;
    machine.send(&running, 7, 3).await;
    running.kill().await;

    machine.clock.advance(Duration::from_secs(1));
    let running = machine.start(SLO).await;
    machine.settle(&running).await;
    machine.assert_counted(&running);
    running.kill().await;
    machine.clock.advance(Duration::from_secs(20 * 3_600));
    let running = machine.start(SLO).await;
    machine.assert_counted(&running);
    let detail = running.engine.slo_detail("shop-ok").unwrap();
    assert_eq!(detail.bad_traces.len(), 18);
    running.stop().await;
    machine.store.close().await.unwrap();
}

/// Scenario: cells of a day are kept; one of the hours is damaged; then a month passes.
/// Guarantees: the start goes on without that hour, which is set aside, and has the others; what is older than cells are kept goes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_and_old_cells_go_alone() {
    let mut machine = Machine::new().await;
    let running = machine.start(SLO).await;
    for _ in 0..3 {
        machine.send(&running, 10, 0).await;
        machine.settle(&running).await;
        machine.clock.advance(Duration::from_secs(3_600));
    }
    running.stop().await;
    machine.store.flush().await.unwrap();
    let files = || {
        let mut files: Vec<_> =
            std::fs::read_dir(machine.folder.path().join("cells")).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        files
    };
    assert_eq!(files().len(), 3);
    let mut bytes = std::fs::read(&files()[1]).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&files()[1], bytes).unwrap();
    machine.clock.advance(Duration::from_secs(2 * 86_400));
    let running = machine.start(SLO).await;
    let ever = TimeWindow { from: UnixNanos(0), to: UnixNanos(i64::MAX) };
    assert_eq!(running.engine.sli_rows(ever).iter().map(|row| row.calls).sum::<u64>(), 20);
    assert!(files()[1].to_string_lossy().ends_with(".cells.damaged"), "{:?}", files());
    machine.clock.advance(Duration::from_secs(30 * 86_400));
    eventually("old hours go", || files().len() == 1).await;
    running.stop().await;
    machine.store.close().await.unwrap();
}

/// Scenario: the objective's target and name change, then its file goes and comes back a stop later; another one of the same calls is added.
/// Guarantees: what was counted stays counted, for both, although the stored spans that are read again are too few.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edited_objective_goes_on() {
    let mut machine = Machine::new().await;
    let running = machine.start(SLO).await;
    machine.send(&running, 90, 10).await;
    machine.settle(&running).await;
    machine.store.flush().await.unwrap();
    let edited = SLO.replace("target: 0.9", "target: 0.5").replace("shop-ok", "shop-fine");
    machine.clock.advance(Duration::from_secs(30 * 3_600));
    running.engine.set_slos(&[SloFile { name: "a.yaml".to_owned(), text: edited.clone() }]);
    machine.assert_counted(&running);
    assert!((running.slo().budget_left.unwrap() - 0.8).abs() < 1e-9);
    running.engine.set_slos(&[]);
    running.stop().await;
    let running = machine.start(&edited).await;
    machine.assert_counted(&running);
    let both = [SLO, &edited].map(|text| SloFile { name: format!("{}.yaml", text.len()), text: text.to_owned() });
    running.engine.set_slos(&both);
    let board = running.engine.slos(None).slos;
    assert_eq!(board.iter().map(|slo| (slo.good, slo.bad)).collect::<Vec<_>>(), [(90, 10); 2]);
    running.stop().await;
    machine.store.close().await.unwrap();
}

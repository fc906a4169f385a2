use std::time::Instant;

use daytwo_storage::Clock;
use daytwo_storage::testing::{ManualClock, SeededReplay, by_hand, seeded_frame};

use super::*;
use crate::slo::SloFile;
use crate::{EngineConfig, TimeWindow};

const RECEIVED: UnixNanos = UnixNanos(1_700_000_000_000_000_000);

const SLO: &str = "apiVersion: openslo/v1
kind: SLO
metadata: {name: cart-ok}
spec:
  indicator:
    spec:
      ratioMetric:
        good: {metricSource: {type: daytwo, spec: {signal: availability, service: cart}}}
        total: {metricSource: {type: daytwo, spec: {service: cart}}}
  timeWindow: [{duration: 28d, isRolling: true}]
  objectives: [{target: 0.9}]
";

async fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn append(store: &Store, seed: u64) {
    let (frame, batch) = seeded_frame(seed, 300, RECEIVED);
    store.append(frame, batch).await.unwrap();
}

/// Scenario: spans in a file, in the buffer and arriving while the engine runs; then an objective is added.
/// Guarantees: every span is measured once whichever way it came; the objective counts stored spans after a rebuild; nothing is settled
/// before objectives are known, nor until they have counted what is stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stored_and_arriving_spans_are_measured_once() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(RECEIVED));
    let shared: Arc<dyn Clock> = Arc::clone(&clock) as Arc<dyn Clock>;
    let config = by_hand(folder.path().to_owned());
    let store = Store::open(config, Arc::clone(&shared), Arc::new(SeededReplay)).await.unwrap();
    append(&store, 1).await;
    store.flush().await.unwrap();
    append(&store, 2).await;

    let engine = Correlator::new(EngineConfig::default(), shared);
    let cancel = CancellationToken::new();
    let running = tokio::spawn(Arc::clone(&engine).run(Arc::clone(&store), cancel.clone()));
    eventually("the rebuild ends", || engine.status().observed_spans == 600 && !engine.status().lagging).await;
    append(&store, 3).await;
    eventually("the tail is followed", || engine.status().observed_spans == 900).await;
    clock.advance(Duration::from_secs(20));
    eventually("traces close", || engine.status().open_traces == 0).await;
    let ever = TimeWindow { from: UnixNanos(0), to: UnixNanos(i64::MAX) };
    let calls = |engine: &Correlator| engine.sli_rows(ever).iter().map(|row| row.calls).sum::<u64>();
    let before = calls(&engine);
    assert!(before > 0 && before <= 900, "{before}");

    assert!(!engine.status().settled, "nobody has said which objectives there are");
    engine.set_slos(&[]);
    assert!(engine.status().settled);
    engine.set_slos(&[SloFile { name: "cart.yaml".to_owned(), text: SLO.to_owned() }]);
    let waiting = engine.status();
    assert!(!waiting.settled || waiting.rebuilds == 2, "{waiting:?}");
    eventually("the objective is rebuilt", || engine.status().rebuilds == 2 && !engine.status().lagging).await;
    eventually("traces close again", || engine.status().open_traces == 0 && calls(&engine) == before).await;
    let rows = engine.sli_rows(ever);
    let cart = rows.iter().filter(|row| &*row.key.service == "cart" && matches!(row.key.kind, 2 | 5));
    assert!(engine.status().settled);
    let slo = engine.slo_detail("cart-ok").unwrap().slo;
    assert_eq!(slo.total, cart.map(|row| row.calls).sum::<u64>());
    cancel.cancel();
    running.await.unwrap();
    store.close().await.unwrap();
}

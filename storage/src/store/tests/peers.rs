//! Bugs that other stores had, each as a test that would have caught it here.

use std::fs;
use std::sync::Arc;

use super::support::{Home, START, append, expected, found};
use crate::testing::{Faults, Operation, Seeded, seeded_frame};
use crate::wal::frame;
use crate::wal::segment::SegmentHeader;

/// Scenario: otel-arrow #1951 shipped a log that was written and never replayed. Here: requests, no flush, a restart.
/// Guarantees: all of them are there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_replayed() {
    let home = Home::new();
    let store = home.open().await;
    for seed in 0..300 {
        append(&store, seed, 1).await.unwrap();
    }
    drop(store);
    assert!(home.wal_files().len() > 2);
    let store = home.open().await;
    assert_eq!(found(&store.snapshot()), expected((0..300).map(|seed| (seed, 1))));
    assert!(store.snapshot().files.is_empty());
}

/// Scenario: Quiver #1954 stopped replay at the first invalid entry. Here: one frame in each of two segments is damaged.
/// Guarantees: every other request of these and of later segments is there, and each loss is named.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replay_goes_on_behind_an_invalid_entry() {
    let home = Home::new();
    let store = home.open().await;
    for seed in 0..300 {
        append(&store, seed, 1).await.unwrap();
    }
    drop(store);
    drop(home.open().await);
    for file in &home.wal_files()[..2] {
        let mut bytes = fs::read(file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
        fs::write(file, bytes).unwrap();
    }
    let snapshot = home.open().await.snapshot();
    let present = found(&snapshot);
    let all = expected((0..300).map(|seed| (seed, 1)));
    assert_eq!(present.len(), 298);
    assert!(present.iter().all(|(key, count)| all.get(key) == Some(count)));
    assert_eq!(snapshot.holes.len(), 2, "{:?}", snapshot.holes);
}

/// Scenario: Quiver #4137: segments whose removal a power cut took back were ingested again. Here: covered segments are removed, then
/// lie there again at the next start.
/// Guarantees: nothing is doubled, no gap between them is called a loss, and they are removed again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn segments_that_come_back_are_not_ingested_again() {
    let home = Home::new();
    let store = home.open().await;
    for seed in 0..300 {
        append(&store, seed, 1).await.unwrap();
    }
    store.flush().await.unwrap();
    let removed: Vec<_> = home.wal_files().into_iter().map(|path| (fs::read(&path).unwrap(), path)).collect();
    home.clock.advance(std::time::Duration::from_secs(601));
    super::support::eventually(|| home.wal_files().len() == 1).await;
    store.close().await.unwrap();
    drop(store);
    for (bytes, path) in removed[..removed.len() - 1].iter().step_by(2) {
        fs::write(path, bytes).unwrap();
    }
    let store = home.open().await;
    assert_eq!(found(&store.snapshot()), expected((0..300).map(|seed| (seed, 1))));
    assert!(store.snapshot().holes.is_empty());
    super::support::eventually(|| home.wal_files().is_empty()).await;
}

/// Scenario: InfluxDB 3.11.7 lost acknowledged writes when a snapshot raced a log file still being written. Here: a flush and its commit
/// run while a round hangs in its sync, the round is then acknowledged, and the process dies.
/// Guarantees: the commit's watermark leaves the round out, so replay brings it back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flush_covers_no_request_that_is_still_on_its_way() {
    let home = Home::new();
    let faults = Arc::new(Faults::default());
    let store = home.open_with(Arc::clone(&faults)).await.unwrap();
    append(&store, 1, 4).await.unwrap();
    faults.hold(Operation::Sync);
    let late = tokio::spawn({
        let store = Arc::clone(&store);
        async move { append(&store, 2, 4).await }
    });
    super::support::eventually(|| faults.is_holding()).await;
    store.flush().await.unwrap();
    assert_eq!(found(&store.snapshot()), expected([(1, 4)]));
    faults.let_go();
    assert!(!late.await.unwrap().unwrap().duplicate);
    drop(store);
    let store = home.open().await;
    assert_eq!(found(&store.snapshot()), expected([(1, 4), (2, 4)]));
}

/// Scenario: ClickHouse #111577 kept its memory of inserted blocks apart from the data and never synced it, so a retry after a power cut
/// was stored twice. Here: the power goes right after the acknowledgement, and the client, which did not hear it, retries.
/// Guarantees: the retry is a duplicate, whatever the cut took back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_after_a_power_cut_is_recognised() {
    for seed in 0..20 {
        let home = Home::new();
        let faults = Arc::new(Faults::default());
        faults.watch_syncs();
        let store = home.open_with(Arc::clone(&faults)).await.unwrap();
        append(&store, seed, 4).await.unwrap();
        faults.crash_at(1);
        drop(store);
        home.until_unlocked().await;
        faults.cut_power(&mut Seeded::new(seed)).unwrap();
        let store = home.open().await;
        assert!(append(&store, seed, 4).await.unwrap().duplicate, "SEED={seed}");
        assert_eq!(found(&store.snapshot()), expected([(seed, 4)]), "SEED={seed}");
    }
}

/// Scenario: Tempo removes log blocks that it cannot read at start. Here: the only segment's header and frame are damaged, and another
/// segment is all zeros.
/// Guarantees: the store opens and takes requests, the bytes lie in quarantine, and each loss is named.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreadable_segment_is_kept_and_named() {
    let harms: [fn(&mut Vec<u8>); 2] =
        [|bytes| bytes.iter_mut().for_each(|byte| *byte ^= 0x55), |bytes| bytes.iter_mut().for_each(|byte| *byte = 0)];
    for harm in harms {
        let home = Home::new();
        let store = home.open().await;
        append(&store, 1, 4).await.unwrap();
        drop(store);
        drop(home.open().await);
        let file = home.wal_files().remove(0);
        let mut bytes = fs::read(&file).unwrap();
        harm(&mut bytes);
        fs::write(&file, &bytes).unwrap();
        for _ in 0..2 {
            let store = home.open().await;
            assert_eq!(store.snapshot().holes.len(), 1, "{:?}", store.snapshot().holes);
            assert!(home.quarantined().iter().any(|path| fs::read(path).unwrap() == bytes));
            append(&store, 2, 4).await.unwrap();
            assert_eq!(found(&store.snapshot()), expected([(2, 4)]));
        }
    }
}

/// Scenario: behind an acknowledged request, a round of three frames of which a power cut kept the last only; the store is opened,
/// takes a request, and is opened again.
/// Guarantees: nothing of the round was acknowledged, so no hole is reported at either start; the frame that is whole counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_round_cut_short_is_no_hole() {
    let home = Home::new();
    let store = home.open().await;
    append(&store, 1, 4).await.unwrap();
    drop(store);
    drop(home.open().await);
    let file = home.wal_files().remove(0);
    let mut bytes = fs::read(&file).unwrap();
    let epoch = SegmentHeader::parse(&bytes).unwrap().epoch;
    let begin = bytes.len();
    for (seq, seed) in [(2, 2), (3, 3), (4, 4)] {
        let round_offset = bytes.len() - begin;
        frame::encode(&seeded_frame(seed, 4, START).0, seq, epoch, round_offset, &mut bytes).unwrap();
    }
    let kept = bytes.len() - (bytes.len() - begin) / 3;
    bytes[begin..kept].fill(0);
    fs::write(&file, &bytes).unwrap();
    let store = home.open().await;
    assert_eq!(found(&store.snapshot()), expected([(1, 4), (4, 4)]));
    assert_eq!(store.snapshot().holes, Vec::<String>::new());
    append(&store, 9, 4).await.unwrap();
    drop(store);
    let store = home.open().await;
    assert_eq!(found(&store.snapshot()), expected([(1, 4), (4, 4), (9, 4)]));
    assert_eq!(store.snapshot().holes, Vec::<String>::new());
}

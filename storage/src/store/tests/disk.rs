//! Disks that fail and disks that fill up.

use std::sync::Arc;

use super::support::{Home, append, expected, found};
use crate::testing::{FaultKind, Faults, Operation};
use crate::{Pressure, StorageError};

/// Scenario: one write, then one sync of the WAL fails, with requests that succeed in between.
/// Guarantees: the request of a failed round is refused as retryable and invisible, also after a restart; the next
/// try lands in a new segment, is no duplicate, and everything answered is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_round_is_refused_and_the_next_one_lands() {
    for (operation, kind) in [
        (Operation::Write, FaultKind::Io),
        (Operation::Write, FaultKind::ShortWrite(17)),
        (Operation::Sync, FaultKind::Io),
    ] {
        let home = Home::new();
        let faults = Arc::new(Faults::default());
        let store = home.open_with(Arc::clone(&faults)).await.unwrap();
        append(&store, 1, 4).await.unwrap();
        faults.fail(operation, 0, 1, kind);
        let refused = append(&store, 2, 4).await.unwrap_err();
        assert!(matches!(refused, StorageError::Io { .. }) && refused.is_retryable(), "{operation:?} {kind:?}");
        assert_eq!(found(&store.snapshot()), expected([(1, 4)]));
        let retried = append(&store, 2, 4).await.unwrap();
        assert!(!retried.duplicate);
        append(&store, 3, 4).await.unwrap();
        assert_eq!(store.status().read_only, None);
        drop(store);
        let store = home.open().await;
        assert_eq!(found(&store.snapshot()), expected([(1, 4), (2, 4), (3, 4)]));
        assert!(store.snapshot().holes.is_empty());
        assert_eq!(append(&store, 2, 4).await.unwrap(), crate::Committed { duplicate: true, ..retried });
    }
}

/// Scenario: the sync fails and the segment cannot be cut either, so that the refused frame stays on disk.
/// Guarantees: the next segment's header keeps it out at replay although it is whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_frame_on_disk_stays_out_at_replay() {
    let home = Home::new();
    let faults = Arc::new(Faults::default());
    let store = home.open_with(Arc::clone(&faults)).await.unwrap();
    append(&store, 1, 4).await.unwrap();
    faults.fail(Operation::Sync, 0, 1, FaultKind::Io);
    faults.fail(Operation::Truncate, 0, 1, FaultKind::Io);
    append(&store, 2, 4).await.unwrap_err();
    append(&store, 3, 4).await.unwrap();
    drop(store);
    let store = home.open().await;
    assert_eq!(found(&store.snapshot()), expected([(1, 4), (3, 4)]));
    assert!(store.snapshot().holes.is_empty());
}

/// Scenario: the sync of a round fails, then that of the next round, on a fresh segment.
/// Guarantees: writes are refused from then on with a reason, while queries and flushes work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_failure_in_a_row_makes_the_store_read_only() {
    let home = Home::new();
    let faults = Arc::new(Faults::default());
    let store = home.open_with(Arc::clone(&faults)).await.unwrap();
    append(&store, 1, 4).await.unwrap();
    faults.fail(Operation::Sync, 0, 1, FaultKind::Io);
    append(&store, 2, 4).await.unwrap_err();
    // The fresh segment's own two syncs succeed.
    faults.fail(Operation::Sync, 2, 1, FaultKind::Io);
    append(&store, 2, 4).await.unwrap_err();
    assert!(matches!(append(&store, 2, 4).await, Err(StorageError::ReadOnly { reason }) if reason.contains("wal")));
    assert!(matches!(store.pressure(), Pressure::Busy { .. }));
    assert!(store.status().read_only.is_some());
    assert_eq!(found(&store.snapshot()), expected([(1, 4)]));
    store.flush().await.unwrap();
    assert_eq!(found(&store.snapshot()), expected([(1, 4)]));
}

/// Scenario: making a segment fails again and again (no descriptor left), while requests come; then it works.
/// Guarantees: each is refused as retryable, admission and status say why, and without a restart requests land again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_segment_that_cannot_be_made_is_no_reason_to_give_up_the_disk() {
    let home = Home::new();
    let faults = Arc::new(Faults::default());
    let store = home.open_with(Arc::clone(&faults)).await.unwrap();
    faults.fail(Operation::Create, 0, u64::MAX, FaultKind::Io);
    for _ in 0..5 {
        let refused = append(&store, 1, 4).await.unwrap_err();
        assert!(matches!(refused, StorageError::Io { .. }) && refused.is_retryable(), "{refused}");
    }
    super::support::eventually_async(async || {
        append(&store, 1, 4).await.unwrap_err();
        let says_why = |reason: &str| reason.contains("no wal segment");
        store.status().read_only.is_some_and(|reason| says_why(&reason))
            || matches!(store.pressure(), Pressure::Busy { reason } if says_why(&reason))
    })
    .await;
    faults.heal();
    super::support::eventually(|| store.pressure() == Pressure::Ready).await;
    append(&store, 1, 4).await.unwrap();
    assert_eq!(store.status().read_only, None);
    assert_eq!(found(&store.snapshot()), expected([(1, 4)]));
}

/// Scenario: a sync does not return; seconds pass on the clock; the request is sent again; then the disk answers.
/// Guarantees: new requests are shed before they are read; the waiting one is answered as retryable and not acknowledged;
/// its retry waits for the first and is its duplicate; nothing is lost or doubled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_does_not_answer_sheds_requests() {
    let home = Home::new();
    let faults = Arc::new(Faults::default());
    let store = home.open_with(Arc::clone(&faults)).await.unwrap();
    append(&store, 1, 4).await.unwrap();
    faults.hold(Operation::Sync);
    let waiting = tokio::spawn({
        let store = Arc::clone(&store);
        async move { append(&store, 2, 4).await }
    });
    super::support::eventually(|| faults.is_holding()).await;
    assert_eq!(store.pressure(), Pressure::Ready);
    home.clock.advance(std::time::Duration::from_secs(2));
    assert!(matches!(store.pressure(), Pressure::Busy { reason } if reason.contains("not confirmed")));
    assert!(store.status().read_only.is_some());
    let unanswered = waiting.await.unwrap().unwrap_err();
    assert!(matches!(unanswered, StorageError::Stalled { .. }) && unanswered.is_retryable(), "{unanswered}");
    let retried = tokio::spawn({
        let store = Arc::clone(&store);
        async move { append(&store, 2, 4).await }
    });
    faults.let_go();
    assert!(retried.await.unwrap().unwrap().duplicate);
    assert_eq!(store.pressure(), Pressure::Ready);
    assert_eq!(found(&store.snapshot()), expected([(1, 4), (2, 4)]));
}

/// Scenario: the disk is full while requests come, then has room again.
/// Guarantees: the refusal is `DiskFull`, retryable, shows as pressure, and goes by itself; nothing accepted is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_until_there_is_room() {
    let home = Home::new();
    let faults = Arc::new(Faults::default());
    let store = home.open_with(Arc::clone(&faults)).await.unwrap();
    append(&store, 1, 4).await.unwrap();
    faults.fill_disk();
    let refused = append(&store, 2, 4).await.unwrap_err();
    assert!(matches!(refused, StorageError::DiskFull { .. }) && refused.is_retryable());
    assert!(matches!(store.pressure(), Pressure::Busy { reason } if reason.contains("disk is full")));
    assert!(matches!(store.flush().await, Err(StorageError::DiskFull { .. })));
    assert_eq!(found(&store.snapshot()), expected([(1, 4)]));
    faults.heal();
    super::support::eventually(|| store.pressure() == Pressure::Ready).await;
    assert!(!append(&store, 2, 4).await.unwrap().duplicate);
    store.flush().await.unwrap();
    assert_eq!(found(&store.snapshot()), expected([(1, 4), (2, 4)]));
    assert_eq!(store.status().read_only, None);
}

/// Scenario: segments are covered by files, first young, then older than retried requests are remembered for.
/// Guarantees: they are kept while young and go by themselves after, and nothing is lost with them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn covered_segments_go_once_they_are_old() {
    let home = Home::new();
    let store = home.open().await;
    for seed in 0..400 {
        append(&store, seed, 1).await.unwrap();
    }
    assert!(home.wal_files().len() > 3);
    store.flush().await.unwrap();
    let kept = home.wal_files();
    assert!(kept.len() > 3, "the window keeps covered segments");
    home.clock.advance(std::time::Duration::from_secs(601));
    super::support::eventually(|| home.wal_files().len() == 1).await;
    assert_eq!(found(&store.snapshot()), expected((0..400).map(|seed| (seed, 1))));
    drop(store);
    let store = home.open().await;
    assert_eq!(found(&store.snapshot()), expected((0..400).map(|seed| (seed, 1))));
}

/// Scenario: the disk runs out of room for another segment before anything is in files; then a flush covers the segments,
/// which are young enough to be kept for retried requests.
/// Guarantees: they are given up, and requests are welcome again without any other room being made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn covered_segments_make_room_on_a_full_disk() {
    let home = Home::new();
    let faults = Arc::new(Faults::default());
    let store = home.open_with(Arc::clone(&faults)).await.unwrap();
    append(&store, 0, 1).await.unwrap();
    faults.leave_free(home.config.wal_segment_bytes / 2 * 3);
    let mut stored = 1;
    while append(&store, stored, 1).await.is_ok() {
        stored += 1;
    }
    assert!(matches!(store.pressure(), Pressure::Busy { reason } if reason.contains("disk is full")));
    store.flush().await.unwrap();
    super::support::eventually(|| store.pressure() == Pressure::Ready).await;
    append(&store, stored, 1).await.unwrap();
    assert_eq!(found(&store.snapshot()), expected((0..=stored).map(|seed| (seed, 1))));
}

/// Scenario: a write, the sync, or the folder's sync after the rename, of a flush's Parquet file fails.
/// Guarantees: no part of the file stays on the disk, under either name: it may need the room, and no commit will name it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_flush_leaves_no_temporary_file() {
    for (operation, skip) in [(Operation::Write, 0), (Operation::Sync, 0), (Operation::SyncDir, 1)] {
        let home = Home::new();
        let faults = Arc::new(Faults::default());
        let store = home.open_with(Arc::clone(&faults)).await.unwrap();
        append(&store, 1, 4).await.unwrap();
        faults.fail(operation, skip, 1, FaultKind::NoSpace);
        assert!(matches!(store.flush().await, Err(StorageError::DiskFull { .. })), "{operation:?}");
        assert_eq!(home.data_files(), Vec::<std::path::PathBuf>::new(), "{operation:?}");
        store.flush().await.unwrap();
        assert_eq!(found(&store.snapshot()), expected([(1, 4)]));
    }
}

/// Scenario: every single disk operation of a flush fails, one after the other, with EIO and with ENOSPC.
/// Guarantees: the spans stay visible once, and after a healthy flush and a restart they still stand once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flush_that_fails_anywhere_loses_and_doubles_nothing() {
    for kind in [FaultKind::Io, FaultKind::NoSpace] {
        for operation in [
            Operation::Create,
            Operation::Write,
            Operation::Sync,
            Operation::SyncDir,
            Operation::Rename,
            Operation::Link,
            Operation::Remove,
            Operation::Read,
        ] {
            for skip in 0..4 {
                check_failing_flush(operation, skip, kind).await;
            }
        }
    }
}

async fn check_failing_flush(operation: Operation, skip: u64, kind: FaultKind) {
    let context = format!("{operation:?} after {skip}, {kind:?}");
    let home = Home::new();
    let faults = Arc::new(Faults::default());
    let store = home.open_with(Arc::clone(&faults)).await.unwrap();
    append(&store, 1, 4).await.unwrap();
    append(&store, 2, 4).await.unwrap();
    let all = expected([(1, 4), (2, 4)]);
    faults.fail(operation, skip, 1, kind);
    let outcome = store.flush().await;
    assert_eq!(found(&store.snapshot()), all, "{context}: {outcome:?}");
    faults.heal();
    append(&store, 3, 4).await.unwrap();
    let all = expected([(1, 4), (2, 4), (3, 4)]);
    store.flush().await.unwrap();
    let snapshot = store.snapshot();
    assert_eq!(found(&snapshot), all, "{context}");
    assert!(snapshot.buffered.is_empty(), "{context}");
    drop((snapshot, store));
    let store = home.open().await;
    assert_eq!(found(&store.snapshot()), all, "{context}, restarted");
    assert!(store.snapshot().holes.is_empty(), "{context}");
}

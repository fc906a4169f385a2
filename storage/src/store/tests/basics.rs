//! The plain way: append, see, flush, close, open again.

use std::sync::Arc;

use super::support::{Home, START, append, expected, found};
use crate::testing::{SeededReplay, seeded_frame, span_batch};
use crate::{Committed, StorageError, Store};

/// Scenario: three requests, a flush, two more; then the store is dropped without a close and opened again.
/// Guarantees: every snapshot on the way holds every accepted span once, also after the restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accepted_spans_are_visible_once_across_flush_and_restart() {
    let home = Home::new();
    let store = home.open().await;
    for seed in 0..3 {
        assert_eq!(append(&store, seed, 40).await.unwrap(), Committed { seq: seed + 1, duplicate: false });
    }
    assert_eq!(found(&store.snapshot()), expected((0..3).map(|seed| (seed, 40))));
    store.flush().await.unwrap();
    let snapshot = store.snapshot();
    assert_eq!((snapshot.buffered.len(), snapshot.files.len()), (0, 1));
    assert_eq!(found(&snapshot), expected((0..3).map(|seed| (seed, 40))));
    append(&store, 3, 5).await.unwrap();
    append(&store, 4, 5).await.unwrap();
    drop(store);
    let store = home.open().await;
    let all = (0..5).map(|seed| (seed, if seed < 3 { 40 } else { 5 }));
    let snapshot = store.snapshot();
    assert_eq!(found(&snapshot), expected(all));
    assert_eq!((snapshot.buffered.len(), snapshot.holes.len()), (2, 0));
    assert_eq!(store.status().last_seq, 5);
    assert_eq!(append(&store, 5, 1).await.unwrap().seq, 6);
}

/// Scenario: a request is sent again at once, after a flush, and after a restart.
/// Guarantees: each time the answer says duplicate with the first seq, and the spans stand once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retried_request_is_stored_once() {
    let home = Home::new();
    let store = home.open().await;
    append(&store, 7, 9).await.unwrap();
    let again = Committed { seq: 1, duplicate: true };
    assert_eq!(append(&store, 7, 9).await.unwrap(), again);
    store.flush().await.unwrap();
    assert_eq!(append(&store, 7, 9).await.unwrap(), again);
    store.close().await.unwrap();
    drop(store);
    let store = home.open().await;
    assert_eq!(append(&store, 7, 9).await.unwrap(), again);
    assert_eq!(found(&store.snapshot()), expected([(7, 9)]));
}

/// Scenario: sixteen callers send the same request at the same time.
/// Guarantees: one is the first, the others are its duplicates, and the spans stand once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twins_in_flight_share_one_commit() {
    let home = Home::new();
    let store = home.open().await;
    let calls = (0..16).map(|_| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { append(&store, 1, 3).await.unwrap() })
    });
    let mut firsts = 0;
    for call in calls.collect::<Vec<_>>() {
        let committed = call.await.unwrap();
        assert_eq!(committed.seq, 1);
        firsts += u32::from(!committed.duplicate);
    }
    assert_eq!(firsts, 1);
    assert_eq!(found(&store.snapshot()), expected([(1, 3)]));
}

/// Scenario: a folder that a store has open is opened again, to write and to read; then the store is gone.
/// Guarantees: both are refused as locked; afterwards a reader sees everything and changes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_in_use_is_refused() {
    let home = Home::new();
    let store = home.open().await;
    append(&store, 1, 3).await.unwrap();
    store.flush().await.unwrap();
    append(&store, 2, 3).await.unwrap();
    let clock = Arc::clone(&home.clock);
    let second = Store::open(home.config.clone(), clock, Arc::new(SeededReplay)).await;
    assert!(matches!(second, Err(StorageError::Locked { .. })));
    assert!(matches!(home.open_read_only().await, Err(StorageError::Locked { .. })));
    store.close().await.unwrap();
    assert!(matches!(append(&store, 3, 1).await, Err(StorageError::ReadOnly { .. })));
    drop(store);
    let before = (home.wal_files(), home.data_files());
    let reader = loop {
        if let Ok(reader) = home.open_read_only().await {
            break reader;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(found(&reader.snapshot()), expected([(1, 3), (2, 3)]));
    assert!(matches!(append(&reader, 3, 1).await, Err(StorageError::ReadOnly { .. })));
    assert_eq!((home.wal_files(), home.data_files()), before);
}

/// Scenario: a tail beside a snapshot; a tail that nobody reads.
/// Guarantees: snapshot and tail together hold every span once; the slow reader is cut off, not waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_goes_on_where_the_snapshot_ends() {
    let home = Home::new();
    let store = home.open().await;
    append(&store, 1, 2).await.unwrap();
    let (snapshot, mut tail) = store.snapshot_and_tail(8);
    let mut slow = store.tail(1);
    append(&store, 2, 2).await.unwrap();
    append(&store, 3, 2).await.unwrap();
    assert_eq!(found(&snapshot), expected([(1, 2)]));
    for seed in [2, 3] {
        let batch = tail.recv().await.unwrap();
        assert_eq!(batch.record_batch(), span_batch(seed, 2, START).record_batch());
    }
    assert!(slow.recv().await.is_some());
    assert!(slow.recv().await.is_none());
}

/// Scenario: a payload over the limit, and a buffer that is full.
/// Guarantees: the first is refused for good, the second as retryable, and a flush makes room again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_have_names() {
    let mut home = Home::new();
    home.config.buffer_bytes_max = 100_000;
    let store = home.open().await;
    let (mut frame, batch) = seeded_frame(1, 1, START);
    frame.payload = vec![0; (64 << 20) + 1].into();
    let refused = store.append(frame, batch).await.unwrap_err();
    assert!(matches!(refused, StorageError::TooLarge { .. }) && !refused.is_retryable());
    let full = loop_until_full(&store).await;
    assert!(matches!(full, StorageError::Full { .. }) && full.is_retryable());
    assert!(matches!(store.pressure(), crate::Pressure::Busy { .. }));
    store.flush().await.unwrap();
    assert_eq!(store.pressure(), crate::Pressure::Ready);
    append(&store, 1001, 1).await.unwrap();
}

/// Scenario: a reader of the tail that takes nothing while three requests come in and are flushed, and then takes them.
/// Guarantees: what it is behind with counts as held until it has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_is_behind_holds_memory() {
    let home = Home::new();
    let store = home.open().await;
    let mut tail = store.tail(8);
    for first in 1..=3 {
        append(&store, 100 * first, 1).await.unwrap();
    }
    let (held, _) = store.buffered_bytes();
    store.flush().await.unwrap();
    assert_eq!((store.status().buffer_bytes, store.buffered_bytes().0), (0, held));
    for left in (0..3).rev() {
        tail.recv().await.unwrap();
        assert_eq!(store.buffered_bytes().0 > 0, left > 0);
    }
}

async fn loop_until_full(store: &Store) -> StorageError {
    for seed in 2..1000 {
        if let Err(error) = append(store, seed, 1).await {
            return error;
        }
    }
    panic!("the buffer never fills")
}

/// Scenario: requests of 100 KiB fill several segments that are large enough to be made ahead of time.
/// Guarantees: every request is stored once, no unfinished segment is left after a restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn segments_are_made_ahead() {
    let mut home = Home::new();
    home.config.wal_segment_bytes = 1 << 20;
    let store = home.open().await;
    for seed in 0..60 {
        let (mut frame, batch) = seeded_frame(seed, 2, START);
        let mut payload = frame.payload.to_vec();
        payload.resize(100 << 10, 0);
        frame.payload = payload.into();
        store.append(frame, batch).await.unwrap();
    }
    assert!(home.wal_files().len() >= 6);
    drop(store);
    let store = home.open().await;
    assert_eq!(found(&store.snapshot()), expected((0..60).map(|seed| (seed, 2))));
    assert!(home.wal_files().iter().all(|path| !path.to_string_lossy().ends_with(".tmp")));
}

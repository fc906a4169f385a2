//! The table in a store of objects: the same life as in a folder, with servers that come, go and take over.

mod acks;
mod chaos;
mod home;

use std::time::Duration;

use super::support::{append, eventually, eventually_async, expected};
use crate::testing::{ChaosStore, seeded_frame};
use crate::{Pressure, StorageError};
use home::{Cloud, found_in};

/// Scenario: requests, flushes, merges, an hour that passes, old spans let go, files vacuumed; then the server's disk is lost and another one
/// opens the table on an empty folder.
/// Guarantees: everything is found once at each step; flushed and merged files have their ends kept; the store holds the listed files, their sidecars and the log, nothing else; nothing of the
/// table lies on the disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_life_of_a_table_in_a_store() {
    let cloud = Cloud::calm();
    let mut server = cloud.server();
    server.config.compaction_target_bytes = 1 << 20;
    server.config.vacuum_after = Duration::ZERO;
    server.config.retention = Duration::from_secs(2 * 3600);
    let store = server.open().await.unwrap();
    for seed in 1..=12 {
        append(&store, seed, 5).await.unwrap();
        store.flush().await.unwrap();
    }
    append(&store, 13, 5).await.unwrap();
    let all = || expected((1..=13).map(|seed| (seed, 5)));
    assert_eq!(found_in(&store).await, all());
    store.compact().await.unwrap();
    store.vacuum().await;
    assert!(store.snapshot().files.len() < 12 && store.status().compaction.runs > 0);
    assert_eq!(found_in(&store).await, all());
    cloud.check_kept_ends(&store).await;
    eventually_async(|| cloud.holds_only(&store)).await;
    assert!(store.verify().await.unwrap().damaged.is_empty());
    store.close().await.unwrap();
    drop(store);
    assert!(server.files_of_the_table().is_empty(), "{:?}", server.files_of_the_table());

    let other = cloud.server_like(&server);
    let store = other.open().await.unwrap();
    assert_eq!(found_in(&store).await, all());
    append(&store, 14, 5).await.unwrap();
    store.flush().await.unwrap();
    assert_eq!(found_in(&store).await, expected((1..=14).map(|seed| (seed, 5))));
    // Believed only after an hour of steady advance.
    for _ in 0..30 {
        cloud.clock.advance(Duration::from_secs(600));
        store.expire().await.unwrap();
    }
    store.vacuum().await;
    assert_eq!(found_in(&store).await, expected([]));
    eventually_async(|| cloud.holds_only(&store)).await;
}

/// Scenario: a server has the table, with flushed and unflushed requests; a second one opens it.
/// Guarantees: the second sees what was flushed and may write; the first one's next flush fails and turns it read-only, which it says; its
/// unflushed requests are in its own log, and come into the table once it is started again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_server_takes_over() {
    let cloud = Cloud::calm();
    let (one, two) = (cloud.server(), cloud.server());
    let first = one.open().await.unwrap();
    append(&first, 1, 4).await.unwrap();
    first.flush().await.unwrap();
    append(&first, 2, 4).await.unwrap();
    let second = two.open().await.unwrap();
    assert_eq!(found_in(&second).await, expected([(1, 4)]));
    append(&second, 3, 4).await.unwrap();
    second.flush().await.unwrap();
    // Unless it has noticed by itself already.
    first.flush().await.unwrap_err();
    let Pressure::Busy { reason } = first.pressure() else { panic!("the first server still takes requests") };
    assert!(reason.contains("another server"), "{reason}");
    assert!(first.status().read_only.is_some());
    assert!(matches!(append(&first, 4, 4).await, Err(StorageError::ReadOnly { .. })));
    assert_eq!(found_in(&first).await.len(), expected([(1, 4), (2, 4)]).len(), "queries go on");
    drop(first);
    one.until_unlocked().await;
    let first = one.open().await.unwrap();
    first.flush().await.unwrap();
    assert_eq!(found_in(&first).await, expected([(1, 4), (2, 4), (3, 4)]));
    assert!(second.flush().await.is_ok(), "nothing waits there");
    // It may have noticed by itself already.
    if append(&second, 5, 4).await.is_ok() {
        assert!(second.flush().await.is_err());
    }
    assert!(second.status().read_only.is_some());
}

/// Scenario: a second server takes the table over from one that has nothing to flush.
/// Guarantees: the first one notices all the same, by looking.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_server_notices_that_it_was_replaced() {
    let cloud = Cloud::calm();
    let (mut one, two) = (cloud.server(), cloud.server());
    one.config.upkeep_interval = Duration::from_millis(20);
    let first = one.open().await.unwrap();
    let _second = two.open().await.unwrap();
    eventually(|| first.status().read_only.is_some()).await;
}

/// Scenario: no request to the store gets through for a while, under load; then they do again.
/// Guarantees: exports are answered from the local log meanwhile, flushes fail and lose nothing, and everything is in files once the store is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_the_store_loses_nothing() {
    let cloud = Cloud::calm();
    let server = cloud.server();
    let store = server.open().await.unwrap();
    append(&store, 1, 4).await.unwrap();
    store.flush().await.unwrap();
    cloud.chaos.set_down(true);
    for seed in 2..=6 {
        append(&store, seed, 4).await.unwrap();
        assert!(store.flush().await.is_err());
    }
    assert!(store.status().flush_failures >= 5 && store.status().read_only.is_none());
    cloud.chaos.set_down(false);
    store.flush().await.unwrap();
    assert_eq!(store.snapshot().files.len(), 2);
    assert_eq!(found_in(&store).await, expected((1..=6).map(|seed| (seed, 4))));
    eventually_async(|| cloud.holds_only(&store)).await;
}

/// Scenario: the buffer is full while the store is down.
/// Guarantees: exports are refused as retryable, and taken again once a flush has gone through.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_outage_refuses_exports_for_now() {
    let cloud = Cloud::calm();
    let mut server = cloud.server();
    server.config.buffer_bytes_max = 200 << 10;
    let store = server.open().await.unwrap();
    cloud.chaos.set_down(true);
    let mut refused = None;
    for seed in 1..2_000 {
        if let Err(error) = append(&store, seed, 20).await {
            refused = Some((seed, error));
            break;
        }
    }
    let (seed, error) = refused.unwrap();
    assert!(matches!(error, StorageError::Full { .. }) && error.is_retryable(), "{error}");
    cloud.chaos.set_down(false);
    store.flush().await.unwrap();
    append(&store, seed, 20).await.unwrap();
    assert_eq!(found_in(&store).await, expected((1..=seed).map(|seed| (seed, 20))));
}

/// Scenario: the scrubber finds a file of the store whose bytes were changed behind its back, and a query one that is gone.
/// Guarantees: the first is copied to the store's quarantine with a note; both leave the list and are named as holes, also after a restart on another
/// machine; other spans are found.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_in_the_store_is_set_aside_there() {
    let cloud = Cloud::calm();
    let mut server = cloud.server();
    let store = server.open().await.unwrap();
    for seed in 1..=3 {
        append(&store, seed, 4).await.unwrap();
        store.flush().await.unwrap();
    }
    let paths: Vec<String> = store.snapshot().files.iter().map(|file| file.path.clone()).collect();
    store.close().await.unwrap();
    drop(store);
    server.until_unlocked().await;
    cloud.flip_a_byte(&format!("spans/{}", paths[0])).await;
    server.config.scrub_bytes_per_second = 1 << 30;
    let store = server.open().await.unwrap();
    eventually(|| {
        // The scrubber keeps its pace by this clock.
        cloud.clock.advance(Duration::from_secs(1));
        store.snapshot().holes.len() == 1
    })
    .await;
    cloud.delete(&format!("spans/{}", paths[1])).await;
    assert!(store.report_damaged(&paths[1], "it is gone").await.unwrap());
    assert!(!store.report_damaged(&paths[2], "a mistake").await.unwrap());
    assert_eq!(store.snapshot().holes.len(), 2);
    assert_eq!(found_in(&store).await, expected([(3, 4)]));
    assert_eq!(cloud.names("quarantine").await.len(), 3, "{:?}", cloud.names("quarantine").await);
    let elsewhere = cloud.server().open().await.unwrap();
    assert_eq!(elsewhere.snapshot().holes.len(), 2);
    assert_eq!(found_in(&elsewhere).await, expected([(3, 4)]));
}

/// Scenario: the commit of a flush gets no answer and takes place only later, after the flush was tried again; and after the server died.
/// Guarantees: the spans are in the table once, in files that are there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_comes_late_counts_once() {
    for dies in [false, true] {
        let cloud = Cloud::calm();
        let server = cloud.server();
        let store = server.open().await.unwrap();
        append(&store, 1, 4).await.unwrap();
        cloud.chaos.delay_puts_of("_delta_log", 1);
        assert!(store.flush().await.is_err());
        if dies {
            drop(store);
            server.until_unlocked().await;
            cloud.chaos.settle().await;
            let store = server.open().await.unwrap();
            assert_eq!(found_in(&store).await, expected([(1, 4)]));
            assert_eq!(store.snapshot().files.len(), 1);
        } else {
            cloud.chaos.settle().await;
            append(&store, 2, 4).await.unwrap();
            store.flush().await.unwrap();
            assert_eq!(found_in(&store).await, expected([(1, 4), (2, 4)]));
            eventually_async(|| cloud.holds_only(&store)).await;
        }
    }
}

/// Scenario: the table is opened for reading only on an empty folder while a server writes to it.
/// Guarantees: what was flushed is seen, nothing is claimed or changed, and the server goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_disturbs_no_writer() {
    let cloud = Cloud::calm();
    let server = cloud.server();
    let store = server.open().await.unwrap();
    append(&store, 1, 4).await.unwrap();
    store.flush().await.unwrap();
    let reader = cloud.server();
    let way = ChaosStore::new(&cloud.chaos);
    let seen = reader.open_read_only(way).await.unwrap();
    assert_eq!(found_in(&seen).await, expected([(1, 4)]));
    let (frame, batch) = seeded_frame(9, 1, cloud.now());
    assert!(matches!(seen.append(frame, batch).await, Err(StorageError::ReadOnly { .. })));
    append(&store, 2, 4).await.unwrap();
    store.flush().await.unwrap();
    assert_eq!(found_in(&store).await, expected([(1, 4), (2, 4)]));
}

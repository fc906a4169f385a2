//! Requests that are acknowledged in the store: they outlive the disk, and the server.

use std::sync::Arc;
use std::time::Duration;

use super::home::{Cloud, Server, found_in};
use crate::store::tests::support::{append, eventually, eventually_async, expected};
use crate::{Ack, Pressure, StorageError, Store};

fn acking(cloud: &Cloud) -> Server {
    let mut server = cloud.server();
    server.config.ack = Ack::Object;
    server.config.ack_linger = Duration::ZERO;
    server
}

/// Scenario: requests are acknowledged, some of them flushed; the machine is gone with its disk; this three times over.
/// Guarantees: each time an empty machine finds every request once, and knows those that are sent again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_disk_loses_nothing() {
    let cloud = Cloud::calm();
    let mut next = 0;
    for _ in 0..3 {
        let store = acking(&cloud).open().await.unwrap();
        assert_eq!(found_in(&store).await, expected((1..=next).map(|seed| (seed, 3))));
        for seed in 1..=next {
            assert!(append(&store, seed, 3).await.unwrap().duplicate, "{seed}");
        }
        for _ in 0..4 {
            next += 1;
            append(&store, next, 3).await.unwrap();
        }
        store.flush().await.unwrap();
        for _ in 0..2 {
            next += 1;
            append(&store, next, 3).await.unwrap();
        }
        assert_eq!(found_in(&store).await, expected((1..=next).map(|seed| (seed, 3))));
    }
}

/// Scenario: many requests at once.
/// Guarantees: they share rounds, and each is answered with a position of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_share_rounds() {
    let cloud = Cloud::calm();
    let mut server = acking(&cloud);
    server.config.ack_linger = Duration::from_millis(100);
    let store = server.open().await.unwrap();
    let mut running = tokio::task::JoinSet::new();
    for seed in 1..=60 {
        let store = Arc::clone(&store);
        running.spawn(async move { append(&store, seed, 2).await.unwrap().seq });
    }
    let mut seqs = running.join_all().await;
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=60).collect::<Vec<_>>());
    let rounds =
        cloud.names("wal").await.into_iter().filter(|name| !name.starts_with("wal/00000000000000000000/")).count();
    assert!(rounds <= 10, "{rounds}");
    assert_eq!(found_in(&store).await, expected((1..=60).map(|seed| (seed, 2))));
}

/// Scenario: a server has unflushed requests; a second one takes over; the first one goes on as if nothing had happened.
/// Guarantees: the second has every acknowledged request; the first one's next request is refused and it turns read-only, saying why; nothing of
/// it is found later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zombie_acknowledges_nothing() {
    let cloud = Cloud::calm();
    let first = acking(&cloud).open().await.unwrap();
    for seed in 1..=3 {
        append(&first, seed, 3).await.unwrap();
    }
    let second = acking(&cloud).open().await.unwrap();
    assert!(append(&first, 4, 3).await.is_err());
    let Pressure::Busy { reason } = first.pressure() else { panic!("the first server still takes requests") };
    assert!(reason.contains("another server"), "{reason}");
    assert!(first.flush().await.is_err());
    append(&second, 5, 3).await.unwrap();
    second.flush().await.unwrap();
    let third = acking(&cloud).open().await.unwrap();
    assert_eq!(found_in(&third).await, expected([1, 2, 3, 5].map(|seed| (seed, 3))));
}

/// Scenario: a round gets no answer, takes place later, and the request is sent again meanwhile.
/// Guarantees: it is answered once it is known to be there, and stored once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_round_that_comes_late_counts_once() {
    let cloud = Cloud::calm();
    let store = acking(&cloud).open().await.unwrap();
    append(&store, 1, 3).await.unwrap();
    cloud.chaos.delay_puts_of("wal/", 1);
    assert!(!append(&store, 2, 3).await.unwrap().duplicate);
    cloud.chaos.settle().await;
    assert!(append(&store, 2, 3).await.unwrap().duplicate);
    let next = acking(&cloud).open().await.unwrap();
    assert_eq!(found_in(&next).await, expected([(1, 3), (2, 3)]));
}

/// Scenario: rounds are covered by a flush, and the time in which requests may be sent again passes.
/// Guarantees: they go from the store, the seals stay, and nothing is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn covered_rounds_go() {
    let cloud = Cloud::calm();
    let server = acking(&cloud);
    let store = server.open().await.unwrap();
    for seed in 1..=5 {
        append(&store, seed, 3).await.unwrap();
    }
    assert_eq!(cloud.names("wal").await.len(), 6);
    assert!(store.status().wal_bytes > 0);
    cloud.clock.advance(Duration::from_secs(601));
    store.flush().await.unwrap();
    eventually_async(async || cloud.names("wal").await.len() == 1).await;
    eventually(|| store.status().wal_bytes == 0).await;
    append(&store, 6, 3).await.unwrap();
    let next = acking(&cloud).open().await.unwrap();
    assert_eq!(found_in(&next).await, expected((1..=6).map(|seed| (seed, 3))));
}

/// Scenario: a table changes from one way of acknowledging to the other, with requests in no file and without.
/// Guarantees: it is refused, saying what to do, as long as requests would be left behind; then it works, in both directions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ways_of_acknowledging_change_only_without_loss() {
    let cloud = Cloud::calm();
    let mut server = cloud.server();
    server.config.ack_linger = Duration::ZERO;
    let refused = async |server: &Server, word: &str| {
        let error = server.open().await.unwrap_err();
        assert!(matches!(error, StorageError::Unfit { .. }) && error.to_string().contains(word), "{error}");
    };
    let close = async |store: Arc<Store>| store.close().await.unwrap();
    let store = server.open().await.unwrap();
    append(&store, 1, 3).await.unwrap();
    drop(store);
    server.until_unlocked().await;
    server.config.ack = Ack::Object;
    refused(&server, "storage.ack = \"local\"").await;
    server.config.ack = Ack::Local;
    close(server.open().await.unwrap()).await;
    server.config.ack = Ack::Object;
    let store = server.open().await.unwrap();
    append(&store, 2, 3).await.unwrap();
    drop(store);
    server.until_unlocked().await;
    server.config.ack = Ack::Local;
    refused(&server, "storage.ack = \"object\"").await;
    server.config.ack = Ack::Object;
    close(server.open().await.unwrap()).await;
    server.config.ack = Ack::Local;
    let store = server.open().await.unwrap();
    append(&store, 3, 3).await.unwrap();
    assert_eq!(found_in(&store).await, expected([(1, 3), (2, 3), (3, 3)]));
    close(store).await;
    server.config.ack = Ack::Object;
    let store = server.open().await.unwrap();
    append(&store, 4, 3).await.unwrap();
    drop(store);
    server.until_unlocked().await;
    let store = server.open().await.unwrap();
    assert_eq!(found_in(&store).await, expected([(1, 3), (2, 3), (3, 3), (4, 3)]));
}

/// Scenario: a folder that belongs to a table in a store is opened without one and with another one; and a folder with a table of its own with
/// one in a store.
/// Guarantees: each is refused, naming what the folder belongs to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_belongs_to_one_table() {
    let (cloud, other) = (Cloud::calm(), Cloud::calm());
    let server = cloud.server();
    drop(server.open().await.unwrap());
    server.until_unlocked().await;
    let error = server.open_without_store().await.unwrap_err();
    assert!(error.to_string().contains("s3://cloud/traces/prod"), "{error}");
    let error = server.open_named(&other, "s3://other/prefix").await.unwrap_err();
    assert!(error.to_string().contains("s3://cloud/traces/prod"), "{error}");
    let own = cloud.server();
    drop(own.open_without_store().await.unwrap());
    own.until_unlocked().await;
    let error = own.open().await.unwrap_err();
    assert!(error.to_string().contains("a table of its own"), "{error}");
}

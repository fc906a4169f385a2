//! What is kept no longer goes, and nothing else; what rots is found.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::support::{Home, START, append, eventually, expected, found};
use crate::testing::{Faults, seeded_frame, spans};
use crate::{Store, UnixNanos};

const HOUR: Duration = Duration::from_secs(3600);

/// Stores and flushes one request for each of these hours after the start, with the hour as seed.
async fn fill(store: &Store, hours: impl IntoIterator<Item = u32>) {
    for hour in hours {
        let received = START.saturating_add(HOUR * hour);
        let (frame, batch) = seeded_frame(u64::from(hour), 10, received);
        store.append(frame, batch).await.unwrap();
        store.flush().await.unwrap();
    }
}

fn hours(store: &Store) -> Vec<String> {
    let mut hours: Vec<_> = store.snapshot().files.iter().map(|file| file.received_hour.clone()).collect();
    hours.sort_unstable();
    hours
}

/// Scenario: spans are kept for three hours; time goes on by seven, with a restart.
/// Guarantees: an hour goes three hours after its end, not before; the log names it no more, its file goes with the vacuum.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_go_when_they_are_old() {
    let mut home = Home::new();
    home.config.retention = HOUR * 3;
    home.config.vacuum_after = Duration::ZERO;
    let store = home.open().await;
    fill(&store, 0..3).await;
    let all = ["2023-11-14T22", "2023-11-14T23", "2023-11-15T00"];
    home.clock.advance(Duration::from_secs(46 * 60 + 39) + HOUR * 3);
    store.expire().await.unwrap();
    assert_eq!(hours(&store), all, "a second is missing");
    home.clock.advance(Duration::from_secs(1));
    store.expire().await.unwrap();
    assert_eq!(
        (hours(&store), store.status().retention.expired_rows),
        (all[1..].to_vec().iter().map(|hour| (*hour).to_owned()).collect(), 10)
    );
    drop(store);
    let store = home.open().await;
    assert_eq!(hours(&store), all[1..]);
    home.clock.advance(HOUR * 4);
    store.expire().await.unwrap();
    store.vacuum().await;
    assert_eq!((hours(&store).len(), home.data_files().len()), (0, 0));
    assert!(store.snapshot().holes.is_empty());
    let folders = std::fs::read_dir(home.config.data_dir.join("spans")).unwrap();
    assert_eq!(folders.count(), 1, "only the log's folder is left");
}

/// Scenario: the clock jumps forty days ahead; then it advances minute by minute.
/// Guarantees: nothing goes and the status says so, until an hour of steady advance; then what is old goes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumped_lets_nothing_go() {
    let home = Home::new();
    let store = home.open().await;
    fill(&store, 0..2).await;
    store.expire().await.unwrap();
    home.clock.advance(HOUR * 24 * 40);
    store.expire().await.unwrap();
    assert_eq!((hours(&store).len(), store.status().retention.suspended), (2, true));
    for _ in 0..59 {
        home.clock.advance(Duration::from_secs(60));
        store.expire().await.unwrap();
    }
    assert_eq!((hours(&store).len(), store.status().retention.suspended), (2, true));
    home.clock.advance(Duration::from_secs(60));
    store.expire().await.unwrap();
    assert_eq!((hours(&store).len(), store.status().retention.suspended), (0, false));
}

/// Scenario: all services but one are kept for an hour, that one for ever; later it, too, has an age.
/// Guarantees: their spans go, the file is written anew without them and found by its index; then the whole file goes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_may_have_an_age_of_their_own() {
    let mut home = Home::new();
    let services: BTreeSet<String> = spans(7, 40, START).into_iter().map(|span| span.service).collect();
    let kept = services.first().unwrap().clone();
    home.config.retention = Duration::ZERO;
    home.config.retention_by_service = services.iter().skip(1).map(|service| (service.clone(), HOUR)).collect();
    let store = home.open().await;
    append(&store, 7, 40).await.unwrap();
    store.flush().await.unwrap();
    store.expire().await.unwrap();
    assert_eq!(found(&store.snapshot()), expected([(7, 40)]));
    home.clock.advance(HOUR * 2);
    store.expire().await.unwrap();
    let mut left = expected([(7, 40)]);
    left.retain(|key, _| key.3 == kept);
    let snapshot = store.snapshot();
    assert!(!left.is_empty());
    assert_eq!(found(&snapshot), left);
    assert_eq!(store.status().retention.rewritten_files, 1);
    assert!(snapshot.indexes.open(&snapshot.files[0]).is_ok());
    drop((snapshot, store));
    home.config.retention = HOUR;
    let store = home.open().await;
    store.expire().await.unwrap();
    assert!(store.snapshot().files.is_empty());
}

/// Scenario: half of the disk may be in use and more is; three hours are stored.
/// Guarantees: the oldest go, as many as needed, never the newest hour; a clock that jumped does not matter.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_oldest_go_when_the_disk_fills() {
    let mut home = Home::new();
    home.config.retention_disk_percent = 50;
    let faults = Arc::new(Faults::default());
    let store = home.open_with(Arc::clone(&faults)).await.unwrap();
    fill(&store, 0..3).await;
    home.clock.advance(HOUR * 24 * 365);
    faults.set_space(510_000, 490_000);
    eventually(|| store.status().disk.used_bytes == 510_000).await;
    store.expire().await.unwrap();
    assert_eq!(hours(&store), ["2023-11-14T23", "2023-11-15T00"]);
    faults.set_space(900_000, 100_000);
    eventually(|| store.status().disk.used_bytes >= 800_000).await;
    store.expire().await.unwrap();
    assert_eq!(hours(&store), ["2023-11-15T00"]);
}

/// Scenario: the disk has 8 % left, then 9 %, then 12 %.
/// Guarantees: requests are refused before they are decoded, with the reason, until less than nine tenths are used; queries
/// go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nearly_full_disk_sheds() {
    let home = Home::new();
    let faults = Arc::new(Faults::default());
    let store = home.open_with(Arc::clone(&faults)).await.unwrap();
    append(&store, 1, 4).await.unwrap();
    let busy = || matches!(store.pressure(), crate::Pressure::Busy { reason } if reason.contains("disk"));
    faults.set_space(92_000_000, 8_000_000);
    eventually(busy).await;
    assert_eq!(found(&store.snapshot()), expected([(1, 4)]));
    faults.set_space(91_000_000, 9_000_000);
    eventually(|| store.status().disk.free_bytes == 9_000_000).await;
    assert!(busy());
    faults.set_space(88_000_000, 12_000_000);
    eventually(|| store.pressure() == crate::Pressure::Ready).await;
    append(&store, 2, 4).await.unwrap();
}

/// Scenario: a commit finds the disk full while the ballast is there.
/// Guarantees: the ballast goes, the commit stands, and once there is room the ballast is made again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ballast_lets_a_commit_through() {
    let mut home = Home::new();
    home.config.upkeep_interval = Duration::from_millis(20);
    let faults = Arc::new(Faults::default());
    let store = home.open_with(Arc::clone(&faults)).await.unwrap();
    let ballast = home.config.data_dir.join("ballast");
    eventually(|| ballast.is_file()).await;
    append(&store, 1, 4).await.unwrap();
    // The data file and its index are made, then the entry of the log finds no room, once.
    faults.fail(crate::testing::Operation::Create, 2, 1, crate::testing::FaultKind::NoSpace);
    store.flush().await.unwrap();
    assert!(store.snapshot().buffered.is_empty());
    assert_eq!(found(&store.snapshot()), expected([(1, 4)]));
    eventually(|| ballast.is_file()).await;
}

/// Scenario: one of three files rots, all are read at leisure; then the store is restarted.
/// Guarantees: it is found, set aside and named, other engines are told by the log, and the pass goes on and ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rot_is_found() {
    let mut home = Home::new();
    let store = home.open().await;
    fill(&store, 0..3).await;
    let file = store.snapshot().files[1].clone();
    drop(store);
    home.until_unlocked().await;
    let path = home.config.data_dir.join("spans").join(&file.path);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    std::fs::write(&path, bytes).unwrap();
    home.config.scrub_bytes_per_second = u64::MAX;
    let store = home.open().await;
    eventually(|| store.status().scrub.passes == 1).await;
    let status = store.status().scrub;
    assert_eq!((status.files, status.damaged), (3, 1));
    let snapshot = store.snapshot();
    assert_eq!((snapshot.files.len(), snapshot.holes.len()), (2, 1));
    assert!(snapshot.holes[0].contains("scrubber"), "{:?}", snapshot.holes);
    let log = home.config.data_dir.join("spans/_delta_log/00000000000000000004.json");
    let entry = std::fs::read_to_string(log).unwrap();
    assert!(entry.contains("\"remove\"") && entry.contains(&file.path), "{entry}");
    drop((snapshot, store));
    let store = home.open().await;
    assert_eq!((store.snapshot().files.len(), store.snapshot().holes.len()), (2, 1));
    assert_eq!(store.status().scrub.files, 0, "the next pass is due in a week");
}

/// Scenario: a file written while the clock was back in 1970, among files of today.
/// Guarantees: it is as old as the file before it, not fifty years.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_was_behind_ages_nothing() {
    let home = Home::new();
    let store = home.open().await;
    fill(&store, 0..1).await;
    let (frame, batch) = seeded_frame(9, 10, UnixNanos(0));
    store.append(frame, batch).await.unwrap();
    store.flush().await.unwrap();
    home.clock.advance(HOUR * 2);
    store.expire().await.unwrap();
    assert_eq!(hours(&store), ["1970-01-01T00", "2023-11-14T22"]);
}

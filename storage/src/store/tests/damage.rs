//! Damaged files: set aside, named, and nothing else suffers.

use std::fs;

use std::sync::Arc;

use super::support::{Home, append, expected, found};
use crate::StorageError;
use crate::testing::{FaultKind, Faults, Operation};

/// Scenario: the last frame of the log is cut short, as a crash in the middle of a write leaves it.
/// Guarantees: the frames before it are there, there is no hole, and writing goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torn_tail_is_cut_off() {
    let home = Home::new();
    let store = home.open().await;
    append(&store, 1, 4).await.unwrap();
    append(&store, 2, 4).await.unwrap();
    drop(store);
    drop(home.open().await);
    let last = home.wal_files().pop().unwrap();
    let bytes = fs::read(&last).unwrap();
    fs::write(&last, &bytes[..bytes.len() - 3]).unwrap();
    let store = home.open().await;
    assert_eq!(found(&store.snapshot()), expected([(1, 4)]));
    assert!(store.snapshot().holes.is_empty());
    assert!(!append(&store, 2, 4).await.unwrap().duplicate);
    drop(store);
    assert_eq!(found(&home.open().await.snapshot()), expected([(1, 4), (2, 4)]));
}

/// Scenario: a byte in the middle of the log changes, while the store is closed.
/// Guarantees: the other requests are there; the damage lies in quarantine with a sidecar, is named in the snapshot,
/// and still is after another restart, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_in_the_middle_is_set_aside_and_named() {
    let home = Home::new();
    let store = home.open().await;
    for seed in 1..=3 {
        append(&store, seed, 4).await.unwrap();
    }
    drop(store);
    drop(home.open().await);
    let file = home.wal_files().remove(0);
    let mut bytes = fs::read(&file).unwrap();
    let second = 64 + (bytes.len() - 64) / 3;
    bytes[second + 30] ^= 1;
    fs::write(&file, &bytes).unwrap();
    for _ in 0..2 {
        let store = home.open().await;
        let snapshot = store.snapshot();
        assert_eq!(found(&snapshot), expected([(1, 4), (3, 4)]));
        assert_eq!(snapshot.holes.len(), 1, "{:?}", snapshot.holes);
        assert_eq!(store.status().quarantined_files, 1);
        assert_eq!(home.quarantined().len(), 2);
        drop(store);
    }
    let store = home.open().await;
    assert!(!append(&store, 2, 4).await.unwrap().duplicate);
}

/// Scenario: the log holds a request that the decoder does not understand.
/// Guarantees: it is set aside and named; the others are there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_cannot_be_decoded_is_set_aside() {
    let home = Home::new();
    let store = home.open().await;
    append(&store, 1, 4).await.unwrap();
    let (mut frame, batch) = crate::testing::seeded_frame(2, 4, super::support::START);
    frame.payload = b"no seed".to_vec().into();
    store.append(frame, batch).await.unwrap();
    append(&store, 3, 4).await.unwrap();
    drop(store);
    let snapshot = home.open().await.snapshot();
    assert_eq!(found(&snapshot), expected([(1, 4), (3, 4)]));
    assert!(snapshot.holes.len() == 1 && snapshot.holes[0].contains("cannot be decoded"), "{:?}", snapshot.holes);
}

/// Scenario: each byte of the segment's header, then of the header of the second of three frames, changes while the store is closed.
/// Guarantees: the store opens each time and has the other requests; what is missing is named; requests land.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flip_in_any_header_byte_is_survived() {
    let home = Home::in_memory();
    let store = home.open().await;
    for seed in 1..=3 {
        append(&store, seed, 1).await.unwrap();
    }
    drop(store);
    drop(home.open().await);
    let file = home.wal_files().remove(0);
    let whole = fs::read(&file).unwrap();
    let frame = (whole.len() - 64) / 3;
    for at in (0..64).chain(64 + frame..64 + frame + 68) {
        let home = Home::in_memory();
        fs::create_dir_all(home.config.data_dir.join("wal")).unwrap();
        let mut bytes = whole.clone();
        bytes[at] ^= 0x04;
        fs::write(home.config.data_dir.join("wal").join(file.file_name().unwrap()), bytes).unwrap();
        let store = home.open().await;
        let hit = at >= 64;
        let left = [(1, 1), (2, 1), (3, 1)].into_iter().filter(|(seed, _)| !hit || *seed != 2);
        assert_eq!(found(&store.snapshot()), expected(left), "byte {at}");
        assert_eq!(store.snapshot().holes.len(), usize::from(hit), "byte {at}: {:?}", store.snapshot().holes);
        append(&store, 9, 1).await.unwrap();
    }
}

/// Scenario: bits flip in a data file's footer: its length, its magic, and bytes all over its metadata; a query reports the file.
/// Guarantees: it is set aside and named, whatever the footer says now, and other files answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flip_in_a_footer_is_set_aside() {
    for back in (1..=8).chain((9..1200).step_by(97)) {
        let home = Home::in_memory();
        let store = home.open().await;
        append(&store, 1, 4).await.unwrap();
        store.flush().await.unwrap();
        append(&store, 2, 4).await.unwrap();
        store.flush().await.unwrap();
        let file = store.snapshot().files[0].path.clone();
        let path = store.snapshot().table_dir.join(&file);
        let mut bytes = fs::read(&path).unwrap();
        let at = bytes.len() - back;
        bytes[at] ^= 0x80;
        fs::write(&path, bytes).unwrap();
        assert!(store.report_damaged(&file, "query failed").await.unwrap(), "{back} bytes before the end");
        assert_eq!(found(&store.snapshot()), expected([(2, 4)]), "{back} bytes before the end");
        assert_eq!(store.snapshot().holes.len(), 1, "{back} bytes before the end");
    }
}

/// Scenario: one data file is cut, gone, or overwritten with zeros while the store is closed.
/// Guarantees: the store opens, the other file answers, the loss is named with its rows, also after another restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_data_file_is_set_aside_at_open() {
    type Harm = fn(&std::path::Path);
    let harms: [Harm; 3] = [
        |path| fs::write(path, &fs::read(path).unwrap()[..100]).unwrap(),
        |path| fs::remove_file(path).unwrap(),
        |path| fs::write(path, vec![0; fs::read(path).unwrap().len()]).unwrap(),
    ];
    for harm in harms {
        let home = Home::new();
        let store = home.open().await;
        append(&store, 1, 4).await.unwrap();
        store.flush().await.unwrap();
        append(&store, 2, 4).await.unwrap();
        store.close().await.unwrap();
        drop(store);
        harm(&home.data_files()[0]);
        for _ in 0..2 {
            let store = home.open().await;
            let snapshot = store.snapshot();
            assert_eq!(found(&snapshot), expected([(2, 4)]));
            assert!(snapshot.holes.len() == 1 && snapshot.holes[0].contains("4 rows"), "{:?}", snapshot.holes);
            assert_eq!(store.status().quarantined_files, 1);
        }
    }
}

/// Scenario: a query reports a file whose middle was changed, a file that is whole, and a file that is none.
/// Guarantees: only the first is set aside; it leaves the snapshots and is named.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reported_file_is_set_aside_if_it_is_damaged() {
    let home = Home::new();
    let store = home.open().await;
    append(&store, 1, 40).await.unwrap();
    store.flush().await.unwrap();
    append(&store, 2, 40).await.unwrap();
    store.flush().await.unwrap();
    let paths: Vec<String> = store.snapshot().files.iter().map(|file| file.path.clone()).collect();
    let first = store.snapshot().table_dir.join(&paths[0]);
    let mut bytes = fs::read(&first).unwrap();
    bytes[50] ^= 0xFF;
    fs::write(&first, bytes).unwrap();
    assert!(!store.report_damaged(&paths[1], "query failed").await.unwrap());
    assert!(!store.report_damaged("no/such.parquet", "query failed").await.unwrap());
    assert!(store.report_damaged(&paths[0], "query failed").await.unwrap());
    let snapshot = store.snapshot();
    assert_eq!(found(&snapshot), expected([(2, 40)]));
    assert!(snapshot.holes.len() == 1 && snapshot.holes[0].contains("query failed"));
    append(&store, 3, 1).await.unwrap();
    store.flush().await.unwrap();
    assert_eq!(found(&store.snapshot()), expected([(2, 40), (3, 1)]));
}

/// Scenario: a query reports a damaged file, and the store's own look at it fails with an I/O error; then it works again.
/// Guarantees: nothing is set aside on an error that may pass; once the file can be read, its damage is found.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_error_that_may_pass_sets_no_file_aside() {
    let home = Home::new();
    let faults = Arc::new(Faults::default());
    let store = home.open_with(Arc::clone(&faults)).await.unwrap();
    append(&store, 1, 40).await.unwrap();
    store.flush().await.unwrap();
    let file = store.snapshot().files[0].path.clone();
    let path = store.snapshot().table_dir.join(&file);
    let mut bytes = fs::read(&path).unwrap();
    bytes[50] ^= 0xFF;
    fs::write(&path, bytes).unwrap();
    faults.fail_read_of(&path);
    assert!(!store.report_damaged(&file, "query failed").await.unwrap());
    assert!(store.snapshot().holes.is_empty() && home.quarantined().is_empty());
    assert!(store.report_damaged(&file, "query failed").await.unwrap());
    assert_eq!(store.snapshot().holes.len(), 1);
}

/// Scenario: at open, every single read fails once with an I/O error, one after the other.
/// Guarantees: the open fails or the store is whole; never is a data file or a request set aside for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_error_at_open_sets_nothing_aside() {
    let home = Home::new();
    let store = home.open().await;
    append(&store, 1, 4).await.unwrap();
    store.flush().await.unwrap();
    append(&store, 2, 4).await.unwrap();
    drop(store);
    let mut failed = 0;
    for skip in 0..40 {
        let faults = Arc::new(Faults::default());
        faults.fail(Operation::Read, skip, 1, FaultKind::Io);
        failed += usize::from(home.open_with(faults).await.is_err());
        assert!(home.quarantined().is_empty(), "read {skip}");
        let store = home.open().await;
        assert_eq!(found(&store.snapshot()), expected([(1, 4), (2, 4)]), "read {skip}");
        assert!(store.snapshot().holes.is_empty(), "read {skip}: {:?}", store.snapshot().holes);
    }
    assert!(failed > 0);
}

/// Scenario: the newest entry of the Delta log is cut short by hand.
/// Guarantees: the open fails with an error that names the table, and does not panic or write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_delta_log_is_an_error() {
    let home = Home::new();
    let store = home.open().await;
    append(&store, 1, 4).await.unwrap();
    store.flush().await.unwrap();
    drop(store);
    drop(home.open().await);
    let entry = home.config.data_dir.join("spans/_delta_log/00000000000000000001.json");
    fs::write(&entry, b"{\"add\": {\"path\"").unwrap();
    let outcome = home.open_with(Arc::default()).await;
    assert!(matches!(outcome, Err(StorageError::Table { .. })), "{outcome:?}");
}

/// Scenario: the Delta log's folder is removed while data files stay.
/// Guarantees: the open is refused with what to do, and no data file is touched.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_delta_log_costs_no_data_file() {
    let home = Home::new();
    let store = home.open().await;
    append(&store, 1, 4).await.unwrap();
    store.flush().await.unwrap();
    let file = store.snapshot().files[0].path.clone();
    drop(store);
    drop(home.open().await);
    let spans = home.config.data_dir.join("spans");
    fs::remove_dir_all(spans.join("_delta_log")).unwrap();
    let outcome = home.open_with(Arc::default()).await;
    assert!(matches!(&outcome, Err(StorageError::Corrupt { reason, .. }) if reason.contains("restore")), "{outcome:?}");
    assert!(spans.join(file).exists());
}

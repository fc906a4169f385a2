//! The sidecars of committed files: written by a flush, made again when they are missing or damaged.

#![expect(clippy::cast_possible_truncation, reason = "rows of a test are few")]

use std::time::{Duration, Instant};

use super::support::{Home, append};
use crate::index::{Indexes, Part, TraceKeys};
use crate::parquet::writer::NewFile;
use crate::testing::spans;
use crate::{DataFile, Store, TraceId};

fn traces(seed: u64, rows: usize) -> Vec<TraceId> {
    spans(seed, rows, super::support::START).iter().map(crate::testing::TestSpan::trace_id).collect()
}

/// How many rows the sidecar of `file` names for each of the traces; `None` when it cannot be used.
fn rows_of(indexes: &Indexes, file: &DataFile, traces: &[TraceId]) -> Option<Vec<u32>> {
    let index = indexes.open(file).ok()?;
    let rows =
        |trace| index.rows_of(&TraceKeys::of(&[trace])).map(|found| found.runs.iter().map(|run| run.length).sum());
    traces.iter().copied().map(rows).collect::<Result<Vec<u32>, _>>().ok()
}

async fn until_made(store: &Store, file: &DataFile, expected: &[u32], traces: &[TraceId]) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while rows_of(&store.snapshot().indexes, file, traces).as_deref() != Some(expected) {
        assert!(Instant::now() < deadline, "the sidecar was not made again: {:?}", store.status());
        tokio::task::yield_now().await;
    }
}

/// Scenario: a flushed file's sidecar is removed while the store is closed, then cut short while it is open, and reported.
/// Guarantees: the flush wrote one that names every row; each time it is made again and names the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_sidecar_is_made_again() {
    let home = Home::new();
    let store = home.open().await;
    append(&store, 1, 400).await.unwrap();
    store.flush().await.unwrap();
    let (snapshot, traces) = (store.snapshot(), traces(1, 400));
    let file = snapshot.files[0].clone();
    let model = traces.iter().map(|trace| traces.iter().filter(|other| *other == trace).count() as u32);
    let expected: Vec<u32> = model.collect();
    assert_eq!(rows_of(&snapshot.indexes, &file, &traces).as_ref(), Some(&expected));
    store.close().await.unwrap();
    drop(store);
    snapshot.indexes.remove(&file.path).unwrap();
    let store = home.open().await;
    until_made(&store, &file, &expected, &traces).await;
    let path = snapshot.indexes.path_of(&file.path);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert_eq!(rows_of(&snapshot.indexes, &file, &traces), None);
    store.report_unindexed(&file.path);
    until_made(&store, &file, &expected, &traces).await;
    assert_eq!(store.status().index_failures, 0);
}

/// Scenario: a data file that is damaged and has no sidecar.
/// Guarantees: the attempt is counted and not repeated; the store goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_file_gets_no_sidecar() {
    let home = Home::new();
    let store = home.open().await;
    append(&store, 1, 40).await.unwrap();
    store.flush().await.unwrap();
    let snapshot = store.snapshot();
    let file = snapshot.files[0].clone();
    let path = snapshot.table_dir.join(&file.path);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    snapshot.indexes.remove(&file.path).unwrap();
    for _ in 0..3 {
        store.report_unindexed(&file.path);
        let deadline = Instant::now() + Duration::from_secs(20);
        while store.status().index_failures == 0 && Instant::now() < deadline {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!((store.status().index_failures, store.status().indexes_made), (1, 0));
    append(&store, 2, 4).await.unwrap();
    store.flush().await.unwrap();
}

/// Scenario: the sidecars of two files are merged for a third, which stands for both; one of the two is then no longer listed.
/// Guarantees: the merged one names the rows of both; at the next open sidecars of no listed file are gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sidecars_merge_and_strays_go() {
    let home = Home::new();
    let store = home.open().await;
    for seed in 1..=2 {
        append(&store, seed, 200).await.unwrap();
        store.flush().await.unwrap();
    }
    let snapshot = store.snapshot();
    let inputs: Vec<&DataFile> = snapshot.files.iter().collect();
    let both = DataFile {
        path: inputs[0].path.replace("spans-", "both-"),
        rows: 400,
        size_bytes: 5,
        content_hash: Some(6),
        ..inputs[0].clone()
    };
    let end = bytes::Bytes::new();
    let target = NewFile { file: both.clone(), content_hash: 6, end, received_range: None, duration_range: None };
    let parts = inputs.iter().map(|file| Part::File((*file).clone()));
    snapshot.indexes.merge(parts.collect(), &target).unwrap();
    for seed in 1..=2 {
        let traces = traces(seed, 200);
        let expected = rows_of(&snapshot.indexes, inputs[seed as usize - 1], &traces);
        assert!(expected.is_some());
        assert_eq!(rows_of(&snapshot.indexes, &both, &traces), expected);
    }
    drop(store);
    home.until_unlocked().await;
    let store = home.open().await;
    assert!(store.snapshot().indexes.open(&both).is_err());
    assert!(inputs.iter().all(|file| store.snapshot().indexes.open(file).is_ok()));
}

//! Spans that come again in other requests: left out of files, whichever way a file is made.

use std::time::Duration;

use super::support::{Home, read_file};
use crate::schema::col;
use crate::testing::{TestSpan, batch_of, seeded_frame};
use crate::{Snapshot, Store};
use arrow::array::AsArray;
use arrow::datatypes::Int64Type;

/// Stores these spans as one request; `seed` tells requests apart.
async fn send(home: &Home, store: &Store, seed: u64, spans: &[TestSpan]) {
    let received = crate::Clock::now(&*home.clock);
    let frame = seeded_frame(seed, 1, received).0;
    store.append(frame, batch_of(received, spans)).await.unwrap();
}

fn spans(ids: std::ops::Range<u64>) -> Vec<TestSpan> {
    ids.map(|id| TestSpan::new(1 + u128::from(id / 5), 1 + id).at(1_000 + id)).collect()
}

/// Starts of the spans in files, in their order: what tells them apart here.
fn starts(snapshot: &Snapshot) -> Vec<i64> {
    let batches = snapshot.files.iter().flat_map(|file| read_file(&snapshot.table_dir.join(&file.path)));
    let starts =
        batches.map(|batch| batch.column_by_name(col::START).unwrap().as_primitive::<Int64Type>().values().to_vec());
    starts.flatten().collect()
}

fn rows(snapshot: &Snapshot) -> u64 {
    snapshot.files.iter().map(|file| file.rows).sum()
}

/// Scenario: two requests share spans, an hour lies between two others that do; one id comes with another content.
/// Guarantees: one flush writes each content once, keeps the other one, and counts what it left out; an hour of which nothing is left gets no file.
#[tokio::test]
async fn a_flush_writes_each_content_once() {
    let home = Home::new();
    let store = home.open().await;
    send(&home, &store, 1, &spans(0..10)).await;
    send(&home, &store, 2, &spans(5..20)).await;
    send(&home, &store, 3, &[TestSpan::new(1, 1).at(999)]).await;
    home.clock.advance(Duration::from_secs(3600));
    send(&home, &store, 4, &spans(0..20)).await;
    store.flush().await.unwrap();
    let snapshot = store.snapshot();
    let expected: Vec<i64> = (1_000..1_020).chain([999]).collect();
    assert_eq!(starts(&snapshot), expected);
    assert_eq!((snapshot.files.len(), rows(&snapshot)), (1, 21));
    assert_eq!(store.status().flush_repeats, 5 + 20);
    assert_eq!(store.status().buffer_spans, 0, "what was left out waits no more");
}

/// Scenario: files share spans: two in part, one is a copy of another; they are merged by copying row groups, by encoding all again, and
/// by encoding small ones only; then the store is opened again.
/// Guarantees: the merged file has each content once, in the order of arrival, and an index that agrees; the log says that rows went;
/// without repeats nothing is decoded that need not be.
#[tokio::test]
async fn a_merge_writes_each_content_once() {
    for keep_rows in [0, 12, 1 << 20] {
        let mut home = Home::new();
        home.config.compaction_target_bytes = 1 << 20;
        home.config.compaction_keep_rows = keep_rows;
        let store = home.open().await;
        let mut other = spans(3..4);
        other[0].name = "other".to_owned();
        other[0].start = 7;
        for (seed, spans) in (0..).zip([spans(0..10), spans(8..30), spans(0..10), other, spans(30..40)]) {
            send(&home, &store, seed, &spans).await;
            store.flush().await.unwrap();
        }
        home.clock.advance(Duration::from_secs(2 * 3600));
        store.compact().await.unwrap();
        let snapshot = store.snapshot();
        let expected: Vec<i64> = (1_000..1_030).chain([7]).chain(1_030..1_040).collect();
        assert_eq!(starts(&snapshot), expected, "keep_rows {keep_rows}");
        assert_eq!((snapshot.files.len(), rows(&snapshot)), (1, 41));
        assert_eq!(store.status().compaction.rows_repeated, 2 + 10);
        assert_eq!(store.status().flush_repeats, 0);
        assert!(last_commit(&home).contains(r#""dataChange":true"#), "rows went");
        super::compaction::check_index(&store, &snapshot);
        store.close().await.unwrap();
        drop((store, snapshot));
        let again = home.open().await;
        assert_eq!(starts(&again.snapshot()), expected);
    }
}

fn last_commit(home: &Home) -> String {
    let log = home.config.data_dir.join("spans").join("_delta_log");
    let commits = std::fs::read_dir(log).unwrap().map(|entry| entry.unwrap().path());
    let last = commits.filter(|path| path.extension().is_some_and(|kind| kind == "json")).max().unwrap();
    std::fs::read_to_string(last).unwrap()
}

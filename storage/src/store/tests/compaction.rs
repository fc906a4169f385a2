//! Files are merged, the spans stay: seen by readers of before and after, across restarts, damage and older logs.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::AsArray;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::bloom_filter::Sbbf;
use parquet::file::metadata::PageIndexPolicy;

use super::support::{Home, START, append, count, expected, found, read_file};
use crate::schema::{SCHEMA_VERSION_KEY, col};
use crate::testing::{seeded_frame, spans};
use crate::{Snapshot, Store, UnixNanos};

/// A folder whose files are merged up to 1 MiB. Row groups under `keep_rows` are encoded again.
fn home(keep_rows: u64) -> Home {
    let mut home = Home::new();
    home.config.compaction_target_bytes = 1 << 20;
    home.config.compaction_keep_rows = keep_rows;
    home
}

/// Appends and flushes these requests one by one, then lets their hour end.
async fn fill(home: &Home, store: &Store, seeds: std::ops::Range<u64>, rows: u32) {
    for seed in seeds {
        append(store, seed, rows).await.unwrap();
        store.flush().await.unwrap();
    }
    home.clock.advance(Duration::from_secs(2 * 3600));
}

/// Span ids in the order of the files.
fn ids_in_order(snapshot: &Snapshot) -> Vec<Vec<u8>> {
    let batches = snapshot.files.iter().flat_map(|file| read_file(&snapshot.table_dir.join(&file.path)));
    let ids = batches.map(|batch| {
        let column = batch.column_by_name(col::SPAN_ID).unwrap().as_binary::<i32>().clone();
        column.iter().flatten().map(<[u8]>::to_vec).collect::<Vec<_>>()
    });
    ids.flatten().collect()
}

fn sent_in_order(seeds: std::ops::Range<u64>, rows: usize) -> Vec<Vec<u8>> {
    seeds.flat_map(|seed| spans(seed, rows, START)).map(|span| span.span_id().as_bytes().to_vec()).collect()
}

/// Scenario: twelve files of one hour are merged: row groups copied, all encoded again, and those under 100 rows only.
/// Guarantees: one file holds all spans in the order of arrival, with the bounds, rows and row groups it should have; each row
/// group has a bloom filter that knows its trace ids, and page indexes; the key-value metadata is that of the inputs;
/// the old files stay until the vacuum may take them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn merged_files_hold_the_same_spans() {
    for (keep_rows, groups, encoded) in [(0, 12, 0), (1 << 20, 1, 840), (100, 7, 240)] {
        let home = home(keep_rows);
        let store = home.open().await;
        fill(&home, &store, 0..6, 40).await;
        fill(&home, &store, 6..12, 100).await;
        let before = store.snapshot();
        store.compact().await.unwrap();
        let snapshot = store.snapshot();
        assert_eq!(snapshot.files.len(), 1);
        let mut order = sent_in_order(0..6, 40);
        order.extend(sent_in_order(6..12, 100));
        assert_eq!(ids_in_order(&snapshot), order);
        assert_eq!(snapshot.files[0].rows, 840);
        let bound = |pick: fn(&crate::DataFile) -> i64, best: fn(i64, i64) -> i64| {
            before.files.iter().map(pick).reduce(best).unwrap()
        };
        let least = bound(|file| file.start_range.unwrap().0, i64::min);
        let most = bound(|file| file.start_range.unwrap().1, i64::max);
        assert_eq!(snapshot.files[0].start_range, Some((least, most)));
        let status = store.status().compaction;
        assert_eq!((status.files_in, status.rows_encoded), (12, encoded), "{status:?}");
        check_row_groups(&snapshot, groups);
        check_index(&store, &snapshot);
        assert_eq!(store.status().vacuum.waiting_files, 12);
        assert_eq!(found(&before), found(&snapshot), "the old files are still there");
    }
}

fn check_row_groups(snapshot: &Snapshot, groups: usize) {
    let file = std::fs::File::open(snapshot.table_dir.join(&snapshot.files[0].path)).unwrap();
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
    let footer = ArrowReaderMetadata::load(&file, options).unwrap();
    let footer = footer.metadata();
    assert_eq!(footer.num_row_groups(), groups);
    let keys = footer.file_metadata().key_value_metadata().unwrap();
    assert_eq!(keys.iter().filter(|pair| pair.key == SCHEMA_VERSION_KEY).count(), 1);
    let ids = ids_of_traces(snapshot);
    let mut row = 0;
    for (at, group) in footer.row_groups().iter().enumerate() {
        let bloom = Sbbf::read_from_column_chunk(group.column(0), &file).unwrap().unwrap();
        let rows = usize::try_from(group.num_rows()).unwrap();
        assert!(ids[row..row + rows].iter().all(|id| bloom.check(id.as_slice())));
        row += rows;
        assert!(!footer.offset_index().unwrap()[at][0].page_locations.is_empty());
        let start = group.columns().iter().position(|column| column.column_path().string() == col::START).unwrap();
        assert_eq!(footer.column_index().unwrap()[at][start].num_pages(), 1);
    }
    assert_eq!(row, ids.len());
}

/// The merged file has its index at once, and it finds exactly the rows of every trace.
pub(super) fn check_index(store: &Store, snapshot: &Snapshot) {
    assert_eq!(store.status().indexes_made, 0, "no index had to be made from a data file");
    let index = snapshot.indexes.open(&snapshot.files[0]).unwrap();
    let mut rows_of: std::collections::BTreeMap<Vec<u8>, Vec<u32>> = std::collections::BTreeMap::new();
    for (row, id) in (0..).zip(ids_of_traces(snapshot)) {
        rows_of.entry(id).or_default().push(row);
    }
    for (id, rows) in rows_of {
        let id = crate::TraceId::from_bytes(&id).unwrap();
        let found = index.rows_of(&crate::index::TraceKeys::of(&[id])).unwrap();
        let found: Vec<u32> = found.runs.iter().flat_map(|run| run.start..run.end()).collect();
        assert_eq!(found, rows);
    }
}

fn ids_of_traces(snapshot: &Snapshot) -> Vec<Vec<u8>> {
    let batches = read_file(&snapshot.table_dir.join(&snapshot.files[0].path));
    let column =
        |batch: &arrow::array::RecordBatch| batch.column_by_name(col::TRACE_ID).unwrap().as_binary::<i32>().clone();
    batches.iter().flat_map(|batch| column(batch).iter().flatten().map(<[u8]>::to_vec).collect::<Vec<_>>()).collect()
}

/// Scenario: a reader holds a snapshot while its files are merged and the vacuum runs; later it lets go.
/// Guarantees: it reads all its files; they go only when it has let go and other engines have had their time; a
/// restart in between changes neither.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_keep_their_files() {
    let home = home(0);
    let store = home.open().await;
    fill(&home, &store, 0..4, 10).await;
    let all = expected((0..4).map(|seed| (seed, 10)));
    let held = store.snapshot();
    store.compact().await.unwrap();
    home.clock.advance(Duration::from_secs(3601));
    store.vacuum().await;
    assert_eq!(found(&held), all);
    drop(held);
    store.vacuum().await;
    assert_eq!((home.data_files().len(), store.status().vacuum.removed_files), (1, 4));
    append(&store, 9, 10).await.unwrap();
    store.flush().await.unwrap();
    store.compact().await.unwrap();
    store.vacuum().await;
    drop(store);
    let store = home.open().await;
    store.vacuum().await;
    assert_eq!(home.data_files().len(), 3, "an hour has not passed since the second merge");
    home.clock.advance(Duration::from_secs(3601));
    store.vacuum().await;
    assert_eq!(home.data_files().len(), 1);
    assert_eq!(found(&store.snapshot()), expected((0..4).chain([9]).map(|seed| (seed, 10))));
}

/// Scenario: the disk runs full while merged files wait for other engines.
/// Guarantees: they go at once, and the spans stay.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_runs_full_is_freed_at_once() {
    let home = home(0);
    let faults = Arc::new(crate::testing::Faults::default());
    let store = home.open_with(Arc::clone(&faults)).await.unwrap();
    fill(&home, &store, 0..4, 10).await;
    store.compact().await.unwrap();
    store.vacuum().await;
    assert_eq!(home.data_files().len(), 5);
    faults.set_space(880_000_000, 120_000_000);
    super::support::eventually(|| store.status().disk.level == crate::DiskLevel::Warn).await;
    store.vacuum().await;
    assert_eq!(home.data_files().len(), 1);
    assert_eq!(found(&store.snapshot()), expected((0..4).map(|seed| (seed, 10))));
}

/// Scenario: one of four files to be merged was changed on disk.
/// Guarantees: it is set aside and named, the others are merged, and the log names it no more, also after a restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_input_is_set_aside() {
    let home = home(0);
    let store = home.open().await;
    fill(&home, &store, 0..4, 10).await;
    let snapshot = store.snapshot();
    let victim = snapshot.table_dir.join(&snapshot.files[1].path);
    let mut bytes = std::fs::read(&victim).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&victim, bytes).unwrap();
    store.compact().await.unwrap();
    let left = expected([0, 2, 3].map(|seed| (seed, 10)));
    assert_eq!((store.snapshot().files.len(), found(&store.snapshot())), (1, left.clone()));
    assert_eq!(store.snapshot().holes.len(), 1);
    drop((store, snapshot));
    let store = home.open().await;
    assert_eq!(found(&store.snapshot()), left);
    assert_eq!((store.snapshot().holes.len(), home.quarantined().len()), (1, 2));
    assert_eq!(listed(&home), store.snapshot().files.iter().map(|file| file.path.clone()).collect::<Vec<_>>());
}

/// Files that count, by replaying the JSON entries of the log.
fn listed(home: &Home) -> Vec<String> {
    let log = home.config.data_dir.join("spans/_delta_log");
    let mut entries: Vec<_> = std::fs::read_dir(log).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.retain(|path| path.extension().is_some_and(|end| end == "json"));
    entries.sort();
    let mut files = std::collections::BTreeSet::new();
    for entry in entries {
        for line in std::fs::read_to_string(entry).unwrap().lines() {
            let action: serde_json::Value = serde_json::from_str(line).unwrap();
            let path = |kind: &str| action[kind]["path"].as_str().map(str::to_owned);
            path("add").into_iter().for_each(|path| assert!(files.insert(path)));
            path("remove").into_iter().for_each(|path| assert!(files.remove(&path)));
        }
    }
    files.into_iter().collect()
}

/// Scenario: a copy of the Delta log from before a flush and a merge is put back, while the write-ahead log has let go of the
/// flushed requests; the merged files are gone.
/// Guarantees: what is not in the answers lies in quarantine and is named; no span is deleted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_log_deletes_nothing() {
    let mut home = home(0);
    home.config.vacuum_after = Duration::ZERO;
    let store = home.open().await;
    fill(&home, &store, 0..4, 10).await;
    let log = home.config.data_dir.join("spans/_delta_log");
    let names = || std::fs::read_dir(&log).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    let copied = names();
    store.compact().await.unwrap();
    store.vacuum().await;
    for seed in 4..200 {
        append(&store, seed, 1).await.unwrap();
    }
    store.flush().await.unwrap();
    home.clock.advance(Duration::from_secs(601));
    super::support::eventually(|| home.wal_files().len() == 1).await;
    store.close().await.unwrap();
    drop(store);
    drop(home.open().await);
    home.until_unlocked().await;
    names().iter().filter(|path| !copied.contains(path)).for_each(|path| std::fs::remove_file(path).unwrap());
    let store = home.open().await;
    let snapshot = store.snapshot();
    assert!(snapshot.holes.iter().any(|hole| hole.contains("no list names it")), "{:?}", snapshot.holes);
    let mut there = found(&snapshot);
    for path in home.quarantined().iter().filter(|path| path.extension().is_some_and(|end| end == "parquet")) {
        read_file(path).iter().for_each(|batch| count(batch, &mut there));
    }
    let sent = (0..4).map(|seed| (seed, 10)).chain((4..200).map(|seed| (seed, 1)));
    assert!(expected(sent).keys().all(|span| there.contains_key(span)));
}

/// Scenario: for every number n, the process dies at the n-th disk operation of a merge and the vacuum after it.
/// Guarantees: each time the spans are there once after the next open, nothing is set aside, and no file is left over once
/// the vacuum has run; some of the deaths leave a merged file that no list names.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merge_may_die_anywhere() {
    let mut orphans = 0;
    for operation in 1.. {
        let mut home = home(0);
        home.config.vacuum_after = Duration::ZERO;
        let faults = Arc::new(crate::testing::Faults::default());
        let store = home.open_with(Arc::clone(&faults)).await.unwrap();
        fill(&home, &store, 0..3, 4).await;
        faults.crash_at(faults.operations() + operation);
        let merged = store.compact().await.is_ok();
        store.vacuum().await;
        drop(store);
        home.until_unlocked().await;
        let left = home.data_files();
        let unlisted = |path: &&std::path::PathBuf| path.to_string_lossy().contains("/merged-");
        orphans += usize::from(left.iter().any(|path| unlisted(&path)) && listed(&home).len() == 3);
        let store = home.open().await;
        store.compact().await.unwrap();
        store.vacuum().await;
        let snapshot = store.snapshot();
        assert_eq!(found(&snapshot), expected((0..3).map(|seed| (seed, 4))), "died at {operation}");
        assert!(snapshot.holes.is_empty(), "died at {operation}: {:?}", snapshot.holes);
        assert_eq!((home.data_files().len(), snapshot.files.len()), (1, 1), "died at {operation}");
        if merged && !faults.is_crashed() {
            break;
        }
    }
    assert!(orphans > 0);
}

/// Scenario: spans 0 s to 30 days late: received now, started long ago; beside them a request received in another hour.
/// Guarantees: files go by the hour of reception, merges never cross hours, bounds tell when spans started.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_spans_stay_in_the_hour_they_came() {
    let home = home(0);
    let store = home.open().await;
    let day = Duration::from_secs(86_400);
    let started: Vec<UnixNanos> = [0, 1, 7, 30].map(|days| START.saturating_sub(day * days)).to_vec();
    for (seed, start) in (0_u64..).zip(&started) {
        let (mut frame, batch) = seeded_frame(seed, 5, *start);
        frame.received = START;
        store.append(frame, batch).await.unwrap();
        store.flush().await.unwrap();
    }
    let (frame, batch) = seeded_frame(9, 5, START.saturating_add(day));
    store.append(frame, batch).await.unwrap();
    store.flush().await.unwrap();
    home.clock.advance(day * 2);
    store.compact().await.unwrap();
    let files = store.snapshot().files;
    let mut hours: Vec<_> = files.iter().map(|file| (file.received_hour.as_str(), file.rows)).collect();
    hours.sort_unstable();
    assert_eq!(hours, [("2023-11-14T22", 20), ("2023-11-15T22", 5)]);
    let merged = files.iter().find(|file| file.rows == 20).unwrap();
    let least = spans(3, 5, started[3]).iter().map(|span| i64::try_from(span.start).unwrap()).min();
    assert_eq!(merged.start_range.map(|(least, _)| least), least);
}

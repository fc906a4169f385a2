//! What is on disk: Parquet files that anyone reads, a Delta log that stays short.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use parquet::file::reader::{FileReader, SerializedFileReader};

use super::support::{Home, START, append, expected, found, read_file};
use crate::schema::{SCHEMA_VERSION_KEY, col, file_schema};
use crate::testing::{batch_of, seeded_frame, spans};
use crate::{Store, UnixNanos};

async fn one_file(store: &Store) -> std::path::PathBuf {
    store.flush().await.unwrap();
    let snapshot = store.snapshot();
    assert_eq!(snapshot.files.len(), 1);
    snapshot.table_dir.join(&snapshot.files[0].path)
}

/// Scenario: a flushed file, read with the plain Parquet reader.
/// Guarantees: it has exactly the columns of the file schema, no Arrow schema, the schema version, a bloom filter on
/// trace ids and zstd pages.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_plain_parquet() {
    let home = Home::new();
    let store = home.open().await;
    append(&store, 1, 300).await.unwrap();
    let path = one_file(&store).await;
    let schema = read_file(&path)[0].schema();
    let columns = |schema: &arrow::datatypes::Schema| -> Vec<(String, DataType, bool)> {
        let fields = schema.fields().iter();
        fields.map(|field| (field.name().clone(), field.data_type().clone(), field.is_nullable())).collect()
    };
    assert_eq!(columns(&schema), columns(&file_schema()));
    let reader = SerializedFileReader::new(std::fs::File::open(path).unwrap()).unwrap();
    let keys = reader.metadata().file_metadata().key_value_metadata().cloned().unwrap_or_default();
    assert!(keys.iter().any(|pair| pair.key == SCHEMA_VERSION_KEY && pair.value.as_deref() == Some("1")));
    assert!(keys.iter().all(|pair| pair.key != "ARROW:schema"));
    let trace_id = reader.metadata().row_group(0).column(0);
    assert!(trace_id.bloom_filter_offset().is_some());
    assert!(matches!(trace_id.compression(), parquet::basic::Compression::ZSTD(_)));
}

/// Scenario: generated spans, flushed and read back column by column.
/// Guarantees: ids, times, kind, status, resource, promoted and other attributes are those of the spans.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_hold_what_was_sent() {
    let home = Home::new();
    let store = home.open().await;
    append(&store, 5, 500).await.unwrap();
    let path = one_file(&store).await;
    let model = spans(5, 500, START);
    let mut row = 0;
    for batch in read_file(&path) {
        let text = |name: &str, at: usize| {
            let column = batch.column_by_name(name).unwrap().as_string::<i32>();
            (!column.is_null(at)).then(|| column.value(at).to_owned())
        };
        let number = |name: &str, at: usize| batch.column_by_name(name).unwrap().as_primitive::<Int64Type>().value(at);
        let small = |name: &str, at: usize| batch.column_by_name(name).unwrap().as_primitive::<Int32Type>().value(at);
        let bytes = |name: &str, at: usize| {
            let column = batch.column_by_name(name).unwrap().as_binary::<i32>();
            (!column.is_null(at)).then(|| column.value(at).to_vec())
        };
        for at in 0..batch.num_rows() {
            let span = &model[row];
            assert_eq!(bytes(col::TRACE_ID, at).unwrap(), span.trace.to_be_bytes());
            assert_eq!(bytes(col::SPAN_ID, at).unwrap(), span.span.to_be_bytes());
            assert_eq!(bytes(col::PARENT_SPAN_ID, at), span.parent.map(|parent| parent.to_be_bytes().to_vec()));
            assert_eq!(number(col::START, at).cast_unsigned(), span.start);
            assert_eq!(number(col::DURATION, at).cast_unsigned(), span.end.saturating_sub(span.start));
            assert_eq!(number(col::RECEIVED, at), START.0);
            assert_eq!((small(col::KIND, at), small(col::STATUS_CODE, at)), (span.kind, span.status));
            assert_eq!(text(col::SERVICE_NAME, at).as_ref(), Some(&span.service));
            assert_eq!(text(col::SERVICE_VERSION, at), span.version);
            assert_eq!(text(col::NAME, at).as_ref(), Some(&span.name));
            assert_eq!(text("http_request_method", at).as_deref(), Some("GET"));
            let sent = span.attributes.iter().map(|(key, _)| key.text());
            let in_map = sent.filter(|key| !key.starts_with("http.") && *key != "error.type");
            let keys: Vec<String> = in_map.map(str::to_owned).collect();
            let entries = batch.column_by_name(col::ATTRIBUTES).unwrap().as_map().value(at);
            let found: Vec<_> = entries.column(0).as_string::<i32>().iter().flatten().map(str::to_owned).collect();
            assert_eq!(found, keys);
            row += 1;
        }
    }
    assert_eq!(row, model.len());
}

/// Scenario: requests of three hours, one of them before 1970, in one flush.
/// Guarantees: each hour has its file in its folder, with bounds and rows as the spans have them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_hour_has_its_file() {
    let home = Home::new();
    let store = home.open().await;
    let hour_ns = 3_600_000_000_000_i64;
    for (seed, received) in [(1, START.0), (2, START.0 + hour_ns), (3, -hour_ns), (4, START.0)] {
        let (frame, batch) = seeded_frame(seed, 10, UnixNanos(received));
        store.append(frame, batch).await.unwrap();
    }
    store.flush().await.unwrap();
    let files = store.snapshot().files;
    let hours: Vec<_> = files.iter().map(|file| (file.received_hour.as_str(), file.rows)).collect();
    assert_eq!(hours, [("1969-12-31T23", 10), ("2023-11-14T22", 20), ("2023-11-14T23", 10)]);
    let model: Vec<u64> = [1, 4].into_iter().flat_map(|seed| spans(seed, 10, START)).map(|span| span.start).collect();
    let bounds = files[1].start_range.map(|(least, most)| (least.cast_unsigned(), most.cast_unsigned()));
    assert_eq!(bounds, Some((*model.iter().min().unwrap(), *model.iter().max().unwrap())));
    drop(store);
    assert_eq!(home.open().await.snapshot().files, files);
}

/// Scenario: 230 flushes.
/// Guarantees: checkpoints are written on the way, and a restart knows every file and answers every span once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_commits_are_checkpointed() {
    let home = Home::new();
    let store = home.open().await;
    for seed in 0..230 {
        append(&store, seed, 1).await.unwrap();
        store.flush().await.unwrap();
    }
    let files = store.snapshot().files;
    store.close().await.unwrap();
    drop(store);
    let log = home.config.data_dir.join("spans/_delta_log");
    let names: Vec<String> = std::fs::read_dir(log)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(names.iter().filter(|name| name.ends_with(".checkpoint.parquet")).count(), 2, "{names:?}");
    assert!(names.iter().all(|name| !name.ends_with(".tmp")));
    let snapshot = home.open().await.snapshot();
    let sorted = |files: &[crate::DataFile]| {
        let mut files = files.to_vec();
        files.sort_by(|one, other| one.path.cmp(&other.path));
        files
    };
    assert_eq!(sorted(&snapshot.files), sorted(&files));
    assert_eq!(found(&snapshot), expected((0..230).map(|seed| (seed, 1))));
}

/// Scenario: another engine commits to the table between two flushes: first harmlessly, then it changes the schema.
/// Guarantees: the flush goes around the first; the second stops flushes with an error, and the spans stay visible.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_writers_are_followed_or_refused() {
    let home = Home::new();
    let store = home.open().await;
    append(&store, 1, 3).await.unwrap();
    store.flush().await.unwrap();
    let log = home.config.data_dir.join("spans/_delta_log");
    let entry = |version: u64, action: &str| std::fs::write(log.join(format!("{version:020}.json")), action).unwrap();
    entry(2, "{\"commitInfo\":{\"operation\":\"OTHER\"}}\n");
    append(&store, 2, 3).await.unwrap();
    store.flush().await.unwrap();
    assert_eq!(found(&store.snapshot()), expected([(1, 3), (2, 3)]));
    assert!(log.join(format!("{:020}.json", 3)).is_file());
    let path = store.snapshot().files[0].path.clone();
    entry(4, &format!("{{\"remove\":{{\"path\":\"{path}\",\"dataChange\":true}}}}\n"));
    append(&store, 3, 3).await.unwrap();
    store.flush().await.unwrap();
    assert_eq!(found(&store.snapshot()), expected([(2, 3), (3, 3)]));
    entry(6, "{\"metaData\":{\"id\":\"x\"}}\n");
    append(&store, 4, 3).await.unwrap();
    assert!(store.flush().await.is_err());
    assert_eq!(found(&store.snapshot()), expected([(2, 3), (3, 3), (4, 3)]));
    assert_eq!(store.status().flush_failures, 1);
}

/// Scenario: four readers take snapshots without pause while requests and flushes go on.
/// Guarantees: no snapshot ever lacks a span that was answered before it, or shows one twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_snapshot_never_sees_a_flush_half_done() {
    let home = Home::new();
    let store = home.open().await;
    let answered = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (store, answered, done) = (Arc::clone(&store), Arc::clone(&answered), Arc::clone(&done));
            tokio::task::spawn_blocking(move || {
                let mut looks = 0_u64;
                while !done.load(std::sync::atomic::Ordering::SeqCst) || looks == 0 {
                    let at_least = answered.load(std::sync::atomic::Ordering::SeqCst);
                    let snapshot = store.snapshot();
                    let buffered: u64 = snapshot.buffered.iter().map(|batch| batch.len() as u64).sum();
                    let rows = buffered + snapshot.files.iter().map(|file| file.rows).sum::<u64>();
                    assert!(rows >= at_least, "{rows} rows, {at_least} answered");
                    assert!(rows <= answered.load(std::sync::atomic::Ordering::SeqCst) + 3, "{rows} rows");
                    looks += 1;
                }
            })
        })
        .collect();
    for seed in 0..120 {
        append(&store, seed, 3).await.unwrap();
        answered.fetch_add(3, std::sync::atomic::Ordering::SeqCst);
        if seed % 5 == 4 {
            store.flush().await.unwrap();
        }
    }
    done.store(true, std::sync::atomic::Ordering::SeqCst);
    for reader in readers {
        reader.await.unwrap();
    }
    assert_eq!(found(&store.snapshot()), expected((0..120).map(|seed| (seed, 3))));
}

/// Scenario: spans wait longer than the flush interval; later, more bytes wait than a flush is due at.
/// Guarantees: both times the background task flushes by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn age_and_size_start_a_flush() {
    let mut home = Home::new();
    home.config.flush_bytes = 200_000;
    let store = home.open().await;
    append(&store, 1, 3).await.unwrap();
    home.clock.advance(std::time::Duration::from_secs(3601));
    super::support::eventually(|| store.snapshot().buffered.is_empty()).await;
    let (frame, _) = seeded_frame(2, 1500, UnixNanos(START.0 + 3_700_000_000_000));
    let batch = batch_of(frame.received, &spans(2, 1500, START));
    store.append(frame, batch).await.unwrap();
    super::support::eventually(|| store.snapshot().buffered.is_empty()).await;
    assert_eq!(store.status().flushes, 2);
}

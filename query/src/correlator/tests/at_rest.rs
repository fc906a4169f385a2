//! The engine's tables of a folder that no server uses.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use daytwo_storage::testing::{SeededReplay, by_hand};
use daytwo_storage::{Frame, PayloadCompression, PayloadFormat, Store};
use tempfile::TempDir;

use super::*;

/// A store whose clock the test holds and that flushes when told to.
async fn store(folder: &TempDir, clock: &Arc<ManualClock>) -> Arc<Store> {
    let config = by_hand(folder.path().join("data"));
    Store::open(config, Arc::clone(clock) as Arc<dyn Clock>, Arc::new(SeededReplay)).await.unwrap()
}

async fn append(store: &Store, number: u64, now: i64, spans: &[Sent]) {
    append_batch(store, number, now, batch(now, spans)).await;
}

async fn append_batch(store: &Store, number: u64, now: i64, batch: SpanBatch) {
    let frame = Frame {
        payload: number.to_be_bytes().to_vec().into(),
        format: PayloadFormat::Protobuf,
        compression: PayloadCompression::None,
        request_hash: u128::from(number),
        received: UnixNanos(now),
        rejected: Vec::new(),
    };
    store.append(frame, batch).await.unwrap();
}

fn texts(table: &RecordBatch, column: &str) -> Vec<String> {
    let column = table.column_by_name(column).unwrap().as_string::<i32>();
    column.iter().map(|text| text.unwrap_or_default().to_owned()).collect()
}

/// Scenario: 70 s of a bad release, half of it in a file and half in memory, read a day later with no engine running.
/// Guarantees: its deployments and verdict stand as at the last span, each span is counted once, objectives are none.
#[tokio::test]
async fn a_folder_at_rest_is_measured_and_judged() {
    let (folder, clock) = (TempDir::new().unwrap(), Arc::new(ManualClock::at(UnixNanos(START))));
    let store = store(&folder, &clock).await;
    let mut sent = 0;
    for second in 0..70_u64 {
        let spans = a_second_of_a_bad_release(second, clock.now().0).concat();
        sent += spans.len();
        append(&store, second, clock.now().0, &spans).await;
        if second == 35 {
            store.flush().await.unwrap();
        }
        clock.advance(Duration::from_secs(1));
    }
    clock.advance(Duration::from_secs(86_400));
    let snapshot = store.snapshot();
    assert!(!snapshot.files.is_empty() && !snapshot.buffered.is_empty());
    let tables = EngineAtRest::new(EngineConfig::default(), clock, snapshot);
    let deployments = tables.table(EngineTable::Deployments).unwrap();
    let releases: Vec<(String, String)> =
        texts(&deployments, "version").into_iter().zip(texts(&deployments, "state")).collect();
    assert!(releases.contains(&("p2".to_owned(), "FAIL".to_owned())), "{releases:?}");
    let verdicts = tables.table(EngineTable::Verdicts).unwrap();
    let judged = texts(&verdicts, "version").into_iter().zip(texts(&verdicts, "class"));
    assert!(judged.into_iter().any(|row| row == ("p2".to_owned(), "OWN".to_owned())));
    let slis = tables.table(EngineTable::Slis).unwrap();
    let counted = slis.column_by_name("spans").unwrap().as_primitive::<Int64Type>();
    assert_eq!(arrow::compute::sum(counted).unwrap(), i64::try_from(sent).unwrap());
    assert_eq!(tables.table(EngineTable::Slos).unwrap().num_rows(), 0);
    store.close().await.unwrap();
}

/// Scenario: 60 s of a bad variant: the first third in a file whose spans have the flag in attributes, then a file without any flag, the rest in
/// memory; read when nothing runs.
/// Guarantees: the flag's traces of file and memory are counted, and the variant FAILs as it did while it was followed.
#[tokio::test]
async fn flags_are_read_from_files_too() {
    let (folder, clock) = (TempDir::new().unwrap(), Arc::new(ManualClock::at(UnixNanos(START))));
    let store = store(&folder, &clock).await;
    for second in 0..60_u64 {
        let now = clock.now();
        let spans = flags::visits(second, now);
        append_batch(&store, second, now.0, daytwo_storage::testing::batch_of(now, &spans)).await;
        if second == 20 {
            store.flush().await.unwrap();
            append(&store, 1_000, now.0, &call(900_000, "p1", now.0, 20 * MS)).await;
            store.flush().await.unwrap();
        }
        clock.advance(Duration::from_secs(1));
    }
    clock.advance(Duration::from_secs(3_600));
    let snapshot = store.snapshot();
    assert!(snapshot.files.len() == 2 && !snapshot.buffered.is_empty());
    let tables = EngineAtRest::new(EngineConfig::default(), clock, snapshot);
    let table = tables.table(EngineTable::Flags).unwrap();
    let rows: Vec<(String, String)> = texts(&table, "flag").into_iter().zip(texts(&table, "state")).collect();
    assert_eq!(rows[0], ("ranking".to_owned(), "FAIL".to_owned()), "{rows:?}");
    let traces = |column: &str| table.column_by_name(column).unwrap().as_primitive::<Int64Type>().value(0);
    assert_eq!(traces("traces") + traces("control_traces"), 1_200);
    store.close().await.unwrap();
}

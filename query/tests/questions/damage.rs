//! Data files that are damaged or gone.

use std::fs;
use std::path::PathBuf;

use daytwo_query::TraceSearch;
use serde_json::{Value, json};

use crate::harness::World;

/// Three files of 300 spans; the path of the middle one.
async fn three_files(world: &World) -> PathBuf {
    for seed in 1..=3 {
        world.seed(seed, 300).await;
        world.flush().await;
    }
    let snapshot = world.store.snapshot();
    snapshot.table_dir.join(&snapshot.files[1].path)
}

/// A way to damage a file.
type Damage = (&'static str, fn(&PathBuf));

fn damages() -> Vec<Damage> {
    vec![
        ("gone", |path| fs::remove_file(path).unwrap()),
        ("empty", |path| fs::write(path, []).unwrap()),
        ("footer cut off", |path| {
            let bytes = fs::read(path).unwrap();
            fs::write(path, &bytes[..bytes.len() - 100]).unwrap();
        }),
        ("pages overwritten", |path| {
            let mut bytes = fs::read(path).unwrap();
            let pages = bytes.len() / 2;
            bytes[4..pages].fill(0xA5);
            fs::write(path, bytes).unwrap();
        }),
        ("footer length absurd", |path| {
            let mut bytes = fs::read(path).unwrap();
            let at = bytes.len() - 8;
            bytes[at..at + 4].copy_from_slice(&[0xFF, 0xFF, 0xFF, 0x7F]);
            fs::write(path, bytes).unwrap();
        }),
    ]
}

fn mentions_damage(partial: &Value) -> bool {
    partial.as_array().unwrap().iter().any(|line| line.as_str().unwrap().contains(".parquet"))
}

/// Scenario: one of three files is damaged in each way, then SQL is asked twice.
/// Guarantees: both answers have the spans of the other files and name the missing one; nothing panics.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sql_goes_on_without_a_damaged_file() {
    for (way, damage) in damages() {
        let world = World::new().await;
        damage(&three_files(&world).await);
        for sql in
            ["SELECT count(name), max(hex(span_id)), count(attributes) FROM spans", "SELECT count(name) FROM spans"]
        {
            let document = world.document(sql).await;
            assert_eq!(document["rows"][0][0], json!("600"), "{way}");
            assert!(mentions_damage(&document["partial"]), "{way}: {}", document["partial"]);
        }
    }
}

/// Scenario: as before, asked by id and by search.
/// Guarantees: other files answer; the missing one is named.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lookups_and_searches_go_on() {
    for (way, damage) in damages() {
        let world = World::new().await;
        let path = three_files(&world).await;
        let third = daytwo_storage::testing::spans(3, 300, crate::harness::RECEIVED);
        damage(&path);
        let found = world.engine.search(TraceSearch { limit: 1_000, ..TraceSearch::default() }).await.unwrap();
        assert_eq!(found.traces.iter().map(|trace| trace.spans).sum::<u64>(), 600, "{way}");
        assert!(!found.partial.is_empty(), "{way}");
        let trace = world.engine.trace_spans(third[0].trace_id()).await.unwrap();
        assert!(trace.batch.num_rows() > 0, "{way}");
        assert!(!trace.partial.is_empty(), "{way}");
    }
}

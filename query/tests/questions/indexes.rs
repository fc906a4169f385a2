//! What the files' indexes change, and what they must not: the cost of answers, never the answers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use daytwo_query::{OperationName, TraceId, TraceSearch};
use daytwo_storage::testing::TestSpan;

use crate::harness::{RECEIVED, World};

fn indexes(world: &World) -> Vec<PathBuf> {
    let folder = world.store.snapshot().table_dir.parent().unwrap().join("index");
    let hours = std::fs::read_dir(folder).unwrap().map(|hour| hour.unwrap().path());
    let mut all: Vec<PathBuf> =
        hours.flat_map(|hour| std::fs::read_dir(hour).unwrap().map(|file| file.unwrap().path())).collect();
    all.sort();
    all
}

fn having(key: &str, value: &str) -> TraceSearch {
    TraceSearch { attributes: vec![(key.to_owned(), value.to_owned())], limit: 1_000, ..TraceSearch::default() }
}

/// Six files of 300 spans, of which one span in the third has an attribute of its own.
async fn six_files(world: &World) -> Vec<TestSpan> {
    let mut all = Vec::new();
    for seed in 1..=6 {
        all.extend(world.seed(seed, 300).await);
        if seed == 3 {
            let needle = TestSpan::new(4_242, 1).at(u64::try_from(RECEIVED.0).unwrap()).text("needle", "x");
            world.add(std::slice::from_ref(&needle)).await;
            all.push(needle);
        }
        world.flush().await;
    }
    all
}

async fn found(world: &World, search: TraceSearch) -> BTreeSet<TraceId> {
    world.engine.search(search).await.unwrap().traces.into_iter().map(|trace| trace.trace_id).collect()
}

/// Answers of every kind, each from a loop over all spans.
async fn check(world: &World, all: &[TestSpan]) {
    let traces = |holds: &dyn Fn(&TestSpan) -> bool| -> BTreeSet<TraceId> {
        all.iter().filter(|span| holds(span)).map(TestSpan::trace_id).collect()
    };
    let text = |value: &'static str| move |span: &TestSpan| format!("{:?}", span.attributes).contains(value);
    assert_eq!(found(world, having("needle", "x")).await, traces(&text("needle")));
    assert_eq!(found(world, having("needle", "y")).await, BTreeSet::new());
    assert_eq!(found(world, having("tenant", "blue")).await, traces(&text("blue")));
    let failed = TraceSearch { service: Some("cart".into()), status: Some(2), limit: 1_000, ..TraceSearch::default() };
    assert_eq!(found(world, failed).await, traces(&|span| span.service == "cart" && span.status == 2));
    for span in all.iter().step_by(97) {
        let mine = all.iter().filter(|other| other.trace == span.trace).count();
        assert_eq!(world.engine.trace_spans(span.trace_id()).await.unwrap().batch.num_rows(), mine);
    }
    for (filter, count) in [
        ("attr(attributes, 'needle') = 'x'", all.iter().filter(|span| text("needle")(span)).count()),
        (
            "attr(attributes, 'http.response.status_code') = '404'",
            all.iter().filter(|span| text("(404)")(span)).count(),
        ),
        (
            "service_name = 'cart' AND status_code = 2",
            all.iter().filter(|s| s.service == "cart" && s.status == 2).count(),
        ),
        (
            "name = 'charge' OR name = 'reserve'",
            all.iter().filter(|s| s.name == "charge" || s.name == "reserve").count(),
        ),
        ("service_version = '1.1.0'", all.iter().filter(|s| s.version.as_deref() == Some("1.1.0")).count()),
        ("http_response_status_code = 500", all.iter().filter(|span| text("(500)")(span)).count()),
    ] {
        let counted = world.value(&format!("SELECT count(*) FROM spans WHERE {filter}")).await;
        assert_eq!(counted, serde_json::json!(count.to_string()), "{filter}");
    }
}

/// Scenario: every kind of question over six files with their indexes; then these are gone, cut, or flipped in the
/// middle, one way at a time, and everything is asked again at once.
/// Guarantees: every answer is that of a loop over the spans, each time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_do_not_depend_on_indexes() {
    let ways: [fn(&PathBuf); 4] = [
        |_| (),
        |path| std::fs::remove_file(path).unwrap(),
        |path| {
            let bytes = std::fs::read(path).unwrap();
            std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
        },
        |path| {
            let mut bytes = std::fs::read(path).unwrap();
            (0..bytes.len() / 2).for_each(|at| bytes[at] ^= 0x55);
            std::fs::write(path, bytes).unwrap();
        },
    ];
    for way in ways {
        let world = World::new().await;
        let all = six_files(&world).await;
        assert_eq!(indexes(&world).len(), 6);
        indexes(&world).iter().for_each(way);
        check(&world, &all).await;
    }
}

/// Scenario: an engine that keeps no index in memory.
/// Guarantees: the same answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_do_not_depend_on_memory() {
    let world = World::with(|config| config.index_cache_bytes = 0).await;
    let all = six_files(&world).await;
    check(&world, &all).await;
}

/// Scenario: a trace of one file, a trace that is not stored, an attribute that one span has, and one that none has.
/// Guarantees: only the files that hold them are read, and what was read is said.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_files_that_count_are_read() {
    let world = World::new().await;
    six_files(&world).await;
    let known = world.engine.trace_spans(TestSpan::new(4_242, 1).trace_id()).await.unwrap();
    assert_eq!((known.batch.num_rows(), known.stats.files_scanned, known.stats.files_total), (1, 1, 6));
    assert!(known.stats.data_bytes > 0 && known.stats.index_bytes > 0);
    let unknown = world.engine.trace_spans(TraceId::from_bytes(&[0xEE; 16]).unwrap()).await.unwrap();
    assert_eq!((unknown.stats.files_scanned, unknown.stats.data_bytes), (0, 0));
    let rare = world.engine.search(having("needle", "x")).await.unwrap();
    assert_eq!((rare.traces.len(), rare.stats.files_scanned), (1, 1));
    assert!(rare.stats.data_bytes > 0 && rare.stats.index_bytes > 0);
    let absent = world.engine.search(having("needle", "nowhere")).await.unwrap();
    assert_eq!((absent.traces.len(), absent.stats.files_scanned, absent.stats.data_bytes), (0, 0, 0));
    let plan = world.explain("SELECT name FROM spans WHERE attr(attributes, 'needle') = 'x'").await;
    assert_eq!(plan.matches(".parquet").count(), 1, "{plan}");
}

/// Scenario: spans in files and in the buffer, asked for their names; more come and are flushed; then a file is set aside.
/// Guarantees: operations, versions and attribute keys are those of a loop over what is stored each time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_those_of_what_is_stored() {
    let world = World::new().await;
    let mut all = world.seed(1, 200).await;
    let check = async |all: &[TestSpan]| {
        let names = world.engine.catalogue().await.unwrap().catalogue;
        let mut operations: BTreeMap<OperationName, u64> = BTreeMap::new();
        let mut keys: BTreeMap<String, u64> = BTreeMap::new();
        for span in all {
            let (service, operation) = (span.service.clone(), span.name.clone());
            *operations.entry(OperationName { service, operation, kind: span.kind }).or_default() += 1;
            span.attributes.iter().for_each(|(key, _)| *keys.entry(key.text().to_owned()).or_default() += 1);
        }
        assert_eq!((names.operations.counts, names.operations.overflow), (operations, false));
        assert_eq!((names.span_keys.counts, names.span_keys.overflow), (keys, false));
    };
    check(&all).await;
    world.flush().await;
    check(&all).await;
    all.extend(world.seed(2, 100).await);
    check(&all).await;
    world.flush().await;
    let second = all.split_off(200);
    check(&[all.clone(), second.clone()].concat()).await;
    let snapshot = world.store.snapshot();
    let path = snapshot.files[0].path.clone();
    std::fs::write(snapshot.table_dir.join(&path), b"nothing").unwrap();
    assert!(world.store.report_damaged(&path, "a test").await.unwrap());
    check(&second).await;
}

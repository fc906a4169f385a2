//! Finding traces by what their spans are like.

use std::collections::BTreeSet;

use daytwo_query::{TraceSearch, TraceSummary};
use daytwo_storage::UnixNanos;
use daytwo_storage::testing::TestSpan;

use crate::harness::{RECEIVED, World};

fn at(offset: u64) -> u64 {
    u64::try_from(RECEIVED.0).unwrap() + offset
}

fn search(limit: usize) -> TraceSearch {
    TraceSearch { limit, ..TraceSearch::default() }
}

async fn ids(world: &World, search: TraceSearch) -> Vec<u128> {
    let found = world.engine.search(search).await.unwrap();
    found.traces.iter().map(|trace| u128::from_be_bytes(*trace.trace_id.as_bytes())).collect()
}

/// Scenario: searches of every kind over seeded spans, in files and buffer.
/// Guarantees: the traces found are those of a loop over all spans.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_equal_a_naive_model() {
    let world = World::new().await;
    let mut spans = world.seed(1, 500).await;
    world.flush().await;
    spans.extend(world.seed(2, 500).await);
    let some = |text: &str| Some(text.to_owned());
    let attribute = |key: &str, value: &str| vec![(key.to_owned(), value.to_owned())];
    let has = |span: &TestSpan, key: &str, value: &str| {
        span.attributes.iter().any(|(k, v)| k.text() == key && format!("{v:?}").contains(value))
    };
    type Model<'a> = Box<dyn Fn(&TestSpan) -> bool + 'a>;
    let cases: Vec<(TraceSearch, Model<'_>)> = vec![
        (search(1_000), Box::new(|_| true)),
        (TraceSearch { service: some("cart"), ..search(1_000) }, Box::new(|span| span.service == "cart")),
        (TraceSearch { operation: some("charge"), ..search(1_000) }, Box::new(|span| span.name == "charge")),
        (TraceSearch { status: Some(2), ..search(1_000) }, Box::new(|span| span.status == 2)),
        (
            TraceSearch { min_duration_ns: Some(150_000_000), max_duration_ns: Some(160_000_000), ..search(1_000) },
            Box::new(|span| (150_000_000..=160_000_000).contains(&span.end.saturating_sub(span.start))),
        ),
        (
            TraceSearch { attributes: attribute("tenant", "grün"), ..search(1_000) },
            Box::new(move |span| has(span, "tenant", "grün")),
        ),
        (
            TraceSearch { attributes: attribute("http.response.status_code", "404"), ..search(1_000) },
            Box::new(move |span| has(span, "http.response.status_code", "Integer(404)")),
        ),
        (
            TraceSearch { attributes: attribute("service.version", "1.1.0"), ..search(1_000) },
            Box::new(|span| span.version.as_deref() == Some("1.1.0")),
        ),
        (TraceSearch { environment: some(""), ..search(1_000) }, Box::new(|_| false)),
        (
            TraceSearch { from: Some(UnixNanos(RECEIVED.0 - 600_000_000_000)), to: Some(RECEIVED), ..search(1_000) },
            Box::new(|span| (at(0) - 600_000_000_000..at(0)).contains(&span.start)),
        ),
    ];
    for (search, model) in cases {
        let expected: BTreeSet<u128> = spans.iter().filter(|span| model(span)).map(|span| span.trace).collect();
        let found: BTreeSet<u128> = ids(&world, search.clone()).await.into_iter().collect();
        assert_eq!(found, expected, "{search:?}");
    }
}

/// Scenario: eight files, each newer than the one before, and the three newest traces wanted.
/// Guarantees: exactly those, newest first, marked as cut, without reading the older files.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_come_first_and_old_files_stay_closed() {
    let world = World::new().await;
    for file in 0..8_u64 {
        let span = |n: u64| TestSpan::new(u128::from(file * 10 + n), 1).at(at(file * 1_000 + n));
        world.add(&(1..=5).map(span).collect::<Vec<_>>()).await;
        world.flush().await;
    }
    let found = world.engine.search(search(3)).await.unwrap();
    let newest: Vec<u128> = found.traces.iter().map(|t| u128::from_be_bytes(*t.trace_id.as_bytes())).collect();
    assert_eq!(newest, [75, 74, 73]);
    assert!(found.truncated);
    assert_eq!((found.stats.files_total, found.stats.files_scanned), (8, 1));
    let all = world.engine.search(search(40)).await.unwrap();
    assert_eq!((all.traces.len(), all.truncated, all.stats.files_scanned), (40, false, 8));
}

/// Scenario: one span of a trace matches; its root lies in an older file, and one span was received twice.
/// Guarantees: the summary is of the whole trace, each span counted once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_summary_is_of_the_whole_trace() {
    let world = World::new().await;
    let root = TestSpan::new(5, 1).service("web").name("GET /").at(at(0)).lasting(1_000);
    world.add(std::slice::from_ref(&root)).await;
    world.flush().await;
    let failed = TestSpan::new(5, 2).parent(1).service("pay").name("charge").at(at(100)).lasting(2_000).error();
    world.add(std::slice::from_ref(&failed)).await;
    world.add(&[failed, TestSpan::new(5, 3).parent(1).service("pay").at(at(50)).lasting(1)]).await;
    let found = world.engine.search(TraceSearch { status: Some(2), ..search(20) }).await.unwrap();
    let expected = TraceSummary {
        trace_id: root.trace_id(),
        root_service: Some("web".into()),
        root_operation: Some("GET /".into()),
        start_unix_nano: RECEIVED.0,
        duration_ns: 2_100,
        spans: 3,
        errors: 1,
        services: vec![("pay".into(), 2), ("web".into(), 1)],
        matched_spans: 2,
    };
    assert_eq!(found.traces, [expected]);
    assert!(!found.truncated);
}

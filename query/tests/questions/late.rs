//! Spans that come late: found by every kind of question, before and after their files are merged, and gone when they expire.

use std::time::Duration;

use daytwo_query::TraceSearch;
use daytwo_storage::UnixNanos;
use daytwo_storage::testing::TestSpan;

use crate::harness::{RECEIVED, World};

const HOUR: Duration = Duration::from_secs(3600);

/// How late the spans are: nothing to thirty days.
fn late_by() -> [Duration; 6] {
    [Duration::ZERO, Duration::from_secs(1), HOUR, HOUR * 24, HOUR * 24 * 7, HOUR * 24 * 30]
}

fn start(late: Duration) -> UnixNanos {
    RECEIVED.saturating_sub(late + Duration::from_secs(1))
}

/// Asks for each span by id, by search and by SQL, each time within a window of a second around its start.
async fn check(world: &World, expected: usize, context: &str) {
    for (trace, late) in (1_u128..).zip(late_by()) {
        let (from, to) = (start(late), start(late).saturating_add(Duration::from_nanos(1)));
        let span = TestSpan::new(trace, 1);
        let found = world.engine.trace_spans(span.trace_id()).await.unwrap();
        assert_eq!((found.batch.num_rows(), found.partial.len()), (expected, 0), "{context}: {late:?} late, by id");
        let search = TraceSearch { from: Some(from), to: Some(to), limit: 10, ..TraceSearch::default() };
        let found = world.engine.search(search).await.unwrap();
        let ids: Vec<_> = found.traces.iter().map(|found| found.trace_id).collect();
        assert_eq!(ids, vec![span.trace_id(); expected], "{context}: {late:?} late, by search");
        let sql = format!(
            "SELECT count(*) FROM spans WHERE start_time_unix_nano >= {} AND start_time_unix_nano < {}",
            from.0, to.0
        );
        assert_eq!(world.value(&sql).await, expected.to_string(), "{context}: {late:?} late, by SQL");
    }
}

/// Scenario: spans that are nothing to thirty days late, a file each; asked while in memory, in files, after the files
/// were merged, and after three hours for which they are kept.
/// Guarantees: each is found by id, by search and by SQL with its time as predicate, until all expire by their reception; no
/// answer is called partial.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_spans_are_found_by_every_question() {
    let world = World::over(
        |store| {
            store.compaction_target_bytes = 1 << 20;
            store.retention = HOUR * 3;
        },
        |_| {},
    )
    .await;
    for (trace, late) in (1_u128..).zip(late_by()) {
        let at = u64::try_from(start(late).0).unwrap();
        world.add(&[TestSpan::new(trace, 1).at(at)]).await;
        check_one_in_memory(&world, trace).await;
        world.flush().await;
    }
    check(&world, 1, "in files").await;
    world.clock.advance(HOUR * 2);
    world.store.compact().await.unwrap();
    assert_eq!(world.store.snapshot().files.len(), 1);
    check(&world, 1, "in a merged file").await;
    world.store.expire().await.unwrap();
    check(&world, 1, "kept").await;
    world.clock.advance(HOUR * 2);
    world.store.expire().await.unwrap();
    check(&world, 0, "expired").await;
}

async fn check_one_in_memory(world: &World, trace: u128) {
    let found = world.engine.trace_spans(TestSpan::new(trace, 1).trace_id()).await.unwrap();
    assert_eq!(found.batch.num_rows(), 1);
}

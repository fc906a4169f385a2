//! A process that dies at any disk operation: what was answered is there once, and nothing is there that was not sent.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::support::{Counts, Home, append, expected, expected_at, found};
use crate::testing::{Faults, Seeded, seeded_frame};
use crate::{Clock, Store, UnixNanos};

/// Seeds of one run: as many as said, or those of `DAYTWO_SEEDS` (`20000`, or `417..418` to repeat a failure).
pub(super) fn seeds(default: u64) -> std::ops::Range<u64> {
    #[expect(clippy::disallowed_methods, reason = "a test runner says how long to search")]
    let Ok(said) = std::env::var("DAYTWO_SEEDS") else {
        return 0..default;
    };
    let number = |text: &str| text.parse().unwrap_or_else(|error| panic!("DAYTWO_SEEDS={said}: {error}"));
    said.split_once("..").map_or_else(|| 0..number(&said), |(from, to)| number(from)..number(to))
}

/// Scenario: over seeds, a store appends, flushes, merges files, vacuums and lets old spans go at random and dies at a random disk operation, possibly in the
/// middle of a write; it is opened again, sometimes dying during the open; this goes on for several lives.
/// Guarantees: after each life every answered request that is to be kept is found once, unanswered ones at most once, nothing else at all,
/// and a retry of an answered one is a duplicate.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answered_requests_survive_a_crash_at_any_point() {
    live_all(seeds(60), false).await;
}

/// Scenario: as above, and with each death the power goes: what no sync confirmed is lost, wholly or in part, data and
/// names independently of each other.
/// Guarantees: the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answered_requests_survive_a_power_cut_at_any_point() {
    live_all(seeds(200), true).await;
}

/// Several at once, since most of a life is waiting for threads to end.
async fn live_all(seeds: std::ops::Range<u64>, power_cut: bool) {
    let mut running = tokio::task::JoinSet::new();
    for seed in seeds {
        if running.len() == 16 {
            running.join_next().await.unwrap().unwrap();
        }
        running.spawn(lives(seed, power_cut));
    }
    while let Some(ended) = running.join_next().await {
        ended.unwrap();
    }
}

/// How long spans are kept here.
const KEPT: Duration = Duration::from_secs(2 * 3600);

/// A request: its seed and when it was received.
type Request = (u64, UnixNanos);

async fn lives(seed: u64, power_cut: bool) {
    let mut random = Seeded::new(seed);
    let mut home = Home::in_memory();
    home.config.compaction_target_bytes = 1 << 20;
    home.config.compaction_keep_rows = if seed.is_multiple_of(2) { 0 } else { 1 << 20 };
    home.config.vacuum_after = Duration::ZERO;
    home.config.retention = KEPT;
    let (mut answered, mut unknown): (Vec<Request>, Vec<Request>) = (Vec::new(), Vec::new());
    let mut next = seed * 1_000;
    for life in 0..4 {
        let faults = Arc::new(Faults::default());
        faults.crash_at(1 + random.below(200));
        if power_cut {
            faults.watch_syncs();
        }
        if let Ok(store) = home.open_with(Arc::clone(&faults)).await {
            for _ in 0..40 {
                if keep_house(&home, &store, &mut random).await {
                    continue;
                }
                let (at_once, received) = (1 + random.below(4), home.clock.now());
                for (seed, stored) in append_at_once(&store, next + 1..=next + at_once, received, &mut random).await {
                    if stored { answered.push((seed, received)) } else { unknown.push((seed, received)) }
                }
                next += at_once;
                if faults.is_crashed() {
                    break;
                }
            }
        }
        if power_cut {
            home.until_unlocked().await;
            faults.cut_power(&mut random).unwrap_or_else(|error| panic!("SEED={seed} life {life}: {error}"));
        }
        let store = home.open().await;
        let context = format!("SEED={seed} life {life}");
        check(&store, home.clock.now(), &answered, &unknown, &context);
        // A request is remembered for ten minutes.
        if let Some(&one) = answered.last().filter(|(_, received)| home.clock.now() == *received) {
            assert!(send(&store, one).await.unwrap().duplicate, "{context}: a retry was stored again");
        }
    }
}

/// Sends requests of up to 3 KiB together, so that rounds of several frames reach over sectors.
async fn append_at_once(
    store: &Arc<Store>,
    requests: std::ops::RangeInclusive<u64>,
    received: UnixNanos,
    random: &mut Seeded,
) -> Vec<(u64, bool)> {
    let requests: Vec<_> = requests
        .map(|seed| {
            let (mut frame, batch) = seeded_frame(seed, 2, received);
            let mut payload = frame.payload.to_vec();
            payload.resize(payload.len() + usize::try_from(random.below(3000)).unwrap(), 0xAA);
            frame.payload = Bytes::from(payload);
            let store = Arc::clone(store);
            (seed, tokio::spawn(async move { store.append(frame, batch).await.is_ok() }))
        })
        .collect();
    let mut outcomes = Vec::new();
    for (seed, request) in requests {
        outcomes.push((seed, request.await.unwrap()));
    }
    outcomes
}

async fn send(store: &Store, (seed, received): Request) -> crate::Result<crate::Committed> {
    let (frame, batch) = seeded_frame(seed, 2, received);
    store.append(frame, batch).await
}

/// Perhaps flushes, merges, vacuums, lets spans expire or lets an hour pass; how that ends shows in what is found.
async fn keep_house(home: &Home, store: &Store, random: &mut Seeded) -> bool {
    match random.below(100) {
        0..20 => drop(store.flush().await),
        20..30 => drop(store.compact().await),
        30..38 => store.vacuum().await,
        38..42 => drop(store.expire().await),
        42..45 => home.clock.advance(Duration::from_secs(3600)),
        _ => return false,
    }
    true
}

fn counts(requests: &[Request]) -> Counts {
    let mut all = Counts::new();
    for (seed, received) in requests {
        expected_at([(*seed, 2)], *received).into_iter().for_each(|(key, count)| *all.entry(key).or_default() += count);
    }
    all
}

fn check(store: &Store, now: UnixNanos, answered: &[Request], unknown: &[Request], context: &str) {
    let snapshot = store.snapshot();
    let is_kept = |request: &&Request| {
        crate::partition::hour_end(&crate::partition::received_hour(request.1)).unwrap().saturating_add(KEPT) > now
    };
    let kept: Vec<Request> = answered.iter().filter(is_kept).copied().collect();
    let (must, sent, may) = (counts(&kept), counts(answered), counts(unknown));
    let found: Counts = found(&snapshot);
    for (key, count) in &must {
        assert_eq!(found.get(key), Some(count), "{context}: an answered span is lost or doubled");
    }
    for (key, count) in &found {
        let is_sent = sent.get(key) == Some(count) || may.get(key) == Some(count);
        assert!(is_sent, "{context}: a span nobody sent, or twice");
    }
    assert!(snapshot.holes.is_empty(), "{context}: {:?}", snapshot.holes);
}

/// Scenario: for every number n, the process dies at the n-th disk operation of a flush, until one flush gets through.
/// Guarantees: each time the open removes files that no commit names and the spans are there once; some of the deaths
/// leave such a file under its final name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flush_may_die_anywhere() {
    let mut orphans = 0;
    for operation in 1.. {
        let home = Home::new();
        let faults = Arc::new(Faults::default());
        let store = home.open_with(Arc::clone(&faults)).await.unwrap();
        append(&store, 1, 4).await.unwrap();
        faults.crash_at(faults.operations() + operation);
        let flushed = store.flush().await.is_ok();
        drop(store);
        let is_data = |path: &std::path::PathBuf| path.extension().is_some_and(|end| end == "parquet");
        let left = home.data_files().iter().filter(|path| is_data(path)).count();
        let store = home.open().await;
        let snapshot = store.snapshot();
        assert_eq!(found(&snapshot), expected([(1, 4)]), "died at {operation}");
        assert_eq!(home.data_files().len(), snapshot.files.len(), "died at {operation}");
        orphans += usize::from(left > snapshot.files.len());
        if flushed && !faults.is_crashed() {
            break;
        }
    }
    assert!(orphans > 0);
}

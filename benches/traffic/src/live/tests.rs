use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::demo::demo_scenario;
use crate::testing::{FakeCollector, Reply};

const START: u64 = 1_795_348_800_000_000_000;

/// A clock that moves by a second each time it is read, so that the shop lives twenty times as fast.
fn hasty_clock() -> Now {
    let reads = AtomicU64::new(0);
    Arc::new(move || START + reads.fetch_add(1, Ordering::SeqCst) * 1_000_000_000)
}

async fn wait_for(shop: &mut RunningShop, reached: impl FnMut(&Progress) -> bool) {
    let waiting = shop.progress.wait_for(reached);
    tokio::time::timeout(Duration::from_secs(300), waiting).await.expect("within five minutes").unwrap();
}

/// Scenario: the demo's shop against a collector that is busy now and then, until both releases have begun.
/// Guarantees: when the shop has closed, every span is acked or counted as dropped, the collector has exactly those acked,
/// and the releases are announced in order.
#[tokio::test]
async fn every_span_is_accounted_for() {
    let collector = FakeCollector::start(|nth| if nth % 7 == 3 { Reply::Busy } else { Reply::Accept }).await;
    let stop = CancellationToken::new();
    let retry = RetryPolicy { delay: Duration::from_millis(10), ..RetryPolicy::default() };
    // A slow machine must not make a request late: the collector would have what the shop gave up.
    let patience = Duration::from_secs(300);
    let usual = ShopConfig::new(collector.endpoints.clone(), demo_scenario());
    let config = ShopConfig { retry, timeout: patience, closing_time: patience, ..usual };
    let mut shop = run_shop(config, hasty_clock(), stop.clone()).unwrap();
    wait_for(&mut shop, |progress| progress.releases.len() == 2 && progress.retries > 0).await;
    wait_for(&mut shop, |progress| progress.spans_acked > 20_000).await;
    stop.cancel();
    shop.closed.await.unwrap();
    let progress = shop.progress.borrow().clone();
    assert_eq!(progress.spans, progress.spans_acked + progress.spans_rejected + progress.spans_dropped);
    assert_eq!(usize::try_from(progress.spans_acked).unwrap(), collector.spans());
    let names: Vec<_> = progress.releases.iter().map(|(service, version)| format!("{service} {version}")).collect();
    assert_eq!(names, ["recommendation v1.8.1", "payment v2.15.0"]);
}

/// Scenario: a shop that closes at once while its collector leaves every request without an answer.
/// Guarantees: what it could not send is counted as dropped.
#[tokio::test]
async fn a_shop_that_closes_counts_what_it_gives_up() {
    let collector = FakeCollector::start(|_| Reply::Never).await;
    let stop = CancellationToken::new();
    let usual = ShopConfig::new(collector.endpoints.clone(), demo_scenario());
    let config = ShopConfig { closing_time: Duration::ZERO, ..usual };
    let mut shop = run_shop(config, hasty_clock(), stop.clone()).unwrap();
    wait_for(&mut shop, |progress| progress.spans > 5_000).await;
    stop.cancel();
    shop.closed.await.unwrap();
    let progress = shop.progress.borrow().clone();
    assert_eq!((progress.spans_acked, progress.spans_dropped), (0, progress.spans));
}

/// Scenario: a shop with a minute of history, whose clock stands still.
/// Guarantees: the history of 20 traces a second is sent whole, although the day has hardly begun.
#[tokio::test]
async fn history_is_sent_whole() {
    let collector = FakeCollector::start(|_| Reply::Accept).await;
    let stop = CancellationToken::new();
    let scenario = Scenario { traces_per_second: 20.0, releases: Vec::new(), flags: Vec::new() };
    let backfill = Duration::from_secs(61);
    let config = ShopConfig { backfill, ..ShopConfig::new(collector.endpoints.clone(), scenario) };
    let model = Model::new(ModelConfig::default());
    let expected: usize = (0..1_200).map(|nth| model.trace((1 << 40) + nth, START).len()).sum();
    let mut shop = run_shop(config, Arc::new(|| START), stop.clone()).unwrap();
    wait_for(&mut shop, |progress| progress.spans_acked >= u64::try_from(expected).unwrap()).await;
    assert_eq!(collector.spans(), expected);
    stop.cancel();
    shop.closed.await.unwrap();
}

/// Scenario: a collector that never takes anything, and a queue of one batch per service.
/// Guarantees: the shop goes on, memory stays bounded, and what is given up is counted with a reason.
#[tokio::test]
async fn a_deaf_collector_costs_spans_not_memory() {
    let collector = FakeCollector::start(|_| Reply::Busy).await;
    let stop = CancellationToken::new();
    let mut config = ShopConfig::new(collector.endpoints.clone(), demo_scenario());
    config.queue_batches = 1;
    config.retry.attempts = 2;
    let mut shop = run_shop(config, hasty_clock(), stop.clone()).unwrap();
    wait_for(&mut shop, |progress| progress.spans_dropped > 5_000).await;
    assert!(shop.progress.borrow().last_error.is_some());
    stop.cancel();
    shop.closed.await.unwrap();
}

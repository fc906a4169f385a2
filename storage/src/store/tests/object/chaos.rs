//! Servers that die, come back, replace each other and live on as zombies, over a network that fails in every way: what was
//! answered is there once.

use std::sync::Arc;
use std::time::Duration;

use super::home::{Cloud, Server, found_in};
use crate::store::tests::crash::seeds;
use crate::store::tests::support::{Counts, expected_at};
use crate::testing::{ChaosStore, Seeded, seeded_frame};
use crate::{Ack, Store, UnixNanos};

/// How long spans are kept here.
const KEPT: Duration = Duration::from_secs(2 * 3600);
/// Longer than a file that nobody knows is kept.
const LONG: Duration = Duration::from_secs(30 * 3600);

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_millis(100);

/// A request: its seed and when it was received.
type Request = (u64, UnixNanos);

/// What clients know.
#[derive(Default)]
struct Ledger {
    answered: Vec<Request>,
    unknown: Vec<Request>,
    next: u64,
}

/// Scenario: over seeds, two servers with disks of their own use one prefix in turn, over a network that loses requests and answers, delays puts, cuts
/// bodies and shows old lists, up to a third of the time. They append, flush, merge, vacuum and let old spans go, and die at a random request; some
/// live on while the other one has taken over. Then the network heals and both are started once more.
/// Guarantees: every answered request that is to be kept is found once, unanswered ones at most once, nothing else at all; no hole is reported; every listed
/// file is in the store; a day later nothing else is; and flushing works again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answered_requests_survive_any_network() {
    live_all(seeds(250), Ack::Local).await;
}

/// Scenario: as above, with requests acknowledged in the store, and a disk that is lost with every server.
/// Guarantees: the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_answered_in_the_store_survive_any_network_and_any_disk() {
    live_all(seeds(250), Ack::Object).await;
}

async fn live_all(seeds: std::ops::Range<u64>, ack: Ack) {
    let mut running = tokio::task::JoinSet::new();
    for seed in seeds {
        if running.len() == 16 {
            running.join_next().await.unwrap().unwrap();
        }
        running.spawn(lives(seed, ack));
    }
    while let Some(ended) = running.join_next().await {
        ended.unwrap();
    }
}

async fn lives(seed: u64, ack: Ack) {
    let mut random = Seeded::new(seed);
    let cloud = Cloud::stormy(seed, random.below(34));
    let mut servers = [server(&cloud, seed, ack), server(&cloud, seed, ack)];
    let mut ledger = Ledger { next: seed * 1_000, ..Ledger::default() };
    let mut zombie: Option<(usize, Arc<Store>)> = None;
    for _ in 0..3 {
        let at = usize::try_from(random.below(2)).unwrap();
        if zombie.as_ref().is_some_and(|(of, _)| *of == at) {
            zombie = None;
        }
        if ack == Ack::Object {
            servers[at] = server(&cloud, seed, ack);
        }
        let way = ChaosStore::new(&cloud.chaos);
        way.cut_off_after(20 + random.below(300));
        let Ok(store) = servers[at].open_over(Arc::clone(&way)).await else { continue };
        for _ in 0..15 {
            live(&cloud, &store, &mut ledger, &mut random).await;
            if let Some((_, zombie)) = &zombie {
                live(&cloud, zombie, &mut ledger, &mut random).await;
            }
            if way.is_cut_off() {
                break;
            }
        }
        zombie = random.percent(40).then_some((at, store)).or(zombie);
    }
    drop(zombie);
    cloud.chaos.set_percent(0);
    cloud.chaos.settle().await;
    check(&cloud, &servers, &ledger, &format!("SEED={seed}")).await;
}

fn server(cloud: &Cloud, seed: u64, ack: Ack) -> Server {
    let mut server = cloud.server();
    server.config.ack = ack;
    server.config.ack_linger = Duration::ZERO;
    server.config.compaction_target_bytes = 1 << 20;
    server.config.compaction_keep_rows = if seed.is_multiple_of(2) { 0 } else { 1 << 20 };
    server.config.vacuum_after = Duration::ZERO;
    server.config.retention = KEPT;
    server
}

/// Something that a server does; how it ends shows in what is found.
async fn live(cloud: &Cloud, store: &Arc<Store>, ledger: &mut Ledger, random: &mut Seeded) {
    match random.below(100) {
        0..25 => drop(store.flush().await),
        25..35 => drop(store.compact().await),
        35..42 => store.vacuum().await,
        42..45 => drop(store.expire().await),
        45..48 => cloud.clock.advance(Duration::from_secs(3600)),
        _ => {
            for _ in 0..=random.below(3) {
                ledger.next += 1;
                let request = (ledger.next, cloud.now());
                let (frame, batch) = seeded_frame(request.0, 2, request.1);
                // A server that is cut off gives no answer for a while.
                let answer = tokio::time::timeout(PATIENCE, store.append(frame, batch)).await;
                let answered = matches!(answer, Ok(Ok(_)));
                if answered { &mut ledger.answered } else { &mut ledger.unknown }.push(request);
            }
        }
    }
}

fn counts(requests: &[Request]) -> Counts {
    let mut all = Counts::new();
    for (seed, received) in requests {
        expected_at([(*seed, 2)], *received).into_iter().for_each(|(key, count)| *all.entry(key).or_default() += count);
    }
    all
}

async fn check(cloud: &Cloud, servers: &[Server; 2], ledger: &Ledger, context: &str) {
    // Each brings what its own log holds.
    let [first, last] = servers;
    let store = revived(first, context).await;
    drop(store);
    first.until_unlocked().await;
    let store = revived(last, context).await;
    let snapshot = store.snapshot();
    assert!(snapshot.holes.is_empty(), "{context}: {:?}", snapshot.holes);
    let now = cloud.now();
    let is_kept = |request: &&Request| {
        crate::partition::hour_end(&crate::partition::received_hour(request.1)).unwrap().saturating_add(KEPT) > now
    };
    let kept: Vec<Request> = ledger.answered.iter().filter(is_kept).copied().collect();
    let (must, sent, may) = (counts(&kept), counts(&ledger.answered), counts(&ledger.unknown));
    let found = found_in(&store).await;
    for (key, count) in &must {
        assert_eq!(found.get(key), Some(count), "{context}: an answered span is lost or doubled");
    }
    for (key, count) in &found {
        let is_sent = sent.get(key) == Some(count) || may.get(key) == Some(count);
        assert!(is_sent, "{context}: a span nobody sent, or twice");
    }
    drop(snapshot);
    // What nobody knows goes a day after the start that found it.
    cloud.clock.advance(LONG);
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    loop {
        store.vacuum().await;
        if cloud.holds_only(&store).await {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "{context}: the store holds more, or less, than the list names");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A server on a network that is well again.
async fn revived(server: &Server, context: &str) -> Arc<Store> {
    let opened = server.open().await;
    let store = opened.unwrap_or_else(|error| panic!("{context}: {error}: {:?}", std::error::Error::source(&error)));
    store.flush().await.unwrap_or_else(|error| panic!("{context}: no progress: {error}"));
    store
}
